"""Every row of the SDK's table of faults (FACTS section 5), at random moments, while other jobs come and go.

Two rounds of each by default, to see that the tests themselves stand; `PINPOINT_FAULT_ROUNDS=50` for the full run. The
rows whose faults a handler must not make in the first place are run on the product's own handler, in
test_product_faults.py.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.worker.conftest import echo_worker, rounds, seed
from tests.worker.emulator import Platform
from tests.worker.faults import ACCEPTED, AT_ONCE, TRANSIENT, PostFault, TakeFault
from tests.worker.ledger import WAIT_S
from tests.worker.processes import WorkerProcess
from tests.worker.test_guards import HANGS
from tests.worker.test_sdk_facts import DEEP, HUGE_INTEGER
from tests.worker.traffic import Traffic, once, repeat

ROUNDS = rounds(2)
SLOTS = 32
WATCHED_S = 2.0  # a busy machine may keep an innocent loop waiting for a second


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with one guarded worker, for the rows that leave it alive."""
    print(f"seed {seed()}")
    folder = tmp_path_factory.mktemp("shared")
    with (
        Platform(seed=seed()) as platform,
        echo_worker(platform, folder, "w1", guards=True, echo_concurrency=SLOTS, echo_post_attempt_s=0.5) as worker,
    ):
        yield platform
        assert worker.process.poll() is None, worker.output


def chances(row: str) -> list[random.Random]:
    """One for each round."""
    return [random.Random(f"{seed()}/{row}/{number}") for number in range(ROUNDS)]


def taken(platform: Platform, job_id: str) -> None:
    """Wait until a worker has the job."""
    platform.ledger.wait(lambda own: own.jobs[job_id].deliveries, WAIT_S, f"{job_id} is taken")


def begun(platform: Platform, job_id: str) -> None:
    """Wait until the handler has the job, by the progress that it sends first."""
    platform.ledger.wait(lambda own: own.jobs[job_id].progress, WAIT_S, f"{job_id} has begun")


# Posts

POSTS = {
    **{fault.value: fault for fault in TRANSIENT},
    "reset after": PostFault.RESET_AFTER,
}


@pytest.mark.parametrize("kind", POSTS)
def test_a_post_that_fails_is_made_again(shared: Platform, kind: str) -> None:
    fault = POSTS[kind]
    ids: list[str] = []
    with Traffic(shared, random.Random(seed())) as traffic:
        for number, chance in enumerate(chances(f"post {kind}")):
            ids.append(f"post-{kind.replace(' ', '-')}-{number}")
            shared.faults.script_posts(ids[-1], *[fault] * chance.randint(1, 5))
            shared.submit({"echo": number, "sleep_s": chance.uniform(0, 0.2)}, ids[-1])
            time.sleep(chance.uniform(0, 0.05))
        shared.ledger.wait(lambda own: all(own.jobs[name].acknowledged for name in ids), 120, "all are accepted")
        traffic.stop()
    once(shared, *ids, *traffic.ids)
    for name in ids:
        bodies = {post.body for post in shared.ledger.jobs[name].posts}
        assert len(bodies) == 1, name  # the same answer, not another
    assert not shared.ledger.landed


@pytest.mark.parametrize("fault", ACCEPTED, ids=lambda fault: str(fault.value))
def test_a_post_that_was_accepted_is_not_made_again(shared: Platform, fault: PostFault) -> None:
    ids: list[str] = []
    with Traffic(shared, random.Random(seed())) as traffic:
        for number, chance in enumerate(chances(f"post {fault.value}")):
            ids.append(f"accepted-{fault.name}-{number}")
            shared.faults.script_posts(ids[-1], *[fault] * 3)
            shared.submit({"echo": number, "sleep_s": chance.uniform(0, 0.2)}, ids[-1])
            time.sleep(chance.uniform(0, 0.05))
        shared.ledger.wait_final(*ids)
        traffic.stop()
    # Jobs are over when their results are: as many as there are slots can run again.
    shared.ledger.wait_final(*[shared.submit({"sleep_s": 0.1}) for _ in range(SLOTS)])
    once(shared, *ids, *traffic.ids)
    assert {len(shared.ledger.jobs[name].posts) for name in ids} == {1}


