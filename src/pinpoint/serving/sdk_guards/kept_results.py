"""Results that were given up because the platform accepted none for too long, by job id, bounded in bytes and age."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass

from pinpoint.serving.watch.log_words import printable

log = logging.getLogger("pinpoint.sdk")

KEPT_FOR_S = 3600.0  # the platform keeps results for half as long


@dataclass(frozen=True, slots=True)
class Result:
    """A result as it goes over the wire."""

    job_id: str
    url: str
    body: bytes


class KeptResults:
    """Oldest first out when a bound is reached; whatever is lost has a line in the log."""

    def __init__(self, limit_bytes: int, kept_for_s: float = KEPT_FOR_S) -> None:
        self._limit_bytes = limit_bytes
        self._kept_for_s = kept_for_s
        self._held: OrderedDict[str, tuple[Result, float]] = OrderedDict()  # and since when
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def put(self, result: Result) -> None:
        """Keep a result; one of the same job that was kept before is replaced."""
        self.drop(result.job_id)
        self._held[result.job_id] = result, time.monotonic()
        self.bytes += len(result.body)
        while self.bytes > self._limit_bytes:
            self.lose(next(iter(self._held.values()))[0], "kept_results_full")

    def drop(self, job_id: str) -> None:
        """Forget the result of a job: it was accepted, or another one was, or nobody wants it."""
        held = self._held.pop(job_id, None)
        if held is not None:
            self.bytes -= len(held[0].body)

    def lose(self, result: Result, why: str) -> None:
        """Give a result up, and say so."""
        self.drop(result.job_id)
        log.error("job=%s status=lost at=post bytes=%d why=%s", printable(result.job_id), len(result.body), why)

    def lose_old(self) -> None:
        """Give up what has been kept for longer than the platform would know its job."""
        oldest_s = time.monotonic() - self._kept_for_s
        for result, since_s in list(self._held.values()):
            if since_s < oldest_s:
                self.lose(result, "too_old")

    def holds(self, result: Result) -> bool:
        """Whether this very result is still kept: another of the same job may have taken its place meanwhile."""
        return self._held.get(result.job_id, (None, 0.0))[0] is result

    @property
    def results(self) -> list[Result]:
        """All that is kept, longest kept first."""
        return [result for result, _ in self._held.values()]
