"""What stands in a file of labelled documents, row by row: bytes to text, JSON lines or CSV to names and values.

The encoding is never guessed: what is not UTF-8, has no byte-order mark and is no UTF-16 or UTF-32 is refused with the
number of its first line that is not, and read once `--encoding` names it. A wrong guess would measure other documents
than those in the file.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pinpoint.errors import PinpointError

STANDARD_INPUT = "-"
LABEL, CONTENTS = "label", ("text", "file")  # a document is one of the two
DELIMITERS = ",;\t"  # spreadsheets write the second where the comma is the decimal sign

_ZIP = b"PK\x03\x04"
_BYTE_ORDER_MARK = "\ufeff"


def rows_of(file: Path, encoding: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each document's first line, and what was found there by name.

    Raises:
        PinpointError: with the number of the first line that is wrong.
    """
    text = _decoded(_content(file), encoding)
    if text.lstrip(_BYTE_ORDER_MARK + " \t\r\n").startswith(("{", "[")):
        yield from _json_lines(text)
    else:
        yield from _csv_rows(text)


def line_error(code: str, number: int, message: str, field: str = "file") -> PinpointError:
    """An error of one line."""
    return PinpointError(code, f"line {number}: {message}", field)


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
        raise line_error("invalid_encoding", _line_ends(before) + 1, f"not {name}; {advice}") from None
    except (LookupError, ValueError):  # no such encoding, or one that is not of text, as hex
        raise PinpointError("invalid_encoding", "Python knows no such encoding of text", "--encoding") from None


def _json_lines(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, row in enumerate(io.StringIO(text, newline=None), 1):
        row = row.strip(_BYTE_ORDER_MARK + " \t\r\n")  # a mark also begins what was appended from another file
        if not row:
            continue
        try:
            value = json.loads(row)
        except json.JSONDecodeError as error:
            raise line_error("invalid_line", number, f"not JSON: {error.msg}, column {error.colno}") from None
        except (ValueError, RecursionError):  # whole numbers of thousands of digits; brackets in thousands
            raise line_error("invalid_line", number, "numbers too long or brackets too deep to read") from None
        if not isinstance(value, dict):
            raise line_error("invalid_line", number, 'not an object; each line is {"text": "…", "label": "…"}')
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
                raise line_error("invalid_line", before + 1, f"not CSV: {error}") from None
            number, before = before + 1, rows.line_num
            if number <= start or not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                advice = f"put a text that holds {delimiter!r} in quotes"
                raise line_error("invalid_line", number, f"{len(row)} columns, the header has {len(header)}; {advice}")
            cells = dict(zip(header, row, strict=True))
            yield number, {**cells, LABEL: cells[LABEL].strip()}
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
        if names.count(LABEL) == 1 and max(map(names.count, CONTENTS)) == 1:
            return number, names, delimiter
    if not first:
        raise PinpointError("invalid_line", "there is no document in the file", "file")
    raise line_error(
        "invalid_line", number, "neither JSON nor the header of a CSV file with one column `text` and one `label`"
    )


def _line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")
