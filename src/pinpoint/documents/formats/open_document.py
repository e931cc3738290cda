"""ODT, ODS and ODP: paragraphs, tables and slides, read from their XML with lxml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pinpoint.documents.archive import Archive
from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
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
_PARAGRAPHS = (f"{_TEXT}p", f"{_TEXT}h")
_PASSED_OVER = (f"{_TEXT}tracked-changes", f"{_OFFICE}forms")
_MOST_SPACES = 80


def read(content: bytes, mime: str, limits: FileLimits, type_name: str) -> Extracted:
    """One page of a text, one for each sheet or slide.

    Raises:
        DocumentError: see `Archive`; `file_encrypted`, `file_damaged`.
    """
    from lxml import etree

    archive = Archive(content, limits)
    if "META-INF/manifest.xml" in archive.names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise DocumentError("file_encrypted", "the file needs a password; send it without one")
    body = archive.xml("content.xml", doctype=True).find(f"{_OFFICE}body")
    if body is None or not len(body):
        raise DocumentError("file_damaged", "the file has no body; save it anew")
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
    if type_name == "odt" and "styles.xml" in archive.names:
        styles = archive.xml("styles.xml", doctype=True)
        head = [line for one in styles.iter(f"{_STYLE}header") for line in _lines(one)]
        foot = [line for one in styles.iter(f"{_STYLE}footer") for line in _lines(one)]
        pages[0] = "\n".join([*dict.fromkeys(head), pages[0], *dict.fromkeys(foot)])
    if archive.counted("Basic/", "Scripts/"):
        warnings.append("macros in the file were not read")
    if embedded := archive.counted("Object ", "Pictures/"):
        warnings.append(f"{counted(embedded, 'embedded file')} not read")
    return Extracted(type_name, f"lxml {etree.__version__}", [Page(page) for page in pages], warnings)


def _lines(element: etree._Element) -> Iterator[str]:
    for child in element:
        if not isinstance(child.tag, str) or child.tag in _PASSED_OVER:
            continue
        if child.tag in _PARAGRAPHS:
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
