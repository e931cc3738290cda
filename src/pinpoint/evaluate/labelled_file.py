"""Documents whose labels are known: JSON lines, CSV in whatever encoding a spreadsheet wrote, a folder for each label.

    bytes ── encoding ── text ── `{`: JSON lines, else a CSV header ── one Line a document
    folder ── a sub-folder for each label ── the files in it ── one Line a document

The encoding is never guessed: what is not UTF-8, has no byte-order mark and is no UTF-16 or UTF-32 is refused with the
number of its first line that is not, and read once `--encoding` names it. A wrong guess would measure other documents
than those in the file. A text may be empty or broken, which is the matter of its document; everything else about a
line that is wrong is refused, for then the file is not what its owner thinks.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pinpoint.api.label_list import quoting, typed_labels
from pinpoint.api.teach import Called, by_key
from pinpoint.errors import PinpointError

STANDARD_INPUT = "-"
LABEL, CONTENTS = "label", ("text", "file")  # a document is one of the two
DECLARED = ("source", "language", "document")
MOST_FILES = 100_000
NO_LABELS = "(none)"
UNKNOWN_SHOWN = 5
SEPARATORS = "|;,"  # of several labels in one cell
DELIMITERS = ",;\t"  # spreadsheets write the second where the comma is the decimal sign

_ZIP = b"PK\x03\x04"
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Line:
    """One document: where it begins, its text, its right label, and the labels to choose from.

    Attributes:
        number: of its first line; of a folder's file, its place from 1.
        text: empty where it is a file.
        label: the right one; of a set what `set_name` calls it.
        labels: to choose from.
        file: where it is, for one that is not text.
        id: its name among the others.
        source: where the data says that it comes from, or nothing.
        language: what the data says that it is written in, or nothing.
        document: what the data says that it is a part of, or nothing.
        members: of a set of labels, all that are right; None where one label is.
    """

    number: int
    text: str
    label: str
    labels: tuple[str, ...]
    file: Path | None = None
    id: str = ""
    source: str = ""
    language: str = ""
    document: str = ""
    members: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """What it is called in messages and reports."""
        return self.id or f"line {self.number}"

    @property
    def content(self) -> str:
        """What tells it from others before it is read: its text, or a digest of its file's bytes."""
        if self.file is None:
            return self.text
        try:
            with self.file.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return str(self.file)


def read_lines(
    file: Path,
    labels: str | Sequence[str] | None,
    encoding: str | None = None,
    names: Called[str] | None = None,
    *,
    sets: bool = False,
) -> list[Line]:
    """The documents of a file, `-` for standard input, or of a folder.

    Args:
        file: JSON lines with `text` or `file`, `label` and perhaps `labels`; CSV with such columns; or a folder that
            holds one folder of files for each label. Files are named from where the JSON lines or the CSV lie.
        labels: to choose from, as `typed_labels` takes them apart, for lines without labels of their own; of a folder,
            its folders' names where there are none.
        encoding: of the file; None for UTF-8, UTF-16 or UTF-32, which show by themselves.
        names: ids of labels by what they may be called; None where that is their id alone.
        sets: whether a document has any number of labels: a list of them, or one cell as of `split_labels`.

    Raises PinpointError with the number of the first line that is wrong.
    """
    common = tuple(typed_labels(labels)) if isinstance(labels, str) else labels
    common = tuple(common or ())
    if str(file) != STANDARD_INPUT and file.is_dir():
        if sets:
            raise PinpointError("not_supported", "a folder for each label has one label a document", "file")
        return _within(_of_folder(file, common), names)
    text = _decoded(_content(file), encoding)
    folder = Path() if str(file) == STANDARD_INPUT else file.parent
    lines, places = list[Line](), _places(common, names)
    without = list[int]()  # lines without a label
    for number, value in _rows(text):
        content = next((value[name] for name in CONTENTS if isinstance(value.get(name), str)), None)
        label = value.get(LABEL, value.get("labels")) if sets and common else value.get(LABEL)
        several = sets and isinstance(label, list) and all(isinstance(one, str) for one in label)
        if content is not None and label is None:
            without.append(number)
            continue
        if content is None or not (isinstance(label, str) or several):
            form = "strings, `label` also a list of them" if sets else "strings"
            raise _wrong_line("invalid_line", number, f"lacks `text` or `label`, which are {form}")
        offered = common or _own_labels(number, value)
        if not offered:
            raise _wrong_line("missing_field", number, "there are no labels to choose from; see --labels", "labels")
        source, language, document = (_declared(value, name) for name in DECLARED)
        text_of, path = (content, None) if isinstance(value.get("text"), str) else ("", folder / content)
        members = None
        if sets and isinstance(label, str | list):
            members = _members(label, offered, places if common else _places(offered, names))
        name = set_name(members) if members is not None else str(label)
        lines.append(Line(number, text_of, name, offered, path, "", source, language, document, members))
    if without:
        told = f"lacks `label`; {len(without)} of {len(without) + len(lines)} documents have none: label them, or leave"
        raise _wrong_line("invalid_line", without[0], f"{told} them out")
    if not lines:
        raise PinpointError("invalid_line", "there is no document in the file", "file")
    return _within(lines, names)


