"""What is promised of a task: what so many documents can carry, what is held out for it, and the promises made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pinpoint.api.schema import BACK_OFF
from pinpoint.decide.task_file import Certificate, PredictionSets, RefusedCertificate
from pinpoint.evaluate import fits
from pinpoint.evaluate.certify import CONFIDENCE_LEVEL, Judged, certify, impossible, needed
from pinpoint.evaluate.conformal import least_held_out, prediction_sets
from pinpoint.evaluate.examples import Examples, held_out
from pinpoint.evaluate.label_free import LabelFree

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Promises need many documents, fits few. A promise that needs n accepted ones gets a quarter more, for some are left
# out, as long as a quarter of all stays for fits.
HELD_OUT_SHARE, MOST_HELD_OUT, SPARE = 0.6, 0.75, 1.25


@dataclass(frozen=True, slots=True)
class Promises:
    """What is asked for beside fits: certificates by target error, prediction sets by alpha.

    `label_free` is the correction without labels that is put below the fits; None for none. `back_off` is the option
    of a tree's requests that its certificates are for.
    """

    target_errors: tuple[float, ...] = ()
    confidence_level: float = CONFIDENCE_LEVEL
    alphas: tuple[float, ...] = ()
    label_free: LabelFree | None = None
    back_off: float = BACK_OFF


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


def impossible_sets(held: int, promises: Promises) -> list[str]:
    """What to say of prediction sets that need more documents than judge."""
    return [
        f"no prediction sets at {alpha}: they need {least_held_out(alpha)} held-out documents, there are {held}"
        for alpha in promises.alphas
        if held < least_held_out(alpha)
    ]


def parts(
    examples: Examples, promises: Promises, refused: Sequence[RefusedCertificate], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Positions of what fits see, and of what judges them: enough for the strictest promise that is possible at all."""
    everything = np.arange(len(examples))
    hopeless = {one.target_error for one in refused}
    possible = [target for target in promises.target_errors if target not in hopeless]
    most = examples.distinct - fits.LEAST_FOR_TEMPERATURE
    if not possible and not any(least_held_out(alpha) <= most for alpha in promises.alphas):
        return everything, None
    least = max([needed(target, promises.confidence_level) for target in possible], default=0)
    roomy = min(round(SPARE * least), round(MOST_HELD_OUT * examples.distinct))
    size = min(most, max(round(HELD_OUT_SHARE * examples.distinct), least, roomy))
    fitting, judging = held_out(examples, size, seed)
    return (fitting, judging) if len(fitting) else (everything, None)


def certify_all(
    promises: Promises, refused: Sequence[RefusedCertificate], fitting: Judged, judging: Judged
) -> tuple[list[Certificate], list[RefusedCertificate]]:
    """A certificate for every target that is not refused yet, or why not."""
    before = {one.target_error for one in refused}
    found = [
        certify(fitting, judging, target, promises.confidence_level)
        for target in promises.target_errors
        if target not in before
    ]
    return (
        [one for one in found if isinstance(one, Certificate)],
        [one for one in found if isinstance(one, RefusedCertificate)],
    )


def all_sets(promises: Promises, log_probs: NDArray[np.float64], judging: Examples) -> list[PredictionSets]:
    """Prediction sets at every alpha that has enough documents."""
    return [
        prediction_sets(np.exp(log_probs), judging.right, alpha)
        for alpha in promises.alphas
        if len(judging) >= least_held_out(alpha)
    ]
