"""What the worker counts and what it writes down."""

import json
import logging
import re
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.engine.readings import Memory, process_age_s
from pinpoint.serving.watch.log_words import FIELD_NAMES, contract_path, printable
from pinpoint.serving.watch.metrics import DRIFT_BATCHES, WINDOW_RECORDS, WINDOW_S, Metrics, spread
from pinpoint.serving.watch.records import BatchRecord, JobRecord

GB = 10**9


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def a_job(code: str | None = None) -> JobRecord:
    return JobRecord(job_id="j", code=code, documents=2, total_ms=10.0, queue_ms=3.0, forward_ms=5.0)


def a_batch(drift_bytes: int = 0, **more: Any) -> BatchRecord:
    fields = {"tokens_asked": 100, "tokens_computed": 25, "forward_ms": 50.0, **more}
    return BatchRecord(memory=Memory(5 * GB + drift_bytes, 6 * GB, 7 * GB, 5 * GB), **fields)


def test_jobs_and_errors_are_counted() -> None:
    metrics = Metrics(Clock())
    for code in (None, None, "overloaded", "internal", "overloaded"):
        metrics.job_done(a_job(code))
    assert metrics.snapshot()["jobs"] == {
        "answered": 2,
        "failed": 3,
        "errors": {"internal": 1, "overloaded": 2},
        "documents": 10,
        "failed_documents": 0,
    }


def test_batches_add_up_to_rates() -> None:
    clock = Clock()
    metrics = Metrics(clock)
    metrics.batch_done(a_batch(jobs=3, tokens_written=30, decode_ms=1000.0))
    clock.now_s += 2
    metrics.batch_done(a_batch(jobs=1, tokens_computed=75))
    metrics.job_done(a_job())
    shown = metrics.snapshot()
    assert shown["batches"]["tokens_computed"] == 100
    assert shown["batches"]["cached_share"] == 0.5
    window = shown["window"]
    assert window["seconds"] == 2
    assert window["jobs_per_s"] == 0.5
    assert window["jobs_per_batch"] == 2
    assert window["tokens_per_s"] == 1000  # 100 tokens in 0.1 s
    assert window["decode_tokens_per_s"] == 30
    assert window["outside_ms"] == {"median": 2.0, "p95": 2.0}


def test_reasons_that_end_at_once_or_that_nobody_waits_for_say_nothing_of_a_rate() -> None:
    metrics = Metrics(Clock())
    for written in (0, 1, 7) * 20:
        metrics.batch_done(a_batch(tokens_written=written, decode_ms=400.0))
    signs = metrics.vital_signs()
    assert (signs.tokens_written, signs.decode_tokens_per_s) == (0, None)
    metrics.batch_done(a_batch(tokens_written=96, decode_ms=1000.0))
    signs = metrics.vital_signs()
    assert (signs.tokens_written, signs.decode_tokens_per_s) == (96, 96.0)
    assert metrics.snapshot()["batches"]["tokens_written"] == 160 + 96


def test_a_failed_batch_counts_and_measures_nothing() -> None:
    metrics = Metrics(Clock())
    metrics.batch_done(a_batch(code="out_of_memory", drift_bytes=GB))
    shown = metrics.snapshot()
    assert shown["batches"]["out_of_memory"] == 1
    assert shown["window"]["tokens_per_s"] is None
    assert metrics.vital_signs().out_of_memory == 1
    assert metrics.vital_signs().drift_bytes is None


def test_the_window_forgets_and_the_counts_do_not() -> None:
    clock = Clock()
    metrics = Metrics(clock)
    metrics.job_done(a_job())
    metrics.batch_done(a_batch(code="out_of_memory"))
    clock.now_s += WINDOW_S + 1
    shown = metrics.snapshot()
    assert shown["window"]["jobs"] == 0
    assert shown["window"]["total_ms"] == {"median": None, "p95": None}
    assert metrics.vital_signs().out_of_memory == 0
    assert (shown["jobs"]["answered"], shown["batches"]["out_of_memory"]) == (1, 1)


def test_records_are_bounded() -> None:
    metrics = Metrics(Clock())
    for _ in range(WINDOW_RECORDS + 5):
        metrics.job_done(a_job())
    shown = metrics.snapshot()
    assert (shown["window"]["jobs"], shown["jobs"]["answered"]) == (WINDOW_RECORDS, WINDOW_RECORDS + 5)


def test_load_time_is_that_of_the_load_that_succeeded() -> None:
    clock = Clock()
    metrics = Metrics(clock)
    with pytest.raises(OSError), metrics.loading():
        clock.now_s += 7
        assert metrics.vital_signs().loading_s == 7
        raise OSError
    assert metrics.snapshot()["load_s"] is None
    with metrics.loading():
        clock.now_s += 40
    assert metrics.snapshot()["load_s"] == 40
    assert metrics.vital_signs().loading_s is None


