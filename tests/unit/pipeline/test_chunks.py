"""Documents that take more than a pass: read in chunks, once, fairly, and with the answers of an endless pass."""

import gc
import weakref
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.api.request import Options, Request
from pinpoint.api.response import DocumentFailure, DocumentResult
from pinpoint.errors import OutOfMemory
from pinpoint.pipeline.classify import Work, classify
from pinpoint.pipeline.engine_protocol import Scores
from pinpoint.pipeline.fair_queue import FairQueue, Lane, Taken
from pinpoint.pipeline.passes import measure
from pinpoint.pipeline.units import LEAST_CHUNK_TOKENS, Chunk, Followed, Measured, ReadAhead, Unit
from pinpoint.prompting.prompt import Prompt
from tests.fakes import FakeEngine, lane_of, units_of
from tests.requests_of import CHOICE, FLAGS, PROMPTS, TONE, answered, document, request

TRIE = units_of([[9]])[0].prompt.trie
PLENTY = 10**9
ROOM = 5_000  # of what is kept at once, where it is no matter


def about(number: int, tokens: int, questions: int, *, long: bool = False) -> list[Unit]:
    """Units with different questions about one document that does not fit a pass."""
    path = ((1,) * 3, (2 + number,) * tokens)
    return [
        Unit(Prompt((*path, (100 + question,) * 4), (True, False, False), TRIE, ahead=2), 0, ahead=2, long=long)
        for question in range(questions)
    ]


def drained(lanes: list[Lane], budget: int, held: int = ROOM) -> list[list[Taken]]:
    """All batches, each of them run."""
    queue, engine, batches = FairQueue(10**9), FakeEngine(), list[list[Taken]]()
    for lane in lanes:
        queue.put(lane)
    while queue:
        batch = queue.take(budget, held)
        assert batch, "a queue that is not empty gives something"
        measure([taken.unit for taken in batch], engine)
        batches.append(batch)
    return batches


def kept(batch: list[Taken]) -> set[ReadAhead]:
    return {taken.unit.begun for taken in batch if taken.unit.begun is not None}


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 1500), min_size=1, max_size=3, unique=True),
    st.integers(250, 900),
    st.sampled_from([(CHOICE,), (FLAGS,), (TONE, FLAGS, CHOICE)]),
    st.sampled_from([None, 300, 1000]),
)
def test_answers_are_those_of_an_endless_pass_and_each_document_is_read_once(
    lengths: list[int], budget: int, tasks: Any, short: int | None
) -> None:
    texts = ["x" + "ab" * length for length in lengths]
    asked = request(*texts, tasks=tasks, return_raw=True)
    engine, endless = FakeEngine(token_budget=budget, short_tokens=short), FakeEngine()
    chunked, counts = classify(asked, engine)
    whole, _ = classify(asked, endless)
    assert answered(chunked) == answered(whole)
    assert chunked.usage == whole.usage
    rows = max(
        len(prompt.path[-1]) + len(prompt.trie.tokens) + sum(map(len, prompt.path[prompt.ahead : -1]))
        for task in tasks
        for prompt in PROMPTS.lay(task, (1, 2))
    )
    assert all(forest.laid_tokens <= max(2 * budget, rows) for forest in engine.forests)
    assert counts.tokens_computed == sum(forest.laid_tokens for forest in engine.forests)
    for result, text in zip(chunked.results, texts, strict=True):
        assert isinstance(result, DocumentResult)
        assert (result.input.tokens, result.input.tokens_dropped) == (len(PROMPTS.document(text)), 0)
    begun = {id(prefill): prefill for forest in engine.forests for _, prefill in forest.reads}.values()
    assert all(not prefill.left for prefill in begun)
    read = sum(len(forest.tokens[span]) for forest in engine.forests for span, _ in forest.reads)
    assert read == sum(len(prefill.tokens) for prefill in begun)
    if short is None:  # else a document may be read as a part of short prompts, and again of long ones
        assert len(begun) == len({prefill.path for prefill in begun})


@pytest.mark.parametrize("limit", [400, 1200])
def test_a_document_is_cut_beyond_what_can_be_read_alone(limit: int) -> None:
    text = "x" * 900
    length = len(PROMPTS.document(text))
    (result,) = classify(request(text), FakeEngine(context_tokens=limit, token_budget=300))[0].results
    assert isinstance(result, DocumentResult)
    assert (result.input.tokens_dropped > 0) == (limit == 400)
    assert result.input.tokens + result.input.tokens_dropped == length
    # Memory is a limit like the context.
    engine = FakeEngine(token_budget=300, most_read_tokens=limit)
    (other,) = classify(request(text), engine)[0].results
    assert isinstance(other, DocumentResult)
    assert other.input == result.input


