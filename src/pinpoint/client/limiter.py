"""How many jobs are in flight: more while all goes well, half as many when the service is too busy (AIMD).

Up to the first 429 the window grows by one with every answer, so it doubles with each round of them; after it, by one
a round. Cuts within a moment of each other are one: all that was in flight is refused together.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

START, LEAST = 4.0, 1.0
ONE_CUT_S = 1.0
IN_FLIGHT_BYTES = 100_000_000  # of requests, whatever the window: they are kept until they are answered


class Limiter:
    """A window of jobs. Belongs to one event loop.

    Attributes:
        window: how many may be in flight.
        in_flight, held_bytes: how many are, and the bytes of their requests.
        cuts: how often it was halved.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.window = min(START, float(most))
        self.in_flight = self.held_bytes = self.cuts = 0
        self._most = float(most)
        self._clock = clock
        self._cut_s = float("-inf")
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self, size_bytes: int) -> AsyncIterator[None]:
        """A place for one job; the first one gets it whatever its size."""
        while self._full(size_bytes):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()  # the turn may have been given to this one
                raise
        self.in_flight += 1
        self.held_bytes += size_bytes
        try:
            yield
        finally:
            self.in_flight -= 1
            self.held_bytes -= size_bytes
            self._wake()

    def went_well(self) -> None:
        """A job was answered."""
        self.window = min(self._most, self.window + (1.0 if not self.cuts else 1.0 / self.window))
        self._wake()

    def busy(self) -> None:
        """The service said that it is too busy."""
        now_s = self._clock()
        if now_s - self._cut_s >= ONE_CUT_S:
            self._cut_s = now_s
            self.cuts += 1
            self.window = max(LEAST, min(self.window, float(max(self.in_flight, 1))) / 2)

    def _full(self, size_bytes: int) -> bool:
        if not self.in_flight:
            return False
        return self.in_flight + 1 > self.window or self.held_bytes + size_bytes > IN_FLIGHT_BYTES

    def _wake(self) -> None:
        """Let all that wait look again, in their order: what one cannot use another may."""
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)