@given(st.lists(st.integers(0, 10**9), max_size=3 * DRIFT_BATCHES))
def test_drift_is_what_no_batch_of_the_last_ones_gave_back(drifts: list[int]) -> None:
    metrics = Metrics(Clock())
    for drift in drifts:
        metrics.batch_done(a_batch(drift_bytes=drift))
    expected = min(drifts[-DRIFT_BATCHES:]) if len(drifts) >= DRIFT_BATCHES else None
    assert metrics.vital_signs().drift_bytes == expected


@pytest.mark.parametrize("what", ["store_bytes", "held_bytes"])
def test_the_prefix_store_is_no_drift_and_nor_are_long_documents(what: str) -> None:
    metrics = Metrics(Clock())
    for number in range(1, DRIFT_BATCHES + 1):
        metrics.batch_done(a_batch(drift_bytes=number * GB, **{what: number * GB}))
    assert metrics.vital_signs().drift_bytes == 0


def test_a_probe_is_asked_for_what_is_now() -> None:
    metrics = Metrics(Clock())
    metrics.batch_done(a_batch())
    assert metrics.snapshot()["memory"]["free_gb"] == 7
    metrics.probe = lambda: Memory(1, 1, GB, 1)
    assert metrics.snapshot()["memory"]["free_gb"] == 1
    assert metrics.vital_signs().free_bytes == GB


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_the_percentile_is_the_smallest_that_covers_95_of_100(values: list[float]) -> None:
    p95 = spread(values)["p95"]
    assert p95 is not None
    covering = [v for v in values if sum(other <= v for other in values) >= 0.95 * len(values)]
    assert p95 == round(min(covering), 2)


def test_a_snapshot_is_json_from_the_beginning() -> None:
    metrics = Metrics()
    json.dumps(metrics.snapshot(), allow_nan=False)
    metrics.job_done(a_job())
    metrics.batch_done(a_batch())
    json.dumps(metrics.snapshot(), allow_nan=False)


def test_one_line_for_each_job_and_batch_and_a_summary(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics(Clock())
    with caplog.at_level(logging.DEBUG):
        metrics.job_done(JobRecord(job_id="a\nb c", documents=1, total_ms=2))
        metrics.job_done(JobRecord(job_id="d", code="unknown_field", field="tasks.Quetzalcoatlus.labels[2].name"))
        metrics.batch_done(a_batch(jobs=2))
        metrics.log_summary()
    ok, first, failed, batch, summary = caplog.messages
    assert ok.startswith("job=a?b?c status=ok ") and "total_ms=2.0" in ok
    assert first.startswith("first answer: process_s=")
    assert "code=unknown_field field=tasks.*.labels[2].name" in failed
    assert batch.startswith("batch=1 status=ok jobs=2 ") and "allocated_gb=5.0" in batch
    assert summary.startswith("summary ") and "errors=unknown_field:1" in summary
    for line in caplog.messages:
        assert "Quetzalcoatlus" not in line and "\n" not in line


@given(st.text(max_size=100), st.sampled_from(["", "tasks.", "documents[0].", "labels[3]."]))
def test_of_a_field_path_only_the_contracts_names_are_written(path: str, place: str) -> None:
    for word in re.findall(r"[^.\[\]*]+", contract_path(place + path)):
        assert word in FIELD_NAMES or (word.isascii() and word.isdigit())


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (None, "-"),
        ("documents[12].text", "documents[12].text"),
        ("options.top_k", "options.top_k"),
        ("tasks.a.b.c.labels[1]", "tasks.*.labels[1]"),
        ("lables", "*"),
        ("PINPOINT_DEVICE", "PINPOINT_DEVICE"),
        ("input", "input"),
        ("tasks[1234567]", "tasks[*]"),
    ],
)
def test_field_paths(path: str | None, shown: str) -> None:
    assert contract_path(path) == shown


@given(st.text(max_size=300))
def test_an_id_is_one_short_word(identity: str) -> None:
    shown = printable(identity)
    assert len(shown) <= 64 and shown.split() in ([], [shown]) and shown.isprintable()


def test_threads_lose_no_count() -> None:
    metrics = Metrics()

    def count() -> None:
        for _ in range(50):
            metrics.job_done(a_job())
            metrics.snapshot()

    logging.getLogger("pinpoint").setLevel(logging.ERROR)
    try:
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        logging.getLogger("pinpoint").setLevel(logging.NOTSET)
    assert metrics.snapshot()["jobs"]["answered"] == 200


def test_the_first_answer_is_counted_from_the_process_s_begin_and_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    before_s = process_age_s()
    metrics = Metrics(clock)
    clock.now_s += 3
    with caplog.at_level(logging.INFO, "pinpoint"):
        metrics.job_done(a_job(code="internal"))
        assert metrics.snapshot()["first_answer_s"] is None
        clock.now_s += 40
        metrics.job_done(a_job())
        clock.now_s += 40
        metrics.job_done(a_job())
    found = metrics.told()["first_answer_s"]
    assert before_s + 43 - 0.02 <= found <= process_age_s() + 43 + 0.01  # told in hundredths
    assert caplog.text.count(f"first answer: process_s={found:.2f}") == caplog.text.count("first answer:") == 1