@pytest.mark.parametrize("how", ["unserialisable", "surrogate", "nan", "generator"])
def test_a_result_that_cannot_be_posted_is_an_error_and_hurts_nobody(shared: Platform, how: str) -> None:
    with Traffic(shared, random.Random(seed())) as traffic:
        ids = []
        for chance in chances(how):
            ids.append(shared.submit({"fail": how, "sleep_s": chance.uniform(0, 0.1)}))
            time.sleep(chance.uniform(0, 0.05))
        for job in shared.ledger.wait_final(*ids):
            assert job.error == "internal: the worker's result could not be written as JSON"
        assert {job.status for job in traffic.stop()} == {"COMPLETED"}
    once(shared, *ids, *traffic.ids)


# Takes


@pytest.mark.parametrize(
    "kind", [kind for kind in TakeFault if kind not in (TakeFault.NONE, TakeFault.BUSY_429)], ids=lambda kind: kind.name
)
def test_a_take_that_fails_loses_nothing(shared: Platform, kind: TakeFault) -> None:
    before = shared.faults.hits[f"take {kind.value}"]
    shared.faults.slow_s = 0.05
    shared.faults.take_kinds, shared.faults.take_chance = (kind,), 0.5
    try:
        with Traffic(shared, random.Random(f"{seed()}/{kind}")) as traffic:
            shared.ledger.wait(
                lambda own: shared.faults.hits[f"take {kind.value}"] >= before + ROUNDS, 240, f"{ROUNDS} faults"
            )
            shared.faults.take_chance = 0.0
            assert {job.status for job in traffic.stop()} == {"COMPLETED"}
    finally:
        shared.faults.take_chance = 0.0
    once(shared, *traffic.ids)


@pytest.mark.parametrize("kind", AT_ONCE, ids=lambda kind: kind.name)
def test_takes_answered_at_once_with_nothing_are_no_storm(shared: Platform, kind: TakeFault) -> None:
    ids: list[str] = []
    try:
        for chance in chances(f"storm {kind}"):
            shared.faults.take_kinds, shared.faults.take_chance = (kind,), 1.0
            before = shared.ledger.polls_begun["w1"]
            time.sleep(chance.uniform(0.5, 1.5))
            # The bare SDK asks more than a thousand times a second. 0, 0.1, 0.3, 0.7, 1.5: the beginnings of a pause.
            assert shared.ledger.polls_begun["w1"] - before <= 8
            shared.faults.take_chance = 0.0
            ids.append(shared.submit({"echo": 1}))
            shared.ledger.wait_final(ids[-1])
    finally:
        shared.faults.take_chance = 0.0
    once(shared, *ids)


def test_stop_polls_answered_at_once_with_unknown_jobs_are_no_storm(shared: Platform) -> None:
    ids: list[str] = []
    try:
        for number, chance in enumerate(chances("stop storm")):
            shared.faults.stop_ids = ("nobody",) if number % 2 else ("nobody", *ids[-1:])
            before = shared.ledger.stop_polls["w1"]
            ids.append(shared.submit({"sleep_s": 0.1}))
            time.sleep(chance.uniform(0.5, 1.5))
            assert shared.ledger.stop_polls["w1"] - before <= 8
            shared.faults.stop_ids = ()
            stopped = shared.submit({"sleep_s": 60, "progress": ["begun"]})
            begun(shared, stopped)
            shared.cancel(stopped)
            shared.ledger.wait_final(ids[-1])
    finally:
        shared.faults.stop_ids = ()
    once(shared, *ids)
    # The stopped ones have given their slots back.
    shared.ledger.wait_final(*[shared.submit({"sleep_s": 0.1}) for _ in range(SLOTS)])


def test_a_worker_told_to_wait_loses_nothing(tmp_path: Path) -> None:
    # Alone in its round: the SDK waits 5 s after a 429.
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        with (
            Traffic(platform, chance) as traffic,
            echo_worker(platform, folder, "w1", guards=True, echo_concurrency=SLOTS),
        ):
            time.sleep(chance.uniform(0, 0.5))
            platform.faults.script_takes([TakeFault.BUSY_429])
            platform.ledger.wait(lambda own: platform.faults.hits["take 429"], WAIT_S, "a 429")
            assert {job.status for job in traffic.stop()} == {"COMPLETED"}
        once(platform)

    repeat("take 429", one, tmp_path)


