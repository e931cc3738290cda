"""A worker that teaches, on an engine of hashes: what it answers, what it keeps, and who does not wait for it."""

import asyncio
import importlib.util
import json
import pickle
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from pinpoint.decide.task_file import TaskFile
from pinpoint.evaluate.apart import taught
from pinpoint.serving import teaching
from pinpoint.serving import worker as worker_module
from pinpoint.serving.teaching import file_name
from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings
from tests.fakes import FakeEngine

LABELS = ["invoice", "receipt", "contract"]
TASK = {"labels": LABELS}
TEXTS = [f"letter {number * 7919 % 1000:03d} {number * 104729 % 99991:05d}" for number in range(120)]


@pytest.fixture(autouse=True)
def on_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(worker_module, "get_scorer", lambda settings: engine)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The fits here, in a thread; what they were given."""
    lessons = list[Any]()

    async def apart(content: bytes) -> bytes:
        lessons.append(pickle.loads(content))
        told = await asyncio.to_thread(taught, lessons[-1])
        return json.dumps(told).encode()

    monkeypatch.setattr(teaching, "_apart", apart)
    return lessons


def a_worker(folder: Path | None = None) -> Worker:
    worker = Worker(Settings(model_name="", device="cpu", tasks="" if folder is None else str(folder)))
    worker.load()
    return worker


def ask(worker: Worker, raw: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = asyncio.run(worker.handle({"input": raw}))
    return answer


def labelled(worker: Worker, texts: list[str] = TEXTS, **changes: Any) -> dict[str, Any]:
    """A lesson in which three of four documents have the label that the engine gives them."""
    raw = {"documents": [{"text": text} for text in texts], "labels": LABELS}
    best = [result["answers"]["category"]["label"] for result in ask(worker, raw)["results"]]
    documents = [
        {"text": text, "label": label if index % 4 else LABELS[index // 4 % 3]}
        for index, (text, label) in enumerate(zip(texts, best, strict=True))
    ]
    return {"teach": {"task": TASK, "documents": documents, **changes}}


def test_a_lesson_is_answered_by_a_task_file_that_the_next_worker_uses(tmp_path: Path, in_process: list[Any]) -> None:
    worker = a_worker(tmp_path)
    answer = ask(worker, labelled(worker, target_errors=[0.9], alphas=[0.5]))
    file = TaskFile.model_validate(answer["task_file"] | {"made": TaskFile.load(tmp_path / answer["kept"]).made})
    assert (file.examples + file.held_out, file.task, file.labels) == (120, "category", LABELS)
    assert answer["kept"] == file_name(file) and answer["kept"].startswith("category-")
    assert answer["not_kept"] is None and answer["failed"] == []
    assert answer["model"]["labels_sha"] == file.setup.labels_sha and answer["usage"]["prompt_tokens"] > 0
    # The worker that taught it answers as before; the next one uses it.
    asked = {"text": "letter", "labels": LABELS}
    assert ask(worker, asked)["results"][0]["answers"]["category"]["confidence"] is None
    again = ask(a_worker(tmp_path), asked)["results"][0]["answers"]["category"]
    assert again["confidence"] == again["score"]


def test_the_fits_are_given_what_the_model_measured(in_process: list[Any]) -> None:
    worker = a_worker()
    told = labelled(worker, task={**TASK, "mask": ["contract"]})
    for document in told["teach"]["documents"]:
        document["label"] = LABELS[int(document["text"][-1]) % 2]
    told["teach"]["documents"].insert(3, {"text": "\ud800", "label": "invoice"})
    answer = ask(worker, told)
    (lesson,) = in_process
    raw = {"documents": [{"text": text} for text in TEXTS], "labels": LABELS, "options": {"return_raw": True}}
    for measured, result in zip(lesson.log_probs, ask(worker, raw)["results"], strict=True):
        found = result["answers"]["category"]
        values = dict(zip(found["labels"], found["log_probs"], strict=True))
        assert measured == pytest.approx([values[label] for label in LABELS], abs=1e-6)
    assert lesson.texts == TEXTS and [LABELS[k] for k in lesson.right] == [LABELS[int(text[-1]) % 2] for text in TEXTS]
    assert answer["task_file"]["mask"] == [2]
    assert [one["error"]["code"] for one in answer["failed"]] == ["invalid_unicode"]
    assert "1 documents were refused as invalid_unicode and are left out" in answer["notes"]
    assert (answer["kept"], answer["not_kept"]) == (None, "the worker has no PINPOINT_TASKS")


def test_a_file_is_replaced_where_that_is_asked_for_and_another_s_never(tmp_path: Path, in_process: list[Any]) -> None:
    worker = a_worker(tmp_path)
    first = ask(worker, labelled(worker))
    assert first["kept"] is not None
    second = ask(worker, labelled(worker, TEXTS[:60]))
    assert (second["kept"], second["not_kept"]) == (None, f"{first['kept']} is there; send `replace`")
    third = ask(worker, labelled(worker, TEXTS[:60], replace=True))
    assert third["kept"] == first["kept"]
    assert TaskFile.load(tmp_path / third["kept"]).examples == 60
    (tmp_path / third["kept"]).rename(tmp_path / "by hand.json")
    other = a_worker(tmp_path)
    fourth = ask(other, labelled(other, replace=True))
    assert (fourth["kept"], fourth["not_kept"]) == (None, "by hand.json is for this task; remove it first")


def test_a_folder_that_cannot_be_written_costs_no_answer(tmp_path: Path, in_process: list[Any]) -> None:
    (tmp_path / "file").write_text("")
    worker = a_worker(tmp_path / "file")
    answer = ask(worker, labelled(worker))
    assert answer["task_file"]["examples"] == 120 and answer["kept"] is None
    assert answer["not_kept"].startswith("the task file cannot be written")


def test_a_volume_that_fails_costs_no_answer(
    tmp_path: Path, in_process: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = a_worker(tmp_path)
    told = labelled(worker)

    def fails(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", fails)
    answer = ask(worker, told)
    assert answer["kept"] is None and answer["not_kept"] == "the folder cannot be read: Permission denied"


def test_what_cannot_be_learned_is_refused_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = a_worker()
    told = labelled(worker)
    for documents, code in (
        (told["teach"]["documents"][:9], "too_few_documents"),
        ([{**one, "label": "invoice"} for one in told["teach"]["documents"]], "one_class"),
    ):
        passes = worker.told()["batches"]["done"]
        error = ask(worker, {"teach": {"task": TASK, "documents": documents}})["error"]
        assert error.startswith(f"{code}: ") and error.endswith("(documents)")
        assert worker.told()["batches"]["done"] == passes
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    error = ask(worker, told)["error"]
    assert error.startswith("not_supported: teaching needs scipy")
    assert "pip install -r requirements-evaluate.txt" in error


def test_the_fits_run_in_a_process_of_their_own_and_nobody_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    started, apart = asyncio.Event(), teaching._apart

    async def slow(content: bytes) -> bytes:
        started.set()
        return await apart(content)

    monkeypatch.setattr(teaching, "_apart", slow)
    worker = a_worker()
    told = labelled(worker)

    async def both() -> tuple[Any, bool, Any]:
        lesson = asyncio.create_task(worker.handle({"id": "lesson", "input": told}))
        await started.wait()
        other = await worker.handle({"id": "other", "input": {"text": "letter", "labels": LABELS}})
        return other, lesson.done(), await lesson

    other, ended, answer = asyncio.run(both())
    assert "results" in other and not ended
    assert answer["task_file"]["examples"] == 120 and [fit["name"] for fit in answer["task_file"]["fits"]]


def test_the_time_of_the_fits_is_part_of_the_lesson_s(monkeypatch: pytest.MonkeyPatch) -> None:
    apart, waited_s = teaching._apart, 0.3

    async def slow(content: bytes) -> bytes:
        await asyncio.sleep(waited_s)
        return await apart(content)

    monkeypatch.setattr(teaching, "_apart", slow)
    worker = a_worker()
    timing = ask(worker, labelled(worker))["timing"]
    assert timing["total_ms"] - timing["forward_ms"] >= waited_s * 1e3


def test_deployed_taxonomies_are_taught_by_name_those_with_groups_too(tmp_path: Path, in_process: list[Any]) -> None:
    folder = tmp_path / "taxonomies"
    folder.mkdir()
    flat, groups = {"labels": LABELS}, {"labels": [{"name": "bills", "children": LABELS[:2]}, LABELS[2]]}
    for name, taxonomy in (("flat", flat), ("groups", groups)):
        (folder / f"{name}.json").write_text(json.dumps(taxonomy))
    worker = Worker(Settings(model_name="", device="cpu", tasks=str(tmp_path), taxonomies=str(folder)))
    worker.load()
    answer = ask(worker, labelled(worker, task={"taxonomy": "flat"}))
    assert answer["task_file"]["labels"] == LABELS
    # The same labels by name are the same task.
    next_one = Worker(Settings(model_name="", device="cpu", tasks=str(tmp_path), taxonomies=str(folder)))
    next_one.load()
    for asked in ({"taxonomy": "flat"}, {"labels": LABELS}):
        (result,) = ask(next_one, {"text": "letter", **asked})["results"]
        assert result["answers"]["category"]["confidence"] is not None
    of_groups = labelled(worker, task={"taxonomy": "groups"}, target_errors=[0.9], back_off=0.0)
    answer = ask(worker, of_groups)
    assert (answer["task_file"]["labels"], answer["task_file"]["back_off"]) == (LABELS, 0.0)
    last_one = Worker(Settings(model_name="", device="cpu", tasks=str(tmp_path), taxonomies=str(folder)))
    last_one.load()
    options = {"back_off": 0.0, "target_error": 0.9}
    (result,) = ask(last_one, {"text": "letter", "taxonomy": "groups", "options": options})["results"]
    assert result["answers"]["category"]["certified"] is True
    # What is taught again is measured as the first time, whatever is in force.
    ask(last_one, of_groups)
    assert in_process[-1].log_probs == in_process[-2].log_probs


def test_task_files_count_where_a_job_arrives_while_the_server_loads(
    tmp_path: Path, in_process: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ask for the engine, each in a thread of its own; the files are read once."""
    worker = a_worker(tmp_path)
    ask(worker, labelled(worker))
    late, engine = threading.Barrier(2, timeout=10), FakeEngine()

    def slow(settings: Settings) -> FakeEngine:
        with suppress(threading.BrokenBarrierError):
            late.wait(0.3)
        return engine

    monkeypatch.setattr(worker_module, "get_scorer", slow)
    both = Worker(Settings(model_name="", device="cpu", tasks=str(tmp_path)))
    threads = [threading.Thread(target=both.load) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert both.tasks.refused == {} and len(both.told()["tasks"]["in_force"]) == 1


def test_sets_of_labels_are_taught(tmp_path: Path, in_process: list[Any]) -> None:
    worker = a_worker(tmp_path)
    task = {"labels": LABELS, "multi_label": True}
    told = {"task": task, "documents": [{"text": one, "label": LABELS[: k % 3]} for k, one in enumerate(TEXTS)]}
    answer = ask(worker, {"teach": told})
    assert answer["task_file"]["sets"] is True and answer["kept"]
    assert all(mass == pytest.approx(1, abs=1) and mass != 1 for mass in in_process[0].masses)
    (result,) = ask(a_worker(tmp_path), {"text": "letter", "tasks": {"category": task}})["results"]
    found = result["answers"]["category"]
    assert found["confidence"] is not None
    assert found["chosen"] == [one for one, score in zip(found["labels"], found["scores"], strict=True) if score >= 0.5]


def test_a_lesson_that_is_given_up_ends_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "_START", "import sys, time; sys.stdin.read(); time.sleep(600) # {path}")
    worker = a_worker()
    told = labelled(worker)

    async def given_up() -> int:
        lesson = asyncio.create_task(
            worker.handle({"id": "lesson", "input": told, "policy": {"executionTimeout": 1500}})
        )
        answer = await lesson
        assert answer["error"].startswith("deadline_exceeded")
        return len([one for one in asyncio.all_tasks() if one is not asyncio.current_task()])

    asyncio.run(given_up())
    assert [one for one in psutil.Process().children() if "time.sleep(600)" in " ".join(one.cmdline())] == []


def test_a_fault_of_a_fit_is_told_by_its_place_alone(
    in_process: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = json.dumps({"fault": "type=ZeroDivisionError at=fits.py:7"})

    async def apart(content: bytes) -> bytes:
        return told.encode()

    monkeypatch.setattr(teaching, "_apart", apart)
    worker = a_worker()
    assert ask(worker, labelled(worker))["error"].startswith("internal: ")
    assert "teaching failed type=ZeroDivisionError at=fits.py:7" in caplog.text


def test_copies_of_a_few_documents_teach_nothing(in_process: list[Any]) -> None:
    worker = a_worker()
    documents = [{"text": TEXTS[n % 5], "label": LABELS[n % 5 % 3]} for n in range(30)]
    error = ask(worker, {"teach": {"task": TASK, "documents": documents}})["error"]
    assert error.startswith(
        "too_few_documents: 30 labelled documents, of which 5 differ from each other; 10 are needed"
    )


def test_a_process_that_fails_is_a_fault_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "_START", "raise SystemExit(3) # {path}")
    worker = a_worker()
    assert ask(worker, labelled(worker))["error"].startswith("internal: ")
