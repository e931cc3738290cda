"""The work that Pinpoint and vLLM are compared on, and the table of both: `python bench/against.py work|table`.

`work [--long] --out FILE` writes the prompts and labels as token ids, for `bench/vllm_side.py`, which needs nothing of
this project; `bench/gpu.py --part against` (`against_long`) lays the same ones into passes. `table OURS THEIRS` reads
what both wrote on one kind of card, and prints them side by side. Documents are random words, so that nobody can guess
an answer.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

import typer  # noqa: E402

from bench.report import RESULTS  # noqa: E402
from pinpoint.prompting.label_trie import LabelTrie  # noqa: E402
from pinpoint.prompting.prompts import PromptBuilder  # noqa: E402
from pinpoint.prompting.span_tree import Forest  # noqa: E402
from pinpoint.prompting.taxonomy import Label, Task  # noqa: E402

KINDS = ("invoice", "receipt", "order", "contract", "statement", "report", "letter", "claim", "notice", "quote")
FIELDS = (
    "sales", "travel", "energy", "legal", "medical", "office", "food", "rental", "tax", "bank",
    "school", "software", "vehicle", "building", "customs", "staff", "pension", "media", "garden", "water",
)  # fmt: skip
# Ids of the embedded tokenizer that are neither control tokens nor single bytes; larger vocabularies have them too.
FIRST_WORD, LAST_WORD = 1000, 7999


@dataclass(frozen=True, slots=True)
class Job:
    """So many documents of so many tokens, each asked so many questions of so many labels."""

    documents: int
    tokens: int
    labels: int
    questions: int = 1
    seed: int = 5


FIRST = ", labels first"  # what ways are called whose prompts have the labels before the document
ALONE, REASONS = "one document of 1,000 tokens, 8 labels", "300 tokens, reasons"
JOBS = {
    "1,000 tokens, 8 labels": Job(64, 1000, 8),
    "300 tokens, 8 labels": Job(64, 300, 8),
    "1,000 tokens, 200 labels": Job(64, 1000, 200),
    "470 tokens, 56 questions of 2 labels": Job(24, 470, 2, 56),
    ALONE: Job(1, 1000, 8, seed=6),
    REASONS: Job(16, 300, 8, seed=7),
}
LONG = {"8,000 tokens, 8 labels": Job(12, 8000, 8, seed=8), "30,000 tokens, 8 labels": Job(4, 30000, 8, seed=9)}
UNITS = {ALONE: "ms", REASONS: "tokens/s"}
WRITTEN_TOKENS = 64  # of each reason
SUMMARY = {
    "one token": "one token with log-probabilities; of 200 labels it tells 20 apart",
    "one token, labels first": "the same, the list of labels in the cache",
    "JSON of 21 tokens": "JSON of 21 tokens",
    "exact, by nodes": "every label exactly, the rest of each behind the cached prompt",
}
OURS, THEIRS = "pinpoint_against.json", "vllm_against*.json"
OURS_LONG, THEIRS_LONG = "pinpoint_long.json", "vllm_long.json"


def tasks(job: Job, *, labels_first: bool = False) -> list[Task]:
    """The questions of a job; labels have two words, of which the first tells 20 apart."""
    names = [f"{field} {kind}" for kind in KINDS for field in FIELDS]
    return [
        Task(
            f"question {number}",
            tuple(Label(name, name) for name in names[number * job.labels : (number + 1) * job.labels]),
            labels_first=labels_first,
        )
        for number in range(job.questions)
    ]


def documents(job: Job) -> list[list[int]]:
    """Random token ids."""
    rng = random.Random(job.seed)
    return [[rng.randint(FIRST_WORD, LAST_WORD) for _ in range(job.tokens)] for _ in range(job.documents)]


def forests(
    prompts: PromptBuilder, job: Job, budget: int, *, whole: bool = False, labels_first: bool = False
) -> list[Forest]:
    """All of a job's prompts, in as few forests as their order allows, each within the budget.

    As a worker lays them, or with the `whole` of a question in one span. With the labels first, a prompt has the tokens
    of `vllm_side.Job.labels_first`, but its ending stands at the end, where it is computed for each document.
    """
    made, asked = [Forest()], tasks(job, labels_first=labels_first)
    for document in documents(job):
        for task in asked:
            (prompt,) = prompts.ask(task, prompts.questions(task), document, alone=whole or len(asked) == 1)
            if made[-1].asks and made[-1].total_tokens + prompt.new_tokens(made[-1]) > budget:
                made.append(Forest())
            prompt.add_to(made[-1], None)
    return made


def work(prompts: PromptBuilder, *, long: bool = False) -> dict[str, Any]:
    """Each job as spans of token ids, prompts as runs of spans in the order of (document, question), and labels."""
    found = dict[str, Any]()
    for name, job in (LONG if long else JOBS).items():
        (forest,) = forests(prompts, job, sys.maxsize, whole=True)
        tries = list[LabelTrie]()
        for ask in forest.asks:
            if ask.trie not in tries:
                tries.append(ask.trie)
        found[name] = {
            "spans": forest.tokens,
            "prompts": [forest.ancestry(ask.span) for ask in forest.asks],
            "label_sets": [trie.labels for trie in tries],
            "labels_of": [tries.index(ask.trie) for ask in forest.asks],
            "stop": prompts.encoder.stop,
            "documents": job.documents,
            "questions": job.questions,
        }
    return found


def digest(made: dict[str, Any]) -> str:
    """What both sides write beside their figures, so that a table is of the same prompts and labels."""
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]


def rows(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[list[str]]:
    """Each way of both sides with its figure of each job; behind one of vLLM's, how many times of it our best is.

    Prompts with the labels first are compared with such.

    Raises:
        ValueError: the two were not measured on one kind of card, or are not of the same work.
    """
    if ours["work"] != theirs["work"]:
        raise ValueError("the two are not of the same prompts and labels")
    if ours["card"] != theirs["card"]:
        raise ValueError(f"measured on different cards: {ours['card']} and {theirs['card']}")
    best, columns = dict[tuple[bool, str], float](), jobs_of(ours)
    for way, by_job in ours["figures"].items():
        yield [f"Pinpoint, {way}", *(_short(by_job.get(job)) for job in columns)]
        for job, figure in by_job.items():
            key = FIRST in way, job
            best[key] = (min if job == ALONE else max)(best.get(key, figure), figure)
    name = f"vLLM {theirs['versions']['vllm']} {theirs['quantization']}"
    for way, by_job in theirs["figures"].items():
        cells = []
        for job in columns:
            figure, over = by_job.get(job), best.get((FIRST in way, job))
            times = over and figure and (figure / over if job == ALONE else over / figure)
            cells.append(f"{_short(figure)} ({times:.2f})" if times else _short(figure))
        yield [f"{name}, {way}", *cells]


def jobs_of(ours: dict[str, Any]) -> list[str]:
    """The columns of its table: the long documents, or everything else."""
    return list(LONG if any(job in LONG for by_job in ours["figures"].values() for job in by_job) else JOBS)


def _short(figure: float | None) -> str:
    """Three digits, and whole numbers from 1,000 on."""
    return "–" if figure is None else f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}"


def table(ours: dict[str, Any], *theirs: dict[str, Any]) -> str:
    """The same as Markdown, of one run or more of vLLM's.

    Raises:
        ValueError: as `rows` does.
    """
    found = list[list[str]]()
    for one in theirs:
        found += [row for row in rows(ours, one) if row not in found]
    head = [f"on an {ours['card']}", *(f"{job}, {UNITS.get(job, 'documents/s')}" for job in jobs_of(ours))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *found))


def kept(folder: Path = RESULTS, *, long: bool = False) -> str:
    """The table of what `bench/results` keeps; empty where a side was not measured."""
    ours, theirs = (OURS_LONG, THEIRS_LONG) if long else (OURS, THEIRS)
    paths = [folder / ours, *sorted(folder.glob(theirs))]
    return (
        table(*(json.loads(path.read_text("utf-8")) for path in paths)) if len(paths) > 1 and paths[0].exists() else ""
    )


def summary(folder: Path = RESULTS) -> list[tuple[str, ...]]:
    """How many times of vLLM's documents a second Pinpoint's best is, by way and job; empty where a side is missing."""
    lines = [line.strip("| ").split(" | ") for line in kept(folder).splitlines()]
    found = list[tuple[str, ...]]()
    for way, words in SUMMARY.items():
        for line in lines:
            if line[0].endswith(f" fp8, {way}"):
                found.append((words, *(cell.partition("(")[2].strip(")") for cell in line[1:4])))
    return found


app = typer.Typer(add_completion=False, help=__doc__)


@app.command("work")
def write_work(
    out: Annotated[Path, typer.Option(help="The file to write.")],
    long: Annotated[bool, typer.Option("--long", help="Documents of 8,000 and 30,000 tokens instead.")] = False,
) -> None:
    """Write the prompts and labels as token ids."""
    from transformers import AutoTokenizer

    from pinpoint.checkpoints.sources import embedded_folder
    from pinpoint.prompting.encoder import PromptEncoder

    tokenizer = AutoTokenizer.from_pretrained(str(embedded_folder()), local_files_only=True)
    made = work(PromptBuilder(PromptEncoder(tokenizer)), long=long)
    out.write_text(json.dumps({"digest": digest(made), "jobs": made}), "utf-8")
    for name, job in made.items():
        lengths = [sum(len(job["spans"][span]) for span in prompt) for prompt in job["prompts"]]
        typer.echo(
            f"{name}: {len(lengths)} prompts, {sum(lengths)} tokens, {sum(map(len, job['spans']))} of them distinct"
        )


@app.command("table")
def print_table(
    ours: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    theirs: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
) -> None:
    """Print both sides' figures as one table; in brackets how many times of vLLM's figure Pinpoint's best is."""
    try:
        typer.echo(table(*(json.loads(path.read_text("utf-8")) for path in (ours, *theirs))))
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
