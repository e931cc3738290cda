"""Documents whose right probabilities are known, and what a model that is off by known numbers measures of them."""

import numpy as np
from numpy.typing import NDArray

from pinpoint.evaluate.examples import Examples, make_examples
from pinpoint.evaluate.fits import log_softmax

Floats = NDArray[np.float64]


def measured(
    count: int, labels: int, seed: int, temperature: float = 1.0, offsets: Floats | None = None
) -> tuple[Floats, NDArray[np.int64]]:
    """Log-probabilities [n, K] and right labels [n]; temperature and offsets are those that put the scores right."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(count, labels)) * 2
    probabilities = np.exp(log_softmax(true))
    right = (rng.random((count, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    off = (true - (0 if offsets is None else offsets)) * temperature
    return log_softmax(off) - 0.1, np.minimum(right, labels - 1)


def examples(count: int, labels: int, seed: int, temperature: float = 1.0, offsets: Floats | None = None) -> Examples:
    log_probs, right = measured(count, labels, seed, temperature, offsets)
    return make_examples(log_probs, right.tolist())
