"""Versions of the prompt on real models, by the worker's own scorer: `python -m bench.real`, a part of `make real`.

Each model is proved as it is before a worker's first job. Of each, its precisions and the versions of the prompt:
accuracy by kind of text, negative log-likelihood of the right label, label mass, and how often the answer changes when
the labels are listed from last to first. What was measured is kept in `bench/results/quality.json`, and docs/quality.md
is made from it. A line that is there already, of the same texts and weights on the same kind of device, is not measured
again, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import gc
import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from bench import prompt_items, quality_page
from bench.prompt_items import Item
from bench.prompt_report import interval
from bench.quality_figures import EMBEDDED, weights_of
from bench.report import RESULTS, environment
from pinpoint.engine.loading.load import load
from pinpoint.engine.proof import prove
from pinpoint.engine.scorer import Scorer
from pinpoint.errors import PinpointError
from pinpoint.prompting.prompts import SHORT_FORM_TASK, PromptBuilder
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from pinpoint.prompting.template import Version
from pinpoint.settings import Settings
from training.real_models import MODELS, obtain

FIGURES = RESULTS / "quality.json"
BATCH_TOKENS = {"cuda": 8_192, "cpu": 1_024}
# Texts of each kind: what two cores read in a quarter of an hour where the model is large.
COUNTS = {"qwen15": 12, "smollm2": 30, EMBEDDED: 60}
# What tells one line from another; the rest of it are figures.
KEY = ("model", "precision", "version", "device")


@dataclass(frozen=True, slots=True)
class Measured:
    """One item as one model reads it: log-probabilities in the item's order of labels, and with the list reversed."""

    item: Item
    log_probs: tuple[float, ...]
    again: tuple[float, ...]


def main(
    model: Annotated[list[str] | None, typer.Option(help="embedded, smollm2 or qwen15; all if none.")] = None,
    precision: Annotated[list[str] | None, typer.Option(help="bf16, int8 or nf4; bf16 if none.")] = None,
    version: Annotated[list[int] | None, typer.Option(help="Of the prompt; 1 and 3 if none.")] = None,
    data: Annotated[Path, typer.Option(help="Folder of company-documents and support-intents.")] = Path(
        "../shared/data"
    ),
    items: Annotated[Path | None, typer.Option(help="Instead of `data`: what `bench.prompts items` wrote.")] = None,
    count: Annotated[int, typer.Option(help="Items of each kind, at most; 0: as many as the page has.")] = 0,
    device: Annotated[str, typer.Option()] = "cuda" if torch.cuda.is_available() else "cpu",
    out: Annotated[Path, typer.Option(help="Figures, as JSON; what is there and not measured anew stays.")] = FIGURES,
    page: Annotated[Path, typer.Option(help="The page that is made of them.")] = Path("docs/quality.md"),
) -> None:
    """Measure and write docs/quality.md."""
    kept = json.loads(out.read_text(encoding="utf-8")) if out.exists() else []
    for name in model or (*(real.name for real in MODELS), EMBEDDED):
        every = prompt_items.read(items) if items else prompt_items.items(data, count or COUNTS[name])
        chosen = [item for item in every if not item.asked and item.kind in prompt_items.KINDS]
        for held in ("int8",) if name == EMBEDDED else (precision or ("bf16",)):
            heads = [
                {"model": name, "precision": held, "version": number, "device": device,
                 "texts": digest(chosen), "weights": weights_of(name)}
                for number in version or (1, 3)
            ]  # fmt: skip
            todo = [head for head in heads if not any(head.items() <= old.items() for old in kept)]
            for line in _lines(name, held, device, chosen, todo):
                kept = [old for old in kept if any(old[part] != line[part] for part in KEY)] + [line]
                out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    page.write_text(quality_page.page(), encoding="utf-8")
    print(f"{page} and {out}")


def _lines(
    name: str, held: str, device: str, chosen: list[Item], heads: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """A model in one precision, loaded once: the figures of each version that `heads` begin a line of."""
    if not heads:
        return
    folder = "" if name == EMBEDDED else str(obtain(next(real for real in MODELS if real.name == name)))
    settings = Settings.model_validate({"model_name": folder, "precision": held, "device": device, "buffer_gb": 0.5})
    try:
        scorer = Scorer(load(settings), BATCH_TOKENS[device])
        proof = prove(scorer)
    except PinpointError as error:
        print(f"{name} {held}: {error}")
        return
    farthest = max(proof.parts, key=lambda part: part.share)
    print(
        f"{name} {held}: proved in {proof.seconds:.1f} s, {farthest.stage} {farthest.apart:.1e} of {farthest.tolerance}"
    )
    for head in heads:
        began = time.monotonic()
        line = {
            **head, **figures(measure(scorer, chosen, head["version"], BATCH_TOKENS[device])),
            "seconds": round(time.monotonic() - began, 1), **environment(),
        }  # fmt: skip
        print(json.dumps({key: value for key, value in line.items() if key != "right"}), flush=True)
        yield line
    del scorer
    gc.collect()


def digest(items: list[Item]) -> str:
    """Which texts and lists these are: programs that make some of them change, under the same ids."""
    said = [[one.id, one.text, one.labels] for one in items]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def measure(scorer: Scorer, items: list[Item], version: Version, budget: int) -> list[Measured]:
    """Every item with its labels in their order and reversed, which share what they begin alike with."""
    prompts = PromptBuilder(scorer.prompts.encoder, version)
    found: list[list[float]] = []
    forest = Forest()
    for item in items:
        document = prompts.document(item.text)
        for names in (item.labels, item.labels[::-1]):
            task = Task(SHORT_FORM_TASK, tuple(Label(str(place), name) for place, name in enumerate(names)))
            prompts.add(forest, task, document)
        if forest.total_tokens >= budget:
            found += _run(scorer, forest)
            forest = Forest()
    found += _run(scorer, forest)
    return [
        Measured(item, tuple(one), tuple(two[::-1]))
        for item, one, two in zip(items, found[::2], found[1::2], strict=True)
    ]


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
