"""Where one document ends and the next begins in a packet of pages: the best cut, and how likely each boundary is.

Two kinds of evidence, both log-probabilities: of each page, what the label of its document is; of each two neighbours,
whether the second begins a document. A packet is read as a chain. At each page either the document goes on, and its
label stays, or another one begins, with any label:

    log P(cut, labels | pages) = Σ log P(begins or goes on) + w · Σ log P(label of its document | page) + const

The best cut is Viterbi's, the boundaries' probabilities are those of the forward-backward algorithm over all cuts and
labels. w is below 1, since the pages of a document do not speak independently of each other, and the log-odds of a
boundary are taken at a share v of what the model says, since small models are surer of it than they are right. All
labels are equally likely at a beginning, so that the number of labels moves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# w and v, from generated packets and the embedded model: docs/log.md has what others give.
PAGE_WEIGHT, BOUNDARY_WEIGHT = 0.5, 0.9
FLOOR = -20.0  # of a page's log-probability: one page that rules a label out does not decide for all

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cut:
    """A packet, cut.

    Attributes:
        starts: pages that begin a document, the first page among them.
        begins: of each page, the probability that it begins one; 1 for the first.
    """

    starts: tuple[int, ...]
    begins: tuple[float, ...]

    def segments(self, pages: int) -> list[range]:
        """The pages of each document."""
        return [range(start, end) for start, end in zip(self.starts, [*self.starts[1:], pages], strict=True)]


def cut(
    labels: Sequence[Sequence[float]],
    begins: Sequence[float],
    weight: float = PAGE_WEIGHT,
    trust: float = BOUNDARY_WEIGHT,
) -> Cut:
    """The best cut of a packet.

    Args:
        labels: log-probabilities, pages × labels, each row up to a constant.
        begins: log-odds that a page begins a document, of each page from the second on.
        weight: of a page's evidence for a label.
        trust: the share of `begins` that counts.
    """
    pages = len(labels)
    emitted = np.maximum(_normalised(np.asarray(labels, dtype=np.float64)), FLOOR) * weight
    # log σ(x) and log σ(−x), without overflow.
    odds = trust * np.asarray(begins, dtype=np.float64).reshape(pages - 1)
    begin, goes_on = -np.logaddexp(0.0, -odds), -np.logaddexp(0.0, odds)
    any_label = -np.log(emitted.shape[1])
    return Cut(_viterbi(emitted, begin, goes_on, any_label), _marginals(emitted, begin, goes_on, any_label))


def _viterbi(emitted: Array, begin: Array, goes_on: Array, any_label: float) -> tuple[int, ...]:
    pages = len(emitted)
    best = any_label + emitted[0]
    came = np.zeros((pages, emitted.shape[1]), dtype=np.int64)  # the label before, or -1 - label where one begins
    for page in range(1, pages):
        before = int(np.argmax(best))
        started = best[before] + begin[page - 1] + any_label
        stayed = best + goes_on[page - 1]
        came[page] = np.where(stayed >= started, np.arange(len(best)), -1 - before)
        best = np.maximum(stayed, started) + emitted[page]
    label, starts = int(np.argmax(best)), [0]
    for page in range(pages - 1, 0, -1):
        before = int(came[page, label])
        if before < 0:
            starts.append(page)
            label = -1 - before
    return tuple(sorted(starts))


def _marginals(emitted: Array, begin: Array, goes_on: Array, any_label: float) -> tuple[float, ...]:
    pages = len(emitted)
    forward, backward = np.empty_like(emitted), np.zeros_like(emitted)
    forward[0] = any_label + emitted[0]
    for page in range(1, pages):
        started = np.logaddexp.reduce(forward[page - 1]) + begin[page - 1] + any_label
        forward[page] = np.logaddexp(forward[page - 1] + goes_on[page - 1], started) + emitted[page]
    for page in range(pages - 2, -1, -1):
        ahead = backward[page + 1] + emitted[page + 1]
        started = np.logaddexp.reduce(ahead) + begin[page] + any_label
        backward[page] = np.logaddexp(ahead + goes_on[page], started)
    total = np.logaddexp.reduce(forward[-1])
    probabilities = [1.0]
    for page in range(1, pages):
        started = np.logaddexp.reduce(forward[page - 1]) + begin[page - 1] + any_label
        through = np.logaddexp.reduce(started + emitted[page] + backward[page])
        probabilities.append(float(np.clip(np.exp(through - total), 0.0, 1.0)))
    return tuple(probabilities)


def _normalised(values: Array) -> Array:
    """Rows as log-probabilities; a row that rules everything out says nothing."""
    silent = np.logical_not(np.isfinite(values)).all(axis=1)
    values = np.where(silent[:, None], 0.0, values)
    highest = values.max(axis=1, keepdims=True)
    shifted = values - highest
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
