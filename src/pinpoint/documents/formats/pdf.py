"""PDF: pages of text in reading order, read with pypdfium2, the library that Chromium shows PDF with.

A page's text comes from the library in one call, in the order in which the file draws it. Its lines' boxes tell whether
that is the order of reading (`layout`); only where it is not, the text is taken again, box by box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinpoint.documents import right_to_left
from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.formats import pdf_notes, pdf_objects
from pinpoint.documents.formats.pdf_runs import MOST_RUNS, Run, Runs
from pinpoint.documents.formats.plain import CELL_BREAK
from pinpoint.documents.layout import is_in_order, reading_rows, spaced
from pinpoint.documents.visible import counted
from pinpoint.errors import DocumentError

if TYPE_CHECKING:
    import pypdfium2

HARDLY_ANY_CHARS = 40  # a page number, or what a scanner stamps on its pages
_CAPTION_CHARS = 400  # some words above or below a picture that is most of what the page says
_PASTED_SHARE = 0.35
_SCANNED_SHARE = 0.15  # of a page that a picture covers: a receipt on a sheet; a logo is smaller


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

    notes = pdf_notes.drawn_in(page, pdfium, forms)
    if notes is not None:
        page.close()
        page = document[number]
    text_page = page.get_textpage()
    text = text_page.get_text_range(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    text = _undivided(text)
    said = sum(map(len, text.split()))
    found = pdf_objects.look(page, text_page.raw, seen)
    if said:
        runs = Runs(text_page.raw, pdfium, text)
        boxes = runs.boxes()
        rows = reading_rows(boxes) if 1 < len(boxes) <= MOST_RUNS else []
        # The library may break a row of a table between its cells, where they are drawn one by one.
        if runs.right_to_left and len(boxes) <= MOST_RUNS:
            text = _from_right(runs.texts())
        elif rows and (not is_in_order(rows) or len(rows) < _said_lines(text)):
            spoken = runs.texts()
            boxes, texts = [run.box for run in spoken], [" ".join(_undivided(run.text).split()) for run in spoken]
            ordered = "\n".join(spaced(boxes, row, texts, CELL_BREAK) for row in reading_rows(boxes))
            # Boxes hold all of the text; where they should not, the order is less than the words.
            if sum(map(len, ordered.split())) >= 0.95 * said - 10:
                text = ordered
    unreadable = sum(text.count(character) for character in "\ufffd\0") * 2 > said > 0
    text_page.close()
    if notes:
        text, said = "\n".join([text, *notes]).strip("\n"), said + sum(map(len, notes))
    drawn = found.pictures or found.drawings
    scan = said < HARDLY_ANY_CHARS and found.picture_share > _SCANNED_SHARE
    pasted = said < _CAPTION_CHARS and found.picture_share > _PASTED_SHARE and found.apart
    if (not said and drawn) or scan or pasted or unreadable:
        return Page(text, "embedded" if said else "none", scanned=True)
    return Page(text, "embedded" if said else "none")


def _from_right(spoken: list[Run]) -> str:
    """A page with words that run from right to left, by where its letters stand: their order is not to be trusted."""
    boxes, texts = [run.box for run in spoken], [" ".join(_undivided(run.text).split()) for run in spoken]
    page_from_right = right_to_left.is_from_right(texts)
    lines = list[str]()
    for row in reading_rows(boxes):
        said = [texts[index] for index in row]
        if page_from_right or right_to_left.has_letters(said):
            letters = [letter for index in row for letter in spoken[index].letters]
            lines.append(right_to_left.line(letters, CELL_BREAK, page_from_right))
        else:
            lines.append(spaced(boxes, row, texts, CELL_BREAK))
    return "\n".join(lines)


def _said_lines(text: str) -> int:
    return sum(1 for line in text.split("\n") if line.strip())


def _undivided(text: str) -> str:
    """Words that are divided at the end of a line in one: the library has a mark in place of the hyphen."""
    return text.replace("\ufffe\n", "").replace("\x02\n", "").replace("\ufffe", "").replace("\x02", "")
