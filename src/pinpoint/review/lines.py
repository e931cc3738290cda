"""Files of JSON lines and tables, as `items` takes them: the line of each value, and errors that name it."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from pinpoint.errors import PinpointError


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Values of a file, a line each, or the one value that it is.

    Raises:
        PinpointError: `unreadable_file`, `invalid_encoding` or `invalid_line`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise PinpointError("invalid_encoding", "the file is not UTF-8", str(path)) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no name of a file"
        raise PinpointError("unreadable_file", f"cannot be opened: {why}", str(path)) from None
    values = list[tuple[int, Any]]()
    lines = text.split("\n")
    last, line_ended = len(lines), text.endswith("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values.append((number, json.loads(line)))
        except (ValueError, RecursionError):
            if values and not line_ended and number == last:
                break  # the run that wrote it was ended there
            if number == 1 or not values:
                try:
                    yield 1, json.loads(text)
                    return
                except (ValueError, RecursionError):
                    pass
            raise wrong_line(number, "is no JSON") from None
    yield from values


def sent_texts(path: Path) -> dict[str, tuple[str, ...]]:
    """Texts by id, of the requests or documents in a file; an index where there is no id."""
    texts = dict[str, tuple[str, ...]]()
    loose = 0
    for value in _table(path) if path.suffix.lower() in (".csv", ".tsv") else (value for _, value in json_lines(path)):
        request = value.get("input", value) if isinstance(value, dict) else value
        documents = request.get("documents", [request]) if isinstance(request, dict) else request
        for document in documents if isinstance(documents, list) else ():
            if isinstance(document, dict):
                identity = document.get("id")
                texts[identity if isinstance(identity, str) else str(loose)] = pages_in(document)
                loose += 1
    return texts


def _table(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a table with the columns `id` and `text`, in UTF-8; separated as `classify` takes it to be."""
    limit = csv.field_size_limit(sys.maxsize)  # documents are longer than the cells that csv expects
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            separator = ";" if head.count(";") > head.count(",") else ","
            if path.suffix.lower() == ".tsv":
                separator = "\t"
            yield from csv.DictReader(chain([head], file), delimiter=separator)
    except UnicodeDecodeError:
        raise PinpointError("invalid_encoding", "the file is not UTF-8", str(path)) from None
    except (OSError, csv.Error) as error:
        raise PinpointError("unreadable_file", f"cannot be read as a table: {error}", str(path)) from None
    finally:
        csv.field_size_limit(limit)


def is_file(name: object) -> bool:
    """Whether this is the path of a file that is there."""
    try:
        return isinstance(name, str) and Path(name).is_file()
    except (OSError, ValueError):  # too long, a NUL in it
        return False


def pages_in(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The text that a record holds, by pages; nothing where it holds none."""
    text, pages = record.get("text"), record.get("pages")
    if isinstance(text, str):
        return (text,)
    if isinstance(pages, list) and pages and all(isinstance(page, str) for page in pages):
        return tuple(pages)
    return ()


def finite(value: object) -> float | None:
    """A number of a file that a page and a sum can take; None for what is none, NaN, or too large for a float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # JSON has whole numbers of any length
        return None


def wrong_line(number: int, what: str) -> PinpointError:
    """What is said of a line that cannot be read."""
    return PinpointError("invalid_line", f"line {number} {what}", "ANSWERS")
