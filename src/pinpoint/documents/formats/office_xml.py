"""DOCX and PPTX: paragraphs, tables, text boxes, headers and notes in reading order, read from their XML with lxml.

The libraries for these formats pass over what business documents are made of (content controls, text boxes, inserted
text under review), so the XML is walked here; parsing is lxml's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pinpoint.documents.archive import Archive
from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.formats import office_parts
from pinpoint.documents.formats.plain import joined
from pinpoint.documents.visible import counted
from pinpoint.errors import DocumentError

if TYPE_CHECKING:
    from lxml import etree

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_V = "{urn:schemas-microsoft-com:vml}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_STRICT = (
    ("http://purl.oclc.org/ooxml/wordprocessingml/main", _W),
    ("http://purl.oclc.org/ooxml/drawingml/main", _A),
    ("http://purl.oclc.org/ooxml/presentationml/main", _P),
    ("http://purl.oclc.org/ooxml/officeDocument/relationships", _R),
)
_MC_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_DELETED = (f"{_W}del", f"{_W}moveFrom", _MC_FALLBACK)
_PAGE_BREAK = "\f"
# Of the font Wingdings, what forms are ticked with, by the last byte of its code.
_BOXES = {"6F": "☐", "71": "☐", "A8": "☐", "78": "☒", "FD": "☒", "FE": "☑", "52": "☑", "FB": "✗", "FC": "✓"}
_NUMBER = re.compile(r"\d+")


def read_docx(content: bytes, mime: str, limits: FileLimits) -> Extracted:
    """The document page by page, as far as its page breaks say; headers first, footers and notes last.

    Raises:
        DocumentError: see `Archive`; `file_damaged` without a main part.
    """
    archive = Archive(content, limits)
    main = _main_part(archive)
    root = _part(archive, main)
    related = office_parts.targets(archive, main)
    chunks = office_parts.chunks(archive, root, related, f"{_R}id", _W)
    body = root.find(f"{_W}body")
    if body is None:
        raise DocumentError("file_damaged", "the file has no body; save it anew")
    parts = sorted(archive.names)
    head = [_flow(_part(archive, name)) for name in parts if re.fullmatch(r"word/header\d*\.xml", name)]
    foot = [_flow(_part(archive, name)) for name in parts if re.fullmatch(r"word/footer\d*\.xml", name)]
    notes = [
        _flow(_part(archive, f"word/{name}.xml"))
        for name in ("footnotes", "endnotes", "comments")
        if f"word/{name}.xml" in archive.names
    ]
    pages = [page.strip("\n") for page in _flow(body).split(_PAGE_BREAK) if page.strip()] or [""]
    pages[0] = _stacked([*dict.fromkeys(head), pages[0]])
    charts = office_parts.drawn(archive, related.values())
    pages[-1] = _stacked([pages[-1], *charts, *dict.fromkeys(foot), *notes])
    read = [Page(page) for page in pages]
    pictures = office_parts.pictures(archive, "word/media/", read)
    warnings = _unread(archive, "word", len(pictures), chunks)
    hidden = sum(1 for _ in root.iter(f"{_W}vanish"))
    if hidden:
        warnings.append(f"hidden text in {counted(hidden, 'place')}, which was read")
    white = sum(colour.get(f"{_W}val", "").upper() == "FFFFFF" for colour in root.iter(f"{_W}color"))
    if white and not any(shade.get(f"{_W}fill", "auto") not in ("auto", "FFFFFF") for shade in root.iter(f"{_W}shd")):
        warnings.append(f"white text on white in {counted(white, 'place')}, which was read")
    return Extracted("docx", _lxml(), read, warnings, pictures)


def read_pptx(content: bytes, mime: str, limits: FileLimits) -> Extracted:
    """A page for each slide, in the order of the show, with its notes.

    Raises:
        DocumentError: see `Archive`.
    """
    archive = Archive(content, limits)
    slides = _slides(archive)
    if len(slides) > limits.max_pages:
        raise DocumentError("too_many_pages", f"{len(slides)} slides, at most {limits.max_pages}")
    pages, hidden = list[Page](), 0
    for name in slides:
        root = _part(archive, name)
        hidden += root.get("show") in ("0", "false")
        office_parts.put_in_order(root)
        related = office_parts.targets(archive, name).values()
        texts = [_flow(root), *office_parts.drawn(archive, related)]
        for target in related:
            if "notesSlide" in target and target in archive.names:
                texts.append(_flow(_part(archive, target)))
        pages.append(Page(_stacked(texts)))
    pictures = office_parts.pictures(archive, "ppt/media/", pages)
    warnings = _unread(archive, "ppt", len(pictures))
    if hidden:
        warnings.append(f"{counted(hidden, 'hidden slide')} read as well")
    return Extracted("pptx", _lxml(), pages or [Page("")], warnings, pictures)


def _main_part(archive: Archive) -> str:
    """The document's own part, which some programs call document2.xml."""
    if "_rels/.rels" in archive.names:
        for one in archive.xml("_rels/.rels").iter("{*}Relationship"):
            target: str = one.get("Target", "").lstrip("/")
            if one.get("Type", "").endswith("/officeDocument") and target in archive.names:
                return target
    return "word/document.xml"


