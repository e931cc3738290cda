"""Lines of a page that was photographed, turned level and looked at again where they are low."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.documents.layout import reading_rows
from pinpoint.documents.slant import Corners, closer, slant, upright

ROWS = [[(0, 0, 200, 20), (400, 0, 500, 20)], [(0, 40, 180, 60), (400, 40, 500, 60)], [(0, 80, 220, 100)]]
LEVEL = [box for row in ROWS for box in row]


def turned(box: tuple[float, float, float, float], degrees: float) -> Corners:
    left, top, right, bottom = box
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(x * c - y * s, x * s + y * c) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]


@given(st.floats(-44, 44))
def test_documents_lines_that_slant_are_read_in_the_rows_that_they_stand_in(degrees: float) -> None:
    lines = [turned(box, degrees) for box in LEVEL]
    assert slant(lines) == pytest.approx(math.radians(degrees), abs=1e-9)
    assert reading_rows(upright(lines)) == [[0, 1], [2, 3], [4]]


def test_documents_page_that_stands_level_stays_as_it_is() -> None:
    lines = [turned(box, 0.2) for box in LEVEL]
    boxes = [(min(x for x, _ in one), min(y for _, y in one)) for one in lines]
    assert [box[:2] for box in upright(lines)] == boxes
    # A stamp across it, and letters that are as high as wide, turn no page.
    stamped = [turned(box, 0) for box in LEVEL] + [turned((0, 0, 150, 30), 40), turned((0, 0, 20, 20), 10)]
    assert slant(stamped) == 0
    assert slant([]) == 0 and upright([]) == []


def test_documents_low_lines_are_looked_at_again_where_that_makes_them_larger() -> None:
    lines = [turned((1000, 1000 + 30 * number, 1400, 1018 + 30 * number), 0) for number in range(9)]
    # Of a large picture: cut out and left as large as it was taken, or larger.
    found = closer(lines, 4000, 3000, 2000)
    assert found is not None
    assert found[0] == (964.0, 964.0, 1436.0, 1294.0)
    assert found[1] == pytest.approx(40 / 18)
    # No side grows beyond what is looked at, and what would hardly grow is left.
    wide = [*lines, turned((40, 2900, 3900, 2918), 0)]
    assert closer(wide, 4000, 3000, 2000) is None
    high = [turned((1000, 1000 + 90 * number, 1400, 1060 + 90 * number), 0) for number in range(9)]
    assert closer(high, 4000, 3000, 2000) is None
    assert closer([], 4000, 3000, 2000) is None
    assert closer(lines, 1900, 1500, 2000) is None
