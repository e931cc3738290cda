"""Traces and metrics over OTLP, where OTEL_EXPORTER_OTLP_ENDPOINT is set; elsewhere nothing of it is imported.

    trace of a job      job ── encode · queue · pass · decide
    trace of a pass     pass (which jobs shared it is not told: a pass has many)

Spans are made of the records that `metrics` is given when a job or a pass has ended, so what is not measured costs
nothing. They hold ids, codes, counts, times and bytes, as a log line does. Exporting has threads of its own, a queue
of bounded size: a collector that is slow or gone holds up no job, and is told of in one line. Whoever ends the process
calls `close`, which sends the last seconds' spans and figures, and does not wait long for it.
"""

from __future__ import annotations

import atexit
import logging
import time
from collections.abc import Mapping
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from pinpoint import __version__
from pinpoint.serving.watch.log_words import printable
from pinpoint.serving.watch.records import BatchRecord, JobRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger("pinpoint")

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
EXPORT_S = 5.0  # one attempt
# For all that is left at the end: with the open poll's 2 s and the last results' 5 s within the 10 s that containers
# are commonly given.
LAST_S = 2.0


class Watcher(Protocol):
    """Is told of every job and pass, in the thread that counts it."""

    def job_done(self, record: JobRecord) -> None:
        """A job has ended."""

    def batch_done(self, record: BatchRecord) -> None:
        """A forward pass has ended."""


def telemetry_from(environ: Mapping[str, str]) -> Telemetry | None:
    """What the environment asks for; None where it asks for nothing, or the libraries are not there (a warning)."""
    if not environ.get(ENDPOINT):
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        log.warning("telemetry off: %s is set, and it needs pip install -r requirements-otel.txt", ENDPOINT)
        return None
    if environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf") != "http/protobuf":
        log.warning("telemetry off: OTEL_EXPORTER_OTLP_PROTOCOL can only be http/protobuf")
        return None
    from pinpoint.serving.watch.otlp import providers

    log.info("telemetry on: traces and metrics over OTLP")
    telemetry = Telemetry(*providers(environ, EXPORT_S))
    atexit.register(telemetry.close)  # for those who let the interpreter end by itself
    return telemetry


class Telemetry:
    """Turns records into spans and metrics. Any thread."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self._tracers, self._meters = tracers, meters
        self._tracer = tracers.get_tracer("pinpoint", __version__)
        meter = meters.get_meter("pinpoint", __version__)
        self._jobs = meter.create_counter("pinpoint.jobs", "{job}", "Jobs that ended, by error code")
        self._documents = meter.create_counter("pinpoint.documents", "{document}", "Documents of answered jobs")
        self._failed = meter.create_counter("pinpoint.documents.failed", "{document}", "Documents that failed alone")
        self._passes = meter.create_counter("pinpoint.passes", "{pass}", "Forward passes, by error code")
        self._tokens = meter.create_counter("pinpoint.tokens", "{token}", "Tokens asked for, computed and written")
        self._job_s = meter.create_histogram("pinpoint.job.duration", "s", "From a job's arrival to its answer")
        self._queue_s = meter.create_histogram("pinpoint.queue.duration", "s", "Until a job's first pass began")
        self._pass_s = meter.create_histogram("pinpoint.pass.duration", "s", "Of a forward pass")
        self._memory = meter.create_gauge("pinpoint.memory", "By", "Of the device")

    def job_done(self, record: JobRecord) -> None:
        """The trace of a job, and what is counted of it."""
        code = {"error.type": record.code} if record.code is not None else {}
        self._jobs.add(1, code)
        self._job_s.record(record.total_ms / 1e3, code)
        end = time.time_ns()
        begin = end - _ns(record.total_ms)
        about = {
            "pinpoint.job.id": printable(record.job_id),
            "pinpoint.documents": record.documents,
            "pinpoint.documents.failed": record.failed_documents,
            "pinpoint.tokens.asked": record.tokens_asked,
            "pinpoint.tokens.computed": record.tokens_computed,
            "pinpoint.passes": record.batches,
            "pinpoint.bytes": record.response_bytes,
        }
        parts = []
        if record.code is None:
            self._documents.add(record.documents)
            self._failed.add(record.failed_documents)
            self._queue_s.record(record.queue_ms / 1e3)
            encoded, passed = begin + _ns(record.encode_ms), begin + _ns(record.queue_ms)
            decides = end - _ns(record.decide_ms)
            parts = [("encode", begin, encoded), ("queue", encoded, passed), ("pass", passed, decides)]
            parts.append(("decide", decides, end))
        self._span("job", begin, end, {**about, **code}, parts)

    def batch_done(self, record: BatchRecord) -> None:
        """The trace of a pass, and what is counted of it."""
        code = {"error.type": record.code} if record.code is not None else {}
        self._passes.add(1, code)
        self._pass_s.record(record.forward_ms / 1e3, code)
        for kind in ("asked", "computed", "written"):
            self._tokens.add(getattr(record, f"tokens_{kind}"), {"kind": kind})
        if record.memory is not None:
            for kind in ("allocated", "reserved", "free", "baseline"):
                self._memory.set(getattr(record.memory, f"{kind}_bytes"), {"kind": kind})
        end = time.time_ns()
        about = {
            "pinpoint.jobs": record.jobs,
            "pinpoint.documents": record.documents,
            "pinpoint.asks": record.asks,
            "pinpoint.tokens.asked": record.tokens_asked,
            "pinpoint.tokens.computed": record.tokens_computed,
            "pinpoint.tokens.written": record.tokens_written,
            "pinpoint.queue_ms": record.queue_ms,
        }
        self._span("pass", end - _ns(record.forward_ms + record.decode_ms), end, {**about, **code}, [])

    def close(self, within_s: float = LAST_S) -> None:
        """Send what waits, traces beside metrics, for at most so long; nothing is sent afterwards. Once, any thread."""
        atexit.unregister(self.close)
        ends_s = time.monotonic() + within_s
        sending = [Thread(target=one.shutdown, daemon=True) for one in (self._tracers, self._meters)]
        for thread in sending:
            thread.start()
        for thread in sending:
            thread.join(max(0.0, ends_s - time.monotonic()))
        if any(thread.is_alive() for thread in sending):
            log.warning("telemetry: what was left at the end could not be sent within %.1f s", within_s)

    def _span(
        self, name: str, begin: int, end: int, about: Mapping[str, Any], parts: list[tuple[str, int, int]]
    ) -> None:
        from opentelemetry.trace import StatusCode, set_span_in_context

        span = self._tracer.start_span(name, attributes=about, start_time=begin)
        inside = set_span_in_context(span)
        for part, since, until in parts:
            self._tracer.start_span(part, inside, start_time=since).end(max(since, until))
        if "error.type" in about:
            span.set_status(StatusCode.ERROR)
        span.end(end)


def _ns(milliseconds: float) -> int:
    return round(milliseconds * 1e6)
