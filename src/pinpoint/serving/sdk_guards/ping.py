"""Guard `ping`: the process that says "alive" dies with the worker.

The SDK pings from a process of its own. When the worker is killed, or leaves by `os._exit`, that process lives on and
goes on naming the dead worker's jobs as in progress: they are not given to anyone else. The kernel can end it
(Linux).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from pinpoint.serving.sdk_guards.probe import Target

PR_SET_PDEATHSIG = 1  # linux/prctl.h


class PingGuard:
    """Wraps the first function of the ping process."""

    name = "ping"
    targets = (
        Target("rp_ping", "Heartbeat.process_loop", "f54db565723eff22"),
        Target("rp_ping", "Heartbeat.start_ping", "a8ca44bfd5514a09"),
    )

    def difference(self) -> str | None:
        """Linux alone ends a child with its parent."""
        return None if sys.platform == "linux" else f"{sys.platform} has no parent-death signal"

    def apply(self) -> None:
        """Replace it where the SDK starts it from."""
        from runpod.serverless.modules import rp_ping

        process_loop: Callable[..., None] = rp_ping.Heartbeat.process_loop
        parent = os.getpid()

        def mortal_loop(mirror: Any = None, test: bool = False) -> None:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died in between
                os._exit(1)
            process_loop(mirror, test)

        rp_ping.Heartbeat.process_loop = staticmethod(mortal_loop)
