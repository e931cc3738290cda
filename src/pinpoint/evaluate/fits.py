"""What can be learned from a few labelled documents: fits, from the one that needs least to the one that needs most.

    temperature  T                  from 10 examples
    offsets      T, b               from 20
    state        T, b, V            from 50, where states were measured
    head         T, b, W            from 50, with 5 of every label

Each minimises the negative log-likelihood of the right labels plus a penalty that keeps it near "change nothing"; as
examples grow, the penalty fades.

    p_i = softmax(s_i/T + log prior + b + W f_i)        of V: V (h_i − mean h) in place of W f_i
    −Σ_i log p_i[right_i] − 1/n Σ_i log p_i[rival_i] + (log T)²/2σ² + |b|²/2τ² + |W|²/2ω²

The second sum is one imaginary document more, whose right label is the best of the others: by Laplace's rule, since ten
right answers do not show that wrong ones never come. Without it, all scores of a model that has made no mistake yet
would be sharpened, and the first mistake would cost more than all was worth. The test of a gain (`choosing.py`) has it
as well.

ω is such that a head drawn from it would move a score by some nats from document to document; of three sizes of it
cross-validation chooses. With both W and V nothing was gained over V alone (docs/log.md).
Vector and matrix scaling with such penalties: arXiv 2511.03685.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pinpoint.decide.calibration import FLOOR
from pinpoint.evaluate.examples import Examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_FOR_TEMPERATURE = 10
TEMPERATURES = (0.05, 20.0)
TEMPERATURE_SPREAD = 0.5  # σ: without examples, T is between 0.6 and 1.6 in two of three cases
OFFSET_SPREAD = 1.0  # τ, nats
HEAD_SPREADS = (2.0, 6.0, 18.0)  # nats that a head would move a score by, from document to document
# Examples times weights, which a head's time goes with: no head is fitted on more.
HEAD_WORK = 50_000_000
LEAST_LENGTH = 1e-6  # of states that are all alike

_ITERATIONS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """A fit of K labels: T, b [K], W [K, K] or None, V [K, P] or None, whose mean of h is part of b."""

    temperature: float
    offsets: NDArray[np.float64]
    head: NDArray[np.float64] | None = None
    state: NDArray[np.float64] | None = None

    def log_probs(self, examples: Examples) -> NDArray[np.float64]:
        """Calibrated log-probabilities [n, K], prior included."""
        z = examples.scores / self.temperature + (self.offsets + examples.log_prior)
        if self.head is not None:
            z += _features(examples) @ self.head.T
        if self.state is not None:
            z += _states(examples) @ self.state.T
        return log_softmax(z)


def log_softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows [n, K] whose exponentials sum to 1."""
    z = z - z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


