"""`python -m pinpoint teach`: what it takes, what it writes, and what it says of data that teaches nothing."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pinpoint.api.request import Options, parse_request
from pinpoint.cli import app
from pinpoint.cli.labelled import read_labelled
from pinpoint.cli.question_file import built, read_question
from pinpoint.cli.raw_scores import Raw, measure
from pinpoint.decide.task_file import TaskFile
from pinpoint.decide.trust import Taught, standing
from pinpoint.engine.readings import STATE_FLOATS
from pinpoint.errors import PinpointError
from pinpoint.pipeline.classify import classify
from pinpoint.prompting.taxonomy import labels_sha
from pinpoint.serving import model
from pinpoint.serving.task_files import TaskFiles
from tests.fakes import FakeEngine

LABELS = ["invoice", "receipt", "contract"]
ROWS = [{"text": f"document {number} of a kind", "label": LABELS[number % 3]} for number in range(24)]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(model, "get_scorer", lambda settings: fake)
    return fake


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Any, str], Path]:
    def write(content: Any, name: str = "data.jsonl") -> Path:
        file = tmp_path / name
        rows = content if isinstance(content, str) else "".join(json.dumps(row) + "\n" for row in content)
        file.write_text(rows, encoding="utf-8")
        return file

    return write


def run(data: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["teach", str(data), "--out", str(data.with_name("task.json")), *words])


def refused(result: Result) -> str:
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    return line


def test_it_writes_a_task_file_for_what_measured(engine: FakeEngine, save: Callable[..., Path]) -> None:
    data = save(ROWS)
    result = run(data, "--labels", ",".join(LABELS), "--target-error", "0.02", "--alpha", "0.2")
    assert result.exit_code == 0, result.output
    file = TaskFile.load(data.with_name("task.json"))
    assert (file.labels, file.examples + file.held_out, file.setup.engine[-4:]) == (LABELS, 24, "cuda")
    assert file.setup.labels_sha == engine.info(file.setup.labels_sha).labels_sha
    assert [fit.name for fit in file.fits] == ["temperature", "offsets", "state", "head"]
    assert "114 held-out documents" in " ".join(result.stdout.split())
    assert "offered, not on: --label-free batch" in result.stdout


ASKED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a choice": ({"labels": LABELS}, LABELS),
    "with descriptions, mask and prior": (
        {"name": "kind", "instructions": "Read.", "mask": ["c"], "prior": {"a": 1, "b": 3, "d": 1},
         "labels": [{"id": one, "name": f"name {one}", "description": "What it is."} for one in "abcd"]},
        ["a", "name b", "d"],
    ),
    "with a label for none": ({"labels": LABELS[:2], "other": "none of these"}, [*LABELS[:2], "none of these"]),
    "yes or no": ({"type": "yes_no", "instructions": "Is it paid?"}, ["yes", "no"]),
    "levels": ({"type": "score", "levels": ["low", "middle", "high"], "instructions": "How urgent?"},
               ["low", "middle", "high"]),
}  # fmt: skip


@pytest.mark.parametrize(("question", "labels"), ASKED.values(), ids=ASKED)
def test_what_it_writes_counts_for_the_same_question(
    engine: FakeEngine, save: Callable[..., Path], question: dict[str, Any], labels: list[str]
) -> None:
    asked = save(json.dumps(question), "question.json")
    data = save([{"text": f"text {number}", "label": labels[number % len(labels)]} for number in range(24)])
    result = run(data, "--task", str(asked))
    assert result.exit_code == 0, result.output
    file = TaskFile.load(data.with_name("task.json"))
    name, fields = read_question(asked, None, None)
    task = built(name, fields)
    assert file.setup.labels_sha == labels_sha(task)
    taught = Taught(file)
    assert standing(task, Options(), taught) is taught


def test_scores_are_those_of_the_request_in_the_order_of_its_labels(engine: FakeEngine) -> None:
    texts = [str(row["text"]) for row in ROWS[:3]]
    [first, *_] = measure("kind", {"labels": LABELS}, texts, engine)
    turned = measure(
        "kind", {"labels": LABELS, "mask": ["invoice"], "prior": {"receipt": 1, "contract": 9}}, texts, engine
    )
    assert turned[0] == first
    assert isinstance(first, Raw) and len(first.log_probs) == 3 and len(set(first.log_probs)) == 3
    assert len(first.state) == STATE_FLOATS


def test_of_a_tree_mask_and_prior_are_in_what_is_measured(engine: FakeEngine) -> None:
    """They act at each of its questions; a masked label is one that the file does not know."""
    tree: dict[str, Any] = {"labels": [{"name": "money", "children": ["bill", "receipt"]}, "letter", "will"]}
    (plain,), (weighed,) = (
        measure("kind", tree | more, ["a"], engine)
        for more in ({}, {"mask": ["will"], "prior": {"money": 99, "letter": 1}})
    )
    assert isinstance(plain, Raw) and isinstance(weighed, Raw)
    assert sum(map(math.exp, plain.log_probs)) == pytest.approx(1) == sum(map(math.exp, weighed.log_probs))
    assert weighed.log_probs[3] == -math.inf < plain.log_probs[3]
    assert weighed.log_probs[0] - weighed.log_probs[2] == pytest.approx(
        plain.log_probs[0] - plain.log_probs[2] + math.log(99)
    )


def test_a_document_that_is_refused_is_left_out_with_its_count(engine: FakeEngine, save: Callable[..., Path]) -> None:
    data = save([*ROWS, {"text": " ", "label": "invoice"}])
    result = run(data, "--labels", ",".join(LABELS))
    assert "1 documents were refused as empty_text" in result.stdout
    assert TaskFile.load(data.with_name("task.json")).examples == 24


def test_documents_that_are_files_teach_what_their_texts_teach(
    engine: FakeEngine, save: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINPOINT_OCR", "off")
    labels = ("--labels", ",".join(LABELS))
    assert run(save(ROWS), *labels).exit_code == 0
    expected = TaskFile.load(tmp_path / "task.json")
    folder = tmp_path / "inbox"
    for number, row in enumerate(sorted(ROWS, key=lambda row: row["label"])):
        (folder / row["label"]).mkdir(parents=True, exist_ok=True)
        (folder / row["label"] / f"{number:02}.txt").write_text(row["text"], encoding="utf-8")
    (folder / "invoice" / "damaged.pdf").write_bytes(b"%PDF-1.7 and no more")
    assert "1 documents were refused as file_damaged" in (told := run(folder, *labels).stdout), told
    by_folder = TaskFile.load(tmp_path / "task.json")
    assert by_folder.examples == expected.examples == 24
    assert by_folder.figures is not None and expected.figures is not None
    assert by_folder.figures.before.nll == pytest.approx(expected.figures.before.nll)
    table = [
        ["file", "label"],
        *([f"inbox/{path.relative_to(folder)}", path.parent.name] for path in folder.rglob("*.txt")),
    ]
    assert run(save("".join(",".join(row) + "\n" for row in table), "files.csv"), *labels).exit_code == 0
    by_table = TaskFile.load(tmp_path / "task.json")
    assert by_table.figures is not None and by_table.figures.before.nll == pytest.approx(expected.figures.before.nll)
    assert refused(run(folder, *labels, "--multi-label")).startswith("not_supported: a folder for each label")
    (folder / "reciept").mkdir()
    (folder / "reciept" / "a.txt").write_text("x", encoding="utf-8")
    assert "1 of 26 documents have a label that the task lacks: 'reciept' (1)" in refused(run(folder, *labels))


def test_data_that_nothing_can_be_learned_from_is_refused_before_a_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch, save: Callable[..., Path]
) -> None:
    monkeypatch.setattr(model, "get_scorer", None)
    labels = ("--labels", ",".join(LABELS))
    odd = [{"text": "x", "label": "reciept"}, {"text": "y", "label": "lease"}, {"text": "z", "label": "reciept"}]
    assert "unknown_label: 3 of 27" in refused(run(save([*ROWS, *odd]), *labels))
    assert "'reciept' (2), 'lease' (1)" in refused(run(save([*ROWS, *odd]), *labels))
    assert refused(run(save(ROWS[:9]), *labels)).startswith("too_few_documents")
    assert refused(run(save([ROWS[0]] * 12), *labels)).startswith("one_class: all 12")
    assert refused(run(save([*ROWS, {"text": "x"}]), *labels)).startswith("invalid_line: line 25")
    assert refused(run(save([*ROWS, {"text": "x"}]), *labels, "--label-free", "batch")).startswith(
        "invalid_line: line 25: 1 of 25"
    )
    assert refused(run(save(""), *labels)).startswith("invalid_line: there is no document")
    assert refused(run(save(ROWS), *labels, "--target-error", "2")).startswith("out_of_range")
    assert refused(run(save(ROWS))).startswith("missing_field")
    several = (*labels, "--multi-label")
    assert refused(run(save([*ROWS, {"text": "x", "label": 5}]), *several)).startswith("invalid_line: line 25")
    assert refused(run(save([*ROWS, {"text": "x", "label": ["a", "b"]}]), *several)).startswith(
        "unknown_label: 1 of 25"
    )
    alike = [{**row, "label": ["invoice"]} for row in ROWS]
    assert refused(run(save(alike), *several)).startswith("one_class: all 24")
    assert refused(run(save(ROWS), *several, "--label-free", "batch")).startswith("not_supported")
    assert refused(run(save(ROWS), "--labels", "invoice")).startswith("too_few_labels")
    masked = save('{"labels": ["invoice", "receipt", "contract"], "mask": ["contract"]}', "masked.json")
    assert refused(run(save(ROWS), "--task", str(masked))).startswith("unknown_label: 8 of 24 documents have a label")


def test_where_no_document_can_be_read_that_is_told(engine: FakeEngine, save: Callable[..., Path]) -> None:
    blank = [{**row, "text": " "} for row in ROWS]
    assert refused(run(save(blank), "--labels", ",".join(LABELS))).startswith("too_few_documents")
    unlabelled = [{"text": " "}] * 3
    result = run(save(unlabelled), "--labels", ",".join(LABELS), "--label-free", "batch")
    assert refused(result).startswith("too_few_documents: none of 3 documents")


def test_a_promise_that_cannot_be_kept_is_told_before_a_document_is_scored(
    monkeypatch: pytest.MonkeyPatch, save: Callable[..., Path]
) -> None:
    def scored(settings: object) -> None:
        raise PinpointError("out_of_memory", "no model")

    monkeypatch.setattr(model, "get_scorer", scored)
    result = run(save(ROWS), "--labels", ",".join(LABELS), "--target-error", "0.01")
    first, second = result.stderr.splitlines()
    assert first.startswith("note: at most 1.0% wrong cannot be promised: 230 held-out documents")
    assert second.startswith("out_of_memory")


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, save: Callable[..., Path]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install -r requirements-evaluate.txt" in refused(run(save(ROWS), "--labels", "a,b"))


def test_documents_without_labels_take_a_correction_alone(engine: FakeEngine, save: Callable[..., Path]) -> None:
    data = save([{"text": row["text"]} for row in ROWS])
    result = run(data, "--labels", ",".join(LABELS), "--label-free", "content-free")
    assert result.exit_code == 0, result.output
    assert "`confidence` stays null" in result.stdout
    assert TaskFile.load(data.with_name("task.json")).fitted.offsets is not None


QUESTIONS = {
    "a list": ('["a", "b"]', "q.json", ("category", {"labels": ["a", "b"]})),
    "the short form": ('{"labels": ["a", "b"], "mask": ["a"]}', "q.json",
                       ("category", {"labels": ["a", "b"], "mask": ["a"]})),
    "with a name": ('{"name": "kind", "labels": ["a", "b"]}', "q.json", ("kind", {"labels": ["a", "b"]})),
    "tasks": ('{"tasks": {"kind": {"labels": ["a", "b"]}}}', "q.json", ("kind", {"labels": ["a", "b"]})),
    "YAML": ("name: kind\nlabels:\n  - a\n  - {name: b, description: B}\n", "q.yaml",
             ("kind", {"labels": ["a", {"name": "b", "description": "B"}]})),
}  # fmt: skip


@pytest.mark.parametrize(("text", "name", "expected"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_is_read_as_it_stands_in_a_request(
    save: Callable[..., Path], text: str, name: str, expected: tuple[str, dict[str, Any]]
) -> None:
    assert read_question(save(text, name), None, None) == expected
    found, fields = read_question(save(text, name), None, "Read.")
    assert (found, fields) == (expected[0], expected[1] | {"instructions": "Read."})


@pytest.mark.parametrize(
    ("text", "name"),
    [("{", "q.json"), ("a: [", "q.yaml"), ("3", "q.json"), ('{"tasks": {}}', "q.json"), ('{"name": 3}', "q.json")],
)
def test_what_is_no_question_is_refused(save: Callable[..., Path], text: str, name: str) -> None:
    with pytest.raises(PinpointError, match=r"\(task\)$"):
        read_question(save(text, name), None, None)


def test_documents_with_several_labels_are_read_in_each_of_their_forms(
    engine: FakeEngine, save: Callable[..., Path]
) -> None:
    task = built("category", {"labels": ["invoice", "receipt; paid", "contract"], "multi_label": True})
    rows = [
        {"text": "a", "label": ["invoice", "Contract", "invoice"]}, {"text": "b", "label": []},
        {"text": "c", "labels": ["contract"]}, {"text": "d", "label": "receipt; paid"},
    ]  # fmt: skip
    assert read_labelled(save(rows), None, task).right == [(0, 2), (), (2,), (1,)]
    table = 'text;label\n"one; two";invoice | CONTRACT\nx;\ny;receipt; paid\nz;"invoice,contract"\n'
    with pytest.raises(PinpointError, match="3 columns"):
        read_labelled(save(table, "wrong.csv"), None, task)
    table = table.replace("y;receipt; paid", 'y;"Receipt;  paid"')
    assert read_labelled(save(table, "data.csv"), None, task).right == [(0, 2), (), (1,), (0, 2)]


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"labels": LABELS, "multi_label": True}, lambda n: LABELS[: n % 3]),
        ({"labels": [{"name": "paid", "children": LABELS[:2]}, "contract"]}, lambda n: LABELS[n % 3]),
    ],
)
def test_sets_and_trees_are_taught_and_answered_by_their_file(
    engine: FakeEngine, save: Callable[..., Path], fields: dict[str, Any], label: Callable[[int], Any]
) -> None:
    rows = [{"text": f"document {number} of a kind", "label": label(number)} for number in range(110)]
    result = run(save(rows), "--task", str(save(json.dumps(fields), "task.json")), "--target-error", "0.9")
    assert result.exit_code == 0, result.output
    folder = save("", "x").parent / "tasks"
    folder.mkdir()
    (save("", "x").parent / "task.json").rename(folder / "task.json")
    files = TaskFiles(folder)
    files.load(engine)
    assert files.refused == {}
    request = parse_request({"text": "a letter", "tasks": {"category": fields}, "options": {"target_error": 0.9}})
    response, _ = classify(request, engine, files.find)
    answer = json.loads(json.dumps(response.results[0].to_wire()))["answers"]["category"]
    assert answer["confidence"] is not None and answer["calibration"]
    assert answer["certified"] is True and answer["certified_why"] is None
