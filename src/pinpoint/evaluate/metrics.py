"""Figures of a report: right and wrong, scores as probabilities, and what is left out at which risk.

Every function takes plain arrays and returns plain numbers, None where there is nothing to compute: AUROC without a
wrong answer, for one. Refused documents and those without a label count as not found; figures of scores are of the
answered ones. Intervals are percentiles of `RESAMPLES` bootstrap samples, drawn by groups of near-duplicates, since
those are no independent evidence; those of shares are exact ones of the documents that the groups are worth.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pinpoint.evaluate.figures import auroc
from pinpoint.evaluate.outcomes import LEAST_SCORE, NOTHING, LabelTable, Outcomes

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES, LEVEL = 1000, 0.95
SEED = 0
BIN_DOCUMENTS, MOST_BINS = 20, 15
TOP = (1, 2, 3, 5, 10)
TARGET_ERRORS = (0.01, 0.02, 0.05, 0.1)

Interval = tuple[float, float]


def accuracy(found: Outcomes) -> float:
    """Share of all documents, refused ones among them, whose answer is right."""
    return float(found.right.mean())


def confusion(found: Outcomes) -> NDArray[np.int64]:
    """[labels, labels + 1] documents by truth and answer; the last column is of those without a label."""
    size = len(found.names)
    column = np.where(found.answer == NOTHING, size, found.answer)
    cells = np.bincount(found.truth * (size + 1) + column, minlength=size * (size + 1))
    return cells.reshape(size, size + 1)


def per_label(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """[labels, 4] precision, recall, F1 and support, 0 where it would be divided by nothing."""
    right = np.diagonal(counts).astype(np.float64)
    support, told = counts.sum(axis=1), counts[:, :-1].sum(axis=0)
    precision = np.divide(right, told, out=np.zeros_like(right), where=told > 0)
    recall = np.divide(right, support, out=np.zeros_like(right), where=support > 0)
    both = support + told
    return np.stack(
        [precision, recall, np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0), support], 1
    )


def per_label_of_sets(table: LabelTable, sample: NDArray[np.int64]) -> NDArray[np.float64]:
    """As `per_label`, where a document has any number of labels."""
    truth, answer = table.truth[sample], table.answer[sample]
    right, support, told = ((one).sum(axis=0).astype(np.float64) for one in (truth & answer, truth, answer))
    precision, recall, f1 = (
        np.divide(top, below, out=np.zeros_like(right), where=below > 0)
        for top, below in ((right, told), (right, support), (2 * right, support + told))
    )
    return np.stack([precision, recall, f1, support], 1)


def macro_f1(counts: NDArray[np.int64]) -> float:
    """Mean F1 of the labels that have documents: a label without any has no F1 to be averaged."""
    table = per_label(counts)
    return float(table[table[:, 3] > 0, 2].mean())


def micro_f1(counts: NDArray[np.int64]) -> float:
    """F1 of all answers together: accuracy, unless some documents have no label."""
    right, told, asked = np.trace(counts), counts[:, :-1].sum(), counts.sum()
    return float(2 * right / (told + asked))


def top_k(found: Outcomes, labels: int) -> dict[int, float]:
    """Share of all documents whose right label is among the k best, for each k below the number of labels."""
    return {k: float(((found.rank > 0) & (found.rank <= k)).mean()) for k in TOP if k < labels}


def nll(truth_score: NDArray[np.float64]) -> float:
    """Mean negative logarithm (natural) of the right label's score."""
    return float(-np.log(np.maximum(truth_score, LEAST_SCORE)).mean())


