"""Precisions against 16 bits on real models and the embedded one: `python -m bench.quality`, a part of `make real`.

Each precision of a model reads the same documents in the same passes and answers the same questions. The scores of a
document are kept as soon as there are any, in `bench/results/quality/MODEL-PRECISION.json`, so a run that was stopped
goes on where it was. docs/quality.md is made of these files, and anew with `--only-page` alone.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench import quality_page
from bench.embedded_16_bits import embedded_16_bits
from bench.quality_figures import ANSWERS, CARD, EMBEDDED, KEPT, PRECISIONS, REFERENCE, weights_of
from bench.quality_items import DRAWN, Document, batches, digest, documents, lay
from bench.quality_outliers import linears, outliers
from bench.quality_precisions import scorer
from bench.report import environment
from pinpoint.engine.scorer import Scorer
from pinpoint.errors import PinpointError
from pinpoint.prompting.span_tree import Forest
from training.real_models import MODELS, obtain

NAMES = ("qwen15", "smollm2", EMBEDDED)
# Documents of each short kind: what takes about an hour for all precisions of a model on a core that others use too.
COUNTS = {"qwen15": 14, "smollm2": 30, EMBEDDED: 150}
BATCH_TOKENS = {"cuda": 8_192, "cpu": 2_048}
LAYERS_TOKENS = 600  # of the documents that layers are looked at with


def main(
    model: Annotated[list[str] | None, typer.Option(help=f"Of: {', '.join(NAMES)}; all if none.")] = None,
    precision: Annotated[list[str] | None, typer.Option(help=f"Of: {', '.join(PRECISIONS)}; all if none.")] = None,
    data: Annotated[Path, typer.Option(help="Folder of company-documents and support-intents.")] = Path(
        "../shared/data"
    ),
    count: Annotated[int, typer.Option(help="Documents of each short kind; 0: as many as the page has.")] = 0,
    drawn: Annotated[int, typer.Option(help="Texts of each kind that `count` are of.")] = DRAWN,
    device: Annotated[str, typer.Option()] = "cuda" if torch.cuda.is_available() else "cpu",
    only_page: Annotated[bool, typer.Option(help="Measure nothing, make the page.")] = False,
    page: Annotated[Path, typer.Option(help="The page that is made.")] = Path("docs/quality.md"),
) -> None:
    """Measure what is not measured yet, and write docs/quality.md."""
    kept = CARD if device == "cuda" else KEPT
    kept.mkdir(exist_ok=True)
    for name in () if only_page else model or NAMES:
        every = documents(data, count or COUNTS[name], drawn)
        texts = digest(documents(data, drawn, drawn))
        _keep_answers(every, drawn, texts, kept / ANSWERS)
        layers = KEPT / f"{name}-layers.json"
        for held in precision or PRECISIONS:
            folder = folder_of(name, held)
            # Of experts, as the embedded model has them, the inputs are not looked at.
            if name != EMBEDDED and not layers.exists():
                look(name, folder, every, device, layers)
            measure(name, folder, held, every, device, drawn, texts, kept)
    page.write_text(quality_page.page(), encoding="utf-8")
    print(page)


def folder_of(name: str, held: str) -> str:
    """Where a model lies. The embedded one is measured in 8 bits as it is shipped."""
    if name != EMBEDDED:
        return str(obtain(next(real for real in MODELS if real.name == name)))
    return "" if held.startswith("int8") else str(embedded_16_bits())


def measure(
    name: str, folder: str, held: str, every: list[Document], device: str, drawn: int, texts: str, kept: Path
) -> None:  # fmt: skip
    """Score the documents that have no scores yet in one precision."""
    out = kept / f"{name}-{held.replace(' ', '-')}.json"
    old: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    weights = weights_of(name)
    if (old.get("drawn"), old.get("texts"), old.get("weights", "")) != (drawn, texts, weights):
        old = {}
    scores, seconds = old.get("scores", {}), old.get("seconds", 0.0)
    if all(document.id in scores for document in every):
        return
    try:
        loaded = scorer(folder, held, device, BATCH_TOKENS[device])
    except PinpointError as error:
        print(f"{name} {held}: {error}")
        return
    head = {"model": name, "precision": held, "device": device, "drawn": drawn, "texts": texts,
            "flagged": sorted(loaded.loaded.kept)}  # fmt: skip
    if weights:
        head["weights"] = weights
    todo = [
        batch
        for batch in batches(loaded, every, BATCH_TOKENS[device] // 2)
        if any(document.id not in scores for document in batch)
    ]
    with _progress() as progress:
        task = progress.add_task(f"{name} {held}", total=len(todo))
        for batch in todo:
            began = time.monotonic()
            scores |= run(loaded, batch)
            seconds = round(seconds + time.monotonic() - began, 1)
            out.write_text(_lines({**head, **environment(), "seconds": seconds, "scores": scores}), encoding="utf-8")
            progress.advance(task)


def run(loaded: Scorer, batch: list[Document]) -> dict[str, list[list[float]]]:
    """Log-probabilities of the labels of each question, in its order, by document; one pass."""
    forest = Forest()
    for document in batch:
        lay(loaded, forest, document)
    with loaded.run(forest) as done:
        values = iter([[round(value, 4) for value in one.log_probs] for one in done.scores])
    return {document.id: [next(values) for _ in document.questions] for document in batch}


def look(name: str, folder: str, every: list[Document], device: str, out: Path) -> None:
    """Measure what each layer does with 8 bits."""
    loaded = scorer(folder, REFERENCE, device, 2 * BATCH_TOKENS[device])
    with _progress() as progress:
        task = progress.add_task(f"{name} layers", total=len(linears(loaded.loaded.model)))
        found = outliers(loaded, batches(loaded, every, LAYERS_TOKENS)[0], lambda: progress.advance(task))
    out.write_text(_lines({"model": name, "device": device, **environment(), "layers": found}))


def _keep_answers(every: list[Document], drawn: int, texts: str, path: Path) -> None:
    """The right labels of documents, for whoever makes figures of scores."""
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known = old if (old.pop("drawn", None), old.pop("texts", None)) == (drawn, texts) else {}
    known |= {document.id: [question.answer for question in document.questions] for document in every}
    beside = path.with_suffix(f".{os.getpid()}")  # several models may be measured at once
    beside.write_text(_one_a_line({"drawn": drawn, "texts": texts, **known}), encoding="utf-8")
    beside.replace(path)


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def _lines(kept: dict[str, Any]) -> str:
    """JSON with one line for each document or layer."""
    head = {key: value for key, value in kept.items() if key not in ("scores", "layers")}
    text = json.dumps(head, indent=1)[:-2]
    if "scores" in kept:
        return f'{text},\n "scores": {_one_a_line(kept["scores"])}}}\n'
    return f'{text},\n "layers": [\n' + ",\n".join(f"  {json.dumps(line)}" for line in kept["layers"]) + "\n ]\n}\n"


def _one_a_line(values: dict[str, Any]) -> str:
    rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
    return f"{{\n{rows}\n }}\n"


if __name__ == "__main__":
    typer.run(main)
