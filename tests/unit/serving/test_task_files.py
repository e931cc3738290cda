"""A worker with a folder of task files, on an engine of hashes: what is in force, what is refused, and what is said."""

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from pinpoint.decide.task_file import TaskFile
from pinpoint.serving import task_files
from pinpoint.serving import worker as worker_module
from pinpoint.serving.http.exposition import Exposition
from pinpoint.serving.http.gate import Gate
from pinpoint.serving.watch.drift import WINDOW
from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings
from tests.fakes import FakeEngine
from tests.task_files import task_file, task_of

LABELS = ["invoice", "receipt", "contract"]
TASK = task_of({"labels": LABELS})
ENGINE = FakeEngine(bounds=True)
FILE = task_file(ENGINE, TASK)


@pytest.fixture(autouse=True)
def on_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "get_scorer", lambda settings: ENGINE)


def a_worker(folder: Path, **files: TaskFile | str) -> Worker:
    """A worker that was given these files, its model loaded."""
    for name, file in files.items():
        if isinstance(file, TaskFile):
            file.save(folder / f"{name}.json")
        else:
            (folder / f"{name}.json").write_text(file, encoding="utf-8")
    worker = Worker(Settings(model_name="", device="cpu", tasks=str(folder)))
    worker.load()
    return worker


def ask(worker: Worker, *texts: str, **request: Any) -> list[dict[str, Any]]:
    raw = {"documents": [{"text": text} for text in texts or ["letter"]], "labels": LABELS, **request}
    answer = asyncio.run(worker.handle({"input": raw}))
    assert "results" in answer, answer
    return [result["answers"]["category"] for result in answer["results"]]


def refused(worker: Worker) -> dict[str, str]:
    return {one["file"]: one["reason"] for one in worker.told()["tasks"]["refused"]}


def test_a_job_of_the_taught_task_has_a_confidence_and_others_have_none(tmp_path: Path) -> None:
    worker = a_worker(tmp_path, category=FILE)
    (told,) = worker.told()["tasks"]["in_force"]
    assert (told["file"], told["examples"], told["made"]) == ("category.json", 200, "2026-11-28")
    (answer,) = ask(worker, options={"target_error": 0.05, "alpha": 0.1})
    assert answer["confidence"] == answer["score"] and answer["calibration"] == told["calibration"]
    assert answer["certified"] == (answer["confidence"] >= 0.5) and "prediction_set" in answer
    # Every label is computed where a task file may lift any, though the engine would leave some at their bounds.
    assert "bounded_labels" not in answer and ENGINE.forests[-1].asks[-1].exact_best is None
    for other in ({"labels": [*LABELS, "letter"]}, {"options": {"long_document": "pages"}}):
        (answer,) = ask(worker, **other)
        assert answer["confidence"] is None and "calibration" not in answer


def test_another_format_has_no_place_for_it_and_its_scores_stay(tmp_path: Path) -> None:
    task = task_of({"labels": LABELS}, name="labels")
    worker, plain = a_worker(tmp_path, category=FILE, labels=task_file(ENGINE, task)), Worker(Settings(device="cpu"))
    raw = {"input": {"inputs": "letter", "parameters": {"candidate_labels": LABELS}}}
    assert asyncio.run(worker.handle(raw)) == asyncio.run(plain.handle(raw))


MISMATCHES: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"model": "other/model"}, "model is fake, taught with other/model"),
    "revision": ({"revision": "old"}, "revision is local, taught with old"),
    "precision": ({"precision": "bf16"}, "precision is int8, taught with bf16"),
    "prompt": ({"prompt_version": 1}, "prompt_version is 3, taught with 1"),
    "build": ({"engine": "pinpoint-0 cuda"}, "taught with pinpoint-0 cuda"),
}


