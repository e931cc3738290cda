"""What lies on a page of a PDF beside its words: pictures, drawings, and words that nobody sees."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pinpoint.documents.visible import counted

if TYPE_CHECKING:
    import pypdfium2

_INVISIBLE = 3  # the render mode of text that is drawn neither filled nor stroked
_WHITE = 250  # of 255, all three colours
_MOST_OBJECTS = 20_000  # of one page, forms in it included
_MAX_DEPTH = 4
_MARGIN = 0.43  # of the page's height from its middle to the edge that headers and stamps stand in
_FEW_TEXTS = 300  # pieces on a page, as a covering letter has; of more, nobody asks where they lie


@dataclass(slots=True)
class Seen:
    """Pieces of text on all pages that a reader of the page does not see."""

    invisible: int = 0
    white: int = 0
    outside: int = 0

    def warnings(self) -> list[str]:
        """In words."""
        told = (
            (self.invisible, "invisible text"),
            (self.white, "white text on white"),
            (self.outside, "text outside the page"),
        )
        return [f"{what} in {counted(count, 'place')}, which was read" for count, what in told if count]


@dataclass(frozen=True, slots=True)
class Found:
    """What else is on a page.

    Attributes:
        pictures: how many.
        drawings: likewise.
        picture_share: of the page's area that pictures cover, those that overlap counted each; at most 1.
        apart: whether most of the text lies beside the pictures or at the page's edge, and not over them.
    """

    pictures: int
    drawings: int
    picture_share: float
    apart: bool


def look(page: pypdfium2.PdfPage, text_page: Any, seen: Seen) -> Found:
    """Look at all objects of a page, and note its unseen text."""
    import pypdfium2.raw as pdfium

    left, bottom, right, top = page.get_bbox()
    area = max((right - left) * (top - bottom), 1.0)
    pictures, drawings, share = 0, 0, 0.0
    texts, white = list[Any](), list[tuple[float, float, float, float]]()
    painted = list[Any]()
    bounds = _Bounds(pdfium)
    for kind, one in _objects(page.raw, pdfium):
        if kind == pdfium.FPDF_PAGEOBJ_TEXT:
            texts.append(one)
        elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            pictures += 1
            x0, y0, x1, y1 = bounds.of(one)
            width, height = min(x1, right) - max(x0, left), min(y1, top) - max(y0, bottom)
            share += max(width, 0.0) * max(height, 0.0) / area  # scanners write pages in strips
            painted.append((kind, one))
        else:
            drawings += 1
            painted.append((kind, one))
    colour = _Colour(pdfium)
    for one in texts:
        invisible = pdfium.FPDFTextObj_GetTextRenderMode(one) == _INVISIBLE
        red, green, blue, alpha = colour.of(one)
        # A scan's own words lie unseen over its picture: that is how it can be searched.
        if (invisible or not alpha) and share < 0.5:
            seen.invisible += _says_something(one, text_page, pdfium)
            continue
        x0, y0, x1, y1 = bounds.of(one)
        if x1 <= left or x0 >= right or y1 <= bottom or y0 >= top:
            seen.outside += _says_something(one, text_page, pdfium)
        elif min(red, green, blue) >= _WHITE and not invisible:
            white.append((x0, y0, x1, y1))
    if white:
        behind = [
            bounds.of(one)
            for kind, one in painted
            if kind != pdfium.FPDF_PAGEOBJ_PATH or min(colour.of(one)[:3]) < _WHITE
        ]
        for x0, y0, x1, y1 in white:
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            if not any(bx0 <= x <= bx1 and by0 <= y <= by1 for bx0, by0, bx1, by1 in behind):
                seen.white += 1
    over = 0
    if pictures and len(texts) <= _FEW_TEXTS:
        places = [bounds.of(one) for kind, one in painted if kind == pdfium.FPDF_PAGEOBJ_IMAGE]
        for one in texts:
            x0, y0, x1, y1 = bounds.of(one)
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            if abs(y - (bottom + top) / 2) > _MARGIN * (top - bottom):
                continue  # what is stamped on a scan
            over += any(px0 <= x <= px1 and py0 <= y <= py1 for px0, py0, px1, py1 in places)
    return Found(pictures, drawings, min(share, 1.0), len(texts) <= _FEW_TEXTS and over * 2 < len(texts))


def unread(document: pypdfium2.PdfDocument) -> list[str]:
    """What else a document holds that is not read."""
    import pypdfium2.raw as pdfium

    warnings = []
    if embedded := pdfium.FPDFDoc_GetAttachmentCount(document.raw):
        warnings.append(f"{counted(embedded, 'embedded file')} not read")
    if document.get_formtype() in (pdfium.FORMTYPE_XFA_FULL, pdfium.FORMTYPE_XFA_FOREGROUND):
        warnings.append("a form in XFA was not read; print it to a PDF")
    if pdfium.FPDFDoc_GetJavaScriptActionCount(document.raw) > 0:
        warnings.append("scripts in the file were not run")
    return warnings


def _says_something(one: Any, text_page: Any, pdfium: Any) -> bool:
    """Whether a text object has a letter that anybody could read."""
    size = pdfium.FPDFTextObj_GetText(one, text_page, None, 0)
    buffer = (ctypes.c_ushort * max(size // 2, 1))()
    pdfium.FPDFTextObj_GetText(one, text_page, buffer, size)
    return bool(bytes(buffer)[:size].decode("utf-16-le", "ignore").strip("\0 \t\r\n\xa0"))


class _Bounds:
    """The box of an object, in the page's units, with the origin at the bottom left."""

    def __init__(self, pdfium: Any) -> None:
        self._get = pdfium.FPDFPageObj_GetBounds
        self._values = [ctypes.c_float() for _ in range(4)]
        self._places = tuple(map(ctypes.byref, self._values))

    def of(self, one: Any) -> tuple[float, float, float, float]:
        if not self._get(one, *self._places):
            return 0.0, 0.0, 0.0, 0.0
        x0, y0, x1, y1 = (value.value for value in self._values)
        return x0, y0, x1, y1


class _Colour:
    """The colour that an object is filled with, and how much it covers, each 0 to 255."""

    def __init__(self, pdfium: Any) -> None:
        self._get = pdfium.FPDFPageObj_GetFillColor
        self._values = [ctypes.c_uint() for _ in range(4)]
        self._places = tuple(map(ctypes.byref, self._values))

    def of(self, one: Any) -> tuple[int, int, int, int]:
        if not self._get(one, *self._places):
            return 0, 0, 0, 255
        red, green, blue, alpha = (value.value for value in self._values)
        return red, green, blue, alpha


def _objects(page: Any, pdfium: Any) -> Iterator[tuple[int, Any]]:
    """Kind and handle of each object, those inside of forms included."""
    left = _MOST_OBJECTS
    todo = [(pdfium.FPDFPage_GetObject, page, pdfium.FPDFPage_CountObjects(page), 0)]
    while todo:
        get, holder, count, depth = todo.pop()
        for index in range(min(count, left)):
            left -= 1
            one = get(holder, index)
            kind = pdfium.FPDFPageObj_GetType(one)
            if kind == pdfium.FPDF_PAGEOBJ_FORM:
                if depth < _MAX_DEPTH:
                    todo.append((pdfium.FPDFFormObj_GetObject, one, pdfium.FPDFFormObj_CountObjects(one), depth + 1))
            else:
                yield kind, one
