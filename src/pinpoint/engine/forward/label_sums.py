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
    starts = (np.cumsum(lengths) - lengths)[longest_first]
    # Of the longest first, those that have a next term are always the first few: so many at each step.
    left = len(lengths) - np.cumsum(np.bincount(lengths))[:-1]
    sums, errors = np.zeros((2, len(lengths)))
    with np.errstate(invalid="ignore"):  # of a label that cannot be
        for step, count in enumerate(left.tolist()):
            before, term = sums[:count], terms[starts[:count] + step]
            after = before + term
            # What rounding took of it, exactly, whichever of the two is larger (Knuth's 2Sum).
            part = after - before
            errors[:count] += (before - (after - part)) + (term - part)
            sums[:count] = after
    result = np.empty_like(sums)
    result[longest_first] = np.where(np.isfinite(errors), sums + errors, sums)
    return result
