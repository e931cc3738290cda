"""XLSX: a page for each sheet, rows as lines, read with openpyxl in its streaming mode."""

from __future__ import annotations

import datetime
import io
import re
import warnings as python_warnings
from typing import Any

from pinpoint.documents.archive import Archive
from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.formats import office_parts
from pinpoint.documents.formats.plain import joined
from pinpoint.documents.visible import counted
from pinpoint.errors import DocumentError

# A formula that nobody computed; the value of one whose type is `str` may be a text without letters.
_NO_VALUE = re.compile(
    rb"""<c\s(?![^<>]*\bt=["']str["'])[^<>]*>\s*<f(?:[^<>]*/>|[^<>]*>[^<]*</f>)\s*(?:<v\s*/>\s*|<v>\s*</v>\s*)?</c>"""
)
_HIDDEN = re.compile(rb"""<(?:row|col)\s[^<>]*\bhidden=["'](?:1|true)["']""")


def read(content: bytes, mime: str, limits: FileLimits) -> Extracted:
    """Values as they were last computed; formulas are not.

    Raises:
        DocumentError: see `Archive`; `file_damaged`, `too_many_pages`.
    """
    import openpyxl
    from openpyxl.reader.excel import ExcelReader

    # A sheet that is a chart has no cells, and one without a drawing ends the library.
    ExcelReader.read_chartsheet = lambda *sheet: None
    archive = Archive(content, limits)
    archive.refuse_doctypes()
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        if len(book.worksheets) > limits.max_pages:
            raise DocumentError("too_many_pages", f"{len(book.worksheets)} sheets, at most {limits.max_pages}")
        pages, warnings, cells = list[Page](), list[str](), 0
        names = _names(archive)
        for number, sheet in enumerate(book.worksheets, 1):
            lines = [sheet.title]
            # What the file says of a sheet's size is often wrong, and rows would be cut or filled up to it.
            sheet.reset_dimensions()
            for row in sheet.iter_rows():
                cells += sum(cell.value is not None for cell in row)
                if len(lines) > limits.max_table_rows or cells > limits.max_table_cells:
                    warnings.append(f"sheet {number} was cut: its first {len(lines) - 1} filled rows were read")
                    break
                line = joined([_shown(cell) for cell in row])
                if line:
                    lines.append(line)
            hidden = sheet.sheet_state != "visible"
            if hidden:
                warnings.append(f"sheet {number} is hidden, and was read")
            lines += _beside(archive, names.get(sheet.title, ""))
            pages.append(Page("\n".join(lines) if len(lines) > 1 else ""))
    sheets = [name for name in archive.names if name.startswith("xl/worksheets/")]
    if formulas := sum(sum(1 for _ in _NO_VALUE.finditer(archive.read(name))) for name in sheets):
        warnings.append(f"{counted(formulas, 'formula')} without a saved value; save the file in a spreadsheet program")
    if hidden_parts := sum(1 for name in sheets if _HIDDEN.search(archive.read(name))):
        warnings.append(f"hidden rows or columns in {counted(hidden_parts, 'sheet')}, which were read")
    if archive.counted("xl/vbaProject"):
        warnings.append("macros in the file were not read")
    if embedded := archive.counted("xl/embeddings/", "xl/media/"):
        warnings.append(f"{counted(embedded, 'embedded file')} not read")
    return Extracted("xlsx", f"openpyxl {openpyxl.__version__}", pages or [Page("")], warnings)


def _names(archive: Archive) -> dict[str, str]:
    """The part of each sheet, by its title."""
    targets = office_parts.targets(archive, "xl/workbook.xml")
    if "xl/workbook.xml" not in archive.names:
        return {}
    found = dict[str, str]()
    for sheet in archive.xml("xl/workbook.xml").iter("{*}sheet"):
        # The reference is in one of two name spaces.
        reference = next((str(value) for key, value in sheet.items() if str(key).endswith("}id")), "")
        found[sheet.get("name", "")] = targets.get(reference, "")
    return found


def _beside(archive: Archive, name: str) -> list[str]:
    """What stands on a sheet beside its cells: text boxes, charts, comments."""
    lines, drawings = list[str](), list[str]()
    for target in office_parts.targets(archive, name).values():
        if target not in archive.names:
            continue
        if "/drawings/drawing" in target:
            drawings.append(target)
        elif "/comments" in target:
            for comment in archive.xml(target).iter("{*}comment"):
                lines.append(" ".join("".join(text.text or "" for text in comment.iter("{*}t")).split()))
    for drawing in drawings:
        boxes = archive.xml(drawing).iter("{*}txBody")
        lines = ["".join(text.text or "" for text in box.iter("{*}t")) for box in boxes] + lines
        lines += office_parts.drawn(archive, office_parts.targets(archive, drawing).values())
    return [line for line in lines if line.strip()]


def _shown(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, int | float) and "%" in cell.number_format:
        return f"{value * 100:.12g}%"
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value)
