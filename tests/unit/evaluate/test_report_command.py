"""`evaluate --out`: what it writes, that it goes on after a kill, what it refuses, and that the page stands alone."""

import json
import math
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pinpoint.api.request import parse_request
from pinpoint.cli import app
from pinpoint.decide.task_file import Fitted, Setup, TaskFile
from pinpoint.errors import DeviceError
from pinpoint.evaluate import asking, metrics, pictures
from pinpoint.evaluate import report as report_module
from pinpoint.evaluate.labelled_file import read_lines
from pinpoint.evaluate.outcomes import outcomes
from pinpoint.prompting.taxonomy import labels_sha
from pinpoint.serving import model
from tests import file_makers as make
from tests.fakes import FakeEngine

LABELS = "invoice,receipt,contract"
NAMES = LABELS.split(",")
DRAWN = {name: getattr(pictures, name) for name in ("reliability", "risk_coverage", "histograms")}


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(model, "get_scorer", lambda settings: fake)
    monkeypatch.setattr(asking, "JOB_DOCUMENTS", 8)
    monkeypatch.setattr(metrics, "RESAMPLES", 40)
    for name in DRAWN:  # which take most of a report's time
        monkeypatch.setattr(pictures, name, lambda *_: "<svg></svg>")
    monkeypatch.setenv("PINPOINT_OCR", "off")
    return fake


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Thirty documents, one empty, two alike, one that would like to be HTML, from two sources."""
    texts = [f"document no. {number} about {number * 7919 % 1000} things and {number}" for number in range(27)]
    texts += ["", "the very same words", "The very  same words!", "<script src=https://example.com/x.js></script>"]
    rows = [
        {"text": text, "label": NAMES[number % 3], "source": "mail" if number % 2 else "scan", "language": "en"}
        for number, text in enumerate(texts)
    ]
    return write(tmp_path / "data.jsonl", rows)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(data: Path, *words: str, labels: str | None = LABELS) -> Result:
    return CliRunner().invoke(app, ["evaluate", str(data), *(("--labels", labels) if labels else ()), *words])


def reported(data: Path, out: Path, *words: str) -> dict[str, Any]:
    result = run(data, "--out", str(out), *words)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


def answers(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]


def test_a_run_is_answered_reported_and_told(data: Path, tmp_path: Path) -> None:
    report = reported(data, tmp_path / "out", "--price", "h100", "--again", "10")
    lines = answers(tmp_path / "out")
    assert [line["id"] for line in lines] == [f"line {number}" for number in range(1, 32)]
    first = lines[0]
    assert set(first) == {"id", "text", "task", "truth", "labels", "answer", "input", "warnings", "source", "language",
                          "prompt_tokens", "seconds"} | ({"variants"} & set(first))  # fmt: skip
    assert len(first["answer"]["log_probs"]) == 3 and first["labels"] == NAMES
    assert lines[27]["error"]["code"] == "empty_text" and "answer" not in lines[27]
    assert (report["documents"], report["answered"], report["refused"]) == (31, 30, {"empty_text": 1})
    right = sum(line["answer"]["label"] == line["truth"] for line in lines if "answer" in line)
    assert report["figures"]["accuracy"]["value"] == right / 31
    assert report["figures"]["accuracy_answered"]["value"] == right / 30
    assert sum(one["documents"] for one in report["calibration"]["bins"]) == 30
    assert {one["value"]: one["documents"] for one in report["slices"]["source"]} == {"scan": 16, "mail": 14}
    assert "language" not in report["slices"], "all are the same"
    assert report["cost"]["usd"] == pytest.approx(report["cost"]["seconds"] * 0.00116)
    assert report["cost"]["prompt_tokens"] == round(sum(line.get("prompt_tokens", 0) for line in lines)) > 0
    notes = " ".join(report["notes"])
    assert "near-duplicates of others: 1 of 31 documents; intervals count 30" in notes
    assert "more than one label: 1; some" in notes
    assert "refused documents: 1 of 31" in notes


def test_the_terminal_says_the_same_with_a_report_and_without(data: Path, tmp_path: Path) -> None:
    plain, with_report = run(data), run(data, "--out", str(tmp_path / "out"))
    assert with_report.stdout.startswith(plain.stdout)
    assert with_report.stdout.removeprefix(plain.stdout) == f"report: {tmp_path / 'out' / 'report.html'}\n"
    assert not list(tmp_path.glob("*.html"))


def test_answers_to_reversed_labels_and_other_words_are_counted(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's scores are hashes of the prompt, so some answers change; which, is in the lines."""
    words = tmp_path / "words.json"
    words.write_text(json.dumps({"invoice": "bill"}))
    report = reported(data, tmp_path / "out", "--again", "12", "--wordings", str(words))
    lines = [line for line in answers(tmp_path / "out") if "variants" in line]
    for name in ("reversed", "reworded"):
        told = report["stability"][name]
        changed = [line["variants"][name]["label"] != line["answer"]["label"] for line in lines]
        assert 11 <= told["documents"] == len(lines) <= 12, "the empty one has no answer that could change"
        assert told["changed"] == sum(changed) / len(lines) and sum(changed) > 0
        assert {line["variants"][name]["label"] for line in lines} <= set(NAMES), "told by its own name, not the word"
    alone = reported(data, tmp_path / "none", "--again", "0")
    assert alone["stability"] == {}
    assert asking.Question(wordings={"a": "z"}).reworded(["a", "Bill", "été", "1"]) == {
        "a": "z", "Bill": "bill", "été": "Été", "1": "1"
    }  # fmt: skip


