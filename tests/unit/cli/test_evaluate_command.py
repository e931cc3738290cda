"""`python -m pinpoint evaluate`: which files it reads, which lines it refuses, and what a refused text costs."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from pinpoint.api.limits import Limits
from pinpoint.cli import app
from pinpoint.errors import DeviceError, PinpointError, RequestError
from pinpoint.evaluate.asking import Question
from pinpoint.evaluate.labelled_file import Line, read_lines, split_labels
from pinpoint.serving import model
from tests.fakes import FakeEngine

LABELS = "invoice,receipt,Bußgeld"
ROWS = [("Invoice no. 7\nTotal due 9 €", "invoice"), ("paid, by card", "receipt"), ('Grüße "von" Ämtern', "Bußgeld")]
JSON_LINES = "".join(json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n" for text, label in ROWS)


def as_csv(rows: list[tuple[str, str]], delimiter: str = ",", line_end: str = "\n") -> str:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "label"), *rows])
    return written.getvalue()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(model, "get_scorer", lambda settings: fake)
    return fake


@pytest.fixture
def save(tmp_path: Path) -> Callable[[bytes | str], Path]:
    def write(content: bytes | str) -> Path:
        file = tmp_path / "documents"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


def run(file: Path | str, *words: str, labels: str | None = "yes,no") -> Result:
    return CliRunner().invoke(app, ["evaluate", str(file), *(("--labels", labels) if labels else ()), *words])


def summary(file: Path, *words: str, labels: str | None = "yes,no") -> dict[str, Any]:
    result = run(file, "--json", *words, labels=labels)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(result: Result) -> str:
    """The one line of a refusal."""
    assert result.exit_code == 1, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", ["json lines", "comma", "semicolon", "tab"])
def test_files_of_editors_and_spreadsheets_are_read(
    save: Callable[[bytes], Path], encoding: str, line_end: str, form: str
) -> None:
    delimiter = {"comma": ",", "semicolon": ";", "tab": "\t"}.get(form)
    text = as_csv(ROWS, delimiter, line_end) if delimiter else JSON_LINES.replace("\n", line_end)
    lines = read_lines(save(text.encode(encoding)), LABELS)
    assert [(line.text, line.label) for line in lines] == ROWS
    # The first text goes over two lines of a table.
    assert [line.number for line in lines] == ([2, 4, 5] if delimiter else [1, 2, 3])


@given(st.lists(st.tuples(st.text(), st.sampled_from(["yes", "no"])), min_size=1))
def test_a_table_gives_back_what_was_written(rows: list[tuple[str, str]]) -> None:
    content = as_csv(rows).encode("utf-8", "replace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert [(line.text, line.label) for line in read_lines(Path("-"), "yes,no")] == [
            (text.encode("utf-8", "replace").decode(), label) for text, label in rows
        ]


def test_blank_lines_marks_between_parts_and_long_cells_are_no_hindrance(save: Callable[[str], Path]) -> None:
    whole = '\n\ufeff{"text": "a", "label": "yes"}\n  \n\ufeff{"text": "b", "label": "no", "more": 1}'
    assert [(line.number, line.text) for line in read_lines(save(whole), "yes,no")] == [(2, "a"), (4, "b")]
    before = csv.field_size_limit()
    table = f'\n"Label", "Text",id\n\nyes,{"x" * 200_000},1\n,,\n no ,"",2\n'
    assert [(line.number, len(line.text), line.label) for line in read_lines(save(table), "yes,no")] == [
        (4, 200_000, "yes"), (6, 0, "no"),
    ]  # fmt: skip
    assert csv.field_size_limit() == before


def test_labels_of_the_line_and_of_the_command() -> None:
    file = io.BytesIO(b'{"text": "a", "label": "x", "labels": ["x", "y"]}\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(file))
        assert read_lines(Path("-"), None) == [Line(1, "a", "x", ("x", "y"))]


def test_a_label_with_a_comma_is_typed_in_quotes(save: Callable[[str], Path]) -> None:
    table = save('text;label\na;"Food, drink"\n')
    (line,) = read_lines(table, ' "Food, drink", love,,"5 o\'clock"')
    assert (line.label, line.labels) == ("Food, drink", ("Food, drink", "love", "5 o'clock"))
    with pytest.raises(PinpointError, match="a label with a comma is typed in quotes: --labels '\"Food, drink\",…'"):
        read_lines(table, "Food, drink,love")


GOOD = '{"text": "a", "label": "yes"}\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD + "{'text': 1}\n", "invalid_line: line 2: not JSON"),
        (GOOD + "[1]\n", "invalid_line: line 2: not an object"),
        ("[\n" + GOOD + "]", "invalid_line: line 1: not JSON"),
        (GOOD + '{"text": "a"}', "invalid_line: line 2: lacks `label`; 1 of 2 documents have none: label them"),
        ('{"text": "a", "label": null}\n' * 2, "invalid_line: line 1: lacks `label`; 2 of 2 documents have none"),
        (GOOD + '{"text": "a", "label": 3}', "invalid_line: line 2: lacks `text` or `label`"),
        (GOOD + '{"text": null, "label": "yes"}', "invalid_line: line 2: lacks `text` or `label`"),
        (GOOD + "\r\n" + '{"text": "a", "label": "yes!"}', "unknown_label: line 3: "),
        (GOOD + "{" + '"a": [' * 100_000, "invalid_line: line 2: "),
        (GOOD + '{"a": 1' + "0" * 5_000 + "}", "invalid_line: line 2: numbers too long"),
        ("text,label\na,yes\na,b,yes\n", "invalid_line: line 3: 3 columns, the header has 2"),
        ("text;label\na;yes\na\n", "invalid_line: line 3: 1 columns, the header has 2"),
        ('text,label\n"a\nb",yes\n"c,yes\nd,no\n', "invalid_line: line 4: not CSV"),
        ('text,label\n"a"b,yes\n', "invalid_line: line 2: not CSV"),
        ("text,label\na,maybe\n", "unknown_label: line 2: "),
        ("text,text,label\na,a,yes\n", "invalid_line: line 1: neither JSON nor the header of a CSV file"),
        ("\nan invoice\n", "invalid_line: line 2: neither JSON nor the header of a CSV file"),
        ("", "invalid_line: there is no document in the file"),
        ("\ufeff\r\n", "invalid_line: there is no document in the file"),
        ("text,label\n", "invalid_line: there is no document in the file"),
        ((GOOD + "\r\n" + GOOD).encode() + 'é {"text'.encode("latin-1"), "invalid_encoding: line 4: not UTF-8; save"),
        ("text,label\r\rgrün,yes".encode("cp1252"), "invalid_encoding: line 3: not UTF-8; "),
        (b"\xff\xfe" + (GOOD + "a").encode("utf-16-le") + b"\0", "invalid_encoding: line 2: not utf-16; "),
        (b"PK\x03\x04\x14\x00", "unreadable_file: a workbook or an archive"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_number(
    save: Callable[[bytes | str], Path], engine: FakeEngine, content: bytes | str, said: str
) -> None:
    line = refused(run(save(content)))
    assert line.startswith(said)
    assert engine.forests == []


@pytest.mark.parametrize("own", ["3", '"yes"', "[1]", "{}", "null"])
def test_labels_of_a_line_that_are_none(save: Callable[[str], Path], engine: FakeEngine, own: str) -> None:
    line = f'{GOOD.strip()[:-1]}, "labels": {own}}}'
    assert refused(run(save(line), labels=None)).startswith("invalid_line: line 1: `labels` is a list of strings")


@pytest.mark.parametrize(
    ("content", "labels", "said"),
    [
        (GOOD, None, "missing_field: line 1: there are no labels to choose from"),
        ("text,label\na,yes", None, "missing_field: line 2: there are no labels to choose from"),
        (GOOD, "yes", "too_few_labels: line 1: "),
        (GOOD, "yes,no,yes", "duplicate_label: line 1: "),
        (GOOD + '{"text": "a", "label": "yes", "labels": ["yes"]}', None, "missing_field: line 1: "),
    ],
)  # fmt: skip
def test_labels_that_no_request_may_have_are_refused_before_the_load(
    save: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, content: str, labels: str | None, said: str
) -> None:
    monkeypatch.setattr(model, "get_scorer", lambda settings: pytest.fail("loaded"))
    assert refused(run(save(content), labels=labels)).startswith(said)


def test_files_that_are_not_there(tmp_path: Path, engine: FakeEngine) -> None:
    assert refused(run(tmp_path)).startswith("unreadable_file: is a directory without a folder of files for each")
    assert refused(run(tmp_path / "nothing")).startswith("unreadable_file: cannot be read: No such file")


def test_an_encoding_that_is_named_is_used(save: Callable[[bytes], Path]) -> None:
    file = save(as_csv(ROWS).encode("cp1252"))
    assert [(line.text, line.label) for line in read_lines(file, LABELS, "cp1252")] == ROWS
    for name in ("no-such", "hex", "a\0b"):
        with pytest.raises(PinpointError, match=r"^invalid_encoding: Python knows no such"):
            read_lines(file, LABELS, name)
    with pytest.raises(PinpointError, match=r"^invalid_encoding: line 3: not ascii; name another"):
        read_lines(file, LABELS, "ascii")
    marked = save(as_csv(ROWS).encode("utf-8-sig"))
    assert [(line.text, line.label) for line in read_lines(marked, LABELS, "utf-8")] == ROWS


def test_one_refused_text_does_not_end_the_run(save: Callable[[str], Path], engine: FakeEngine) -> None:
    """Empty, blank, broken and too long ones among good ones, each alone in its request, or not."""
    texts = ["a good one", "", " \u200b\n", "\ud800", "x" * (Limits().max_text_chars + 1), "another"]
    rows = [{"text": text, "label": "yes", "labels": ["yes", "no"]} for text in texts]
    rows.insert(3, {"text": "", "label": "b", "labels": ["a", "b"]})
    found = summary(save("\n".join(map(json.dumps, rows))), labels=None)
    assert found["lines"] == 7
    assert found["refused"] == 5
    assert found["refused_by_code"] == {"empty_text": 3, "invalid_unicode": 1, "too_large": 1}
    assert found["accuracy"] == round(found["right"] / 7, 4)
    assert found["accuracy_answered"] == found["right"] / 2


def test_accuracy_is_told_with_and_without_refused_texts(save: Callable[[str], Path], engine: FakeEngine) -> None:
    rows = [(f"document {number}", "yes") for number in range(10)]
    right = summary(save(as_csv(rows)))["right"]
    table = as_csv([*rows[:5], ("", "yes"), *rows[5:]])
    result = run(save(table))
    assert result.exit_code == 0, result.output
    last, refusals = result.stdout.splitlines()[-2:]
    assert last == (
        f"accuracy {right / 11:.4f} ({right} of 11), refused ones counted as wrong; "
        f"without them {right / 10:.4f} ({right} of 10)"
    )
    assert refusals == "refused 1: line 7 empty_text"
    assert 0 < right < 10


def test_labels_may_be_named_as_a_person_would_where_the_task_has_ids(
    save: Callable[[str], Path], engine: FakeEngine, tmp_path: Path
) -> None:
    """As `teach` reads them: what taught can be evaluated."""
    task = tmp_path / "kind.json"
    labels = [{"id": "i", "name": "Invoice"}, {"id": "r", "name": "receipt"}]
    task.write_text(json.dumps({"labels": labels}), encoding="utf-8")
    rows = [("a", "i"), ("b", "invoice"), ("c", "Receipt "), ("d", "r")]
    lines = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
    result = run(save(lines), "--task", str(task), labels=None)
    assert result.exit_code == 0, result.output
    assert "of 4)" in result.output
    odd = run(save(lines + '{"text": "e", "label": "lease"}\n'), "--task", str(task), labels=None)
    assert odd.stderr.startswith("unknown_label: line 5")


def test_where_all_are_refused_nothing_is_divided_by(save: Callable[[str], Path], engine: FakeEngine) -> None:
    file = save(as_csv([("", "yes")] * 12))
    assert summary(file)["accuracy_answered"] is None
    said = run(file).stdout
    assert "accuracy 0.0000 (0 of 12)" in said
    assert "none was answered" in said
    assert "line 11 empty_text, and 2 more" in said


def test_long_documents_go_into_requests_that_hold_them(save: Callable[[str], Path], engine: FakeEngine) -> None:
    """Together they are over what one request may hold; each alone is not. U+FDFA spells out as 18 characters."""
    rows = [("word " * 20_000, "yes"), ("\ufdfa" * 100_000, "no")] * 3
    assert summary(save(as_csv(rows)))["refused"] == 0


def test_every_line_gets_its_own_answer_whatever_its_neighbours(
    save: Callable[[str], Path], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [Line(n, "" if n % 7 == 0 else f"document {n}", "yes", ("yes", "no")) for n in range(150)]
    alone = [outcome for line in lines for outcome in evaluate_answers([line])]
    assert evaluate_answers(lines) == alone
    assert sum(outcome.refused == "empty_text" for outcome in alone) == 22
    assert {outcome.label for outcome in alone} == {"yes", "no", None}


def evaluate_answers(lines: list[Line]) -> list[Any]:
    from importlib import import_module

    return list(import_module("pinpoint.cli.evaluate")._outcomes(lines, Question(), progress=False))


def test_a_device_that_fails_and_labels_that_do_not_fit_end_the_run(
    save: Callable[[str], Path], engine: FakeEngine
) -> None:
    engine.fails.append(DeviceError("device_error", "the device failed"))
    assert refused(run(save(GOOD))) == "device_error: the device failed"
    engine.fails.append(RequestError("too_large", "the labels do not fit", "labels"))
    assert refused(run(save(GOOD))) == "too_large: line 1: the labels do not fit (labels)"


def test_no_torch_and_no_traceback_for_a_file_that_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c",
         "import sys, atexit; atexit.register(lambda: print(*{'torch', 'transformers'} & sys.modules.keys()));"
         "from pinpoint.cli import app; app(['evaluate', 'nothing'])"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (1, "")
    assert done.stderr == "unreadable_file: cannot be read: No such file or directory (file)\n"


def test_labels_that_the_terminal_cannot_show(save: Callable[[str], Path], engine: FakeEngine) -> None:
    words = ["evaluate", str(save(as_csv(ROWS))), "--labels", LABELS]
    result = CliRunner(charset="ascii").invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "Bu?geld" in result.stdout


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("", []),
        ("  ", []),
        ("gas", ["gas"]),
        ("gas| water", ["gas", "water"]),
        ("gas;water;", ["gas", "water"]),
        ("terms, conditions", ["terms, conditions"]),  # a label that holds a separator
        ("gas;terms, conditions", ["gas", "terms, conditions"]),
        ("gas, a;b", ["gas", "a;b"]),  # with `;`, one part of two would be a label
        ("gas;spam", ["gas", "spam"]),  # what is no label is told, not passed over
        ("spam", ["spam"]),
    ],
)
def test_a_cell_holds_labels_between_separators_that_they_may_hold_themselves(cell: str, labels: list[str]) -> None:
    known = {"gas", "water", "b", "a;b", "terms, conditions"}
    assert split_labels(cell, known.__contains__) == labels
