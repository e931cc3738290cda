"""No line of any log holds anything that a caller wrote: a whole run, good and bad jobs, at every level.

Each canary stands in one kind of place: documents, their ids, label names, ids, descriptions, instructions, names of
tasks and of unknown fields. The lines searched are all that the process prints, the SDK's among them.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

import pytest

from tests.collector import ONLY_AT_THE_END, Collector
from tests.unit.api.test_bad_inputs import CANARY as BAD_CANARY
from tests.unit.api.test_bad_inputs import REFUSED, REFUSED_DOCUMENTS
from tests.worker.emulator import Platform
from tests.worker.faults import PostFault, TakeFault
from tests.worker.handlers.product import CANARY as PLANTED_CANARY
from tests.worker.product import product_worker

PLACES = ("document", "docid", "label", "labelid", "description", "instructions", "task", "field", "page", "premise")
# A word that no vocabulary splits into something harmless, and that is still one in the log of a lower-cased text.
CANARIES = {place: f"quetzal{number}zw{place}" for number, place in enumerate(PLACES)}
MAX_RAW_BYTES = 300_000  # of a bad input: the monsters are tried in the unit tests


def canary_jobs() -> list[dict[str, Any]]:
    """Good and bad inputs with a canary in every place."""
    word = CANARIES
    text = f"Invoice {word['document']}, total due: 99.50 EUR. {word['document']}"
    labels = [
        {"name": f"invoice {word['label']}", "id": word["labelid"], "description": f"a bill {word['description']}"},
        {"name": "receipt"},
    ]
    good: list[dict[str, Any]] = [
        {"text": text, "labels": labels, "instructions": f"Ask {word['instructions']}."},
        {
            "documents": [{"id": word["docid"], "text": text}, {"id": f"{word['docid']} 2", "text": ""}],
            "labels": labels,
        },
        {"text": text, "tasks": {word["task"]: {"labels": labels, "multi_label": True}}},
        {"pages": [text, word["page"]], "labels": labels, "options": {"long_document": "pages"}},
        {"text": text, "labels": labels, "options": {"explain": True, "return_raw": True}},
        {"inputs": [text], "parameters": {"candidate_labels": ["a", word["label"]]}},
        {
            "inputs": word["premise"],
            "parameters": {"candidate_labels": ["a", "b"], "hypothesis_template": word["task"]},
        },
    ]
    bad: list[dict[str, Any]] = [
        {"text": text, "labels": labels, word["field"]: 1},
        {"text": text, "labels": [word["label"], word["label"]]},
        {"text": text, "labels": labels, "options": {word["field"]: word["document"]}},
        {"text": text, "tasks": {word["task"]: {"labels": [word["label"]]}}},
        {"text": text, "tasks": {word["task"]: {"labels": labels, word["field"]: 5}}},
        {"text": text, "tasks": {word["task"]: {"labels": labels, "prior": {word["label"]: 1}}}},
        {"text": text, "labels": labels, "url": word["document"]},
        {"text": text, "labels": [f"{word['label']} {n} " + "long " * 39 for n in range(900)]},
        {"text": [word["document"]], "labels": labels},
    ]
    return good + bad


@dataclass(frozen=True)
class Run:
    """A worker's life: what it printed, and what an OTLP collector got of it."""

    log: str
    collector: Collector


@pytest.fixture(scope="module", params=[None, "TRACE"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of canaries, with passes that fail, posts that fail, cancels, a last job and SIGTERM."""
    collector = Collector()
    env: dict[str, object | None] = {
        "PINPOINT_MAX_CONCURRENCY": 16, "PINPOINT_LOG_LEVEL": "DEBUG", "PINPOINT_POST_ATTEMPT_S": 1,
        "PLANT_CHANCE": 0.5, "PLANT_SEED": 5, "PLANT_KINDS": "value_error",  # the first pass of all fails
        # Not the INFO that tests otherwise set: the product has to see to it.
        "RUNPOD_LOG_LEVEL": request.param,
        **collector.env, **ONLY_AT_THE_END,
    }  # fmt: skip
    chance = random.Random(7)
    inputs: list[Any] = canary_jobs() * 3
    # Bad inputs at the most talkative level alone: another level is another line of the SDK's, whatever the input is.
    for table in (REFUSED, REFUSED_DOCUMENTS) if request.param else ():
        for raw, _, _ in table.values():
            try:
                if len(json.dumps(raw)) < MAX_RAW_BYTES:
                    inputs.append(raw)
            except (TypeError, ValueError, RecursionError):
                continue  # nothing that could arrive
    chance.shuffle(inputs)
    with Platform(seed=7) as platform:
        platform.faults.post_chance, platform.faults.take_chance = 0.1, 0.2
        platform.faults.post_kinds = (PostFault.ERROR_500, PostFault.RESET, PostFault.BUSY_429)
        platform.faults.take_kinds = (TakeFault.CUT, TakeFault.ERROR_500, TakeFault.SLOW)
        with product_worker(platform, tmp_path_factory.mktemp("canary"), "w1", env) as worker:
            ids = [platform.submit_raw(as_ascii(f"job-{n}", value), f"job-{n}") for n, value in enumerate(inputs)]
            for name in chance.sample(ids, 5):
                platform.cancel(name)
            platform.submit_batch(
                [(f'{{"input": "{CANARIES["document"]}"}}'.encode(), None), (CANARIES["document"].encode(), None)]
            )
            platform.ledger.wait_final(*ids, timeout_s=120)
            last = platform.submit_raw(as_ascii("the-last", canary_jobs()[0]), "the-last")
            platform.ledger.wait_final(last)
            worker.terminate()
            worker.wait_exit()
            outcomes = {job.status for job in platform.ledger.jobs.values()}
            assert {"COMPLETED", "FAILED", "CANCELLED"} <= outcomes
            collector.close()
            return Run(worker.output, collector)


@pytest.fixture
def run_log(run: Run) -> str:
    return run.log


def as_ascii(job_id: str, value: Any) -> bytes:
    """A job as a client's JSON library writes it: lone surrogates escaped."""
    return json.dumps({"id": job_id, "input": value}).encode("ascii")


def test_no_line_holds_what_a_caller_wrote(run_log: str) -> None:
    # There is a log of good jobs, bad jobs, passes and the SDK.
    for sign in ("status=ok", "status=error code=unknown_field", "batch=", "failed type=", "Jobs in progress"):
        assert sign in run_log, sign
    lowered = run_log.lower()
    for place, canary in CANARIES.items():
        assert canary not in lowered, (place, line_with(lowered, canary))
    for canary in (BAD_CANARY, PLANTED_CANARY):
        assert canary not in lowered, line_with(lowered, canary)
    assert "Traceback" not in run_log, line_with(run_log, "Traceback")


def test_no_line_holds_a_credential(run_log: str) -> None:
    assert "emulated-key-not-secret" not in run_log
    assert "?gpu=none" not in run_log  # the take URL's own


def test_a_collector_gets_the_last_job_and_no_words(run: Run) -> None:
    told = [
        one.value.string_value
        for span in run.collector.spans()
        if span.name == "job"
        for one in span.attributes
        if one.key == "pinpoint.job.id"
    ]
    assert "the-last" in told and "job-0" in told
    assert run.collector.counted()["pinpoint.jobs"] > 1
    posted = b"".join(map(run.collector.told, run.collector.bodies)).lower()
    assert not [place for place, canary in CANARIES.items() if canary.encode() in posted]


def line_with(text: str, word: str) -> str:
    """The first line with a word, for messages."""
    return next(line for line in text.splitlines() if word in line)[:400]
