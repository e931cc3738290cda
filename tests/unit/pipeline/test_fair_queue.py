"""The queue between jobs and passes: nothing lost, order kept, budget held, nobody starved."""

from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.errors import CapacityError
from pinpoint.pipeline.fair_queue import EXPLAINED_UNITS, FairQueue, Lane, Taken
from pinpoint.pipeline.units import Chunk, Unit
from pinpoint.prompting.prompt import Prompt
from pinpoint.prompting.span_tree import Forest
from tests.fakes import lane_of, units_of

PLENTY = 10**9
AROUND = units_of([[9]])[0].prompt.new_tokens(Forest()) - 1  # tokens of a prompt beside its document

# A job as the lengths of its documents; kinds that may not share a pass are rarer than those that may.
lengths = st.lists(st.integers(1, 60), min_size=1, max_size=12)
jobs = st.tuples(lengths, st.sampled_from([False, False, False, True]), st.sampled_from([False, False, False, True]))
budgets = st.integers(20, 200)


def made(number: int, job: tuple[list[int], bool, bool]) -> Lane:
    documents, explained, alone = job
    texts = [[1000 * (number + 1) + n] * length for n, length in enumerate(documents)]
    return lane_of(units_of(texts, explained=explained), str(number), alone=alone)


def units_in(batch: list[Taken], lane: Lane | None = None) -> list[Unit]:
    """The units in a batch, of one lane if it is told; there are no chunks here."""
    assert not any(isinstance(one.unit, Chunk) for one in batch)
    return [one.unit for one in batch if isinstance(one.unit, Unit) and lane in (None, one.lane)]


def laid(units: list[Unit]) -> Forest:
    forest = Forest()
    for unit in units:
        unit.prompt.add_to(forest)
    return forest


def queue_of(lanes: list[Lane], max_tokens: int = PLENTY) -> FairQueue:
    queue = FairQueue(max_tokens)
    for lane in lanes:
        queue.put(lane)
    return queue


def drained(queue: FairQueue, budget: int) -> list[list[Taken]]:
    batches = []
    while queue:
        batches.append(queue.take(budget))
        assert batches[-1], "a queue that is not empty gives something"
    return batches


@settings(deadline=None)
@given(st.lists(jobs, max_size=6), budgets)
def test_every_unit_is_taken_once_and_in_its_jobs_order(told: list[tuple[list[int], bool, bool]], budget: int) -> None:
    lanes = [made(number, job) for number, job in enumerate(told)]
    queue = queue_of(lanes)
    taken = [one for batch in drained(queue, budget) for one in batch]
    for lane, (documents, _, _) in zip(lanes, told, strict=True):
        own = [one for one in taken if one.lane is lane]
        assert [one.index for one in own] == [unit.document for unit in units_in(own)] == list(range(len(documents)))
    assert queue.tokens == 0
    assert queue.take(budget) == []


@settings(deadline=None)
@given(st.lists(jobs, max_size=6), budgets)
def test_a_batch_keeps_within_the_budget_unless_it_is_one_unit(
    told: list[tuple[list[int], bool, bool]], budget: int
) -> None:
    # Each document is asked about once.
    for batch in drained(queue_of([made(*one) for one in enumerate(told)]), budget):
        assert len(batch) == 1 or laid(units_in(batch)).total_tokens <= budget


@settings(deadline=None)
@given(st.lists(jobs, max_size=6), budgets)
def test_a_batch_holds_jobs_of_one_kind_and_suspects_by_themselves(
    told: list[tuple[list[int], bool, bool]], budget: int
) -> None:
    for batch in drained(queue_of([made(*one) for one in enumerate(told)]), budget):
        lanes = {one.lane for one in batch}
        (explains,) = {lane.explains for lane in lanes}
        assert not explains or len(batch) <= EXPLAINED_UNITS
        assert len(lanes) == 1 or not any(lane.alone for lane in lanes)


