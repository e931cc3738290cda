"""Prediction sets that hold the right label in at least 1 − alpha of documents: split conformal prediction.

A held-out document's score is 1 − p of its right label. The ⌈(n+1)(1−α)⌉-th smallest of n is the quantile q; a set is
every label with p ≥ 1 − q (Sadinle et al. 2019), and the best one in any case, which can only cover more. The promise
is on average over draws of the held-out part and of one more document drawn alike; it needs no assumption on the model.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pinpoint.decide.task_file import PredictionSets

if TYPE_CHECKING:
    from numpy.typing import NDArray


def least_held_out(alpha: float) -> int:
    """How many held-out documents sets at alpha need: with fewer they would hold every label."""
    return math.ceil(1 / alpha - 1 - 1e-9)


def prediction_sets(probabilities: NDArray[np.float64], right: NDArray[np.int64], alpha: float) -> PredictionSets:
    """Sets at alpha from the held-out part; at least `least_held_out(alpha)` documents.

    Args:
        probabilities: [n, K] of the labels that may be answered, by a fit that had not seen these documents.
        right: [n].
        alpha: share of documents whose set may lack the right label.
    """
    return sets_that_hold(probabilities, probabilities[np.arange(len(right)), right], alpha)


def sets_that_hold(probabilities: NDArray[np.float64], of_right: NDArray[np.float64], alpha: float) -> PredictionSets:
    """The same from the least probability [n] of what a document's set has to hold: of several right labels all."""
    count = len(of_right)
    of_right = np.sort(of_right)[::-1]
    rank = math.ceil((count + 1) * (1 - alpha) - 1e-9)
    if rank > count:
        raise ValueError(f"sets at {alpha} need {least_held_out(alpha)} held-out documents, there are {count}")
    least = float(of_right[rank - 1])
    sizes = np.maximum((probabilities >= least).sum(axis=1), 1)
    return PredictionSets(alpha=alpha, n_held_out=count, least_probability=least, mean_size=float(sizes.mean()))
