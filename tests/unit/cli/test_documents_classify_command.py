"""`python -m pinpoint classify`: which files documents are read from, and what is printed of them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pinpoint.cli import app
from pinpoint.cli.classify_here import found_files
from pinpoint.errors import PinpointError
from pinpoint.serving import model
from tests import file_makers as make
from tests.fakes import FakeEngine
from tests.task_files import task_file, task_of


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(model, "get_scorer", lambda settings: fake)
    monkeypatch.setenv("PINPOINT_OCR", "off")
    return fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.pdf").write_bytes(make.text_pdf(["Invoice 7"]))
    (tmp_path / "in" / "b.eml").write_bytes(make.mail(attachments=[("c.txt", "text/plain", b"words")]))
    (tmp_path / "in" / "deep" / "=c.txt").write_bytes(b"Receipt 12")
    (tmp_path / "in" / "locked.pdf").write_bytes(make.locked_pdf())
    (tmp_path / "in" / ".hidden").write_bytes(b"no")
    return tmp_path / "in"


def run(*words: str, labels: str = "invoice,receipt") -> Result:
    return CliRunner().invoke(app, ["classify", *words, "--labels", labels])


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_documents_of_a_folder_are_classified_and_one_that_cannot_be_read_is_said(folder: Path) -> None:
    result = run(str(folder), "--json")
    assert result.exit_code == 1, result.output
    found = {Path(line["file"]).name: line for line in lines(result)}
    assert list(found) == ["a.pdf", "b.eml", "=c.txt", "locked.pdf"]
    assert found["a.pdf"]["status"] == "ok" and found["a.pdf"]["input"]["type"] == "pdf"
    assert set(found["a.pdf"]["answers"]["category"]["labels"]) == {"invoice", "receipt"}
    assert found["locked.pdf"]["error"]["code"] == "pdf_encrypted"


def test_documents_table_and_csv(folder: Path) -> None:
    table = run(str(folder / "a.pdf"), str(folder / "locked.pdf")).stdout
    assert "a.pdf" in table and "pdf_encrypted" in table
    rows = list(csv.DictReader(io.StringIO(run(str(folder), "--csv").stdout)))
    assert [row["type"] for row in rows] == ["pdf", "eml", "text", ""]
    assert rows[3]["error"].startswith("pdf_encrypted: ") and rows[0]["label"] in ("invoice", "receipt")
    names = [row["file"] for row in csv.DictReader(io.StringIO(run(str(folder / "deep"), "--csv").stdout))]
    assert names == [str(folder / "deep" / "=c.txt")]


def test_documents_csv_holds_no_formulas(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "deep")
    result = run("=c.txt", "--csv")
    assert result.exit_code == 0
    assert next(csv.DictReader(io.StringIO(result.stdout)))["file"] == "'=c.txt"


def test_documents_of_a_packet_have_lines_of_their_own(folder: Path) -> None:
    packet = folder / "packet.pdf"
    packet.write_bytes(make.text_pdf([f"page {number} of a document" for number in range(5)]))
    (line,) = lines(run(str(packet), "--json", "--split"))
    found = [one["pages"] for one in line["segments"]]
    rows = list(csv.DictReader(io.StringIO(run(str(packet), "--csv", "--split").stdout)))
    assert [row["pages"] for row in rows] == [f"{first + 1}-{last + 1}" for first, last in found]
    assert [row["label"] for row in rows] == [one["answers"]["category"]["label"] for one in line["segments"]]
    assert next(csv.DictReader(io.StringIO(run(str(packet), "--csv").stdout)))["pages"] == "5"


def test_documents_of_attachments_have_rows_of_their_own(folder: Path) -> None:
    result = run(str(folder / "b.eml"), "--json", "--attachments", "documents")
    assert [line["file"].removeprefix(str(folder)) for line in lines(result)] == ["/b.eml", "/b.eml/1"]
    assert lines(result)[1]["input"]["attachment"] == "c.txt"


def test_documents_of_many_files_are_read_in_several_jobs_in_order(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number:02}.txt").write_text(f"Invoice {number}")
    result = run(str(tmp_path), "--json")
    assert result.exit_code == 0
    assert [Path(line["file"]).name for line in lines(result)] == [f"{number:02}.txt" for number in range(40)]


def test_documents_files_are_found_once(folder: Path) -> None:
    assert found_files([str(folder / "*.pdf"), str(folder / "a.pdf")]) == [folder / "a.pdf", folder / "locked.pdf"]
    assert found_files([str(folder / "**" / "*.txt")]) == [folder / "deep" / "=c.txt"]
    for name in (str(folder / "nothing.pdf"), str(folder / "*.docx"), "\0"):
        with pytest.raises(PinpointError) as caught:
            found_files([name])
        assert caught.value.code == "unreadable_file"


@pytest.mark.parametrize(
    ("words", "labels", "said"),
    [
        (("no such file",), "a,b", "unreadable_file"),
        (("{folder}",), "a", "too_few_labels"),
        (("{folder}",), "a,A", "duplicate_label"),
        (("{folder}", "--threshold", "2"), "a,b", "out_of_range"),
        (("{folder}", "--attachments", "all"), "a,b", "out_of_range"),
        (("{folder}", "--json", "--csv"), "a,b", "conflicting_fields"),
    ],
)
def test_documents_questions_that_cannot_be_asked(folder: Path, words: tuple[str, ...], labels: str, said: str) -> None:
    result = run(*(word.format(folder=folder) for word in words), labels=labels)
    assert result.exit_code == 1 and result.stderr.startswith(f"{said}: ")


def test_documents_file_too_large_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINPOINT_MAX_FILE_BYTES", "1000")
    (folder / "deep" / "large.txt").write_bytes(b"x" * 1001)
    (line,) = lines(run(str(folder / "deep" / "large.txt"), "--json"))
    assert line["error"]["code"] == "file_too_large"


def test_documents_are_classified_by_a_taxonomy_s_name_or_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Invoice 7", encoding="utf-8")
    file = tmp_path / "own.yaml"
    file.write_text("labels: [invoice, receipt, other]", encoding="utf-8")
    edited = tmp_path / "business-documents.yaml"  # has the name of the one that is deployed
    edited.write_bytes(file.read_bytes())

    def asked(*words: str) -> Result:
        return CliRunner().invoke(app, ["classify", str(tmp_path / "a.txt"), *words])

    [line] = lines(asked("--taxonomy", "business-documents", "--json"))
    assert len(line["answers"]["category"]["labels"]) == 217
    [line] = lines(asked("--taxonomy", str(file), "--json"))
    assert sorted(line["answers"]["category"]["labels"]) == ["invoice", "other", "receipt"]
    for words, said in (
        (("--taxonomy", "nobody"), "unknown_taxonomy"),
        ((), "one of --labels, --taxonomy and --task"),
        (("--taxonomy", "business-documents", "--labels", "a,b"), "one of --labels, --taxonomy and --task"),
        (("--taxonomy", str(file), "--out", str(tmp_path / "out.jsonl")), "deploy the file"),
        (("--taxonomy", str(edited), "--out", str(tmp_path / "out.jsonl")), "deploy the file"),
    ):
        refused = asked(*words)
        assert refused.exit_code == 1 and said in refused.output


def test_documents_have_several_labels_where_the_question_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Invoice 7", encoding="utf-8")
    question = tmp_path / "kinds.yaml"
    question.write_text("name: kinds\nlabels: [invoice, receipt]\nmulti_label: true\n", encoding="utf-8")

    def asked(*words: str) -> Result:
        return CliRunner().invoke(app, ["classify", str(tmp_path / "a.txt"), *words])

    [by_labels] = lines(asked("--labels", "invoice,receipt", "--multi-label", "--json"))
    [by_task] = lines(asked("--task", str(question), "--json"))
    answer = by_labels["answers"]["category"]
    assert by_task["answers"]["kinds"]["scores"] == answer["scores"]
    members = [one for one, score in zip(answer["labels"], answer["scores"], strict=True) if score >= 0.5]
    assert answer["chosen"] == members
    [row] = csv.DictReader(io.StringIO(asked("--task", str(question), "--csv").stdout))
    assert row["label"] == " | ".join(members)
    for words in (("--multi-label",), ("--task", str(question), "--multi-label")):
        assert asked(*words).exit_code == 1


def test_labels_are_read_first_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Invoice 7", encoding="utf-8")
    question = tmp_path / "kinds.yaml"
    question.write_text("labels: [invoice, receipt]\nlabels_first: true\n", encoding="utf-8")

    def asked(*words: str) -> Result:
        return CliRunner().invoke(app, ["classify", str(tmp_path / "a.txt"), *words, "--json"])

    [first], [by_task], [usual] = (
        lines(asked(*words))
        for words in (("--labels", "invoice,receipt", "--labels-first"), ("--task", str(question)),
                      ("--labels", "invoice,receipt"))
    )  # fmt: skip
    assert first["answers"] == by_task["answers"] != usual["answers"]
    refused = asked("--task", str(question), "--labels-first")
    assert refused.exit_code == 1 and "in a file it is `labels_first: true`" in refused.output


def test_documents_are_answered_by_what_was_taught_and_why_not_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: FakeEngine
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("Invoice 7", encoding="utf-8")
    monkeypatch.setenv("PINPOINT_TASKS", str(tmp_path / "tasks"))
    task_file(engine, task_of({"labels": ["invoice", "receipt"]})).save(tmp_path / "tasks" / "kind.json")
    [line] = lines(taught := run(str(tmp_path / "in"), "--json", "--target-error", "0.1"))
    answer = line["answers"]["category"]
    assert answer["confidence"] == answer["score"] and "certified" in answer and taught.stderr == ""
    other = run(str(tmp_path / "in"), "--json", labels="receipt,invoice")
    assert lines(other)[0]["answers"]["category"]["confidence"] is None
    assert "none of the task files in" in other.stderr and "their order" in other.stderr
    first = run(str(tmp_path / "in"), "--json", "--labels-first")
    assert lines(first)[0]["answers"]["category"]["confidence"] is None
    assert "whether labels are read first" in first.stderr
    split = run(str(tmp_path / "in"), "--json", "--split")
    assert "other_reading" in split.stderr
    (tmp_path / "tasks" / "kind.json").write_text("{}", encoding="utf-8")
    assert "note: task file kind.json is not used: invalid_task_file" in run(str(tmp_path / "in"), "--json").stderr
    monkeypatch.delenv("PINPOINT_TASKS")
    assert run(str(tmp_path / "in"), "--json").stderr == ""
