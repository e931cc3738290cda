"""A text in pieces: nothing lost, evidence where it was told, and no character that moves or hides others."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinpoint.review.shown import MOST_CHARS, MOST_PAGES, shown_pages

spans = st.lists(st.tuples(st.integers(-3, 40), st.integers(-3, 40), st.floats(-5, 5)), max_size=5)


def pieces(text: str, *evidence: dict[str, Any]) -> list[dict[str, Any]]:
    (page,) = shown_pages([text], 0, evidence)["pages"]
    found: list[dict[str, Any]] = page["pieces"]
    return found


@example("aaa", [(0, 3, 1.0), (1, 2, 1.0), (2, 3, 1.0)])
@given(st.text("ab \n\t\u202e\u200b\x00\U0001f600", max_size=40), spans)
def test_pieces_are_the_text(text: str, told: list[tuple[int, int, float]]) -> None:
    evidence = [{"page": 0, "start": start, "end": end, "change": change} for start, end, change in told]
    found = pieces(text, *evidence)
    assert "".join(chr(int(one["text"][2:], 16)) if one.get("hidden") else one["text"] for one in found) == text
    shown = "".join(one["text"] for one in found)
    assert not set(shown) & set("\u202e\u200b\x00")


def test_evidence_is_where_it_was_told_by_characters() -> None:
    text = "\U0001f600\U0001f600 total due"
    assert pieces(text, {"page": 0, "start": 3, "end": 8, "change": 1.23456}) == [
        {"text": "\U0001f600\U0001f600 "},
        {"text": "total", "change": 1.235},
        {"text": " due"},
    ]


def test_evidence_over_the_end_of_a_page_is_on_both() -> None:
    told = {"page": 4, "start": 2, "end": 1, "end_page": 5, "change": -1.0}
    first, second = shown_pages(["abc", "def"], 4, [told])["pages"]
    assert (first["page"], first["pieces"]) == (4, [{"text": "ab"}, {"text": "c", "change": -1.0}])
    assert (second["page"], second["pieces"]) == (5, [{"text": "d", "change": -1.0}, {"text": "ef"}])


@pytest.mark.parametrize(
    "told", [{}, {"page": "0"}, {"page": 0, "change": "x"}, {"page": 0, "start": 2, "end": 1, "change": 1}]
)
def test_evidence_that_is_none_is_passed_over(told: dict[str, Any]) -> None:
    assert pieces("abc", told) == [{"text": "abc"}]


def test_joiners_stay_and_what_hides_is_named() -> None:
    assert pieces("\U0001f469\u200d\U0001f680")[0]["text"] == "\U0001f469\u200d\U0001f680"
    assert pieces("a\u202eb") == [{"text": "a"}, {"text": "U+202E", "hidden": True}, {"text": "b"}]


def test_a_huge_document_is_shown_in_part_and_says_so() -> None:
    told = shown_pages(["x" * (MOST_CHARS - 5), "y" * 10, "z"], 0, [])
    assert (len(told["pages"]), told["chars"], told["chars_shown"]) == (2, MOST_CHARS + 6, MOST_CHARS)
    assert len(shown_pages(["p"] * 1000, 0, [])["pages"]) == MOST_PAGES
