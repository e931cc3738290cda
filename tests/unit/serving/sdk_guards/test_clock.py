"""The clock that a pause does not move, and the watchdog's ticks."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.serving.sdk_guards import watchdog
from pinpoint.serving.sdk_guards.clock import LONGEST_S, GivenTime
from pinpoint.serving.sdk_guards.judge import Judge
from pinpoint.serving.sdk_guards.runtime import Runtime


@given(st.lists(st.tuples(st.floats(0, 1e5), st.booleans()), max_size=30))
def test_it_never_goes_back_and_no_step_is_longer_than_is_believed(steps: list[tuple[float, bool]]) -> None:
    now = [1000.0]
    clock = GivenTime(lambda: now[0])
    assert clock.time() == now[0]
    clock.tick()
    assert clock.time() == now[0]
    seen, expected, since_tick = clock.time(), now[0], 0.0
    for step, ticks in steps:
        now[0] += step
        since_tick += step
        assert clock.time() >= seen
        assert clock.time() == pytest.approx(expected + min(since_tick, LONGEST_S))
        seen = clock.time()
        if ticks:
            clock.tick()
            expected, since_tick = expected + min(since_tick, LONGEST_S), 0.0
            assert clock.time() == pytest.approx(seen)


def test_it_runs_on_by_itself_once_started() -> None:
    now = [0.0]
    clock = GivenTime(lambda: now[0])
    clock.start()
    until = time.monotonic() + 30
    for _ in range(3):
        now[0] += LONGEST_S
        reached = clock.time()
        while clock._seen_s != now[0]:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert clock.time() == reached
    assert clock.time() == 3 * LONGEST_S


class Left(Exception):
    """Instead of the end of the process."""


def watched(monkeypatch: pytest.MonkeyPatch, hang_s: float) -> Any:
    def leave(guard: Any, what: str, stood_s: float) -> None:
        raise Left(what)

    monkeypatch.setattr(watchdog.WatchdogGuard, "_leave", leave)
    return watchdog.WatchdogGuard(hang_s, Runtime(), Judge(2 * hang_s, 1.0))


def test_a_pass_is_a_hang_after_as_many_ticks_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = watched(monkeypatch, 10.0)
    guard._loop_ended = True
    with guard.forward():
        for _ in range(10):
            guard._look(1.0, paused=False)
        with pytest.raises(Left, match="forward"):
            guard._look(1.0, paused=False)
    guard._look(1.0, paused=False)  # it has ended


def test_a_pause_begins_the_count_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = watched(monkeypatch, 10.0)
    with guard.forward():
        for paused in [False] * 9 + [True] + [False] * 10:
            guard._look(1.0, paused=paused)
        with pytest.raises(Left):
            guard._look(1.0, paused=False)


def test_an_event_loop_that_does_not_answer_is_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = watched(monkeypatch, 10.0)
    for _ in range(9):
        guard._look(1.0, paused=False)
    guard._answer()
    for _ in range(10):
        guard._look(1.0, paused=False)
    with pytest.raises(Left, match="event_loop"):
        guard._look(1.0, paused=False)
