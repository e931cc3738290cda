"""What a collector gets of a worker: spans and metrics with ids and counts, never text. Without one, nothing."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinpoint.engine.readings import Memory
from pinpoint.serving import worker as worker_module
from pinpoint.serving.watch import telemetry
from pinpoint.serving.watch.records import BatchRecord, JobRecord
from pinpoint.serving.watch.telemetry import ENDPOINT, Telemetry, telemetry_from
from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings
from tests.collector import Collector
from tests.fakes import FakeEngine

CANARY = "Quetzalcoatlus"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """The SDK reads its address from the environment of the process."""
    one = Collector()
    for name, value in one.env.items():
        monkeypatch.setenv(name, value)
    yield one
    one.close()


@pytest.fixture
def sent(collector: Collector) -> Iterator[Telemetry]:
    one = telemetry_from(collector.env)
    assert one is not None
    yield one
    one.close()


JOB = JobRecord(
    job_id="job-1", documents=3, failed_documents=1, tokens_asked=300, tokens_computed=200, batches=2,
    response_bytes=900, encode_ms=5.0, queue_ms=20.0, forward_ms=60.0, decide_ms=4.0, total_ms=100.0,
)  # fmt: skip


def test_a_job_is_a_trace_of_its_parts(sent: Telemetry, collector: Collector) -> None:
    sent.job_done(JOB)
    sent.close()
    spans = {span.name: span for span in collector.spans()}
    assert set(spans) == {"job", "encode", "queue", "pass", "decide"}
    job = spans.pop("job")
    assert {span.parent_span_id for span in spans.values()} == {job.span_id}
    assert {span.trace_id for span in spans.values()} == {job.trace_id}
    took_ms = {name: (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6 for name, span in spans.items()}
    assert took_ms == pytest.approx({"encode": 5, "queue": 15, "pass": 76, "decide": 4})
    assert (job.end_time_unix_nano - job.start_time_unix_nano) / 1e6 == pytest.approx(100)
    about = {one.key: one.value for one in job.attributes}
    assert about["pinpoint.job.id"].string_value == "job-1" and about["pinpoint.tokens.computed"].int_value == 200
    assert collector.counted() == pytest.approx(
        {
            "pinpoint.jobs": 1, "pinpoint.documents": 3, "pinpoint.documents.failed": 1, "pinpoint.job.duration": 0.1,
            "pinpoint.queue.duration": 0.02,
        }
    )  # fmt: skip


def test_a_failed_job_has_its_code_and_no_parts(sent: Telemetry, collector: Collector) -> None:
    sent.job_done(JobRecord(job_id="a\nb" + "x" * 100, code="too_many_labels", field="labels", total_ms=2.0))
    sent.close()
    (span,) = collector.spans()
    about = {one.key: one.value.string_value for one in span.attributes}
    assert about["error.type"] == "too_many_labels" and span.status.code == 2 and not span.status.message
    assert "\n" not in about["pinpoint.job.id"] and len(about["pinpoint.job.id"]) <= 64
    assert collector.counted()["pinpoint.jobs too_many_labels"] == 1


def test_a_pass_is_a_trace_and_memory_a_gauge(sent: Telemetry, collector: Collector) -> None:
    memory = Memory(allocated_bytes=7, reserved_bytes=8, free_bytes=9, baseline_bytes=6)
    sent.batch_done(
        BatchRecord(jobs=2, tokens_asked=50, tokens_computed=40, forward_ms=30.0, decode_ms=10.0, memory=memory)
    )
    sent.batch_done(BatchRecord(code="out_of_memory", forward_ms=1.0))
    sent.close()
    spans = collector.spans()
    assert sorted((s.end_time_unix_nano - s.start_time_unix_nano) / 1e6 for s in spans) == pytest.approx([1, 40])
    counted = collector.counted()
    assert counted["pinpoint.passes"] == 1 and counted["pinpoint.passes out_of_memory"] == 1
    assert counted["pinpoint.tokens computed"] == 40
    assert {kind: counted[f"pinpoint.memory {kind}"] for kind in ("allocated", "free")} == {"allocated": 7, "free": 9}


async def test_a_worker_sends_no_text(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "get_scorer", lambda settings: FakeEngine())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=ours")
    worker = Worker(Settings(model_name="", device="cpu"))
    (watcher,) = worker.metrics.watchers
    assert isinstance(watcher, Telemetry)
    job = {"text": f"Total due. {CANARY}", "labels": ["invoice", CANARY.lower()]}
    await worker.handle({"id": "job-7", "input": job})
    await worker.handle({"id": "job-8", "input": {**job, CANARY: 1}})
    worker.close()
    names = [span.name for span in collector.spans()]
    assert sorted(names) == ["decide", "encode", "job", "job", "pass", "pass", "queue"]
    posted = b"".join(body for bodies in collector.bodies.values() for body in bodies)
    assert b"job-7" in posted and CANARY.lower().encode() not in posted.lower() and b"invoice" not in posted
    assert set(collector.headers) == {"ours"}


def test_a_collector_that_is_gone_is_told_of_once(
    sent: Telemetry, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    collector.status = 400
    for _ in range(3):
        sent.job_done(JOB)
        sent._tracers.force_flush()
    collector.status = 200
    sent.job_done(JOB)
    sent._tracers.force_flush()
    said = [record.getMessage() for record in caplog.records if record.name == "pinpoint"]
    assert [one for one in said if "traces" in one and "over" not in one] == [
        "telemetry: traces cannot be sent: look at OTEL_EXPORTER_OTLP_ENDPOINT",
        "telemetry: traces are sent again",
    ]


def test_a_collector_that_hangs_holds_up_no_end(
    sent: Telemetry, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.held.clear()
    sent.job_done(JOB)
    sent.close(within_s=0.1)
    assert "could not be sent within 0.1 s" in caplog.text
    sent.job_done(JOB)  # who tells of something all the same harms nobody


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, None),
        ({ENDPOINT: ""}, None),
        ({ENDPOINT: "http://localhost:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "can only be http/protobuf"),
    ],
)
def test_it_is_off_otherwise(env: dict[str, str], said: str | None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert telemetry_from(env) is None
    assert (said or "") in caplog.text
    assert len(caplog.records) == (said is not None)


def test_without_its_libraries_it_is_off_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(telemetry, "find_spec", lambda name: None)
    assert telemetry_from({ENDPOINT: "http://localhost:1"}) is None
    assert "pip install -r requirements-otel.txt" in caplog.text


def test_nothing_of_it_is_imported_before_it_is_wanted() -> None:
    sources = Path(telemetry.__file__).parents[2]
    importing = [
        path.relative_to(sources).as_posix()
        for path in sources.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom) and "opentelemetry" in ast.unparse(node)
    ]
    assert set(importing) == {"serving/watch/otlp.py"}
    assert not any(
        isinstance(node, ast.ImportFrom) and node.module == "pinpoint.serving.watch.otlp"
        for path in sources.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
    )
