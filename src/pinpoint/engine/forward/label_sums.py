"""Each label's log-probability as the sum of its terms, all labels at once.

To the bit what Python's `sum` gives from 3.12 on: in the order of the terms, each rounding error kept and added in the
end (Neumaier 1974, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen").

Axes: E terms of all labels, K labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pinpoint.engine.forward.trie_layout import Ints


def label_sums(terms: NDArray[np.float64], lengths: Ints) -> NDArray[np.float64]:
    """[K] sums of runs of `terms` [E], given how many each has [K]. Slow twin: tests/reference/packing.py."""
    longest_first = np.argsort(-lengths, kind="stable")
    ordered = lengths[longest_first]
    starts = (np.cumsum(lengths) - lengths)[longest_first]
    # Of the longest first, those that have a next term are always the first few.
    sums, errors = np.zeros((2, len(lengths)))
    with np.errstate(invalid="ignore"):  # of a label that cannot be
        for step in range(int(ordered[0]) if len(ordered) else 0):
            left = np.searchsorted(-ordered, -step)
            before, term = sums[:left], terms[starts[:left] + step]
            after = before + term
            larger, smaller = np.where(np.abs(before) >= np.abs(term), (before, term), (term, before))
            errors[:left] += (larger - after) + smaller
            sums[:left] = after
    result = np.empty_like(sums)
    result[longest_first] = np.where(np.isfinite(errors), sums + errors, sums)
    return result
