"""PDF: pages of text in reading order, read with pypdfium2, the library that Chromium shows PDF with.

A page's text comes from the library in one call, in the order in which the file draws it. Its lines' boxes tell whether
that is the order of reading (`layout`); only where it is not, the text is taken again, box by box.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.formats import pdf_objects
from pinpoint.documents.formats.plain import CELL_BREAK
from pinpoint.documents.layout import Box, is_in_order, reading_rows, spaced
from pinpoint.documents.visible import counted
from pinpoint.errors import DocumentError

if TYPE_CHECKING:
    import pypdfium2

HARDLY_ANY_CHARS = 40  # a page number, or what a scanner stamps on its pages
_SCANNED_SHARE = 0.15  # of a page that a picture covers: a receipt on a sheet; a logo is smaller
_MOST_BOXES = 4_000  # of one page: a drawing in letters, whose order nobody reads
_ANGLE_SAMPLES = 12
_SAME_RUN_GAP = 0.8  # of a line's height; words are a third of it apart


def read(content: bytes, mime: str, limits: FileLimits) -> Extracted:
    """All pages, with what cannot be seen of them told.

    Raises:
        DocumentError: `pdf_encrypted`, `file_damaged`, `too_many_pages`, `file_text_too_long`.
    """
    import pypdfium2

    document = open_document(content)
    count = len(document)
    if count > limits.max_pages:
        raise DocumentError("too_many_pages", f"{count} pages, at most {limits.max_pages}")
    if not count:
        raise DocumentError("file_damaged", "the file has no page that can be read; send it again")
    pages, seen, chars, broken = list[Page](), pdf_objects.Seen(), 0, 0
    forms = document.get_formtype() != 0
    for number in range(count):
        try:
            page = document[number]
        except pypdfium2.PdfiumError:
            broken += 1
            pages.append(Page("", "none"))
            continue
        pages.append(_page(document, page, number, forms, seen))
        page.close()
        chars += len(pages[-1].text)
        if chars > limits.max_text_chars:
            raise DocumentError("file_text_too_long", f"more than {limits.max_text_chars} characters of text")
    if broken == count:
        raise DocumentError("file_damaged", "none of its pages can be read; send it again")
    warnings = [*seen.warnings(), *pdf_objects.unread(document)]
    if broken:
        warnings.append(f"{counted(broken, 'damaged page')} not read")
    return Extracted("pdf", f"pypdfium2 {pypdfium2.version.PYPDFIUM_INFO}", pages, warnings)


def open_document(content: bytes) -> pypdfium2.PdfDocument:
    """The document.

    Raises:
        DocumentError: `pdf_encrypted`, `file_damaged`.
    """
    import pypdfium2
    import pypdfium2.raw as pdfium

    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD or "password" in str(error).lower():
            raise DocumentError("pdf_encrypted", "the PDF needs a password; send it without one") from None
        raise DocumentError("file_damaged", "the PDF is cut short or damaged; send it again") from None


def _page(
    document: pypdfium2.PdfDocument, page: pypdfium2.PdfPage, number: int, forms: bool, seen: pdf_objects.Seen
) -> Page:
    import pypdfium2.raw as pdfium

    # What is filled into a form stands beside the page until it is drawn into it.
    if forms and pdfium.FPDFPage_GetAnnotCount(page.raw) and pdfium.FPDFPage_Flatten(page.raw, 0) == 1:
        page.close()
        page = document[number]
    text_page = page.get_textpage()
    text = text_page.get_text_range(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    text = _undivided(text)
    said = sum(map(len, text.split()))
    found = pdf_objects.look(page, text_page.raw, seen)
    if said:
        runs = _runs(text_page.raw, pdfium)
        boxes = [run.box for run in runs]
        rows = reading_rows(boxes) if 1 < len(boxes) <= _MOST_BOXES else []
        # The library may break a row of a table between its cells, where they are drawn one by one.
        if rows and (not is_in_order(rows) or len(rows) < _said_lines(text)):
            texts = [" ".join(_undivided(_text_in(text_page.raw, run.area, pdfium)).split()) for run in runs]
            ordered = "\n".join(spaced(boxes, row, texts, CELL_BREAK) for row in rows)
            # Boxes hold all of the text; where they should not, the order is less than the words.
            if sum(map(len, ordered.split())) >= 0.95 * said - 10:
                text = ordered
    unreadable = sum(text.count(character) for character in "\ufffd\0") * 2 > said > 0
    text_page.close()
    drawn = found.pictures or found.drawings
    if (not said and drawn) or (said < HARDLY_ANY_CHARS and found.picture_share > _SCANNED_SHARE) or unreadable:
        return Page(text, "embedded" if said else "none", scanned=True)
    return Page(text, "embedded" if said else "none")


def _said_lines(text: str) -> int:
    return sum(1 for line in text.split("\n") if line.strip())


def _undivided(text: str) -> str:
    """Words that are divided at the end of a line in one: the library has a mark in place of the hyphen."""
    return text.replace("\ufffe\n", "").replace("\x02\n", "").replace("\ufffe", "").replace("\x02", "")


@dataclass(slots=True)
class _Run:
    """Text on one line without a wide gap: where it lies (left, top, right, bottom), and the same as it is seen."""

    area: tuple[float, float, float, float]
    box: Box


def _runs(text_page: Any, pdfium: Any) -> list[_Run]:
    """The page's runs of text in the order in which they are drawn."""
    left, top, right, bottom = (ctypes.c_double() for _ in range(4))
    places = tuple(map(ctypes.byref, (left, top, right, bottom)))
    turned = _turned(text_page, pdfium)
    runs = list[_Run]()
    for index in range(pdfium.FPDFText_CountRects(text_page, 0, -1)):
        pdfium.FPDFText_GetRect(text_page, index, *places)
        area = (left.value, top.value, right.value, bottom.value)
        run = _Run(area, _seen(area, turned))
        if runs and _goes_on(runs[-1].box, run.box):
            before = runs[-1].area
            area = (min(before[0], area[0]), max(before[1], area[1]), max(before[2], area[2]), min(before[3], area[3]))
            runs[-1] = _Run(area, _seen(area, turned))
        elif len(runs) > _MOST_BOXES:
            break
        else:
            runs.append(run)
    return runs


