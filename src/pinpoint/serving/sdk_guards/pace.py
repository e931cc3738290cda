"""Pauses between tries that come to nothing: each longer than the one before, up to a longest."""

from __future__ import annotations

MOST_DOUBLINGS = 30  # beyond any use, and far from an overflow


class Pace:
    """Doubles from `first_s` to `longest_s`; begins anew when something came."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._doublings = 0

    def next_s(self) -> float:
        """Seconds to wait after one more try that came to nothing."""
        pause_s = min(self._longest_s, self._first_s * 2.0**self._doublings)
        self._doublings = min(MOST_DOUBLINGS, self._doublings + 1)
        return pause_s

    def reset(self) -> None:
        """Something came: the next pause is the first."""
        self._doublings = 0
