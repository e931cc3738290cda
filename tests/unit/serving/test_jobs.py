"""The same job again: computed once, answered each time, refused where its input is another."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.errors import CapacityError, RequestError
from pinpoint.serving.jobs import JobLedger, input_digest
from tests.fake_clock import run

A, B = b"digest a", b"digest b"


class Computer:
    """Computes slowly, and counts."""

    def __init__(self) -> None:
        self.began = self.ended = self.cancelled = 0

    def __call__(self, answer: bytes = b"{}", error: Exception | None = None) -> Callable[[], Awaitable[bytes]]:
        async def compute() -> bytes:
            self.began += 1
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            self.ended += 1
            if error is not None:
                raise error
            return answer

        return compute


@pytest.fixture
def computer() -> Computer:
    return Computer()


def test_at_once_it_is_computed_once_and_both_are_answered(computer: Computer) -> None:
    async def main() -> list[bytes]:
        ledger = JobLedger(1000)
        return await asyncio.gather(*(ledger.answer("1", A, computer(b"{1}")) for _ in range(3)))

    assert run(main()) == [b"{1}"] * 3
    assert computer.began == 1


def test_after_completion_the_kept_answer_comes(computer: Computer) -> None:
    async def main() -> tuple[bytes, bytes]:
        ledger = JobLedger(1000)
        assert not ledger.holds("1")
        first = await ledger.answer("1", A, computer(b"first"))
        assert ledger.holds("1")
        return first, await ledger.answer("1", A, computer(b"second"))

    assert run(main()) == (b"first", b"first")
    assert computer.began == 1


def test_with_another_input_it_is_a_conflict_in_flight_and_afterwards(computer: Computer) -> None:
    async def main() -> None:
        ledger = JobLedger(1000)
        first = asyncio.create_task(ledger.answer("1", A, computer()))
        await asyncio.sleep(0.5)
        for _ in range(2):
            with pytest.raises(RequestError) as caught:
                await ledger.answer("1", B, computer())
            assert (caught.value.code, caught.value.field) == ("conflict", "id")
            await first

    run(main())
    assert computer.began == 1


def test_jobs_without_an_id_are_strangers(computer: Computer) -> None:
    async def main() -> None:
        ledger = JobLedger(1000)
        await asyncio.gather(*(ledger.answer("", A, computer()) for _ in range(3)))
        assert not ledger.holds("")

    run(main())
    assert computer.began == 3


def test_a_failure_reaches_all_who_wait_and_is_not_kept(computer: Computer) -> None:
    failure = CapacityError("overloaded", "later")

    async def main() -> None:
        ledger = JobLedger(1000)
        tries = (ledger.answer("1", A, computer(error=failure)) for _ in range(2))
        assert await asyncio.gather(*tries, return_exceptions=True) == [failure, failure]
        assert await ledger.answer("1", A, computer(b"{2}")) == b"{2}"

    run(main())
    assert computer.began == 2


def test_one_of_two_who_leaves_leaves_the_other_waiting(computer: Computer) -> None:
    async def main() -> bytes:
        ledger = JobLedger(1000)
        first = asyncio.create_task(ledger.answer("1", A, computer(b"{1}")))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(ledger.answer("1", A, computer(b"{2}")))
        await asyncio.sleep(0.1)
        first.cancel()
        await asyncio.wait({first})
        assert first.cancelled()
        return await second

    assert run(main()) == b"{1}"
    assert (computer.began, computer.cancelled) == (1, 0)


def test_when_the_last_one_leaves_the_computation_ends_and_a_new_one_begins_anew(computer: Computer) -> None:
    async def main() -> bytes:
        ledger = JobLedger(1000)
        waiting = [asyncio.create_task(ledger.answer("1", A, computer())) for _ in range(2)]
        await asyncio.sleep(0.1)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
        assert not ledger.holds("1")
        return await ledger.answer("1", B, computer(b"{2}"))

    assert run(main()) == b"{2}"
    assert (computer.began, computer.cancelled, computer.ended) == (2, 1, 1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60)), max_size=30), st.integers(0, 100))
def test_what_is_kept_is_bounded_and_the_longest_unused_goes_first(asked: list[tuple[int, int]], limit: int) -> None:
    async def main() -> None:
        ledger, recent = JobLedger(limit), dict[str, int]()
        for number, size in asked:
            name, again = str(number), False

            async def compute(size: int = size) -> bytes:
                return b"x" * size

            again = ledger.holds(name)
            answer = await ledger.answer(name, A, compute)
            assert again == (name in recent)
            size = recent.pop(name) if again else size
            assert len(answer) == size
            # The same by hand: a dictionary in order of use.
            if size <= limit:
                recent[name] = size
            while sum(recent.values()) > limit:
                recent.pop(next(iter(recent)))
            assert ledger.bytes == sum(recent.values()) <= limit
            assert all(ledger.holds(kept) for kept in recent)

    run(main())


def test_a_digest_looks_at_values_and_not_at_the_order_of_keys() -> None:
    assert input_digest({"a": 1, "b": [1, 2]}) == input_digest({"b": [1, 2], "a": 1})
    different = [{"a": 1}, {"a": 2}, {"a": "1"}, {"a": [1]}, {"a": None}, {"b": 1}, {"a": "\ud800"}, {"a": "\udfff"}]
    assert len({input_digest(raw) for raw in different}) == len(different)
