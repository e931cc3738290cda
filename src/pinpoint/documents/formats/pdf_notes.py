"""What is pinned onto a page of a PDF: values of a form, text written over the page, stamps, notes.

It stands beside the page until it is drawn into it. What the file gives no picture of, the library makes where it can;
of the rest the words are told.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pypdfium2

_LOOKED_AT = 2_000  # of one page
_MOST_CHARS = 100_000
_HIDDEN = 0b10  # flag of an annotation that is not shown


def drawn_in(page: pypdfium2.PdfPage, pdfium: Any, forms: bool) -> list[str] | None:
    """Draw what is pinned onto a page into it, and tell the words that have no picture.

    Returns:
        The words, or None where the page is as it was. Where it is not, it has to be opened again.
    """
    count = min(pdfium.FPDFPage_GetAnnotCount(page.raw), _LOOKED_AT)
    if not count:
        return None
    shown, bare, words, chars = False, False, list[str](), 0
    for index in range(count):
        note = pdfium.FPDFPage_GetAnnot(page.raw, index)
        if not note:
            continue
        kind = pdfium.FPDFAnnot_GetSubtype(note)
        if not pdfium.FPDFAnnot_GetFlags(note) & _HIDDEN:
            pictured = pdfium.FPDFAnnot_HasKey(note, b"AP")
            if kind == pdfium.FPDF_ANNOT_WIDGET:
                shown, bare = shown or forms, bare or not pictured
            elif kind in (pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_STAMP) and pictured:
                shown = True
            elif kind in (pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_TEXT):
                said = _string(note, b"Contents", pdfium).strip()
                if said and chars + len(said) <= _MOST_CHARS:
                    words.append(said)
                    chars += len(said)
        pdfium.FPDFPage_CloseAnnot(note)
    if shown:
        if bare:  # values without a picture get one when the page is drawn, however small
            page.render(scale=0.01, may_draw_forms=False)
        if pdfium.FPDFPage_Flatten(page.raw, 0) != 1 and not words:
            return None
    return words if shown or words else None


def _string(note: Any, key: bytes, pdfium: Any) -> str:
    size = pdfium.FPDFAnnot_GetStringValue(note, key, None, 0)
    buffer = ctypes.create_string_buffer(min(max(size, 2), 4 * _MOST_CHARS))
    pdfium.FPDFAnnot_GetStringValue(note, key, ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), len(buffer))
    return buffer.raw.decode("utf-16-le", "replace").partition("\0")[0]
