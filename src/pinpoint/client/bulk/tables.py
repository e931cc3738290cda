"""Rows of JSON lines, CSV, TSV and Parquet as documents: read as a stream, a row at a time."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import itertools
import json
import math
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from pinpoint.client.bulk import remote, streams
from pinpoint.client.documents import BESIDE, FORMS, Document
from pinpoint.errors import DocumentError, PinpointError

SEPARATORS = ",;\t|"
PARQUET_ROWS, PARQUET_BYTES = 256, 32_000_000  # read at a time, at most
JSON_ENDINGS, TEXT_ENDINGS, PARQUET_ENDINGS = (".jsonl", ".ndjson"), (".csv", ".tsv"), (".parquet", ".pq")
EXTRA = "pip install -r requirements-bulk.txt"
# Behind the last line of a table: alone in its row, unless a quote was never closed.
_END = "\0end of the table"


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns are looked at; None for the usual ones."""

    text: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its id, and what encodes it. Raises DocumentError there."""

    id: str
    document: Callable[[], Document]


def is_table(source: str) -> bool:
    """Whether a source is a table, by its ending. A folder's files are documents, whatever their endings."""
    name = source.lower()
    if not (name.endswith(PARQUET_ENDINGS) or streams.unpacked_name(source).endswith((*JSON_ENDINGS, *TEXT_ENDINGS))):
        return False
    return remote.is_remote(source) or os.path.isfile(source)


def check(source: str, columns: Columns) -> None:
    """Look at the head of a table. Raises PinpointError where it, or a column, or a library is not there."""
    if source.lower().endswith(PARQUET_ENDINGS):
        pyarrow()
    if not remote.is_remote(source):
        with contextlib.closing(rows(source, columns)) as head:
            next(head, None)


def pyarrow() -> Any:
    """The module `pyarrow.parquet`. Raises PinpointError `missing_extra`."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise PinpointError("missing_extra", f"Parquet is read and written with pyarrow: {EXTRA}") from None
    return pyarrow.parquet


def rows(source: str, columns: Columns) -> Generator[Row, None, None]:
    """The rows of a table.

    Raises:
        PinpointError: it cannot be read, or has not the columns.
    """
    name = streams.unpacked_name(source)
    with streams.opened(source) as stream:
        if name.endswith(JSON_ENDINGS):
            yield from _json_rows(source, stream, columns)
        elif name.endswith(TEXT_ENDINGS):
            yield from _text_rows(source, stream, columns)
        else:
            yield from _parquet_rows(source, stream, columns)


def _json_rows(source: str, stream: IO[bytes], columns: Columns) -> Iterator[Row]:
    for number, line in enumerate(streams.lines(source, stream), 1):
        place = f"{source}:{number}"
        if line is None:
            yield Row(place, _broken(f"the line is longer than {streams.LONGEST_LINE} bytes"))
            continue
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            yield _row(place, value, columns)
        else:
            yield Row(place, _broken("the line is no JSON object"))


def _text_rows(source: str, stream: IO[bytes], columns: Columns) -> Iterator[Row]:
    csv.field_size_limit(streams.LONGEST_LINE)
    try:
        with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            lines = _text_lines(source, text)
            head = next(lines).removesuffix(_END)
            told = head.rstrip("\r\n")
            if told.lower().startswith("sep=") and len(told) == 5:  # as spreadsheets write it
                separator, head = told[4], next(lines).removesuffix(_END)
            else:
                is_tsv = streams.unpacked_name(source).endswith(".tsv")
                separator = "\t" if is_tsv else max(SEPARATORS, key=head.count)
            read = csv.reader(itertools.chain([head], lines), delimiter=separator)
            names = _names(source, _closed(source, 0, next(read, [])), columns)
            for number, cells in enumerate(read, 1):
                if cells == [_END]:
                    return
                place = f"{source}:{number}"
                # A comma that is not in quotes cuts a text in two, and cells without a name move all of them.
                if any(cell.strip() for cell in _closed(source, number, cells)[len(names) :]):
                    yield Row(place, _broken(f"the row at {place} has {len(cells)} cells, and the head {len(names)}"))
                elif cells:
                    yield _row(place, dict(zip(names, cells, strict=False)), columns)
    except UnicodeDecodeError:
        raise streams.not_utf8(source) from None
    except csv.Error as error:
        why = "a cell has no end: is a quote not closed?" if "field limit" in str(error) else str(error)
        raise PinpointError("invalid_line", f"no comma-separated values: {why}", source) from None


def _closed(source: str, number: int, cells: list[str]) -> list[str]:
    """A row as it is; without a look at its end, all that follows an open quote would be one document."""
    if cells and cells[-1].endswith(_END):
        row = f"row {number}" if number else "the head"
        raise PinpointError("invalid_line", f"a quote that begins in {row} is never closed", source)
    return cells


def _text_lines(source: str, text: io.TextIOWrapper) -> Iterator[str]:
    """The lines of a table, and one more that tells whether a quote was closed before."""
    while line := text.readline(streams.LONGEST_LINE + 1):
        if len(line) > streams.LONGEST_LINE:
            raise PinpointError("invalid_line", f"a line is longer than {streams.LONGEST_LINE} characters", source)
        yield line
    yield _END


def _parquet_rows(source: str, stream: IO[bytes], columns: Columns) -> Iterator[Row]:
    try:
        file = pyarrow().ParquetFile(stream)
        names = _names(source, file.schema_arrow.names, columns)
        # A column in another is named with dots, and a name may have dots of its own.
        asked = [part for one in (columns.text, columns.id) if one for part in (one, one.split(".")[0])]
        wanted = {*FORMS, *BESIDE, "id", *asked}
        own = dict(zip(file.schema_arrow.names, names, strict=True))
        held = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
        rows = max(1, min(PARQUET_ROWS, PARQUET_BYTES * file.metadata.num_rows // max(held, 1)))
        number = 0
        for batch in file.iter_batches(batch_size=rows, columns=[one for one, name in own.items() if name in wanted]):
            for value in batch.rename_columns([own[one] for one in batch.schema.names]).to_pylist():
                number += 1
                yield _row(f"{source}:{number}", value, columns)
    except (OSError, ValueError, NotImplementedError) as error:  # what pyarrow's own errors are, an old codec's too
        raise PinpointError("unreadable_file", f"no Parquet that can be read: {type(error).__name__}", source) from None


def _names(source: str, head: Sequence[str], columns: Columns) -> list[str]:
    """The columns' names: those that are looked for as they are asked for, whatever their case and the blanks around.

    Raises:
        PinpointError: `missing_column`, or there are two of it.
    """
    asked = [name for name in (columns.text, columns.id) if name]
    # Own names first: a table may have both ID and id.
    like = {name.strip().casefold(): name for name in (*FORMS, *BESIDE, "id", *asked)}
    names = [name if (wanted := like.get(name.strip().casefold(), name)) in head else wanted for name in head]

    def there(name: str) -> bool:
        return name in names or name.split(".")[0] in names

    # No word of the head is told: in a table without one it is a document.
    if not (there(columns.text) if columns.text else any(name in names for name in FORMS)):
        missing = columns.text or "text, or url"
        raise PinpointError(
            "missing_column", f"none of the {len(names)} columns in the head is {missing}; --text names it", source
        )
    if columns.id and not there(columns.id):
        raise PinpointError(
            "missing_column", f"none of the {len(names)} columns in the head is {columns.id}; --id names it", source
        )
    for name in like.values():
        if names.count(name) > 1:
            raise PinpointError("missing_column", f"the table has {names.count(name)} columns {name}", source)
    return names


def _at(value: Mapping[str, Any], name: str) -> Any:
    """A field by its name, or a field in a field by both names with a dot; None where it is missing."""
    if name in value or "." not in name:
        return value.get(name)
    first, rest = name.split(".", 1)
    inner = value.get(first)
    return _at(inner, rest) if isinstance(inner, Mapping) else None


def _identity(given: Any) -> str:
    """A row's id in words; an empty string where it has none."""
    if isinstance(given, bytes):
        try:
            return given.decode("utf-8")
        except UnicodeDecodeError:
            return given.hex()
    return "" if _missing(given) or isinstance(given, (bool, list, dict)) else str(given)


