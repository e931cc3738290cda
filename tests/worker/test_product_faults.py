"""Rows of the table of faults that a handler must not make, on the product's own handler with the embedded model.

One worker whose forward passes fail by chance (an exception, SystemExit, out of memory), among bad jobs, cancels and
second deliveries. `PINPOINT_FAULT_ROUNDS=50` for the full run.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.worker.conftest import rounds, seed
from tests.worker.emulator import Platform
from tests.worker.product import BAD, good_job, owner, product_worker
from tests.worker.test_faults import taken
from tests.worker.traffic import Traffic, once

ROUNDS = rounds(2)
CODES = {"internal", "out_of_memory"}  # what a planted fault may make of a good job


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with one worker of which every fifth pass fails."""
    print(f"seed {seed()}")
    env: dict[str, object] = {
        "PINPOINT_MAX_CONCURRENCY": 32, "PINPOINT_MAX_RESPONSE_BYTES": 20_000, "PLANT_CHANCE": 0.2,
        "PLANT_SEED": seed(), "PLANT_PASS_S": 0.02,
    }  # fmt: skip
    with (
        Platform(seed=seed()) as platform,
        product_worker(platform, tmp_path_factory.mktemp("faulty"), "w1", env) as worker,
    ):
        yield platform
        assert worker.process.poll() is None, worker.output[-4000:]
        assert "Traceback" not in worker.output


def product_job(chance: random.Random) -> Any:
    """A good job that nobody looks at closely."""
    return good_job(chance, f"traffic-{chance.randrange(10**9)}")


def outcome(job: Any) -> str:
    """The code of a job's error, or nothing."""
    return str(job.error).partition(":")[0] if job.error else ""


def test_a_pass_that_fails_harms_no_other_job(faulty: Platform) -> None:
    """Raised exceptions and SystemExit among them: whatever happens, a code is answered, and nothing twice."""
    chance = random.Random(f"{seed()}/passes")
    expected: dict[str, str] = {}
    for number in range(ROUNDS * 8):
        tag = f"tag-{number}"
        expected[faulty.submit(good_job(chance, tag))] = tag
        time.sleep(chance.uniform(0, 0.02))
    jobs = faulty.ledger.wait_final(*expected, timeout_s=120)
    for job in jobs:
        if job.error:
            assert outcome(job) in CODES, job.error
            assert "canary" not in job.error
        else:
            assert owner(job.output) == {expected[job.id]}
    # The innocent of a failed batch are measured again: most of them are answered.
    assert sum(not job.error for job in jobs) > len(jobs) / 2
    once(faulty, *expected)


def test_bad_jobs_are_refused_among_good_ones(faulty: Platform) -> None:
    chance = random.Random(f"{seed()}/bad")
    with Traffic(faulty, chance, product_job) as traffic:
        ids = [faulty.submit(chance.choice(BAD)) for _ in range(max(ROUNDS, len(BAD)))]
        for job in faulty.ledger.wait_final(*ids, timeout_s=120):
            assert job.status == "FAILED" and ": " in job.error and outcome(job) not in CODES
        assert {outcome(job) for job in traffic.stop()} <= {"", *CODES}
    once(faulty, *ids, *traffic.ids)


def test_an_answer_over_the_limit_is_an_error_of_its_own_job(faulty: Platform) -> None:
    chance = random.Random(f"{seed()}/large")
    large = {"documents": [{"text": f"Invoice {n}"} for n in range(100)], "labels": ["invoice", "receipt", "letter"]}
    ids = [faulty.submit(large if n % 2 else good_job(chance, f"beside-{n}")) for n in range(ROUNDS * 2)]
    for n, job in enumerate(faulty.ledger.wait_final(*ids, timeout_s=240)):
        assert outcome(job) in ({"response_too_large", *CODES} if n % 2 else {"", *CODES}), job.error
    once(faulty, *ids)


def test_labels_with_the_names_of_the_sdks_own_keys_are_answers(faulty: Platform) -> None:
    labels = ["error", "refresh_worker", "stopPod"]
    ids = [faulty.submit({"text": f"Invoice {n}", "labels": labels}) for n in range(ROUNDS)]
    for job in faulty.ledger.wait_final(*ids, timeout_s=120):
        if not job.error and job.output["results"][0]["status"] == "ok":
            assert sorted(job.output["results"][0]["answers"]["category"]["labels"]) == sorted(labels)
    once(faulty, *ids)
    assert faulty.ledger.stop_pods == []


def test_a_job_that_is_handed_over_again_is_answered_alike(faulty: Platform) -> None:
    chance = random.Random(f"{seed()}/again")
    ids = []
    for number in range(ROUNDS):
        ids.append(faulty.submit(good_job(chance, f"again-{number}"), f"again-{number}"))
        time.sleep(chance.uniform(0, 0.3))
        faulty.submit_raw(faulty.ledger.jobs[ids[-1]].raw, ids[-1])
    faulty.ledger.wait(lambda own: all(len(own.jobs[name].acknowledged) == 2 for name in ids), 120, "both are answered")
    assert faulty.ledger.audit().clean
    for name in ids:
        # A failed job is tried again; an answer is kept.
        outputs = [post.payload.get("output") for post in faulty.ledger.jobs[name].answers]
        answers = [output["results"] for output in outputs if output]
        assert all(results == answers[0] for results in answers)


def test_a_job_cancelled_at_any_moment_leaves_its_batch(faulty: Platform) -> None:
    chance = random.Random(f"{seed()}/cancel")
    with Traffic(faulty, chance, product_job) as traffic:
        cancelled = []
        for number in range(ROUNDS):
            cancelled.append(faulty.submit(good_job(chance, f"cancelled-{number}")))
            if chance.random() < 0.7:
                taken(faulty, cancelled[-1])
            time.sleep(chance.uniform(0, 0.08))
            faulty.cancel(cancelled[-1])
        assert {outcome(job) for job in traffic.stop()} <= {"", *CODES}
    once(faulty, *traffic.ids)
    assert all(len(faulty.ledger.jobs[name].answers) <= 1 for name in cancelled)


def test_a_health_job_is_answered_among_the_others(faulty: Platform) -> None:
    with Traffic(faulty, random.Random(seed()), product_job) as traffic:
        for job in faulty.ledger.wait_final(*[faulty.submit({"health": True}) for _ in range(ROUNDS)]):
            assert job.output["jobs"]["answered"] >= 0 and isinstance(job.output["reasons"], list)
        traffic.stop()
