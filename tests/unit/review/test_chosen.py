"""What was chosen is on the disk line by line, survives a crash, and is taken back from its end."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pinpoint.errors import PinpointError
from pinpoint.review.chosen import Chosen


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_choices_are_lines_and_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    chosen = Chosen(path)
    chosen.add("a", "größe", {"text": "one\ntwo"})
    chosen.add("b", "x", {"text": "…"})
    assert lines(path) == [
        {"id": "a", "text": "one\ntwo", "label": "größe"},
        {"id": "b", "text": "…", "label": "x"},
    ]
    chosen.close()
    again = Chosen(path)
    assert again.labels == {"a": "größe", "b": "x"} and again.last == "b"
    assert again.undo() == "b" and [line["id"] for line in lines(path)] == ["a"]
    again.add("c", "y", {})
    assert [line["id"] for line in lines(path)] == ["a", "c"]
    assert [again.undo(), again.undo(), again.undo()] == ["c", "a", None]
    assert path.read_bytes() == b"" and oct(path.stat().st_mode & 0o777) == "0o600"
    again.close()


def test_a_choice_is_synced_once_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, synced = Chosen(tmp_path / "out.jsonl"), list[bytes]()
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(chosen.path.read_bytes()))
    chosen.add("a", "x", {})
    chosen.undo()
    assert synced == [b'{"id": "a", "label": "x"}\n', b""]
    chosen.close()


def test_a_line_that_a_crash_cut_short_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"id": "a", "label": "x"}\n{"id": "b", "la')
    chosen = Chosen(path)
    assert chosen.labels == {"a": "x"}
    chosen.add("c", "y", {})
    assert [line["id"] for line in lines(path)] == ["a", "c"]
    chosen.close()


def test_a_disk_that_is_full_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Chosen(tmp_path / "out.jsonl")
    chosen.add("a", "x", {})
    before = chosen.path.read_bytes()
    write = os.write

    def half(file: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(28, "No space left on device")
        return write(file, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space"):
        chosen.add("b", "y" * 50, {})
    assert chosen.path.read_bytes() == before and chosen.labels == {"a": "x"}
    monkeypatch.undo()
    assert chosen.undo() == "a"
    chosen.close()


def test_one_review_at_a_time_has_the_file(tmp_path: Path) -> None:
    first = Chosen(tmp_path / "out.jsonl")
    with pytest.raises(PinpointError, match="another review"):
        Chosen(tmp_path / "out.jsonl")
    first.close()
    Chosen(tmp_path / "out.jsonl").close()


@pytest.mark.parametrize("content", ["text,label\n", '{"id": "a"}\n', "[1]\n", '{"id": "a", "label": "x"}\n' * 2])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PinpointError) as caught:
        Chosen(path)
    assert caught.value.code == "cannot_write" and path.read_text(encoding="utf-8") == content


def test_of_sets_every_choice_is_a_list_and_no_file_holds_both(tmp_path: Path) -> None:
    path = tmp_path / "sets.jsonl"
    chosen = Chosen(path, several=True)
    for key, labels in (("a", ["x", "größe"]), ("b", [])):
        chosen.add(key, labels, {})
    chosen.close()
    assert [line["label"] for line in lines(path)] == [["x", "größe"], []]
    again = Chosen(path, several=True)
    assert again.labels == {"a": ["x", "größe"], "b": []}
    again.close()
    with pytest.raises(PinpointError, match="holds sets of labels"):
        Chosen(path)
    single = tmp_path / "one.jsonl"
    single.write_text('{"id": "a", "label": "x"}\n', encoding="utf-8")
    with pytest.raises(PinpointError, match="holds one label of each document"):
        Chosen(single, several=True)
    assert single.read_text(encoding="utf-8") == '{"id": "a", "label": "x"}\n'


@pytest.mark.parametrize("label", ["3", '["x", 3]', "null", '{"x": 1}'])
def test_what_is_neither_a_label_nor_a_list_of_them_is_no_choice(tmp_path: Path, label: str) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text('{"id": "a", "label": ' + label + "}\n", encoding="utf-8")
    for several in (False, True):
        with pytest.raises(PinpointError, match="holds something else"):
            Chosen(path, several=several)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PinpointError) as caught:
        Chosen(tmp_path / "none" / "out.jsonl")
    assert caught.value.code == "cannot_write"