def test_pages_that_are_read_apart_are_parted_as_before() -> None:
    asked = Request((document("short", "x" * 600),), (CHOICE,), Options(long_document="pages"))
    engine = FakeEngine(token_budget=400)
    (answers,) = answered(classify(asked, engine)[0])
    assert len(answers["category"].pages) > 2
    assert not any(forest.reads for forest in engine.forests)


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(80, 200), st.integers(1, 12))
def test_other_jobs_go_in_between_chunks(lengths: list[int], budget: int, times: int) -> None:
    """Each gets its share of every pass for as long as it has something, whoever came first."""
    long, short = lane_of(about(0, times * budget, 3), "long"), lane_of(units_of([[7] * n for n in lengths]), "short")
    batches = drained([long, short], budget)
    passes = [number for number, batch in enumerate(batches) if any(taken.lane is short for taken in batch)]
    # Half of each pass is theirs, and a unit that is more than is left of its half waits for the next.
    tokens = sum(n + 5 + len(TRIE.tokens) for n in lengths)
    assert passes[-1] <= -(-2 * tokens // budget) + len(lengths)
    for batch in batches:
        chunk = sum(taken.unit.tokens for taken in batch if isinstance(taken.unit, Chunk))
        assert chunk <= budget
    read = sum(taken.unit.tokens for batch in batches for taken in batch if isinstance(taken.unit, Chunk))
    assert read == times * budget + 3


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(90, 700), min_size=1, max_size=3), min_size=1, max_size=5),
    st.integers(100, 200),
    st.integers(1, 1500),
    st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_what_is_kept_is_bounded_and_nobody_waits_for_ever(
    jobs: list[list[int]], budget: int, held: int, alone: list[bool]
) -> None:
    lanes = [
        lane_of([unit for n, tokens in enumerate(job) for unit in about(10 * number + n, tokens, 2)], str(number),
                alone=alone[number])
        for number, job in enumerate(jobs)
    ]  # fmt: skip
    batches = drained(lanes, budget, held)
    for batch in batches:
        tokens = [len(one.tokens) for one in kept(batch)]
        assert sum(tokens) <= held or len(tokens) == 1
    for lane, job in zip(lanes, jobs, strict=True):
        taken = [one for batch in batches for one in batch if one.lane is lane]
        assert [one.index for one in taken if isinstance(one.unit, Unit)] == list(range(2 * len(job)))
        assert sum(one.unit.tokens for one in taken if isinstance(one.unit, Chunk)) == sum(job) + 3 * len(job)
        assert lane.begun is None
    # Documents begin in the order of the ring: none is passed by for another that is smaller, however they come.
    first = [next(n for n, batch in enumerate(batches) if any(t.lane is lane for t in batch)) for lane in lanes]
    if not any(alone):
        assert first == sorted(first)


def test_a_question_that_would_fit_a_pass_goes_behind_what_was_read_for_those_before_it() -> None:
    """Of three tasks about a document, that in the middle would fit."""
    asked, engine = request("x" + "ab" * 147, tasks=(TONE, FLAGS, CHOICE)), FakeEngine(token_budget=250)
    work = Work(asked, engine, 0.0)
    work.prepare()
    assert [bool(unit.ahead) for unit in work.lane().units] == [True, False, False, False, True]
    response, counts = classify(asked, engine)
    assert counts.tokens_computed == response.usage.prompt_tokens - response.usage.cached_tokens


def test_documents_of_two_jobs_are_apart_though_they_are_equal_and_from_what_is_short() -> None:
    """What a prompt sees is what its own job had read, or what its own pass computed: it depends on no other job."""
    queue, engine = FairQueue(10**9), FakeEngine()
    short = Unit(Prompt(((1,) * 3, (5,)), (True, False), TRIE))
    for lane in (lane_of(about(0, 500, 2), "one"), lane_of(about(0, 500, 2), "other")):
        queue.put(lane)
    while batch := queue.take(400, PLENTY):
        if not any(isinstance(taken.unit, Chunk) for taken in batch):
            measure([*(taken.unit for taken in batch), short], engine)
            break
        measure([taken.unit for taken in batch], engine)
    forest = engine.forests[-1]
    sources = {span: prefill for last, prefill in forest.given for span in forest.ancestry(last)}
    seen = [{id(sources[span]) for span in forest.ancestry(ask.span) if span in sources} for ask in forest.asks]
    assert [len(one) for one in seen] == [1, 1, 1, 1, 0]
    assert len(set.union(*seen)) == 2
    assert forest.laid_tokens == 4 * (4 + len(TRIE.tokens)) + 3 + 1 + len(TRIE.tokens)


