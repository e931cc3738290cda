"""What is learned where each label is a question of yes or no, and an answer a set of them.

    z_k = d_k/T + logit prior_k + b + b_k + W_k f + V_k h_k       d_k: log-odds of yes, as measured
    P(set) = (Π_in p_k · Π_out (1 − p_k))^a                       p_k = sigmoid(z_k)

    temperature  T, b          from 10 documents: models say yes to everything, or to nothing
    offsets      T, b, b_k     from 20, each b_k shrunk to the b that all share
    state        T, b, b_k, V  from 50, where states were measured: of each label the state behind its own question
    head         T, b, b_k, W  from 50, with 5 that have each label and 5 that have not: all labels' log-odds f
    together     a             from 20: mistakes about one document come together, or keep apart

Each minimises the documents' losses plus a penalty that keeps it near "change nothing", as the fits of a choice do
(`fits.py`), and counts one imaginary document more, whose right set is the likeliest beside the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pinpoint.decide.calibration import FLOOR, MAX_HEAD_LABELS
from pinpoint.evaluate.choosing import LEAST_FOR_HEAD, LEAST_FOR_OFFSETS, LEAST_OF_A_LABEL, Tried, compared_losses
from pinpoint.evaluate.examples import fold_rounds
from pinpoint.evaluate.fits import (
    HEAD_SPREADS,
    HEAD_WORK,
    LEAST_LENGTH,
    OFFSET_SPREAD,
    TEMPERATURE_SPREAD,
    TEMPERATURES,
)
from pinpoint.evaluate.label_sets import LabelSets, log_sure, nll, power_nll, rivals, set_right

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARED_SPREAD = 2.0  # of b, nats: how ready a model is to say yes differs by more than labels do
POWER_SPREAD = 0.5  # of log a
_ITERATIONS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """T, b + b_k [K], a, W [K, K] or None, V [K, P] or None; means of what they look at are part of the offsets."""

    temperature: float
    offsets: NDArray[np.float64]
    together: float = 1.0
    head: NDArray[np.float64] | None = None
    state: NDArray[np.float64] | None = None

    def log_odds(self, some: LabelSets) -> NDArray[np.float64]:
        """[n, K] calibrated, prior included."""
        z = some.odds / self.temperature + (self.offsets + some.log_prior)
        if self.head is not None:
            z += _moved(_features(some), self.head)
        if self.state is not None:
            z += _moved(_states(some), self.state)
        return z


def fit(some: LabelSets, *, each: bool) -> Parameters:
    """T and b, and with `each` an offset for each label beside."""
    return _fit(some, each=each)


def fit_state(some: LabelSets, spread: float = HEAD_SPREADS[1]) -> Parameters:
    """T, offsets and a head of each label on its own state."""
    states = _states(some)
    mean = states.mean(axis=0)
    length = float(np.sqrt(((states - mean) ** 2).sum(axis=2).mean()))
    some = _enough(some, states.shape[2])
    found = _fit(some, each=True, looks_at=_states(some) - mean, width=spread / max(length, LEAST_LENGTH))
    assert found.head is not None
    offsets = found.offsets - (found.head * mean).sum(axis=1)
    return Parameters(found.temperature, offsets, state=found.head)


def fit_head(some: LabelSets, spread: float = HEAD_SPREADS[1]) -> Parameters:
    """T, offsets and a head on all labels' log-odds."""
    features = _features(some)
    mean = features.mean(axis=0)
    length = float(np.sqrt(((features - mean) ** 2).sum(axis=1).mean()))
    some = _enough(some, features.shape[1])
    found = _fit(some, each=True, looks_at=_features(some) - mean, width=spread / max(length, 1.0))
    assert found.head is not None
    return Parameters(found.temperature, found.offsets - found.head @ mean, head=found.head)


