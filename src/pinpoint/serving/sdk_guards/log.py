"""Guard `log`: the SDK's lines hold no answers and no credentials.

Below INFO the SDK writes every answer down, with the names of its labels, and in the zero-shot shape with its
documents. At any level its errors hold the addresses of failed calls, and the query of an address is a credential. Here
lines below INFO are not written, whatever level was asked for, and an address ends before its query.
"""

from __future__ import annotations

import re
from typing import Any

from pinpoint.serving.sdk_guards.probe import Target

WRITTEN = frozenset({"INFO", "WARN", "ERROR", "TIP"})
# An address, or its path alone, as urllib3 words it.
_QUERY = re.compile(r"(/[^\s?'\"]*)\?[^\s'\")]*")


class LogGuard:
    """Replaces the one function that writes a line."""

    name = "log"
    targets = (Target("rp_logger", "RunPodLogger.log", "25efd358486f8d4b"),)

    def apply(self) -> None:
        """Put it before what the SDK would write."""
        from runpod.serverless.modules import rp_logger

        log = rp_logger.RunPodLogger.log

        def discreet_log(logger: Any, message: Any, message_level: str = "INFO", job_id: str | None = None) -> None:
            if message_level in WRITTEN:
                log(logger, without_queries(str(message)), message_level, job_id)

        rp_logger.RunPodLogger.log = discreet_log


def without_queries(message: str) -> str:
    """A message whose addresses end before their query."""
    return _QUERY.sub(r"\1?…", message)
