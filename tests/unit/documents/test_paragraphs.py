"""Paragraphs cover their text and part it where the text itself does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.documents.paragraphs import paragraphs
from pinpoint.documents.text import is_blank

texts = st.text("ab.\n \t!。\u200b", max_size=60)


@given(texts)
def test_paragraphs_are_the_whole_text_and_none_is_blank(text: str) -> None:
    runs = paragraphs(text, 3)
    assert "".join(text[run.start : run.end] for run in runs) == ("" if is_blank(text) else text)
    assert all(run.page == 3 and not is_blank(text[run.start : run.end]) for run in runs)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a\n\nb\n \nc", ["a\n\n", "b\n \n", "c"]),
        ("a\n\nb\nc\nd", ["a\n\n", "b\n", "c\n", "d"]),  # two blocks alone would say little
        ("one\ntwo\nthree", ["one\n", "two\n", "three"]),
        ("One. Two! Three?", ["One. ", "Two! ", "Three?"]),
        ("一。二。三", ["一。", "二。", "三"]),
        ("\n\n  one line alone  \n\n", ["\n\n  one line alone  \n\n"]),
        (" \n\u200b", []),
    ],
)
def test_what_parts_a_text(text: str, parts: list[str]) -> None:
    assert [text[run.start : run.end] for run in paragraphs(text)] == parts
