"""Jobs that share passes, on a fake clock: each answered once, as if it were alone, whatever happens to the others."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.errors import CapacityError, DeviceError, InternalError, ModelError, OutOfMemory, PinpointError
from pinpoint.pipeline.passes import measure
from pinpoint.pipeline.units import Measured, Outcome, Unit
from pinpoint.prompting.prompt import Prompt
from pinpoint.prompting.span_tree import Forest
from pinpoint.serving.batcher import PROCESSOR_PASS_TOKENS, Batcher
from pinpoint.serving.watch.records import BatchRecord
from tests.fake_clock import run
from tests.fakes import FakeEngine, lane_of, units_of

T = TypeVar("T")
PLENTY = 10**9
PASS_S = 1.0
NO_DEVICE = DeviceError("device_error", "broken")


@dataclass
class Bench:
    """A batcher on a fake engine, whose passes take a second of the fake clock."""

    engine: FakeEngine = field(default_factory=FakeEngine)
    max_tokens: int = PLENTY
    wait_s: float | None = 0.005
    began_s: list[float] = field(default_factory=list)
    forests_began_s: list[float] = field(default_factory=list)
    around: list[list[str]] = field(default_factory=list)
    records: list[BatchRecord] = field(default_factory=list)
    running: bool = False

    def __post_init__(self) -> None:
        self.batcher = Batcher(
            lambda: self.engine, self.forward, self.max_tokens, self.wait_s, self.enter, self.records.append
        )

    async def forward(self, call: Callable[[], T]) -> T:
        """Half of the time before, half after: what happens meanwhile happens while a pass runs."""
        assert not self.running, "one pass at a time"
        self.running = True
        began_s, forests = asyncio.get_running_loop().time(), len(self.engine.forests)
        self.began_s.append(began_s)
        await asyncio.sleep(PASS_S / 2)
        try:
            return call()
        finally:
            await asyncio.sleep(PASS_S / 2)
            self.running = False
            self.forests_began_s += [began_s] * (len(self.engine.forests) - forests)

    @contextmanager
    def enter(self, jobs: list[str]) -> Iterator[None]:
        self.around.append(jobs)
        yield

    async def warm(self) -> None:
        """Load, and forget that it took a pass's time."""
        await self.batcher.engine()
        self.began_s.clear()


@dataclass(frozen=True)
class Told:
    """A job of a scenario: when it comes, its documents, when its caller gives up, which kind of harm it does."""

    at_s: float
    lengths: list[int]
    leaves_after_s: float | None = None
    harm: str = ""
    explained: bool = False
    alone: bool = False

    def units(self, number: int) -> list[Unit]:
        """Documents of tokens that no other job has."""
        return units_of([[self.token(number) + n] * length for n, length in enumerate(self.lengths)],
                        explained=self.explained)  # fmt: skip

    @staticmethod
    def token(number: int) -> int:
        return 1000 * (number + 1)


times = st.floats(0, 6).map(lambda t: round(t, 1))
told = st.builds(
    Told,
    at_s=times,
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    leaves_after_s=st.none() | st.none() | st.none() | times,
    harm=st.sampled_from(["", "", "", "", "value error"]),
    explained=st.sampled_from([False, False, False, True]),
    alone=st.sampled_from([False, False, False, False, True]),
)
scenarios = st.lists(told, min_size=1, max_size=7)


async def send(bench: Bench, number: int, job: Told) -> Any:
    """The outcome of a job: of its units, an error, or "left"."""
    await asyncio.sleep(job.at_s)
    waiting = bench.batcher.measure(lane_of(job.units(number), str(number), alone=job.alone))
    try:
        async with asyncio.timeout(job.leaves_after_s):
            return await waiting
    except TimeoutError:
        return "left"
    except PinpointError as error:
        return error


async def play(bench: Bench, jobs: Sequence[Told]) -> list[Any]:
    for number, job in enumerate(jobs):
        if job.harm == "value error":
            bench.engine.breaks[job.token(number)] = ValueError("harm")
    await bench.warm()
    answers = await asyncio.gather(*(send(bench, number, job) for number, job in enumerate(jobs)))
    await asyncio.sleep(2 * PASS_S)  # a pass that nobody waits for any more ends too
    return answers


def shown(outcomes: Sequence[Outcome]) -> list[tuple[Any, ...]]:
    """What of outcomes does not depend on the company."""
    return [
        (one.scores.log_probs, one.written_tokens, one.asked_tokens) if isinstance(one, Measured) else (str(one),)
        for one in outcomes
    ]