def test_malformed_jobs_of_a_batch_leave_their_neighbours_alone(shared: Platform) -> None:
    bad = [
        b'{"input": {"echo": 1}}',
        b'{"id": [7], "input": {"echo": 1}}',
        b'{"id": "", "input": {"echo": 1}}',
        b'{"id": "..", "input": {"echo": 1}}',
        b'{"input": {"echo": %s}}' % HUGE_INTEGER,
        b'{"input": {"echo": %s}}' % DEEP,
        b'{"input": {"echo": "\xff"}}',
        b"null",
        b"}",
    ]
    good, told = list[str](), list[str]()
    with Traffic(shared, random.Random(seed())) as traffic:
        for number, chance in enumerate(chances("malformed")):
            named = [f"beside-{number}-{n}" for n in range(chance.randint(1, 4))]
            named.append(f"no\u00a0break {number}")
            batch: list[tuple[bytes, str | None]] = [
                (json.dumps({"id": name, "input": {"echo": name}}).encode(), name) for name in named
            ]
            named.append(str(10**6 + number))
            batch.append((json.dumps({"id": 10**6 + number, "input": {"echo": named[-1]}}).encode(), named[-1]))
            lines = f"two\nlines {number}"
            batch.append((json.dumps({"id": lines, "input": {"echo": 1}}).encode(), lines))
            told.append(lines)
            batch += [(raw, None) for raw in chance.sample(bad, chance.randint(1, 4))]
            chance.shuffle(batch)
            shared.submit_batch(batch)
            good += named
            time.sleep(chance.uniform(0, 0.1))
        for job in shared.ledger.wait_final(*good):
            assert job.output["echo"] == job.id
        for job in shared.ledger.wait_final(*told):
            assert job.error.startswith("invalid_id: ")
        traffic.stop()
    once(shared, *good, *told, *traffic.ids)


# Cancels


@pytest.mark.parametrize("swallow", [False, True])
def test_a_cancelled_job_is_let_go_and_its_neighbours_are_answered(shared: Platform, swallow: bool) -> None:
    def cancel(chance: random.Random) -> str:
        job_id = shared.submit({"sleep_s": chance.uniform(0.05, 0.3), "swallow": swallow})
        time.sleep(chance.uniform(0, 0.35))
        shared.cancel(job_id)
        return job_id

    with Traffic(shared, random.Random(seed())) as traffic, ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(cancel, chances(f"cancel {swallow}")))
        assert {job.status for job in traffic.stop()} == {"COMPLETED"}
    once(shared, *traffic.ids)
    for name in ids:
        assert len(shared.ledger.jobs[name].answers) <= 1
    # Every slot is free again: as many jobs as there are slots end together.
    shared.ledger.wait_final(*[shared.submit({"sleep_s": 0.1}) for _ in range(SLOTS)])


def test_a_long_pass_holds_up_neither_takes_nor_stops(shared: Platform, tmp_path: Path) -> None:
    passes = []
    with Traffic(shared, random.Random(seed())) as traffic:
        for number, chance in enumerate(chances("long pass")):
            over = tmp_path / str(number)
            passes.append(shared.submit({"forward_until": str(over)}))
            taken(shared, passes[-1])
            time.sleep(chance.uniform(0, 0.2))
            stopped = shared.submit({"sleep_s": 60, "progress": ["begun"]})
            begun(shared, stopped)  # the SDK drops a stop that comes before
            shared.cancel(stopped)
            (quick,) = shared.ledger.wait_final(shared.submit({"echo": 1}))
            assert quick.status == "COMPLETED" and shared.ledger.jobs[passes[-1]].answers == []
            over.touch()
        traffic.stop()
    shared.ledger.wait_final(*passes)
    once(shared, *passes, *traffic.ids)
    # The stopped ones have given their slots back.
    shared.ledger.wait_final(*[shared.submit({"sleep_s": 0.1}) for _ in range(SLOTS)])


# The end of a worker: each round has two of them, and the second takes over


def pair(platform: Platform, folder: Path, **options: object) -> tuple[WorkerProcess, WorkerProcess]:
    """One that will end, and one that will not. Neither is started yet."""
    first = echo_worker(platform, folder, "w1", guards=True, echo_concurrency=SLOTS, **options)
    return first, echo_worker(platform, folder, "w2", guards=True, echo_concurrency=SLOTS)


def both_answer(platform: Platform, traffic: Traffic, more: int = 8) -> None:
    """After what befell the first, jobs go on being answered, and none was lost, doubled or answered by a stranger."""
    ids = [platform.submit({"echo": n}) for n in range(more)]
    assert {job.status for job in platform.ledger.wait_final(*ids)} == {"COMPLETED"}
    traffic.stop()
    platform.ledger.wait(lambda own: own.audit().clean, WAIT_S, "the ledger is clean")
    once(platform)


