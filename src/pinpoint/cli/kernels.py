"""`python -m pinpoint kernels`: compile a model's kernels where there is no card, in the build of an image say.

Exit code 0 when all of a list are in the cache, 1 when some are not: those are compiled at a start, as all are without.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pinpoint.errors import PinpointError

FAILED = 1
NAMED = 5


def kernels(
    list_file: Annotated[
        Path, typer.Argument(metavar="LIST", help="pinpoint-kernels.json of a worker's TRITON_CACHE_DIR.")
    ],
    processes: Annotated[int | None, typer.Option(min=1, help="At a time; without it one for each processor.")] = None,
) -> None:
    """Compile what a start on a card asked of Triton, into TRITON_CACHE_DIR. Needs neither card nor weights.

    Which kernels a worker needs depends on the model's sizes, its precision and the card, so every start on a card
    leaves a list of them in TRITON_CACHE_DIR. With the same build of Pinpoint and Triton, they are compiled here, and
    the next start finds them.

    [bold]Example[/bold]

    [cyan]TRITON_CACHE_DIR=/opt/triton python -m pinpoint kernels pinpoint-kernels.json[/cyan]
    """
    from pinpoint.engine.kernels_ahead import compile_all, read

    try:
        done = compile_all(read(list_file), processes or os.cpu_count() or 1)
    except PinpointError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from None
    typer.echo(f"{done.kernels} kernels are in the cache, after {done.seconds:.1f} s")
    if done.failed:
        named = "; ".join(done.failed[:NAMED])
        typer.echo(f"{len(done.failed)} are not, and will be compiled at a start: {named}", err=True)
        raise typer.Exit(FAILED)
