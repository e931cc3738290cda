"""8-bit activations on a CPU: `python bench/eight_cpu.py [--data FOLDER]`.

Passes of the embedded model and of a larger one with random weights, in turn with float32 and with 8-bit activations:
CPU seconds of one thread, which on a busy machine say more than time on the clock. With documents of one JSON object a
line and a `text` each, how many of the embedded model's labels are the same.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import typer

from bench.peers import texts
from bench.report import ratio, write
from bench.scoring import random_model, run, task_of
from pinpoint.engine.loading.activations import modules_of, set_activations
from pinpoint.engine.loading.load import LoadedModel, load
from pinpoint.engine.scorer import Scorer
from pinpoint.planning.activations import Activations
from pinpoint.prompting.span_tree import Forest
from pinpoint.settings import Settings

SIDES: tuple[Activations, ...] = ("compute", "int8")
DOCUMENTS, TOKENS = 24, 300
MOST_TEXTS = 300  # of each file, evenly taken


def passes(loaded: LoadedModel, rounds: int, documents: int) -> dict[str, Any]:
    """Seconds of a pass over documents with either kind of activations, and what share of them products take."""
    scorer, tasks = Scorer(loaded, 8192), [task_of(8)]
    made = texts(scorer, documents, TOKENS)
    inside = 0.0

    def timed(forward: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal inside
            began = time.process_time()
            out = forward(*args, **kwargs)
            inside += time.process_time() - began
            return out

        return call

    for module in modules_of(loaded.model).values():
        module.forward = timed(module.forward)
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    products: dict[str, list[float]] = {side: [] for side in SIDES}
    for turn in range(rounds + 1):
        for side in SIDES:
            set_activations(loaded.model, side)
            began, inside = time.process_time(), 0.0
            run(scorer, tasks, made)
            if turn:
                seconds[side].append(time.process_time() - began)
                products[side].append(inside)
    return {
        "seconds": {side: median(one) for side, one in seconds.items()},
        "products_seconds": {side: median(one) for side, one in products.items()},
        "times_as_fast": ratio(*seconds.values()),
        "products_times_as_fast": ratio(*products.values()),
    }


def labels(loaded: LoadedModel, files: list[Path]) -> dict[str, Any]:
    """How many documents have the same best label with both kinds of activations, for 8 labels and for 30."""
    scorer, found = Scorer(loaded, 8192), dict[str, Any]()
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines()
        chosen = lines[:: max(1, len(lines) // MOST_TEXTS)][:MOST_TEXTS]
        for count in (8, 30):
            answers: dict[str, list[int]] = {side: [] for side in SIDES}
            apart = 0.0
            for line in chosen:
                tokens, scores = scorer.prompts.document(json.loads(line)["text"])[:1000], []
                for side in SIDES:
                    set_activations(loaded.model, side)
                    forest = Forest()
                    scorer.prompts.add(forest, task_of(count), tokens)
                    with scorer.run(forest) as done:
                        scores.append(torch.tensor(done.scores[0].log_probs).softmax(0))
                    answers[side].append(int(scores[-1].argmax()))
                apart = max(apart, float((scores[0] - scores[1]).abs().max()))
            same = sum(a == b for a, b in zip(*answers.values(), strict=True))
            found[f"{file.parent.name}, {count} labels"] = {
                "documents": len(chosen), "same": same, "largest_difference_of_a_score": apart,
            }  # fmt: skip
    return found


def main(
    data: Annotated[Path | None, typer.Option(help="Folder with .jsonl files of documents.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Measured passes of each side.")] = 7,
) -> None:
    """Measure, and write bench/results/eight_cpu.json."""
    torch.set_num_threads(1)
    with random_model(4, 1024) as folder:
        larger = passes(load(Settings(model_name=folder, device="cpu")), max(1, rounds // 3), DOCUMENTS // 4)
    agreed = {} if data is None else labels(load(Settings(device="cpu")), sorted(data.rglob("*.jsonl")))
    figures = {
        "note": "CPU seconds of one thread, both in turn, medians; the machine was busy with other work",
        "embedded": passes(load(Settings(device="cpu")), rounds, DOCUMENTS),
        "4 layers of hidden size 1,024, random": larger,
        "labels": agreed,
    }
    typer.echo(json.dumps(figures, indent=2))
    typer.echo(write("eight_cpu", figures))


if __name__ == "__main__":
    typer.run(main)
