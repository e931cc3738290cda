"""Where the seconds of a start go, and how old the process is."""

import time

import pytest

from pinpoint.engine.readings import Laps, process_age_s


def test_each_part_has_what_went_since_the_part_before_it() -> None:
    now = iter([10.0, 12.5, 13.0, 17.126])
    laps = Laps(lambda: next(now))
    for part in ("imports", "weights", "imports"):
        laps.lap(part)
    assert laps.seconds == pytest.approx({"imports": 2.5 + 4.126, "weights": 0.5})
    assert list(laps.told().items()) == [("imports", 6.63), ("weights", 0.5)]


def test_a_process_is_older_than_its_processor_time_and_ages_with_the_clock() -> None:
    first, began = process_age_s(), time.monotonic()
    time.sleep(0.05)
    assert process_age_s() - first == pytest.approx(time.monotonic() - began, abs=0.03)
    assert first >= time.process_time() / 64, "as many threads as there may be"