def _seen(area: tuple[float, float, float, float], turned: int) -> Box:
    """A box as it is seen: upright, with the origin at the top left."""
    x0, y1, x1, y0 = area
    if turned == 0:
        return (x0, -y1, x1, -y0)
    if turned == 270:  # the text runs upwards
        return (y0, x0, y1, x1)
    return (-x1, y0, -x0, y1) if turned == 180 else (-y1, -x1, -y0, -x0)


def _goes_on(one: Box, other: Box) -> bool:
    """Whether the other box goes on where the one ends, as letters and words of a line do."""
    height = min(one[3] - one[1], other[3] - other[1])
    common = min(one[3], other[3]) - max(one[1], other[1])
    taller = max(one[3] - one[1], other[3] - other[1])
    return common > 0.5 * height and -0.5 * taller < other[0] - one[2] < _SAME_RUN_GAP * taller


def _turned(text_page: Any, pdfium: Any) -> int:
    """By how many degrees, clockwise, most of the text is turned in the page's own directions."""
    count = pdfium.FPDFText_CountChars(text_page)
    angles = list[int]()
    for index in range(0, count, max(1, count // _ANGLE_SAMPLES)):
        angle = pdfium.FPDFText_GetCharAngle(text_page, index)
        if angle >= 0:
            angles.append(round(angle * 57.29578 / 90) % 4 * 90)
    return max(set(angles), key=angles.count) if angles else 0


def _text_in(text_page: Any, area: tuple[float, float, float, float], pdfium: Any) -> str:
    size = pdfium.FPDFText_GetBoundedText(text_page, *area, None, 0)
    buffer = (ctypes.c_ushort * max(size, 1))()
    pdfium.FPDFText_GetBoundedText(text_page, *area, buffer, size)
    return bytes(buffer)[: size * 2].decode("utf-16-le", "replace").rstrip("\0")
