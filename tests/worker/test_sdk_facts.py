"""What the bare SDK 1.12.0 does (FACTS section 5): each row here is why a guard, or a rule of the handler, exists.

A row that fails after an upgrade is good news: look whether its guard can go.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import StartWorker, echo_worker
from tests.worker.emulator import Platform
from tests.worker.faults import PostFault, TakeFault
from tests.worker.ledger import WAIT_S, Job
from tests.worker.processes import WorkerProcess

HUGE_INTEGER = b"1" * 5000
DEEP = b"[" * 100_000 + b"]" * 100_000


class Bare:
    """A platform and one bare worker that several tests share: these rows leave it alive."""

    def __init__(self, platform: Platform, worker: WorkerProcess) -> None:
        self.platform = platform
        self.worker = worker
        # The SDK takes 5 s to give this one up: it is begun here and looked at last.
        platform.faults.always("server-errors", PostFault.ERROR_500)
        platform.submit({"echo": 1}, "server-errors")

    def run(self, told: dict[str, Any], *faults: PostFault) -> Job:
        """A job that the SDK says it has finished, answered or not."""
        job_id = f"shared-{len(self.platform.ledger.jobs)}"
        self.platform.faults.script_posts(job_id, *faults)
        self.platform.submit(told, job_id)
        self.worker.wait_output(f"{job_id} | Finished.")
        return self.platform.ledger.jobs[job_id]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    folder: Path = tmp_path_factory.mktemp("bare")
    with (
        Platform() as platform,
        echo_worker(platform, folder, "w1", guards=False, echo_concurrency=16) as worker,
    ):
        yield Bare(platform, worker)


# Rows that leave the worker alive


def test_a_raised_exception_is_posted_with_traceback_and_host(bare: Bare) -> None:
    error = json.loads(bare.run({"fail": "raise"}).error)
    assert error["error_message"] == "canary-of-the-exception"
    assert "Traceback" in error["error_traceback"]
    assert error["hostname"] == "host-of-w1"


def test_keys_of_a_returned_dict_are_taken_away(bare: Bare) -> None:
    (answer,) = bare.run({"returns": {"error": "", "refresh_worker": False, "kept": 1}}).answers
    assert answer.payload == {"output": {"kept": 1}}  # a falsy error is a success
    (answer,) = bare.run({"returns": {"error": {"code": "x"}, "kept": 1}}).answers
    assert answer.payload == {"output": {"kept": 1}, "error": {"code": "x"}}  # not even made a string


@pytest.mark.parametrize("how", ["unserialisable", "surrogate", "generator"])
def test_what_cannot_be_serialised_is_never_posted(bare: Bare, how: str) -> None:
    assert bare.run({"fail": how}).posts == []


def test_nan_is_posted_and_is_not_json(bare: Bare) -> None:
    job = bare.run({"fail": "nan"})
    assert [post.body for post in job.posts] == [b'{"output": {"score": NaN}}']
    assert job.answers == []


@pytest.mark.parametrize("fault", [PostFault.REFUSED_400, PostFault.BUSY_429, PostFault.RESET])
def test_a_result_is_dropped_after_one_failure(bare: Bare, fault: PostFault) -> None:
    job = bare.run({"echo": 1}, fault)
    assert (len(job.posts), job.answers) == (1, [])


def test_thirty_megabytes_are_posted_without_a_warning(bare: Bare) -> None:
    job = bare.run({"pad": 30_000_000})
    assert len(job.posts[0].body) > 30_000_000
    assert "20 MB" not in bare.worker.output


def test_cancel_raises_in_the_job_and_swallowing_it_posts_a_success(bare: Bare) -> None:
    ids = [bare.platform.submit({"sleep_s": 60, "swallow": swallow}) for swallow in (False, True)]
    for job_id in ids:
        bare.worker.wait_output(f"echo begins {job_id}")
        bare.platform.cancel(job_id)
        bare.worker.wait_output(f"echo cancelled {job_id}")
    bare.worker.wait_output(f"{ids[1]} | Finished.")
    assert [len(bare.platform.ledger.jobs[job_id].answers) for job_id in ids] == [0, 1]


@pytest.mark.parametrize("bad", [HUGE_INTEGER, DEEP], ids=["huge integer", "deep nesting"])
def test_one_unreadable_job_makes_its_batch_vanish(bare: Bare, bad: bytes) -> None:
    name = f"vanishing-{bad[:1]!r}"
    good, _ = bare.platform.submit_batch(
        [
            (b'{"id": "%s", "input": {"echo": 1}}' % name.encode(), name),
            (b'{"id": "bad", "input": {"echo": %s}}' % bad, "bad"),
        ]
    )
    bare.platform.ledger.wait(lambda own: own.jobs[good].deliveries, WAIT_S, "the batch is taken")
    bare.run({"echo": "after"})
    assert bare.platform.ledger.jobs[good].posts == []
    assert f"begins {good}" not in bare.worker.output


def test_an_odd_id_posts_to_another_address(bare: Bare) -> None:
    bare.platform.submit({"echo": 1}, "../x")
    bare.worker.wait_output("../x | Finished.")
    assert bare.platform.ledger.jobs["../x"].posts == []


def test_a_failed_take_is_repeated_without_a_pause(bare: Bare) -> None:
    bare.platform.faults.script_takes([TakeFault.ERROR_500] * 50)

    def failed(ledger: Any) -> list[float]:
        return [take.at_s for take in ledger.takes if take.status == 500]

    bare.platform.ledger.wait(lambda own: len(failed(own)) == 50, WAIT_S, "fifty failed takes")
    times_s = failed(bare.platform.ledger)
    assert times_s[-1] - times_s[0] < 5


def test_a_result_is_dropped_after_three_server_errors(bare: Bare) -> None:
    bare.worker.wait_output("server-errors | Finished.")
    job = bare.platform.ledger.jobs["server-errors"]
    assert (len(job.posts), job.answers) == (3, [])


# Rows that end the worker, or need one of their own


def test_system_exit_in_one_job_ends_its_neighbours(platform: Platform, start_worker: StartWorker) -> None:
    worker = start_worker(echo_concurrency=2)
    neighbour = platform.submit({"sleep_s": 60})
    worker.wait_output(f"echo begins {neighbour}")
    platform.submit({"fail": "system_exit"})
    worker.wait_exit()
    assert platform.ledger.jobs[neighbour].posts == []


def test_a_job_without_an_id_ends_the_worker(platform: Platform, start_worker: StartWorker) -> None:
    worker = start_worker(echo_concurrency=4)
    neighbour = platform.submit({"sleep_s": 60})
    worker.wait_output(f"echo begins {neighbour}")
    good, _ = platform.submit_batch(
        [(b'{"id": "good", "input": {"sleep_s": 1}}', "good"), (b'{"input": {}}', None)],
    )
    assert worker.wait_exit() != 0
    assert platform.ledger.audit().lost == (neighbour, good)


def test_a_blocking_handler_stops_everything_but_the_pings(platform: Platform, start_worker: StartWorker) -> None:
    start_worker(echo_mode="sync", echo_concurrency=4)
    busy = platform.submit({"block_s": 3})
    platform.ledger.wait(lambda own: own.jobs[busy].deliveries, WAIT_S, "the job is taken")
    began_s = platform.ledger.now_s()
    waiting = platform.submit({"echo": 1})
    platform.cancel(busy)
    # The poll that was open is answered by the platform, but nobody reads the answer.
    platform.ledger.wait_final(waiting)
    assert platform.ledger.now_s() - began_s > 2
    named = [ping for ping in platform.ledger.pings if ping.at_s > began_s and busy in ping.query.get("job_id", "")]
    assert named, "the hung worker should look alive"
    platform.ledger.wait(lambda own: own.jobs[busy].answers, WAIT_S, "the cancelled job is answered all the same")


def test_sigterm_drains_but_loses_what_the_open_poll_brings(platform: Platform, start_worker: StartWorker) -> None:
    platform.poll_s = 2
    worker = start_worker(echo_concurrency=4)
    flying = platform.submit({"sleep_s": 0.6})
    worker.wait_output(f"echo begins {flying}")
    worker.wait_poll()
    worker.terminate()
    platform.ledger.wait_final(flying)
    # The loop that runs jobs looks every 0.1 s whether it is over.
    time.sleep(0.3)
    late = platform.submit({"echo": 1})
    platform.ledger.wait(lambda own: own.jobs[late].deliveries, WAIT_S, "the late job is taken")
    assert worker.wait_exit() == 0
    audit = platform.ledger.audit()
    assert (audit.lost, audit.answered) == ((late,), 1)


def test_concurrency_zero_with_jobs_queued_is_a_deadlock(platform: Platform, start_worker: StartWorker) -> None:
    platform.submit({"echo": 1}, "a")
    platform.submit({"echo": 2}, "b")
    worker = start_worker(echo_scale="2,0", wait_ready=False)
    worker.wait_output("Jobs in queue: 2", 60)
    takes = len(platform.ledger.takes)
    with pytest.raises(AssertionError, match="not within"):
        platform.ledger.wait(lambda own: own.jobs["a"].posts or len(own.takes) > takes, 2.5, "anything happens")


def test_with_all_slots_taken_nothing_is_taken_for_a_second(platform: Platform, start_worker: StartWorker) -> None:
    ids = [platform.submit({"echo": n}) for n in range(4)]
    start_worker(echo_concurrency=1)
    platform.ledger.wait_final(*ids)
    taken_s = [platform.ledger.jobs[name].deliveries[0].at_s for name in ids]
    assert taken_s[-1] - taken_s[0] > 2.5  # each was answered within moments


def test_a_change_of_concurrency_waits_for_an_empty_worker(platform: Platform, start_worker: StartWorker) -> None:
    long = platform.submit({"sleep_s": 2})
    worker = start_worker(echo_scale="2,3", wait_ready=False)
    worker.wait_output(f"echo begins {long}", 60)
    short = platform.submit({"echo": 1})
    platform.ledger.wait_final(long, short)
    jobs = platform.ledger.jobs
    assert jobs[short].deliveries[0].at_s > jobs[long].answers[0].at_s


def test_refresh_worker_asks_for_a_reset_and_goes_on_taking(platform: Platform, start_worker: StartWorker) -> None:
    platform.faults.stop_pod_kills = True
    worker = start_worker(echo_concurrency=4, echo_replace="sdk")
    neighbour = platform.submit({"sleep_s": 30})
    worker.wait_output(f"echo begins {neighbour}")
    platform.submit({"replace": True})
    platform.ledger.wait(lambda own: own.stop_pods, WAIT_S, "the worker asks to be replaced")
    worker.wait_exit()
    assert platform.ledger.audit().lost == (neighbour,)  # asked while another job ran
    platform.faults.stop_pod_kills = False
    second = start_worker("w2", echo_concurrency=4, echo_replace="sdk")
    platform.submit({"replace": True})
    platform.ledger.wait(lambda own: len(own.stop_pods) == 2, WAIT_S, "the second asks as well")
    platform.ledger.wait_final(platform.submit({"echo": 1}))  # … and takes the next job
    assert second.process.poll() is None


def test_the_default_log_shows_outputs_and_the_take_url(platform: Platform, start_worker: StartWorker) -> None:
    worker = start_worker(env={"RUNPOD_LOG_LEVEL": None})
    platform.ledger.wait_final(platform.submit({"echo": "canary-of-the-document"}))
    worker.wait_output("Finished Job")
    assert "canary-of-the-document" in worker.output
    assert "/job-take/w1?gpu=none" in worker.output


def test_a_failed_fitness_check_reports_and_leaves(platform: Platform, start_worker: StartWorker) -> None:
    worker = start_worker(echo_fitness="fail", wait_ready=False)
    assert worker.wait_exit() == 1
    (ping,) = platform.ledger.pings
    assert ping.query["status"] == "unhealthy"
    assert ping.query["reason"] == "RuntimeError: no such model"
    assert platform.ledger.takes == []


def test_pings_outlive_a_killed_worker(platform: Platform, start_worker: StartWorker) -> None:
    worker = start_worker(ping_ms=1000)
    job_id = platform.submit({"sleep_s": 60})
    platform.ledger.wait(
        lambda own: any(job_id in ping.query.get("job_id", "") for ping in own.pings), WAIT_S, "a ping"
    )
    worker.kill()
    killed_s = platform.ledger.now_s()
    platform.ledger.wait(
        lambda own: any(ping.at_s > killed_s + 0.5 and job_id in ping.query["job_id"] for ping in own.pings),
        10,
        "the dead worker's job is named as in progress",
    )
    for pid in worker.stray_processes():
        os.kill(pid, signal.SIGKILL)
