"""The faults of test_sdk_facts, and worse, against a worker with the guards: nothing lost, nothing twice.

To see what fails without a guard: `PINPOINT_TEST_WITHOUT_GUARDS=drain pytest tests/worker/test_guards.py`, or `all`.
`PINPOINT_FAULT_ROUNDS=50` repeats every random fault as often; a printed seed brings a run back.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.conftest import StartWorker, echo_worker, rounds, seed
from tests.worker.emulator import Platform
from tests.worker.faults import PostFault, TakeFault
from tests.worker.ledger import WAIT_S
from tests.worker.processes import WorkerProcess
from tests.worker.test_sdk_facts import DEEP, HUGE_INTEGER

ALL_GUARDS = "guards log results ping take drain watchdog replacement kept slots"


class Guarded:
    """A platform and one guarded worker that several tests share; each looks at the jobs of its own."""

    def __init__(self, platform: Platform, worker: WorkerProcess) -> None:
        self.platform = platform
        self.worker = worker
        self.ledger = platform.ledger

    def end_answered(self, ids: list[str], timeout_s: float = WAIT_S) -> None:
        """All of them completed, each answered once."""
        for job in self.ledger.wait_final(*ids, timeout_s=timeout_s):
            assert job.status == "COMPLETED", (job.id, job.error)
            assert job.output["id"] == job.id
        assert self.ledger.audit().clean, self.ledger.audit()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    print(f"seed {seed()}")
    folder: Path = tmp_path_factory.mktemp("guarded")
    options = {"echo_concurrency": 16, "echo_post_attempt_s": 0.5}
    with (
        Platform(seed=seed()) as platform,
        echo_worker(platform, folder, "w1", guards=True, **options) as worker,
    ):
        yield Guarded(platform, worker)


# Results


@pytest.mark.parametrize(
    "faults",
    [
        [PostFault.ERROR_500] * 4,
        [PostFault.BUSY_429] * 4,
        [PostFault.REFUSED_400] * 2,
        [PostFault.RESET] * 3,
        [PostFault.RESET_AFTER],
        [PostFault.NEVER],
    ],
    ids=lambda faults: f"{faults[0].value}x{len(faults)}",
)
def test_a_result_is_posted_until_it_is_accepted(guarded: Guarded, faults: list[PostFault]) -> None:
    job_id = f"tried-{faults[0].value}"
    guarded.platform.faults.script_posts(job_id, *faults)
    guarded.platform.submit({"echo": 1}, job_id)
    guarded.ledger.wait(lambda own: own.jobs[job_id].acknowledged, WAIT_S, "the result is accepted")
    posts = guarded.ledger.jobs[job_id].posts
    assert len(posts) == len(faults) + 1
    assert {post.body for post in posts} == {posts[0].body}
    assert {(post.request_id, post.is_stream) for post in posts} == {(job_id, "false")}


def test_random_faults_of_posts_and_takes_lose_nothing(guarded: Guarded) -> None:
    faults = guarded.platform.faults
    faults.post_chance, faults.take_chance = 0.5, 0.4
    try:
        ids = [guarded.platform.submit({"echo": n, "sleep_s": n % 5 / 100}) for n in range(rounds(8) * 4)]
        guarded.end_answered(ids, timeout_s=WAIT_S + len(ids))
        guarded.ledger.wait(lambda own: all(own.jobs[name].acknowledged for name in ids), WAIT_S, "all are accepted")
    finally:
        faults.post_chance = faults.take_chance = 0.0


def test_a_result_refused_for_its_size_becomes_an_error(platform: Platform, start_worker: StartWorker) -> None:
    start_worker(guards=True, echo_post_deadline_s=4)
    platform.faults.always("refused", PostFault.LARGE_400)
    platform.submit({"echo": 1, "pad": 1000}, "refused")
    (job,) = platform.ledger.wait_final("refused")
    assert job.error.startswith("result_refused: ")


def test_a_platform_that_refuses_everything_gets_the_result_itself_later(
    platform: Platform, start_worker: StartWorker
) -> None:
    start_worker(guards=True, echo_post_deadline_s=8)  # half of it refused, and it is believed
    platform.faults.down = PostFault.REFUSED_400
    job_id = platform.submit({"echo": 1})
    platform.ledger.wait(
        lambda own: any(b"result_refused" in post.body for post in own.jobs[job_id].posts),
        WAIT_S,
        "a short error is tried",
    )
    platform.faults.down = None
    (job,) = platform.ledger.wait_final(job_id)
    assert (job.error, job.output["echo"]) == (None, 1)


@pytest.mark.parametrize("how", ["unserialisable", "surrogate", "generator", "nan"])
def test_what_cannot_be_serialised_is_answered_with_an_error(guarded: Guarded, how: str) -> None:
    (job,) = guarded.ledger.wait_final(guarded.platform.submit({"fail": how}))
    assert job.error == "internal: the worker's result could not be written as JSON"


def test_cancelling_ends_the_posting_of_a_result(guarded: Guarded) -> None:
    guarded.platform.faults.always("stubborn", PostFault.BUSY_429)
    guarded.platform.submit({"echo": 1}, "stubborn")
    job = guarded.ledger.wait(
        lambda own: own.jobs["stubborn"].posts and own.jobs["stubborn"], WAIT_S, "a first attempt"
    )
    guarded.platform.cancel("stubborn")
    guarded.worker.wait_output("stubborn | Job stopped.")
    assert job.answers == []


# Takes


def test_bad_jobs_of_a_batch_leave_their_neighbours_alone(guarded: Guarded) -> None:
    good = [(b'{"id": "good-%d", "input": {"echo": %d}}' % (n, n), f"good-{n}") for n in range(3)]
    bad: list[tuple[bytes, str | None]] = [
        (b'{"id": "huge", "input": {"echo": %s}}' % HUGE_INTEGER, "huge"),
        (b'{"input": {"echo": %s}, "id": "deep"}' % DEEP, "deep"),
        (b'{"id": "latin", "input": {"echo": "\xe9"}}', "latin"),
        (b'{"id": "no-input"}', "no-input"),
        (b'{"input": {"echo": 1}}', None),
        (b'{"id": ["a"], "input": {"echo": 1}}', None),
        (b'{"id": "", "input": {"echo": 1}}', None),
        (b'{"id": "..", "input": {"echo": 1}}', None),
        (b'{"id": "two\\nlines", "input": {"echo": 1}}', "two\nlines"),
        (b"null", None),
        (b'"text"', None),
        (b"}", None),
    ]
    odd = [
        (b'{"id": "odd-key", "self": 1, "__class__": 2, "input": {"echo": 1}}', "odd-key"),
        (b'{"id": 7, "input": {"echo": 1}}', "7"),
        (b'{"id": "no\\u00a0break", "input": {"echo": 1}}', "no\u00a0break"),
    ]
    for count in range(1 + rounds(1) // 10):
        mixed = [*bad, *good, *odd]
        random.Random(seed() + count).shuffle(mixed)
        for start in range(0, len(mixed), 5):
            guarded.platform.submit_batch(mixed[start : start + 5])
        guarded.end_answered([name for _, name in [*good, *odd] if name])
        errors = {job.id: job.error for job in guarded.ledger.wait_final(*(n for _, n in bad if n))}
        assert errors == {
            "huge": "invalid_json: the job is not JSON that can be read",
            "deep": "invalid_json: the job is nested too deep",
            "latin": "invalid_encoding: the job is not UTF-8",
            "no-input": "missing_field: the job has no input (input)",
            "two\nlines": "invalid_id: the job's id has control characters (id)",
        }
    guarded.end_answered([guarded.platform.submit({"echo": "after"})])


def test_an_odd_id_is_answered_at_its_own_address(guarded: Guarded) -> None:
    guarded.end_answered([guarded.platform.submit({"echo": 1}, name) for name in ("../x", "a/b?c=d#e%2F", "ключ &$ID")])


def test_failed_takes_are_paced(guarded: Guarded) -> None:
    guarded.platform.faults.script_takes([TakeFault.ERROR_500] * 4)
    guarded.ledger.wait(lambda own: [take.status for take in own.takes].count(500) >= 4, WAIT_S, "four failed takes")
    times_s = [take.at_s for take in guarded.ledger.takes if take.status == 500][-4:]
    assert times_s[-1] - times_s[0] > 1
    guarded.end_answered([guarded.platform.submit({"echo": 1})])


def test_a_free_slot_is_filled_before_a_second_is_over(platform: Platform, start_worker: StartWorker) -> None:
    ids = [platform.submit({"echo": n}) for n in range(12)]
    start_worker(guards=True, echo_concurrency=1)
    platform.ledger.wait_final(*ids)
    taken_s = [platform.ledger.jobs[name].deliveries[0].at_s for name in ids]
    # The bare SDK needs a second for each of eleven; a tenth of one is left.
    assert taken_s[-1] - taken_s[0] < 8


# The end of a worker


@pytest.mark.parametrize("number", range(rounds(2)))
def test_sigterm_runs_what_the_open_poll_brings(platform: Platform, start_worker: StartWorker, number: int) -> None:
    chance = random.Random(f"{seed()}/sigterm/{number}")
    platform.poll_s, platform.faults.slow_s = 20, 3.0
    worker = start_worker(guards=True, echo_concurrency=8, echo_late_take_s=3.0)
    flying = [platform.submit({"sleep_s": chance.uniform(0.0, 1.5)}) for _ in range(chance.randint(0, 2))]
    for job_id in flying:
        worker.wait_output(f"echo begins {job_id}")
    worker.wait_poll()
    slow = number % 2 == 1  # the body is still arriving when the poll would be closed
    if slow:
        # The fault is drawn when a poll opens: let one more be opened with it.
        platform.faults.script_takes([TakeFault.SLOW])
        flying.append(platform.submit({"sleep_s": 0.1}))
        worker.wait_output(f"echo begins {flying[-1]}")
        worker.wait_poll()
    worker.terminate()
    # The bare SDK needs 0.1 s to see that it is over; the poll is closed after 3 s.
    time.sleep(chance.uniform(0.15, 0.8))
    late = platform.submit_batch([(b'{"id": "late-%d", "input": {}}' % n, f"late-{n}") for n in range(2)])
    platform.ledger.wait(lambda own: own.jobs["late-0"].deliveries, WAIT_S, "the late jobs are taken")
    assert worker.wait_exit() == 0
    audit = platform.ledger.audit()
    assert audit.clean and audit.handed_over == len(flying) + len(late), audit


def test_an_idle_worker_leaves_soon_after_sigterm_and_takes_nothing_then(
    platform: Platform, start_worker: StartWorker
) -> None:
    platform.poll_s = 30
    worker = start_worker(guards=True, echo_late_take_s=0.3)
    began_s = time.monotonic()
    worker.terminate()
    assert worker.wait_exit() == 0
    assert time.monotonic() - began_s < 5  # not the 30 s of its two open polls
    later = platform.submit({"echo": 1})
    start_worker("w2", guards=True)
    (job,) = platform.ledger.wait_final(later)
    assert [delivery.worker for delivery in job.deliveries] == ["w2"]


def test_pings_end_with_a_killed_worker(platform: Platform, start_worker: StartWorker) -> None:
    worker = start_worker(guards=True)
    job_id = platform.submit({"sleep_s": 60})
    platform.ledger.wait(
        lambda own: any(job_id in ping.query.get("job_id", "") for ping in own.pings), WAIT_S, "a ping"
    )
    assert len(worker.stray_processes()) == 1
    worker.kill()
    until = time.monotonic() + 5
    while worker.stray_processes():
        assert time.monotonic() < until, "the ping process lives on"
        time.sleep(0.01)


HANGS = {"forward": ({"forward_s": -1}, 70), "loop": ({"block_s": 60}, 70), "lock": ({"hold_interpreter": True}, 62)}


@pytest.mark.parametrize("where", HANGS)
def test_a_hung_worker_leaves_and_its_job_goes_to_another(
    platform: Platform, start_worker: StartWorker, where: str
) -> None:
    hangs, code = HANGS[where]
    worker = start_worker(guards=True, echo_hang_s=2.0, echo_concurrency=2)
    platform.ledger.wait_final(platform.submit({"forward_s": 0.3}))  # shorter than the limit
    hung = platform.submit(hangs)
    assert worker.wait_exit() == code
    worker.wait_alone()
    told = {"forward": "forward made no", "loop": "event_loop made no", "lock": "the interpreter lock was held"}
    assert f"watchdog: {told[where]}" in worker.output
    assert [ping.query["check"] for ping in platform.ledger.pings if "check" in ping.query] == ["watchdog"]
    assert "echo.py" in worker.output  # where it stood
    assert platform.worker_lost("w1") == [hung]


def test_a_hang_that_outlives_its_job_does_not_hold_up_the_end(platform: Platform, start_worker: StartWorker) -> None:
    worker = start_worker(guards=True, echo_hang_s=3.0, echo_late_take_s=0.2)
    hung = platform.submit({"forward_s": -1})
    worker.wait_output(f"echo begins {hung}")
    platform.cancel(hung)
    worker.wait_output(f"{hung} | Job stopped.")
    worker.terminate()  # the loop ends at once, and leaving waits for the thread
    assert worker.wait_exit() == 70


@pytest.mark.parametrize("by", ["sdk", "request"])
def test_a_replaced_worker_drains_first(platform: Platform, start_worker: StartWorker, by: str) -> None:
    platform.faults.stop_pod_kills = True  # whoever is in flight when it asks is lost
    platform.poll_s = 20
    worker = start_worker(guards=True, echo_concurrency=8, echo_replace=by, echo_late_take_s=0.5)
    chance = random.Random(f"{seed()}/replace/{by}")
    ids = [platform.submit({"sleep_s": chance.uniform(0.5, 1.5)}) for _ in range(4)]
    for job_id in ids:
        worker.wait_output(f"echo begins {job_id}")
    # Held up by its posts, so that the others must wait for it.
    platform.faults.script_posts(ids[0], *[PostFault.BUSY_429] * 3)
    ids.append(platform.submit({"replace": True}))
    worker.wait_output(f"echo begins {ids[-1]}")
    ids.append(platform.submit({"echo": "late"}))
    assert worker.wait_exit() == -signal.SIGKILL
    assert platform.ledger.audit().clean, platform.ledger.audit()
    assert all(platform.ledger.jobs[name].answers for name in ids)
    assert len(platform.ledger.stop_pods) == 1
    bodies = [json.loads(post.body) for job in platform.ledger.jobs.values() for post in job.acknowledged]
    assert [body.get("stopPod") for body in bodies].count(True) == 1


def test_all_guards_are_in_force_and_say_so(guarded: Guarded) -> None:
    assert ALL_GUARDS in guarded.worker.output
    assert "steps aside" not in guarded.worker.output
