"""File work that may hang, done by a thread that nobody has to wait for.

A call into a network volume that is stuck does not return and cannot be interrupted. So one daemon thread does all of
it, in order, and whoever needs an outcome waits for a bounded time. The thread of a stuck call is left behind: the end
of the process does not wait for it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

T = TypeVar("T")

DEADLINE_S = 5.0  # of one piece of work; a healthy volume takes milliseconds
STEPS = 10  # in which it is waited for: a pause of the process shortens one of them, not the deadline


class Hung(Exception):
    """The work has not ended in time; whether and when it will is not known."""


class FileWork:
    """One thread for the work of one folder. `idle` is called in it every `every_s`, between pieces of work."""

    def __init__(self, idle: Callable[[], None], every_s: float, deadline_s: float = DEADLINE_S) -> None:
        self.deadline_s = deadline_s
        self._idle = idle
        self._every_s = every_s
        self._queue: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def later(self, call: Callable[[], T]) -> Future[T]:
        """Have it done after all that was asked for before."""
        future: Future[T] = Future()
        self._queue.put((call, future))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="state", daemon=True)
                self._thread.start()
        return future

    def now(self, call: Callable[[], T]) -> T:
        """Do it and return what it returns.

        Raises:
            Hung: not within the deadline; and whatever the call raises.
        """
        future = self.later(call)
        for _ in range(STEPS):
            wait([future], self.deadline_s / STEPS)
            if future.done():
                return future.result()
        raise Hung

    async def soon(self, call: Callable[[], T]) -> T:
        """The same from an event loop, which goes on meanwhile."""
        future = asyncio.wrap_future(self.later(call))
        for _ in range(STEPS):
            await asyncio.wait({future}, timeout=self.deadline_s / STEPS)
            if future.done():
                return future.result()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody looks at it any more
        raise Hung

    def _run(self) -> None:
        due_s = time.monotonic() + self._every_s
        while True:
            try:
                call, future = self._queue.get(timeout=max(0.0, due_s - time.monotonic()))
            except queue.Empty:
                self._idle()
                due_s = time.monotonic() + self._every_s
                continue
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)
