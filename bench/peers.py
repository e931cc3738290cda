"""Pinpoint against the plain ways, same model, documents and labels: `python bench/peers.py [--json]`.

32 documents of about 300 tokens with 8 labels in one job, by default on the embedded model.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from statistics import median
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer
from rich.console import Console
from rich.table import Table

from bench.plain import generate_and_parse, score_by_rows
from bench.report import in_turn, ratio, write
from pinpoint.engine.load import load
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from pinpoint.settings import Settings
from training import documents

LABELS = ("invoice", "receipt", "purchase order", "contract", "bank statement", "payslip", "email", "news article")


def texts(scorer: Scorer, count: int, tokens: int, seed: int = 7) -> list[list[int]]:
    """Generated business documents cut to exactly `tokens` tokens each."""
    rng = random.Random(seed)
    kinds = [kind for kind in documents.KINDS if kind.key in LABELS]
    made = []
    for _ in range(count):
        kind, ids = rng.choice(kinds), list[int]()
        while len(ids) < tokens:
            ids += scorer.prompts.document(documents.generate(rng, kind)[1] + "\n")
        made.append(ids[:tokens])
    return made


def packed(scorer: Scorer, task: Task, job: list[list[int]]) -> list[list[float]]:
    """The product's way, within its token budget."""
    scores: list[list[float]] = []
    forest = Forest()
    for document in job:
        if (
            forest.asks
            and forest.total_tokens + scorer.prompts.lay(task, document)[0].new_tokens(forest) > scorer.token_budget
        ):
            with scorer.run(forest) as done:
                scores += [ask.log_probs for ask in done.scores]
            forest = Forest()
        scorer.prompts.add(forest, task, document)
    with scorer.run(forest) as done:
        return scores + [ask.log_probs for ask in done.scores]


def measure(count: int, tokens: int, rounds: int) -> dict[str, Any]:
    """Seconds of each way and their ratios; the scores of the exact ways must agree."""
    settings = Settings()
    scorer = Scorer(load(settings), settings.token_budget)
    task = Task("category", tuple(Label(name, name) for name in LABELS))
    job = texts(scorer, count, tokens)
    fast, rows = packed(scorer, task, job), score_by_rows(scorer, task, job)
    apart = max(abs(a - b) for x, y in zip(fast, rows, strict=True) for a, b in zip(x, y, strict=True))
    generated = generate_and_parse(scorer, task, job)
    best = [task.labels[max(range(len(s)), key=s.__getitem__)].id for s in fast]
    seconds = in_turn(
        {
            "pinpoint": lambda: packed(scorer, task, job),
            "rows": lambda: score_by_rows(scorer, task, job),
            "generate": lambda: generate_and_parse(scorer, task, job),
        },
        rounds,
    )
    return {
        "model": scorer.loaded.name,
        "job": {"documents": count, "tokens": tokens, "labels": len(LABELS)},
        "seconds": {name: [round(s, 4) for s in values] for name, values in seconds.items()},
        "generate_over_pinpoint": round(ratio(seconds["generate"], seconds["pinpoint"]), 2),
        "rows_over_pinpoint": round(ratio(seconds["rows"], seconds["pinpoint"]), 2),
        "largest_difference_in_log_probability": apart,
        "generated_answers_off_the_list": sum(answer is None for answer in generated),
        "generated_answers_that_agree": sum(a == b for a, b in zip(generated, best, strict=True)),
    }


def main(
    count: Annotated[int, typer.Option("--documents", help="Documents in the job.")] = 32,
    tokens: Annotated[int, typer.Option(help="Tokens of each.")] = 300,
    rounds: Annotated[int, typer.Option(help="Measured rounds.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Also write bench/results/peers.json.")] = False,
) -> None:
    """Measure Pinpoint, scoring by rows, and generating and parsing, in turn in one process."""
    figures = measure(count, tokens, rounds)
    table = Table("way", "median s", "over Pinpoint", box=None, title=f"{count} documents × {tokens} tokens, 8 labels")
    for name, key in (("pinpoint", None), ("rows", "rows_over_pinpoint"), ("generate", "generate_over_pinpoint")):
        table.add_row(name, f"{median(figures['seconds'][name]):.3f}", "" if key is None else f"{figures[key]:.2f} ×")
    Console().print(table)
    if as_json:
        print(json.dumps(figures))
        print(f"written to {write('peers', figures)}")


if __name__ == "__main__":
    typer.run(main)
