"""Results that were given up because the platform accepted nothing for too long, by job id, bounded in bytes."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass

log = logging.getLogger("pinpoint.sdk")


@dataclass(frozen=True, slots=True)
class Result:
    """A result as it goes over the wire."""

    job_id: str
    url: str
    body: bytes


class KeptResults:
    """Oldest first out when the bound is reached, each with a line in the log."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[str, Result] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def put(self, result: Result) -> None:
        """Keep a result; one of the same job that was kept before is replaced."""
        self.take(result.job_id)
        self._held[result.job_id] = result
        self.bytes += len(result.body)
        while self.bytes > self._limit_bytes:
            job_id, dropped = self._held.popitem(last=False)
            self.bytes -= len(dropped.body)
            log.error("job=%s status=lost at=post bytes=%d why=kept_results_full", job_id, len(dropped.body))

    def take(self, job_id: str) -> Result | None:
        """Give up the result of a job."""
        result = self._held.pop(job_id, None)
        if result is not None:
            self.bytes -= len(result.body)
        return result

    def take_oldest(self) -> Result | None:
        """Give up the result that has waited longest."""
        return self.take(next(iter(self._held))) if self._held else None
