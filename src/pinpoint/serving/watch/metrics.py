"""What the worker counts: one line for each job and each batch, a summary, and the figures that a health job answers.

A line holds ids, codes, counts, times and bytes. Nothing that a caller wrote gets into one: a field path is cut down to
the contract's own names (`tasks.*.labels[2].name`), and a job id to 64 printable characters.

    metrics = Metrics()
    with metrics.loading():
        scorer = load(…)
    metrics.probe = scorer.memory          # what the device holds now; without it, the last record's is shown
    metrics.batch_done(BatchRecord(…))     # in the forward thread
    metrics.job_done(JobRecord(…))         # in the event loop
    metrics.snapshot()                     # any thread

Counts are since the start. Medians and rates are of a sliding window, the last `WINDOW_S` seconds and at most
`WINDOW_RECORDS` records, so that memory stays bounded and an old hour does not hide a bad minute.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, Generic, TypeVar

from pinpoint.api.response import memory_to_wire
from pinpoint.engine.readings import Memory, process_age_s
from pinpoint.serving.watch.health import VitalSigns
from pinpoint.serving.watch.host import free_host_bytes
from pinpoint.serving.watch.log_words import contract_path, printable
from pinpoint.serving.watch.records import BatchRecord, JobRecord
from pinpoint.serving.watch.telemetry import Watcher

log = logging.getLogger("pinpoint")

WINDOW_S = 600.0
WINDOW_RECORDS = 1000  # some 0.5 MB of records; sorted for a summary in about a millisecond
DRIFT_BATCHES = 32  # memory that this many batches in a row do not give back is held by nobody's intention
TELLING_TOKENS = 8  # of explanations in a pass: as many as are asked of the device at a time (`forward/generate.py`)

# Figures that rest on tokens computed.
COMPUTED = (
    ("batches", "tokens_computed"), ("batches", "cached_share"), ("window", "tokens_per_s"), ("window", "cached_share")
)  # fmt: skip

Clock = Callable[[], float]
RecordT = TypeVar("RecordT")


class _Window(Generic[RecordT]):
    """The latest records, each with its time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: deque[tuple[float, RecordT]] = deque(maxlen=WINDOW_RECORDS)

    def add(self, record: RecordT) -> None:
        self._held.append((self._clock(), record))

    def records(self) -> list[RecordT]:
        self._expire()
        return [record for _, record in self._held]

    def since(self) -> float | None:
        """When the oldest record came."""
        self._expire()
        return self._held[0][0] if self._held else None

    def _expire(self) -> None:
        oldest = self._clock() - WINDOW_S
        while self._held and self._held[0][0] < oldest:
            self._held.popleft()


