"""Several labels to a document: what is learned where each is a question of yes or no, and an answer a set of them.

    z_k = d_k/T + logit prior_k + b + b_k        d_k: log-odds of yes, as measured
    P(set) = (Π_in p_k · Π_out (1 − p_k))^a      p_k = sigmoid(z_k)

    temperature  T, b       from 10 documents: models say yes to everything, or to nothing
    offsets      T, b, b_k  from 20, each b_k shrunk to the b that all share
    together     a          from 20: mistakes about one document come together, or keep apart

Losses are those of a document, its labels' summed, so that what is tested are documents: labels of one are no
independent evidence. Each fit counts one imaginary document more, whose right set is the likeliest beside the right
one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pinpoint.errors import RequestError
from pinpoint.evaluate.choosing import LEAST_FOR_OFFSETS, Tried, compared_losses
from pinpoint.evaluate.examples import DEEPEST, Examples, fold_rounds
from pinpoint.evaluate.fits import OFFSET_SPREAD, TEMPERATURE_SPREAD, TEMPERATURES

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARED_SPREAD = 2.0  # of b, nats: how ready a model is to say yes differs by more than labels do
POWER_SPREAD = 0.5  # of log a
_ITERATIONS = 100


@dataclass(frozen=True, slots=True, eq=False)
class LabelSets:
    """Documents whose sets of labels are known: [n, K] log-odds, [n, K] whether a label is right, [n] groups of
    near-duplicates, [K] log-odds of the prior. Masked labels are dropped before.
    """

    odds: NDArray[np.float64]
    right: NDArray[np.bool_]
    groups: NDArray[np.int64]
    log_prior: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.right)

    def take(self, chosen: NDArray[np.int64]) -> LabelSets:
        """Some of them, by position."""
        return LabelSets(self.odds[chosen], self.right[chosen], self.groups[chosen], self.log_prior)

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
) -> LabelSets:
    """Documents from what was measured; arguments as of `examples.make_examples`, `right` with all right positions.

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
    )


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """T, b + b_k [K] and a."""

    temperature: float
    offsets: NDArray[np.float64]
    together: float = 1.0

    def log_odds(self, some: LabelSets) -> NDArray[np.float64]:
        """[n, K] calibrated, prior included."""
        return some.odds / self.temperature + (self.offsets + some.log_prior)


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


def fit(some: LabelSets, *, each: bool) -> Parameters:
    """T and b, and with `each` an offset for each label beside, by L-BFGS over log T, b, b_k."""
    from scipy.optimize import minimize
    from scipy.special import expit

    count, labels = some.odds.shape
    rival = rivals(some.measured, some.right)
    wanted = some.right + rival / count  # with the imaginary document
    weight = 1 + 1 / count

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        inverse = np.exp(-x[0])
        z = some.odds * inverse + some.log_prior + x[1] + x[2:]
        value = nll(z, some.right).sum() + nll(z, rival).mean()
        slope = weight * expit(z) - wanted
        gradient = np.empty_like(x)
        gradient[0] = -inverse * (slope * some.odds).sum() + x[0] / TEMPERATURE_SPREAD**2
        gradient[1] = slope.sum() + x[1] / SHARED_SPREAD**2
        value += x[0] ** 2 / (2 * TEMPERATURE_SPREAD**2) + x[1] ** 2 / (2 * SHARED_SPREAD**2)
        value += (x[2:] ** 2).sum() / (2 * OFFSET_SPREAD**2)
        gradient[2:] = slope.sum(axis=0) + x[2:] / OFFSET_SPREAD**2
        return float(value) / count, gradient / count

    low, high = np.log(TEMPERATURES)
    bounds = [(low, high), (None, None), *[(None, None) if each else (0.0, 0.0)] * labels]
    start = np.zeros(2 + labels)
    x = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _ITERATIONS}).x
    return Parameters(float(np.exp(x[0])), np.full(labels, x[1]) + x[2:])


def fit_together(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """a, from logarithms of sets' probabilities [n] and whether the sets are right [n]."""
    from scipy.optimize import minimize_scalar

    def loss(log_power: float) -> float:
        own, flipped = power_nll(sure, right, np.exp(log_power)), power_nll(sure, ~right, np.exp(log_power))
        return float(own.sum() + flipped.mean()) + log_power**2 / (2 * POWER_SPREAD**2)

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def power_nll(
    sure: NDArray[np.float64], right: NDArray[np.bool_], power: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """[n] nats of a set being right or wrong."""
    log_right = np.maximum(sure * power, -DEEPEST)
    log_wrong = np.log(np.maximum(-np.expm1(log_right), np.exp(-DEEPEST)))
    return np.asarray(-np.where(right, log_right, log_wrong))


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The fit on all documents, what was tried, and [n, K] log-odds by fits that had not seen the document."""

    parameters: Parameters
    tried: tuple[Tried, ...]
    log_odds: NDArray[np.float64]


def choose(some: LabelSets, seed: int = 0) -> Chosen:
    """Try all fits, each against what was kept before it, and keep what cross-validation shows to gain."""
    folds = list(fold_rounds(some.as_choice, seed))
    rival = rivals(some.measured, some.right)
    parameters = Parameters(1.0, np.zeros(some.odds.shape[1]))
    z, losses = some.measured, (nll(some.measured, some.right), nll(some.measured, rival))
    tried = list[Tried]()
    for name, least, each in (("temperature", 0, False), ("offsets", LEAST_FOR_OFFSETS, True)):
        if len(some) < least:
            tried.append(Tried(name, False, f"needs {least} examples, there are {len(some)}"))
            continue
        after, new = _cross_validated(some, rival, partial(fit, each=each), folds)
        tried.append(compared_losses(name, some.groups, losses, new))
        if tried[-1].kept:
            parameters, z, losses = fit(some, each=each), after, new
    if len(some) < LEAST_FOR_OFFSETS:
        tried.append(Tried("together", False, f"needs {LEAST_FOR_OFFSETS} examples, there are {len(some)}"))
        return Chosen(parameters, tuple(tried), z)
    sure, right = log_sure(z), set_right(z, some.right)
    powers = np.ones(len(some))
    for part in np.unique(folds[0]):
        test = folds[0] == part
        powers[test] = fit_together(sure[~test], right[~test])
    before, now = ((power_nll(sure, right, a), power_nll(sure, ~right, a)) for a in (np.ones(len(some)), powers))
    tried.append(compared_losses("together", some.groups, before, now))
    if tried[-1].kept:
        parameters = Parameters(parameters.temperature, parameters.offsets, fit_together(sure, right))
    return Chosen(parameters, tuple(tried), z)


def _cross_validated(
    some: LabelSets,
    rival: NDArray[np.bool_],
    fitter: Callable[[LabelSets], Parameters],
    rounds: Sequence[NDArray[np.int64]],
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """[n, K] mean log-odds by fits that had not seen the document, and [n] means of the losses of right and rival."""
    total, right, wrong = np.zeros_like(some.odds), np.zeros(len(some)), np.zeros(len(some))
    for fold in rounds:
        for part in np.unique(fold):
            test = np.flatnonzero(fold == part)
            z = fitter(some.take(np.flatnonzero(fold != part))).log_odds(some.take(test))
            total[test] += z
            right[test] += nll(z, some.right[test])
            wrong[test] += nll(z, rival[test])
    return total / len(rounds), (right / len(rounds), wrong / len(rounds))
