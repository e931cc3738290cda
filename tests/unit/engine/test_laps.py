"""Where the seconds of a start go, and how old the process is."""

import time

import pytest

from pinpoint.engine.readings import Laps, process_age_s

BEGAN_S = time.monotonic()


def test_each_part_has_what_went_since_the_part_before_it() -> None:
    now = iter([10.0, 12.5, 13.0, 17.126])
    laps = Laps(lambda: next(now))
    for part in ("imports", "weights", "imports"):
        laps.lap(part)
    assert laps.seconds == pytest.approx({"imports": 2.5 + 4.126, "weights": 0.5})
    assert list(laps.told().items()) == [("imports", 6.63), ("weights", 0.5)]


def test_a_process_is_as_old_as_the_time_since_the_system_began_it(monkeypatch: pytest.MonkeyPatch) -> None:
    up_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    age_s = process_age_s()
    assert time.monotonic() - BEGAN_S - 0.01 < age_s < up_s + 60, "ticks are of a hundredth"
    monkeypatch.setattr(time, "clock_gettime", lambda clock: up_s + 100)
    later_s = process_age_s()
    monkeypatch.setattr(time, "clock_gettime", lambda clock: up_s)
    assert later_s - process_age_s() == pytest.approx(100)


def test_where_the_system_does_not_say_it_is_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert 0 < process_age_s() <= time.process_time()
