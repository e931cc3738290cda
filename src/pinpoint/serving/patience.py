"""How long a forward pass with room waits for jobs that are being encoded.

A job that comes too late waits for a whole pass; one that is there waits for as long as the pass does. So a pass waits
for a share of what passes take here: a twentieth of a second where they take half of one, a few milliseconds where they
take tens. The wait ends with the last job that is expected, and where nobody is, there is none.
"""

from __future__ import annotations

from collections import deque
from statistics import median

# Of what the last passes took.
SHARE = 0.1
# What encoding a page takes, and beyond what a wait is felt; before the first pass, the former with some room.
LEAST_S, MOST_S, FIRST_S = 0.002, 0.05, 0.005
PASSES = 15


class Patience:
    """The wait that is set, or one that goes with the passes."""

    def __init__(self, set_s: float | None) -> None:
        self._set_s = set_s
        self._passes_s: deque[float] = deque(maxlen=PASSES)

    def passed(self, seconds: float) -> None:
        """A pass took so long. Any thread."""
        self._passes_s.append(seconds)

    @property
    def most_s(self) -> float:
        """How long to wait at most."""
        if self._set_s is not None:
            return self._set_s
        taken = list(self._passes_s)
        return min(MOST_S, max(LEAST_S, SHARE * median(taken))) if taken else FIRST_S
