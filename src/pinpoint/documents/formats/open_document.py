"""ODT, ODS and ODP: paragraphs, tables and slides, read from their XML with lxml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pinpoint.documents.archive import Archive, parsed
from pinpoint.documents.extracted import Attachment, Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.formats import office_parts
from pinpoint.documents.formats.plain import joined
from pinpoint.documents.visible import counted
from pinpoint.errors import DocumentError

if TYPE_CHECKING:
    from lxml import etree

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_FO = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
_MATH = "{http://www.w3.org/1998/Math/MathML}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_HEADERS = tuple(f"{_STYLE}header{which}" for which in ("", "-left", "-first"))
_FOOTERS = tuple(f"{_STYLE}footer{which}" for which in ("", "-left", "-first"))
_SOFT_BREAK = f"{_TEXT}soft-page-break"
_PAGE_BREAK = "\f"
_PARAGRAPHS = (f"{_TEXT}p", f"{_TEXT}h")
_PASSED_OVER = (f"{_TEXT}tracked-changes", f"{_OFFICE}forms")
_MOST_SPACES = 80


def read(content: bytes, mime: str, limits: FileLimits, type_name: str) -> Extracted:
    """Pages of a text as far as its breaks say, one for each sheet or slide.

    Raises:
        DocumentError: see `Archive`; `file_encrypted`, `file_damaged`.
    """
    from lxml import etree

    if content.startswith(b"PK"):
        archive = Archive(content, limits)
        if "META-INF/manifest.xml" in archive.names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise DocumentError("file_encrypted", "the file needs a password; send it without one")
        root = archive.xml("content.xml", doctype=True)
        styles = archive.xml("styles.xml", doctype=True) if "styles.xml" in archive.names else root
    else:  # all of it in one file of XML
        archive = None
        root = styles = parsed(content, doctype=True)
    body = root.find(f"{_OFFICE}body")
    if body is None or not len(body):
        raise DocumentError("file_damaged", "the file has no body; save it anew")
    embedded = _put_in_objects(archive, body) if archive is not None else 0
    _spell_out_formulas(body)
    _mark_breaks(body, (root, styles))
    kind, warnings = body[0], list[str]()
    parts = [kind]
    if type_name != "odt":
        parts = [child for child in kind if child.tag in (f"{_TABLE}table", f"{_DRAW}page")] or [kind]
    if len(parts) > limits.max_pages:
        raise DocumentError("too_many_pages", f"{len(parts)} pages, at most {limits.max_pages}")
    pages = list[str]()
    for part in parts:
        rows = list[str]()
        for line in _table(part) if part.tag == f"{_TABLE}table" else _lines(part):
            if len(rows) >= limits.max_table_rows and type_name == "ods":
                warnings.append(f"a sheet was cut: its first {len(rows)} rows were read")
                break
            rows.append(line)
        pages.append("\n".join(rows))
    if type_name == "odt":
        pages = [page.strip("\n") for page in pages[0].split(_PAGE_BREAK) if page.strip()] or [""]
        head = [line for one in styles.iter(*_HEADERS) for line in _lines(one)]
        foot = [line for one in styles.iter(*_FOOTERS) for line in _lines(one)]
        pages[0] = "\n".join([*dict.fromkeys(head), pages[0]])
        pages[-1] = "\n".join([pages[-1], *dict.fromkeys(foot)])
    read = [Page(page.replace(_PAGE_BREAK, "\n")) for page in pages]
    pictures = list[Attachment]()
    if archive is not None:
        pictures = office_parts.pictures(archive, "Pictures/", read)
        if archive.counted("Basic/", "Scripts/"):
            warnings.append("macros in the file were not read")
        embedded += archive.counted("Pictures/") - len(pictures)
        if embedded > 0:
            warnings.append(f"{counted(embedded, 'embedded file')} not read")
    elif embedded := sum(1 for _ in root.iter(f"{_OFFICE}binary-data")):
        warnings.append(f"{counted(embedded, 'embedded file')} not read")
    return Extracted(type_name, f"lxml {etree.__version__}", read, warnings, pictures)


def _put_in_objects(archive: Archive, body: etree._Element) -> int:
    """Put charts and formulas, which are files of their own, where they are shown; how many are something else."""
    left = 0
    for shown in list(body.iter(f"{_DRAW}object", f"{_DRAW}object-ole")):
        part = f"{shown.get(_HREF, '').removeprefix('./')}/content.xml"
        root = archive.xml(part, doctype=True) if part in archive.names else None
        if root is None:
            left += _HREF in shown.attrib
        elif root.tag == f"{_MATH}math":
            shown.append(root)
        elif (chart := root.find(f"{_OFFICE}body/{_OFFICE}chart")) is not None:
            shown.append(chart)
        else:
            left += 1
    return left


def _spell_out_formulas(body: etree._Element) -> None:
    """Make a paragraph of each formula: as it was typed where the file says so, else its signs."""
    from lxml import etree

    for formula in list(body.iter(f"{_MATH}math")):
        typed = next((one.text for one in formula.iter(f"{_MATH}annotation") if one.text), None)
        paragraph = etree.Element(f"{_TEXT}p")
        paragraph.text = typed or " ".join("".join(sign.split()) for sign in formula.itertext() if sign.strip())
        parent = formula.getparent()
        if parent is not None:
            parent.replace(formula, paragraph)


def _mark_breaks(body: etree._Element, roots: Iterable[etree._Element]) -> None:
    """Put a mark before each paragraph whose style begins a page."""
    from lxml import etree

    breaking = set[str]()
    for root in roots:
        for style in root.iter(f"{_STYLE}style"):
            looks = style.find(f"{_STYLE}paragraph-properties")
            if style.get(f"{_STYLE}master-page-name") or (
                looks is not None and looks.get(f"{_FO}break-before") == "page"
            ):
                breaking.add(style.get(f"{_STYLE}name", ""))
    if breaking:
        for paragraph in [one for one in body.iter(*_PARAGRAPHS) if one.get(f"{_TEXT}style-name") in breaking]:
            parent = paragraph.getparent()
            if parent is not None:
                parent.insert(parent.index(paragraph), etree.Element(_SOFT_BREAK))


def _lines(element: etree._Element) -> Iterator[str]:
    for child in element:
        if not isinstance(child.tag, str) or child.tag in _PASSED_OVER:
            continue
        if child.tag == _SOFT_BREAK:
            yield _PAGE_BREAK
        elif child.tag in _PARAGRAPHS:
            frames: list[etree._Element] = []
            yield "".join(_inline(child, frames))
            for frame in frames:
                yield from _lines(frame)
        elif child.tag == f"{_TABLE}table":
            yield from _table(child)
        else:
            yield from _lines(child)


def _inline(element: etree._Element, frames: list[etree._Element]) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if child.tag == f"{_TEXT}s":
            count = child.get(f"{_TEXT}c", "1")
            yield " " * min(int(count) if count.isdigit() else 1, _MOST_SPACES)
        elif child.tag == _SOFT_BREAK:
            yield _PAGE_BREAK
        elif child.tag == f"{_TEXT}tab":
            yield "\t"
        elif child.tag == f"{_TEXT}line-break":
            yield "\n"
        elif child.tag in (f"{_TEXT}note", f"{_DRAW}frame", f"{_DRAW}custom-shape"):
            frames.append(child)
        elif isinstance(child.tag, str) and child.tag != f"{_OFFICE}annotation":
            yield from _inline(child, frames)
        yield child.tail or ""


def _table(table: etree._Element) -> Iterator[str]:
    """Each row once, however often the file says it is repeated: what is repeated to the end of a sheet is empty."""
    for row in table.iter(f"{_TABLE}table-row"):
        if next(row.iterancestors(f"{_TABLE}table"), None) is table:
            cells = [cell for cell in row if cell.tag in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")]
            line = joined(["\n".join(_lines(cell)) for cell in cells])
            if line:
                yield line
