"""Pinpoint against the plain ways, same model, documents and labels: `python bench/peers.py [--json]`.

32 documents of 300 tokens in one job, with 8 and with 24 labels, on the embedded model, in float32 and, where the
processor multiplies it, in bfloat16. Peers are ways in transformers, one document after the other; the figures of vLLM
that are kept, of a large model on a card, come behind them.
"""

from __future__ import annotations

import json
import random
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer
from rich.console import Console
from rich.table import Table

from bench.against import kept
from bench.plain import generate_and_parse, generate_json, label_answer, score_by_rows, scores_answer
from bench.report import in_turn, ratio, write
from pinpoint.engine.loading.load import load
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from pinpoint.settings import Settings
from training import documents

# The kinds that documents are drawn of come first; the others are labels that none of them has.
LABELS = (
    "invoice", "receipt", "purchase order", "contract", "bank statement", "payslip", "email", "news article",
    "delivery note", "credit note", "quote", "lease", "tax form", "insurance claim", "resume", "letter", "memo",
    "meeting minutes", "press release", "scientific abstract", "support ticket", "stock report", "shipping order",
    "bill",
)  # fmt: skip
DRAWN = LABELS[:8]
Dtype = Literal["float32", "bfloat16"]
# Processors without one of these compute bfloat16 several times slower than float32: nobody would.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
# The longest answers are written for one document in so many.
FEW = 8
WAYS = ("pinpoint", "rows", "bare label", "json", "json with scores")


def dtypes() -> tuple[Dtype, ...]:
    """What this machine multiplies in hardware."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text(encoding="utf-8").split()) if info.exists() else set[str]()
    return ("float32", "bfloat16") if flags & BFLOAT16_FLAGS else ("float32",)


def texts(scorer: Scorer, count: int, tokens: int, seed: int = 7) -> list[list[int]]:
    """Generated business documents cut to exactly `tokens` tokens each."""
    rng = random.Random(seed)
    kinds = [kind for kind in documents.KINDS if kind.key in DRAWN]
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


def measure(count: int, tokens: int, labels: int, dtype: Dtype, rounds: int) -> dict[str, Any]:
    """Seconds of each way and their ratios; the scores of the exact ways must agree."""
    settings = Settings(model_name="", device="cpu", compute_dtype=dtype)
    scorer = Scorer(load(settings), settings.usual_budget)
    task = Task("category", tuple(Label(name, name) for name in LABELS[:labels]))
    job = texts(scorer, count, tokens)
    fast, rows = packed(scorer, task, job), score_by_rows(scorer, task, job)
    apart = max(abs(a - b) for x, y in zip(fast, rows, strict=True) for a, b in zip(x, y, strict=True))
    generated = generate_and_parse(scorer, task, job)
    best = [task.labels[max(range(len(s)), key=s.__getitem__)].id for s in fast]
    names = LABELS[:labels]
    lengths = {
        "json": len(scorer.prompts.encoder.label_tokens(label_answer(names))),
        "json with scores": len(scorer.prompts.encoder.label_tokens(scores_answer(names))),
    }
    seconds = in_turn(
        {
            "pinpoint": lambda: packed(scorer, task, job),
            "rows": lambda: score_by_rows(scorer, task, job),
            "bare label": lambda: generate_and_parse(scorer, task, job),
            "json": partial(generate_json, scorer, task, job, lengths["json"]),
            # Each answer takes the same number of tokens, so that some documents stand for all.
            "json with scores": partial(generate_json, scorer, task, job[::FEW], lengths["json with scores"]),
        },
        rounds,
    )
    seconds["json with scores"] = [len(job) / len(job[::FEW]) * s for s in seconds["json with scores"]]
    return {
        "model": scorer.loaded.name,
        "dtype": dtype,
        "job": {"documents": count, "tokens": tokens, "labels": labels},
        "seconds": {name: [round(s, 4) for s in values] for name, values in seconds.items()},
        "over_pinpoint": {way: round(ratio(seconds[way], seconds["pinpoint"]), 2) for way in WAYS[1:]},
        "largest_difference_in_log_probability": apart,
        "generated_answers_off_the_list": sum(answer is None for answer in generated),
        "generated_answers_that_agree": sum(a == b for a, b in zip(generated, best, strict=True)),
        "tokens_of_a_json_answer": lengths,
    }


def main(
    count: Annotated[int, typer.Option("--documents", help="Documents in the job.")] = 32,
    tokens: Annotated[int, typer.Option(help="Tokens of each.")] = 300,
    rounds: Annotated[int, typer.Option(help="Measured rounds.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Also write bench/results/peers.json.")] = False,
) -> None:
    """Measure Pinpoint, scoring by rows, and generating and parsing, in turn in one process."""
    found = []
    title = f"{count} × {tokens} tokens, transformers {version('transformers')}, torch {version('torch')}"
    table = Table("dtype", "labels", "way", "median s", "over Pinpoint", box=None, title=title)
    for dtype in dtypes():
        for labels in (len(DRAWN), len(LABELS)):
            figures = measure(count, tokens, labels, dtype, rounds)
            found.append(figures)
            for way in WAYS:
                over = "" if way == WAYS[0] else f"{figures['over_pinpoint'][way]:.2f} ×"
                table.add_row(dtype, str(labels), way, f"{median(figures['seconds'][way]):.3f}", over)
    console = Console(width=200)
    console.print(table)
    console.print(
        "vLLM, which batches documents, is not for this model and processor; on a card, by bench/vllm_side.py:"
    )
    console.print(kept() or "no run of both on one card is kept in bench/results", markup=False)
    if as_json:
        print(json.dumps(found))
        print(f"written to {write('peers', {'jobs': found})}")


if __name__ == "__main__":
    typer.run(main)
