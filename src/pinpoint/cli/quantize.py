"""`python -m pinpoint quantize`: write a 16-bit checkpoint once in 8 bits; it then loads with half the bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pinpoint.errors import PinpointError


def quantize(
    source: Annotated[str, typer.Argument(help="A folder or a name on the Hub with 16-bit safetensors.")],
    destination: Annotated[Path, typer.Argument(help="The folder to write.")],
) -> None:
    """Quantise SOURCE to 8 bits, experts included, and write it to DESTINATION.

    Example: python -m pinpoint quantize runs/embedded/checkpoint src/pinpoint/embedded
    """
    from pinpoint.engine.checkpoint import save_quantised
    from pinpoint.engine.load import load
    from pinpoint.settings import Settings

    try:
        loaded = load(Settings(model_name=source, device="cpu", compute_dtype="bfloat16"))
    except PinpointError as error:
        Console(stderr=True).print(f"[red]{escape(error.wire())}[/]")
        raise typer.Exit(1) from None
    written = save_quantised(loaded, destination)
    Console().print(f"wrote {written / 1e6:.1f} MB of weights to {destination}")
