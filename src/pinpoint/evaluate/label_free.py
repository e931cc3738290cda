"""Corrections that need no labels: what a model prefers before it has read anything, taken off again.

    batch         b = −log of the mean share that documents give each label  (arXiv 2309.17249)
    content-free  b = −log of the share that a document without content gives it  (arXiv 2102.09690)

They are shown with what they would change, and put on only where they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pinpoint.evaluate import fits
from pinpoint.evaluate.choosing import Tried, compare
from pinpoint.evaluate.examples import Examples, relative

if TYPE_CHECKING:
    from numpy.typing import NDArray

LabelFree = Literal["content_free", "batch"]


@dataclass(frozen=True, slots=True)
class Offered:
    """A correction without labels that was not put on: what it would do."""

    name: LabelFree
    changed: float  # share of answers
    accuracy: float | None = None
    nll: float | None = None


def label_free_offsets(
    scores: NDArray[np.float64], content_free: NDArray[np.float64] | None
) -> dict[LabelFree, NDArray[np.float64]]:
    """Offsets [K] that need no labels.

    Batch calibration (Zhou et al. 2023, arXiv 2309.17249) takes off the mean of what documents are given; the
    content-free prior (Zhao et al. 2021, arXiv 2102.09690) what a document without content is given. Documents that
    judge are not looked at, not even without their labels.
    """
    shares = np.exp(fits.log_softmax(scores))
    found: dict[LabelFree, NDArray[np.float64]] = {"batch": -np.log(np.maximum(shares.mean(axis=0), 1e-9))}
    if content_free is not None:
        found["content_free"] = -fits.log_softmax(relative(content_free))[0]
    return {name: offsets - offsets.mean() for name, offsets in found.items()}


def compared(name: LabelFree, fitting: Examples, base: NDArray[np.float64]) -> Tried:
    """Whether it gains on the examples. It has seen no label, so the comparison needs no cross-validation."""
    before = fits.unchanged(fitting.labels).log_probs(fitting)
    return compare(name, fitting, before, fits.Parameters(1.0, base).log_probs(fitting))


def offer(name: LabelFree, offsets: NDArray[np.float64], examples: Examples) -> Offered:
    """What offsets that were not put on would do to the examples."""
    before = fits.unchanged(examples.labels).log_probs(examples)
    after = fits.Parameters(1.0, offsets).log_probs(examples)
    return Offered(
        name,
        changed=float((before.argmax(axis=1) != after.argmax(axis=1)).mean()),
        accuracy=float((after.argmax(axis=1) == examples.right).mean()),
        nll=float(fits.nll(after, examples.right).mean()),
    )
