"""The worker on a fake engine: what happens to jobs that come together, come twice, take too long or are given up."""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pinpoint.api.least_bytes import check_least_bytes
from pinpoint.api.response import check_wire
from pinpoint.errors import CapacityError, DeviceError
from pinpoint.pipeline.classify import Work, classify
from pinpoint.serving import answering, sdk_guards
from pinpoint.serving import worker as worker_module
from pinpoint.serving.poison import FOLDER, PoisonMemory, _digest
from pinpoint.serving.progress import PROGRESS_DOCUMENTS
from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings
from tests import requests_of
from tests.fakes import FakeEngine

CANARY = "canary7391"
LABELS = ["invoice", "receipt", "contract"]
Handle = Callable[..., Awaitable[Any]]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine(gate=threading.Event())
    assert fake.gate is not None
    fake.gate.set()
    monkeypatch.setattr(worker_module, "get_scorer", lambda settings: fake)
    return fake


def a_worker(**told: Any) -> Worker:
    return Worker(Settings(model_name="", device="cpu", **told))


def job(job_id: str, *texts: str, **more: Any) -> dict[str, Any]:
    documents = [{"text": text} for text in texts or (f"letter {job_id}",)]
    return {"id": job_id, "input": {"documents": documents, "labels": LABELS, **more}}