def as_if_alone(jobs: Sequence[Told], answers: Sequence[Any], engine: Callable[[], FakeEngine]) -> None:
    """Each job has left, or come to the harm that was meant for it, or has the answers that it has by itself there."""
    for number, (job, answer) in enumerate(zip(jobs, answers, strict=True)):
        if answer == "left":
            assert job.leaves_after_s is not None
        elif isinstance(answer, InternalError):
            assert job.harm and answer.code == "internal"
        else:
            assert not job.harm
            assert shown(answer) == shown(measure(job.units(number), engine()))


@settings(deadline=None, max_examples=150)
@given(scenarios, st.integers(20, 150), st.none() | st.integers(30, 120))
def test_each_job_is_answered_once_and_as_if_it_were_alone(
    jobs: list[Told], budget: int, device_tokens: int | None
) -> None:
    bench = Bench(FakeEngine(token_budget=budget, device_tokens=device_tokens))
    answers = run(play(bench, jobs))
    # A rationale names its ask, so a unit that is out of memory together may have none alone.
    as_if_alone(jobs, answers, lambda: FakeEngine(device_tokens=device_tokens))
    for forest in bench.engine.forests:
        assert forest.total_tokens <= budget or len(forest.asks) == 1
    assert bench.batcher.queued_tokens == 0
    assert not bench.running


@settings(deadline=None)
@given(scenarios, st.integers(40, 200))
def test_of_a_job_that_was_given_up_no_pass_begins_afterwards(jobs: list[Told], budget: int) -> None:
    bench = Bench(FakeEngine(token_budget=budget))

    run(play(bench, [replace(job, harm="") for job in jobs]))
    for began_s, forest in zip(bench.forests_began_s, bench.engine.forests, strict=True):
        tokens = {token for span in forest.tokens for token in span}
        for number, job in enumerate(jobs):
            if job.leaves_after_s is not None and began_s > PASS_S + job.at_s + job.leaves_after_s:
                assert tokens.isdisjoint(range(Told.token(number), Told.token(number) + 999))


@settings(deadline=None)
@given(scenarios, st.integers(40, 200), times)
def test_on_a_failed_device_all_in_flight_fail_and_all_after(jobs: list[Told], budget: int, at_s: float) -> None:
    bench = Bench(FakeEngine(token_budget=budget))
    killer = Told(at_s, [3])
    bench.engine.breaks[Told.token(len(jobs))] = NO_DEVICE
    last = Told(1000.0, [3])

    patient = [replace(job, harm="", leaves_after_s=None) for job in jobs]
    *others, dead, after = run(play(bench, [*patient, killer, last]))
    assert dead is NO_DEVICE and after is NO_DEVICE
    for number, (job, answer) in enumerate(zip(jobs, others, strict=True)):
        assert answer is NO_DEVICE or shown(answer) == shown(measure(job.units(number), FakeEngine()))
    assert bench.batcher.queued_tokens == 0


@settings(deadline=None)
@given(scenarios, st.integers(40, 400))
def test_tokens_computed_for_jobs_sum_to_those_of_the_passes(jobs: list[Told], budget: int) -> None:
    bench = Bench(FakeEngine(token_budget=budget))
    answers = run(play(bench, [replace(job, harm="", leaves_after_s=None) for job in jobs]))
    measured = [one for answer in answers for one in answer]
    assert sum(one.computed_tokens for one in measured) == sum(done.computed_tokens for done in bench.engine.passes)
    assert all(one.computed_tokens >= 0 for one in measured)
    assert sum(record.tokens_computed for record in bench.records) == sum(one.computed_tokens for one in measured)
    assert sum(record.asks for record in bench.records) == len(measured)
    assert len(bench.records) == len(bench.engine.passes)


def test_jobs_that_come_together_share_one_pass() -> None:
    bench = Bench()
    run(play(bench, [Told(0, [5, 6]), Told(0, [7]), Told(0, [8, 9, 10])]))
    (forest,), (record,) = bench.engine.forests, bench.records
    assert len(forest.asks) == 6
    assert (record.jobs, record.documents, record.asks) == (3, 6, 6)
    assert bench.around == [["0", "1", "2"]]


def test_jobs_that_come_during_a_pass_share_the_next() -> None:
    bench = Bench()
    run(play(bench, [Told(0, [5]), Told(0.2, [6]), Told(0.7, [7])]))
    assert [len(forest.asks) for forest in bench.engine.forests] == [1, 2]
    assert bench.began_s == pytest.approx([PASS_S, 2 * PASS_S])


