"""`python -m pinpoint evaluate`: how often the model is right on documents whose labels are known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pinpoint.api.request import parse_request
from pinpoint.cli.labelled_file import Line, read_lines
from pinpoint.errors import PinpointError, RequestError

if TYPE_CHECKING:
    from pinpoint.pipeline.passes import Engine

FAILED = 1
JOB_DOCUMENTS = 64  # of one request: enough to fill passes, few enough for the progress bar to move
REFUSED_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one line: its label, or the code of its refusal; both None where no label was good enough."""

    label: str | None
    refused: str | None = None


def evaluate(
    file: Annotated[
        Path, typer.Argument(help="JSON lines with `text`, `label` and perhaps `labels`, or CSV; - for standard input.")
    ],
    labels: Annotated[
        str | None, typer.Option(help='The labels to choose from, "invoice,receipt,…"; else each line has its own.')
    ] = None,
    instructions: Annotated[str | None, typer.Option(help="Instructions for the question, as in a request.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of a file that is not UTF-8, UTF-16 or UTF-32: cp1252, latin-1, …")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Classify every line of FILE and print the accuracy.

    Example: python -m pinpoint evaluate documents.csv --labels "invoice,receipt,contract"

    The model is the one that the worker would load: MODEL_NAME, or the embedded model where that is unset. A document
    that is refused counts as wrong in the first accuracy, and is left out of the second.
    """
    try:
        lines = read_lines(file, labels, encoding)
        _check_questions(lines, instructions)
        outcomes = list(_outcomes(lines, instructions, progress=not as_json))
    except PinpointError as error:
        typer.echo(error.wire(), err=True)  # rich would break the line
        raise typer.Exit(FAILED) from None
    summary = summarise(lines, outcomes)
    if as_json:
        print(json.dumps({"file": str(file), **summary}))
        return
    console = Console()
    console.print(_table(lines, outcomes))
    for text in _in_words(summary, lines, outcomes):
        console.print(escape(text), soft_wrap=True, highlight=False)


def summarise(lines: Sequence[Line], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts and shares: `accuracy` of all lines, `accuracy_answered` without the refused, None where none is left."""
    refused = Counter(outcome.refused for outcome in outcomes if outcome.refused is not None)
    right = sum(
        outcome.refused is None and outcome.label == line.label for line, outcome in zip(lines, outcomes, strict=True)
    )
    answered = len(lines) - refused.total()
    return {
        "lines": len(lines),
        "right": right,
        "accuracy": round(right / len(lines), 4),
        "refused": refused.total(),
        "refused_by_code": dict(sorted(refused.items())),
        "accuracy_answered": round(right / answered, 4) if answered else None,
    }


def _request(lines: Sequence[Line], instructions: str | None) -> dict[str, Any]:
    """Labels before documents: what is too large together is then said of the documents."""
    question = {"labels": list(lines[0].labels)} | ({"instructions": instructions} if instructions else {})
    return {**question, "documents": [{"text": line.text} for line in lines]}


def _check_questions(lines: Sequence[Line], instructions: str | None) -> None:
    """Raise RequestError, with the first line that has them, for labels that no request may have."""
    seen = set[tuple[str, ...]]()
    for line in lines:
        if line.labels not in seen:
            seen.add(line.labels)
            try:
                parse_request(_request([Line(line.number, "text", line.label, line.labels)], instructions))
            except RequestError as error:
                raise _at(line, error) from None


def _at(line: Line, error: PinpointError) -> PinpointError:
    return RequestError(error.code, f"line {line.number}: {error.message}", error.field)


def _outcomes(lines: Sequence[Line], instructions: str | None, *, progress: bool) -> Iterator[Outcome]:
    """What became of each line, in their order."""
    from pinpoint.serving.model import get_scorer
    from pinpoint.settings import read_settings

    engine = get_scorer(read_settings())
    columns = (TextColumn("classifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not (progress and console.is_terminal)) as bar:
        task = bar.add_task("classifying", total=len(lines))
        for job in _jobs(lines):
            yield from _answer(job, instructions, engine)
            bar.advance(task, len(job))


def _jobs(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Neighbours with the same labels, as many as fill passes."""
    for _, group in groupby(lines, key=lambda line: line.labels):
        members = list(group)
        for start in range(0, len(members), JOB_DOCUMENTS):
            yield members[start : start + JOB_DOCUMENTS]


def _answer(job: Sequence[Line], instructions: str | None, engine: Engine) -> Iterator[Outcome]:
    """The outcomes of one request. One that is refused because of its documents, which may be too long together or one
    of them alone, is halved until what is refused is one document.

    Raises RequestError where the fault is the question's: every line would be refused for it.
    """
    from pinpoint.api.response import DocumentResult
    from pinpoint.pipeline.classify import classify

    try:
        response, _ = classify(parse_request(_request(job, instructions)), engine)
    except RequestError as error:
        if not (error.field or "").startswith("documents"):
            raise _at(job[0], error) from None
        if len(job) == 1:
            yield Outcome(None, error.code)
            return
        refused = True
    else:
        refused = False
        for result in response.results:
            if isinstance(result, DocumentResult):
                yield Outcome(result.answers["category"].label)
            else:
                yield Outcome(None, result.error.code)
    if refused:
        middle = len(job) // 2
        yield from _answer(job[:middle], instructions, engine)
        yield from _answer(job[middle:], instructions, engine)


def _in_words(summary: dict[str, Any], lines: Sequence[Line], outcomes: Sequence[Outcome]) -> Iterator[str]:
    right, total, refused = summary["right"], summary["lines"], summary["refused"]
    if not refused:
        yield f"accuracy {summary['accuracy']:.4f} ({right} of {total})"
        return
    answered = total - refused
    without = f"{summary['accuracy_answered']:.4f} ({right} of {answered})" if answered else "none was answered"
    counted = "refused ones counted as wrong; without them"
    yield f"accuracy {summary['accuracy']:.4f} ({right} of {total}), {counted} {without}"
    found = [
        f"line {line.number} {outcome.refused}"
        for line, outcome in zip(lines, outcomes, strict=True)
        if outcome.refused is not None
    ]
    more = f", and {refused - REFUSED_SHOWN} more" if refused > REFUSED_SHOWN else ""
    yield f"refused {refused}: {', '.join(found[:REFUSED_SHOWN])}{more}"


def _table(lines: Sequence[Line], outcomes: Sequence[Outcome]) -> Table:
    """For each label: how many lines have it, how many were found, and what the others were taken for."""
    table = Table("label", "lines", "found", "taken for", box=None)
    found: dict[str, Counter[str]] = {}
    for line, outcome in zip(lines, outcomes, strict=True):
        taken_for = "(refused)" if outcome.refused is not None else outcome.label or "(no label)"
        found.setdefault(line.label, Counter())[taken_for] += 1
    for label, counts in sorted(found.items()):
        taken = ", ".join(f"{other} {n}" for other, n in counts.most_common(4) if other != label)
        table.add_row(escape(label), str(counts.total()), f"{counts[label] / counts.total():.3f}", escape(taken))
    return table
