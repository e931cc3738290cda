"""Documents with several labels each, as numbers: what was measured, what is right, and what a set of labels loses.

Losses are those of a document, its labels' summed, so that what is tested are documents: labels of one are no
independent evidence.

n documents, K labels that may be answered. Masked labels are dropped at this door, so nothing behind it knows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pinpoint.errors import RequestError
from pinpoint.evaluate.examples import DEEPEST, Examples

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class LabelSets:
    """Documents whose sets of labels are known: [n, K] log-odds, [n, K] whether a label is right, [n] groups of
    near-duplicates, [K] log-odds of the prior, and [n, K, P] what the model made of each document when it was asked
    about each label, or None where that was not measured.
    """

    odds: NDArray[np.float64]
    right: NDArray[np.bool_]
    groups: NDArray[np.int64]
    log_prior: NDArray[np.float64]
    states: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.right)

    def take(self, chosen: NDArray[np.int64]) -> LabelSets:
        """Some of them, by position."""
        states = None if self.states is None else self.states[chosen]
        return LabelSets(self.odds[chosen], self.right[chosen], self.groups[chosen], self.log_prior, states)

    @property
    def as_choice(self) -> Examples:
        """The same documents with their sets as labels: what they are parted by."""
        _, sets = np.unique(self.right, axis=0, return_inverse=True)
        return Examples(self.odds, np.asarray(sets).reshape(-1), self.groups, self.log_prior)

    @property
    def measured(self) -> NDArray[np.float64]:
        """[n, K] log-odds as they are without a fit, prior included."""
        return self.odds + self.log_prior


def make_label_sets(
    log_odds: NDArray[np.float64],
    right: Sequence[Sequence[int]],
    groups: Sequence[int] | None,
    prior: Sequence[float] | None,
    mask: Sequence[int],
    states: NDArray[np.float64] | None = None,
) -> LabelSets:
    """Documents from what was measured; arguments as of `examples.make_examples`, `right` with all right positions, and
    `states` [n, labels · P], of one label after the other.

    Raises RequestError for documents with a right label that is masked.
    """
    count, labels = log_odds.shape
    truth = np.zeros((count, labels), dtype=bool)
    for row, members in zip(truth, right, strict=True):
        row[list(members)] = True
    offered = np.setdiff1d(np.arange(labels), np.array(mask, dtype=np.int64))
    excluded = int(truth[:, list(mask)].any(axis=1).sum()) if mask else 0
    if excluded:
        raise RequestError(
            "unknown_label", f"{excluded} of {count} examples have a label that the mask excludes", "mask"
        )
    weights = np.full(labels, 0.5) if prior is None else np.asarray(prior, dtype=np.float64)
    return LabelSets(
        np.clip(log_odds[:, offered], -DEEPEST, DEEPEST),
        truth[:, offered],
        np.arange(count) if groups is None else np.asarray(groups, dtype=np.int64),
        (np.log(weights) - np.log1p(-weights))[offered],
        None if states is None else states.reshape(count, labels, -1)[:, offered],
    )


def nll(z: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[n] nats of the right set, as if labels were independent."""
    return np.asarray(np.logaddexp(0, np.where(right, -z, z)).sum(axis=1))


def rivals(z: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n, K] the likeliest set beside the right one."""
    best = z >= 0
    found = best.copy()
    same = np.flatnonzero((best == right).all(axis=1))
    least = np.abs(z[same]).argmin(axis=1)
    found[same, least] = ~found[same, least]
    return found


def log_sure(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n] logarithm of the likeliest set's probability, as if labels were independent."""
    return np.asarray(-np.logaddexp(0, -np.abs(z)).sum(axis=1))


def set_right(z: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n] whether the likeliest set is the right one, no label missing and none too many."""
    return np.asarray(((z >= 0) == right).all(axis=1))


def power_nll(
    sure: NDArray[np.float64], right: NDArray[np.bool_], power: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """[n] nats of a set being right or wrong."""
    log_right = np.maximum(sure * power, -DEEPEST)
    log_wrong = np.log(np.maximum(-np.expm1(log_right), np.exp(-DEEPEST)))
    return np.asarray(-np.where(right, log_right, log_wrong))
