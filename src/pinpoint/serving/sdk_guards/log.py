"""Guard `log`: the SDK's lines hold no answers and no credentials.

Below INFO the SDK writes every job and every answer down, with the names of its labels, and in the zero-shot shape with
its documents; in a local run it writes the answer at INFO as well. At any level its errors hold the addresses of failed
calls, and the query of an address is a credential. Here such lines are not written, whatever level was asked for, and
an address ends before its query. What others write (urllib3, uvicorn, a traceback) passes `streams`, which holds to the
same.

A failed check ends the process without unwinding: its lines are given time to be written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pinpoint.serving import streams
from pinpoint.serving.sdk_guards.probe import Target
from pinpoint.serving.secrets import without_queries
from pinpoint.serving.watch.log_words import printable

WRITTEN = frozenset({"INFO", "WARN", "ERROR", "TIP"})
WRITTEN_LOCALLY = WRITTEN - {"INFO"}


class LogGuard:
    """Replaces the one function that writes a line."""

    name = "log"
    targets = (
        Target("rp_logger", "RunPodLogger.log", "25efd358486f8d4b"),
        Target("rp_fitness", "_terminate_unhealthy", "704e836ecb80f8ef"),
    )

    def __init__(self, local: bool = False) -> None:
        """`local` where the SDK runs one job and prints its result."""
        self._written = WRITTEN_LOCALLY if local else WRITTEN

    def apply(self) -> None:
        """Put it before what the SDK would write."""
        from runpod.serverless.modules import rp_fitness, rp_logger

        log = rp_logger.RunPodLogger.log
        terminate: Callable[[int], None] = rp_fitness._terminate_unhealthy

        def discreet_log(logger: Any, message: Any, message_level: str = "INFO", job_id: str | None = None) -> None:
            if message_level in self._written:
                log(logger, without_queries(str(message)), message_level, job_id and printable(str(job_id)))

        def heard_terminate(code: int = 1) -> None:
            streams.flush()
            terminate(code)

        rp_logger.RunPodLogger.log = discreet_log
        rp_fitness._terminate_unhealthy = heard_terminate
