"""Versions of the prompt on real models, through the worker's own scorer: `python -m bench.real`.

For each model, precision and version of the prompt: accuracy by kind of text, negative log-likelihood of the right
label, label mass, and how often the answer changes when the labels are listed from last to first. What was measured is
kept in `bench/results/quality.json`, a line of a run replacing its last one, and docs/quality.md is made from it.
"""

from __future__ import annotations

import gc
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from bench import prompt_items, quality_page
from bench.prompt_items import Item
from bench.prompt_report import interval
from bench.report import RESULTS, environment
from pinpoint.engine.loading.load import load
from pinpoint.engine.scorer import Scorer
from pinpoint.errors import PinpointError
from pinpoint.prompting.prompts import SHORT_FORM_TASK, PromptBuilder
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from pinpoint.prompting.template import Version
from pinpoint.settings import Settings
from training.real_models import MODELS, obtain

EMBEDDED = "embedded"
FIGURES = RESULTS / "quality.json"
BATCH_TOKENS = {"cuda": 8_192, "cpu": 1_024}


@dataclass(frozen=True, slots=True)
class Measured:
    """One item as one model reads it: log-probabilities in the item's order of labels, and with the list reversed."""

    item: Item
    log_probs: tuple[float, ...]
    again: tuple[float, ...]


def main(
    model: Annotated[list[str] | None, typer.Option(help="embedded, smollm2 or qwen15; all if none.")] = None,
    precision: Annotated[list[str] | None, typer.Option(help="bf16, int8 or nf4; all if none.")] = None,
    version: Annotated[list[int] | None, typer.Option(help="Of the prompt; 1 and 3 if none.")] = None,
    data: Annotated[Path, typer.Option(help="Folder of company-documents and support-intents.")] = Path(
        "../shared/data"
    ),
    items: Annotated[Path | None, typer.Option(help="Instead of `data`: what `bench.prompts items` wrote.")] = None,
    count: Annotated[int, typer.Option(help="Items of each kind, at most.")] = 60,
    device: Annotated[str, typer.Option()] = "cuda" if torch.cuda.is_available() else "cpu",
    out: Annotated[Path, typer.Option(help="Figures, as JSON; what is there and not measured anew stays.")] = FIGURES,
    page: Annotated[Path, typer.Option(help="The page that is made of them.")] = Path("docs/quality.md"),
) -> None:
    """Measure and write docs/quality.md."""
    every = prompt_items.read(items) if items else prompt_items.items(data, count)
    chosen = [item for item in every if not item.asked and item.kind in prompt_items.KINDS]
    kept = json.loads(out.read_text(encoding="utf-8")) if out.exists() else []
    for name in model or (EMBEDDED, *(real.name for real in MODELS)):
        folder = "" if name == EMBEDDED else str(obtain(next(real for real in MODELS if real.name == name)))
        for held in ("int8",) if name == EMBEDDED else (precision or ("bf16", "int8", "nf4")):
            settings = Settings.model_validate(
                {"model_name": folder, "precision": held, "device": device, "buffer_gb": 0.5}
            )
            try:
                loaded = load(settings)
            except PinpointError as error:
                print(f"{name} {held}: {error}")
                continue
            scorer = Scorer(loaded, BATCH_TOKENS[device])
            for number in version or (1, 3):
                began = time.monotonic()
                line = {
                    "model": name, "precision": held, "version": number,
                    **figures(measure(scorer, chosen, number, BATCH_TOKENS[device])),  # type: ignore[arg-type]
                    "seconds": round(time.monotonic() - began, 1), **environment(),
                }  # fmt: skip
                print(json.dumps({key: value for key, value in line.items() if key != "right"}), flush=True)
                key = ("model", "precision", "version")
                kept = [old for old in kept if any(old[part] != line[part] for part in key)] + [line]
                out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            del scorer, loaded
            gc.collect()
    page.write_text(quality_page.page(), encoding="utf-8")
    print(f"{page} and {out}")


def measure(scorer: Scorer, items: list[Item], version: Version, budget: int) -> list[Measured]:
    """Every item with its labels in their order and reversed."""
    prompts = PromptBuilder(scorer.prompts.encoder, version)
    found: list[list[list[float]]] = []
    for reverse in (False, True):
        values: list[list[float]] = []
        forest = Forest()
        for item in items:
            names = item.labels[::-1] if reverse else item.labels
            task = Task(SHORT_FORM_TASK, tuple(Label(str(place), name) for place, name in enumerate(names)))
            prompts.add(forest, task, prompts.document(item.text))
            if forest.total_tokens >= budget:
                values += _run(scorer, forest)
                forest = Forest()
        values += _run(scorer, forest)
        found.append([one[::-1] if reverse else one for one in values])
    return [Measured(item, tuple(one), tuple(two)) for item, one, two in zip(items, *found, strict=True)]


def figures(measured: list[Measured]) -> dict[str, Any]:
    """Accuracy by kind with its interval, NLL, label mass and flips."""
    right: dict[str, list[bool]] = {}
    nll, mass, flips = [], [], []
    for one in measured:
        s = np.array(one.log_probs)
        total = float(np.logaddexp.reduce(s))
        right.setdefault(one.item.kind, []).append(int(s.argmax()) == one.item.answer)
        nll.append(total - s[one.item.answer])
        mass.append(min(1.0, math.exp(total)))
        flips.append(int(np.argmax(one.again)) != int(s.argmax()))
    return {
        "accuracy": {kind: round(float(np.mean(values)), 3) for kind, values in right.items()},
        "of": {kind: len(values) for kind, values in right.items()},
        "mean": round(float(np.mean([np.mean(values) for values in right.values()])), 3),
        "interval": [round(bound, 3) for bound in interval(right)],
        "nll": round(float(np.mean(nll)), 3),
        "mass": [round(float(bound), 4) for bound in np.quantile(mass, (0.0, 0.05, 0.5))],
        "flips": round(float(np.mean(flips)), 3),
        "right": {kind: "".join("01"[value] for value in values) for kind, values in right.items()},
    }


def _run(scorer: Scorer, forest: Forest) -> list[list[float]]:
    if not forest.asks:
        return []
    with scorer.run(forest) as done:
        return [list(one.log_probs) for one in done.scores]


if __name__ == "__main__":
    typer.run(main)
