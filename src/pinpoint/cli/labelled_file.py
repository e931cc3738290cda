"""A file of documents whose labels are known: JSON lines or CSV, in whatever encoding an editor or a spreadsheet wrote.

    bytes ── encoding ── text ── `{`: JSON lines, else a CSV header ── one Line a document

The encoding is never guessed: what is not UTF-8, has no byte-order mark and is no UTF-16 or UTF-32 is refused with the
number of its first line that is not, and read once `--encoding` names it. A wrong guess would measure other documents
than those in the file. A text may be empty or broken, which is the matter of its document; everything else about a
line that is wrong is refused, for then the file is not what its owner thinks.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinpoint.errors import PinpointError

STANDARD_INPUT = "-"
COLUMNS = ("text", "label")
DELIMITERS = ",;\t"  # spreadsheets write the second where the comma is the decimal sign

_ZIP = b"PK\x03\x04"
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Line:
    """One document of the file: where it begins, its text, its right label, and the labels to choose from."""

    number: int
    text: str
    label: str
    labels: tuple[str, ...]


def read_lines(file: Path, labels: str | None, encoding: str | None = None) -> list[Line]:
    """The documents of a file, `-` for standard input.

    Args:
        file: JSON lines with `text`, `label` and perhaps `labels`, or CSV with the columns `text` and `label`.
        labels: to choose from, separated by commas, for lines without labels of their own.
        encoding: of the file; None for UTF-8, UTF-16 or UTF-32, which show by themselves.

    Raises PinpointError with the number of the first line that is wrong.
    """
    common = tuple(name.strip() for name in (labels or "").split(",") if name.strip())
    text = _decoded(_content(file), encoding)
    lines = list[Line]()
    for number, value in _rows(text):
        if not all(isinstance(value.get(column), str) for column in COLUMNS):
            raise _wrong_line("invalid_line", number, "lacks `text` or `label`, which are strings")
        offered = common or _own_labels(number, value)
        if not offered:
            raise _wrong_line("missing_field", number, "there are no labels to choose from; see --labels", "labels")
        if value["label"] not in offered:
            raise _wrong_line(
                "unknown_label", number, "its label is not among the labels to choose from; see --labels", "labels"
            )
        lines.append(Line(number, value["text"], value["label"], offered))
    if not lines:
        raise PinpointError("invalid_line", "there is no document in the file", "file")
    return lines


def read_rows(file: Path, encoding: str | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each document's first line and what stands there by name, unchecked; errors as of `read_lines`."""
    return _rows(_decoded(_content(file), encoding))


def _content(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == STANDARD_INPUT else file.read_bytes()
    except OSError as error:
        raise PinpointError("unreadable_file", f"cannot be read: {error.strerror}", "file") from None


def _decoded(content: bytes, encoding: str | None) -> str:
    """The text, without its byte-order mark."""
    if content.startswith(_ZIP):
        raise PinpointError("unreadable_file", "a workbook or an archive; save the sheet as CSV in UTF-8", "file")
    # RFC 4627's rule for JSON, by the mark or by where the first characters have zeros; it holds for a header as well.
    found = encoding or json.detect_encoding(content)
    try:
        return content.decode(found).removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(found, "ignore")
        advice = (
            "name another in --encoding"
            if encoding
            else "save the file in UTF-8, or name its encoding: --encoding cp1252 for Latin-1 and Western Windows"
        )
        name = "UTF-8" if found.startswith("utf-8") else codecs.lookup(found).name
        raise _wrong_line("invalid_encoding", _line_ends(before) + 1, f"not {name}; {advice}") from None
    except (LookupError, ValueError):  # no such encoding, or one that is not of text, as hex
        raise PinpointError("invalid_encoding", "Python knows no such encoding of text", "--encoding") from None


def _rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each document's first line, and what was found there by name."""
    if text.lstrip(_BYTE_ORDER_MARK + " \t\r\n").startswith(("{", "[")):
        yield from _json_lines(text)
    else:
        yield from _csv_rows(text)


def _json_lines(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, row in enumerate(io.StringIO(text, newline=None), 1):
        row = row.strip(_BYTE_ORDER_MARK + " \t\r\n")  # a mark also begins what was appended from another file
        if not row:
            continue
        try:
            value = json.loads(row)
        except json.JSONDecodeError as error:
            raise _wrong_line("invalid_line", number, f"not JSON: {error.msg}, column {error.colno}") from None
        except (ValueError, RecursionError):  # whole numbers of thousands of digits; brackets in thousands
            raise _wrong_line("invalid_line", number, "numbers too long or brackets too deep to read") from None
        if not isinstance(value, dict):
            raise _wrong_line("invalid_line", number, 'not an object; each line is {"text": "…", "label": "…"}')
        yield number, value


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a table whose header says which column is which; a quoted text may go over several lines."""
    start, header, delimiter = _header(text)
    limit = csv.field_size_limit(sys.maxsize)  # documents are longer than the cells that csv expects
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
        before = 0
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                raise _wrong_line("invalid_line", before + 1, f"not CSV: {error}") from None
            number, before = before + 1, rows.line_num
            if number <= start or not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                advice = f"put a text that holds {delimiter!r} in quotes"
                raise _wrong_line("invalid_line", number, f"{len(row)} columns, the header has {len(header)}; {advice}")
            cells = dict(zip(header, row, strict=True))
            yield number, {"text": cells["text"], "label": cells["label"].strip()}
    finally:
        csv.field_size_limit(limit)


def _header(text: str) -> tuple[int, list[str], str]:
    """The number of the header's line, its names, and what separates them."""
    number, first = next(
        ((number, row) for number, row in enumerate(io.StringIO(text, newline=None), 1) if row.strip()), (1, "")
    )
    for delimiter in DELIMITERS:
        names = [
            name.strip().casefold()
            for name in next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), [])
        ]
        if all(names.count(column) == 1 for column in COLUMNS):
            return number, names, delimiter
    if not first:
        raise PinpointError("invalid_line", "there is no document in the file", "file")
    raise _wrong_line(
        "invalid_line", number, "neither JSON nor the header of a CSV file with one column `text` and one `label`"
    )


def _own_labels(number: int, value: dict[str, Any]) -> tuple[str, ...]:
    labels = value.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise _wrong_line("invalid_line", number, "`labels` is a list of strings", field="labels")
    return tuple(labels)


def _line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _wrong_line(code: str, number: int, message: str, field: str = "file") -> PinpointError:
    return PinpointError(code, f"line {number}: {message}", field)
