"""Client limiter: how many jobs are in flight, by what the service says; and how long is waited before a try."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.client.limiter import IN_FLIGHT_BYTES, ONE_CUT_S, Limiter
from pinpoint.client.retries import LONGEST_TOLD_S, Retries, retry_after_s


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def test_the_window_doubles_a_round_is_halved_by_429_and_then_grows_by_one_a_round() -> None:
    clock = Clock()
    limiter = Limiter(100, clock)
    for _ in range(12):
        limiter.went_well()
    assert limiter.window == 16
    async with asyncio.TaskGroup() as group:
        ends = asyncio.Event()
        for _ in range(16):
            group.create_task(held(limiter, ends))
        await asyncio.sleep(0)
        assert limiter.in_flight == 16
        limiter.busy()
        limiter.busy()  # of the same moment
        assert (limiter.window, limiter.cuts) == (8, 1)
        clock.now_s += ONE_CUT_S
        limiter.busy()
        assert (limiter.window, limiter.cuts) == (4, 2)
        ends.set()
    for _ in range(5):
        limiter.went_well()
    assert 5 < limiter.window < 5.2
    for _ in range(20):
        clock.now_s += ONE_CUT_S
        limiter.busy()
    assert limiter.window == 1


async def held(limiter: Limiter, ends: asyncio.Event, size_bytes: int = 1) -> None:
    async with limiter.slot(size_bytes):
        await ends.wait()


@given(st.lists(st.tuples(st.sampled_from(["ok", "busy"]), st.integers(1, IN_FLIGHT_BYTES)), max_size=30))
def test_all_are_served_and_never_more_than_the_window_or_the_bytes(steps: list[tuple[str, int]]) -> None:
    async def play() -> int:
        limiter, done = Limiter(5), 0

        async def one(kind: str, size_bytes: int) -> None:
            nonlocal done
            async with limiter.slot(size_bytes):
                assert limiter.in_flight == 1 or limiter.held_bytes <= IN_FLIGHT_BYTES
                assert limiter.in_flight <= 5
                await asyncio.sleep(0)
            limiter.went_well() if kind == "ok" else limiter.busy()
            done += 1

        await asyncio.gather(*(one(*step) for step in steps))
        assert limiter.in_flight == limiter.held_bytes == 0
        return done

    assert asyncio.run(play()) == len(steps)


async def test_one_that_gives_up_waiting_passes_its_turn_on() -> None:
    limiter, ends = Limiter(1), asyncio.Event()
    limiter.window = 1
    first = asyncio.create_task(held(limiter, ends))
    await asyncio.sleep(0)
    second, third = (asyncio.create_task(held(limiter, ends)) for _ in range(2))
    await asyncio.sleep(0)
    ends.set()
    await first  # wakes the second, which is cancelled before it looks
    second.cancel()
    await asyncio.wait_for(third, 1)


def test_waits_are_drawn_below_a_bound_that_doubles_and_follow_what_the_service_says() -> None:
    chance, retries = random.Random(1), Retries(first_s=0.5, longest_s=4.0)
    for failed, bound_s in ((1, 0.5), (2, 1.0), (4, 4.0), (500, 4.0)):
        waits = [retries.wait_s(failed, None, chance) for _ in range(300)]
        assert 0 <= min(waits) < bound_s * 0.1 and bound_s * 0.9 < max(waits) <= bound_s
    assert 7 <= retries.wait_s(1, 7.0, chance) <= 7.5
    assert retries.wait_s(1, 1e9, chance) <= LONGEST_TOLD_S + 0.5


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0), ("0.25", 0.25), ("-4", 0.0), ("Sat, 28 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 28 Nov 2026 11:00:00 GMT", 0.0), ("soon", None), ("", None), (None, None), ("inf", None), ("nan", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, datetime(2026, 11, 28, 12, tzinfo=UTC)) == seconds
