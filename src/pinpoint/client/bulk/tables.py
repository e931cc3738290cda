"""Rows of JSON lines, CSV, TSV and Parquet as documents: read as a stream, a row at a time."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from pinpoint.client.bulk import remote
from pinpoint.client.documents import BESIDE, FORMS, Document
from pinpoint.errors import DocumentError, PinpointError

LONGEST_CELL = 20_000_000
PARQUET_ROWS = 256  # read at a time
JSON_ENDINGS, TEXT_ENDINGS, PARQUET_ENDINGS = (".jsonl", ".ndjson"), (".csv", ".tsv"), (".parquet", ".pq")
EXTRA = "pip install 'pinpoint[bulk]'"


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
    if not source.lower().endswith((*JSON_ENDINGS, *TEXT_ENDINGS, *PARQUET_ENDINGS)):
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
    lower = source.lower()
    with _opened(source) as stream:
        if lower.endswith(JSON_ENDINGS):
            yield from _json_rows(source, stream, columns)
        elif lower.endswith(TEXT_ENDINGS):
            yield from _text_rows(source, stream, columns)
        else:
            yield from _parquet_rows(source, stream, columns)


def _opened(source: str) -> IO[bytes]:
    if remote.is_remote(source):
        return remote.opened(source)
    try:
        return open(source, "rb")
    except OSError as error:
        raise PinpointError("unreadable_file", f"cannot be read: {error.strerror}", source) from None


def _json_rows(source: str, stream: IO[bytes], columns: Columns) -> Iterator[Row]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        place = f"{source}:{number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            yield _row(place, value, columns)
        else:
            yield Row(place, _broken("the line is no JSON object"))


def _text_rows(source: str, stream: IO[bytes], columns: Columns) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_CELL)
    try:
        with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            head = text.readline()
            separator = "\t" if source.lower().endswith(".tsv") else ";" if head.count(";") > head.count(",") else ","
            names = next(csv.reader([head], delimiter=separator), [])
            _check_columns(source, names, columns)
            for number, cells in enumerate(csv.reader(text, delimiter=separator), 1):
                if cells:
                    yield _row(f"{source}:{number}", dict(zip(names, cells, strict=False)), columns)
    except UnicodeDecodeError:
        raise PinpointError("invalid_encoding", "the table is not UTF-8; save it as such", source) from None
    except csv.Error as error:
        raise PinpointError("invalid_line", f"no comma-separated values: {error}", source) from None


def _parquet_rows(source: str, stream: IO[bytes], columns: Columns) -> Iterator[Row]:
    try:
        file = pyarrow().ParquetFile(stream)
        names = list(file.schema_arrow.names)
        _check_columns(source, names, columns)
        wanted = [name for name in names if name in (*FORMS, *BESIDE, "id", columns.text, columns.id)]
        number = 0
        for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=wanted):
            for value in batch.to_pylist():
                number += 1
                yield _row(f"{source}:{number}", value, columns)
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise PinpointError("unreadable_file", f"no Parquet that can be read: {type(error).__name__}", source) from None


def _check_columns(source: str, names: list[str], columns: Columns) -> None:
    wanted = [columns.text] if columns.text else list(FORMS)
    if not any(name in names for name in wanted):
        said = f"the table has no column {columns.text}" if columns.text else "the table has no column text, or url"
        raise PinpointError("missing_column", f"{said}; --text names it", source)
    if columns.id and columns.id not in names:
        raise PinpointError("missing_column", f"the table has no column {columns.id}; --id names it", source)


def _row(place: str, value: Mapping[str, Any], columns: Columns) -> Row:
    given = value.get(columns.id or "id")
    name = str(given) if isinstance(given, (str, int)) and not isinstance(given, bool) and given != "" else place

    def document() -> Document:
        fields = {"text": value.get(columns.text)} if columns.text else {form: value.get(form) for form in FORMS}
        fields = {form: one for form, one in fields.items() if one not in (None, "")}
        if len(fields) != 1:
            raise DocumentError("invalid_line", f"the row at {place} has no document, or several forms of one")
        ((form, one),) = fields.items()
        pages = isinstance(one, list) and all(isinstance(page, str) for page in one)
        if not (pages if form == "pages" else isinstance(one, str)):
            raise DocumentError("invalid_line", f"{form} of the row at {place} is of another type")
        return Document.of(name, {form: one, **{name: value[name] for name in BESIDE if value.get(name)}})

    return Row(name, document)


def _broken(message: str) -> Callable[[], Document]:
    def document() -> Document:
        raise DocumentError("invalid_line", message)

    return document
