"""`python -m pinpoint teach`: from labelled documents to the file of a taught task."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pinpoint.api.schema import BACK_OFF
from pinpoint.cli.asked_of import read_deployed
from pinpoint.cli.asked_options import Instructions, LabelsFirst, MultiLabel, beside_labels
from pinpoint.cli.labelled import Labelled, Refused, read_labelled, read_texts
from pinpoint.cli.question_file import built
from pinpoint.cli.raw_scores import measure
from pinpoint.errors import PinpointError
from pinpoint.prompting.taxonomy import Task, labels_sha
from pinpoint.prompting.template import answer_ids

if TYPE_CHECKING:
    from pinpoint.api.deployed import Deployed
    from pinpoint.decide.task_file import TaskFile
    from pinpoint.evaluate.promises import Promises
    from pinpoint.evaluate.task_parts import Taught

FAILED = 1
UNKNOWN_SHOWN = 5
CONTENT_FREE = "N/A"  # what stands for a document without content; an empty one is refused


def teach(
    data: Annotated[
        Path,
        typer.Argument(
            help="JSON lines with `text` or `file`, and `label`, or CSV with such columns; a folder of files for each "
            "label; - for standard input."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where the task file goes; a worker reads those in PINPOINT_TASKS.")],
    task: Annotated[
        Path | None, typer.Option(help="The question, JSON or YAML: one task as under `tasks` of a request.")
    ] = None,
    labels: Annotated[str | None, typer.Option(help='In place of --task: "invoice,receipt,…".')] = None,
    taxonomy: Annotated[
        str | None, typer.Option(help="In place of --task: a taxonomy's file, or the name of a deployed one.")
    ] = None,
    multi_label: MultiLabel = False,
    labels_first: LabelsFirst = False,
    instructions: Instructions = None,
    target_error: Annotated[
        list[float] | None,
        typer.Option(help="Ask for a promise: 0.02 for at most 2 % wrong among the accepted. May be repeated."),
    ] = None,
    confidence_level: Annotated[float, typer.Option(help="How sure each promise has to be.", min=0.5, max=0.999)] = 0.9,
    alpha: Annotated[
        list[float] | None,
        typer.Option(help="Ask for prediction sets that lack the right label in at most this share. May be repeated."),
    ] = None,
    label_free: Annotated[
        Literal["content-free", "batch"] | None,
        typer.Option(help="Put a correction that needs no labels below the fits; without it, it is only shown."),
    ] = None,
    back_off: Annotated[
        float, typer.Option(help="Of a tree: the option of the requests that promises are for.", min=0, max=1)
    ] = BACK_OFF,
    encoding: Annotated[
        str | None, typer.Option(help="Of a file that is not UTF-8, UTF-16 or UTF-32: cp1252, latin-1, …")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which documents are held out; the same seed, the same file.")] = 0,
) -> None:
    """Learn from labelled documents how far this model's scores can be trusted, and write it to a task file.

    Example: python -m pinpoint teach mail.csv --labels "invoice,receipt,contract" --target-error 0.02 --out task.json

    Every document is scored once by the model that the worker would load. Then fits are tried, from the one that needs
    least: a temperature (from 10 documents), an offset for each label (20), a linear head on all scores (50, with 5 of
    every label) or on the model's state behind the document (50). Each is kept only if it predicts documents that it
    has not seen better by a margin that is not chance; the table says what each gained, or why it was refused.

    A promise needs documents that no fit has seen. With --target-error or --alpha at least three fifths are held out,
    none of them a near-duplicate of another. At 90 % it takes, accepted without error, 230 for 1 %, 114 for 2 %, 45 for
    5 %. A promise that so many documents, or a model that errs so often, cannot carry is refused with the number that
    could.

    The file holds for this model, precision, build and list of labels alone, and for documents like those in DATA.
    """
    try:
        _check_libraries()
        promises = replace(_promises(target_error, confidence_level, alpha, label_free), back_off=back_off)
        beside = beside_labels(labels, multi_label=multi_label, labels_first=labels_first)
        name, fields, deployed = read_deployed(task, labels, taxonomy, instructions, beside)
        question = built(name, fields, deployed)
        if question.sets and label_free is not None:
            raise PinpointError("not_supported", "sets of labels have no correction without labels", "--label-free")
        labelled = read_labelled(data, encoding, question, unlabelled=label_free is not None)
        taught = _taught(name, fields, deployed, question, labelled, promises, seed)
        taught.file.save(out)
    except PinpointError as error:
        typer.echo(error.wire(), err=True)  # rich would break the line
        raise typer.Exit(FAILED) from None
    console = Console()
    for table in tables(taught.file):
        console.print(table)
    for text in in_words(taught, out):
        console.print(escape(text), soft_wrap=True, highlight=False)


def _check_libraries() -> None:
    """Raise PinpointError where what computes the fits is not installed."""
    if importlib.util.find_spec("scipy") is None:
        raise PinpointError("not_supported", "teaching needs scipy: pip install -r requirements-evaluate.txt", "teach")


def _promises(
    targets: Sequence[float] | None, level: float, alphas: Sequence[float] | None, label_free: str | None
) -> Promises:
    from pinpoint.evaluate.promises import Promises

    for name, values in (("target_error", targets), ("alpha", alphas)):
        if any(not 0 < value < 1 for value in values or ()):
            raise PinpointError("out_of_range", "a share between 0 and 1, such as 0.02 for 2 %", name)
    free: Any = None if label_free is None else label_free.replace("-", "_")
    return Promises(tuple(sorted(set(targets or ()))), level, tuple(sorted(set(alphas or ()))), free)


def _taught(
    name: str,
    fields: dict[str, Any],
    deployed: Deployed,
    task: Task,
    labelled: Labelled,
    promises: Promises,
    seed: int,
) -> Taught:
    import numpy as np

    from pinpoint.decide.task_file import Setup
    from pinpoint.evaluate.parts import groups_of
    from pinpoint.evaluate.promises import impossible_promises
    from pinpoint.evaluate.task_parts import Measured, as_states, check_counts
    from pinpoint.evaluate.teaching import teach, teach_without_labels
    from pinpoint.serving.model import get_scorer
    from pinpoint.settings import read_settings

    if labelled.right:
        check_counts(answer_ids(task), labelled.right)
        for one in impossible_promises(len(labelled.right), promises):
            typer.echo(f"note: at most {one.target_error:.1%} wrong cannot be promised: {one.reason}", err=True)
    settings = read_settings()
    texts = read_texts(labelled.texts, settings)
    engine = get_scorer(settings)
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        job = bar.add_task("scoring", total=len(texts))
        known = [text for text in texts if isinstance(text, str)]
        raw = iter(measure(name, fields, known, engine, lambda count: bar.advance(job, count), deployed))
        found = [text.code if isinstance(text, Refused) else next(raw) for text in texts]
    [content_free] = measure(name, fields, [CONTENT_FREE], engine, deployed=deployed)
    answered = [index for index, one in enumerate(found) if not isinstance(one, str)]
    if labelled.right:
        check_counts(answer_ids(task), [labelled.right[index] for index in answered])
    elif not answered:
        raise PinpointError("too_few_documents", f"none of {len(found)} documents could be read", "documents")
    refused = Counter(one for one in found if isinstance(one, str))
    notes = [f"{count} documents were refused as {code} and are left out" for code, count in refused.items()]
    read = [one for one in found if not isinstance(one, str)]
    log_probs = np.array([one.log_probs for one in read], dtype=np.float64).reshape(len(read), -1)
    empty = None if isinstance(content_free, str) else np.array(content_free.log_probs)
    masses = np.array([one.label_mass for one in read])
    groups = groups_of([text for text in (texts[index] for index in answered) if isinstance(text, str)])
    setup = Setup.of(engine.info(labels_sha(task)), on_card=engine.on_card)
    if not labelled.right:
        assert promises.label_free is not None
        return teach_without_labels(
            task, setup, Measured(log_probs, [], None, empty, masses=masses), promises.label_free, notes
        )
    right = [labelled.right[index] for index in answered]
    measured = Measured(log_probs, right, groups, empty, as_states([one.state for one in read]), masses)
    return teach(task, setup, measured, promises, seed, notes)


def tables(file: TaskFile) -> Iterator[Table]:
    """What each fit gained or why it was refused, what was achieved, and what is promised."""
    fits = Table("fit", "kept", "NLL before", "after", "why", box=None)
    for fit in file.fits:
        fits.add_row(fit.name, "yes" if fit.kept else "no", _number(fit.nll_before), _number(fit.nll_after), fit.reason)
    if file.fits:
        yield fits
    if file.figures is not None:
        how = "held out" if file.figures.how == "held_out" else "cross-validated"
        achieved = Table(f"{file.figures.n} documents, {how}", "before", "after", box=None)
        for name in ("accuracy", "nll", "ece", "brier", "auroc"):
            achieved.add_row(
                name, _number(getattr(file.figures.before, name)), _number(getattr(file.figures.after, name))
            )
        yield achieved
    if file.certificates or file.refused_certificates:
        promised = Table("at most wrong", "kept with", "from confidence", "accepted", "why", box=None)
        for one in file.certificates:
            promised.add_row(
                f"{one.target_error:.1%}", f"{one.confidence_level:.0%}", f"{one.threshold:.4f}",
                f"{one.coverage:.1%}", f"{one.n_wrong} of {one.n_accepted} wrong; bound {one.bound:.2%}",
            )  # fmt: skip
        for refused in file.refused_certificates:
            promised.add_row(f"{refused.target_error:.1%}", f"{refused.confidence_level:.0%}", "-", "-", refused.reason)
        yield promised


def in_words(taught: Taught, out: Path) -> Iterator[str]:
    """The rest, a line each."""
    file = taught.file
    for sets in file.prediction_sets:
        yield f"prediction sets at {sets.alpha}: {sets.mean_size:.2f} labels on average"
    for one in taught.offered:
        right = "" if one.accuracy is None else f", accuracy {one.accuracy:.3f}, NLL {one.nll:.3f} on the examples"
        yield (
            f"offered, not on: --label-free {one.name.replace('_', '-')} would change {one.changed:.1%} of the "
            f"answers{right}"
        )
    yield from taught.notes
    if not file.fills_confidence:
        yield "without labelled documents nobody knows what a score is worth: `confidence` stays null"
    yield f"written to {out}, for {file.setup.model} {file.setup.precision}, labels {file.setup.labels_sha}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