class Metrics:
    """Counts of one worker. Every method may be called from any thread.

    Attributes:
        probe: what the device holds now; None shows what the last record said.
        watchers: told of every record as well, outside of any lock.
        further: reasons not to be well that are found elsewhere.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.probe: Callable[[], Memory] | None = None
        self.watchers: list[Watcher] = []
        self.further: Callable[[], Mapping[str, str]] = dict
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._jobs: _Window[JobRecord] = _Window(clock)
        self._batches: _Window[BatchRecord] = _Window(clock)
        self._counts: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._load_began: float | None = None
        self._load_s: float | None = None
        self._age_s = process_age_s()  # when `_began` was
        self._first_answer_s: float | None = None
        self._memory: Memory | None = None
        self._drifts: deque[int] = deque(maxlen=DRIFT_BATCHES)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Held while the model is loaded; a load that fails is not counted as one."""
        with self._lock:
            began = self._load_began = self._clock()
        try:
            yield
            with self._lock:
                self._load_s = self._clock() - began
        finally:
            with self._lock:
                self._load_began = None

    def job_done(self, record: JobRecord) -> None:
        """Count a job and write its line."""
        for watcher in self.watchers:
            watcher.job_done(record)
        with self._lock:
            self._jobs.add(record)
            self._counts["answered" if record.code is None else "failed"] += 1
            self._counts["documents"] += record.documents
            self._counts["failed_documents"] += record.failed_documents
            if record.code is not None:
                self._errors[record.code] += 1
            first = record.code is None and self._first_answer_s is None
            if first:
                self._first_answer_s = self._age_s + self._clock() - self._began
            self._memory = record.memory or self._memory
        identity = printable(record.job_id)
        if record.code is not None:
            log.warning(
                "job=%s status=error code=%s field=%s documents=%d total_ms=%.1f",
                identity, record.code, contract_path(record.field), record.documents, record.total_ms,
            )  # fmt: skip
            return
        log.info(
            "job=%s status=ok documents=%d failed=%d tokens_asked=%d tokens_computed=%d cached_share=%.3f batches=%d "
            "bytes=%d queue_ms=%.1f forward_ms=%.1f total_ms=%.1f%s",
            identity, record.documents, record.failed_documents, record.tokens_asked, record.tokens_computed,
            cached_share(record.tokens_asked, record.tokens_computed), record.batches, record.response_bytes,
            record.queue_ms, record.forward_ms, record.total_ms, _memory_words(record.memory),
        )  # fmt: skip
        if first:
            log.info("first answer: process_s=%.2f", self._first_answer_s)

    def batch_done(self, record: BatchRecord) -> None:
        """Count a forward pass and write its line."""
        for watcher in self.watchers:
            watcher.batch_done(record)
        with self._lock:
            self._batches.add(record)
            self._counts["batches"] += 1
            self._counts["out_of_memory"] += record.code == "out_of_memory"
            self._counts["tokens_asked"] += record.tokens_asked
            self._counts["tokens_computed"] += record.tokens_computed
            self._counts["tokens_written"] += record.tokens_written
            number = self._counts["batches"]
            self._memory = record.memory or self._memory
            if record.code is None and (drift := record.drift_bytes) is not None:
                self._drifts.append(drift)
        log.log(
            logging.INFO if record.code is None else logging.WARNING,
            "batch=%d status=%s jobs=%d documents=%d asks=%d tokens_asked=%d tokens_computed=%d cached_share=%.3f "
            "tokens_written=%d queue_ms=%.1f forward_ms=%.1f decode_ms=%.1f%s",
            number, "ok" if record.code is None else f"error code={record.code}", record.jobs, record.documents,
            record.asks, record.tokens_asked, record.tokens_computed,
            cached_share(record.tokens_asked, record.tokens_computed), record.tokens_written, record.queue_ms,
            record.forward_ms, record.decode_ms, _memory_words(record.memory),
        )  # fmt: skip

    def snapshot(self) -> dict[str, Any]:
        """All figures, as plain values fit for JSON; a rate or a median of nothing is None."""
        memory = self._now()
        with self._lock:
            jobs = [record for record in self._jobs.records() if record.code is None]
            batches = [record for record in self._batches.records() if record.code is None]
            since = [began for began in (self._jobs.since(), self._batches.since()) if began is not None]
            window_s = self._clock() - min(since) if since else 0.0
            counts, now = self._counts, self._clock()
            asked, computed = counts["tokens_asked"], counts["tokens_computed"]
            return {
                "uptime_s": round(now - self._began, 1),
                "load_s": None if self._load_s is None else round(self._load_s, 2),
                "first_answer_s": None if self._first_answer_s is None else round(self._first_answer_s, 2),
                "jobs": {
                    "answered": counts["answered"],
                    "failed": counts["failed"],
                    "errors": dict(sorted(self._errors.items())),
                    "documents": counts["documents"],
                    "failed_documents": counts["failed_documents"],
                },
                "batches": {
                    "done": counts["batches"],
                    "out_of_memory": counts["out_of_memory"],
                    "tokens_asked": asked,
                    "tokens_computed": computed,
                    "tokens_written": counts["tokens_written"],
                    "cached_share": round(cached_share(asked, computed), 4),
                },
                "window": {
                    "seconds": round(window_s, 1),
                    "jobs": len(jobs),
                    "jobs_per_s": _rate(len(jobs), window_s),
                    "jobs_per_batch": _rate(sum(record.jobs for record in batches), len(batches)),
                    "tokens_per_s": _tokens_per_s(batches),
                    "decode_tokens_per_s": _decode_tokens_per_s(batches),
                    "cached_share": round(
                        cached_share(sum(b.tokens_asked for b in batches), sum(b.tokens_computed for b in batches)), 4
                    ),
                    "queue_ms": spread([record.queue_ms for record in jobs]),
                    "forward_ms": spread([record.forward_ms for record in jobs]),
                    "outside_ms": spread([record.outside_ms for record in jobs]),
                    "total_ms": spread([record.total_ms for record in jobs]),
                },
                "memory": None if memory is None else memory_to_wire(memory),
            }

    def told(self) -> dict[str, Any]:
        """The figures that a health job is answered: those of `snapshot` that tell nobody what others ask.

        What was computed of the tokens of one's own job says whether somebody else asked the same before.
        """
        shown = self.snapshot()
        for group, name in COMPUTED:
            del shown[group][name]
        return shown

    def vital_signs(self) -> VitalSigns:
        """What health is judged by."""
        memory, host_free_bytes = self._now(), free_host_bytes()
        with self._lock:
            batches = self._batches.records()
            telling = _telling(batches)
            return VitalSigns(
                further=self.further(),
                load_s=self._load_s,
                loading_s=None if self._load_began is None else self._clock() - self._load_began,
                free_bytes=None if memory is None else memory.free_bytes,
                host_free_bytes=host_free_bytes,
                out_of_memory=sum(record.code == "out_of_memory" for record in batches),
                tokens_written=sum(record.tokens_written for record in telling),
                decode_tokens_per_s=_decode_tokens_per_s(batches),
                drift_bytes=min(self._drifts) if len(self._drifts) == DRIFT_BATCHES else None,
            )

    def log_summary(self) -> None:
        """Write the line of the minute."""
        shown = self.snapshot()
        jobs, batches, window = shown["jobs"], shown["batches"], shown["window"]
        memory = "".join(f" {name}={value}" for name, value in (shown["memory"] or {}).items())
        log.info(
            "summary uptime_s=%.0f answered=%d failed=%d documents=%d batches=%d out_of_memory=%d window_s=%.0f "
            "jobs_per_s=%s jobs_per_batch=%s tokens_per_s=%s cached_share=%.3f queue_ms=%s forward_ms=%s outside_ms=%s "
            "total_ms=%s errors=%s%s",
            shown["uptime_s"], jobs["answered"], jobs["failed"], jobs["documents"], batches["done"],
            batches["out_of_memory"], window["seconds"], window["jobs_per_s"], window["jobs_per_batch"],
            window["tokens_per_s"], window["cached_share"],
            *(f"{window[name]['median']}/{window[name]['p95']}"
              for name in ("queue_ms", "forward_ms", "outside_ms", "total_ms")),
            ",".join(f"{code}:{count}" for code, count in jobs["errors"].items()) or "none", memory,
        )  # fmt: skip

    def _now(self) -> Memory | None:
        """Asked outside the lock: a probe may take its time."""
        return self._memory if self.probe is None else self.probe()


