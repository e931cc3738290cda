"""From labelled documents with their scores to the file of a taught task.

    measured ── held out, where promises are asked for ──┬── fits (cross-validated) ── Calibration
                                                         └── certificates, prediction sets, figures

Documents are scored once, by the caller; everything here is arithmetic on what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from pinpoint.api.teach import MANY_LABELS_REFUSED
from pinpoint.decide.task_file import (
    Certificate,
    Figures,
    Fit,
    Fitted,
    PredictionSets,
    Setup,
    TaskFile,
)
from pinpoint.errors import RequestError
from pinpoint.evaluate import figures, fits
from pinpoint.evaluate.certify import Judged
from pinpoint.evaluate.choosing import Tried, choose
from pinpoint.evaluate.examples import Examples, make_examples, relative
from pinpoint.evaluate.label_free import LabelFree, Offered, compared, label_free_offsets, offer
from pinpoint.evaluate.promises import Promises, all_sets, certify_all, impossible_promises, impossible_sets, parts
from pinpoint.prompting.taxonomy import Task
from pinpoint.prompting.template import NO, YES

if TYPE_CHECKING:
    from numpy.typing import NDArray


STATE_DECIMALS = 6  # of weights below 10: what is cut off moves a score by 1e-5 nats


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What the model measured of labelled documents.

    Attributes:
        log_probs: [n, labels of the task], before prior and mask.
        right: [n] positions of the right labels.
        groups: [n] numbers that near-duplicates share, or None.
        content_free: [labels] log-probabilities of a document without content, or None.
        states: [n, STATE_FLOATS] what the model made of each document, or None.
    """

    log_probs: NDArray[np.float64]
    right: Sequence[int]
    groups: Sequence[int] | None = None
    content_free: NDArray[np.float64] | None = None
    states: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Taught:
    """The file, and what there is to say about how it came about; `notes` are sentences with counts."""

    file: TaskFile
    offered: tuple[Offered, ...] = ()
    notes: tuple[str, ...] = field(default=())


def as_states(rows: Sequence[Sequence[float]]) -> NDArray[np.float64] | None:
    """[n, STATE_FLOATS] of what was measured of each document, or None where it was not."""
    return np.array(rows, dtype=np.float64) if rows and all(rows) else None


def check_task(task: Task) -> None:
    """Raise RequestError `not_supported` for a kind of task that cannot be taught."""
    if task.multi_label and task.kind != "yes_no":
        raise RequestError("not_supported", MANY_LABELS_REFUSED, "multi_label")
    if task.tree is not None:
        raise RequestError(
            "not_supported", "labels with children cannot be taught; teach their leaves as one list", "labels"
        )


def check_counts(labels: Sequence[str], right: Sequence[int]) -> None:
    """Refuse what nothing can be learned from, before any document is scored.

    Raises RequestError `too_few_documents` or `one_class`, with the counts.
    """
    if len(right) < fits.LEAST_FOR_TEMPERATURE:
        raise RequestError(
            "too_few_documents",
            f"a temperature, which needs fewest, needs {fits.LEAST_FOR_TEMPERATURE} labelled documents; there "
            f"are {len(right)}",
            "documents",
        )
    if len(set(right)) < 2:
        raise RequestError(
            "one_class",
            f"all {len(right)} labelled documents have the same label, of {len(labels)}; add some of the others",
            "documents",
        )


