"""All that should not arrive, as jobs through the emulated platform among good ones: nobody else notices.

The cases are those of tests/unit/test_bad_inputs.py, and what only the wire can bring: JSON that Python refuses, jobs
without an id, a job id that is a path.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api.test_bad_inputs import ACCEPTED_LABELS, ACCEPTED_TEXTS, CANARY, REFUSED, REFUSED_DOCUMENTS
from tests.worker.conftest import seed
from tests.worker.emulator import Platform
from tests.worker.ledger import Job
from tests.worker.processes import WorkerProcess
from tests.worker.product import good_job, product_worker
from tests.worker.worker_api import as_wire

GOOD_JOBS = 40
ROUNDING = 2e-5  # of sums in another order, where scores are not far apart
ENDS_S = 90.0  # on a busy machine
SETTINGS = {"PINPOINT_MAX_CONCURRENCY": 16, "PINPOINT_LOG_LEVEL": "DEBUG"}

# By the text of the job's input: what no JSON writer of Python would write.
WIRE_ONLY: dict[str, str] = {
    "5,000-digit top_k": '{"text": "canary7391", "labels": ["a", "b"], "options": {"top_k": ' + "9" * 5000 + "}}",
    "5,000-digit threshold": '{"text": "a", "labels": ["a", "b"], "options": {"threshold": -' + "9" * 5000 + "}}",
    "100,000-deep lists": '{"text": ' + "[" * 100_000 + "1" + "]" * 100_000 + ', "labels": ["a", "b"]}',
    "100,000-deep objects": '{"labels": ' * 100_000 + '"canary7391"' + "}" * 100_000,
    "Infinity": '{"text": "canary7391", "labels": ["a", "b"], "options": {"threshold": Infinity}}',
    "1e999": '{"text": "canary7391", "labels": ["a", "b"], "options": {"threshold": 1e999}}',
    "10,000 documents": json.dumps({"documents": [{"text": "canary7391"}] * 10_000, "labels": ["a", "b"]}),
}
MALFORMED = {
    "no id": b'{"input": {"text": "canary7391", "labels": ["a", "b"]}}',
    "id is null": b'{"id": null, "input": {}}',
    "no object": b'"canary7391"',
}
ACCEPTED: dict[str, Any] = {
    **{f"labels: {name}": {"text": "Total due: 5", "labels": labels} for name, labels in ACCEPTED_LABELS.items()},
    **{f"text: {name}": {"text": sent, "labels": ["a", "b"]} for name, (sent, _, _) in ACCEPTED_TEXTS.items()},
    "labels of the envelope": {"text": "Total due: 5", "labels": ["error", "refresh_worker", "stopPod"]},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, WorkerProcess]]:
    folder = tmp_path_factory.mktemp("worker")
    with (
        Platform(seed=seed()) as platform,
        product_worker(
            platform, folder, "w1", {"PINPOINT_MAX_CONCURRENCY": 16, "PINPOINT_LOG_LEVEL": "DEBUG"}
        ) as worker,
    ):
        yield platform, worker


def writable(raw: object) -> bytes | None:
    """The input on the wire; None where Python cannot write it."""
    try:
        return json.dumps(raw).encode("ascii")  # a lone surrogate travels as its escape
    except (ValueError, RecursionError, TypeError):
        return None


def ended(platform: Platform, ids: list[str]) -> dict[str, Job]:
    return dict(zip(ids, platform.ledger.wait_final(*ids, timeout_s=ENDS_S), strict=True))


def submit_good(platform: Platform, run: str) -> list[str]:
    """The same jobs in each run, under ids of its own."""
    chance = random.Random(seed())
    return [platform.submit(good_job(chance, f"tag {n}"), f"{run}-{n}") for n in range(GOOD_JOBS)]


def same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            same(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=ROUNDING)
    else:
        assert found == expected


def test_good_jobs_among_bad_ones_are_answered_as_without_them(served: tuple[Platform, WorkerProcess]) -> None:
    platform, worker = served
    before = ended(platform, submit_good(platform, "before"))
    assert sum(job.status == "COMPLETED" for job in before.values()) > 0.8 * GOOD_JOBS

    told: dict[str, tuple[bytes, str | None]] = {}
    for name, (raw, code, _) in {**REFUSED, **REFUSED_DOCUMENTS}.items():
        wire = writable(raw)
        if wire is not None:
            told[f"bad {name}"] = wire, None if name in REFUSED_DOCUMENTS else code
    # A job without input, before it is a request; and JSON has no keys but strings.
    told["bad null"] = b"null", "missing_field"
    told["bad integer key"] = told["bad integer key"][0], "unknown_field"
    told |= {f"wire {name}": (text.encode(), "") for name, text in WIRE_ONLY.items()}
    told |= {f"accepted {name}": (as_wire(raw), None) for name, raw in ACCEPTED.items()}
    told["../x"] = as_wire({"text": "Total due: 5", "labels": ["a", "b"]}), None
    assert len(told) > 120

    chance = random.Random(seed())
    goods = random.Random(seed())
    submissions: list[tuple[str, bytes]] = [
        (f"among-{n}", as_wire(good_job(goods, f"tag {n}"))) for n in range(GOOD_JOBS)
    ] + [(name, wire) for name, (wire, _) in told.items()]
    chance.shuffle(submissions)
    for number, (name, wire) in enumerate(submissions):
        platform.submit_raw(b'{"id": %s, "input": %s}' % (json.dumps(name).encode(), wire), name)
        if number % 40 == 7:
            platform.submit_raw(chance.choice(list(MALFORMED.values())))
    jobs = ended(platform, [name for name, _ in submissions])

    for n in range(GOOD_JOBS):
        good, expected = jobs[f"among-{n}"], before[f"before-{n}"]
        assert (good.status, good.error) == (expected.status, expected.error)
        if good.status == "COMPLETED":
            same(good.output["results"], expected.output["results"])
    for name, (_, expected_code) in told.items():
        job = jobs[name]
        assert len(job.acknowledged) == 1, name
        if expected_code is None:
            assert job.status == "COMPLETED", (name, job.error)
        else:
            assert job.status == "FAILED" and isinstance(job.error, str), name
            assert job.error.startswith(expected_code), (name, job.error)
        assert CANARY not in json.dumps(job.error), name
        assert "Traceback" not in json.dumps(job.error), name
    audit = platform.ledger.audit()
    assert audit.clean, audit
    assert worker.process.poll() is None
    assert CANARY not in worker.output


def test_every_way_to_be_refused_was_tried() -> None:
    """Those that Python cannot write have their like among those of the wire."""
    assert [name for name, (raw, _, _) in REFUSED.items() if writable(raw) is None] == [
        "deep lists", "deep objects", "5,000-digit integer", "5,000-digit negative integer",
    ]  # fmt: skip


def test_the_log_is_there_to_be_searched(served: tuple[Platform, WorkerProcess], tmp_path: Path) -> None:
    assert "status=ok" in served[1].output and "status=error code=unknown_field" in served[1].output
