"""`python -m pinpoint evaluate`: how good the answers are on documents whose labels are known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pinpoint.cli.asked_options import Instructions, LabelsFirst, MultiLabel, TaskInPlace, beside_labels
from pinpoint.errors import PinpointError
from pinpoint.prices import price_of

if TYPE_CHECKING:
    from pinpoint.evaluate.asking import Question
    from pinpoint.evaluate.labelled_file import Line
    from pinpoint.evaluate.run import Job

FAILED = 1
REFUSED_SHOWN = 10
ASKED_AGAIN = 200  # enough for a share to be known within 0.07


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one line: its label, or the code of its refusal; both None where no label was good enough.

    Of a set of labels `members` are those in it; of a tree `group_right` says that it is a group with the right label.
    """

    label: str | None
    refused: str | None = None
    members: tuple[str, ...] = ()
    group_right: bool = False

    def is_right(self, line: Line) -> bool:
        """Whether it is the label of the line, or a group that the label is in."""
        return self.refused is None and (self.label == line.label or self.group_right)


def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            help="JSON lines with `text` or `file`, `label` and perhaps `labels`; CSV with such columns; a folder with "
            "one folder of files for each label; - for standard input."
        ),
    ],
    labels: Annotated[
        str | None, typer.Option(help='The labels to choose from, "invoice,receipt,…"; else each line has its own.')
    ] = None,
    taxonomy: Annotated[
        str | None, typer.Option(help="In place of --labels: a taxonomy's file, or the name of a deployed one.")
    ] = None,
    task: TaskInPlace = None,
    multi_label: MultiLabel = False,
    labels_first: LabelsFirst = False,
    instructions: Instructions = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of a file that is not UTF-8, UTF-16 or UTF-32: cp1252, latin-1, …")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report and the answers; a run that was ended goes on there.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="An earlier report.json: is this run better by more than chance?")
    ] = None,
    apart_from: Annotated[
        Path | None,
        typer.Option(help="Labelled data that was taught with: documents that are in it, or like one, are left out."),
    ] = None,
    again: Annotated[
        int, typer.Option(help="Of the report: documents asked again with labels reversed and reworded.", min=0)
    ] = ASKED_AGAIN,
    wordings: Annotated[
        Path | None,
        typer.Option(help='JSON, {"invoice": "bill", …}: other words for labels; without it, another case.'),
    ] = None,
    target_error: Annotated[
        float | None, typer.Option(help="Of the request: which answers are certified, where a task file promises it.")
    ] = None,
    back_off: Annotated[
        float | None,
        typer.Option(help="Of the request, for a tree: what a label's score must reach; 0: no groups.", min=0, max=1),
    ] = None,
    price: Annotated[
        str | None, typer.Option(help="Of a second of the machine, USD, or a card's name: H100, A100, 4090, …")
    ] = None,
) -> None:
    """Classify every document of DATA and print the accuracy; with --out, write a report.

    Example: python -m pinpoint evaluate documents.csv --labels "invoice,receipt,contract" --out report/

    The model is the one that the worker would load: MODEL_NAME, or the embedded model where that is unset. A document
    that is refused counts as wrong in the first accuracy, and is left out of the second.
    """
    from pinpoint.cli.asked_of import read_asked
    from pinpoint.evaluate.asking import check_questions
    from pinpoint.evaluate.labelled_file import read_lines

    for name, value in (("--against", against), ("--wordings", wordings), ("--price", price)):
        if value is not None and out is None:
            raise typer.BadParameter("is a matter of the report: it goes with --out", param_hint=name)
    try:
        usd_per_second = None if price is None else price_of(price)
    except PinpointError as error:
        raise typer.BadParameter(error.message, param_hint="--price") from None
    try:
        beside = beside_labels(labels, multi_label=multi_label, labels_first=labels_first)
        question, offered, names = read_asked(labels, taxonomy, task, instructions, beside)
        options = {"target_error": target_error, "back_off": back_off}
        question = replace(question, options={name: value for name, value in options.items() if value is not None})
        lines = read_lines(data, offered, encoding, names, sets=question.sets)
        question = replace(
            question, wordings=_wordings(wordings, lines), again=0 if out is None or question.whole else again
        )
        check_questions(lines, question)
        if apart_from is not None:
            lines = _apart(lines, read_lines(apart_from, offered, encoding, names, sets=question.sets), str(apart_from))
        if out is None:
            outcomes = list(_outcomes(lines, question, progress=not as_json))
        else:
            outcomes = _reported(lines, question, out, against, usd_per_second, progress=not as_json)
    except PinpointError as error:
        typer.echo(error.wire(), err=True)  # rich would break the line
        raise typer.Exit(FAILED) from None
    summary = summarise(lines, outcomes)
    if as_json:
        print(json.dumps({"file": str(data), **summary}))
        return
    console = Console()
    console.print(_table(lines, outcomes))
    for text in _in_words(summary, lines, outcomes):
        console.print(escape(text), soft_wrap=True, highlight=False)
    if out is not None:
        console.print(escape(f"report: {out / 'report.html'}"), soft_wrap=True, highlight=False)