def set_name(members: Sequence[str]) -> str:
    """What a set of labels is called in tables and reports, whatever the order of its members: no two sets alike.

    A label that could be taken for a part of such a name stands in quotes.
    """
    told = [
        json.dumps(one, ensure_ascii=False) if "+" in one or one.startswith('"') or one == NO_LABELS else one
        for one in members
    ]
    return " + ".join(sorted(told)) or NO_LABELS


def _places(labels: Sequence[str], names: Called[str] | None) -> Called[str]:
    """Labels by what they may be called; without other names by themselves."""
    own = {one: one for one in labels}
    return names or Called(own, by_key(own))


def _within(lines: list[Line], names: Called[str] | None) -> list[Line]:
    """The lines, each with a label that may be answered, by its id. Raises PinpointError, with counts."""
    places = {labels: _places(labels, names) for labels in {line.labels for line in lines}}
    lines = [
        line
        if line.members is not None or line.label in line.labels
        else replace(line, label=places[line.labels].find(line.label) or line.label)
        for line in lines
    ]
    strange = [[one for one in _truths(line) if one not in line.labels] for line in lines]
    outside = [line for line, some in zip(lines, strange, strict=True) if some]
    if outside:
        first = outside[0]
        where = first.name if first.file else f"line {first.number}"
        counts = Counter(one for some in strange for one in some)
        if set(counts) == {""}:
            told = (
                f"{where}: it has no label; {counts['']} of {len(lines)} documents have none: label them, or leave them"
            )
            raise PinpointError("unknown_label", f"{told} out", "labels")
        raise _strange(where, len(outside), len(lines), counts)
    return lines


def _members(label: str | list[str], labels: tuple[str, ...], places: Called[str]) -> tuple[str, ...]:
    """All right labels of a document, in the order of those to choose from, what is none of them first."""
    own = split_labels(label, lambda one: places.find(one) is not None) if isinstance(label, str) else label
    found = {places.find(one) or one for one in own}
    return tuple(sorted(found, key=lambda one: (labels.index(one) if one in labels else -1, one)))


def _truths(line: Line) -> tuple[str, ...]:
    return (line.label,) if line.members is None else line.members


def _strange(where: str, outside: int, documents: int, counts: Counter[str]) -> PinpointError:
    shown = ", ".join(f"{label!r} ({count})" for label, count in counts.most_common(UNKNOWN_SHOWN))
    more = f" and {len(counts) - UNKNOWN_SHOWN} more" if len(counts) > UNKNOWN_SHOWN else ""
    return PinpointError(
        "unknown_label",
        f"{where}: its label is not among the labels to choose from; {outside} of {documents} documents have labels "
        f"that are not: {shown}{more}{quoting(counts) or '; see --labels'}",
        "labels",
    )


def split_labels(cell: str, known: Callable[[str], bool]) -> list[str]:
    """The labels of one cell: the whole of it where that is a label, else its parts between one of `SEPARATORS`, the
    first of them with which all are labels. Where none is, the parts by the first that occurs. None of an empty cell.
    """
    cell = cell.strip()
    if not cell or known(cell):
        return [cell] if cell else []
    parts = [[one.strip() for one in cell.split(by) if one.strip()] for by in SEPARATORS if by in cell]
    return next((found for found in parts if all(map(known, found))), parts[0] if parts else [cell])


def read_rows(file: Path, encoding: str | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each document's first line and what stands there by name, unchecked; of a folder of files for each
    label, `file` from there and `label`. Errors as of `read_lines`.
    """
    if str(file) != STANDARD_INPUT and file.is_dir():
        return iter([(line.number, {"file": line.id, "label": line.label}) for line in _of_folder(file, ())])
    return _rows(_decoded(_content(file), encoding))


def _of_folder(folder: Path, labels: tuple[str, ...]) -> list[Line]:
    inside = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    found = [
        (one.name, path)
        for one in inside
        for path in sorted(one.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise PinpointError(
            "unreadable_file", "is a directory without a folder of files for each label: data/invoice/a.pdf", "file"
        )
    if len(found) > MOST_FILES:
        raise PinpointError("unreadable_file", f"{len(found)} files, at most {MOST_FILES} at a time", "file")
    labels = labels or tuple(one.name for one in inside)
    return [
        Line(number, "", label, labels, file=path, id=path.relative_to(folder).as_posix())
        for number, (label, path) in enumerate(found, 1)
    ]


def _declared(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return str(found).strip() if isinstance(found, str | int) else ""


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