async def until(condition: Callable[[], object]) -> None:
    """Wait for what a thread does."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def held(one: Worker, engine: FakeEngine) -> asyncio.Task[Any]:
    """A first job whose pass runs and does not end until the gate is opened."""
    assert engine.gate is not None
    engine.gate.clear()
    first = asyncio.create_task(one.handle(job("held")))
    await until(lambda: engine.forests)
    return first


def open_gate(engine: FakeEngine) -> None:
    assert engine.gate is not None
    engine.gate.set()


async def test_jobs_that_wait_for_a_pass_share_the_next_and_are_answered_as_if_alone(engine: FakeEngine) -> None:
    one = a_worker()
    first = await held(one, engine)
    jobs = [job(str(n), *(f"letter {n} of {m} " * (m + 1) for m in range(n % 3 + 1))) for n in range(7)]
    others = [asyncio.create_task(one.handle(each)) for each in jobs]
    await until(lambda: one._batcher.queued_tokens and not one._batcher.expected)
    open_gate(engine)
    answers = await asyncio.gather(first, *others)
    assert len(engine.forests) == 2
    for each, answer in zip(jobs, answers[1:], strict=True):
        alone = await a_worker().handle(each)
        assert answer["results"] == alone["results"]
        # Of what others asked at the same time, a caller learns nothing.
        assert answer["usage"] == alone["usage"]
        assert answer["timing"]["queue_ms"] > 0


async def test_the_same_job_at_once_and_again_is_computed_once(engine: FakeEngine) -> None:
    one = a_worker()
    twice = await asyncio.gather(one.handle(job("1")), one.handle(job("1")))
    again = await one.handle(job("1"))
    assert twice[0] == twice[1] == again
    assert twice[0] is not twice[1] and again is not twice[0]  # the SDK changes what it is given
    assert len(engine.forests) == 1
    assert one.metrics.snapshot()["jobs"]["answered"] == 1


async def test_the_same_id_with_other_input_is_refused(engine: FakeEngine) -> None:
    one = a_worker()
    first, other = await asyncio.gather(one.handle(job("1", "a")), one.handle(job("1", CANARY)))
    assert {"error"} in ({*first}, {*other})
    refused = first if "error" in first else other
    assert refused["error"].startswith("conflict: ") and CANARY not in refused["error"]
    assert (await one.handle(job("1", "c")))["error"].startswith("conflict: ")


async def test_nothing_is_kept_of_an_error_so_a_retry_is_tried(engine: FakeEngine) -> None:
    one = a_worker()
    engine.fails = [ValueError("no")]
    assert (await one.handle(job("1")))["error"].startswith("internal: ")
    assert (await one.handle(job("1")))["results"][0]["status"] == "ok"


@pytest.mark.parametrize("harm", [SystemExit(3), MemoryError(), RecursionError()])
@pytest.mark.parametrize("place", ["parse_request", "Work", "check_wire", "get_scorer"])
async def test_nothing_that_rises_in_a_job_ends_the_worker(
    place: str, harm: BaseException, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def harmful(*args: Any, **options: Any) -> Any:
        raise harm

    one = a_worker()
    with monkeypatch.context() as patch:
        patch.setattr(worker_module if place == "get_scorer" else answering, place, harmful)
        assert (await one.handle(job("1")))["error"].startswith("internal: ")
    assert (await one.handle(job("1")))["results"][0]["status"] == "ok"


async def test_health_is_answered_while_a_pass_hangs(engine: FakeEngine) -> None:
    one = a_worker()
    first = await held(one, engine)
    async with asyncio.timeout(5):
        health = await one.handle({"id": "h", "input": {"health": True}})
    assert health["jobs"]["answered"] == 0 and health["uptime_s"] >= 0
    open_gate(engine)
    await first
    assert (await one.handle({"id": "h", "input": {"health": True}}))["jobs"]["answered"] == 1


@pytest.mark.parametrize("raw", [{"health": False}, {"health": 1.5}, {"health": True, "text": "a"}, {"health": None}])
async def test_what_only_looks_like_a_health_job_is_a_bad_request(raw: dict[str, Any], engine: FakeEngine) -> None:
    answer = await a_worker().handle({"id": "h", "input": raw})
    assert answer["error"].startswith("unknown_field: ")


@pytest.mark.parametrize(
    ("setting_s", "policy"), [(0.05, None), (600, {"executionTimeout": 50}), (0, {"executionTimeout": 50, "ttl": 1})]
)
async def test_past_its_deadline_a_job_fails_and_its_units_are_not_run(
    setting_s: float, policy: dict[str, int] | None, engine: FakeEngine
) -> None:
    one = a_worker(job_deadline_s=setting_s)
    first = await held(one, engine) if policy else None
    late = job("late", CANARY)
    if policy:
        late["policy"] = policy
    else:
        assert engine.gate is not None
        engine.gate.clear()
    answer = await one.handle(late)
    assert answer["error"].startswith("deadline_exceeded: ") and "0.05 s" in answer["error"]
    open_gate(engine)
    if first is not None:
        assert (await first)["results"][0]["status"] == "ok"
        assert len(engine.forests) == 1
    assert one.metrics.snapshot()["jobs"]["errors"] == {"deadline_exceeded": 1}
    assert (await a_worker().handle(job("late", CANARY)))["results"][0]["status"] == "ok"


@pytest.mark.parametrize("policy", [None, 5, {}, {"executionTimeout": 0}, {"executionTimeout": True},
                                    {"executionTimeout": "50"}, {"executionTimeout": 10**400},
                                    {"executionTimeout": float("nan")}])  # fmt: skip
async def test_a_policy_that_says_nothing_sensible_is_no_deadline(policy: Any, engine: FakeEngine) -> None:
    answer = await a_worker(job_deadline_s=0).handle({**job("1"), "policy": policy})
    assert answer["results"][0]["status"] == "ok"


async def test_a_cancelled_job_is_not_answered_and_its_units_are_not_run(
    engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    one = a_worker()
    first = await held(one, engine)
    with caplog.at_level(logging.INFO):
        cancelled = asyncio.create_task(one.handle(job("2")))
        await until(lambda: one._batcher.queued_tokens)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    assert "job=2 status=cancelled" in caplog.text
    assert one._batcher.queued_tokens == 0
    open_gate(engine)
    assert (await first)["results"][0]["status"] == "ok"
    assert len(engine.forests) == 1
    assert (await one.handle(job("2")))["results"][0]["status"] == "ok"


async def test_more_than_may_wait_is_refused(engine: FakeEngine) -> None:
    one = a_worker(max_queued_tokens=500)
    first = await held(one, engine)
    waiting = asyncio.create_task(one.handle(job("2")))
    await until(lambda: one._batcher.queued_tokens)
    refused = await one.handle(job("3", "x " * 500))
    assert refused["error"].startswith("overloaded: ")
    open_gate(engine)
    for answer in await asyncio.gather(first, waiting):
        assert answer["results"][0]["status"] == "ok"


async def test_a_failed_device_fails_all_in_flight_and_ends_the_process(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = list[int]()
    monkeypatch.setattr(worker_module, "LEAVING_S", 0.01)
    monkeypatch.setattr("os._exit", codes.append)
    one = a_worker()
    engine.fails = [DeviceError("device_error", "broken")]
    first = await held(one, engine)
    second = asyncio.create_task(one.handle(job("2")))
    await until(lambda: one._batcher.queued_tokens)
    open_gate(engine)
    answers = [*await asyncio.gather(first, second), await one.handle(job("3"))]
    assert all(answer["error"].startswith("device_error: ") for answer in answers)
    await until(lambda: codes)
    await asyncio.sleep(0.05)
    assert codes == [1]


async def test_a_job_that_ended_two_workers_is_refused_and_one_that_ended_one_runs_alone(
    engine: FakeEngine, tmp_path: Path
) -> None:
    memory = PoisonMemory(tmp_path / FOLDER)
    for name, deaths in (("bad", 2), ("suspect", 1)):
        folder = tmp_path / FOLDER / _digest(name)
        folder.mkdir(parents=True)
        for worker in range(deaths):
            (folder / f"worker{worker}").touch()
    one = a_worker(state_dir=str(tmp_path))
    assert (await one.handle(job("bad")))["error"].startswith("poison_job: ")
    assert engine.forests == []
    first = await held(one, engine)
    # In a pass, and marked as such, which is no death while this process lives.
    assert len(list((tmp_path / FOLDER / _digest("held")).iterdir())) == 1
    assert [await memory.deaths(name) for name in ("held", "suspect", "3")] == [0, 1, 0]
    others = [asyncio.create_task(one.handle(job(name))) for name in ("2", "suspect", "3")]
    await until(lambda: one._batcher.queued_tokens and not one._batcher.expected)
    open_gate(engine)
    for answer in await asyncio.gather(first, *others):
        assert answer["results"][0]["status"] == "ok"
    assert sorted(len(forest.asks) for forest in engine.forests) == [1, 1, 2]
    one._poison.settle()
    assert [path.name for path in (tmp_path / FOLDER).iterdir() if path.is_dir()] == [_digest("bad")]


async def test_progress_is_sent_for_many_documents(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinpoint.serving.progress.PROGRESS_S", 0.0)
    sent = list[tuple[Any, Any]]()

    async def send(about: dict[str, Any], figures: dict[str, int]) -> None:
        sent.append((about, figures))

    engine.token_budget = 300
    one = Worker(Settings(model_name="", device="cpu"), send)
    await one.handle(job("many", *(f"{CANARY} {n}" for n in range(3 * PROGRESS_DOCUMENTS))))
    assert sent and all(about == {"id": "many"} for about, _ in sent)
    done = [figures["documents_done"] for _, figures in sent]
    assert done == sorted(done) and done[0] > 0 and done[-1] < 3 * PROGRESS_DOCUMENTS
    assert {figures["documents"] for _, figures in sent} == {3 * PROGRESS_DOCUMENTS}


async def test_loading_is_not_queueing(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, ticks, real = FakeEngine(), [0.0], time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: real() + ticks[0])

    def load(settings: Settings) -> FakeEngine:
        ticks[0] += 1000.0  # a load of 1,000 s
        return fake

    monkeypatch.setattr(worker_module, "get_scorer", load)
    timing = (await a_worker().handle(job("1")))["timing"]
    assert timing["queue_ms"] < 900_000 <= timing["total_ms"]


async def test_no_line_of_the_log_holds_what_a_job_said(engine: FakeEngine, caplog: pytest.LogCaptureFixture) -> None:
    one = a_worker()
    engine.fails = [ValueError(CANARY)]
    with caplog.at_level(logging.DEBUG):
        await one.handle(job("1", CANARY, labels=[CANARY, "b"]))
        await one.handle(job("2", CANARY, labels=[CANARY, "b"]))
        await one.handle(job("2", CANARY, labels=[CANARY, "b"]))
        await one.handle(job("3", CANARY, **{CANARY: 1}))
    assert len(caplog.records) >= 4
    assert CANARY not in caplog.text


async def test_a_worker_whose_memory_drifts_answers_and_asks_to_be_replaced(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(sdk_guards, "request_replacement", asked.append)
    one = a_worker()
    assert "error" not in await one.handle(job("before"))
    assert asked == []
    engine.drifted = True
    assert "error" not in await one.handle(job("after"))
    assert asked == ["memory_drift"]


async def test_a_load_that_was_frozen_is_not_slow(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [100.0]
    monkeypatch.setattr("pinpoint.serving.sdk_guards.now", lambda: given[0])
    one = a_worker()
    monkeypatch.setattr("time.monotonic", lambda: given[0] + 3600)  # the system's clock has gone on
    with one.metrics.loading():
        given[0] += 7
    assert one.metrics.vital_signs().load_s == 7


async def test_a_caller_learns_nothing_of_what_was_kept_from_others(engine: FakeEngine) -> None:
    """Usage, memory and health are the same whether the labels are new to the worker or not."""

    def told(answer: dict[str, Any]) -> Any:
        return answer["usage"], answer["memory"]["allocated_gb"], answer["memory"]["baseline_gb"]

    fresh = await a_worker().handle(job("1"))
    engine.stored_tokens = 40
    engine.store.bytes = 1
    known = await a_worker().handle(job("1"))
    assert told(fresh)[0] == told(known)[0]
    health = await a_worker().handle({"id": "h", "input": {"health": True}})
    assert {"tokens_computed", "cached_share", "tokens_per_s"}.isdisjoint({**health["batches"], **health["window"]})


async def test_without_a_card_free_memory_is_the_machines_whatever_the_setting(engine: FakeEngine) -> None:
    engine.on_card = False
    one = Worker(Settings(model_name="", device="auto"))
    await one.handle(job("1"))
    assert one.health.look(one.metrics.vital_signs())[0].healthy  # the fake device has 5 bytes free
    engine.on_card = True
    other = Worker(Settings(model_name="", device="auto"))
    await other.handle(job("1"))
    assert "low_memory" in other.health.look(other.metrics.vital_signs())[0].reasons


async def test_an_answer_that_is_too_large_in_any_case_is_not_computed(engine: FakeEngine) -> None:
    many = {"documents": [{"text": f"t {n}"} for n in range(100)], "labels": [f"label {n}" for n in range(100)]}
    answer = await a_worker(max_response_bytes=100_000).handle({"id": "1", "input": many})
    assert answer["error"].startswith("response_too_large: ") and engine.forests == []
    few = {**many, "options": {"top_k": 1}}
    assert "results" in await a_worker(max_response_bytes=100_000).handle({"id": "2", "input": few})


@pytest.mark.parametrize("multi_label", [False, True])
async def test_a_job_that_is_given_up_while_it_is_read_is_read_no_further(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, multi_label: bool
) -> None:
    monkeypatch.setattr(answering, "TURN_CHARS", 100)
    turns, real = 0, Work.prepare

    def slow(work: Work, max_chars: int | None = None) -> bool:
        nonlocal turns
        turns += 1
        time.sleep(0.02)
        return real(work, max_chars)

    monkeypatch.setattr(Work, "prepare", slow)
    one = a_worker(job_deadline_s=0.2)
    labels = [f"a label of some length {multi_label} {n}" for n in range(300)]
    answer = await one.handle(job("1", *["letter " * 50] * 20, labels=labels, multi_label=multi_label))
    assert answer["error"].startswith("deadline_exceeded: ")
    then = turns
    await asyncio.sleep(0.2)
    assert turns <= then + 1 and 0 < then < 20


def test_what_an_answer_takes_at_least_is_no_more_than_it_takes() -> None:
    asked = requests_of.request("one", "two", tasks=(requests_of.CHOICE, requests_of.FLAGS))
    response, _ = classify(asked, FakeEngine())
    size = len(check_wire(response.to_wire()))
    check_least_bytes(asked, 2, size)
    with pytest.raises(CapacityError):
        check_least_bytes(asked, 2, 100)
