"""`python -m pinpoint evaluate`: how often the model is right on documents whose labels are known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pinpoint.errors import PinpointError

BAD_USAGE, FAILED = 2, 1
JOB_DOCUMENTS = 64  # of one request: enough to fill passes, few enough for the progress bar to move


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file: a text, its right label, and the labels to choose from."""

    number: int
    text: str
    label: str
    labels: tuple[str, ...]


def evaluate(
    file: Annotated[
        Path, typer.Argument(help="JSON lines with `text` and `label`, and perhaps `labels`.", exists=True)
    ],
    labels: Annotated[
        str | None, typer.Option(help='The labels to choose from, "invoice,receipt,…"; else each line has its own.')
    ] = None,
    instructions: Annotated[str | None, typer.Option(help="Instructions for the question, as in a request.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Classify every line of FILE and print the accuracy.

    Example: python -m pinpoint evaluate documents.jsonl --labels "invoice,receipt,contract"

    The model is the one that the worker would load: MODEL_NAME, or the embedded model where that is unset.
    """
    console = Console()
    try:
        lines = read_lines(file, labels)
        answers = list(_answers(lines, instructions, progress=not as_json))
    except PinpointError as error:
        Console(stderr=True).print(f"[red]{escape(error.wire())}[/]")
        raise typer.Exit(BAD_USAGE if error.field in ("file", "labels") else FAILED) from None
    right = sum(answer == line.label for line, answer in zip(lines, answers, strict=True))
    summary = {"file": str(file), "lines": len(lines), "right": right, "accuracy": round(right / len(lines), 4)}
    if as_json:
        print(json.dumps(summary))
        return
    console.print(_table(lines, answers))
    console.print(f"accuracy {right / len(lines):.4f} ({right} of {len(lines)})")


def read_lines(file: Path, labels: str | None) -> list[Line]:
    """The lines of a file. Raises PinpointError with the number of the first one that is wrong."""
    common = None if labels is None else tuple(name.strip() for name in labels.split(",") if name.strip())
    lines = []
    with file.open(encoding="utf-8") as rows:
        for number, row in enumerate(rows, 1):
            if not row.strip():
                continue
            try:
                value: Any = json.loads(row)
            except json.JSONDecodeError:
                raise PinpointError("invalid_line", f"line {number} is not JSON", "file") from None
            offered = common or tuple(value.get("labels", ())) if isinstance(value, dict) else ()
            if not isinstance(value, dict) or not all(isinstance(value.get(k), str) for k in ("text", "label")):
                raise PinpointError("invalid_line", f"line {number} lacks `text` or `label`", "file")
            if value["label"] not in offered:
                raise PinpointError(
                    "unknown_label",
                    f"the label of line {number} is not among the labels offered; see --labels",
                    "labels",
                )
            lines.append(Line(number, value["text"], value["label"], offered))
    if not lines:
        raise PinpointError("invalid_line", "the file has no lines", "file")
    return lines


def _answers(lines: Sequence[Line], instructions: str | None, *, progress: bool) -> Iterator[str | None]:
    """The label that each line gets; None where the document was refused."""
    from pinpoint.api.request import parse_request
    from pinpoint.api.response import DocumentResult
    from pinpoint.pipeline.classify import classify
    from pinpoint.serving.model import get_scorer
    from pinpoint.settings import read_settings

    scorer = get_scorer(read_settings())
    columns = (TextColumn("classifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task("classifying", total=len(lines))
        for offered, group in groupby(lines, key=lambda line: line.labels):
            members = list(group)
            for start in range(0, len(members), JOB_DOCUMENTS):
                job = members[start : start + JOB_DOCUMENTS]
                raw: dict[str, Any] = {"documents": [{"text": line.text} for line in job], "labels": list(offered)}
                if instructions:
                    raw["instructions"] = instructions
                response, _ = classify(parse_request(raw), scorer)
                for result in response.results:
                    yield result.answers["category"].label if isinstance(result, DocumentResult) else None
                bar.advance(task, len(job))


def _table(lines: Sequence[Line], answers: Sequence[str | None]) -> Table:
    """For each label: how many lines have it, how many were found, and what the others were taken for."""
    table = Table("label", "lines", "found", "taken for", box=None)
    wrong: dict[str, Counter[str]] = {}
    for line, answer in zip(lines, answers, strict=True):
        wrong.setdefault(line.label, Counter())[answer or "(refused)"] += 1
    for label, counts in sorted(wrong.items()):
        taken = ", ".join(f"{other} {n}" for other, n in counts.most_common(4) if other != label)
        table.add_row(escape(label), str(counts.total()), f"{counts[label] / counts.total():.3f}", escape(taken))
    return table