def without_times(out: Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in answers(out)]


def test_a_run_that_was_ended_goes_on(data: Path, tmp_path: Path, engine: FakeEngine) -> None:
    reported(data, tmp_path / "whole", "--again", "0")
    passes = len(engine.forests)
    engine.forests.clear()
    engine.breaks = {}
    real, seen = FakeEngine.run, 0

    def dies(self: FakeEngine, *args: Any, **more: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise DeviceError("device_error", "the device failed")
        return real(self, *args, **more)

    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeEngine, "run", dies)
        ended = run(data, "--out", str(out), "--again", "0")
    assert ended.exit_code == 1 and ended.stderr.startswith("device_error: ")
    assert len(answers(out)) == 16 and not (out / "report.html").exists()
    # A kill in the middle of a line.
    with (out / "answers.jsonl").open("a") as file:
        file.write('{"id": "line 17", "text": "docu')
    engine.forests.clear()
    reported(data, out, "--again", "0")
    assert len(engine.forests) == passes - 2, "what was answered is not asked again"
    assert without_times(out) == without_times(tmp_path / "whole")
    engine.forests.clear()
    reported(data, out, "--again", "0")
    assert engine.forests == []


@pytest.mark.parametrize(
    ("words", "labels", "said"),
    [
        (["--again", "3"], LABELS, "other again;"),
        (["--instructions", "Which?"], LABELS, "other question;"),
        ([], f"{LABELS},letter", "other data, question;"),
    ],
)
def test_another_run_s_folder_is_refused(data: Path, tmp_path: Path, words: list[str], labels: str, said: str) -> None:
    out = tmp_path / "out"
    reported(data, out)
    before = (out / "answers.jsonl").read_bytes()
    refused = run(data, "--out", str(out), *words, labels=labels)
    assert refused.exit_code == 1 and refused.stderr.startswith("output_of_another_run: holds a run with ")
    assert said in refused.stderr and (out / "answers.jsonl").read_bytes() == before


