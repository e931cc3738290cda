"""From labelled documents with their scores to the file of a taught task.

    measured ── held out, where promises are asked for ──┬── fits (cross-validated) ── Calibration
                                                         └── certificates, prediction sets, figures

Documents are scored once, by the caller; everything here is arithmetic on what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal

import numpy as np

from pinpoint.decide.task_file import (
    Certificate,
    Figures,
    Fit,
    Fitted,
    PredictionSets,
    RefusedCertificate,
    Setup,
    TaskFile,
)
from pinpoint.errors import RequestError
from pinpoint.evaluate import figures, fits
from pinpoint.evaluate.certify import CONFIDENCE_LEVEL, Judged, certify, impossible, needed
from pinpoint.evaluate.conformal import least_held_out, prediction_sets
from pinpoint.evaluate.examples import Examples, held_out, make_examples, relative
from pinpoint.prompting.taxonomy import Task
from pinpoint.prompting.template import NO, YES

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELD_OUT_SHARE = 0.6  # promises need many documents, fits few
LabelFree = Literal["content_free", "batch"]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What the model measured of labelled documents.

    Attributes:
        log_probs: [n, labels of the task], before prior and mask.
        right: [n] positions of the right labels.
        groups: [n] numbers that near-duplicates share, or None.
        content_free: [labels] log-probabilities of a document without content, or None.
    """

    log_probs: NDArray[np.float64]
    right: Sequence[int]
    groups: Sequence[int] | None = None
    content_free: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Promises:
    """What is asked for beside fits: certificates by target error, prediction sets by alpha.

    `label_free` is the correction without labels that is put below the fits; None for none.
    """

    target_errors: tuple[float, ...] = ()
    confidence_level: float = CONFIDENCE_LEVEL
    alphas: tuple[float, ...] = ()
    label_free: LabelFree | None = None


@dataclass(frozen=True, slots=True)
class Offered:
    """A correction without labels that was not put on: what it would do."""

    name: LabelFree
    changed: float  # share of answers
    accuracy: float | None = None
    nll: float | None = None


@dataclass(frozen=True, slots=True)
class Taught:
    """The file, and what there is to say about how it came about; `notes` are sentences with counts."""

    file: TaskFile
    offered: tuple[Offered, ...] = ()
    notes: tuple[str, ...] = field(default=())


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


def impossible_promises(count: int, promises: Promises) -> list[RefusedCertificate]:
    """Promises that so many labelled documents cannot carry, however good the model is; before any is scored."""
    most = count - fits.LEAST_FOR_TEMPERATURE
    refused = list[RefusedCertificate]()
    for target in promises.target_errors:
        reason = impossible(max(0, most), target, promises.confidence_level)
        if reason is not None:
            refused.append(
                RefusedCertificate(
                    target_error=target, confidence_level=promises.confidence_level, reason=reason,
                    needed=needed(target, promises.confidence_level),
                )
            )  # fmt: skip
    return refused