def nll(log_probs: NDArray[np.float64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """[n] nats of the right label."""
    return np.asarray(-log_probs[np.arange(len(right)), right])


def rivals(examples: Examples) -> NDArray[np.int64]:
    """[n] the likeliest label beside the right one, as measured."""
    others = examples.scores + examples.log_prior
    others[np.arange(len(examples)), examples.right] = -np.inf
    return np.asarray(others.argmax(axis=1))


def unchanged(labels: int) -> Parameters:
    """What the model measured, as it is."""
    return Parameters(1.0, np.zeros(labels))


def fit_temperature(examples: Examples, base: NDArray[np.float64] | None = None) -> Parameters:
    """T alone; `base` [K] are offsets that are given."""
    return _fit(examples, base, offsets=False)


def fit_offsets(examples: Examples, base: NDArray[np.float64] | None = None) -> Parameters:
    """T and an offset for each label, which is shrunk to `base`."""
    return _fit(examples, base, offsets=True)


def fit_head(
    examples: Examples, base: NDArray[np.float64] | None = None, spread: float = HEAD_SPREADS[1]
) -> Parameters:
    """T, offsets and a head on the scores; of very many examples a random part is enough."""
    features = _features(examples)
    length = _length(features - features.mean(axis=0))
    examples = _enough(examples, examples.labels)
    return _fit(examples, base, offsets=True, looks_at=_features(examples), width=spread / max(length, 1.0))


def fit_state(
    examples: Examples, base: NDArray[np.float64] | None = None, spread: float = HEAD_SPREADS[1]
) -> Parameters:
    """T, offsets and a head on the states, which are centred, so that offsets do not depend on where they lie."""
    states = _states(examples)
    mean = states.mean(axis=0)
    length = _length(states - mean)
    examples = _enough(examples, states.shape[1])
    fitted = _fit(
        examples, base, offsets=True, looks_at=_states(examples) - mean, width=spread / max(length, LEAST_LENGTH)
    )
    assert fitted.head is not None
    return Parameters(fitted.temperature, fitted.offsets - fitted.head @ mean, None, fitted.head)


def work(examples: Examples, columns: int) -> int:
    """What the time of a head with so many columns goes with."""
    return len(examples) * examples.labels * columns


def _enough(examples: Examples, columns: int) -> Examples:
    most = HEAD_WORK // (examples.labels * columns)
    if len(examples) <= most:
        return examples
    return examples.take(np.random.default_rng(len(examples)).permutation(len(examples))[:most])


def _features(examples: Examples) -> NDArray[np.float64]:
    return np.maximum(examples.scores, -FLOOR)


def _states(examples: Examples) -> NDArray[np.float64]:
    assert examples.states is not None
    return examples.states


def _length(centred: NDArray[np.float64]) -> float:
    return float(np.sqrt((centred**2).sum(axis=1).mean()))


def _fit(
    examples: Examples,
    base: NDArray[np.float64] | None,
    *,
    offsets: bool,
    looks_at: NDArray[np.float64] | None = None,
    width: float = 1.0,
) -> Parameters:
    """Minimise by L-BFGS over log T, then b, then W, of what a head `looks_at` [n, D]; `width` is ω."""
    from scipy.optimize import minimize

    count, labels = examples.scores.shape
    given = np.zeros(labels) if base is None else base
    scores = examples.scores
    fixed = given + examples.log_prior
    rows, rival = np.arange(count), rivals(examples)
    b_end = 1 + labels * offsets
    columns = 0 if looks_at is None else looks_at.shape[1]

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        inverse = np.exp(-x[0])
        b, w = x[1:b_end], x[b_end:].reshape(-1, columns) if columns else x[b_end:]
        z = scores * inverse + fixed
        if offsets:
            z += b
        if looks_at is not None:
            z += looks_at @ w.T
        log_probs = log_softmax(z)
        slope = (1 + 1 / count) * np.exp(log_probs)
        slope[rows, examples.right] -= 1
        slope[rows, rival] -= 1 / count
        value = -log_probs[rows, examples.right].sum() - log_probs[rows, rival].mean()
        value += x[0] ** 2 / (2 * TEMPERATURE_SPREAD**2)
        gradient = np.empty_like(x)
        gradient[0] = -inverse * (slope * scores).sum() + x[0] / TEMPERATURE_SPREAD**2
        if offsets:
            value += (b**2).sum() / (2 * OFFSET_SPREAD**2)
            gradient[1:b_end] = slope.sum(axis=0) + b / OFFSET_SPREAD**2
        if looks_at is not None:
            value += (w**2).sum() / (2 * width**2)
            gradient[b_end:] = (slope.T @ looks_at + w / width**2).ravel()
        return float(value) / count, gradient / count

    size = b_end + labels * columns
    low, high = np.log(TEMPERATURES)
    bounds = [(low, high), *[(None, None)] * (size - 1)]
    x = minimize(loss, np.zeros(size), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _ITERATIONS}).x
    return Parameters(
        float(np.exp(x[0])),
        given + x[1:b_end] if offsets else given,
        None if looks_at is None else x[b_end:].reshape(labels, columns),
    )