def test_other_data_another_model_and_what_is_no_run_are_refused(
    data: Path, tmp_path: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    reported(data, out, "--again", "0")
    info = engine.info("")
    with monkeypatch.context() as patch:
        patch.setattr(FakeEngine, "info", lambda self, sha: type(info)("other", "r", "int8", 2, sha))
        assert "other model;" in run(data, "--out", str(out), "--again", "0").stderr
    data.write_text(data.read_text().replace("no. 3", "no. 4"))
    assert "other data;" in run(data, "--out", str(out), "--again", "0").stderr
    (out / "run.json").write_text("[")
    assert "cannot be read" in run(data, "--out", str(out)).stderr
    (out / "run.json").unlink()
    assert "output_of_another_run: holds an answers.jsonl" in run(data, "--out", str(out)).stderr
    (tmp_path / "file").write_text("")
    assert run(data, "--out", str(tmp_path / "file")).stderr.startswith("cannot_write: ")


def test_folders_are_labels_and_files_of_any_kind_are_documents(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name in NAMES:
        (folder / name / "deep").mkdir(parents=True)
    (folder / "invoice" / "a.pdf").write_bytes(make.text_pdf(["Invoice 7", "page two"]))
    (folder / "invoice" / "locked.pdf").write_bytes(make.locked_pdf())
    (folder / "receipt" / "deep" / "b.txt").write_bytes(b"Receipt 12")
    (folder / "contract" / "c.eml").write_bytes(make.mail())
    (folder / "contract" / ".hidden").write_bytes(b"no")
    result = run(folder, "--out", str(tmp_path / "out"), labels=None)
    assert result.exit_code == 0, result.output
    lines = {line["id"]: line for line in answers(tmp_path / "out")}
    assert list(lines) == ["contract/c.eml", "invoice/a.pdf", "invoice/locked.pdf", "receipt/deep/b.txt"]
    pdf = lines["invoice/a.pdf"]
    assert pdf["truth"] == "invoice" and pdf["input"]["type"] == "pdf" and pdf["labels"] == sorted(NAMES)
    assert pdf["file"] == str((folder / "invoice" / "a.pdf").resolve())
    assert [page.strip() for page in pdf["text"].split("\f")] == ["Invoice 7", "page two"]
    assert lines["invoice/locked.pdf"]["error"]["code"] == "pdf_encrypted" and "text" not in lines["invoice/locked.pdf"]
    assert "refused 1: invoice/locked.pdf pdf_encrypted" in result.stdout
    refused = run(folder, labels="invoice,receipt")
    assert refused.exit_code == 1
    assert (
        refused.stderr.startswith("unknown_label: contract/c.eml: ")
        and "1 of 4 documents have labels" in refused.stderr
    )
    table = write(tmp_path / "files.jsonl", [{"file": "data/invoice/a.pdf", "label": "invoice"}])
    assert json.loads(run(table, "--json").stdout)["lines"] == 1
    gone = write(tmp_path / "gone.jsonl", [{"file": "data/none.pdf", "label": "invoice"}])
    assert json.loads(run(gone, "--json").stdout)["refused_by_code"] == {"file_damaged": 1}


def test_the_question_may_be_a_task_in_a_file(data: Path, tmp_path: Path) -> None:
    labels = [{"id": "invoice", "name": "an invoice", "description": "asks for money"}, "receipt", "contract", "letter"]
    task = tmp_path / "task.yaml"
    task.write_text(json.dumps({"name": "kind", "labels": labels, "mask": ["letter"], "instructions": "What is it?"}))
    result = run(data, "--task", str(task), "--out", str(tmp_path / "out"), "--again", "4", labels=None)
    assert result.exit_code == 0, result.output
    line = answers(tmp_path / "out")[0]
    assert line["task"] == "kind" and line["labels"] == ["invoice", "receipt", "contract", "letter"]
    assert sorted(line["answer"]["labels"]) == sorted(NAMES), "a masked label is not answered"
    assert json.loads((tmp_path / "out/report.json").read_text())["stability"]["reworded"]["documents"] in (3, 4)
    for content, said in (('{"type": "yes_no"}', "missing_field"), ('{"labels": ["a"]}', "too_few_labels"),
                          ('{"type": "yes_no", "instructions": "Is it paid?"}', "not_supported")):  # fmt: skip
        task.write_text(content)
        refused = run(data, "--task", str(task), labels=None)
        assert refused.exit_code == 1 and refused.stderr.startswith(f"{said}: "), refused.output
    task.write_text('["invoice", "receipt"]')
    assert run(data, "--task", str(task), labels=None).stderr.startswith("unknown_label: line 3: ")
    assert run(data, "--task", str(task)).stderr.startswith("conflicting_fields: send either this or --labels")


def test_the_question_may_be_a_taxonomy_by_name_or_by_file(data: Path, tmp_path: Path) -> None:
    tree: dict[str, list[Any]] = {
        "labels": [
            {"name": "money", "children": ["invoice", "receipt"]},
            {"name": "law", "children": ["contract", "will"]},
        ]
    }
    (tmp_path / "mail.yaml").write_text(json.dumps(tree))
    result = run(data, "--taxonomy", str(tmp_path / "mail.yaml"), "--out", str(tmp_path / "out"), labels=None)
    assert result.exit_code == 0, result.output
    line = answers(tmp_path / "out")[0]
    assert line["labels"] == ["invoice", "receipt", "contract", "will"] and "variants" not in line
    # Labels by name, and by the way to them, as `teach` reads them.
    tree["labels"][0]["children"][0] = {"id": "bill", "name": "invoice"}
    (tmp_path / "mail.yaml").write_text(json.dumps(tree))
    named = write(tmp_path / "named.jsonl", [{"text": "a", "label": one} for one in ("Invoice", "money > invoice")])
    result = run(named, "--taxonomy", str(tmp_path / "mail.yaml"), "--out", str(tmp_path / "named"), labels=None)
    assert result.exit_code == 0, result.output
    assert [line["truth"] for line in answers(tmp_path / "named")] == ["bill", "bill"]
    refused = run(data, "--taxonomy", "business-documents", labels=None)
    assert refused.exit_code == 1 and refused.stderr.startswith("unknown_label: line 2: "), refused.output
    assert run(data, "--taxonomy", "none-of-this-name", labels=None).stderr.startswith("unknown_taxonomy: ")


def test_a_taught_task_counts_as_on_the_worker(
    data: Path, tmp_path: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A temperature of two, taught for these labels and this engine: the scores of the report are calibrated ones."""
    parts = parse_request({"text": "text", "labels": NAMES}).tasks
    setup = Setup.of(engine.info(labels_sha(parts)), on_card=engine.on_card)
    (tmp_path / "tasks").mkdir()
    made = TaskFile(task="category", kind="choice", setup=setup, labels=NAMES, made=date(2026, 11, 28), examples=200,
                    fitted=Fitted(temperature=2.0))  # fmt: skip
    made.save(tmp_path / "tasks/category.json")
    plain = reported(data, tmp_path / "plain", "--again", "0")
    monkeypatch.setenv("PINPOINT_TASKS", str(tmp_path / "tasks"))
    taught = reported(data, tmp_path / "taught", "--again", "0")
    assert (plain["score"], taught["score"]) == ("score", "confidence")
    assert taught["run"]["taught"] != plain["run"]["taught"] == {}
    before, after = answers(tmp_path / "plain")[0]["answer"], answers(tmp_path / "taught")[0]["answer"]
    halved = [math.exp(s / 2) for s in before["log_probs"]]
    assert after["scores"] == pytest.approx([one / sum(halved) for one in halved], abs=1e-5)
    assert "other taught;" in run(data, "--again", "0", "--out", str(tmp_path / "plain")).stderr


def test_an_asked_for_promise_that_no_task_file_makes(data: Path, tmp_path: Path) -> None:
    report = reported(data, tmp_path / "out", "--target-error", "0.02")
    assert report["certified"]["documents"] == 0 and sum(report["certified"]["why_not"].values()) == 30
    assert "No answer is certified: " in (tmp_path / "out/report.html").read_text()


def test_labels_that_are_not_offered_are_counted(data: Path) -> None:
    refused = run(data, labels="invoice,receipt")
    assert refused.exit_code == 1
    assert refused.stderr == (
        "unknown_label: line 3: its label is not among the labels to choose from; "
        "10 of 31 documents have labels that are not: 'contract' (10); see --labels (labels)\n"
    )


def test_one_class_only_is_said(tmp_path: Path) -> None:
    rows = [{"text": f"words {number} {number * 37}", "label": "invoice"} for number in range(5)]
    report = reported(write(tmp_path / "d.jsonl", rows), tmp_path / "out")
    notes = " ".join(report["notes"])
    assert "all 5 documents have the same label" in notes and "labels without a document: 2 of 3;" in notes


def test_what_was_taught_with_is_left_out(data: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    taught = write(tmp_path / "taught.jsonl", [*rows[:5], {**rows[28], "text": "the very same words"}])
    result = run(data, "--apart-from", str(taught), "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["lines"] == 24
    assert result.stderr.startswith("7 of 31 documents are in ")
    nothing = run(data, "--apart-from", str(data))
    assert nothing.exit_code == 1 and "too_few_documents: none of 31 documents is left" in nothing.stderr


def test_runs_are_compared_with_an_earlier_report(data: Path, tmp_path: Path) -> None:
    first = reported(data, tmp_path / "first", "--again", "0")
    second = reported(
        data,
        tmp_path / "second",
        "--again",
        "0",
        "--instructions",
        "What?",
        "--against",
        str(tmp_path / "first/report.json"),
    )
    told = second["against"]
    pairs = list(zip(first["details"], second["details"], strict=True))
    assert told["documents"] == 31 and told["only_here"] == told["only_there"] == 0
    assert told["gained"] == sum(now["right"] and not then["right"] for then, now in pairs)
    assert told["lost"] == sum(then["right"] and not now["right"] for then, now in pairs)
    assert "McNemar" in (tmp_path / "second/report.html").read_text()
    for content in ("{}", "[", '{"details": [3]}'):
        (tmp_path / "no.json").write_text(content)
        refused = run(data, "--out", str(tmp_path / "third"), "--against", str(tmp_path / "no.json"))
        assert refused.exit_code == 1 and refused.stderr.startswith("unreadable_file: is no report.json")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--price", "1"], 2, "goes with --out"),
        (["--against", "x"], 2, "goes with --out"),
        (["--out", "{tmp}/o", "--price", "cheap"], 2, "a number, or one of"),
        (["--out", "{tmp}/o", "--against", "none"], 1, "unreadable_file: cannot be read"),
        (["--out", "{tmp}/o", "--wordings", "none"], 1, "unreadable_file: cannot be read"),
        (["--out", "{tmp}/o", "--wordings", "{tmp}/bad"], 1, "unknown_label: 1 of its 1 labels"),
        (["--out", "{tmp}/o", "--wordings", "{tmp}/same"], 1, "duplicate_label: line 1: "),
    ],
)
def test_options_that_cannot_be(data: Path, tmp_path: Path, words: list[str], code: int, said: str) -> None:
    (tmp_path / "bad").write_text('{"letter": "mail"}')
    (tmp_path / "same").write_text('{"invoice": "receipt", "receipt": "receipt"}')
    result = run(data, *(word.format(tmp=tmp_path) for word in words))
    assert result.exit_code == code and said in " ".join(result.output.split())


def test_declared_fields_and_order_of_the_sample(data: Path) -> None:
    lines = read_lines(data, LABELS)
    assert (lines[1].source, lines[1].language, lines[1].document) == ("mail", "en", "")
    chosen = asking.sample(lines, 7)
    assert chosen == asking.sample(lines[::-1], 7) and len(chosen) == 7
    assert len(asking.sample(lines, None)) == 31 and asking.sample(lines, 0) == set()


class Outside(HTMLParser):
    """What a page would fetch, or lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found = list[str]()
        self.open = list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "iframe", "object", "embed", "base"):
            self.found.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data", "srcset") and not (value or "").startswith("#"):
                self.found.append(f"{name}={value}")
            self.found += [one for one in re.findall(r"url\(([^)]*)\)", value or "") if not one.startswith("#")]


def test_the_page_needs_nothing_from_outside_whatever_documents_and_labels_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, draw in DRAWN.items():
        monkeypatch.setattr(pictures, name, draw)
    hostile = [f"<script src=https://example.com/{number}.js></script>" for number in range(12)]
    names = ["<img src=https://example.com/x.png>", "'\"><base href=//example.com>", "{a}"]
    rows = [{"text": text, "label": names[k % 3], "labels": names, "source": text} for k, text in enumerate(hostile)]
    result = run(write(tmp_path / "d.jsonl", rows), "--out", str(tmp_path / "out"), "--price", "0.001", labels=None)
    assert result.exit_code == 0, result.output
    text = (tmp_path / "out/report.html").read_text()
    assert Outside(text).found == []
    assert "@import" not in text and "&lt;script src=https://example.com" in text, "documents are text, never markup"
    assert text.count("<svg") == 3
    identities = re.findall(r'\bid="([^"]+)"', text)
    assert len(identities) == len(set(identities)) > 10, "three pictures share no id"
    assert set(re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", text)) <= {
        pair for one in identities for pair in ((one, ""), ("", one))
    }
    assert Outside('<img src="http://x"><p style="background:url(y)">').found == ["src=http://x", "y"]


def test_a_page_of_documents_that_were_all_refused(tmp_path: Path) -> None:
    rows = [{"text": "", "label": "invoice"}] * 3
    report = reported(write(tmp_path / "d.jsonl", rows), tmp_path / "out")
    assert report["answered"] == 0 and report["figures"]["accuracy"]["value"] == 0
    assert "0.0\u00a0% right" in (tmp_path / "out/report.html").read_text()


def test_what_is_not_installed_is_said(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pinpoint.evaluate import run as run_module

    monkeypatch.setattr(run_module, "NEEDED", ("no_such_library",))
    refused = run(data, "--out", str(tmp_path / "out"))
    assert refused.exit_code == 1 and "pip install -r requirements-evaluate.txt" in refused.stderr
    assert run(data).exit_code == 0, "without a report nothing of it is needed"


def test_a_document_that_none_of_the_labels_fits_is_right_where_that_is_answered(data: Path, tmp_path: Path) -> None:
    """What abstains by `other` says so: it is right for documents whose label that is, and wrong for all others."""
    rows = [json.loads(line) for line in data.read_text().splitlines() if json.loads(line)["text"]]
    truths = [*NAMES, "none of these"]
    write(data, [{**row, "label": truths[number % 4]} for number, row in enumerate(rows)])
    asked, out = tmp_path / "kind.json", tmp_path / "out"
    asked.write_text(json.dumps({"labels": NAMES, "other": "none of these"}))
    result = run(data, "--task", str(asked), "--out", str(out), "--again", "3", "--json", labels=None)
    assert result.exit_code == 0, result.output
    answers = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    report = json.loads((out / "report.json").read_text())
    best = [line["answer"]["labels"][0] for line in answers]
    right = [line["truth"] == one for line, one in zip(answers, best, strict=True)]
    assert [one["right"] for one in report["details"]] == right
    assert any(ok and line["answer"]["label"] is None for ok, line in zip(right, answers, strict=True))
    assert json.loads(result.stdout.splitlines()[-1])["right"] == sum(right)
    assert {one["label"]: one["support"] for one in report["per_label"]}["none of these"] == len(rows) // 4
    assert all(line["labels"] == truths for line in answers)
    refused = run(data, labels=",".join(NAMES))
    assert refused.exit_code == 1 and refused.stderr.startswith("unknown_label")


def test_a_group_that_an_answer_backs_off_to_is_right_where_it_holds_the_label(data: Path, tmp_path: Path) -> None:
    """As a promise about a tree has it; by hand, over the lines of the run."""
    groups = {"money": ["invoice", "receipt"], "law": ["contract", "will"]}
    task = tmp_path / "task.json"
    task.write_text(json.dumps([{"name": name, "children": below} for name, below in groups.items()]))
    result = run(data, "--task", str(task), "--out", str(tmp_path / "out"), labels=None)
    assert result.exit_code == 0, result.output
    lines = [line for line in answers(tmp_path / "out") if "answer" in line]
    backed = [line for line in lines if line["answer"]["backed_off"]]
    held = [line["truth"] in groups[line["answer"]["label"]] for line in backed]
    assert [line["group_right"] for line in backed] == held and {*held} == {True, False}
    assert not any("group_right" in line for line in lines if not line["answer"]["backed_off"])
    right = sum(line["answer"]["label"] == line["truth"] for line in lines) + sum(held)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["figures"]["accuracy"]["value"] == right / 31
    assert f"answers that back off to a group: {len(held)} of 31; {sum(held)} of them hold" in str(report["notes"])
    assert f"({right} of 31)" in result.stdout
    never = run(data, "--task", str(task), "--out", str(tmp_path / "never"), "--back-off", "0", labels=None)
    assert never.exit_code == 0, never.output
    assert not any(line.get("answer", {}).get("backed_off") for line in answers(tmp_path / "never"))


def test_of_very_many_sets_the_matrix_has_the_most_frequent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "MATRIX_SETS", 2)

    def line(number: int, truth: str, chosen: str) -> dict[str, Any]:
        answer = {"label": None, "labels": list("abc"), "scores": [0.5] * 3, "chosen": list(chosen), "confidence": None}
        return {"id": str(number), "truth": list(truth), "labels": list("abc"), "answer": answer}

    told = ["a a", "a a", "a ab", "ab ab", "ab a", "c abc", "c abc", "c abc", "bc a"]
    lines = [line(number, *one.split()) for number, one in enumerate(told)]
    lines[0].pop("answer")
    found = report_module.confusions(lines, outcomes(lines))
    assert found["labels"] == ["a", "a + b", "(other sets)", "(no label)"]
    assert found["counts"] == [[1, 1, 0, 1], [1, 1, 0, 0], [1, 0, 3, 0]]
    first, *others = [(one["truth"], one["answer"], one["documents"]) for one in found["pairs"]]
    assert first == ("c", "a + b + c", 3)
    assert {*others} == {("a", "(no label)", 1), ("a", "a + b", 1), ("a + b", "a", 1), ("b + c", "a", 1)}


def test_sets_of_labels_are_counted_label_by_label_and_as_a_whole(engine: FakeEngine, tmp_path: Path) -> None:
    """Against plain counting over the lines of the run."""
    names = ["invoice", "receipt", "contract"]
    data = tmp_path / "several.csv"
    rows = [f'"letter\n{number}";{"|".join(names[: number % 3])}\n' for number in range(40)]
    data.write_text("Text;Label\n" + "".join(rows), encoding="utf-8-sig")
    words = [str(data), "--labels", ",".join(names), "--multi-label", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["evaluate", *words])
    assert result.exit_code == 0, result.output
    lines = [json.loads(row) for row in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    said = [dict(zip(one["answer"]["labels"], one["answer"]["scores"], strict=True)) for one in lines]
    told = [{label for label, score in scores.items() if score >= 0.5} for scores in said]
    assert [set(one["answer"]["chosen"]) for one in lines] == told
    truth = [set(names[: number % 3]) for number in range(40)]
    assert [set(one["truth"]) for one in lines] == truth
    assert report["figures"]["accuracy"]["value"] == sum(a == b for a, b in zip(told, truth, strict=True)) / 40
    both = sum(len(a & b) for a, b in zip(told, truth, strict=True))
    assert report["figures"]["micro_f1"]["value"] == pytest.approx(
        2 * both / sum(len(a) + len(b) for a, b in zip(told, truth, strict=True))
    )
    wrong = sum(len(a ^ b) for a, b in zip(told, truth, strict=True))
    assert report["figures"]["wrong_labels"]["value"] == pytest.approx(wrong / 120)
    for one in report["per_label"]:
        hits = [one["label"] in a and one["label"] in b for a, b in zip(told, truth, strict=True)]
        having, answered = (sum(one["label"] in each for each in of) for of in (truth, told))
        assert one["support"] == having
        assert one["recall"] == pytest.approx(sum(hits) / having if having else 0)
        assert one["precision"] == pytest.approx(sum(hits) / answered if answered else 0)
    nats = [
        -sum(math.log(scores[n] if n in t else 1 - scores[n]) for n in names)
        for scores, t in zip(said, truth, strict=True)
    ]
    assert report["figures"]["nll"]["value"] == pytest.approx(sum(nats) / 40)
    assert "documents to which no label applies: 14 of 40; (none) is their answer" in report["notes"]
    assert "labels wrong" in (tmp_path / "out" / "report.html").read_text()


def test_labels_in_another_case_are_the_labels_and_documents_without_one_are_counted(
    engine: FakeEngine, tmp_path: Path
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("text;label\na;INVOICE\nb; receipt \nc;Purchase  Order\n", encoding="utf-8-sig")
    words = ["evaluate", str(data), "--labels", "Invoice,receipt,purchase order", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0 and json.loads(result.output)["lines"] == 3, result.output
    data.write_text("text;label\na;Invoice\nb;\nc;\n")
    assert "line 3: it has no label; 2 of 3 documents have none" in CliRunner().invoke(app, words).stderr
    data.write_text("text;label\na;Invoice\nb;spam\nc;\n")
    assert "2 of 3 documents have labels that are not: 'spam' (1), '' (1)" in CliRunner().invoke(app, words).stderr
