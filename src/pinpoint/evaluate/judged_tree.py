"""Answers to a tree, right or wrong as they are given: by a label, or by the group that they back off to.

A group is right where the right label is below it: it says less than the label, and nothing that is false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pinpoint.decide.tree import TreeDecision
from pinpoint.evaluate.certify import Judged
from pinpoint.evaluate.examples import Examples
from pinpoint.prompting.taxonomy import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray


class JudgedInTree:
    """`Judged.of`, for the answers of one tree."""

    def __init__(self, task: Task, back_off: float) -> None:
        """Answers are those of requests with this `back_off`."""
        self._decision, self._back_off = TreeDecision(task), back_off
        tree = self._decision.tree
        self._above = [frozenset(tree.path(leaf)) for leaf in self._decision.answerable]
        self._below = np.array([[node in above for above in self._above] for node in range(1, len(tree.parents))])

    def __call__(self, log_probs: NDArray[np.float64], examples: Examples, other: int | None = None) -> Judged:
        """The confidence and the rightness of every answer, from calibrated log-probabilities [n, K] of the labels that
        may be answered; those whose best label is `other` abstain.
        """
        shares = np.exp(log_probs)
        best, nodes = log_probs.argmax(axis=1), shares @ self._below.T
        confidence, right = np.empty(len(examples)), np.empty(len(examples), dtype=bool)
        for row, place in enumerate(best.tolist()):
            scores = dict(enumerate(nodes[row].tolist(), 1))
            node = self._decision.answered(scores, self._decision.answerable[place], self._back_off)
            confidence[row] = -1.0 if place == other else min(1.0, scores[node])
            right[row] = node in self._above[int(examples.right[row])]
        return Judged(confidence, right)