@pytest.mark.parametrize(("change", "why"), MISMATCHES.values(), ids=MISMATCHES)
def test_a_file_of_another_set_up_is_refused_and_said(
    change: dict[str, Any], why: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    setup = FILE.setup.model_copy(update=change)
    with caplog.at_level(logging.WARNING, "pinpoint"):
        worker = a_worker(tmp_path, category=FILE.model_copy(update={"setup": setup}))
    assert why in refused(worker)["category.json"] and why in caplog.text
    assert refused(worker)["category.json"].startswith("task_mismatch: ")
    worker.health.look(worker.metrics.vital_signs())
    assert not worker.health.verdict.healthy and why in worker.health.verdict.reasons["task_files_refused"]
    (answer,) = ask(worker, options={"target_error": 0.05})
    assert (answer["confidence"], answer["certified_why"], answer["decision"]) == (None, "task_file_refused", "review")


def test_a_damaged_file_is_refused_and_its_neighbour_counts(tmp_path: Path) -> None:
    cut = FILE.model_dump_json()[:300]
    lists = json.loads(FILE.model_dump_json()) | {"labels": ["invoice"]}
    (tmp_path / "notes.txt").write_text("not one of ours")
    (tmp_path / ".hidden.json").write_text("half written")
    os.mkfifo(tmp_path / "endless.json")
    worker = a_worker(tmp_path, whole=FILE, cut=cut, lists=json.dumps(lists), empty="")
    assert refused(worker).keys() == {"cut.json", "lists.json", "empty.json"}
    for why in refused(worker).values():
        assert why.startswith("invalid_task_file: ") and "is no task file that can be used" in why
    assert ask(worker)[0]["confidence"] is not None


def test_of_two_files_for_one_task_neither_counts(tmp_path: Path) -> None:
    other = FILE.model_copy(update={"examples": 999})
    worker = a_worker(tmp_path, a=FILE, b=other, c=FILE)
    assert refused(worker).keys() == {"a.json", "b.json", "c.json"} and worker.told()["tasks"]["in_force"] == []
    assert ask(worker)[0]["confidence"] is None


def test_files_of_several_models_may_lie_in_one_folder(tmp_path: Path) -> None:
    elsewhere = FILE.model_copy(update={"setup": FILE.setup.model_copy(update={"model": "other/model"})})
    worker = a_worker(tmp_path, a_elsewhere=elsewhere, here=FILE, other_elsewhere=elsewhere)
    assert refused(worker).keys() == {"a_elsewhere.json", "other_elsewhere.json"}
    assert ask(worker)[0]["confidence"] is not None


def test_files_beyond_the_most_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_files, "MAX_FILES", 1)
    worker = a_worker(tmp_path, a=FILE, b=task_file(ENGINE, task_of({"labels": LABELS[:2]})))
    assert refused(worker) == {"b.json": "more than 1 files"}
    assert [one["file"] for one in worker.told()["tasks"]["in_force"]] == ["a.json"]


def test_a_folder_that_is_not_there_is_said_and_the_worker_serves(tmp_path: Path) -> None:
    worker = a_worker(tmp_path / "nowhere")
    assert refused(worker) == {"nowhere": "the folder cannot be read: No such file or directory"}
    assert ask(worker)[0]["confidence"] is None


def test_without_a_folder_nothing_is_told() -> None:
    worker = Worker(Settings(model_name="", device="cpu"))
    worker.load()
    assert "tasks" not in worker.told() and worker.tasks.reasons == {}
    assert ask(worker, options={"target_error": 0.05})[0]["certified_why"] == "no_task_file"


def test_drift_is_a_warning_in_log_health_and_metrics_and_changes_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reference = FILE.reference
    assert reference is not None
    # No example was ever answered by the first label; the hashes answer by all three.
    seldom = reference.model_copy(update={"label_distribution": [0.0, 0.5, 0.5]})
    worker = a_worker(tmp_path, category=FILE.model_copy(update={"reference": seldom}))
    texts = [f"letter no. {number}" for number in range(WINDOW)]
    with caplog.at_level(logging.WARNING, "pinpoint"):
        before = ask(worker, *texts[:-1])
        assert "drifts" not in caplog.text
        ask(worker, texts[-1])
    assert "task_file=category.json status=drifts" in caplog.text and "labels" in caplog.text
    assert not any(text in caplog.text for text in ("letter no.", *LABELS))
    worker.health.look(worker.metrics.vital_signs())
    assert "category.json: labels" in worker.health.verdict.reasons["task_drift"]
    (told,) = worker.told()["tasks"]["in_force"]
    assert told["answers"] == WINDOW and told["drift"]["labels"]["drifts"]
    shown = Exposition(worker, Gate("", 1, 1)).text().decode()
    assert 'pinpoint_task_files{state="in_force"} 1.0' in shown
    assert f'pinpoint_task_answers_total{{file="category.json"}} {WINDOW:.1f}' in shown
    assert 'pinpoint_task_drifting{figure="labels",file="category.json"} 1.0' in shown
    assert ask(worker, *texts[:5]) == before[:5]
