"""SIGTERM before the worker takes jobs: it leaves at once.

The kernel gives the first process of a container no default for SIGTERM: as long as it has no handler of its own, the
signal is lost, and a worker told to leave while its model loads would go on to take jobs. So a handler stands before
anything else is imported. Once the SDK's loop runs, its own handler takes over, which drains first.

Nothing but the standard library is imported here.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from types import FrameType

from pinpoint.serving import streams


def leave_on(*numbers: signal.Signals) -> None:
    """From now on these signals end the process at once, with a line in the log. In the main thread."""
    for number in numbers:
        signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    streams.flush(0.2)
    streams.urgent(f"leaving: {signal.Signals(number).name} came before the worker took jobs")
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(128 + number)