def bins(count: int) -> int:
    """How many bins of equal mass so many documents are put into: each has about `BIN_DOCUMENTS`."""
    return max(1, min(MOST_BINS, count // BIN_DOCUMENTS))


def equal_mass(score: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Positions of the documents of each bin, by ascending score, as many in each as in the others, to one."""
    return np.array_split(np.argsort(score, kind="stable"), bins(len(score)))


def ece(score: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error: mean distance of a bin's score from its share of right answers, by its documents."""
    return float(sum(abs(float(score[one].sum() - right[one].sum())) for one in equal_mass(score)) / len(score))


def ece_floor(score: NDArray[np.float64], seed: int = SEED) -> tuple[float, float]:
    """What `ece` would be by chance, were the scores perfect probabilities: its mean, and its 95th percentile.

    Simulated: answers are drawn right with their own score as the probability, `RESAMPLES` times.
    """
    chance = np.random.default_rng(seed)
    order = np.concatenate(equal_mass(score))
    starts = np.cumsum([0, *(len(one) for one in equal_mass(score))])[:-1]
    sorted_score = score[order]
    drawn = chance.random((RESAMPLES, len(score))) < sorted_score
    apart = np.abs(np.add.reduceat(drawn - sorted_score, starts, axis=1)).sum(axis=1) / len(score)
    return float(apart.mean()), float(np.quantile(apart, 0.95))


def risk_coverage(score: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Errors among the k answers of highest score, as a share [n] by k, and the mean of it: the area under the curve.

    Answers of one score have no order among them: their errors are spread evenly over them.
    """
    order = np.argsort(-score, kind="stable")
    _, group = np.unique(-score[order], return_inverse=True)
    wrong = (~right[order]).astype(np.float64)
    spread = (np.bincount(group, wrong) / np.bincount(group))[group]
    risk = np.cumsum(spread) / np.arange(1, len(score) + 1)
    return risk, float(risk.mean())


def coverage_at(risk: NDArray[np.float64], target: float) -> float:
    """The largest share of documents whose errors are at most `target` of it. Of these documents; no promise."""
    within = np.flatnonzero(risk <= target + 1e-12)
    return float(within[-1] + 1) / len(risk) if len(within) else 0.0


def clopper_pearson(hits: float, count: float, level: float = LEVEL) -> Interval:
    """The exact interval of a share of independent draws (Clopper and Pearson, 1934)."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, hits, count - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, count - hits)) if hits < count else 1.0
    return low, high


def of_share(hits: NDArray[np.bool_], groups: NDArray[np.int64], samples: list[NDArray[np.int64]]) -> Interval:
    """The interval of a share of documents that come in groups (Korn and Graubard, 1998).

    It is the exact one of as many independent documents as would vary like the samples do, so it keeps its width where
    a bootstrap has none: nearly all or none are hits.
    """
    share, count = float(hits.mean()), float(len(hits))
    variance = float(np.var([hits[sample].mean() for sample in samples]))
    if share in (0, 1) or not variance:
        count = float(len(np.unique(groups)))
    elif len(np.unique(groups)) < len(hits):
        count = min(count, share * (1 - share) / variance)
    return clopper_pearson(share * count, count)


def resamples(groups: NDArray[np.int64], seed: int = SEED) -> list[NDArray[np.int64]]:
    """Positions of `RESAMPLES` samples of whole groups, drawn with replacement."""
    chance = np.random.default_rng(seed)
    _, number = np.unique(groups, return_inverse=True)
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number))
    members = np.split(order, ends[:-1])
    if len(members) == len(groups):  # each for itself
        return list(chance.integers(len(groups), size=(RESAMPLES, len(groups))))
    drawn = chance.integers(len(members), size=(RESAMPLES, len(members)))
    return [np.concatenate([members[one] for one in sample]) for sample in drawn]


def interval(
    figure: Callable[[NDArray[np.int64]], float | None], samples: list[NDArray[np.int64]], level: float = LEVEL
) -> Interval | None:
    """Percentiles of a figure over samples; None where too few of them have it, one in ten lacking it at most."""
    values = [value for sample in samples if (value := figure(sample)) is not None]
    if len(values) < 0.9 * len(samples):
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def with_intervals(found: Outcomes, labels: int) -> dict[str, Any]:
    """The figures of outcomes, each with `value` and `interval`; those of scores are None where nothing is answered."""
    samples, size = resamples(found.groups), len(found.names)
    right, column = found.right, np.where(found.answer == NOTHING, size, found.answer)

    def counts(sample: NDArray[np.int64]) -> NDArray[np.int64]:
        cells = np.bincount(found.truth[sample] * (size + 1) + column[sample], minlength=size * (size + 1))
        return cells.reshape(size, size + 1)

    def f1(sample: NDArray[np.int64]) -> tuple[float, float]:
        if (table := found.table) is None:
            cells = counts(sample)
            return macro_f1(cells), micro_f1(cells)
        each = per_label_of_sets(table, sample)
        having, both = each[:, 3] > 0, (table.truth[sample] & table.answer[sample]).sum()
        told = table.truth[sample].sum() + table.answer[sample].sum()
        return float(each[having, 2].mean()) if having.any() else 0.0, float(2 * both / told) if told else 0.0

    figures: dict[str, Callable[[NDArray[np.int64]], float | None]] = {
        "accuracy": lambda sample: float(right[sample].mean()),
        "macro_f1": lambda sample: f1(sample)[0],
        "micro_f1": lambda sample: f1(sample)[1],
    }
    if (table := found.table) is not None:
        labels = 1  # nothing is ranked
        figures["wrong_labels"] = lambda sample: float((table.truth[sample] != table.answer[sample]).mean())
    for k in top_k(found, labels):
        figures[f"top_{k}"] = partial(_share, (found.rank > 0) & (found.rank <= k))

    def of_scores(figure: Callable[[NDArray[np.int64]], float | None]) -> Callable[[NDArray[np.int64]], float | None]:
        def answered_only(sample: NDArray[np.int64]) -> float | None:
            kept = sample[found.answered[sample]]
            return figure(kept) if len(kept) else None

        return answered_only

    logarithm = -np.log(np.maximum(found.truth_score, LEAST_SCORE))
    figures["accuracy_answered"] = of_scores(lambda kept: float(right[kept].mean()))
    figures["nll"] = of_scores(lambda kept: float(logarithm[kept].mean()))
    figures["brier"] = of_scores(lambda kept: float(found.brier[kept].mean()))
    figures["auroc"] = of_scores(lambda kept: auroc(found.score[kept], right[kept]))
    figures["aurc"] = of_scores(lambda kept: risk_coverage(found.score[kept], right[kept])[1])
    everything = np.arange(len(found))
    told = {
        name: {"value": figure(everything), "interval": interval(figure, samples)} for name, figure in figures.items()
    }
    answered = np.flatnonzero(found.answered)
    near = {f"top_{k}": (found.rank > 0) & (found.rank <= k) for k in top_k(found, labels)}
    for name, hits in ({"accuracy": right} | near).items():
        told[name]["interval"] = of_share(hits, found.groups, samples)
    if len(answered):
        kept = right[answered]
        again = resamples(found.groups[answered])
        told["accuracy_answered"]["interval"] = of_share(kept, found.groups[answered], again)
    return told


def _share(hits: NDArray[np.bool_], sample: NDArray[np.int64]) -> float:
    return float(hits[sample].mean())