def test_what_a_job_had_read_goes_with_it() -> None:
    queue, engine = FairQueue(10**9), FakeEngine()
    lane = lane_of(about(0, 900, 2))
    queue.put(lane)
    batch = queue.take(100, ROOM)
    measure([taken.unit for taken in batch], engine)
    assert lane.begun is not None
    begun = weakref.ref(lane.begun)
    queue.drop(lane)
    del batch
    engine.forests.clear()
    engine.passes.clear()
    gc.collect()
    assert begun() is None


def test_a_chunk_that_runs_out_of_memory_is_halved_and_its_neighbours_go_on() -> None:
    engine = FakeEngine(token_budget=400, device_tokens=150)
    texts = ["x" * 1200, "y" * 40]
    one, counts = classify(request(*texts, return_raw=True), engine)
    other, _ = classify(request(*texts, return_raw=True), FakeEngine())
    assert answered(one) == answered(other)
    assert engine.releases > 0
    assert counts.batches < len(engine.forests)
    # What was learnt holds for the rest of the document.
    assert engine.releases <= 6


def test_a_document_whose_smallest_chunk_finds_no_memory_fails_alone() -> None:
    engine = FakeEngine(token_budget=400, device_tokens=LEAST_CHUNK_TOKENS // 2)
    response, _ = classify(request("x" * 1200), engine)
    (failed,) = response.results
    assert isinstance(failed, DocumentFailure)
    assert failed.error.code == "out_of_memory"
    least = min(forest.laid_tokens for forest in engine.forests)
    assert least >= LEAST_CHUNK_TOKENS


def test_what_reading_took_is_told_by_the_first_unit_behind_it() -> None:
    engine, queue, outcomes = FakeEngine(), FairQueue(10**9), list[Any]()
    queue.put(lane_of(about(0, 500, 3)))
    while batch := queue.take(100, ROOM):
        outcomes += [one for one in measure([taken.unit for taken in batch], engine) if one is not None]
    first, *others = outcomes
    assert isinstance(first, Measured)
    assert len(first.before) == -(-503 // 100)
    assert first.computed_tokens >= 503
    assert not any(one.before for one in others)
    assert sum(one.computed_tokens for one in outcomes) == sum(one.computed_tokens for one in engine.passes)


@settings(deadline=None)
@given(
    st.integers(60, 1200), st.integers(80, 200), st.integers(0, 100),
    st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=8), max_size=4), st.integers(0, 4), st.booleans(),
)  # fmt: skip
def test_where_bits_matter_chunks_end_alike_in_any_company_and_nobody_is_left_waiting(
    tokens: int, chunk_tokens: int, more: int, others: list[list[int]], place: int, filled_to_less: bool
) -> None:
    mine = lane_of([replace(unit, same_bits=True, chunk_tokens=chunk_tokens) for unit in about(0, tokens, 3)], "mine")
    lanes = [lane_of(units_of([[7] * n for n in lengths]), f"other {n}") for n, lengths in enumerate(others)]
    lanes.insert(place, mine)
    budget = 60 if filled_to_less else chunk_tokens + more  # as a processor's, with room for a whole chunk
    queue, engine, batches = FairQueue(10**9), FakeEngine(on_card=True), list[list[Taken]]()
    for lane in lanes:
        queue.put(lane)
    while queue:
        waiting = {taken.lane for batch in batches[-2 * len(lanes) :] for taken in batch}
        assert len(batches) < 2 * len(lanes) or waiting >= set(queue._ring), "a job got nothing in so many passes"
        batches.append(queue.take(budget, ROOM, max(budget, chunk_tokens)))
        measure([taken.unit for taken in batches[-1]], engine)
    sizes = [[len(forest.tokens[span]) for span, _ in forest.reads] for forest in engine.forests if forest.reads]
    read = 3 + tokens
    assert [size for chunk in sizes for size in chunk] == [
        min(chunk_tokens, read - at) for at in range(0, read, chunk_tokens)
    ]
    assert all(forest.same_bits for forest in engine.forests if forest.reads)