def teach(
    task: Task,
    setup: Setup,
    measured: Measured,
    promises: Promises = Promises(),
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Taught:
    """Fit, promise and report.

    Args:
        task: what was asked, with one label to a document, or yes and no.
        setup: what measured.
        measured: of documents whose labels are known.
        promises: what is asked for beside fits.
        seed: of folds and of what is held out; the same seed gives the same file.
        notes: what there is to say about how the documents were measured.

    Raises:
        RequestError: too few documents, one class only, right labels that are masked, or many labels to a document.
    """
    names, offered, mask, prior = _of_task(task)
    check_counts(names, measured.right)
    examples = make_examples(measured.log_probs, measured.right, measured.groups, prior, mask)
    refused = impossible_promises(len(examples), promises)
    fitting, judging = _parts(examples, promises, refused, seed)
    free = _label_free(fitting.scores, None if measured.content_free is None else measured.content_free[None, offered])
    if promises.label_free is not None and promises.label_free not in free:
        raise RequestError("missing_field", "no document without content was measured", "label_free")
    base = np.zeros(examples.labels) if promises.label_free is None else free[promises.label_free]
    kept_free = None if promises.label_free is None else _compare_free(promises.label_free, fitting, base)
    if kept_free is not None and not kept_free.kept:
        base = np.zeros(examples.labels)
    chosen = fits.choose(fitting, base, seed)

    judged, log_probs = (
        (fitting, chosen.log_probs) if judging is None else (judging, chosen.parameters.log_probs(judging))
    )
    before = fits.unchanged(examples.labels).log_probs(judged)
    certificates, sets = list[Certificate](), list[PredictionSets]()
    said = [*notes, *_notes(examples, names, offered)]
    if judging is not None:
        impossible_targets = {one.target_error for one in refused}
        for target in promises.target_errors:
            if target not in impossible_targets:
                found = certify(
                    _judged(chosen.log_probs, fitting), _judged(log_probs, judging), target, promises.confidence_level
                )
                if isinstance(found, Certificate):
                    certificates.append(found)
                else:
                    refused.append(found)
        for alpha in promises.alphas:
            if len(judging) >= least_held_out(alpha):
                sets.append(prediction_sets(np.exp(log_probs), judging.right, alpha))
    held = 0 if judging is None else len(judging)
    said += [
        f"no prediction sets at {alpha}: they need {least_held_out(alpha)} held-out documents, there are {held}"
        for alpha in promises.alphas
        if held < least_held_out(alpha)
    ]
    file = TaskFile(
        setup=setup,
        task=task.name,
        kind=task.kind,
        labels=names,
        mask=mask,
        prior=prior,
        made=date.today(),
        examples=len(fitting),
        held_out=held,
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
        reference=figures.reference(
            np.exp(chosen.parameters.log_probs(examples)), _mass(measured, offered), offered, len(names)
        ),
    )
    shown = tuple(_offer(name, offsets, examples) for name, offsets in free.items() if name != promises.label_free)
    return Taught(file, shown, tuple(said))


def teach_without_labels(
    task: Task, setup: Setup, measured: Measured, label_free: LabelFree, notes: Sequence[str] = ()
) -> Taught:
    """A file that holds a correction alone: it moves answers, and promises nothing; `confidence` stays null.

    Raises RequestError for many labels to a document, or where no document without content was measured.
    """
    names, offered, mask, prior = _of_task(task)
    free = _label_free(
        relative(measured.log_probs[:, offered]),
        None if measured.content_free is None else measured.content_free[None, offered],
    )
    if label_free not in free:
        raise RequestError("missing_field", "no document without content was measured", "label_free")
    parameters = fits.Parameters(1.0, free[label_free])
    bare = make_examples(measured.log_probs, [int(offered[0])] * len(measured.log_probs), None, prior, mask)
    after = parameters.log_probs(bare)
    file = TaskFile(
        setup=setup,
        task=task.name,
        kind=task.kind,
        labels=names,
        mask=mask,
        prior=prior,
        made=date.today(),
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
    if task.multi_label and task.kind != "yes_no":
        raise RequestError("not_supported", "a task with many labels to a document cannot be taught yet", "multi_label")
    if task.kind == "yes_no":
        return [YES, NO], np.arange(2), [], None
    mask = [k for k, label in enumerate(task.labels) if label.id in task.mask]
    prior = None if task.prior is None else [task.prior.get(label.id, 1.0) for label in task.labels]
    offered = np.setdiff1d(np.arange(len(task.labels)), np.array(mask, dtype=np.int64))
    return [label.name for label in task.labels], offered, mask, prior


def _mass(measured: Measured, offered: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(np.minimum(measured.log_probs[:, offered], 0)).sum(axis=1))


def _parts(
    examples: Examples, promises: Promises, refused: Sequence[RefusedCertificate], seed: int
) -> tuple[Examples, Examples | None]:
    """What fits see, and what judges them: enough for the strictest promise that is possible at all."""
    hopeless = {one.target_error for one in refused}
    possible = [target for target in promises.target_errors if target not in hopeless]
    most = len(examples) - fits.LEAST_FOR_TEMPERATURE
    if not possible and not any(least_held_out(alpha) <= most for alpha in promises.alphas):
        return examples, None
    least = max([needed(target, promises.confidence_level) for target in possible], default=0)
    size = min(most, max(round(HELD_OUT_SHARE * len(examples)), least))
    fitting, judging = held_out(examples, size, seed)
    return (examples.take(fitting), examples.take(judging)) if len(fitting) else (examples, None)


def _label_free(
    scores: NDArray[np.float64], content_free: NDArray[np.float64] | None
) -> dict[LabelFree, NDArray[np.float64]]:
    """Offsets [K] that need no labels.

    Batch calibration (Zhou et al. 2023, arXiv 2309.17249) takes off the mean of what documents are given; the
    content-free prior (Zhao et al. 2021, arXiv 2102.09690) what a document without content is given. Documents that
    judge are not looked at, not even without their labels.
    """
    shares = np.exp(fits.log_softmax(scores))
    found: dict[LabelFree, NDArray[np.float64]] = {"batch": -np.log(np.maximum(shares.mean(axis=0), 1e-9))}
    if content_free is not None:
        found["content_free"] = -fits.log_softmax(relative(content_free))[0]
    return {name: offsets - offsets.mean() for name, offsets in found.items()}


def _compare_free(name: LabelFree, fitting: Examples, base: NDArray[np.float64]) -> fits.Tried:
    """Whether it gains on the examples. It has seen no label, so the comparison needs no cross-validation."""
    before = fits.unchanged(fitting.labels).log_probs(fitting)
    return fits.compare(name, fitting, before, fits.Parameters(1.0, base).log_probs(fitting))


def _offer(name: LabelFree, offsets: NDArray[np.float64], examples: Examples) -> Offered:
    before = fits.unchanged(examples.labels).log_probs(examples)
    after = fits.Parameters(1.0, offsets).log_probs(examples)
    return Offered(
        name,
        changed=float((before.argmax(axis=1) != after.argmax(axis=1)).mean()),
        accuracy=float((after.argmax(axis=1) == examples.right).mean()),
        nll=float(fits.nll(after, examples.right).mean()),
    )


def _judged(log_probs: NDArray[np.float64], examples: Examples) -> Judged:
    return Judged(np.exp(log_probs.max(axis=1)), log_probs.argmax(axis=1) == examples.right)


def _fitted(parameters: fits.Parameters, offered: NDArray[np.int64], labels: int) -> Fitted:
    """With the masked labels back in their places."""
    offsets = head = None
    if parameters.offsets.any():
        spread = np.zeros(labels)
        spread[offered] = parameters.offsets
        offsets = spread.tolist()
    if parameters.head is not None:
        wide = np.zeros((labels, labels))
        wide[np.ix_(offered, offered)] = parameters.head
        head = wide.tolist()
    return Fitted(temperature=parameters.temperature, offsets=offsets, head=head)


def _fit_of(tried: fits.Tried) -> Fit:
    gain = None if tried.nll_before is None or tried.nll_after is None else tried.nll_before - tried.nll_after
    return Fit(
        name=tried.name, kept=tried.kept, reason=tried.reason, nll_before=tried.nll_before,
        nll_after=tried.nll_after, gain=gain, p_value=tried.p_value,
    )  # fmt: skip


def _notes(examples: Examples, names: Sequence[str], offered: NDArray[np.int64]) -> list[str]:
    without = int((examples.by_label == 0).sum())
    notes = [f"{without} of {len(offered)} labels have no example: nothing is learned about them"] if without else []
    doubled = len(examples) - len(np.unique(examples.groups))
    if doubled:
        notes.append(f"{doubled} of {len(examples)} documents are near-duplicates of others and were kept on one side")
    return notes
