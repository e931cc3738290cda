"""Answers of every kind become documents to look at, the unsure first; what is none is refused with its line."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from pinpoint.errors import PinpointError
from pinpoint.review.items import read_answers
from tests.unit.review.answers import answer, result, write

SCORES = '{"id": "a", "text": "x", "answers": {"t": {"labels": ["x"], "scores": [%s]}}}\n'
PAGES = '{"text": "x", "segments": [{"pages": [0, %s], "answers": {"t": {"labels": ["x"], "scores": [1]}}}]}\n'


def keys(path: Path, **more: Any) -> list[str]:
    return [item.key for item in read_answers(path, **more).items]


def test_those_not_accepted_come_first_then_the_closest(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        result("sure", "a", 0.99),
        result("close", "b", 0.4),
        result("review", "c", 0.9, decision="review"),
        result("abstains", "d", 0.5, decision="abstain", label=None),
        result("calibrated", "e", 0.99, confidence=0.1),
    )
    assert keys(path) == ["abstains", "review", "calibrated", "close", "sure"]


def test_drawn_at_random_is_the_same_at_every_start_and_blind_to_the_answers(tmp_path: Path) -> None:
    rows = [result(f"d{n}", "x", 0.3 + n / 100) for n in range(40)]
    first = keys(write(tmp_path / "a.jsonl", *rows), order="random")
    sure = [result(row["id"], "x", 0.9) for row in rows[::-1]]
    assert keys(write(tmp_path / "b.jsonl", *sure), order="random") == first
    # Of numbers that are drawn, the first twenty have a sum within this of its mean but once in a thousand times.
    assert abs(sum(int(key[1:]) for key in first[:20]) - 390) < 122


def test_what_each_command_writes_is_taken(tmp_path: Path) -> None:
    classified = {"file": "in/a.pdf", "status": "ok", "answers": {"category": answer()}}
    evaluated = {"id": "line 7", "text": "as it came", "task": "kind", "truth": "letter", "answer": answer()}
    split = {
        "file": "in/b.pdf",
        "answers": {"category": answer()},
        "segments": [{"pages": pages, "answers": {"category": answer()}} for pages in ([0, 0], [1, 3])],
    }  # fmt: skip
    found = read_answers(write(tmp_path / "c.jsonl", classified, split))
    assert [(item.key, item.file, item.shown) for item in found.items] == [
        ("in/a.pdf", "in/a.pdf", None),
        ("in/b.pdf pages 1-1", "in/b.pdf", (0, 0)),
        ("in/b.pdf pages 2-4", "in/b.pdf", (1, 3)),
    ]
    found = read_answers(write(tmp_path / "e.jsonl", evaluated))
    (item,) = found.items
    assert (item.key, item.pages, item.truth, found.task) == ("line 7", ("as it came",), "letter", "kind")
    assert "letter" in found.labels


def test_a_response_is_joined_with_what_was_sent(tmp_path: Path) -> None:
    output = {"output": {"results": [result("a", None), result("b", None)]}}
    path = tmp_path / "response.json"
    path.write_text(json.dumps(output, indent=2), encoding="utf-8")  # over many lines
    sent = write(
        tmp_path / "sent.jsonl", {"input": {"documents": [{"id": "b", "pages": ["1", "2"]}, {"id": "a", "text": "x"}]}}
    )
    items = read_answers(path, sent).items
    assert {item.key: item.pages for item in items} == {"a": ("x",), "b": ("1", "2")}
    with pytest.raises(PinpointError, match="--documents"):
        read_answers(path)


def test_results_of_a_bulk_run_find_their_files_and_tables(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    path = write(tmp_path / "results.jsonl", result(str(tmp_path / "a.txt"), None))
    assert read_answers(path).items[0].file == str(tmp_path / "a.txt")
    table = tmp_path / "sent.csv"
    table.write_text('id,text\nrow,"one\n\ntwo"\n', encoding="utf-8-sig")
    path = write(tmp_path / "rows.jsonl", result("row", None))
    assert read_answers(path, table).items[0].pages == ("one\n\ntwo",)
    table.write_bytes(b"id,text\nrow,\xff\n")
    with pytest.raises(PinpointError, match="not UTF-8"):
        read_answers(path, table)
    with pytest.raises(PinpointError, match="cannot be read as a table"):
        read_answers(path, tmp_path / "none.csv")


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t")])
def test_a_table_of_long_texts_is_taken_with_whatever_separates_them(tmp_path: Path, name: str, separator: str) -> None:
    limit = csv.field_size_limit()
    text = "a, b; c\td " * 20_000  # longer than a cell that csv takes by itself
    table = tmp_path / name
    table.write_text(f'id{separator}text{separator}n\nrow{separator}"{text}"{separator}1\n', encoding="utf-8")
    assert read_answers(write(tmp_path / "rows.jsonl", result("row", None)), table).items[0].pages == (text,)
    assert csv.field_size_limit() == limit


def test_of_several_tasks_one_is_named(tmp_path: Path) -> None:
    both = {"id": "a", "text": "x", "answers": {"kind": answer(0.9), "tone": answer(0.4)}}
    path = write(tmp_path / "a.jsonl", both)
    with pytest.raises(PinpointError, match="kind, tone"):
        read_answers(path)
    assert read_answers(path, task="tone").items[0].scores[0] == 0.4
    with pytest.raises(PinpointError, match="'other'"):
        read_answers(path, task="other")


NONE_LIKELY: dict[str, Any] = {"label": None, "decision": "abstain", "reasons": ["no_label_reached_threshold"]}


TRUTH = {"id": "b", "text": "x", "task": "category", "truth": ["receipt"], "answer": answer()}


@pytest.mark.parametrize(
    "more", [{"chosen": []}, {"scores": [0.9, 0.8, 0.1]}, NONE_LIKELY, None], ids=["chosen", "sum", "none", "truth"]
)
def test_one_answer_that_is_a_set_says_that_all_of_them_are(tmp_path: Path, more: dict[str, Any] | None) -> None:
    several = TRUTH if more is None else {"id": "b", "text": "x", "answers": {"category": {**answer(), **more}}}
    path = write(tmp_path / "a.jsonl", result("a", "1"), several)
    assert read_answers(path).several
    assert not read_answers(write(tmp_path / "b.jsonl", result("a", "1"))).several
    assert read_answers(tmp_path / "b.jsonl", several=True).several
    with pytest.raises(PinpointError, match="sets of labels"):
        read_answers(path, several=False)


def test_of_sets_the_members_are_known_and_the_closest_calls_come_first(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        result("none", "x", **NONE_LIKELY, scores=[0.1, 0.05, 0.02]),
        result("close", "x", scores=[0.9, 0.55, 0.1]),
        result("sure", "x", scores=[0.99, 0.97, 0.01]),
        result("taught", "x", scores=[0.9, 0.8, 0.1], confidence=0.02, chosen=["invoice", "deed"]),
        result("review", "x", scores=[0.99, 0.98, 0.01], decision="review", reasons=["low_label_mass"]),
    )
    found = read_answers(path)
    assert [item.key for item in found.items] == ["review", "taught", "close", "none", "sure"]
    members = {item.key: item.members for item in found.items}
    assert members["close"] == ["invoice", "receipt"] and members["none"] == []
    assert members["taught"] == ["invoice", "deed"] and "deed" in found.labels


def test_documents_of_one_name_stay_apart_and_failed_ones_are_counted(tmp_path: Path) -> None:
    failed = {"file": "x", "status": "error", "error": {"code": "empty_file", "message": "…"}}
    path = write(tmp_path / "a.jsonl", result("a", "1"), failed, result("a", "2"))
    found = read_answers(path)
    assert sorted(item.key for item in found.items) == ["a", "a (2)"] and found.failed == 1


@pytest.mark.parametrize("order", [["a", "a (2)", "a"], ["a", "a", "a (2)"], ["a (2)", "a", "a", "a"]])
def test_no_two_documents_have_one_key_whatever_their_ids_are(tmp_path: Path, order: list[str]) -> None:
    found = keys(write(tmp_path / "a.jsonl", *(result(name, str(n)) for n, name in enumerate(order))))
    assert len(set(found)) == len(order) and set(order) <= set(found)


def test_figures_that_no_float_holds_do_not_count_for_the_order(tmp_path: Path) -> None:
    odd = [10**400, float("nan"), float("inf"), True, "0.9"]
    rows = [result(str(n), "x", 0.2 + n / 10, confidence=value, margin=value) for n, value in enumerate(odd)]
    assert keys(write(tmp_path / "a.jsonl", *rows[::-1])) == ["0", "1", "2", "3", "4"]


def test_a_last_line_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", result("a", "1"))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"id": "b", "te')
    assert keys(path) == ["a"]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("", "invalid_line", "no answer to look at"),
        ('{"id": "a"}\n', "invalid_line", "line 1 has no `answers`"),
        ('{"id": "a", "answers": {"t": {"labels": ["x"], "scores": []}}, "text": ""}\n', "invalid_line", "line 1"),
        ('{"id": "a", "answers": {"t": {"labels": ["x"], "scores": ["y"]}}, "text": ""}\n', "invalid_line", "line 1"),
        ("[1]\n", "invalid_line", "line 1 is no object"),
        ("not JSON\n", "invalid_line", "line 1 is no JSON"),
        ('{"id": "a", "text": "x", "segments": [3]}\n', "invalid_line", "segment"),
        (PAGES % "Infinity", "invalid_line", "line 1 has a segment"),
        (PAGES % "NaN", "invalid_line", "line 1 has a segment"),
        (PAGES % ("9" * 4300), "invalid_line", "line 1 has a segment"),
        (SCORES % "NaN", "invalid_line", "line 1 has an answer without"),
        (SCORES % ("1" + "0" * 400), "invalid_line", "line 1 has an answer without"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_line(tmp_path: Path, content: str, code: str, words: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PinpointError, match=words) as caught:
        read_answers(path)
    assert caught.value.code == code


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(PinpointError) as caught:
        read_answers(tmp_path / "none")
    assert caught.value.code == "unreadable_file"
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PinpointError) as caught:
        read_answers(tmp_path / "bytes")
    assert caught.value.code == "invalid_encoding"