def cached_share(asked: int, computed: int) -> float:
    """Share of the tokens asked for that did not have to be computed, 0 to 1."""
    return max(0.0, 1 - computed / asked) if asked else 0.0


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Median and 95th percentile, by nearest rank; of nothing, None."""
    if not values:
        return {"median": None, "p95": None}
    ordered = sorted(values)
    return {
        "median": round(median(ordered), 2),
        "p95": round(ordered[math.ceil(0.95 * len(ordered)) - 1], 2),
    }


def _rate(count: float, per: float) -> float | None:
    return round(count / per, 2) if per > 0 else None


def _tokens_per_s(batches: Sequence[BatchRecord]) -> float | None:
    """Tokens through the model per second of forward passes."""
    return _rate(sum(b.tokens_computed for b in batches), sum(b.forward_ms for b in batches) / 1e3)


def _telling(batches: Sequence[BatchRecord]) -> list[BatchRecord]:
    """Those by which explanations have a rate: where models stop at once, or nobody waits any more, the time goes into
    tokens that are thrown away.
    """
    return [batch for batch in batches if batch.tokens_written >= TELLING_TOKENS]


def _decode_tokens_per_s(batches: Sequence[BatchRecord]) -> float | None:
    telling = _telling(batches)
    return _rate(sum(b.tokens_written for b in telling), sum(b.decode_ms for b in telling) / 1e3)


def _memory_words(memory: Memory | None) -> str:
    return "" if memory is None else "".join(f" {name}={value}" for name, value in memory_to_wire(memory).items())
