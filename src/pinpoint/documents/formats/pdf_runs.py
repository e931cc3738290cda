"""Runs of a PDF page's text: where each lies, as a person sees it, and what it says.

The library tells boxes of text in one call each, and letters one by one. The boxes are enough to see whether a page was
drawn in the order of reading; only where it was not are its letters asked for. Letters go with the object that draws
them, never with whatever box they lie in: boxes overlap where letters of a script are drawn one over the other.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pinpoint.documents.layout import Box
from pinpoint.documents.right_to_left import Letter

MOST_RUNS = 4_000  # of one page: a drawing in letters, whose order nobody reads
_ANGLE_SAMPLES = 12
_SAME_RUN_GAP = 0.8  # of a line's height; words are a third of it apart
_SMALL = 0.6  # of a line's height: a comma, a quote, a raised figure
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_SQUARES = "\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef"  # scripts that run down a page as well
_OF_SQUARES = re.compile(f"[{_SQUARES}]")
_BETWEEN_SQUARES = re.compile(f"(?<=[{_SQUARES}]) (?=[{_SQUARES}])")

Area = tuple[float, float, float, float]  # left, top, right, bottom in the page's units, the origin at the bottom left
Part = tuple[Area, str, list[Letter]]  # what one object draws: where, what, and its letters where asked for


@dataclass(slots=True)
class Run:
    """Text on one line without a wide gap.

    Attributes:
        area: where it lies.
        box: the same as it is seen.
        text: what it says, where asked for.
        letters: each with the room that its font gives it, of `texts` as it is seen; of pages with letters that run
            from right to left.
    """

    area: Area
    box: Box
    text: str = ""
    letters: list[Letter] = field(default_factory=list)


class Runs:
    """The runs of one page."""

    def __init__(self, text_page: Any, pdfium: Any, text: str) -> None:
        """Look at nothing yet.

        Args:
            text_page: of the library.
            pdfium: the library.
            text: what it says that the page says.
        """
        self._page, self._pdfium = text_page, pdfium
        self.right_to_left = _RIGHT_TO_LEFT.search(text) is not None
        squares = len(_OF_SQUARES.findall(text))
        alone = sum(1 for line in text.split("\n") if len(line.strip()) == 1 and _OF_SQUARES.match(line.strip()))
        self._squares_alone = alone > 3 and alone * 2 > squares  # each drawn by itself, below the one before
        self._squares = squares * 2 > len("".join(text.split())) or self._squares_alone
        self._down = False

    def boxes(self) -> list[Box]:
        """Boxes of the runs, in the order in which they are drawn."""
        areas = list(self._drawn())
        return [run.box for run in self._joined([(area, "", []) for area in areas], self._turned(areas))]

    def texts(self) -> list[Run]:
        """The runs with what they say."""
        spoken = list(self._spoken())
        turned = self._turned([area for area, _, _ in spoken])
        runs = self._joined(spoken, turned)
        for run in runs:
            run.letters = [(letter, _seen(area, turned)) for letter, area in run.letters]
        return runs

    def _drawn(self) -> Iterator[Area]:
        left, top, right, bottom = (ctypes.c_double() for _ in range(4))
        places = tuple(map(ctypes.byref, (left, top, right, bottom)))
        for index in range(self._pdfium.FPDFText_CountRects(self._page, 0, -1)):
            self._pdfium.FPDFText_GetRect(self._page, index, *places)
            yield (left.value, top.value, right.value, bottom.value)

    def _spoken(self) -> Iterator[Part]:
        """For each object that draws text its box and its letters, with a space before them where there is one."""
        pdfium, page = self._pdfium, self._page
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        places = tuple(map(ctypes.byref, (left, right, bottom, top)))
        drawer, area, letters, gap = 0, None, list[str](), ""
        placed, room = list[Letter](), pdfium.FS_RECTF()
        for index in range(pdfium.FPDFText_CountChars(page)):
            if pdfium.FPDFText_IsGenerated(page, index) == 1:
                gap = " "
                continue
            letter = _letter(pdfium.FPDFText_GetUnicode(page, index))
            by = ctypes.cast(pdfium.FPDFText_GetTextObject(page, index), ctypes.c_void_p).value or 0
            pdfium.FPDFText_GetCharBox(page, index, *places)
            drawn = right.value - left.value > 0.001 and top.value - bottom.value > 0.001
            if by != drawer and area is not None and (drawn or gap):
                yield area, "".join(letters), placed
                area, letters, placed = None, [], []
            drawer = by
            letters.append(gap + letter)
            gap = ""
            if drawn:
                one = (left.value, top.value, right.value, bottom.value)
                area = one if area is None else _around(area, one)
            if self.right_to_left and by and pdfium.FPDFText_GetLooseCharBox(page, index, ctypes.byref(room)):
                placed.append((letter, (room.left, room.top, room.right, room.bottom)))
        if area is not None:
            yield area, "".join(letters), placed

    def _joined(self, parts: list[Part], turned: int) -> list[Run]:
        """Parts that go on where the one before ends are one run."""
        runs = self._once(parts, turned)
        if self.right_to_left:  # a number in it runs from left to right: its figures are one first
            runs = self._once([(run.area, run.text, run.letters) for run in runs], turned)
        if self._down:
            for run in runs:
                run.text = _BETWEEN_SQUARES.sub("", run.text)
        return runs

    def _once(self, parts: list[Part], turned: int) -> list[Run]:
        runs = list[Run]()
        for area, text, letters in parts:
            box = _seen(area, turned)
            if runs and self._are_one(runs[-1], area, box):
                last = runs[-1]
                last.area = _around(last.area, area)
                last.box = _seen(last.area, turned)
                last.text += text
                last.letters = [*last.letters, *letters] if letters else last.letters
            elif len(runs) > MOST_RUNS:
                break
            else:
                runs.append(Run(area, box, text, letters))
        return runs

    def _are_one(self, before: Run, area: Area, box: Box) -> bool:
        if goes_on(before.box, box):
            return True
        if self.right_to_left:
            return goes_on(_mirrored(before.box), _mirrored(box))
        # A page number in figures stands on a page whose lines run down.
        widest = max(before.area[2] - before.area[0], area[2] - area[0])
        low = max(before.area[1] - before.area[3], area[1] - area[3]) < 2.5 * widest
        return self._down and low and goes_on(_seen(before.area, 0), _seen(area, 0))

    def _turned(self, areas: list[Area]) -> int:
        """By how many degrees, clockwise, most of the text is turned in the page's own directions."""
        pdfium, page = self._pdfium, self._page
        count = pdfium.FPDFText_CountChars(page)
        angles = list[int]()
        for index in range(0, count, max(1, count // _ANGLE_SAMPLES)):
            angle = pdfium.FPDFText_GetCharAngle(page, index)
            if angle >= 0:
                angles.append(round(angle * 57.29578 / 90) % 4 * 90)
        turned = max(set(angles), key=angles.count) if angles else 0
        # Lines that run down, the first at the right, are read like a page that lies on its side.
        self._down = turned == 0 and self._squares and (self._squares_alone or _run_down(areas))
        return 90 if self._down else turned


def goes_on(one: Box, other: Box) -> bool:
    """Whether the other box goes on where the one ends, as letters and words of a line do."""
    heights = (one[3] - one[1], other[3] - other[1])
    common = min(one[3], other[3]) - max(one[1], other[1])
    taller = max(heights)
    # A comma hangs below the letters, and a quote above them.
    beside = common > 0.5 * min(heights) or (min(heights) < _SMALL * taller and common > -0.1 * taller)
    return beside and -0.5 * taller < other[0] - one[2] < _SAME_RUN_GAP * taller


def _run_down(areas: list[Area]) -> bool:
    """Whether most of the text runs down the page: boxes higher than wide, or letters each below the one before."""
    down = across = 0
    for number, (left, top, right, bottom) in enumerate(areas):
        width, height = right - left, top - bottom
        if max(width, height) > 1.8 * min(width, height):
            down, across = down + (height > width), across + (width > height)
        elif number:
            before = areas[number - 1]
            beside = min(right, before[2]) - max(left, before[0])
            if beside > 0.5 * width and 0 <= before[3] - top < 0.6 * height:
                down += 1
            elif 0 <= left - before[2] < width:
                across += 1
    return down > across


def _letter(code: int) -> str:
    if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        return "\ufffd"
    return chr(code)


def _around(one: Area, other: Area) -> Area:
    return min(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2]), min(one[3], other[3])


def _mirrored(box: Box) -> Box:
    return -box[2], box[1], -box[0], box[3]


def _seen(area: Area, turned: int) -> Box:
    """A box as it is seen: upright, with the origin at the top left."""
    x0, y1, x1, y0 = area
    if turned == 0:
        return (x0, -y1, x1, -y0)
    if turned == 270:  # the text runs upwards
        return (y0, x0, y1, x1)
    return (-x1, y0, -x0, y1) if turned == 180 else (-y1, -x1, -y0, -x0)