def teach(
    task: Task,
    setup: Setup,
    measured: Measured,
    promises: Promises | None = None,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Taught:
    """Fit, promise and report.

    Args:
        task: what was asked, with one label to a document, or yes and no.
        setup: what measured.
        measured: of documents whose labels are known.
        promises: what is asked for beside fits; None for nothing.
        seed: of folds and of what is held out; the same seed gives the same file.
        notes: what there is to say about how the documents were measured.

    Raises:
        RequestError: too few documents, one class only, right labels that are masked, or many labels to a document.
    """
    promises = promises or Promises()
    names, offered, mask, prior = _of_task(task)
    other = task.other_position
    check_counts(names, measured.right)
    examples = make_examples(measured.log_probs, measured.right, measured.groups, prior, mask, measured.states)
    if examples.distinct < fits.LEAST_FOR_TEMPERATURE:  # copies say nothing about others, and cannot be parted
        raise RequestError(
            "too_few_documents",
            f"{len(examples)} labelled documents, of which {examples.distinct} differ from each other; "
            f"{fits.LEAST_FOR_TEMPERATURE} are needed",
            "documents",
        )
    refused = impossible_promises(examples.distinct, promises)
    seen, held = parts(examples, promises, refused, seed)
    fitting, judging = examples.take(seen), None if held is None else examples.take(held)
    free = label_free_offsets(
        fitting.scores, None if measured.content_free is None else measured.content_free[None, offered]
    )
    if promises.label_free is not None and promises.label_free not in free:
        raise RequestError("missing_field", "no document without content was measured", "label_free")
    base = np.zeros(examples.labels) if promises.label_free is None else free[promises.label_free]
    kept_free = None if promises.label_free is None else compared(promises.label_free, fitting, base)
    if kept_free is not None and not kept_free.kept:
        base = np.zeros(examples.labels)
    chosen = choose(fitting, base, seed)

    judged, log_probs = (
        (fitting, chosen.log_probs) if judging is None else (judging, chosen.parameters.log_probs(judging))
    )
    positions, unseen = seen, chosen.log_probs
    if held is not None:
        positions, unseen = np.append(seen, held), np.vstack([chosen.log_probs, log_probs])
    before = fits.unchanged(examples.labels).log_probs(judged)
    said = [*notes, *_notes(examples, names, offered), *impossible_sets(judging, promises)]
    certificates, sets = list[Certificate](), list[PredictionSets]()
    if judging is not None:
        abstains = next((k for k, position in enumerate(offered) if position == other), None)
        both = Judged.of(chosen.log_probs, fitting, abstains), Judged.of(log_probs, judging, abstains)
        certificates, more = certify_all(promises, refused, *both)
        refused += more
        sets = all_sets(promises, log_probs, judging)
    file = TaskFile(
        **_bound_to(task, setup),
        examples=len(fitting),
        held_out=0 if judging is None else len(judging),
        fitted=_fitted(chosen.parameters, offered, len(names)),
        fits=[_fit_of(one) for one in ([] if kept_free is None else [kept_free]) + list(chosen.tried)],
        certificates=certificates,
        refused_certificates=refused,
        prediction_sets=sets,
        figures=Figures(
            how="cross_validated" if judging is None else "held_out",
            n=len(judged),
            before=figures.scores(before, judged.right),
            after=figures.scores(log_probs, judged.right),
        ),
        # Of answers by fits that had not seen the document, as later ones are.
        reference=figures.reference(np.exp(unseen), _mass(measured, offered)[positions], offered, len(names)),
    )
    shown = tuple(offer(name, offsets, examples) for name, offsets in free.items() if name != promises.label_free)
    return Taught(file, shown, tuple(said))


def teach_without_labels(
    task: Task, setup: Setup, measured: Measured, label_free: LabelFree, notes: Sequence[str] = ()
) -> Taught:
    """A file that holds a correction alone: it moves answers, and promises nothing; `confidence` stays null.

    Raises RequestError for many labels to a document, or where no document without content was measured.
    """
    names, offered, mask, prior = _of_task(task)
    free = label_free_offsets(
        relative(measured.log_probs[:, offered]),
        None if measured.content_free is None else measured.content_free[None, offered],
    )
    if label_free not in free:
        raise RequestError("missing_field", "no document without content was measured", "label_free")
    parameters = fits.Parameters(1.0, free[label_free])
    bare = make_examples(measured.log_probs, [int(offered[0])] * len(measured.log_probs), None, prior, mask)
    after = parameters.log_probs(bare)
    file = TaskFile(
        **_bound_to(task, setup),
        examples=0,
        fitted=_fitted(parameters, offered, len(names)),
        fits=[Fit(name=label_free, kept=True, reason="asked for; without labels nobody knows what it gains")],
        reference=figures.reference(np.exp(after), _mass(measured, offered), offered, len(names)),
    )
    changed = after.argmax(axis=1) != fits.unchanged(bare.labels).log_probs(bare).argmax(axis=1)
    said = f"{label_free} changes {int(changed.sum())} of {len(changed)} answers"
    return Taught(file, (), (*notes, said))


def _of_task(task: Task) -> tuple[list[str], NDArray[np.int64], list[int], list[float] | None]:
    """Names, positions that may be answered, positions that may not, prior."""
    check_task(task)
    if task.kind == "yes_no":
        return [YES, NO], np.arange(2), [], None
    mask = [k for k, label in enumerate(task.labels) if label.id in task.mask]
    prior = None if task.prior is None else [task.prior.get(label.id, 1.0) for label in task.labels]
    offered = np.setdiff1d(np.arange(len(task.labels)), np.array(mask, dtype=np.int64))
    return [label.name for label in task.labels], offered, mask, prior


def _bound_to(task: Task, setup: Setup) -> dict[str, Any]:
    """The fields of a file that say what it is about."""
    names, _, mask, prior = _of_task(task)
    return {
        "setup": setup, "task": task.name, "kind": task.kind, "labels": names, "mask": mask, "prior": prior,
        "other": task.other_position, "made": date.today(),
    }  # fmt: skip


def _mass(measured: Measured, offered: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(np.minimum(measured.log_probs[:, offered], 0)).sum(axis=1))


def _fitted(parameters: fits.Parameters, offered: NDArray[np.int64], labels: int) -> Fitted:
    """With the masked labels back in their places."""
    offsets = head = state = None
    if parameters.offsets.any():
        spread = np.zeros(labels)
        spread[offered] = parameters.offsets
        offsets = spread.tolist()
    if parameters.head is not None:
        wide = np.zeros((labels, labels))
        wide[np.ix_(offered, offered)] = parameters.head
        head = wide.tolist()
    if parameters.state is not None:
        wide = np.zeros((labels, parameters.state.shape[1]))
        wide[offered] = parameters.state.round(STATE_DECIMALS)
        state = wide.tolist()
    return Fitted(temperature=parameters.temperature, offsets=offsets, head=head, state=state)


def _fit_of(tried: Tried) -> Fit:
    gain = None if tried.nll_before is None or tried.nll_after is None else tried.nll_before - tried.nll_after
    return Fit(
        name=tried.name, kept=tried.kept, reason=tried.reason, nll_before=tried.nll_before,
        nll_after=tried.nll_after, gain=gain, p_value=tried.p_value,
    )  # fmt: skip


def _notes(examples: Examples, names: Sequence[str], offered: NDArray[np.int64]) -> list[str]:
    without = int((examples.by_label == 0).sum())
    notes = [f"{without} of {len(offered)} labels have no example: nothing is learned about them"] if without else []
    doubled = len(examples) - examples.distinct
    if doubled:
        notes.append(
            f"{doubled} of {len(examples)} documents are near-duplicates of others: they are kept on one side, and of "
            "those that are alike one judges"
        )
    labels = {(int(group), int(right)) for group, right in zip(examples.groups, examples.right, strict=True)}
    torn = len(labels) - examples.distinct
    if torn:
        notes.append(f"{torn} times documents that are near-duplicates have different labels: one of them may be wrong")
    return notes