def _part(archive: Archive, name: str) -> etree._Element:
    """A part's root; of the strict variant of the format in the names of the usual one."""
    root = archive.xml(name)
    if any("purl.oclc.org/ooxml" in (space or "") for space in root.nsmap.values()):
        for element in root.iter("*"):
            for strict, usual in _STRICT:
                if isinstance(element.tag, str) and element.tag.startswith(f"{{{strict}}}"):
                    element.tag = usual + element.tag.rpartition("}")[2]
                    for key in list(element.attrib):
                        if key.startswith(f"{{{strict}}}"):
                            element.set(usual + key.rpartition("}")[2], element.attrib[key])
    return root


def _slides(archive: Archive) -> list[str]:
    targets = office_parts.targets(archive, "ppt/presentation.xml")
    root = _part(archive, "ppt/presentation.xml")
    named = [targets.get(slide.get(f"{_R}id", ""), "") for slide in root.iter(f"{_P}sldId")]
    found = [name for name in named if name in archive.names]
    if found:
        return found
    loose = [name for name in archive.names if re.fullmatch(r"ppt/slides/slide\d+\.xml", name)]
    return sorted(loose, key=lambda name: int(_NUMBER.findall(name)[-1]))


def _flow(element: etree._Element) -> str:
    """Text of an element, a paragraph or a row a line."""
    return "\n".join(_lines(element))


def _lines(element: etree._Element) -> Iterator[str]:
    for child in element:
        tag = child.tag
        if tag in _DELETED or not isinstance(tag, str):
            continue
        if tag in (f"{_W}p", f"{_A}p"):
            yield from _paragraph(child)
        elif tag in (f"{_W}tbl", f"{_A}tbl"):
            yield from _table(child)
        else:
            yield from _lines(child)


def _paragraph(paragraph: etree._Element) -> Iterator[str]:
    """The paragraph, then the text boxes that are anchored in it."""
    boxes: list[etree._Element] = []
    looks = paragraph.find(f"{_W}pPr")
    breaks = looks is not None and _is_on(looks.find(f"{_W}pageBreakBefore"))
    ends = looks is not None and _ends_page(looks.find(f"{_W}sectPr"))
    yield (_PAGE_BREAK if breaks else "") + "".join(_runs(paragraph, boxes))
    for box in boxes:
        yield from _lines(box)
    if ends:
        yield _PAGE_BREAK


def _is_on(switch: etree._Element | None) -> bool:
    return switch is not None and switch.get(f"{_W}val", "1") not in ("0", "false", "off")


def _ends_page(section: etree._Element | None) -> bool:
    """Whether a section's text ends with this paragraph, and what follows begins on a page of its own."""
    if section is None:
        return False
    kind = section.find(f"{_W}type")
    return kind is None or kind.get(f"{_W}val") not in ("continuous", "nextColumn")


def _runs(element: etree._Element, boxes: list[etree._Element]) -> Iterator[str]:
    for child in element:
        tag = child.tag
        if tag in _DELETED or not isinstance(tag, str):
            continue
        if tag in (f"{_W}t", f"{_A}t", f"{_M}t"):
            yield child.text or ""
        elif tag == f"{_W}tab":
            yield "\t" if child.getparent() is not None and child.getparent().tag == f"{_W}r" else ""
        elif tag in (f"{_W}br", f"{_A}br", f"{_W}cr"):
            yield _PAGE_BREAK if child.get(f"{_W}type") == "page" else "\n"
        elif tag == f"{_W}lastRenderedPageBreak":
            yield _PAGE_BREAK
        elif tag == f"{_W}noBreakHyphen":
            yield "-"
        elif tag == f"{_W}ptab":  # between the left, the middle and the right of a header
            yield "\t"
        elif tag == f"{_W}sym":
            boxes_of = _BOXES if child.get(f"{_W}font") == "Wingdings" else {}
            yield boxes_of.get(child.get(f"{_W}char", "").upper()[-2:], "")
        elif tag == f"{_W}checkBox":
            set_to = child.find(f"{_W}checked")
            yield "☒" if _is_on(child.find(f"{_W}default") if set_to is None else set_to) else "☐"
        elif tag == f"{_V}textpath":  # a stamp: PAID, COPY
            yield f" {child.get('string', '')} "
        elif tag == f"{_W}txbxContent":
            boxes.append(child)
        else:
            yield from _runs(child, boxes)


def _table(table: etree._Element) -> Iterator[str]:
    for row in table.iter(f"{_W}tr", f"{_A}tr"):
        if next(row.iterancestors(f"{_W}tbl", f"{_A}tbl"), None) is table:
            cells = [cell for cell in row.iter(f"{_W}tc", f"{_A}tc") if _own_row(cell) is row]
            yield joined([_flow(cell).replace(_PAGE_BREAK, " ") for cell in cells])


def _own_row(cell: etree._Element) -> etree._Element | None:
    return next(cell.iterancestors(f"{_W}tr", f"{_A}tr"), None)


def _stacked(texts: list[str]) -> str:
    return "\n".join(text for text in texts if text.strip())


def _unread(archive: Archive, folder: str, pictured: int = 0, chunks: int = 0) -> list[str]:
    """What is not read; `pictured` pictures are, and `chunks` of other formats are in the text and are not."""
    warnings = []
    if archive.counted(f"{folder}/vbaProject"):
        warnings.append("macros in the file were not read")
    if embedded := archive.counted(f"{folder}/embeddings/") + chunks:
        warnings.append(f"{counted(embedded, 'embedded file')} not read")
    if (pictures := archive.counted(f"{folder}/media/") - pictured) > 0:
        warnings.append(f"{counted(pictures, 'picture')} in the file not read")
    return warnings


def _lxml() -> str:
    from lxml import etree

    return f"lxml {etree.__version__}"
