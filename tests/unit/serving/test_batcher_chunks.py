"""Jobs with documents longer than a pass, among others: each answered once, read once, let go however it ends."""

import gc
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.pipeline import fair_queue
from pinpoint.pipeline.units import LEAST_CHUNK_TOKENS, ReadAhead, Unit
from pinpoint.prompting.prompt import Prompt
from tests.fake_clock import run
from tests.fakes import FakeEngine, FakePass, units_of
from tests.unit.serving.test_batcher import Bench, Told, as_if_alone, play, times

TRIE = units_of([[9]])[0].prompt.trie
QUESTIONS = 2


@dataclass(frozen=True)
class Long(Told):
    """A job whose documents are read ahead, each asked about a few times."""

    owner: str = ""

    def units(self, number: int) -> list[Unit]:
        """Documents of tokens that no other job has, behind a beginning that all have."""
        prompts = [
            Prompt(
                ((2, 3), (self.token(number) + n,) * length, (4 + question,) * 3), (True, False, False), TRIE,
                self.owner, ahead=2,
            )
            for n, length in enumerate(self.lengths) for question in range(QUESTIONS)
        ]  # fmt: skip
        return [Unit(prompt, index // QUESTIONS, ahead=2) for index, prompt in enumerate(prompts)]


def told(kind: type[Told], most_tokens: int, most_documents: int, **more: Any) -> st.SearchStrategy[Told]:
    return st.builds(
        kind,
        at_s=times,
        lengths=st.lists(st.integers(1, most_tokens), min_size=1, max_size=most_documents),
        leaves_after_s=st.none() | st.none() | times,
        harm=st.sampled_from(["", "", "", "value error"]),
        alone=st.sampled_from([False, False, False, True]),
        **more,
    )


short = told(Told, 40, 6, explained=st.sampled_from([False, False, True]))
long = told(Long, 700, 3, owner=st.sampled_from(["", "one"]))
# A device that holds a pass of the least chunk, and every question.
devices = st.none() | st.integers(2 * LEAST_CHUNK_TOKENS, 400)


@pytest.fixture(scope="module", autouse=True)
def what_is_there_is_not_looked_over() -> Iterator[None]:
    """Each example looks for rubbish: among its own objects, not among those of every library that tests imported."""
    gc.freeze()
    yield
    gc.unfreeze()


@settings(deadline=None, max_examples=40)
@given(st.lists(long | short, min_size=1, max_size=6), st.integers(60, 150), devices, st.integers(1, 1500))
def test_each_job_is_answered_once_and_every_document_read_once(
    jobs: list[Told], budget: int, device_tokens: int | None, held: int
) -> None:
    bench = Bench(FakeEngine(token_budget=budget, device_tokens=device_tokens, most_read_tokens=held))
    alive = weakref.WeakSet[ReadAhead]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fair_queue, "ReadAhead", lambda *about, **more: _among(alive, ReadAhead(*about, **more)))
        answers = run(play(bench, jobs))
    as_if_alone(jobs, answers, FakeEngine)
    _check_reads(bench.engine.passes, answers, jobs)
    told = sum(record.asks for record in bench.records if record.code is None)
    assert told == sum(len(done.forest.asks) for done in bench.engine.passes)
    assert bench.batcher.queued_tokens == 0
    bench.engine.forests.clear()
    bench.engine.passes.clear()
    bench.engine.breaks.clear()  # what was raised knows where
    gc.collect()
    assert not list(alive), "nobody waits for it any more"


def _among(alive: "weakref.WeakSet[ReadAhead]", one: ReadAhead) -> ReadAhead:
    alive.add(one)
    return one


def _check_reads(passes: list[FakePass], answers: list[Any], jobs: list[Told]) -> None:
    read = Counter[tuple[int, ...]]()
    for done in passes:
        forest = done.forest
        for span, prefill in forest.reads:
            read[prefill.path[1]] += len(forest.tokens[span])
        # What a prompt sees was read for itself: no other's document, and no other's beginning.
        given = {span for last, _ in forest.given for span in forest.ancestry(last)}
        assert all(len(given.intersection(forest.ancestry(ask.span))) in (0, 2) for ask in forest.asks)
    for number, (job, answer) in enumerate(zip(jobs, answers, strict=True)):
        if isinstance(job, Long):
            for n, length in enumerate(job.lengths):
                tokens = read[(job.token(number) + n,) * length]
                assert tokens == 2 + length if isinstance(answer, list) else tokens <= 2 + length


def test_of_each_pass_it_is_told_what_is_held_of_long_documents() -> None:
    """Else their reading looks like memory that is lost, and the worker asks to be replaced."""
    bench = Bench(FakeEngine(token_budget=100, held_bytes=3))
    run(play(bench, [Long(0.0, [250])]))
    assert [record.held_bytes for record in bench.records] == [3] * 4
