"""The baseline: to the byte, by thread, the prefix store aside; a leak is told once and for good."""

import logging
import threading

import pytest

from pinpoint.engine.baseline import Baseline

MODEL_BYTES, WORKSPACE_BYTES, LEAK_BYTES, BATCHES = 47_000_000_000, 33_554_432, 4, 5


class Device:
    """What tensors ask for, as the allocator would count it."""

    def __init__(self) -> None:
        self.bytes = MODEL_BYTES

    def baseline(self) -> Baseline:
        found = Baseline(lambda: self.bytes, BATCHES)
        found.check(0)
        return found


def test_a_batch_that_leaves_nothing_has_no_drift() -> None:
    baseline = Device().baseline()
    assert [baseline.check(0) for _ in range(3 * BATCHES)] == [0] * (3 * BATCHES)
    assert not baseline.drifted


def test_what_the_prefix_store_takes_and_gives_back_is_no_drift() -> None:
    device = Device()
    baseline = device.baseline()
    for store in (1000, 5000, 200, 0) * BATCHES:
        device.bytes = MODEL_BYTES + store
        assert baseline.check(store) == 0
    assert not baseline.drifted


@pytest.mark.parametrize("leak", [LEAK_BYTES, -LEAK_BYTES])
def test_a_drift_that_stays_is_told_once_and_for_good(leak: int, caplog: pytest.LogCaptureFixture) -> None:
    device = Device()
    baseline = device.baseline()
    device.bytes += leak
    with caplog.at_level(logging.ERROR, "pinpoint"):
        for batch in range(1, 3 * BATCHES):
            assert baseline.check(0) == leak
            assert baseline.drifted == (batch >= BATCHES)
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == f"memory_drift bytes={leak} batches={BATCHES} baseline={MODEL_BYTES}"
    device.bytes = MODEL_BYTES
    assert baseline.check(0) == 0
    assert baseline.drifted, "what was lost once will be lost again"


def test_what_comes_back_before_long_is_no_leak() -> None:
    device = Device()
    baseline = device.baseline()
    for _ in range(4):
        for extra in (*[LEAK_BYTES] * (BATCHES - 1), 0):
            device.bytes = MODEL_BYTES + extra
            assert baseline.check(0) == extra
    assert not baseline.drifted


def test_garbage_that_waits_for_the_collector_is_no_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device()
    baseline = device.baseline()

    def collect() -> int:
        device.bytes = MODEL_BYTES
        return 0

    monkeypatch.setattr("pinpoint.engine.baseline.gc.collect", collect)
    device.bytes += LEAK_BYTES
    assert [baseline.check(0) for _ in range(BATCHES)] == [LEAK_BYTES] * (BATCHES - 1) + [0]
    assert not baseline.drifted
    # Nor is what comes next: it has as many batches to go away.
    monkeypatch.setattr("pinpoint.engine.baseline.gc.collect", lambda: 0)
    device.bytes += LEAK_BYTES
    assert [baseline.check(0) for _ in range(BATCHES - 1)] == [LEAK_BYTES] * (BATCHES - 1)
    assert not baseline.drifted


def test_the_workspace_of_another_thread_belongs_to_the_baseline() -> None:
    device = Device()
    baseline = device.baseline()
    drifts: list[int] = []

    def forward() -> None:
        device.bytes += WORKSPACE_BYTES
        drifts.extend(baseline.check(0) for _ in range(2 * BATCHES))

    thread = threading.Thread(target=forward)
    thread.start()
    thread.join()
    assert drifts == [0] * (2 * BATCHES)
    assert baseline.bytes == MODEL_BYTES + WORKSPACE_BYTES


def test_the_workspace_of_a_recorded_graph_belongs_to_the_baseline_and_comes_once() -> None:
    device = Device()
    baseline = device.baseline()
    device.bytes += WORKSPACE_BYTES
    assert [baseline.check(0, recorded=True) for _ in range(BATCHES)] == [0] * BATCHES
    assert baseline.check(0) == 0
    device.bytes += WORKSPACE_BYTES
    assert baseline.check(0, recorded=True) == WORKSPACE_BYTES
