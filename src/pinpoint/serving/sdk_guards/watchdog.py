"""Guard `watchdog`: a worker that makes no progress leaves.

Pings come from another process, so a worker whose forward pass hangs in a kernel, or whose event loop is blocked,
looks healthy for ever and keeps its jobs. A thread looks every second whether a forward pass has run for longer than
`hang_s`, or the event loop has not answered for as long. If so it says where every thread stands, tells the platform
"unhealthy", ends the ping process and leaves with code 70; the platform gives the jobs to another worker.

That thread needs the interpreter lock. Should a hung call hold it, the interpreter's own timer (faulthandler), which
needs no lock and is wound up anew every second, ends the process after twice `hang_s`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator

from pinpoint.serving.sdk_guards.probe import Target
from pinpoint.serving.sdk_guards.runtime import Runtime

EXIT_CODE = 70  # EX_SOFTWARE
REPORT_S = 3.0  # the SDK bounds its report to 2 s a phase


class WatchdogGuard:
    """Watches forward passes and the event loop while the worker's loop runs."""

    name = "watchdog"
    targets = (Target("rp_fitness", "_report_unhealthy", "527848b76a3abfe0"),)

    def __init__(self, hang_s: float, runtime: Runtime) -> None:
        self._hang_s = hang_s
        self._runtime = runtime
        self._forwards: dict[object, float] = {}  # token → when its forward pass began
        self._answered_s = 0.0
        self._loop_ended = False

    def difference(self) -> str | None:
        """Off where told so."""
        return None if self._hang_s > 0 else "hang_s is 0"

    def apply(self) -> None:
        """Watch from the start of the worker's loop."""
        self._runtime.on_start.append(self._start)
        self._runtime.on_end.append(self._end)

    @contextlib.contextmanager
    def forward(self) -> Iterator[None]:
        """A forward pass runs in this thread."""
        token = object()
        self._forwards[token] = time.monotonic()
        try:
            yield
        finally:
            del self._forwards[token]

    def _start(self) -> None:
        self._answered_s = time.monotonic()
        self._wind()  # not only at the first look: what holds the lock before it would let nobody look
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _end(self) -> None:
        # Forward passes are still watched: leaving waits for their threads.
        self._loop_ended = True

    def _beat(self) -> None:
        self._answered_s = time.monotonic()

    def _watch(self) -> None:
        pause_s = min(1.0, self._hang_s / 4)
        while True:
            time.sleep(pause_s)
            self._wind()
            self._runtime.call_in_loop(self._beat)
            now_s = time.monotonic()
            oldest_s = min(list(self._forwards.values()), default=now_s)
            if now_s - oldest_s > self._hang_s:
                self._leave("forward", now_s - oldest_s)
            if not self._loop_ended and now_s - self._answered_s > self._hang_s:
                self._leave("event_loop", now_s - self._answered_s)

    def _wind(self) -> None:
        """Have the interpreter end the process unless this is called again in time."""
        faulthandler.dump_traceback_later(2 * self._hang_s, exit=True, file=sys.__stderr__ or 2)

    def _leave(self, what: str, stood_s: float) -> None:
        # No logging: whoever hangs may hold its lock.
        line = (
            f"CRITICAL pinpoint.sdk watchdog: {what} made no progress for {stood_s:.1f} s; leaving with {EXIT_CODE}\n"
        )
        with contextlib.suppress(OSError):
            os.write(2, line.encode())
        with contextlib.suppress(Exception):
            faulthandler.dump_traceback(file=sys.__stderr__ or 2, all_threads=True)
        with contextlib.suppress(Exception):
            from runpod.serverless.modules import rp_fitness

            report = threading.Thread(
                target=rp_fitness._report_unhealthy, args=("watchdog", f"{what} made no progress"), daemon=True
            )
            report.start()
            report.join(REPORT_S)
        with contextlib.suppress(Exception):
            for child in multiprocessing.active_children():  # the ping process, and the sandboxes of documents
                child.kill()
        os._exit(EXIT_CODE)