def _missing(value: Any) -> bool:
    """Whether a cell is empty; pandas writes NaN where there is nothing."""
    return value in (None, "", b"") or (isinstance(value, float) and math.isnan(value))


def _plain(form: str, value: Any) -> Any:
    """A cell as JSON has it: Parquet has bytes too, for text and for files. Raises UnicodeDecodeError."""
    if not isinstance(value, bytes):
        return value
    return base64.b64encode(value).decode("ascii") if form == "base64" else value.decode("utf-8")


def _row(place: str, value: Mapping[str, Any], columns: Columns) -> Row:
    name = _identity(_at(value, columns.id or "id")) or place

    def document() -> Document:
        given = {"text": _at(value, columns.text)} if columns.text else {form: value.get(form) for form in FORMS}
        try:
            fields = {form: _plain(form, one) for form, one in given.items() if not _missing(one)}
        except UnicodeDecodeError:
            raise DocumentError("invalid_encoding", f"the text of the row at {place} is not UTF-8") from None
        if len(fields) != 1:
            told = f"several forms of one: {', '.join(fields)}" if fields else "no document"
            raise DocumentError("invalid_line", f"the row at {place} has {told}")
        ((form, one),) = fields.items()
        pages = isinstance(one, list) and all(isinstance(page, str) for page in one)
        if not (pages if form == "pages" else isinstance(one, str)):
            raise DocumentError("invalid_line", f"{form} of the row at {place} is of another type")
        beside = {field: cell for field in BESIDE if not _missing(cell := value.get(field))}
        if not all(isinstance(cell, str) for cell in beside.values()):
            raise DocumentError("invalid_line", f"{', '.join(beside)} of the row at {place} is of another type")
        return Document.of(name, {form: one, **beside})

    return Row(name, document)


def _broken(message: str) -> Callable[[], Document]:
    def document() -> Document:
        raise DocumentError("invalid_line", message)

    return document