def summarise(lines: Sequence[Line], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts and shares: `accuracy` of all lines, `accuracy_answered` without the refused, None where none is left."""
    refused = Counter(outcome.refused for outcome in outcomes if outcome.refused is not None)
    right = sum(outcome.is_right(line) for line, outcome in zip(lines, outcomes, strict=True))
    answered = len(lines) - refused.total()
    return {
        "lines": len(lines),
        "right": right,
        "accuracy": round(right / len(lines), 4),
        "refused": refused.total(),
        "refused_by_code": dict(sorted(refused.items())),
        "accuracy_answered": round(right / answered, 4) if answered else None,
    }


def _wordings(file: Path | None, lines: Sequence[Line]) -> dict[str, str]:
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise PinpointError("unreadable_file", f"cannot be read: {error.strerror}", "--wordings") from None
    except (ValueError, RecursionError):
        raise PinpointError("unreadable_file", "is not JSON in UTF-8", "--wordings") from None
    if not isinstance(found, dict) or not all(isinstance(word, str) and word.strip() for word in found.values()):
        raise PinpointError("unreadable_file", 'is no object of strings: {"invoice": "bill", …}', "--wordings")
    unknown = found.keys() - {label for line in lines for label in line.labels}
    if unknown:
        raise PinpointError(
            "unknown_label",
            f"{len(unknown)} of its {len(found)} labels are not among those to choose from",
            "--wordings",
        )
    return found


def _apart(lines: list[Line], taught: Sequence[Line], name: str) -> list[Line]:
    """The lines that are neither in what was taught with nor like a document of it; files by their bytes."""
    from pinpoint.evaluate.parts import apart_from

    kept = apart_from([line.content for line in lines], [line.content for line in taught])
    typer.echo(
        f"{len(lines) - len(kept)} of {len(lines)} documents are in {name} or like one in it: left out", err=True
    )
    if not kept:
        raise PinpointError("too_few_documents", f"none of {len(lines)} documents is left", "--apart-from")
    return [lines[index] for index in kept]


def _job(lines: Sequence[Line], question: Question) -> Job:
    """The model, loaded, what reads files, and the taught tasks, of this machine's settings."""
    from pinpoint.cli.taught import load_taught, say_what_counts
    from pinpoint.evaluate.run import Job
    from pinpoint.serving.files import file_reader
    from pinpoint.serving.model import get_scorer
    from pinpoint.settings import read_settings

    settings = read_settings()
    engine = get_scorer(settings)
    taught, asked = load_taught(settings, engine), question.request(lines[0].labels, [{"text": "text"}])
    say_what_counts(taught, asked.tasks, asked.options)
    return Job(lines, question, engine, file_reader(settings), settings.max_file_bytes, taught.find)


def _outcomes(lines: Sequence[Line], question: Question, *, progress: bool) -> Iterator[Outcome]:
    """What became of each line, in their order."""
    job = _job(lines, question)
    with _bar(progress) as bar:
        task = bar.add_task("classifying", total=len(lines))
        for answered in job.answers():
            yield from map(_outcome, answered)
            bar.advance(task, len(answered))


def _reported(
    lines: Sequence[Line], question: Question, out: Path, against: Path | None, price: float | None, *, progress: bool
) -> list[Outcome]:
    """The outcomes of a run whose answers are kept in a folder, and its report beside them."""
    from pinpoint.evaluate.run import check_installed, read_report, write_report

    check_installed()
    earlier = None if against is None else read_report(against)
    job = _job(lines, question)
    with job.kept_in(out) as kept, _bar(progress) as bar:
        left = [line for line in lines if line.name not in kept.kept]
        task = bar.add_task("classifying", total=len(lines), completed=len(lines) - len(left))
        for answered in job.answers(left):
            kept.append(answered)
            bar.advance(task, len(answered))
    answers = [kept.kept[line.name] for line in lines]
    report = write_report(out, answers, job, price, earlier)
    for note in report["notes"]:
        typer.echo(f"note: {note}", err=True)
    return [_outcome(one) for one in answers]


def _bar(shown: bool) -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("classifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not (shown and console.is_terminal))


def _outcome(answered: dict[str, Any]) -> Outcome:
    if "error" in answered:
        return Outcome(None, answered["error"]["code"])
    from pinpoint.evaluate.outcomes import answered_label

    answer = answered["answer"]
    members, group_right = tuple(answer.get("chosen", ())), answered.get("group_right", False)
    return Outcome(answered_label(answer), members=members, group_right=group_right)


def _in_words(summary: dict[str, Any], lines: Sequence[Line], outcomes: Sequence[Outcome]) -> Iterator[str]:
    right, total, refused = summary["right"], summary["lines"], summary["refused"]
    if not refused:
        sets = "; right is a document with all of its labels and no other" if lines[0].members is not None else ""
        yield f"accuracy {summary['accuracy']:.4f} ({right} of {total}){sets}"
        return
    answered = total - refused
    without = f"{summary['accuracy_answered']:.4f} ({right} of {answered})" if answered else "none was answered"
    counted = "refused ones counted as wrong; without them"
    yield f"accuracy {summary['accuracy']:.4f} ({right} of {total}), {counted} {without}"
    found = [
        f"{line.name} {outcome.refused}"
        for line, outcome in zip(lines, outcomes, strict=True)
        if outcome.refused is not None
    ]
    more = f", and {refused - REFUSED_SHOWN} more" if refused > REFUSED_SHOWN else ""
    yield f"refused {refused}: {', '.join(found[:REFUSED_SHOWN])}{more}"


def _table(lines: Sequence[Line], outcomes: Sequence[Outcome]) -> Table:
    """For each label: how many lines have it, how many were found, and what the others were taken for."""
    if any(line.members is not None for line in lines):
        return _table_of_sets(lines, outcomes)
    table = Table("label", "lines", "found", "taken for", box=None)
    found: dict[str, Counter[str]] = {}
    for line, outcome in zip(lines, outcomes, strict=True):
        taken_for = "(refused)" if outcome.refused is not None else outcome.label or "(no label)"
        found.setdefault(line.label, Counter())[taken_for] += 1
    for label, counts in sorted(found.items()):
        taken = ", ".join(f"{other} {n}" for other, n in counts.most_common(4) if other != label)
        table.add_row(escape(label), str(counts.total()), f"{counts[label] / counts.total():.3f}", escape(taken))
    return table


def _table_of_sets(lines: Sequence[Line], outcomes: Sequence[Outcome]) -> Table:
    """For each label: how many lines have it, in how many of them it was found, and in how many others."""
    table = Table("label", "lines", "found", "too many", box=None)
    for label in sorted({one for line in lines for one in line.labels}):
        having = [label in (line.members or ()) for line in lines]
        told = [label in outcome.members for outcome in outcomes]
        both = sum(one and other for one, other in zip(having, told, strict=True))
        share = f"{both / sum(having):.3f}" if any(having) else "-"
        table.add_row(escape(label), str(sum(having)), share, str(sum(told) - both))
    return table
