"""The emulator itself, with the real SDK as worker and the real clients."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import Any

import aiohttp
import pytest
import requests

from tests.worker.conftest import StartWorker
from tests.worker.emulator import API_KEY, ENDPOINT, Platform
from tests.worker.faults import Faults, PostFault
from tests.worker.ledger import WAIT_S


def test_real_client_and_real_worker(
    platform: Platform, start_worker: StartWorker, endpoint: Any, client_sdk: Any
) -> None:
    """Run, runsync, status, stream, cancel, retry, purge, health, from one worker."""
    queued = endpoint.run({"input": {"echo": "early"}})
    assert queued.status() == "IN_QUEUE"
    assert endpoint.purge_queue() == {"removed": 1, "status": "completed"}
    assert queued.status() == "CANCELLED"

    worker = start_worker(echo_concurrency=4)
    answer = endpoint.run_sync({"input": {"echo": "grüße"}}, timeout=20)
    assert answer["echo"] == "grüße"

    failing = endpoint.run({"input": {"returns": {"error": "nope"}}})
    platform.ledger.wait_final(failing.job_id)
    assert failing.status() == "FAILED"
    url = f"{platform.base_url}/{ENDPOINT}"
    assert requests.post(f"{url}/retry/{failing.job_id}", timeout=5).json()["retries"] == 1
    platform.ledger.wait(lambda own: len(own.jobs[failing.job_id].answers) == 2, WAIT_S, "the retry is answered")
    assert requests.get(f"{url}/status/nobody", timeout=5).status_code == 404

    running = endpoint.run({"input": {"sleep_s": 60}})
    platform.ledger.wait(lambda own: own.jobs[running.job_id].status == "IN_PROGRESS", WAIT_S, "the job is taken")
    assert endpoint.health()["jobs"]["inProgress"] == 1
    assert endpoint.health()["workers"]["running"] == 1
    running.cancel()
    assert running.status() == "CANCELLED"

    outputs = asyncio.run(_three_at_once(client_sdk))
    assert sorted(output["echo"] for output in outputs) == [0, 1, 2]

    ping = platform.ledger.wait(lambda own: own.pings, WAIT_S, "a ping")[0]
    assert ping.authorization == API_KEY
    assert worker.process.poll() is None
    assert platform.ledger.audit().clean


async def _three_at_once(client_sdk: Any) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session:
        endpoint = client_sdk.AsyncioEndpoint(ENDPOINT, session)
        jobs = [await endpoint.run({"echo": number}) for number in range(3)]
        return list(await asyncio.gather(*(job.output(timeout=20) for job in jobs)))


def test_stream_and_progress(platform: Platform, start_worker: StartWorker, endpoint: Any) -> None:
    start_worker(echo_mode="generator")
    job = endpoint.run({"input": {"chunks": ["a", "b"]}})
    assert list(job.stream()) == ["a", "b"]
    assert job.status() == "COMPLETED"


def test_ledger_keeps_bodies_and_headers(platform: Platform, start_worker: StartWorker) -> None:
    start_worker()
    job_id = platform.submit({"echo": 1, "progress": [10], "sleep_s": 0.5})
    (job,) = platform.ledger.wait_final(job_id)
    platform.ledger.wait(lambda own: job.progress, WAIT_S, "progress arrives")
    (answer,) = job.answers
    assert answer.payload["output"]["echo"] == 1
    assert answer.content_type == "application/x-www-form-urlencoded"
    assert answer.request_id == job_id
    assert job.progress == [10]
    assert {take.worker for take in platform.ledger.takes} == {"w1"}


def test_killed_worker_is_redelivered_to_a_second(platform: Platform, start_worker: StartWorker) -> None:
    first = start_worker("w1", echo_concurrency=2)
    ids = [platform.submit({"echo": number, "progress": [1], "sleep_s": 30}) for number in range(2)]
    # Word from the job itself: what is only being handed over is queued again when its connection is cut.
    platform.ledger.wait(lambda own: all(own.jobs[name].progress for name in ids), WAIT_S, "both begun")
    first.process.send_signal(signal.SIGKILL)
    assert first.wait_exit() == -signal.SIGKILL
    for name in ids:
        platform.ledger.jobs[name].raw = platform.ledger.jobs[name].raw.replace(b'"sleep_s": 30', b'"sleep_s": 0')
    assert sorted(platform.worker_lost("w1")) == sorted(ids)
    start_worker("w2", echo_concurrency=2)
    for job in platform.ledger.wait_final(*ids):
        assert [delivery.worker for delivery in job.deliveries] == ["w1", "w2"]
        assert [post.worker for post in job.answers] == ["w2"]
    assert platform.ledger.audit().clean


def test_a_lost_a_double_and_a_foreign_answer_are_found(platform: Platform) -> None:
    """The audit is what all other tests trust: it must not be blind."""
    at = f"{platform.base_url}/{ENDPOINT}"
    ids = [platform.submit({}) for _ in range(3)]
    for _ in ids:
        assert requests.get(f"{at}/job-take/w1?x=1", timeout=5).status_code == 200
    for _ in range(2):
        requests.post(f"{at}/job-done/w1/{ids[0]}?x=1", data=b'{"output": 1}', timeout=5)
    requests.post(f"{at}/job-done/w9/{ids[1]}?x=1", data=b'{"output": 1}', timeout=5)
    requests.post(f"{at}/job-done/w1/unknown?x=1", data=b'{"output": 1}', timeout=5)
    audit = platform.ledger.audit()
    assert (audit.twice, audit.wrong_owner, audit.lost, audit.strays) == ((ids[0],), (ids[1],), (ids[2],), 1)
    assert not audit.clean


@pytest.mark.parametrize("status", [b'{"score": NaN}', b"{", b"[1]", b"\xff"])
def test_what_is_not_json_is_refused(platform: Platform, status: bytes) -> None:
    job_id = platform.submit({})
    at = f"{platform.base_url}/{ENDPOINT}"
    requests.get(f"{at}/job-take/w1?x=1", timeout=5)
    assert requests.post(f"{at}/job-done/w1/{job_id}?x=1", data=status, timeout=5).status_code == 400
    assert platform.ledger.audit().lost == (job_id,)


def test_faults_follow_from_the_seed_alone() -> None:
    def fates(seed: int, order: list[int]) -> dict[str, PostFault]:
        faults = Faults(seed=seed, post_chance=0.5)
        return {f"job-{number}": faults.post(f"job-{number}") for number in order}

    assert fates(1, list(range(40))) == fates(1, list(reversed(range(40))))
    assert fates(1, list(range(40))) != fates(2, list(range(40)))


def test_waiting_in_vain_says_for_what(platform: Platform) -> None:
    platform.submit({})
    with pytest.raises(AssertionError, match=r"a miracle: not within 0\.05 s; jobs \{'IN_QUEUE': 1\}"):
        platform.ledger.wait(lambda own: False, 0.05, "a miracle")


def test_nothing_is_left_running() -> None:
    with Platform() as platform:
        platform.submit({})
        assert any(thread.name == "platform" for thread in threading.enumerate())
    assert not any(thread.name == "platform" for thread in threading.enumerate())
