"""Guard `ping`: the process that says "alive" lives as long as the worker, neither longer nor shorter.

The SDK pings from a process of its own. When the worker is killed, or leaves by `os._exit`, that process lives on and
goes on naming the dead worker's jobs as in progress: they are not given to anyone else. The kernel can end it
(Linux). When the ping process itself is killed, dies of an error or hangs, nobody notices: the worker goes on taking
jobs, which the platform takes away from it again. Here an error is one line in the log and the next ping, and a thread
of the worker starts the process anew when it has died or has not been heard of.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import mmap
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from pinpoint.serving.sdk_guards.judge import Judge
from pinpoint.serving.sdk_guards.probe import Target

log = logging.getLogger("pinpoint.sdk")

PR_SET_PDEATHSIG = 1  # linux/prctl.h
LOOK_S = 1.0
FIRST_PAUSE_S = 1.0  # before a process that died at once is started anew; doubles
LONGEST_PAUSE_S = 30.0
# One ping is tried four times, connects and reads within twice the interval each, and pauses in between.
SILENT_INTERVALS = 20
SILENT_S = 60.0


class PingGuard:
    """Wraps the first function of the ping process, each ping, and the process's start."""

    name = "ping"
    targets = (
        Target("rp_ping", "Heartbeat.__init__", "6c6e3fc078a5362c"),
        Target("rp_ping", "Heartbeat.process_loop", "f54db565723eff22"),
        Target("rp_ping", "Heartbeat.start_ping", "a8ca44bfd5514a09"),
        Target("rp_ping", "Heartbeat.ping_loop", "7904a80e2bfec1d8"),
        Target("rp_ping", "Heartbeat._send_ping", "9dea1914ce060da6"),
    )

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._pings = memoryview(mmap.mmap(-1, 8)).cast("Q")  # counted there, read here
        self._leaving = threading.Event()

    def difference(self) -> str | None:
        """Linux alone ends a child with its parent."""
        return None if sys.platform == "linux" else f"{sys.platform} has no parent-death signal"

    def apply(self) -> None:
        """Replace them where the SDK looks them up."""
        from runpod.serverless.modules import rp_ping

        process_loop: Callable[..., None] = rp_ping.Heartbeat.process_loop
        start_ping, send_ping = rp_ping.Heartbeat.start_ping, rp_ping.Heartbeat._send_ping
        parent = os.getpid()

        def mortal_loop(mirror: Any = None, test: bool = False) -> None:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died in between
                os._exit(1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the worker's handlers are not ours
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._judge.start(parent)
            process_loop(mirror, test)

        def counted_ping(heartbeat: Any) -> None:
            heartbeat.PING_INTERVAL = max(1, heartbeat.PING_INTERVAL)  # 0 is no time to connect in
            try:
                send_ping(heartbeat)
            except Exception as error:  # the SDK expects those of requests alone
                log.error("ping failed: type=%s", type(error).__name__)
            self._pings[0] += 1

        def watched_start(heartbeat: Any, mirror: Any = None, test: bool = False) -> None:
            before = set(multiprocessing.active_children())
            start_ping(heartbeat, mirror, test)
            started = [child for child in multiprocessing.active_children() if child not in before]
            if not started or test:
                return
            silent_s = SILENT_S + SILENT_INTERVALS * max(1, heartbeat.PING_INTERVAL)
            # Before the interpreter ends the process in good order, at which it would be started anew.
            atexit.register(self._leaving.set)
            threading.Thread(target=self._watch, args=(started[0], mirror, silent_s), name="ping", daemon=True).start()

        rp_ping.Heartbeat.process_loop = staticmethod(mortal_loop)
        rp_ping.Heartbeat._send_ping = counted_ping
        rp_ping.Heartbeat.start_ping = watched_start

    def _watch(self, process: BaseProcess, mirror: Any, silent_s: float) -> None:
        """Start the process anew whenever it has ended or is silent; in a thread that lives as long as the worker."""
        failures, heard, silent = 0, self._pings[0], 0
        while not self._leaving.wait(LOOK_S):
            pings = self._pings[0]
            # Looks are counted, not seconds: a pause of the worker is no silence.
            silent = 0 if pings != heard else silent + 1
            if pings != heard:
                failures = 0
            heard = pings
            if process.is_alive() and silent * LOOK_S <= silent_s:
                continue
            how = f"ended with {process.exitcode}" if not process.is_alive() else f"silent for {silent_s:.0f} s"
            process.kill()
            process.join(LOOK_S)
            if self._leaving.wait(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**failures) if failures else 0):
                return
            failures, silent = min(failures + 1, 10), 0
            log.error("the ping process %s and is started anew", how)
            process = self._started(mirror) or process

    def _started(self, mirror: Any) -> BaseProcess | None:
        from runpod.serverless.modules import rp_ping

        process = multiprocessing.Process(target=rp_ping.Heartbeat.process_loop, args=(mirror, False), daemon=True)
        try:
            process.start()
        except OSError as error:  # no memory or no process left; the next look tries again
            log.error("the ping process cannot be started: type=%s", type(error).__name__)
            return None
        return process