def fit_together(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """a, from logarithms of sets' probabilities [n] and whether the sets are right [n]."""
    from scipy.optimize import minimize_scalar

    def loss(log_power: float) -> float:
        own, flipped = power_nll(sure, right, np.exp(log_power)), power_nll(sure, ~right, np.exp(log_power))
        return float(own.sum() + flipped.mean()) + log_power**2 / (2 * POWER_SPREAD**2)

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


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
    for name, fitters, refusal in _candidates(some):
        if refusal is not None:
            tried.append(Tried(name, False, refusal))
            continue
        fitter = _best(some, rival, fitters, folds[0])
        after, new = _cross_validated(some, rival, fitter, folds)
        tried.append(compared_losses(name, some.groups, losses, new, choices=len(fitters)))
        if tried[-1].kept:
            parameters, z, losses = fitter(some), after, new
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
        power = fit_together(sure, right)
        parameters = Parameters(
            parameters.temperature, parameters.offsets, power, parameters.head, parameters.state
        )  # fmt: skip
    return Chosen(parameters, tuple(tried), z)


Fitter = Callable[[LabelSets], Parameters]


def _candidates(some: LabelSets) -> list[tuple[str, list[Fitter], str | None]]:
    """Fits by name, with their choices, and why there are too few documents for one, if so."""
    (count, labels), with_it = some.right.shape, some.right.sum(axis=0)
    lacking = int((np.minimum(with_it, count - with_it) < LEAST_OF_A_LABEL).sum())
    offsets = None if count >= LEAST_FOR_OFFSETS else f"needs {LEAST_FOR_OFFSETS} examples, there are {count}"
    state: str | None = None
    if count < LEAST_FOR_HEAD:
        state = f"needs {LEAST_FOR_HEAD} examples, there are {count}"
    head = state
    if labels > MAX_HEAD_LABELS:
        head = f"takes at most {MAX_HEAD_LABELS} labels, there are {labels}"
    elif head is None and lacking:
        least = f"{LEAST_OF_A_LABEL} examples that have each label and as many that have not"
        head = f"needs {least}; {lacking} of {labels} have fewer"
    found: list[tuple[str, list[Fitter], str | None]] = [
        ("temperature", [partial(fit, each=False)], None),
        ("offsets", [partial(fit, each=True)], offsets),
    ]
    if some.states is not None:
        found.append(("state", [partial(fit_state, spread=one) for one in HEAD_SPREADS], state))
    return [*found, ("head", [partial(fit_head, spread=one) for one in HEAD_SPREADS], head)]


def _best(
    some: LabelSets, rival: NDArray[np.bool_], fitters: Sequence[Fitter], fold: NDArray[np.int64]
) -> Fitter:  # fmt: skip
    """Of the choices the one that is best in one round."""
    if len(fitters) == 1:
        return fitters[0]
    losses = [float(_cross_validated(some, rival, fitter, [fold])[1][0].mean()) for fitter in fitters]
    return fitters[int(np.argmin(losses))]


def _cross_validated(
    some: LabelSets, rival: NDArray[np.bool_], fitter: Fitter, rounds: Sequence[NDArray[np.int64]]
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


def _features(some: LabelSets) -> NDArray[np.float64]:
    return np.clip(some.odds, -FLOOR, FLOOR)


def _states(some: LabelSets) -> NDArray[np.float64]:
    assert some.states is not None
    return some.states


def _enough(some: LabelSets, columns: int) -> LabelSets:
    """Of very many documents a random part, which a head's time allows."""
    most = HEAD_WORK // (some.right.shape[1] * columns)
    if len(some) <= most:
        return some
    return some.take(np.random.default_rng(len(some)).permutation(len(some))[:most])


def _moved(seen: NDArray[np.float64], head: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n, K] of a head [K, D] that looks at the same [n, D] for all labels, or at [n, K, D] for each at its own."""
    return np.asarray(seen @ head.T if seen.ndim == 2 else np.einsum("nkd,kd->nk", seen, head))


def _drawn(seen: NDArray[np.float64], slope: NDArray[np.float64]) -> NDArray[np.float64]:
    """[K, D] gradient of a head, from that of what it moved [n, K]."""
    return np.asarray(slope.T @ seen if seen.ndim == 2 else np.einsum("nk,nkd->kd", slope, seen))


def _fit(
    some: LabelSets, *, each: bool, looks_at: NDArray[np.float64] | None = None, width: float = 1.0
) -> Parameters:  # fmt: skip
    """Minimise by L-BFGS over log T, b, b_k, then the weights of what a head `looks_at`; `width` is their spread."""
    from scipy.optimize import minimize
    from scipy.special import expit

    count, labels = some.odds.shape
    rival = rivals(some.measured, some.right)
    wanted = some.right + rival / count  # with the imaginary document
    weight = 1 + 1 / count
    columns = 0 if looks_at is None else looks_at.shape[-1]
    end = 2 + labels

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        inverse, head = np.exp(-x[0]), x[end:].reshape(labels, columns)
        z = some.odds * inverse + some.log_prior + x[1] + x[2:end]
        if looks_at is not None:
            z += _moved(looks_at, head)
        value = nll(z, some.right).sum() + nll(z, rival).mean()
        slope = weight * expit(z) - wanted
        gradient = np.empty_like(x)
        gradient[0] = -inverse * (slope * some.odds).sum() + x[0] / TEMPERATURE_SPREAD**2
        gradient[1] = slope.sum() + x[1] / SHARED_SPREAD**2
        value += x[0] ** 2 / (2 * TEMPERATURE_SPREAD**2) + x[1] ** 2 / (2 * SHARED_SPREAD**2)
        value += (x[2:end] ** 2).sum() / (2 * OFFSET_SPREAD**2)
        gradient[2:end] = slope.sum(axis=0) + x[2:end] / OFFSET_SPREAD**2
        if looks_at is not None:
            value += (head**2).sum() / (2 * width**2)
            gradient[end:] = (_drawn(looks_at, slope) + head / width**2).ravel()
        return float(value) / count, gradient / count

    low, high = np.log(TEMPERATURES)
    bounds = [(low, high), (None, None), *[(None, None) if each else (0.0, 0.0)] * labels]
    bounds += [(None, None)] * (labels * columns)
    start = np.zeros(end + labels * columns)
    x = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _ITERATIONS}).x
    return Parameters(
        float(np.exp(x[0])),
        np.full(labels, x[1]) + x[2:end],
        head=None if looks_at is None else x[end:].reshape(labels, columns),
    )
