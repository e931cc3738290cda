"""The command as somebody types it: what it refuses before it listens, and that its choices teach."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.cli.labelled import read_labelled
from pinpoint.documents.text import PAGE_BREAK
from pinpoint.prompting.taxonomy import Label, Task
from pinpoint.review.chosen import Chosen
from pinpoint.review.items import read_answers
from pinpoint.review.queue import Review
from pinpoint.review.server import ReviewServer
from tests.unit.review.answers import LABELS, result, write

TASK = Task("category", tuple(Label(name, name) for name in LABELS))


def told(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["review", *arguments, "--no-browser"])
    return done.exit_code, done.output


def test_what_cannot_be_reviewed_is_refused_in_a_line(tmp_path: Path) -> None:
    code, words = told(str(tmp_path / "none.jsonl"))
    assert code == 1 and words.startswith("unreadable_file: cannot be opened: No such file") and words.count("\n") == 1
    path = write(tmp_path / "a.jsonl", {"id": "a"})
    code, words = told(str(path))
    assert code == 1 and words.startswith("invalid_line: line 1 has no `answers`") and words.count("\n") == 1


@pytest.mark.parametrize("port", ["-1", "70000"])
def test_a_port_that_is_none_is_refused_and_lets_the_file_go(tmp_path: Path, port: str) -> None:
    path = write(tmp_path / "a.jsonl", result("a", "text"))
    code, words = told(str(path), "--port", port)
    assert code == 1 and "cannot listen" in words
    Chosen(tmp_path / "reviewed.jsonl").close()


@pytest.mark.parametrize(("display", "opened"), [("", False), (":0", True)])
def test_a_browser_is_opened_where_there_is_a_window_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, display: str, opened: bool
) -> None:
    addresses = list[str]()
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("webbrowser.open", addresses.append)

    def stop(server: ReviewServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ReviewServer, "serve_forever", stop)
    done = CliRunner().invoke(app, ["review", str(write(tmp_path / "a.jsonl", result("a", "text")))])
    first, address, last = done.output.splitlines()
    assert done.exit_code == 0 and first.startswith("1 of 1 documents to look at")
    assert address.startswith("http://127.0.0.1:") and "#" in address and last.startswith("0 choices in")
    assert addresses == ([address] if opened else [])


def test_teach_reads_what_was_chosen(tmp_path: Path) -> None:
    rows = [result(f"d{n}", f"text {n}\nof \u202emany", 0.5 + n / 100) for n in range(3)]
    answers = read_answers(write(tmp_path / "a.jsonl", *rows))
    chosen = Chosen(tmp_path / "out.jsonl")
    review = Review(answers, chosen, answers.labels, lambda item: item.pages)
    for number, label in enumerate(LABELS):
        review.choose(number, label)
    chosen.close()
    labelled = read_labelled(tmp_path / "out.jsonl", None, TASK)
    assert labelled.right == [0, 1, 2]
    assert labelled.texts == [PAGE_BREAK.join(item.pages) for item in answers.items]
