"""Promises: "of the answers with at least this confidence, at most 2 % are wrong", kept with 90 % probability.

Learn then Test (Angelopoulos et al. 2021) with a fixed sequence. The part that fits saw names thresholds and the order
to try them in; the part held out tests them one after the other and stops at the first that fails:

    H_t: of the answers with confidence ≥ t more than `target_error` are wrong
    rejected where the Clopper–Pearson upper bound of the accepted held-out documents is ≤ `target_error`

Given how many are accepted, the wrong ones among them are binomial, so each test errs with a probability of at most
1 − confidence level; and since a sequence ends with its first failure, so do all together, however many thresholds
there are. To pick the best threshold on the documents that judge it, with the same bound, is not valid: the simulation
in tests/unit/evaluate/test_certify.py shows both. A promise is about documents drawn as the examples were, and each
target has its own confidence level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pinpoint.decide.task_file import Certificate, RefusedCertificate
from pinpoint.evaluate.examples import Examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE_LEVEL = 0.9
MOST_THRESHOLDS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Answers whose rightness is known: [n] confidence and [n] whether they are right."""

    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.right)

    @classmethod
    def of(cls, log_probs: NDArray[np.float64], examples: Examples, other: int | None = None) -> Judged:
        """The best label's probability of every document, from calibrated log-probabilities [n, K].

        Answers by the label `other` abstain: no threshold accepts them.
        """
        best = log_probs.argmax(axis=1)
        confidence = np.exp(log_probs.max(axis=1))
        return cls(confidence if other is None else np.where(best == other, -1.0, confidence), best == examples.right)


def needed(target_error: float, confidence_level: float, wrong: int = 0) -> int:
    """How many accepted documents carry a promise with so many wrong ones among them; 230 for 1 % at 90 % with none."""
    low, high = wrong, wrong + 1
    while upper_bound(wrong, high, confidence_level) > target_error:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if upper_bound(wrong, middle, confidence_level) > target_error else (low, middle)
    return high


def upper_bound(wrong: int, count: int, confidence_level: float) -> float:
    """Clopper–Pearson, one-sided: the share that is exceeded with a probability of at most 1 − confidence level."""
    from scipy.special import betaincinv

    if wrong >= count:
        return 1.0
    return float(betaincinv(wrong + 1, count - wrong, confidence_level))


def impossible(count: int, target_error: float, confidence_level: float) -> str | None:
    """Why so many held-out documents cannot carry a promise, however good the answers are; None where they can."""
    least = needed(target_error, confidence_level)
    if count >= least:
        return None
    return (
        f"{least} held-out documents, all accepted and right, are the fewest that show an error of at most "
        f"{target_error:.2%} at {confidence_level:.0%}; {count} can be held out"
    )


def hopeless(wrong: int, count: int, target_error: float, confidence_level: float) -> str | None:
    """Why a promise cannot be kept by a model that errs so often, whichever answers are left out; None where it can.

    With the share μ of all answers wrong, at least (μ − target)/(1 − target) of them have to be left out.
    """
    error = wrong / count
    left_out = max(0.0, (error - target_error) / (1 - target_error))
    accepted, least = math.floor(count * (1 - left_out)), needed(target_error, confidence_level)
    if accepted >= least:
        return None
    return (
        f"{wrong} of {count} answers are wrong, so at least {left_out:.0%} of documents must be left out; the "
        f"{accepted} that stay are fewer than the {least} needed"
    )


def certify(
    fitting: Judged, held: Judged, target_error: float, confidence_level: float = CONFIDENCE_LEVEL
) -> Certificate | RefusedCertificate:
    """A promise, or why it cannot be made.

    Args:
        fitting: answers to the documents that fits saw, cross-validated; they choose which thresholds are tried.
        held: answers to the documents held out, by the fit on all the others.
        target_error: share of accepted answers that may be wrong.
        confidence_level: probability, over the draw of the held-out part, that the promise is kept.
    """
    least = needed(target_error, confidence_level)
    reason = impossible(len(held), target_error, confidence_level) or hopeless(
        int((~held.right).sum()), len(held), target_error, confidence_level
    )
    if reason is not None:
        return RefusedCertificate(
            target_error=target_error, confidence_level=confidence_level, reason=reason, needed=least
        )
    found: Certificate | None = None
    accepted = wrong = 0
    for threshold in sequence(fitting, len(held), target_error):
        inside = held.confidence >= threshold
        accepted, wrong = int(inside.sum()), int((inside & ~held.right).sum())
        bound = upper_bound(wrong, accepted, confidence_level) if accepted else 1.0
        if bound > target_error:
            break
        found = Certificate(
            target_error=target_error, confidence_level=confidence_level, threshold=threshold, n_held_out=len(held),
            n_accepted=accepted, n_wrong=wrong, bound=bound,
        )  # fmt: skip
    if found is not None:
        return found
    if accepted < least:
        reason = (
            f"no threshold that accepts enough kept to {target_error:.1%} on the documents of the fits; the likeliest "
            f"one accepts {accepted} of those held out, {wrong} of them wrong; {least} are needed, none of them wrong"
        )
    else:
        reason = (
            f"of {accepted} held-out documents that the first threshold accepts {wrong} are wrong; "
            f"{needed(target_error, confidence_level, wrong)} accepted would be needed with so many"
        )
    return RefusedCertificate(
        target_error=target_error, confidence_level=confidence_level, reason=reason,
        needed=needed(target_error, confidence_level, wrong),
    )  # fmt: skip


def sequence(fitting: Judged, count: int, target_error: float) -> list[float]:
    """Thresholds in the order in which they are tried on `count` held-out documents, from the fitting part alone.

    The first is the one most likely to pass; each further one accepts more.
    """
    from scipy.stats import binom

    levels = np.linspace(1, 0, MOST_THRESHOLDS)
    thresholds = np.append(np.unique(np.quantile(fitting.confidence, levels, method="inverted_cdf"))[::-1], 0.0)
    inside = fitting.confidence[None, :] >= thresholds[:, None]
    accepted = inside.sum(axis=1)
    wrong = (inside & ~fitting.right[None, :]).sum(axis=1)
    expected = np.floor(count * accepted / len(fitting))
    # Half a wrong document more than were seen: a few accepted without error promise less than many.
    chance = binom.cdf(np.rint(expected * (wrong + 0.5) / (accepted + 1)), expected, target_error)
    first = int(np.argmin(chance))
    return [float(threshold) for threshold in thresholds[first:]]
