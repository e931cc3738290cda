"""When a worker is well, and when it says so."""

import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.serving.watch.health import GB, Health, HealthLimits, Monitor, VitalSigns, judge
from pinpoint.serving.watch.host import free_host_bytes
from tests.unit.serving.watch.test_metrics import Clock

WELL = VitalSigns(load_s=60.0, free_bytes=3 * GB, decode_tokens_per_s=50.0, tokens_written=1000, drift_bytes=0)
SICK: dict[str, dict[str, Any]] = {
    "slow_load": {"load_s": 301.0},
    "low_memory": {"free_bytes": 2 * GB - 1},
    "low_host_memory": {"host_free_bytes": GB - 1},
    "out_of_memory": {"out_of_memory": 1},
    "slow_decode": {"decode_tokens_per_s": 19.9},
    "memory_drift": {"drift_bytes": GB + 1},
}
GPU = HealthLimits()


def test_nothing_measured_yet_is_healthy() -> None:
    assert judge(VitalSigns(), GPU).to_wire() == {"healthy": True, "reasons": []}


@pytest.mark.parametrize("reason", SICK)
def test_each_reason_alone(reason: str) -> None:
    verdict = judge(replace(WELL, **SICK[reason]), GPU)
    assert list(verdict.reasons) == [reason] and not verdict.healthy


@given(st.sets(st.sampled_from(sorted(SICK))))
def test_reasons_are_independent(chosen: set[str]) -> None:
    changes = {key: value for reason in chosen for key, value in SICK[reason].items()}
    assert set(judge(replace(WELL, **changes), GPU).reasons) == chosen


def test_the_limits_themselves_are_well() -> None:
    at_limit = VitalSigns(load_s=300.0, free_bytes=2 * GB, decode_tokens_per_s=20.0, tokens_written=64, drift_bytes=GB)
    assert judge(at_limit, GPU).healthy


def test_a_load_that_does_not_end_is_told_while_it_lasts() -> None:
    verdict = judge(VitalSigns(loading_s=400.0), GPU)
    assert verdict.reasons == {"slow_load": "loading for 400 s, at most 300"}


def test_a_few_tokens_are_no_rate() -> None:
    assert judge(VitalSigns(decode_tokens_per_s=1.0, tokens_written=63), GPU).healthy


def test_without_a_card_free_memory_is_nobodys_promise() -> None:
    assert judge(replace(WELL, free_bytes=1), HealthLimits(free_bytes=None)).healthy


def test_a_worker_that_finds_no_card_watches_the_machine_alone() -> None:
    health = Health(GPU)
    health.without_card()
    assert health.look(replace(WELL, free_bytes=1))[0].healthy
    assert list(health.look(replace(WELL, host_free_bytes=1))[0].reasons) == ["low_host_memory"]


def group(folder: Path, limit: str, used: int, idle: int) -> tuple[str, str, str]:
    for name, text in (("max", limit), ("current", str(used)), ("stat", f"anon 7\ninactive_file {idle}\n")):
        (folder / name).write_text(text)
    return str(folder / "max"), str(folder / "current"), str(folder / "stat")


def test_a_container_has_what_its_limit_leaves_and_files_that_can_go(tmp_path: Path) -> None:
    machine = free_host_bytes([])
    assert free_host_bytes([group(tmp_path, "1000", 900, 50)]) == 150
    assert free_host_bytes([("/none", "/none", "/none")]) == pytest.approx(machine, rel=0.2)
    assert free_host_bytes([group(tmp_path, "max", 900, 50)]) == pytest.approx(machine, rel=0.2)


def test_a_line_a_minute_and_one_on_change(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    health = Health(GPU, clock=clock)
    low = replace(WELL, free_bytes=GB)
    with caplog.at_level(logging.INFO):
        looks = []
        # Every 10 s: well, from the third to the fourth low, then well again until past the minute.
        for signs in [WELL, WELL, low, replace(low, free_bytes=GB // 2), WELL, WELL, WELL, WELL]:
            looks.append(health.look(signs)[1])
            clock.now_s += 10
    assert caplog.messages == [
        "health healthy=true changed=false reasons=none",
        "health healthy=false changed=true reasons=low_memory: 1.00 GB free, at least 2.00",
        "health healthy=true changed=true reasons=none",
        "health healthy=true changed=false reasons=none",
    ]
    assert looks == [True, False, False, False, False, False, True, False]
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO", "INFO"]


def test_a_leak_is_not_forgotten() -> None:
    health = Health(GPU, clock=Clock())
    health.look(replace(WELL, drift_bytes=2 * GB))
    assert "memory_drift" in health.look(WELL)[0].reasons


class Measurements:
    """Metrics that a test sets; `looked` says that they were read."""

    def __init__(self) -> None:
        self.signs: VitalSigns | Exception = WELL
        self.summaries = 0
        self.looked = threading.Event()

    def vital_signs(self) -> VitalSigns:
        self.looked.set()
        if isinstance(self.signs, Exception):
            raise self.signs
        return self.signs

    def log_summary(self) -> None:
        self.summaries += 1


def test_a_leak_asks_once_for_a_replacement() -> None:
    measured, asked, clock = Measurements(), list[str](), Clock()
    monitor = Monitor(measured, Health(GPU, clock=clock), asked.append)
    monitor.look()
    measured.signs = replace(WELL, free_bytes=0, out_of_memory=3)
    monitor.look()
    assert asked == []
    measured.signs = replace(WELL, drift_bytes=2 * GB)
    for _ in range(3):
        monitor.look()
        clock.now_s += 61
    assert asked == ["memory_drift"]
    assert measured.summaries == 3  # at once, and after each minute


def test_the_thread_outlives_a_failing_probe_and_ends_when_told(caplog: pytest.LogCaptureFixture) -> None:
    measured = Measurements()
    measured.signs = RuntimeError("Quetzalcoatlus")
    with (
        caplog.at_level(logging.INFO),
        Monitor(measured, Health(GPU), lambda reason: None, look_s=0.001),
    ):
        assert measured.looked.wait(5)
        measured.looked.clear()
        assert measured.looked.wait(5)
    assert not any(thread.name == "monitor" for thread in threading.enumerate())
    assert "health status=error type=RuntimeError" in caplog.text
    assert "Quetzalcoatlus" not in caplog.text
