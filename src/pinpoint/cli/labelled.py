"""Labelled documents that a task is taught with: their labels, and their texts, read where they are files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pinpoint.api.label_list import quoting
from pinpoint.api.request import parse_request
from pinpoint.api.teach import Called, Right, places_of
from pinpoint.documents.text import PAGE_BREAK, Document, RejectedDocument
from pinpoint.errors import PinpointError
from pinpoint.evaluate.labelled_file import read_rows, split_labels
from pinpoint.evaluate.labelled_rows import STANDARD_INPUT
from pinpoint.prompting.taxonomy import Task
from pinpoint.prompting.template import answer_ids

if TYPE_CHECKING:
    from pinpoint.settings import Settings

UNKNOWN_SHOWN = 5
JOB_FILES = 64  # read together


@dataclass(frozen=True, slots=True)
class Labelled:
    """The documents whose label is among the task's: texts, or files that are not read yet; `right` are positions, of
    sets all of them.
    """

    texts: list[str | Path]
    right: list[Right]


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that cannot be read, by the code of why."""

    code: str


def read_labelled(file: Path, encoding: str | None, task: Task, *, unlabelled: bool = False) -> Labelled:
    """The documents of a file with the positions of their labels; labels may be named by id or by name.

    Args:
        file: JSON lines or CSV, with `text` or `file`, a path from where the data lie; or a folder of files for each
            label.
        encoding: of it.
        task: whose labels they are.
        unlabelled: whether the file may have no label at all.

    Raises PinpointError with counts for labels that the task lacks or masks.
    """
    places, ids, mask = places_of(task), answer_ids(task), task.masked_positions
    texts, right, unknown, masked, without = list[str | Path](), list[Right](), Counter[str](), 0, 0
    folder = Path() if str(file) == STANDARD_INPUT else file if file.is_dir() else file.parent
    if file.is_dir() and task.sets:
        raise PinpointError("not_supported", "a folder for each label has one label a document", "file")
    wrong = first = 0  # documents with a label that is unknown; the first line without one
    for number, row in read_rows(file, encoding):
        text, path, label = row.get("text"), row.get("file"), row.get("label")
        if task.sets and label is None:
            label = row.get("labels")
        if not isinstance(text, str) and not isinstance(path, str):
            raise PinpointError("invalid_line", f"line {number}: lacks `text`, which is a string", "file")
        texts.append(text if isinstance(text, str) else folder / str(path))
        if label is None or (label == "" and not task.sets):
            first = first or number
            without += 1
            continue
        names = _names(label, places, number, sets=task.sets)
        found = [places.find(one) for one in names]
        unknown.update(one for one, place in zip(names, found, strict=True) if place is None)
        wrong += None in found
        known = [place for place in found if place is not None]
        masked += bool(mask.intersection(known))
        if len(known) == len(found):
            right.append(tuple(sorted(set(known))) if task.sets else known[0])
    if not texts:
        raise PinpointError("invalid_line", "there is no document in the file", "file")
    if wrong:
        shown = [f"{label!r} ({count})" for label, count in unknown.most_common(UNKNOWN_SHOWN)]
        more = len(unknown) - len(shown)
        raise PinpointError(
            "unknown_label",
            f"{wrong} of {len(texts)} documents have a label that the task lacks: {', '.join(shown)}"
            + (f" and {more} more" if more else "")
            + f"; the task has {len(ids)}{quoting(unknown)}",
            "label",
        )
    if masked:
        raise PinpointError(
            "unknown_label", f"{masked} of {len(texts)} documents have a label that the mask excludes", "label"
        )
    if without and (right or not unlabelled):
        advice = "give all or none" if unlabelled else "label them, or leave them out"
        raise PinpointError(
            "invalid_line", f"line {first}: {without} of {len(texts)} documents have no `label`; {advice}", "file"
        )
    return Labelled(texts, right)


def _names(label: object, places: Called[int], number: int, *, sets: bool) -> list[str]:
    """What a document's label, or its labels, are called in the file."""
    if isinstance(label, str):
        return split_labels(label, lambda one: places.find(one) is not None) if sets else [label]
    if sets and isinstance(label, list) and all(isinstance(one, str) for one in label):
        return label
    form = "a list of strings, or one string" if sets else "a string"
    raise PinpointError("invalid_line", f"line {number}: its label is {form}", "file")


def read_texts(documents: Sequence[str | Path], settings: Settings) -> list[str | Refused]:
    """The texts, those of files read as the worker reads them: pages with a page break between."""
    found: list[str | Refused] = [one if isinstance(one, str) else Refused("unread") for one in documents]
    paths = [(place, one) for place, one in enumerate(documents) if isinstance(one, Path)]
    if not paths:
        return found
    from pinpoint.evaluate.read_files import read_files, read_with
    from pinpoint.serving.files import file_reader

    reader, asked = file_reader(settings), parse_request({"base64": "AA==", "labels": ["a", "b"]})
    try:
        for start in range(0, len(paths), JOB_FILES):
            part = paths[start : start + JOB_FILES]
            named = [(str(path), path) for _, path in part]
            read = read_files(named, asked, read_with(reader), settings.max_file_bytes)
            # A mail's attachments are pages of it, so each file is one document.
            for (place, _), one in zip(part, read, strict=True):
                if isinstance(one, Document):
                    found[place] = PAGE_BREAK.join(one.pages)
                elif isinstance(one, RejectedDocument):
                    found[place] = Refused(one.error.code)
    finally:
        reader.close()
    return found