@settings(deadline=None)
@given(st.lists(jobs, min_size=1, max_size=6), budgets)
def test_a_job_waits_for_no_more_passes_than_there_are_jobs_before_it(
    told: list[tuple[list[int], bool, bool]], budget: int
) -> None:
    lanes = [made(*one) for one in enumerate(told)]
    queue = queue_of(lanes)
    # Since each job's last turn, or the beginning.
    waited = dict.fromkeys(lanes, 0)
    while queue:
        served = {one.lane for one in queue.take(budget)}
        for lane in lanes:
            waited[lane] = 0 if lane in served or not lane.left else waited[lane] + 1
            assert waited[lane] < len(lanes)


@settings(deadline=None)
@given(st.lists(lengths, min_size=1, max_size=6), budgets)
def test_a_job_gets_its_share_of_a_batch_or_is_through_or_does_not_fit(told: list[list[int]], budget: int) -> None:
    lanes = [made(number, (documents, False, False)) for number, documents in enumerate(told)]
    queue = queue_of(lanes)
    while queue:
        waiting = [lane for lane in lanes if lane.left]
        batch = queue.take(budget)
        forest = laid(units_in(batch))
        for lane in waiting:
            # What is shared is charged to whoever came first, so a share may be short by as much.
            own = laid(units_in(batch, lane)).total_tokens
            fits = lane.left > 0 and forest.total_tokens + lane.peek().prompt.new_tokens(forest) <= budget
            assert not fits, "room is left and a unit that fits it waits"
            assert not lane.left or own >= budget // len(waiting) or _blocked(lane, forest, budget)


@settings(deadline=None)
@given(st.integers(1, 120), st.integers(1, 40), st.integers(1, 40), st.booleans(), budgets)
def test_a_second_budget_is_for_questions_about_a_document_that_takes_more_than_half_of_the_first(
    document: int, questions: int, question: int, explained: bool, budget: int
) -> None:
    """Beside another job, each batch in its order; nothing is left out, and no document is read for one question."""
    path = [(1,) * 3, (2,) * document]
    units = [Unit(_asked(path, number, question), 0, None, _why if explained else None) for number in range(questions)]
    one, other = lane_of(units, "one"), made(1, ([5] * 20, explained, False))
    queue = queue_of([one, other])
    read = 3 + document
    for batch in drained(queue, budget):
        own = units_in(batch, one)
        forest = laid(units_in(batch))
        if len(batch) > 1 and forest.total_tokens > budget:
            assert own and not explained and forest.total_tokens <= 2 * budget
            assert 2 * read > budget
            # What is over it are questions alone.
            assert laid(units_in(batch, other)).total_tokens + read <= max(budget, read)
    assert not one.left and not other.left


@pytest.mark.parametrize(("explained", "row_tokens", "passes"), [(False, 160, 1), (True, 220, 1), (True, 180, 3)])
def test_a_document_is_read_once_for_its_questions_where_passes_are_filled_to_less_than_there_is_room_for(
    explained: bool, row_tokens: int, passes: int
) -> None:
    path = [(1,) * 3, (2,) * 150]
    units = [Unit(_asked(path, number, 5), 0, None, _why if explained else None) for number in range(8)]
    queue = queue_of([lane_of(units, "one"), made(1, ([60, 60], explained, False))])
    batches = list[list[Taken]]()
    while batch := queue.take(64, row_tokens=row_tokens):
        batches.append(batch)
    assert [{one.lane.job for one in batch} for batch in batches].count({"one"}) == passes
    assert len(batches) == passes + 2, "documents of another job go into passes of their own"
    assert not explained or all(laid(units_in(batch)).total_tokens <= row_tokens for batch in batches)


def _why(scores: Any, followed: Any) -> tuple[None, str]:
    return None, "yes"


def _asked(path: list[tuple[int, ...]], number: int, tokens: int) -> Prompt:
    return Prompt((*path, (100 + number,) * tokens), (True, False, False), units_of([[9]])[0].prompt.trie)


def _blocked(lane: Lane, forest: Forest, budget: int) -> bool:
    return forest.total_tokens + lane.peek().prompt.new_tokens(forest) > budget


def test_a_short_job_behind_a_long_one_is_in_the_next_pass() -> None:
    long, short = made(0, ([20] * 5000, False, False)), made(1, ([20], False, False))
    queue = queue_of([long])
    queue.take(400)
    queue.put(short)
    assert short in {one.lane for one in queue.take(400)}
    assert not short.left


