"""The order in which a person reads a page: columns one after the other, rows of a table from left to right.

A recursive cut (X-Y cut, Nagy and Seth 1984). A page is cut at a gutter between two columns of prose, else at its
bands of white, and what cannot be cut is read row by row. A gutter in a table is none: there the text beside it is
short, and its rows belong together.

Boxes are (left, top, right, bottom) with the origin at the top left, in any unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

Box = tuple[float, float, float, float]

# In heights of a line, of which half is about the width of a letter.
_GUTTER = 0.8
_BAND = 0.9
_PROSE_WIDTH = 11  # a column narrower than some 22 letters is one of a table
_PROSE_FILL = 0.6  # of a column's width that a line of prose fills
_COLUMN_ROWS = 3
_MAX_DEPTH = 30
_CELL_GAP = 1.6


def reading_rows(boxes: Sequence[Box]) -> list[list[int]]:
    """The rows of a page in the order of reading, each the indices of its boxes from left to right."""
    if not boxes:
        return []
    height = median(max(box[3] - box[1], 0.1) for box in boxes)
    return _cut(boxes, list(range(len(boxes))), height, _MAX_DEPTH)


def is_in_order(rows: Sequence[Sequence[int]]) -> bool:
    """Whether the boxes came in this order already."""
    expected = 0
    for row in rows:
        for index in row:
            if index != expected:
                return False
            expected += 1
    return True


def spaced(boxes: Sequence[Box], row: Sequence[int], texts: Sequence[str], cell_break: str) -> str:
    """The texts of a row on one line: a wide gap is that between two cells."""
    if sum(_runs_right_to_left(texts[index]) for index in row) * 2 > len(row):
        row = row[::-1]
    line, before = "", None
    for index in row:
        text = texts[index].strip()
        if not text:
            continue
        if before is not None:
            one, other = boxes[before], boxes[index]
            gap = max(other[0] - one[2], one[0] - other[2])
            height = min(one[3] - one[1], other[3] - other[1])
            line += cell_break if gap > _CELL_GAP * height else " " if gap > 0.12 * height else ""
        line += text
        before = index
    return line


def _runs_right_to_left(text: str) -> bool:
    return any("\u0590" <= character <= "\u08ff" or "\ufb1d" <= character <= "\ufefc" for character in text)


def _cut(boxes: Sequence[Box], members: list[int], height: float, depth: int) -> list[list[int]]:
    if depth and len(members) > _COLUMN_ROWS:
        place = _gutter(boxes, members, height)
        if place is not None:
            left = [index for index in members if boxes[index][2] <= place]
            right = [index for index in members if boxes[index][2] > place]
            return _cut(boxes, left, height, depth - 1) + _cut(boxes, right, height, depth - 1)
        bands = _bands(boxes, members, height)
        if len(bands) > 1:
            return [row for band in bands for row in _cut(boxes, band, height, depth - 1)]
    return _rows(boxes, members, height)


def _gutter(boxes: Sequence[Box], members: Sequence[int], height: float) -> float | None:
    """Where a column ends and another one begins, or None."""
    inside = sorted(members, key=lambda index: boxes[index][0])
    reach, found = boxes[inside[0]][2], None
    widest = _GUTTER * height
    for index in inside[1:]:
        gap = boxes[index][0] - reach
        if gap > widest:
            place = reach + gap / 2
            left = [one for one in members if boxes[one][2] <= place]
            right = [one for one in members if boxes[one][2] > place]
            if _is_column(boxes, left, height) and _is_column(boxes, right, height):
                widest, found = gap, place
        reach = max(reach, boxes[index][2])
    return found


def _is_column(boxes: Sequence[Box], members: Sequence[int], height: float) -> bool:
    """Whether it is text that runs from line to line."""
    rows = _rows(boxes, members, height)
    if len(rows) < _COLUMN_ROWS:
        return False
    width = max(boxes[index][2] for index in members) - min(boxes[index][0] for index in members)
    if width < _PROSE_WIDTH * height:
        return False
    filled = [sum(boxes[index][2] - boxes[index][0] for index in row) / width for row in rows]
    return sum(one >= _PROSE_FILL for one in filled) * 2 >= len(rows)


def _bands(boxes: Sequence[Box], members: Sequence[int], height: float) -> list[list[int]]:
    """The members between stretches of white that go all across."""
    bands, reach = list[list[int]](), float("-inf")
    for index in sorted(members, key=lambda index: boxes[index][1]):
        if not bands or boxes[index][1] - reach > _BAND * height:
            bands.append([])
        bands[-1].append(index)
        reach = max(reach, boxes[index][3])
    # In the order in which they came, so that rows of equal place stay as they were.
    return [sorted(band) for band in bands]


def _rows(boxes: Sequence[Box], members: Sequence[int], height: float) -> list[list[int]]:
    """Members on one line, from top to bottom and from left to right."""
    rows, place, lead = list[list[int]](), 0.0, 0.0
    for index in sorted(members, key=lambda index: (boxes[index][1] + boxes[index][3], boxes[index][0])):
        _, top, _, bottom = boxes[index]
        middle = (top + bottom) / 2
        if rows and abs(middle - place) <= 0.45 * max(lead, min(bottom - top, height)):
            rows[-1].append(index)
        else:
            rows.append([index])
            place, lead = middle, min(bottom - top, 2 * height)
    return [sorted(row, key=lambda index: boxes[index][0]) for row in rows]
