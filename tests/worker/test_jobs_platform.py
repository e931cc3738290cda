"""Lives of a job through the emulated platform, with the product's own worker: twice, again, cancelled, deadly."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from typing import Any

from pinpoint.serving.poison import DEATHS, FOLDER
from tests.worker.emulator import Platform
from tests.worker.ledger import Job
from tests.worker.processes import WorkerProcess
from tests.worker.product import product_worker

LABELS = ["invoice", "receipt", "contract"]
ENDS_S = 60.0
PASS_S = 1.5  # planted: long enough to do something meanwhile
LONG_PASS_S = 5.0  # the SDK hears of a cancel within some two seconds


def asks(text: str, documents: int = 1) -> dict[str, Any]:
    return {"documents": [{"text": f"{text} no. {n}"} for n in range(documents)], "labels": LABELS}


def ended(platform: Platform, *ids: str) -> list[Job]:
    return platform.ledger.wait_final(*ids, timeout_s=ENDS_S)


def passes(output: str) -> int:
    """Forward passes that a worker has logged."""
    return len(re.findall(r" batch=\d+ status=ok", output))


def until_marked(worker: WorkerProcess, state: Path, job_id: str, starts: int) -> None:
    """Until a pass with this job runs, as the workers' own markers say; by then it has been in so many."""
    markers = state / FOLDER / hashlib.sha256(job_id.encode()).hexdigest()
    until = time.monotonic() + ENDS_S
    while not (markers.exists() and len(os.listdir(markers)) == starts):
        assert time.monotonic() < until and worker.process.poll() is None, worker.output
        time.sleep(0.02)  # a file has no event


def test_twice_at_once_again_and_with_other_input(platform: Platform, tmp_path: Path) -> None:
    with product_worker(platform, tmp_path, "w1", {"PLANT_PASS_S": PASS_S, "PINPOINT_MAX_CONCURRENCY": 8}) as worker:
        platform.submit(asks("letter"), "twice")
        platform.submit(asks("letter"), "twice")
        platform.ledger.wait(lambda own: len(own.jobs["twice"].acknowledged) == 2, ENDS_S, "both are answered")
        platform.submit(asks("letter"), "twice")
        platform.ledger.wait(lambda own: len(own.jobs["twice"].acknowledged) == 3, ENDS_S, "the third is answered")
        answers = [post.payload["output"]["results"] for post in platform.ledger.jobs["twice"].acknowledged]
        assert answers[0] == answers[1] == answers[2]
        assert passes(worker.output) == 1
        platform.submit(asks("another letter"), "twice")
        platform.ledger.wait(lambda own: len(own.jobs["twice"].acknowledged) == 4, ENDS_S, "the conflict is answered")
        assert platform.ledger.jobs["twice"].acknowledged[3].payload["error"].startswith("conflict: ")
        assert platform.ledger.audit().clean


def test_cancelled_while_it_waits_and_while_its_pass_runs(platform: Platform, tmp_path: Path) -> None:
    env = {"PLANT_PASS_S": LONG_PASS_S, "PINPOINT_MAX_CONCURRENCY": 8, "PINPOINT_STATE_DIR": tmp_path}
    with product_worker(platform, tmp_path, "w1", env) as worker:
        running = platform.submit(asks("first"))
        until_marked(worker, tmp_path, running, 1)
        waiting, other = platform.submit(asks("second")), platform.submit(asks("third"))
        # The SDK forgets a cancel of a job that it has taken and not started.
        worker.wait_output(f"{waiting} | Started.", ENDS_S)
        platform.cancel(running)
        platform.cancel(waiting)
        (job,) = ended(platform, other)
        assert job.status == "COMPLETED"
        worker.wait_output(f"job={running} status=cancelled", ENDS_S)
        worker.wait_output(f"job={waiting} status=cancelled", ENDS_S)
        assert not platform.ledger.jobs[running].answers and not platform.ledger.jobs[waiting].answers
        # They are not kept back either: the same job sent again is computed.
        platform.retry(waiting)
        assert ended(platform, waiting)[0].status == "COMPLETED"
        assert platform.ledger.audit().clean


def test_past_the_execution_time_of_its_policy(platform: Platform, tmp_path: Path) -> None:
    with product_worker(platform, tmp_path, "w1", {"PLANT_PASS_S": PASS_S}):
        late = platform.submit(asks("letter"), extra={"policy": {"executionTimeout": 200}})
        good = platform.submit(asks("letter"))
        jobs = ended(platform, late, good)
        assert str(jobs[0].error).startswith("deadline_exceeded: ")
        assert jobs[1].status == "COMPLETED"


def test_progress_of_many_documents_and_none_after_the_answer(platform: Platform, tmp_path: Path) -> None:
    with product_worker(platform, tmp_path, "w1", {"PLANT_PASS_S": PASS_S, "PINPOINT_TOKEN_BUDGET": 600}):
        many = platform.submit(asks("canary7391", documents=100))
        (job,) = ended(platform, many)
        assert job.status == "COMPLETED"
        assert job.progress
        done = [update["documents_done"] for update in job.progress]
        assert done == sorted(done) and done[0] > 0 and done[-1] < 100
        assert all(
            update == {"documents_done": n, "documents": 100} for update, n in zip(job.progress, done, strict=True)
        )
        last_progress = max(post.at_s for post in job.posts if not post.final)
        assert last_progress <= job.answers[0].at_s


def test_a_job_that_ended_two_workers_is_refused_by_the_third(platform: Platform, tmp_path: Path) -> None:
    """Its neighbours of the first pass are answered by the second worker, although the job ends that one too."""
    state = {"PINPOINT_STATE_DIR": tmp_path / "volume", "PINPOINT_MAX_CONCURRENCY": 8}
    bad, innocent = platform.submit(asks("bad"), "bad"), platform.submit(asks("innocent"), "innocent")
    for n in range(DEATHS):
        # Slow passes, so that the kill hits the one that the job is in.
        with product_worker(
            platform, tmp_path, f"w{n}", {**state, "PLANT_PASS_S": LONG_PASS_S}, wait_ready=False
        ) as worker:
            until_marked(worker, tmp_path / "volume", bad, n + 1)
            worker.kill()
        platform.worker_lost(worker.name)
    with product_worker(platform, tmp_path, "last", state):
        jobs = ended(platform, bad, innocent)
    assert str(jobs[0].error).startswith("poison_job: ")
    assert len(jobs[0].answers) == 1
    assert jobs[1].status == "COMPLETED"
    assert platform.ledger.audit().clean
