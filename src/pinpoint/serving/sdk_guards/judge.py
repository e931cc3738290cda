"""Ending a worker whose interpreter lock is held: from the ping process, since nobody inside can.

The watchdog is a thread and needs the lock. As long as it gets it, it moves a number in memory that is shared with the
ping process; there a thread sees whether the number moves. If it does not for `stands_s` of that thread's own ticks
(not of a clock: a pause freezes both, and of a worker that is stopped alone the kernel says so), the worker is
ended by two signals whose handlers are C code and need no lock: one writes where every thread stands, the other is
`_exit`. SIGKILL would not do: the kernel shields the first process of a container from it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
import signal
import sys
import threading
import time
from pathlib import Path

from pinpoint.serving import streams

TRACE = 63  # the last of Linux's real-time signals but one: nobody else's
EXIT = 62  # and so the exit code, which is what `_exit` is called with
TRACE_S = 1.0  # for the stacks to be written
REPORT_S = 3.0  # the SDK bounds its report to 2 s a phase


class Judge:
    """One number, moved by the worker and looked at by the ping process, which must be its fork."""

    def __init__(self, stands_s: float, tick_s: float) -> None:
        self._stands_s = stands_s
        self._tick_s = tick_s
        self._beats = memoryview(mmap.mmap(-1, 8)).cast("Q")

    def arm(self) -> None:
        """In the worker: let it be ended from outside. Linux alone has these signals."""
        if sys.platform != "linux":
            return
        faulthandler.register(TRACE, file=streams.urgent_fd(), all_threads=True)
        libc = ctypes.CDLL(None)
        libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
        libc.signal(EXIT, ctypes.cast(libc._exit, ctypes.c_void_p))

    def beat(self) -> None:
        """In the worker, at every tick of its watchdog; before the first nobody is judged."""
        self._beats[0] += 1

    def start(self, worker: int) -> None:
        """In the ping process: watch the worker of this process id."""
        if self._stands_s > 0:
            threading.Thread(target=self._watch, args=(worker,), name="judge", daemon=True).start()

    def _watch(self, worker: int) -> None:
        seen, stood = 0, 0
        while True:
            time.sleep(self._tick_s)
            beats = self._beats[0]
            stood = 0 if beats != seen or not beats or _stopped(worker) else stood + 1
            seen = beats
            if stood * self._tick_s > self._stands_s:
                self._end(worker, beats)
                stood = 0

    def _end(self, worker: int, seen: int) -> None:
        streams.urgent(
            f"CRITICAL pinpoint.sdk watchdog: the interpreter lock was held for {self._stands_s:.1f} s; "
            f"ending the worker with {EXIT} unless it goes on"
        )
        os.kill(worker, TRACE)
        report = threading.Thread(target=_report, daemon=True)
        report.start()
        time.sleep(TRACE_S)
        report.join(REPORT_S)
        if self._beats[0] != seen:  # it goes on after all
            return
        os.kill(worker, EXIT)
        time.sleep(TRACE_S)
        os.kill(worker, signal.SIGKILL)


def _report() -> None:
    from runpod.serverless.modules import rp_fitness

    rp_fitness._report_unhealthy("watchdog", "the interpreter lock was held")


def _stopped(process: int) -> bool:
    """Whether a process is stopped by a signal or a debugger: it cannot move anything then."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in ("T", "t")
    except (OSError, IndexError):
        return False
