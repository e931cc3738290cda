"""Documents whose labels are known: JSON lines, CSV in whatever encoding a spreadsheet wrote, a folder for each label.

    bytes ── encoding ── text ── `{`: JSON lines, else a CSV header (labelled_rows.py) ── one Line a document
    folder ── a sub-folder for each label ── the files in it ── one Line a document

A text may be empty or broken, which is the matter of its document; everything else about a line that is wrong is
refused, for then the file is not what its owner thinks.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pinpoint.api.label_list import quoting, typed_labels
from pinpoint.api.teach import Called, by_key
from pinpoint.errors import PinpointError
from pinpoint.evaluate.labelled_rows import CONTENTS, LABEL, STANDARD_INPUT, line_error, rows_of

DECLARED = ("source", "language", "document")
MOST_FILES = 100_000
NO_LABELS = "(none)"
UNKNOWN_SHOWN = 5
SEPARATORS = "|;,"  # of several labels in one cell


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
    folder = Path() if str(file) == STANDARD_INPUT else file.parent
    lines, places = list[Line](), _places(common, names)
    without = list[int]()  # lines without a label
    for number, value in rows_of(file, encoding):
        content = next((value[name] for name in CONTENTS if isinstance(value.get(name), str)), None)
        label = value.get(LABEL, value.get("labels")) if sets and common else value.get(LABEL)
        several = sets and isinstance(label, list) and all(isinstance(one, str) for one in label)
        if content is not None and label is None:
            without.append(number)
            continue
        if content is None or not (isinstance(label, str) or several):
            form = "strings, `label` also a list of them" if sets else "strings"
            raise line_error("invalid_line", number, f"lacks `text` or `label`, which are {form}")
        offered = common or _own_labels(number, value)
        if not offered:
            raise line_error("missing_field", number, "there are no labels to choose from; see --labels", "labels")
        source, language, document = (_declared(value, name) for name in DECLARED)
        text_of, path = (content, None) if isinstance(value.get("text"), str) else ("", folder / content)
        members = None
        if sets and isinstance(label, str | list):
            members = _members(label, offered, places if common else _places(offered, names))
        name = set_name(members) if members is not None else str(label)
        lines.append(Line(number, text_of, name, offered, path, "", source, language, document, members))
    if without:
        told = f"lacks `label`; {len(without)} of {len(without) + len(lines)} documents have none: label them, or leave"
        raise line_error("invalid_line", without[0], f"{told} them out")
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
    return rows_of(file, encoding)


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


def _own_labels(number: int, value: dict[str, Any]) -> tuple[str, ...]:
    labels = value.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise line_error("invalid_line", number, "`labels` is a list of strings", field="labels")
    return tuple(labels)
