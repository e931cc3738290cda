"""Lines with words that run from right to left, whatever the order in which a file draws their letters."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.documents import right_to_left
from pinpoint.documents.extract import extract
from pinpoint.documents.file_limits import FileLimits
from tests.reference.lines_seen import HEIGHT, WIDTH, is_hebrew, seen
from tests.unit.documents.test_documents_kinds import drawn

HEBREW = st.text("\u05d0\u05d1\u05d2\u05d3\u05e9\u05ea", min_size=1, max_size=5)
LATIN = st.text("abcXYZ", min_size=1, max_size=5)
NUMBER = st.text("0123456789", min_size=1, max_size=5)


def is_told_apart(words: list[str], from_right: bool) -> bool:
    """Whether no other line looks the same: a number beside a block that runs against the line may be of it or not."""
    pairs = list(itertools.pairwise(words))
    if from_right:
        return any(map(is_hebrew, words)) and not any(
            a.isdigit() and b.isalpha() and not is_hebrew(b) for a, b in pairs
        )
    return not any(word.isdigit() for word in words)


@given(st.lists(st.one_of(HEBREW, LATIN, NUMBER), min_size=1, max_size=7), st.booleans(), st.randoms())
def test_right_to_left_line_is_read_from_where_its_letters_stand(
    words: list[str], from_right: bool, rng: random.Random
) -> None:
    letters = seen(words, from_right)
    rng.shuffle(letters)
    latin = sum(len(word) for word in words if word.isalpha() and not is_hebrew(word))
    hebrew = sum(len(word) for word in words if is_hebrew(word))
    if not is_told_apart(words, from_right) or (not from_right and hebrew > latin):
        return
    assert right_to_left.line(letters, " | ", page_from_right=from_right) == " ".join(words)


@pytest.mark.parametrize(
    ("as_seen", "told"),
    [
        ("€99.50 :םולש", "שלום: €99.50"),
        ("12/05/2026 םולש", "שלום 12/05/2026"),
        ("20% םולש", "שלום 20%"),
        ("-5 םולש", "שלום 5-"),  # as it would be typed: the sign stands behind
        ("םולש (ab cd) םולש", "שלום )ab cd( שלום"),
    ],
)
def test_right_to_left_numbers_keep_their_signs(as_seen: str, told: str) -> None:
    assert right_to_left.read(as_seen, from_right=True) == told


def test_right_to_left_hebrew_and_numbers_in_a_latin_line() -> None:
    assert right_to_left.read("See םולש 77 גחל page", from_right=False) == "See לחג 77 שלום page"


def box(place: int, height: float = HEIGHT) -> tuple[float, float, float, float]:
    return (place * WIDTH, 0.0, (place + 1) * WIDTH, height)


def test_right_to_left_letters_of_one_glyph_marks_and_cells() -> None:
    # Lam and alef are one glyph, in either order; of three and more the library has turned the order round.
    assert right_to_left.line([("خ", box(2)), ("ا", box(1)), ("ل", box(1)), ("ل", box(0))], "") == "خلال"
    assert right_to_left.line([(letter, box(0)) for letter in "يبيبَح"], "") == "حَبيبي"
    assert right_to_left.line([("\u05b8", box(1, 2)), ("ש", box(1)), ("ל", box(0))], "") == "שָל"
    marked = [("\u05b8", box(n, 2)) for n in range(20_000)] + [("ש", box(n)) for n in range(20_000)]
    assert right_to_left.line(marked, "") == "ש\u05b8" * 20_000  # in no time that grows with the square
    cells = [("א", box(20)), ("ב", box(19)), ("1", box(8)), ("2", box(9)), ("ג", box(0))]
    assert right_to_left.line(cells, " | ") == "אב | 12 | ג"
    assert right_to_left.line([("1", box(0)), ("2", box(9))], " | ", page_from_right=True) == "2 | 1"
    assert right_to_left.line([("1", box(0)), ("2", box(9))], " | ", page_from_right=False) == "1 | 2"
    assert right_to_left.line([], " | ") == ""


def test_right_to_left_words_of_a_page_drawn_in_either_direction() -> None:
    pieces, x, words = list[tuple[float, float, str]](), 400.0, ["שלום", "לחג", "שמח", "לכם"]
    for number, word in enumerate(words):
        places = [(x - 7.2 * place, 120.0, letter) for place, letter in enumerate(word)]
        pieces += places[::-1] if number % 2 else places
        x -= 7.2 * len(word) + 5
    for letters in (pieces, sorted(pieces), sorted(pieces, reverse=True)):
        (page,) = extract(drawn([*letters, (60, 160, "Total")]), "", "", FileLimits()).pages
        assert page.text == " ".join(words) + "\nTotal"
