"""What a taught task adds to an answer: a confidence, whether a promise covers it, the labels that may be right.

    job's task ── standing ──┬── Taught: calibrated scores, `confidence`, certificates, prediction sets
                             └── why there is none, in a word: `confidence` stays null, nothing is certified

A file counts only where the answer is made as it was when the file was taught: the same set-up, mask and prior, one
reading of the whole document. Anything else would lend its numbers to answers that nobody has tested.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pinpoint.api.answer import Answer, Promise
from pinpoint.api.request import Options
from pinpoint.decide.calibration import Calibration
from pinpoint.decide.task_file import Certificate, TaskFile
from pinpoint.prompting.taxonomy import Task

NO_TASK_FILE = "no_task_file"
TASK_FILE_REFUSED = "task_file_refused"
OTHER_READING = "other_reading"
OTHER_MASK_OR_PRIOR = "other_mask_or_prior"
OTHER_THRESHOLD = "other_threshold"
OTHER_BACK_OFF = "other_back_off"
TOO_FEW_EXAMPLES = "too_few_examples"
NOT_CERTIFIED_FOR_TARGET = "not_certified_for_target"
BELOW_CERTIFIED_THRESHOLD = "below_certified_threshold"
ABSTAINED = "abstained"

NO_LABEL_REACHED_THRESHOLD = "no_label_reached_threshold"

MULTI_LABEL_THRESHOLD = 0.5  # yes is more likely than no
CONFIDENCE_LEVEL = 0.9  # where the caller names none
SAME_SHARE = 1e-9  # priors in other units differ by their rounding


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """A task file in force.

    Attributes:
        file: what it says.
        digest: of its content, which answers name.
        name: of the file, for those who watch the worker.
        calibration: what is applied to log-probabilities.
    """

    file: TaskFile
    digest: str = ""
    name: str = ""
    calibration: Calibration = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "calibration", self.file.calibration())


Standing = Taught | str  # what a task is answered by, or why by nothing


def standing(task: Task, options: Options, taught: Taught) -> Standing:
    """Whether a file that was taught for this question counts for it as it is asked now."""
    file = taught.file
    labels = 2 if task.kind == "yes_no" else len(task.labels)
    of_tree = file.back_off is not None
    if (file.kind, file.sets, len(file.labels), of_tree) != (task.kind, task.sets, labels, task.tree is not None):
        return TASK_FILE_REFUSED
    reads_whole = options.long_document != "pages" and options.first_pages is None
    if not reads_whole or options.ignore_blank_pages or options.second_reading:
        return OTHER_READING
    if task.sets and options.threshold not in (None, MULTI_LABEL_THRESHOLD):
        return OTHER_THRESHOLD
    if (
        task.masked_positions != set(file.mask)
        or task.other_position != file.other
        or not _same_prior(task, file.prior)
    ):
        return OTHER_MASK_OR_PRIOR
    return taught


def trusted(answer: Answer, options: Options, found: Standing) -> Answer:
    """The answer with its confidence, and, where an error rate was named, whether it is certified for it.

    With `target_error` only what is certified is accepted; the rest is for people. A set of labels without a label in
    it is an answer like any other, which none of them applies to: it is accepted where it is certified.
    """
    sets = answer.set_probability is not None
    if isinstance(found, Taught):
        enough = found.file.fills_confidence and (sets or answer.label is not None)
        score = answer.score if answer.set_probability is None else answer.set_probability
        answer = replace(answer, calibration=found.digest, confidence=score if enough else None)
    if options.target_error is None:
        return answer
    level = CONFIDENCE_LEVEL if options.confidence_level is None else options.confidence_level
    promise, why = _promise(answer, options.target_error, level, found, options.back_off)
    answer = replace(
        answer,
        certified=why is None,
        certified_why=why,
        certificate=None
        if promise is None
        else Promise(promise.target_error, promise.confidence_level, promise.threshold),
    )
    if why is None and sets and answer.reasons == (NO_LABEL_REACHED_THRESHOLD,):
        return replace(answer, decision="accept", reasons=())
    if why is None or answer.decision == "abstain":
        return answer
    return replace(answer, decision="review", reasons=(*answer.reasons, why))


def prediction_set(shares: Sequence[tuple[str, float]], alpha: float, taught: Taught | None) -> tuple[str, ...]:
    """The labels that hold the right one in at least 1 − alpha of documents, best first; none where no set is known.

    Args:
        shares: labels with their calibrated probabilities, best first, none cut off.
        alpha: of the request. A file's sets for a smaller one hold all the more.
        taught: the file in force.
    """
    sets = [] if taught is None else [one for one in taught.file.prediction_sets if one.alpha <= alpha]
    if not sets:
        return ()
    members = max(sets, key=lambda one: one.alpha).members([share for _, share in shares])
    return tuple(shares[place][0] for place in members)


def _promise(
    answer: Answer, target_error: float, level: float, found: Standing, back_off: float
) -> tuple[Certificate | None, str | None]:
    """The certificate that covers a target, and why the answer is not certified by it; None where it is."""
    if not isinstance(found, Taught):
        return None, found
    if not found.file.fills_confidence:
        return None, TOO_FEW_EXAMPLES
    if found.file.back_off not in (None, back_off):
        return None, OTHER_BACK_OFF
    covering = [
        one for one in found.file.certificates if one.target_error <= target_error and one.confidence_level >= level
    ]
    if not covering:
        return None, NOT_CERTIFIED_FOR_TARGET
    # By what was asked alone, never by what was found: the nearest promise, not the one with the lowest threshold.
    promise = max(covering, key=lambda one: (one.target_error, -one.confidence_level))
    if answer.confidence is None:
        return promise, ABSTAINED
    return promise, None if answer.confidence >= promise.threshold else BELOW_CERTIFIED_THRESHOLD


def _same_prior(task: Task, taught: Sequence[float] | None) -> bool:
    """Whether both weigh the labels that may be answered alike, in whatever unit; of a set each stands for itself."""
    weights = task.prior_weights
    if weights is None or taught is None:
        return weights is None and taught is None
    masked = task.masked_positions
    offered = [position for position in range(len(weights)) if position not in masked]
    asked = [weights[position] for position in offered]
    known = [taught[position] for position in offered]
    asked_sum, known_sum = (1.0, 1.0) if task.sets else (math.fsum(asked), math.fsum(known))
    return all(
        math.isclose(one / asked_sum, other / known_sum, rel_tol=SAME_SHARE)
        for one, other in zip(asked, known, strict=True)
    )
