"""Whether what a task is asked about still looks like what it was taught with: labels, label mass, confidence.

Answers are compared with the file's reference in windows of `WINDOW`, one after the other, by three tests; a window
drifts where one of them finds what is both unlikely to be chance and large enough to matter:

    labels       chi-square of two samples, p < 0.001, and a population stability index of 0.1 or more
    confidence   the same, over tenths of confidence
    label_mass   the difference of the means, p < 0.001, and 0.05 or more

Of windows that do not drift at most one in three hundred is called drifting. What is found is said, in the log, in
health and in the metrics; answers and promises stay as they are, and it is for people to teach anew.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from pinpoint.decide.task_file import CONFIDENCE_BINS, Reference

WINDOW = 300
SIGNIFICANCE = 0.001
LEAST_PSI = 0.1  # below it, populations are commonly called stable
LEAST_MASS_SHIFT = 0.05
LEAST_EXPECTED = 5.0  # in a cell of a chi-square test; rarer ones are put together


@dataclass(frozen=True, slots=True)
class Shift:
    """One figure of a window against the reference.

    Attributes:
        p_value: how likely so much or more is by chance.
        size: the population stability index; of label mass the difference of the means.
        drifts: whether both are beyond their limits.
    """

    p_value: float
    size: float
    drifts: bool


class Drift:
    """The answers by one task file. Any thread may add.

    Attributes:
        answers: seen since the start.
        last: the shifts of the last full window; empty before there was one.
    """

    def __init__(self, reference: Reference) -> None:
        self.answers = 0
        self.last: dict[str, Shift] = {}
        self._reference = reference
        self._lock = threading.Lock()
        self._begin()

    def add(self, position: int, confidence: float, label_mass: float) -> bool:
        """Take one answer: its best label's position, how probable it is, its label mass. Whether a window is full."""
        with self._lock:
            self.answers += 1
            self._labels[position] += 1
            self._confidences[min(int(confidence * CONFIDENCE_BINS), CONFIDENCE_BINS - 1)] += 1
            self._masses.append(label_mass)
            if len(self._masses) < WINDOW:
                return False
            self.last = self._shifts()
            self._begin()
            return True

    @property
    def drifting(self) -> dict[str, Shift]:
        """The shifts of the last full window that are beyond their limits."""
        return {name: shift for name, shift in self.last.items() if shift.drifts}

    def _begin(self) -> None:
        self._labels = [0] * len(self._reference.label_distribution)
        self._confidences = [0] * CONFIDENCE_BINS
        self._masses: list[float] = []

    def _shifts(self) -> dict[str, Shift]:
        known = self._reference
        return {
            "labels": shares_shift(self._labels, known.label_distribution, known.n),
            "confidence": shares_shift(self._confidences, known.confidence_histogram, known.n),
            "label_mass": mean_shift(self._masses, known.mean_label_mass, known.n),
        }


def shares_shift(counts: Sequence[int], shares: Sequence[float], n: int) -> Shift:
    """Counts of a window against the shares that `n` examples had."""
    before = [share * n for share in shares]
    now = sum(counts)
    whole = now + n
    cells = list[tuple[float, float]]()
    rare = (0.0, 0.0)
    for one, other in zip(counts, before, strict=True):
        if (one + other) * min(now, n) / whole < LEAST_EXPECTED:
            rare = (rare[0] + one, rare[1] + other)
        else:
            cells.append((one, other))
    if sum(rare) > 0:
        cells.append(rare)
    statistic = psi = 0.0
    for ours, theirs in cells:
        expected = (ours + theirs) * now / whole
        statistic += (ours - expected) ** 2 * (1 / expected + now / (n * expected))
        here, there = max(ours, 0.5) / now, max(theirs, 0.5) / n
        psi += (here - there) * math.log(here / there)
    p_value = chi_square_tail(statistic, len(cells) - 1)
    return Shift(p_value, psi, p_value < SIGNIFICANCE and psi >= LEAST_PSI)


def mean_shift(values: Sequence[float], mean: float, n: int) -> Shift:
    """The mean of a window against that of `n` examples, which are taken to scatter as the window does."""
    now = len(values)
    found = math.fsum(values) / now
    variance = math.fsum((value - found) ** 2 for value in values) / (now - 1)
    error = math.sqrt(variance * (1 / now + 1 / n))
    shift = found - mean
    p_value = math.erfc(abs(shift) / error / math.sqrt(2)) if error > 0 else float(shift == 0)
    return Shift(p_value, shift, p_value < SIGNIFICANCE and abs(shift) >= LEAST_MASS_SHIFT)


def chi_square_tail(x: float, degrees: int) -> float:
    """The probability that a chi-square variable of so many degrees of freedom exceeds x, by its finite sums."""
    half, total = x / 2, 0.0
    if degrees < 1 or half <= 0:
        return 1.0
    # Terms (x/2)^a / Γ(a + 1), a from 0 or 1/2 on, in logarithms: they are beyond a float before the factor in front.
    begin = 0.0 if degrees % 2 == 0 else 0.5
    for step in range(degrees // 2):
        a = begin + step
        total += math.exp(a * math.log(half) - math.lgamma(a + 1) - half)
    return min(1.0, total + (math.erfc(math.sqrt(half)) if degrees % 2 else 0.0))
