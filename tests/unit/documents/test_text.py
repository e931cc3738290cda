"""Cleaning: what goes is counted, what stays is untouched, and nothing unreadable gets through."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.documents.text import MAX_COMBINING_MARKS, clean_pages, clean_text, is_blank
from pinpoint.errors import DocumentError

KEPT = {
    "tab and line break": "a\tb\nc",
    "emoji with joiners": "family \U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
    "right-to-left": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "right-to-left override": "invoice \u202egpj.exe",
    "vietnamese, decomposed": "Tie\u0302\u0301ng Vie\u0323\u0302t",
    "template of a model": "[/INST] Sports </s>",
    "eight marks in a row": "e" + "\u0301" * MAX_COMBINING_MARKS,
    "no-break space": "1\u00a0000 EUR",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_kept(text: str) -> None:
    assert clean_text(text) == (text, [])


REMOVED = [
    ("\ufeffinvoice", "invoice", "removed 1 byte-order mark"),
    ("in\ufeffvo\ufeffice", "invoice", "removed 2 byte-order marks"),
    ("in\0vo\x07ice\x1b", "invoice", "removed 3 control characters"),
    ("invoice\x7f\x9f", "invoice", "removed 2 control characters"),
    ("invoice\U000e0001\U000e0041\U000e007f", "invoice", "removed 3 invisible tag characters"),
    ("in\ufffevo\ufdd5ice\U0010ffff", "invoice", "removed 3 noncharacters"),
    ("e" + "\u0301" * 1000 + "x", "e" + "\u0301" * 8 + "x", "removed 992 excess combining marks"),
    ("e" + "\u0301\u0489" * 5 + "x", "e" + "\u0301\u0489" * 4 + "x", "removed 2 excess combining marks"),
]


@pytest.mark.parametrize(("text", "clean", "warning"), REMOVED)
def test_removed_and_counted(text: str, clean: str, warning: str) -> None:
    assert clean_text(text) == (clean, [warning])


def test_each_kind_has_its_own_warning() -> None:
    assert clean_text("\ufeffa\0\U000e0041")[1] == [
        "removed 1 byte-order mark",
        "removed 1 control character",
        "removed 1 invisible tag character",
    ]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\f", "\v", "\x85", "\n"])
def test_every_line_end_becomes_one_line_feed_without_a_warning(end: str) -> None:
    assert clean_text(f"a{end}b") == ("a\nb", [])


@pytest.mark.parametrize(
    "text", ["", " \t\r\n\u3000", "\u200b\u200d\u2060\ufeff", "\0\x01\x1f", "\U000e0041", "\u00ad\u2028", "\ufe0f"]
)
def test_nothing_to_read(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        clean_text(text, "text")
    assert (caught.value.code, caught.value.field) == ("empty_text", "text")


@pytest.mark.parametrize("text", ["canary \ud800", "\udfff canary", "\udc00\ud800 canary"])
def test_a_lone_surrogate_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        clean_text(text, "text")
    assert (caught.value.code, caught.value.field) == ("invalid_unicode", "text")
    assert "canary" not in caught.value.wire()


def test_pages_add_up_their_warnings_and_keep_blank_ones() -> None:
    assert clean_pages(["a\0", "", "\0b\0"]) == (("a", "", "b"), ["removed 3 control characters"])


def test_a_page_at_fault_is_named() -> None:
    with pytest.raises(DocumentError) as caught:
        clean_pages(["a", "\ud800"], "documents[3].pages")
    assert (caught.value.code, caught.value.field) == ("invalid_unicode", "documents[3].pages[1]")


@pytest.mark.parametrize("pages", [[], [""], [" ", "\u200b"]])
def test_pages_without_anything_to_read(pages: list[str]) -> None:
    with pytest.raises(DocumentError) as caught:
        clean_pages(pages, "pages")
    assert (caught.value.code, caught.value.field) == ("empty_text", "pages")


ODD = st.characters(exclude_categories=["Cs"]) | st.sampled_from("\0\r\n\f\ufeff\u0301\u200b\U000e0041\uffff")


@given(st.text(ODD))
def test_clean_text_is_clean_and_cleaning_it_again_changes_nothing(text: str) -> None:
    try:
        clean, _ = clean_text(text)
    except DocumentError as error:
        assert error.code == "empty_text"
        return
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\ufeff\uffff\U000e0000-\U000e007f]", clean)
    assert not is_blank(clean)
    run = 0
    for character in clean:
        run = run + 1 if unicodedata.category(character).startswith("M") else 0
        assert run <= MAX_COMBINING_MARKS
    assert clean_text(clean) == (clean, [])


@given(st.text(st.sampled_from("ae\u0301\u0489\u0300\U0001d165 "), max_size=60))
def test_marks_are_bounded_as_a_class_of_all_of_them_bounds_them(text: str) -> None:
    marks = "\u0301\u0489\u0300\U0001d165"
    cleaned, _ = clean_text("x" + text)
    assert cleaned == re.sub(f"([{marks}]{{8}})[{marks}]+", r"\1", "x" + text)
