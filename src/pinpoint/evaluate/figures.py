"""How good probabilities are on documents whose labels are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pinpoint.decide.task_file import CONFIDENCE_BINS, Reference, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

ECE_BINS = 10


def scores(log_probs: NDArray[np.float64], right: NDArray[np.int64]) -> Scores:
    """Accuracy, NLL, ECE, Brier and AUROC of log-probabilities [n, K] for right labels [n]."""
    probabilities = np.exp(log_probs)
    best, rows = log_probs.argmax(axis=1), np.arange(len(right))
    hit = best == right
    onehot = np.zeros_like(probabilities)
    onehot[rows, right] = 1
    return Scores(
        accuracy=float(hit.mean()),
        nll=float(-log_probs[rows, right].mean()),
        ece=ece(np.minimum(probabilities[rows, best], 1.0), hit),
        brier=float(((probabilities - onehot) ** 2).sum(axis=1).mean()),
        auroc=auroc(probabilities[rows, best], hit),
    )


def ece(confidence: NDArray[np.float64], hit: NDArray[np.bool_], bins: int = ECE_BINS) -> float:
    """Expected calibration error over bins of equal mass: mean distance of confidence and share of right answers.

    It is above zero for perfect probabilities too, by chance: the more, the fewer documents.
    """
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return float(sum(abs(confidence[part].sum() - hit[part].sum()) for part in parts) / len(order))


def auroc(confidence: NDArray[np.float64], hit: NDArray[np.bool_]) -> float | None:
    """How often a right answer has more confidence than a wrong one, ties as half; None without either."""
    from scipy.stats import rankdata

    right, wrong = int(hit.sum()), int((~hit).sum())
    if not right or not wrong:
        return None
    above = float(rankdata(confidence)[hit].sum()) - right * (right + 1) / 2
    return float(min(1.0, max(0.0, above / (right * wrong))))


def reference(
    probabilities: NDArray[np.float64], mass: NDArray[np.float64], offered: NDArray[np.int64], labels: int
) -> Reference:
    """How the examples look, for a comparison with later documents.

    Args:
        probabilities: [n, K] calibrated, of the labels that may be answered.
        mass: [n] label mass as measured.
        offered: [K] their positions among the task's labels.
        labels: how many these are.
    """
    count = len(mass)
    answers = np.bincount(offered[probabilities.argmax(axis=1)], minlength=labels) / count
    tenths = np.minimum((probabilities.max(axis=1) * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS - 1)
    histogram = np.bincount(tenths, minlength=CONFIDENCE_BINS) / count
    return Reference(
        n=count,
        label_distribution=np.minimum(answers, 1.0).tolist(),
        mean_label_mass=float(np.clip(mass, 0, 1).mean()),
        confidence_histogram=np.minimum(histogram, 1.0).tolist(),
    )