def test_sigterm_loses_nothing(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        platform.poll_s = chance.choice([0.3, 5.0])
        platform.faults.slow_s = 0.5
        first, second = pair(platform, folder, echo_late_take_s=0.5)
        with Traffic(platform, chance) as traffic, first, second:
            time.sleep(chance.uniform(0, 1.0))
            if chance.random() < 0.5:
                platform.faults.script_takes([TakeFault.SLOW])
            first.terminate()
            assert first.wait_exit() == 0, first.output
            both_answer(platform, traffic)

    repeat("sigterm", one, tmp_path)


def test_what_a_killed_worker_had_is_answered_once_by_another(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        first, second = pair(platform, folder)
        platform.faults.post_chance = chance.choice([0.0, 0.3])
        platform.faults.post_kinds = (PostFault.ERROR_500, PostFault.RESET)
        with Traffic(platform, chance) as traffic, first, second:
            time.sleep(chance.uniform(0, 1.0))
            first.kill()
            time.sleep(chance.uniform(0, 0.2))
            held = platform.worker_lost("w1")
            both_answer(platform, traffic)
            for name in held:
                job = platform.ledger.jobs[name]
                assert [post.worker for post in job.answers] == ["w2"], (name, job.answers)
            until = time.monotonic() + 10
            while first.stray_processes():
                assert time.monotonic() < until, "the ping process outlives its worker"
                time.sleep(0.05)

    repeat("kill", one, tmp_path)


@pytest.mark.parametrize("where", HANGS)
def test_a_hung_worker_leaves_and_all_it_had_is_answered_by_another(tmp_path: Path, where: str) -> None:
    told, code = HANGS[where]

    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        first, second = pair(platform, folder, echo_hang_s=WATCHED_S)
        with Traffic(platform, chance) as traffic, first:
            time.sleep(chance.uniform(0, 0.5))
            hung = platform.submit(told)
            taken(platform, hung)
            platform.ledger.jobs[hung].raw = json.dumps({"id": hung, "input": {"echo": "mended"}}).encode()
            assert first.wait_exit() == code, first.output
            assert hung in platform.worker_lost("w1")
            with second:
                both_answer(platform, traffic)
        (answer,) = platform.ledger.jobs[hung].answers
        assert answer.worker == "w2"

    repeat(f"hang {where}", one, tmp_path)


@pytest.mark.parametrize("by", ["sdk", "request"])
def test_a_worker_to_be_replaced_answers_all_it_had(tmp_path: Path, by: str) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        platform.faults.stop_pod_kills = True  # whoever is in flight when it asks is lost
        first, second = pair(platform, folder, echo_replace=by, echo_late_take_s=0.3)
        with Traffic(platform, chance) as traffic, first:
            time.sleep(chance.uniform(0, 0.8))
            platform.submit({"replace": True, "sleep_s": chance.uniform(0, 0.3)})
            # With no result left to carry the wish it leaves by itself.
            assert first.wait_exit() in (-signal.SIGKILL, 0), first.output
            platform.ledger.wait(lambda own: own.polls_open["w1"] == 0, 5, "its polls are closed")
            with second:
                both_answer(platform, traffic)
        assert all(worker == "w1" for worker, _ in platform.ledger.stop_pods)
        assert not any(
            delivery.lost_with_worker for job in platform.ledger.jobs.values() for delivery in job.deliveries
        )

    repeat(f"replace {by}", one, tmp_path)


def test_a_worker_whose_model_does_not_load_is_given_nothing(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        sick = echo_worker(platform, folder, "w1", guards=True, echo_fitness="fail", wait_ready=False)
        with Traffic(platform, chance) as traffic, sick:
            assert sick.wait_exit() == 1
            with echo_worker(platform, folder, "w2", guards=True, echo_concurrency=SLOTS):
                both_answer(platform, traffic)
        assert "w1" not in {take.worker for take in platform.ledger.takes}
        (ping,) = [ping for ping in platform.ledger.pings if ping.worker == "w1"]
        assert ping.query["status"] == "unhealthy" and "no such model" in ping.query["reason"]

    repeat("fitness", one, tmp_path)


def test_a_constant_concurrency_never_stands_still(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        slots = chance.randint(1, 6)
        with echo_worker(platform, folder, "w1", guards=True, echo_concurrency=slots, wait_ready=False):
            ids = [platform.submit({"sleep_s": chance.uniform(0, 0.05)}) for _ in range(chance.randint(1, 30))]
            platform.ledger.wait_final(*ids, timeout_s=2 * WAIT_S)  # one that stands still does so for ever
        once(platform)

    repeat("concurrency", one, tmp_path)
