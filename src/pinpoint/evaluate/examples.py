"""Labelled documents as numbers: what was measured, what is right, and which documents are too alike to be parted.

n examples, K labels that may be answered. Masked labels are dropped at this door, so nothing behind it knows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pinpoint.errors import RequestError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Log-probabilities this far below the best label count as being here: a sum of them stays finite.
DEEPEST = 50.0
MOST_FOLDS, LEAST_FOLDS = 10, 5
# Cross-validation is repeated with other folds until about so many documents were predicted: few examples, much noise.
PREDICTIONS, MOST_REPEATS = 200, 5


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Labelled documents.

    Attributes:
        scores: [n, K] log-probabilities relative to the document's best label: 0 down to −DEEPEST.
        right: [n] positions of the right labels.
        groups: [n] numbers that near-duplicates share.
        log_prior: [K] what the task's prior adds to each label.
        states: [n, P] what the model made of each document, or None where that was not measured.
    """

    scores: NDArray[np.float64]
    right: NDArray[np.int64]
    groups: NDArray[np.int64]
    log_prior: NDArray[np.float64]
    states: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.right)

    @property
    def labels(self) -> int:
        """K."""
        return int(self.scores.shape[1])

    def take(self, chosen: NDArray[np.int64]) -> Examples:
        """Some of them, by position."""
        states = None if self.states is None else self.states[chosen]
        return Examples(self.scores[chosen], self.right[chosen], self.groups[chosen], self.log_prior, states)

    @property
    def distinct(self) -> int:
        """How many are left when near-duplicates count as one."""
        return len(np.unique(self.groups))

    @property
    def by_label(self) -> NDArray[np.int64]:
        """[K] how many examples each label has."""
        return np.bincount(self.right, minlength=self.labels)


def make_examples(
    log_probs: NDArray[np.float64],
    right: Sequence[int],
    groups: Sequence[int] | None = None,
    prior: Sequence[float] | None = None,
    mask: Sequence[int] = (),
    states: NDArray[np.float64] | None = None,
) -> Examples:
    """Examples from what was measured.

    Args:
        log_probs: [n, labels of the task], minus infinity for what the model rules out.
        right: positions in the task's labels.
        groups: near-duplicates share a number; None where every document stands for itself.
        prior: of the task, a weight for each of its labels.
        mask: labels that may not be answered.
        states: [n, P] what the model made of each document.

    Raises RequestError for examples whose right label is masked.
    """
    count, labels = log_probs.shape
    offered = np.setdiff1d(np.arange(labels), np.array(mask, dtype=np.int64))
    place = np.full(labels, -1)
    place[offered] = np.arange(len(offered))
    kept = place[np.asarray(right, dtype=np.int64)]
    if (kept < 0).any():
        raise RequestError(
            "unknown_label", f"{int((kept < 0).sum())} of {count} examples have a label that the mask excludes", "mask"
        )
    weights = np.ones(labels) if prior is None else np.asarray(prior, dtype=np.float64)
    return Examples(
        relative(log_probs[:, offered]),
        kept,
        np.arange(count) if groups is None else np.asarray(groups, dtype=np.int64),
        np.log(weights[offered]),
        states,
    )


def relative(log_probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probabilities [n, K] less the best of their row, none below −DEEPEST; a row of minus infinities is zeros."""
    best = log_probs.max(axis=1, keepdims=True)
    known: NDArray[np.float64] = np.where(np.isfinite(best), log_probs - np.where(np.isfinite(best), best, 0.0), 0.0)
    return np.maximum(known, -DEEPEST)


def fold_rounds(examples: Examples, seed: int = 0) -> Iterator[NDArray[np.int64]]:
    """The fold [n] of every example, once for each round of cross-validation.

    Groups stay together and labels are spread evenly: groups are dealt out in the order of their label.
    """
    count = len(examples)
    folds = MOST_FOLDS if count < PREDICTIONS else LEAST_FOLDS
    for round_ in range(max(1, min(MOST_REPEATS, PREDICTIONS // count))):
        rng = np.random.default_rng((seed, round_))
        yield _dealt(examples, folds, rng)


def _dealt(examples: Examples, folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    _, first, group = np.unique(examples.groups, return_index=True, return_inverse=True)
    order = np.lexsort((rng.random(len(first)), examples.right[first]))
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % folds
    return fold[group]


def held_out(examples: Examples, least: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the part that fits see and of the part that judges; labels are spread evenly.

    No group is in both. One document of a group judges, and the others like it do nothing: bounds count independent
    documents, which copies are not.

    Args:
        examples: all.
        least: how many judge, where there are so many groups.
        seed: of what is drawn.
    """
    rng = np.random.default_rng((seed, len(examples)))
    shuffled = rng.permutation(len(examples))
    _, first, group = np.unique(examples.groups[shuffled], return_index=True, return_inverse=True)
    one_each = shuffled[first]
    order = np.lexsort((rng.random(len(first)), examples.right[one_each]))
    fits = max(0, len(first) - least)
    # Of the groups in the order of their labels so many, evenly spaced.
    places = np.floor((np.arange(fits) + rng.random()) * len(first) / max(1, fits)).astype(np.int64)
    fitting = np.zeros(len(first), dtype=bool)
    fitting[order[places]] = True
    return np.sort(shuffled[fitting[group]]), np.sort(one_each[~fitting])
