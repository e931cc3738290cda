"""Guard `watchdog`: a worker that makes no progress leaves.

Pings come from another process, so a worker whose forward pass hangs in a kernel, or whose event loop is blocked,
looks healthy for ever and keeps its jobs. A thread looks every second whether a forward pass has run for longer than
`hang_s`, or the event loop has not answered for as long. If so it says where every thread stands, tells the platform
"unhealthy", ends the ping process and leaves with code 70; the platform gives the jobs to another worker.

Time is counted in that thread's own ticks, not read from a clock: while the container is frozen (FlashBoot, SIGSTOP)
the thread does not tick either, and a pause of an hour is no hang of an hour. Where a single tick took longer than
`hang_s`, counting begins anew.

The thread needs the interpreter lock. Should a hung call hold it, the ping process ends the worker (`judge`) after
twice `hang_s`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator

from pinpoint.serving import streams
from pinpoint.serving.sdk_guards.judge import REPORT_S, Judge
from pinpoint.serving.sdk_guards.probe import Target
from pinpoint.serving.sdk_guards.runtime import Runtime

EXIT_CODE = 70  # EX_SOFTWARE
LINES_S = 0.5  # for lines that wait to be written


class _Pass:
    """A forward pass that runs, and how many ticks it has done so."""

    ticks = 0


class WatchdogGuard:
    """Watches forward passes and the event loop while the worker's loop runs."""

    name = "watchdog"
    targets = (Target("rp_fitness", "_report_unhealthy", "527848b76a3abfe0"),)

    def __init__(self, hang_s: float, runtime: Runtime, judge: Judge) -> None:
        self._hang_s = hang_s
        self._runtime = runtime
        self._judge = judge
        self._passes: set[_Pass] = set()
        self._unanswered = 0  # ticks since the event loop answered
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
        own = _Pass()
        self._passes.add(own)
        try:
            yield
        finally:
            self._passes.discard(own)

    def _start(self) -> None:
        self._judge.arm()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _end(self) -> None:
        # Forward passes are still watched: leaving waits for their threads.
        self._loop_ended = True

    def _answer(self) -> None:
        self._unanswered = 0

    def _watch(self) -> None:
        tick_s = watch_tick_s(self._hang_s)
        seen_s = time.monotonic()
        while True:
            self._judge.beat()
            time.sleep(tick_s)
            now_s = time.monotonic()
            self._look(tick_s, paused=now_s - seen_s > self._hang_s)
            seen_s = now_s

    def _look(self, tick_s: float, paused: bool) -> None:
        """One tick."""
        self._unanswered += 1
        for own in list(self._passes):
            own.ticks += 1
            if paused:
                own.ticks = 0
        if paused:
            self._unanswered = 0
        self._runtime.call_in_loop(self._answer)
        longest = max((own.ticks for own in list(self._passes)), default=0)
        if longest * tick_s > self._hang_s:
            self._leave("forward", longest * tick_s)
        if not self._loop_ended and self._unanswered * tick_s > self._hang_s:
            self._leave("event_loop", self._unanswered * tick_s)

    def _leave(self, what: str, stood_s: float) -> None:
        # No logging, and nothing that can wait: whoever hangs may hold its lock, and nobody may read the log.
        streams.flush(LINES_S)
        streams.urgent(
            f"CRITICAL pinpoint.sdk watchdog: {what} made no progress for {stood_s:.1f} s; leaving with {EXIT_CODE}"
        )
        with contextlib.suppress(Exception):
            faulthandler.dump_traceback(file=streams.urgent_fd(), all_threads=True)
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


def watch_tick_s(hang_s: float) -> float:
    """How often a hang of so many seconds is looked for."""
    return min(1.0, hang_s / 4)
