"""Recorded steps of reasons, without a GPU: a step is traced to its operations, which are run again as a graph's are.

What is traced keeps the very tensors that it read, as a graph keeps their addresses, and none of the Python around it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from pinpoint.engine.forward import attention, generate, steps
from pinpoint.engine.forward.steps import RecordedSteps, Step
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.span_tree import Forest
from tests.numeric.forward.families import configuration, random_model
from tests.numeric.forward.test_families import documents, scorer_of, with_our_attention
from tests.numeric.forward.test_reasons_together import asked_of

WRITTEN_TOKENS = 12
PLACES = 1024


class Recorder:
    """Traces calls.

    Attributes:
        traced: the graphs, in the order in which they were made.
        pools: what each was given.
    """

    def __init__(self) -> None:
        self.traced: list[Any] = []
        self.pools: list[object] = []

    def __call__(self, call: Callable[[], None], pool: object) -> tuple[Step, object]:
        """A call, traced and not run."""
        state = held_by(call)
        before = [tensor.clone() for tensor in state]

        def traced() -> Tensor:
            call()
            return torch.zeros(())

        self.traced.append(make_fx(traced)())
        for tensor, value in zip(state, before, strict=True):
            tensor.copy_(value)  # tracing runs what it traces; recording on a device does not
        self.pools.append(pool)
        return self.traced[-1], f"pool {len(self.traced)}"

    def read(self) -> list[Tensor]:
        """All tensors that the graphs read or write beside what they make."""
        return [
            tensor
            for graph in self.traced
            for tensor in (*graph.parameters(), *graph.buffers(), *vars(graph).values())
            if isinstance(tensor, Tensor)
        ]


def held_by(call: Any) -> list[Tensor]:
    writer = call.__self__
    state, cache = writer.state, writer._cache
    return [state.token, state.position, state.written, state.count, *cache.keys, *cache.values]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setattr(generate, "MOST_TOKENS", WRITTEN_TOKENS)
    monkeypatch.setattr(generate, "LOOK_EVERY", 3)
    monkeypatch.setattr(generate, "records", lambda model: True)
    yield Recorder()


def scorers(family: str, recorder: Recorder, places: int = PLACES) -> tuple[Scorer, Scorer]:
    """One that records, and one that does not."""
    attention.register()
    plain = random_model(configuration(family))
    recording, calling = (scorer_of(with_our_attention(plain)) for _ in range(2))
    recording._steps = RecordedSteps(places, recorder)
    return recording, calling


def written(scorer: Scorer, forest: Forest) -> list[Any]:
    """All reasons of a company."""
    with scorer.run(forest, explain=True) as done:
        return done.explain_all(asked_of(forest))


LENGTHS = [(5, 30, 3, 17, 11), (4, 28, 9, 6), (31, 2), (8,), (6, 29, 4, 18, 12)]


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2"])
def test_recorded_steps_write_for_every_company_what_called_ones_write(family: str, recorder: Recorder) -> None:
    """Companies of other documents and sizes over the same tensors, one after the other."""
    recording, calling = scorers(family, recorder)
    for lengths in LENGTHS:
        forest = documents(*lengths)
        assert written(recording, forest) == written(calling, forest), lengths
    assert 2 <= len(recorder.traced) < len(LENGTHS), "sizes are used again"
    assert recorder.pools == [None, *["pool 1"] * (len(recorder.traced) - 1)]


@pytest.mark.parametrize("places", [PLACES, 0])
def test_a_step_that_cannot_be_recorded_is_called_from_then_on(
    recorder: Recorder, places: int, caplog: pytest.LogCaptureFixture
) -> None:
    recording, calling = scorers("mistral", recorder)

    def refused(call: Callable[[], None], pool: object) -> tuple[Step, object]:
        recorder(call, pool)  # all that is Python of it has run
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    kept = recording._steps = RecordedSteps(places, refused)
    for lengths in LENGTHS:
        forest = documents(*lengths)
        assert written(recording, forest) == written(calling, forest), lengths
    assert (len(recorder.traced), kept.made, kept.failed) == (1, 0, True)
    assert [one.getMessage() for one in caplog.records if one.levelname == "WARNING"] == [
        "steps of reasons are not recorded: operation not permitted when stream is capturing"
    ]


def test_a_recorded_step_reads_nothing_that_is_not_there_for_the_next_company(recorder: Recorder) -> None:
    recording, _ = scorers("mistral", recorder)
    for lengths in LENGTHS[:2]:
        forest = documents(*lengths)
        with recording.run(forest, explain=True) as done:
            done.explain_all(asked_of(forest))
    kept, model = recording._steps, recording.loaded.model
    assert kept is not None and kept._state is not None
    state = kept._state
    stay = [state.token, state.position, state.last, state.written, state.count, kept._numbers]
    stay += [tensor for pair in kept._flat for tensor in pair] + [*model.parameters(), *model.buffers()]
    known = {tensor.untyped_storage().data_ptr() for tensor in stay}
    read = recorder.read()
    assert len(read) > 20
    # Scalars and other small constants of the code itself are made anew in a graph.
    assert [tensor.shape for tensor in read if tensor.untyped_storage().data_ptr() not in known and tensor.ndim] == []


def test_rows_that_have_stopped_make_room_in_a_smaller_step(
    recorder: Recorder,
) -> None:
    recording, calling = scorers("mistral", recorder)
    forest = documents(*LENGTHS[0])
    found = []
    for scorer in (recording, calling):
        with scorer.run(forest, explain=True) as done:
            found.append(done.explain_all(asked_of(forest), lambda index: index in (3, 5)))
    assert found[0] == found[1]
    assert [one is not None for one in found[0]] == [index in (3, 5) for index in range(len(found[0]))]
    kept = recording._steps
    assert kept is not None
    assert {rows for rows, _ in kept._steps} == {8, 2}


def test_a_company_beyond_what_is_kept_has_a_cache_of_its_own(recorder: Recorder) -> None:
    recording, calling = scorers("llama", recorder, places=100)
    forest = documents(*LENGTHS[0])
    found = []
    for scorer in (recording, calling):
        with scorer.run(forest, explain=True) as done:
            found.append(done.explain_all(asked_of(forest)))
    assert found[0] == found[1]
    kept = recording._steps
    assert kept is not None
    assert not kept._steps
    assert (kept.made, recorder.pools) == (1, [None])


def test_of_many_sizes_those_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "MOST_GRAPHS", 3)
    made = list[int]()

    def record(call: Callable[[], None], pool: object) -> tuple[Step, object]:
        made.append(0 if pool is None else 1)
        return lambda: None, "pool"

    kept = RecordedSteps(10_000, record)
    sizes = [(1, 64), (2, 64), (4, 64), (8, 64)]
    for size in sizes[:3]:
        kept.record(size, lambda: None)
    assert kept.known(sizes[0]) is not None
    kept.record(sizes[3], lambda: None)
    assert [kept.known(size) is not None for size in sizes] == [True, False, True, True]
    assert made == [0, 1, 1, 1], "all share the pool of the first"


@pytest.mark.parametrize(
    ("rows", "places", "size"),
    [(1, 64, (1, 64)), (3, 64, (4, 64)), (4, 150, (4, 150)), (4, 151, None), (9, 64, None), (32, 20, None)],
)
def test_sizes_are_rounded_up_and_keep_within_the_places(rows: int, places: int, size: tuple[int, int] | None) -> None:
    assert RecordedSteps(600, lambda call, pool: (call, pool)).size(rows, places) == size


def test_rows_of_any_length_are_laid_into_few_sizes() -> None:
    rows = [generate.Begun(range(tokens), (1,), ()) for tokens in range(1, 4000)]
    for row in rows:
        needed = row.tokens + generate.MOST_TOKENS
        assert needed <= row.places <= max(1.25 * needed, needed + 15)
        assert row.places % generate.PLACES_STEP == 0
    assert len({row.places for row in rows}) <= 4 * 6, "more than four between a power of two and the next"


def test_steps_that_were_recorded_before_one_failed_are_not_used_again() -> None:
    def record(call: Callable[[], None], pool: object) -> tuple[Step, object]:
        if pool is not None:
            raise RuntimeError("the generator is broken")
        return call, "a pool"

    kept = RecordedSteps(128, record)
    assert kept.record((1, 64), lambda: None) is not None
    assert kept.known((1, 64)) is not None
    assert kept.record((2, 64), lambda: None) is None
    assert kept.failed
    assert kept.known((1, 64)) is None
