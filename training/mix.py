"""Weights between those of two models, of which one was trained on from the other: `python -m training.mix --help`.

What further lessons bring is kept for the most part, and what they cost what was learned before comes back for the most
part (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from transformers import AutoTokenizer

from training import model
from training.tokenizer import CONTEXT


def mix(
    before: Annotated[
        Path, typer.Argument(help="The 8-bit checkpoint that was trained on.", exists=True, file_okay=False)
    ],
    after: Annotated[
        Path,
        typer.Argument(
            help="The 8-bit checkpoint that came of it; its tokenizer is kept.", exists=True, file_okay=False
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the 16-bit checkpoint; `python -m pinpoint quantize` comes next.")
    ],
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the way from BEFORE to AFTER.")] = 0.7,
) -> None:
    """Write the checkpoint that lies between two."""
    tokenizer = AutoTokenizer.from_pretrained(after)
    ends = []
    for folder in (before, after):
        params = model.init(len(tokenizer), 0, torch.device("cpu"))
        model.take_up(params, folder)
        ends.append(params)
    first, last = ends
    with torch.no_grad():
        mixed: model.Params = {name: torch.lerp(value, last[name], share) for name, value in first.items()}
    ids = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    model.export(mixed, model.config(len(tokenizer), CONTEXT, *ids), out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    typer.run(mix)
