"""What people type behind `python handler.py`: a job from wherever it lies, or one line that says what to do."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pinpoint.errors import RequestError
from pinpoint.serving.local_run import TEST_INPUT_FILE, Call, in_words, read_call, read_job

CANARY = "canary7391"
JOB = {"input": {"text": f"Déjà vu: {CANARY}", "labels": ["invoice", "receipt"]}}
ON_THE_PLATFORM = {"RUNPOD_WEBHOOK_GET_JOB": "https://a/take?"}


def call(*words: str, **environ: str) -> Call:
    return read_call(["handler.py", *words], environ)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / TEST_INPUT_FILE).write_text(json.dumps(JOB))
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [(), ("--test_input",), ("--test_input", "--rp_debugger"), ("--test",), ("--rp_log_level", "warn", "--test_input")],
    ids=str,
)
def test_without_a_value_the_job_is_that_of_the_file(words: tuple[str, ...], folder: Path) -> None:
    made = call(*words)
    assert (made.local, made.source) == (True, TEST_INPUT_FILE)
    assert read_job(made.source) == JOB


def test_the_level_of_the_sdks_log_is_handed_on() -> None:
    assert call("--rp_log_level", "warn").argv == ("handler.py", "--rp_log_level", "warn")
    assert call("--test_input", "{}").argv == ("handler.py",)


@pytest.mark.parametrize(
    ("words", "environ", "local"),
    [
        (("--rp_serve_api",), {}, False),
        (("--rp_serve",), {}, False),  # argparse takes a beginning for the whole
        (("--rp_serve_api", "--rp_api_port", "8123"), ON_THE_PLATFORM, False),
        ((), {"RUNPOD_REALTIME_PORT": "8123"}, False),
        ((), {"RUNPOD_REALTIME_PORT": "0"}, True),
        ((), ON_THE_PLATFORM, False),
        (("--test_input", "{}"), ON_THE_PLATFORM, True),  # the SDK sees it so too
    ],
)
def test_who_serves_and_who_answers_one_job(words: tuple[str, ...], environ: dict[str, str], local: bool) -> None:
    made = call(*words, **environ)
    assert made.local is local
    if not local:
        assert made.argv == ("handler.py", *words)


def test_words_that_mean_nothing_are_left_alone_on_the_platform_and_named_in_a_local_run() -> None:
    assert call("--verbose", "x", **ON_THE_PLATFORM).argv == ("handler.py", "--verbose", "x")
    for words, field in (
        (("--verbose=" + CANARY,), "--verbose"),
        ((CANARY,), "--test_input"),
        (("--test_input", "Invoice", CANARY), "--test_input"),
    ):
        with pytest.raises(RequestError) as caught:
            call(*words)
        assert (caught.value.code, caught.value.field) == ("unknown_field", field)
        assert CANARY not in caught.value.wire()


def test_a_test_input_of_a_server_is_a_conflict() -> None:
    with pytest.raises(RequestError, match="conflicting_fields"):
        call("--rp_serve_api", "--test_input")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_file_is_read_as_editors_save_it(encoding: str, line_end: str, folder: Path) -> None:
    text = json.dumps(JOB, indent=1, ensure_ascii=False).replace("\n", line_end)
    (folder / "my job.json").write_bytes(text.encode(encoding))
    assert read_job("my job.json") == JOB
    assert read_job(str(folder / "my job.json")) == JOB


@pytest.mark.parametrize("before", ["", " \n", "\ufeff"])
def test_json_is_a_job(before: str) -> None:
    assert read_job(before + json.dumps(JOB)) == JOB


def test_standard_input_is_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(JOB).encode())))
    assert read_job("-") == JOB


NO_JOB: dict[str, tuple[str, str, str]] = {
    "list": (json.dumps([CANARY]), "invalid_request", "a list"),
    "string": (json.dumps(CANARY), "invalid_request", "a string"),
    "number": ("5", "invalid_request", "a whole number"),
    "decimal": ("-5.5", "invalid_request", "a decimal number"),
    "null": ("null", "invalid_request", "null"),
    "true": ("true", "invalid_request", "a boolean"),
    "NaN": ("NaN", "invalid_request", "a decimal number"),
    "empty object": ("{}", "missing_field", '"input"'),
    "input is null": ('{"input": null}', "missing_field", '"input"'),
    "our fields without input": (json.dumps(JOB["input"]), "missing_field", "put `text`"),
    "the zero-shot shape without input": (json.dumps({"inputs": CANARY}), "missing_field", "put `inputs`"),
    "another shape": (json.dumps({"prompt": CANARY}), "missing_field", '{"input": {"text": "…"'),
    "half of an object": ('{"input": {"text": "' + CANARY, "invalid_request", "line 1, column"),
    "single quotes": ("{'input': {}}", "invalid_request", "line 1, column 2"),
    "words": (f"Invoice no. 7 {CANARY}", "invalid_request", "neither JSON nor a file"),
    "no such file": ("nope.json", "invalid_request", "(nope.json)"),
    "nothing": ("", "invalid_request", "neither JSON nor a file"),
    "white space": (" \n", "invalid_request", "neither JSON nor a file"),
    "a folder": (".", "invalid_request", "cannot be read"),
    "a NUL": ("a\0b", "invalid_request", "neither JSON nor a file"),
    "a long word": ("x" * 100_000, "invalid_request", "neither JSON nor a file"),
    "half a character": ("\ud800", "invalid_request", "neither JSON nor a file"),
    "a number of 5,000 digits": ('{"input": ' + "1" * 5000 + "}", "invalid_request", "too long"),
    "100,000 brackets": ("[" * 100_000, "invalid_request", "too deep"),
}


@pytest.mark.parametrize("name", NO_JOB)
def test_what_is_no_job_is_told_in_one_line(name: str, folder: Path) -> None:
    source, code, hint = NO_JOB[name]
    with pytest.raises(RequestError) as caught:
        read_job(source)
    line = caught.value.wire()
    assert caught.value.code == code
    assert hint in line and len(line.splitlines()) == 1 and len(line) < 250
    assert CANARY not in line


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ('{"input": "é"}'.encode("latin-1"), "UTF-8"),
        (f"text,label\n{CANARY},invoice\n".encode(), "line 1, column 1"),
        (b'{"input": {"text": "a"}}\n{"input": {"text": "b"}}\n', "Extra data, line 2"),
        (b'["a"]', "a list"),
        (json.dumps(JOB["input"]).encode(), "put `text`"),
    ],
)
def test_a_file_that_is_no_job_is_told_in_one_line_that_names_it(content: bytes, hint: str, folder: Path) -> None:
    (folder / "my.json").write_bytes(content)
    with pytest.raises(RequestError) as caught:
        read_job("my.json")
    line = caught.value.wire()
    assert hint in line and line.endswith("(my.json)") and len(line.splitlines()) == 1
    assert CANARY not in line


def test_the_usual_file_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match="no such file"):
        read_job(TEST_INPUT_FILE)


def answered(label: str | None, score: float) -> dict[str, Any]:
    return {"id": "0", "status": "ok", "answers": {"category": {"label": label, "score": score}}}


REFUSED = {"id": "1", "status": "error", "error": {"code": "empty_text", "message": "…", "field": "documents[1]"}}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"results": [answered("invoice", 0.99977)]}, "invoice, 0.9998"),
        ({"results": [answered(None, 0.31)]}, "no label, best score 0.3100"),
        ({"results": [REFUSED]}, "the document was refused, empty_text"),
        ({"results": [answered("invoice", 1), REFUSED]}, "1 of 2 documents answered"),
        (
            {"results": [{"answers": {"kind": {"label": "a", "score": 1}, "paid": {"label": "no", "score": 0.5}}}]},
            "kind: a, 1.0000; paid: no, 0.5000",
        ),
        ({"sequence": "x", "labels": ["a", "b"], "scores": [0.7, 0.3]}, "a, 0.7000"),
        ([{"sequence": "x", "labels": ["a"], "scores": [0.7]}] * 2, "2 of 2 documents answered"),
    ],
)
def test_an_answer_in_words(answer: object, told: str) -> None:
    for source in (TEST_INPUT_FILE, "job.json"):
        words = in_words(answer, source)
        assert words.startswith(f"{told}; next: ") and len(words.splitlines()) == 1


@pytest.mark.parametrize("answer", [{"error": "empty_text: …"}, {"status": "healthy"}, {"results": []}, None])
def test_what_is_no_answer_has_no_words(answer: object) -> None:
    assert in_words(answer, TEST_INPUT_FILE) == ""
