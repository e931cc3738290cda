"""Time that this process was given, which a pause does not count against it.

A container can be frozen between two instructions and thawed an hour later (FlashBoot does it to idle workers, SIGSTOP
to any). On the system's clocks that hour has passed, so everything that was under way has missed its time: the poll
that brings the job for which the worker was woken, the deadline of a job, the post of its result. This clock is moved
on by a thread of its own, twice a second; where more than `LONGEST_S` lie between two moves, the process did not run,
and only so much is counted. It stands for the event loop's clock, so that every time-out of the loop is of this kind.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

TICK_S = 0.5
LONGEST_S = 5.0  # a busy machine may keep a thread waiting for a second or two


class GivenTime:
    """A monotonic clock, in seconds. Until `start` it is the system's; from then on it goes on from there."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen_s: float | None = None  # by the system's clock, at the last tick
        self._given_s = 0.0  # by this clock, then

    def start(self) -> None:
        """Count from now on, by a thread; once."""
        if self._seen_s is None:
            self.tick()
            threading.Thread(target=self._run, name="clock", daemon=True).start()

    def time(self) -> float:
        """Now."""
        now_s = self._clock()
        with self._lock:
            if self._seen_s is None:
                return now_s
            return self._given_s + min(now_s - self._seen_s, LONGEST_S)

    def tick(self) -> None:
        """Move on; called again within `LONGEST_S` as long as the process runs."""
        now_s = self._clock()
        with self._lock:
            self._given_s = now_s if self._seen_s is None else self._given_s + min(now_s - self._seen_s, LONGEST_S)
            self._seen_s = now_s

    def _run(self) -> None:
        while True:
            time.sleep(TICK_S)
            self.tick()