def test_a_short_job_does_not_wait_for_a_long_one_to_end() -> None:
    bench = Bench(FakeEngine(token_budget=200))
    ended: dict[str, float] = {}

    async def timed(number: int, job: Told) -> None:
        await send(bench, number, job)
        ended[str(number)] = asyncio.get_running_loop().time()

    async def both() -> None:
        await bench.warm()
        await asyncio.gather(timed(0, Told(0, [20] * 1000)), timed(1, Told(10.0, [20])))

    run(both())
    assert ended["1"] <= 10.0 + PASS_S + 2 * PASS_S  # after loading: the pass that ran, and its own
    assert ended["0"] > 100


def test_on_a_processor_passes_are_short_and_on_a_card_full() -> None:
    for on_card, passes in ((True, 1), (False, 3)):
        bench = Bench(FakeEngine(token_budget=10_000))
        bench.engine.on_card = on_card
        run(play(bench, [Told(0, [PROCESSOR_PASS_TOKENS // 2 - 50] * 5)]))
        assert len(bench.engine.forests) == passes


def test_on_a_processor_a_long_document_is_read_once_for_all_that_is_asked_of_it() -> None:
    document = (7,) * (2 * PROCESSOR_PASS_TOKENS + 100)
    trie = units_of([[9]])[0].prompt.trie
    prompts = [Prompt(((2, 3), document, (100 + number,) * 50), (True, False, False), trie) for number in range(10)]
    bench = Bench(FakeEngine(token_budget=4 * PROCESSOR_PASS_TOKENS))
    bench.engine.on_card = False
    run(bench.batcher.measure(lane_of([Unit(prompt, 0) for prompt in prompts])))
    assert [len(forest.asks) for forest in bench.engine.forests] == [10]


def test_nobody_waits_where_nobody_is_coming() -> None:
    bench = Bench()
    run(play(bench, [Told(0, [5])]))
    assert bench.began_s == [PASS_S]


async def announced(bench: Bench, comes_after_s: float, units: int = 1) -> None:
    """One job at once, another announced at once that comes later."""
    await bench.warm()

    async def late() -> None:
        with bench.batcher.expecting() as arrived:
            await asyncio.sleep(comes_after_s)
            arrived()
            await bench.batcher.measure(lane_of(units_of([[50]])))

    other = asyncio.create_task(late())
    await asyncio.sleep(0)
    await bench.batcher.measure(lane_of(units_of([[60 + n] * 10 for n in range(units)])))
    await other


@pytest.mark.parametrize(
    ("comes_after_s", "begins_after_s", "asks"), [(0.003, 0.003, [2]), (0.005 + 0.1, 0.005, [1, 1])]
)
def test_a_pass_with_room_waits_a_moment_for_a_job_that_is_expected(
    comes_after_s: float, begins_after_s: float, asks: list[int]
) -> None:
    bench = Bench()
    run(announced(bench, comes_after_s))
    assert bench.began_s[0] == pytest.approx(PASS_S + begins_after_s)
    assert [len(forest.asks) for forest in bench.engine.forests] == asks


def test_a_full_pass_waits_for_nobody() -> None:
    bench = Bench(FakeEngine(token_budget=100))
    run(announced(bench, 0.003, units=10))
    assert bench.began_s[0] == PASS_S


def test_on_a_processor_a_pass_that_is_filled_waits_for_nobody_though_it_has_room() -> None:
    bench = Bench(FakeEngine(token_budget=10_000))
    bench.engine.on_card = False
    run(announced(bench, 0.003, units=PROCESSOR_PASS_TOKENS // 10))
    assert bench.began_s[0] == PASS_S


def test_a_job_that_was_expected_and_ends_before_it_brings_units_is_waited_for_no_longer() -> None:
    bench = Bench()

    async def refused() -> None:
        with pytest.raises(RuntimeError), bench.batcher.expecting():
            await asyncio.sleep(0.002)
            raise RuntimeError

    async def both() -> None:
        await bench.warm()
        other = asyncio.create_task(refused())
        await asyncio.sleep(0)
        await bench.batcher.measure(lane_of(units_of([[50]])))
        await other

    run(both())
    assert bench.began_s == [pytest.approx(PASS_S + 0.002)]
    assert bench.batcher.expected == 0


def test_a_full_queue_refuses_and_the_next_one_after_it_is_served() -> None:
    bench = Bench(FakeEngine(token_budget=60), max_tokens=200)
    jobs = [Told(0, [20] * 6), Told(0.1, [20] * 6), Told(60, [20] * 6)]
    first, refused, third = run(play(bench, jobs))
    assert len(first) == len(third) == 6
    assert isinstance(refused, CapacityError) and refused.code == "overloaded"


def test_the_guilty_fails_and_its_remaining_units_are_not_run() -> None:
    bench = Bench(FakeEngine(token_budget=60))
    bench.engine.breaks[Told.token(0)] = ValueError("harm")
    guilty, innocent = run(play(bench, [Told(0, [20] * 50, harm="value error"), Told(0, [20, 20])]))
    assert isinstance(guilty, InternalError)
    assert shown(innocent) == shown(measure(Told(0, [20, 20]).units(1), FakeEngine()))
    last = {token for span in bench.engine.forests[-1].tokens for token in span}
    assert Told.token(0) + 49 not in last


def test_a_failing_pass_is_told_without_what_it_held(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.engine.fails = [ValueError("canary7391"), ValueError("canary7391")]
    first, second = run(play(bench, [Told(0, [5]), Told(0, [6])]))
    assert isinstance(first, InternalError) and not isinstance(second, InternalError)
    assert first.__cause__ is None and first.__context__ is None
    assert "type=ValueError" in caplog.text and "fakes.py:" in caplog.text and "jobs=0,1" in caplog.text
    assert "canary7391" not in caplog.text + str(first)
    assert bench.engine.releases == 2


@pytest.mark.parametrize("harm", [SystemExit(3), MemoryError(), RecursionError(), OSError()])
def test_nothing_that_a_pass_raises_ends_the_loop(harm: BaseException) -> None:
    bench = Bench()
    bench.engine.breaks[Told.token(0)] = harm
    guilty, innocent, later = run(play(bench, [Told(0, [5]), Told(0, [6]), Told(10, [7])]))
    assert isinstance(guilty, InternalError)
    assert isinstance(innocent, list) and isinstance(later, list)


def test_out_of_memory_is_a_record_of_its_own() -> None:
    bench = Bench(FakeEngine(device_tokens=40))
    run(play(bench, [Told(0, [20, 20]), Told(0, [20])]))
    assert [record.code for record in bench.records].count("out_of_memory") == bench.engine.releases > 0


def test_units_of_those_who_left_are_not_measured_again_in_halves() -> None:
    """The caller leaves while the pass runs; what runs after that pass, in the same turn, leaves its units out."""
    bench = Bench(FakeEngine(device_tokens=45))
    stays, leaves = run(play(bench, [Told(0, [20]), Told(0, [20], leaves_after_s=0.2)]))
    assert leaves == "left" and isinstance(stays[0], Measured)
    # Given up before the engine was reached: one pass, of the one who stayed.
    assert [len(forest.asks) for forest in bench.engine.forests] == [1]


def test_a_model_that_cannot_be_loaded_is_told_to_each_and_tried_again() -> None:
    tries = []

    def failing() -> FakeEngine:
        tries.append(1)
        raise ModelError("no_gpu", "none")

    async def forward(call: Callable[[], T]) -> T:
        return call()

    async def two() -> None:
        batcher = Batcher(failing, forward, PLENTY)
        for _ in range(2):
            with pytest.raises(ModelError):
                await batcher.measure(lane_of(units_of([[5]])))

    run(two())
    assert len(tries) == 2


def test_a_job_without_units_is_answered_at_once() -> None:
    bench = Bench()
    (answer,) = run(play(bench, [Told(0, [])]))
    assert answer == [] and bench.engine.forests == []


def test_a_job_is_told_how_far_it_is() -> None:
    bench, seen = Bench(FakeEngine(token_budget=60)), list[int]()

    async def one() -> None:
        await bench.batcher.measure(lane_of(units_of([[50 + n] * 20 for n in range(7)])), seen.append)

    run(one())
    assert seen == sorted(set(seen)) and len(seen) == len(bench.engine.forests) - 1
    assert seen[0] > 0 and seen[-1] < 7


def test_suspects_are_measured_alone() -> None:
    bench = Bench()
    run(play(bench, [Told(0, [5]), Told(0, [6], alone=True), Told(0, [7])]))
    assert bench.around == [["0", "2"], ["1"]]


def test_measuring_without_a_batcher_loses_nothing_to_a_small_device() -> None:
    """The slow twin that the others are compared with, on its own."""
    units = units_of([[50 + n] * 20 for n in range(5)])
    tight = measure(units, FakeEngine(device_tokens=units[0].prompt.new_tokens(Forest())))
    assert shown(tight) == shown(measure(units, FakeEngine()))
    none = measure(units, FakeEngine(device_tokens=1))
    assert all(isinstance(one, OutOfMemory) for one in none)


def test_passes_say_how_long_the_next_one_waits_where_nothing_is_set() -> None:
    bench = Bench(wait_s=None)
    bench.engine.fails = [OutOfMemory("out_of_memory", "the device ran out of memory")]
    run(play(bench, [Told(0, [5, 6]), Told(50, [5])]))
    taken = list(bench.batcher._patience._passes_s)
    assert len(taken) == len([record for record in bench.records if record.code is None]) > 1
    assert all(seconds > 0 for seconds in taken)