def test_two_long_jobs_advance_side_by_side() -> None:
    lanes = [made(0, ([10] * 200, False, False)), made(1, ([10] * 200, False, False))]
    queue = queue_of(lanes)
    for _ in range(5):
        queue.take(400)
    assert abs(lanes[0].taken - lanes[1].taken) <= 3
    assert lanes[0].taken > 50


def test_units_of_one_job_lie_together_in_a_batch() -> None:
    queue = queue_of([made(number, ([10] * 20, False, False)) for number in range(3)])
    owners = [one.lane for one in queue.take(300)]
    changes = sum(one is not other for one, other in pairwise(owners))
    assert changes <= 4  # three turns, and what is left over


def test_units_are_laid_when_their_turn_comes() -> None:
    units, drawn = deque(units_of([[n] * 50 for n in range(100, 200)])), 0

    def laying() -> Unit:
        nonlocal drawn
        drawn += 1
        return units.popleft()

    queue = queue_of([Lane(iter(laying, None), 100, 6000)])
    assert drawn == 0
    queue.take(500)
    assert 0 < drawn <= 500 // 50 + 1


@settings(deadline=None)
@given(st.lists(jobs, min_size=1, max_size=6), budgets, st.data())
def test_what_is_dropped_is_never_taken_again_and_the_others_are(
    told: list[tuple[list[int], bool, bool]], budget: int, data: st.DataObject
) -> None:
    lanes = [made(*one) for one in enumerate(told)]
    queue, taken, dropped = queue_of(lanes), list[Taken](), set[Lane]()
    while queue:
        for lane in data.draw(st.lists(st.sampled_from(lanes), max_size=2)):
            queue.drop(lane)
            dropped.add(lane)
        batch = queue.take(budget)
        assert dropped.isdisjoint(one.lane for one in batch)
        taken += batch
    assert queue.tokens == 0
    for lane, (documents, _, _) in zip(lanes, told, strict=True):
        if lane not in dropped:
            assert sum(one.lane is lane for one in taken) == len(documents)


@settings(deadline=None)
@given(st.lists(lengths, max_size=8), st.integers(50, 1500), budgets)
def test_a_job_is_refused_only_where_its_equals_before_it_fill_the_queue(
    told: list[list[int]], limit: int, budget: int
) -> None:
    queue, lanes = FairQueue(limit), list[Lane]()
    for number, documents in enumerate(told):
        lane, tokens = made(number, (documents, False, False)), queue.tokens
        before = sum(min(other.asked_tokens, lane.asked_tokens) for other in lanes if other.left)
        try:
            queue.put(lane)
        except CapacityError as error:
            assert error.code == "overloaded"
            assert before and before + lane.asked_tokens > limit
            assert queue.tokens == tokens
        else:
            assert not before or before + lane.asked_tokens <= limit
            lanes.append(lane)
        if number % 3 == 2:
            queue.take(budget)


def test_one_huge_job_shuts_out_no_other_that_is_small() -> None:
    huge = made(0, ([20] * 5_000, False, False))
    queue = queue_of([huge], max_tokens=1_000)
    assert huge.asked_tokens > 100 * 1_000
    for number in range(1, 8):
        queue.put(made(number, ([20], False, False)))
    assert len(queue) == 8


def test_many_small_jobs_shut_out_no_large_one_and_two_large_ones_do() -> None:
    queue = queue_of([made(number, ([20], False, False)) for number in range(4)], max_tokens=1_000)
    queue.put(made(4, ([20] * 20, False, False)))
    with pytest.raises(CapacityError, match="counted up to"):
        queue.put(made(5, ([20] * 20, False, False)))


def test_tokens_that_wait_are_counted_down_as_they_are_taken() -> None:
    lane = made(0, ([10] * 10, False, False))
    queue = queue_of([lane])
    before = queue.tokens
    taken = queue.take(100)
    assert queue.tokens == before - sum(unit.asked_tokens for unit in units_in(taken))