def test_a_chunk_of_a_settled_size_is_halved_where_it_runs_out_of_memory() -> None:
    unit = replace(about(0, 500, 1)[0], same_bits=True, chunk_tokens=256)
    queue, engine, outcomes = FairQueue(10**9), FakeEngine(device_tokens=200), list[Any]()
    queue.put(lane_of([unit]))
    while batch := queue.take(256, ROOM):
        outcomes += measure([taken.unit for taken in batch], engine)
    assert [type(one) for one in outcomes if one is not None] == [Measured]


def test_bits_that_matter_are_asked_for_by_the_job_and_chunks_are_as_large_as_what_was_set() -> None:
    engine = FakeEngine(token_budget=600, most_row_tokens=250)
    lanes = dict[bool, list[Unit]]()
    for deterministic in (False, True):
        work = Work(request("x" * 300, "x" * 900, tasks=(CHOICE,), deterministic=deterministic), engine, 0.0)
        work.prepare()
        lanes[deterministic] = list(work.lane().units)
    assert [(bool(unit.ahead), unit.chunk_tokens) for unit in lanes[False]] == [(False, None), (True, None)]
    assert [(bool(unit.ahead), unit.chunk_tokens) for unit in lanes[True]] == [(True, 250), (True, 250)]


def test_a_unit_whose_beginning_cannot_be_read_is_not_run() -> None:
    (unit,) = about(0, 500, 1)
    begun = ReadAhead(unit.prompt.path[:2])
    failure = OutOfMemory("out_of_memory", "no room")
    begun.failure = failure
    engine = FakeEngine()
    assert measure([Unit(unit.prompt, ahead=2, begun=begun), Chunk(begun, 5)], engine) == [failure, None]
    assert engine.forests == []


def test_what_was_read_of_a_document_that_cannot_be_read_is_let_go() -> None:
    begun = ReadAhead(about(0, 500, 1)[0].prompt.path[:2], kept=object())
    let_go = list[tuple[bool, bool]]()
    for tokens in (2 * LEAST_CHUNK_TOKENS, LEAST_CHUNK_TOKENS):
        begun.ran_out(tokens, OutOfMemory("out_of_memory", "no room"))
        let_go.append((begun.settled, begun.kept is None))
    assert let_go == [(False, False), (True, True)]


def test_a_question_goes_behind_what_was_read_as_its_own_prompt_is() -> None:
    """What is kept of short prompts has other frequencies than what is kept of long ones."""
    lane = lane_of([*about(0, 600, 1), *about(0, 600, 1, long=True)])
    units = [taken.unit for batch in drained([lane], 300) for taken in batch if isinstance(taken.unit, Unit)]
    assert [(unit.long, unit.begun and unit.begun.long) for unit in units] == [(False, False), (True, True)]


def test_who_finds_no_room_is_not_overtaken_by_who_would() -> None:
    queue = FairQueue(10**9)
    lanes = [lane_of(about(number, tokens, 1)) for number, tokens in enumerate((600, 601, 100))]
    for lane in lanes:
        queue.put(lane)
    assert {taken.lane for taken in queue.take(300, held_tokens=800)} == {lanes[0]}


def test_a_reason_is_left_out_for_who_left_and_nobody_else() -> None:
    """Who it was is known by the place in the batch, beside a chunk and a unit that asks for no reason."""
    gone = set[int]()

    def leaves_meanwhile(scores: Scores, followed: Followed) -> tuple[int | None, str]:
        gone.add(3)
        return None, "it"

    plain, stays, leaves = (replace(unit, ahead=0) for unit in about(0, 50, 3))
    batch: list[Unit | Chunk] = [
        Chunk(ReadAhead(about(1, 500, 1)[0].prompt.path[:2]), 5),
        plain,
        replace(stays, explained=lambda scores, followed: (None, "it")),
        replace(leaves, explained=leaves_meanwhile),
    ]
    _, *outcomes = measure(batch, FakeEngine(), lambda index: index not in gone)
    assert [isinstance(one, Measured) and one.rationale is not None for one in outcomes] == [False, True, False]


def test_a_job_in_one_pass_is_as_before() -> None:
    work = Work(request("x" * 200, tasks=(FLAGS, CHOICE)), FakeEngine(token_budget=2_000), 0.0)
    work.prepare()
    assert not any(unit.ahead for unit in work.lane().units)
