"""From documents with several labels each to the file of a taught task: `teaching`, of sets of labels.

What is promised is about whole documents, since labels of one are no independent evidence: of accepted sets at most a
share has a label too many or too few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pinpoint.decide.task_file import Certificate, Figures, Fitted, PredictionSets, Scores, Setup, TaskFile
from pinpoint.errors import RequestError
from pinpoint.evaluate import figures, label_sets, set_fits, task_parts
from pinpoint.evaluate.certify import Judged
from pinpoint.evaluate.conformal import least_held_out, sets_that_hold
from pinpoint.evaluate.label_sets import LabelSets
from pinpoint.evaluate.promises import Promises, certify_all, impossible_sets
from pinpoint.evaluate.task_parts import Measured, Taught
from pinpoint.prompting.taxonomy import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray


def teach_sets(
    task: Task, setup: Setup, measured: Measured, promises: Promises, seed: int, notes: Sequence[str]
) -> Taught:
    """Fit, promise and report; arguments as of `teaching.teach`.

    Raises:
        RequestError: too few documents, all with the same labels, right labels that are masked, or a correction without
            labels is asked for.
    """
    if promises.label_free is not None:
        raise RequestError("not_supported", "sets of labels have no correction without labels", "label_free")
    names, offered, mask, prior = task_parts.of_task(task)
    task_parts.check_counts(names, measured.right)
    right = [one for one in measured.right if isinstance(one, tuple)]
    some = label_sets.make_label_sets(measured.log_probs, right, measured.groups, prior, mask, measured.states)
    choice = some.as_choice
    seen, held, refused = task_parts.parted(choice, promises, seed)
    fitting, judging = some.take(seen), None if held is None else some.take(held)
    chosen = set_fits.choose(fitting, seed)
    power = chosen.parameters.together
    judged, z = (fitting, chosen.log_odds) if judging is None else (judging, chosen.parameters.log_odds(judging))
    positions, unseen = seen, chosen.log_odds
    if held is not None:
        positions, unseen = np.append(seen, held), np.vstack([chosen.log_odds, z])
    certificates, sets = list[Certificate](), list[PredictionSets]()
    if judging is not None:
        both = _judged(chosen.log_odds, fitting, power), _judged(z, judging, power)
        certificates, more = certify_all(promises, refused, *both)
        refused += more
        sets = [
            sets_that_hold(_yes(z), np.where(judging.right, _yes(z), 1.0).min(axis=1), alpha)
            for alpha in promises.alphas
            if len(judging) >= least_held_out(alpha)
        ]
    file = TaskFile(
        **task_parts.bound_to(task, setup),
        examples=len(fitting),
        held_out=0 if judging is None else len(judging),
        fitted=_fitted(chosen.parameters, offered, len(names)),
        fits=[task_parts.fit_of(one) for one in chosen.tried],
        certificates=certificates,
        refused_certificates=refused,
        prediction_sets=sets,
        figures=Figures(
            how="cross_validated" if judging is None else "held_out",
            n=len(judged),
            before=_scores(judged.measured, judged, 1.0),
            after=_scores(z, judged, power),
        ),
        reference=figures.reference(_yes(unseen), task_parts.mass(measured, offered)[positions], offered, len(names)),
    )
    said = [
        *notes,
        *_notes(some, offered),
        *task_parts.notes_on_copies(choice),
        *impossible_sets(file.held_out, promises),
    ]
    return Taught(file, (), tuple(said))


def _fitted(parameters: set_fits.Parameters, offered: NDArray[np.int64], labels: int) -> Fitted:
    """With the masked labels back in their places."""
    head, state = parameters.head, parameters.state
    return Fitted(
        temperature=parameters.temperature,
        offsets=task_parts.offsets_of(parameters.offsets, offered, labels),
        together=parameters.together,
        head=None if head is None else task_parts.head_of(head, offered, labels),
        state=None if state is None else task_parts.state_of(state, offered, labels),
    )


def _yes(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.logaddexp(0, -z)))


def _judged(z: NDArray[np.float64], some: LabelSets, power: float) -> Judged:
    return Judged(np.exp(label_sets.log_sure(z) * power), label_sets.set_right(z, some.right))


def _scores(z: NDArray[np.float64], some: LabelSets, power: float) -> Scores:
    """Of sets: how many are right, nats and squared distance of a document's labels, and its confidence."""
    judged = _judged(z, some, power)
    return Scores(
        accuracy=float(judged.right.mean()),
        nll=float(label_sets.nll(z, some.right).mean()),
        ece=figures.ece(judged.confidence, judged.right),
        brier=float(((_yes(z) - some.right) ** 2).sum(axis=1).mean()),
        auroc=figures.auroc(judged.confidence, judged.right),
    )


def _notes(some: LabelSets, offered: NDArray[np.int64]) -> list[str]:
    notes = list[str]()
    by_label = some.right.sum(axis=0)
    for count, what in (
        (int((by_label == 0).sum()), "no document has"),
        (int((by_label == len(some)).sum()), "every document has"),
    ):
        if count:
            notes.append(f"{count} of {len(offered)} labels are such that {what} them: nothing is learned about them")
    empty = int((~some.right.any(axis=1)).sum())
    if empty:
        notes.append(f"{empty} of {len(some)} documents have no label: none of the labels applies to them")
    return notes