def test_a_job_that_cannot_be_laid_fails_alone() -> None:
    def broken() -> list[Unit]:
        raise ValueError("no")

    good, bad = made(0, ([10] * 3, False, False)), Lane((unit for _ in "a" for unit in broken()), 5, 100)
    queue = queue_of([bad, good])
    taken = [one for batch in drained_with_failures(queue) for one in batch]
    assert [one.lane for one in taken] == [good] * 3
    ((lane, error),) = queue.failed
    assert lane is bad and isinstance(error, ValueError)
    assert queue.tokens == 0


def test_a_job_that_cannot_be_laid_any_further_stays_out() -> None:
    def broken() -> Iterator[Unit]:
        yield from units_of([[7] * 10])
        raise ValueError("no")

    bad = Lane(broken(), 5, 100)
    queue = queue_of([bad])
    assert [one.lane for one in queue.take(100)] == [bad]
    assert [lane for lane, _ in queue.failed] == [bad]
    assert not queue and queue.tokens == 0


def drained_with_failures(queue: FairQueue) -> list[list[Taken]]:
    batches = []
    while queue:
        batches.append(queue.take(100))
    return batches


def test_an_empty_job_does_not_wait() -> None:
    queue = queue_of([lane_of([])])
    assert len(queue) == 0


@pytest.mark.parametrize("budget", [AROUND, AROUND + 30])
def test_a_unit_over_the_budget_is_taken_by_itself(budget: int) -> None:
    queue = queue_of([made(0, ([60, 60], False, False)), made(1, ([1], False, False))])
    assert len(queue.take(budget)) == 1


@pytest.mark.parametrize("count", [EXPLAINED_UNITS - 1, EXPLAINED_UNITS, EXPLAINED_UNITS + 1, 2 * EXPLAINED_UNITS + 1])
def test_as_many_reasons_a_pass_as_may_be_and_no_more(count: int) -> None:
    lanes = [made(number, ([1] * count, True, False)) for number in range(2)]
    batches = drained(queue_of(lanes), PLENTY)
    whole, rest = divmod(2 * count, EXPLAINED_UNITS)
    assert [len(batch) for batch in batches] == [EXPLAINED_UNITS] * whole + [rest] * bool(rest)


@settings(deadline=None)
@given(st.lists(jobs, min_size=1, max_size=6), budgets, st.integers(0, 150))
def test_short_jobs_go_first_in_every_other_pass_at_most(
    told: list[tuple[list[int], bool, bool]], budget: int, short: int
) -> None:
    lanes = [made(*one) for one in enumerate(told)]
    queue, twin = queue_of(lanes), queue_of([made(*one) for one in enumerate(told)])
    waited, taken = dict.fromkeys(lanes, 0), list[Taken]()
    while queue:
        batch = queue.take(budget, short_tokens=short)
        taken += batch
        served = {one.lane for one in batch}
        assert served
        for lane in lanes:
            waited[lane] = 0 if lane in served or not lane.left else waited[lane] + 1
            assert waited[lane] < 2 * len(lanes)
    assert len(taken) == sum(len(batch) for batch in drained(twin, budget))


def test_a_short_job_shares_no_pass_with_a_long_one_where_that_is_asked() -> None:
    long, short, other = (made(number, (lengths, False, False)) for number, lengths in enumerate(([30] * 8, [5], [6])))
    queue = queue_of([long, short, other])
    limit = max(short.asked_tokens, other.asked_tokens)
    passes = [{one.lane for one in queue.take(100, short_tokens=limit)} for _ in range(3)]
    assert passes == [{short, other}, {long}, {long}]
    queue = queue_of([made(0, ([30] * 8, False, False)), made(1, ([5], False, False))])
    assert len({one.lane for one in queue.take(100)}) == 2  # on a card, which has room beside it
    # Whoever keeps on sending short ones takes every other pass.
    stream = made(0, ([30] * 40, False, False))
    queue, turns = queue_of([stream]), list[bool]()
    for number in range(8):
        queue.put(made(number + 1, ([5], False, False)))
        turns.append(stream in {one.lane for one in queue.take(200, short_tokens=limit)})
    assert turns == [False, True] * 4
