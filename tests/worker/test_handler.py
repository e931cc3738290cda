"""The handler as people run it, and the worker behind it on jobs that nobody should send."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pinpoint.errors import ModelError
from pinpoint.serving import worker
from pinpoint.serving.start import Entry
from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings
from tests import warm
from tests.fakes import FakeEngine
from tests.models import chatml_tokenizer, configurations, save_random

ROOT = Path(__file__).parents[2]
CANARY = "Quetzalcoatlus"
LABELS = ["invoice", "receipt", "contract"]
JOB = {"text": f"Total due: 99.50 EUR. {CANARY}", "labels": LABELS}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = chatml_tokenizer()
    config = configurations(len(tokenizer))["mixtral"]
    return save_random(config, tokenizer, tmp_path_factory.mktemp("model"))


def run_handler(model_folder: Path | str, job: object, **env: str) -> subprocess.CompletedProcess[str]:
    """A job on the command line."""
    return run_words(model_folder, "--test_input", json.dumps({"input": job}), **env)


def run_words(model_folder: Path | str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`python handler.py …` in an environment without settings of this machine."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PINPOINT_", "RUNPOD_", "MODEL_"))}
    settings = {
        "MODEL_NAME": str(model_folder),
        "PINPOINT_DEVICE": "cpu",
        "PYTHONPATH": "src",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    whole = kept | settings | env
    if not any(key.startswith(("PYTHON", "LC_")) for key in env):  # which Python reads when it starts
        return warm.run(["handler.py", *words], whole)
    return subprocess.run(
        [sys.executable, "handler.py", *words],
        cwd=ROOT, env=whole, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def served(model_folder: Path) -> subprocess.CompletedProcess[str]:
    """A good job at the most talkative log level."""
    return run_handler(model_folder, JOB, PINPOINT_LOG_LEVEL="DEBUG")


def test_a_job_is_answered_as_json(served: subprocess.CompletedProcess[str], model_folder: Path) -> None:
    assert served.returncode == 0, served.stderr
    answer = json.loads(served.stdout[served.stdout.index("{") :])
    (result,) = answer["results"]
    assert (result["id"], result["status"]) == ("0", "ok")
    category = result["answers"]["category"]
    assert sorted(category["labels"]) == sorted(LABELS)
    assert category["label"] == category["labels"][0]
    assert sum(category["scores"]) == pytest.approx(1, abs=1e-5)
    assert answer["model"]["name"] == str(model_folder)


def test_the_answer_is_all_of_standard_output(served: subprocess.CompletedProcess[str]) -> None:
    json.loads(served.stdout)


def test_a_document_is_in_no_log(served: subprocess.CompletedProcess[str]) -> None:
    # There is a log, and what it says of the job is not what the job says.
    assert "status=ok" in served.stderr and "loaded model=" in served.stderr
    assert CANARY not in served.stderr + served.stdout
    assert "Traceback" not in served.stderr


@pytest.mark.parametrize("words", [("--test_input",), ("--test_input", "FILE"), ()], ids=str)
def test_the_answer_to_a_job_in_a_file_ends_in_words(
    words: tuple[str, ...], model_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "my job.json").write_bytes(json.dumps({"input": JOB}).encode("utf-16"))
    done = run_words(model_folder, *(word.replace("FILE", str(tmp_path / "my job.json")) for word in words))
    assert done.returncode == 0, done.stderr
    category = json.loads(done.stdout)["results"][0]["answers"]["category"]
    assert sorted(category["labels"]) == sorted(LABELS) or "FILE" not in words
    assert done.stderr.splitlines()[-1].startswith(f"{category['label']}, {category['score']:.4f}; next: ")


@pytest.mark.parametrize(
    "value", ['["a"]', "5", "null", '"a"', '{"input": ', "no such file", json.dumps(JOB), "README.md"]
)
def test_what_is_no_job_is_one_line_and_the_run_fails(value: str) -> None:
    done = run_words("", "--test_input", value)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert CANARY not in done.stderr


def test_a_document_is_in_no_log_whatever_level_the_sdk_is_asked_for(model_folder: Path) -> None:
    """The answer of this shape holds the document, and the SDK would log both; a locale of ASCII changes nothing.

    The one run that starts as it really does, with no library imported: what one prints then would be found.
    """
    job = {"inputs": f"{CANARY} Straße 鍵", "parameters": {"candidate_labels": ["größer", "kleiner"]}}
    words = ("--test_input", json.dumps({"id": "ключ", "input": job}), "--rp_log_level", "DEBUG")
    ascii_alone: dict[str, Any] = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = run_words(model_folder, *words, **ascii_alone)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sequence"] == job["inputs"]
    assert CANARY not in done.stderr and "größer" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_field_is_named_and_the_run_fails(model_folder: Path) -> None:
    done = run_handler(model_folder, {"text": CANARY, "lables": LABELS}, PINPOINT_LOG_LEVEL="DEBUG")
    assert done.returncode == 1
    assert "lables" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert CANARY not in done.stdout + done.stderr


def test_a_model_that_is_not_there_is_said_in_one_line_and_the_run_fails(tmp_path: Path) -> None:
    done = run_handler(tmp_path / "no model", JOB)
    assert done.returncode == 1
    assert "model_not_found" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert CANARY not in done.stdout + done.stderr


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """The engine that every worker of the test gets."""
    fake = FakeEngine()
    monkeypatch.setattr(worker, "get_scorer", lambda settings: fake)
    return fake


def a_worker() -> Worker:
    return Worker(Settings(model_name="", device="cpu"))


MALFORMED: dict[str, Any] = {
    "no input": {"id": "1"},
    "null": {"id": "1", "input": None},
    "list": {"id": "1", "input": [JOB]},
    "string": {"id": "1", "input": "classify this"},
    "number": {"id": "1", "input": 4.5},
    "empty": {"id": "1", "input": {}},
    "no labels": {"id": "1", "input": {"text": CANARY}},
    "no document": {"id": "1", "input": {"labels": LABELS}},
    "one label": {"id": "1", "input": {**JOB, "labels": ["invoice"]}},
    "labels as text": {"id": "1", "input": {**JOB, "labels": "invoice, receipt"}},
    "unknown field": {"id": "1", "input": {**JOB, "temperature": 0.5}},
    "unknown option": {"id": "1", "input": {**JOB, "options": {"beams": 4}}},
    "keys that are no strings": {"id": "1", "input": {1: 2}},
    "not JSON": {"id": "1", "input": {**JOB, "labels": {"a", "b"}}},
    "infinite": {"id": "1", "input": {**JOB, "options": {"threshold": float("inf")}}},
    "half a character": {"id": "1", "input": {**JOB, "text": "\ud800"}},
    "id is no string": {"id": {"a": ["b"]}, "input": []},
    "no id": {"input": []},
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_job_gets_an_error_and_never_an_exception(name: str, engine: FakeEngine) -> None:
    answer = await a_worker().handle(MALFORMED[name])
    if name == "half a character":  # a bad document in a good request fails alone
        assert answer["results"][0]["error"]["code"] == "invalid_unicode"
        return
    assert list(answer) == ["error"]
    code, _, message = answer["error"].partition(": ")
    assert code.replace("_", "").isalpha() and code not in ("internal", "not_serialisable") and message
    assert CANARY not in answer["error"]
    assert engine.forests == []


async def test_a_good_job_is_answered_in_either_shape(engine: FakeEngine) -> None:
    answer = await a_worker().handle({"id": "1", "input": JOB})
    assert answer["results"][0]["status"] == "ok"
    assert answer["memory"]["allocated_gb"] == 0.0
    zero_shot = {"inputs": "Total due", "parameters": {"candidate_labels": LABELS}}
    answer = await a_worker().handle({"id": "1", "input": zero_shot})
    assert list(answer) == ["sequence", "labels", "scores"]
    assert len(engine.forests) == 2


async def test_one_empty_document_among_three_fails_alone(engine: FakeEngine) -> None:
    sent = [{"text": "Total due"}, {"id": "scan 2", "text": " \u200b"}, {"pages": ["Dear Sir", ""]}]
    answer = await a_worker().handle({"id": "1", "input": {"documents": sent, "labels": LABELS}})
    assert [result["status"] for result in answer["results"]] == ["ok", "error", "ok"]
    refused = answer["results"][1]
    assert (refused["id"], refused["error"]["code"], refused["error"]["field"]) == (
        "scan 2",
        "empty_text",
        "documents[1].text",
    )
    alone = await a_worker().handle({"id": "2", "input": {"documents": sent[1:2], "labels": LABELS}})
    assert alone == {"error": "empty_text: there is nothing to read in the text (documents[0].text)"}


async def test_a_single_candidate_label_is_scored_by_what_the_text_says(engine: FakeEngine) -> None:
    inputs = ["Total due", "Dear Sir", "The parcel never came"]
    raw = {"inputs": inputs, "parameters": {"candidate_labels": "refund"}}
    single = await a_worker().handle({"id": "1", "input": raw})
    many = {"candidate_labels": ["refund", "praise"], "multi_label": True}
    several = await a_worker().handle({"id": "2", "input": {"inputs": inputs, "parameters": many}})
    assert [answer["labels"] for answer in single] == [["refund"]] * 3
    assert len({answer["scores"][0] for answer in single}) == 3  # of a choice out of one, each would be 1
    for one, other in zip(single, several, strict=True):
        found = dict(zip(other["labels"], other["scores"], strict=True))
        assert one["scores"][0] == pytest.approx(found["refund"], abs=1e-6)


async def test_the_zero_shot_shape_tells_of_a_cut_text(engine: FakeEngine) -> None:
    engine.context_tokens = engine.token_budget = 2048
    raw = {"inputs": ["word " * 18_000, "short"], "parameters": {"candidate_labels": LABELS}}
    long, short = await a_worker().handle({"id": "1", "input": raw})
    (warning,) = long["warnings"]
    assert warning.startswith("the document was cut: ") and "warnings" not in short


async def test_our_own_mistake_is_told_without_what_the_job_said(
    engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.fails = [ValueError(f"cannot handle {CANARY}")]
    with caplog.at_level(logging.DEBUG):
        answer = await a_worker().handle({"id": "1", "input": JOB})
    assert answer["error"].startswith("internal: ")
    assert "type=ValueError" in caplog.text
    assert "fakes.py:" in caplog.text  # where it rose
    assert CANARY not in caplog.text + str(answer)


async def test_a_worker_answers_the_job_after_one_that_failed(engine: FakeEngine) -> None:
    one = a_worker()
    engine.fails = [RuntimeError("broken")]
    assert "error" in await one.handle({"id": "1", "input": JOB})
    assert (await one.handle({"id": "2", "input": JOB}))["results"][0]["status"] == "ok"


async def test_a_model_that_cannot_be_loaded_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def failing(settings: Settings) -> FakeEngine:
        tries.append(settings)
        raise ModelError("no_gpu", "none is visible", "PINPOINT_DEVICE")

    monkeypatch.setattr(worker, "get_scorer", failing)
    one = a_worker()
    for _ in range(2):
        answer = await one.handle({"id": "1", "input": JOB})
        assert answer == {"error": "no_gpu: none is visible (PINPOINT_DEVICE)"}
    assert len(tries) == 2


async def test_an_answer_too_large_for_the_platform_is_refused_by_name(engine: FakeEngine) -> None:
    small = Worker(Settings(model_name="", device="cpu", max_response_bytes=1000))
    answer = await small.handle({"id": "1", "input": {**JOB, "labels": [f"label {n}" for n in range(99)]}})
    assert answer["error"].startswith("response_too_large: ")


async def test_the_entry_makes_its_worker_on_the_first_job(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_NAME", raising=False)
    entry = Entry()
    assert "worker" not in vars(entry)
    assert (await entry({"id": "1", "input": JOB}))["results"][0]["status"] == "ok"
    assert entry.worker is entry.worker
