"""The folder of a run: answers.jsonl, which grows line by line, and run.json, which says whose lines they are."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from pinpoint.errors import PinpointError
from pinpoint.evaluate.labelled_file import Line

ANSWERS, RUN = "answers.jsonl", "run.json"
FIELD = "--out"


def key_of(line: Line) -> str:
    """What says that two runs saw the same document with the same truth: a digest of both."""
    told = f"{line.label}\0{line.content}"
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def digest_of(lines: Sequence[Line]) -> str:
    """What changes when a document, its label, its choice or their order does."""
    whole = hashlib.sha256()
    for line in lines:
        told = [line.name, key_of(line), line.labels, line.source, line.language, line.document]
        whole.update(json.dumps(told).encode("ascii") + b"\n")
    return whole.hexdigest()[:16]


class AnswersFile:
    """Answers of one run, kept in its folder as they come; use it with `with`."""

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        """Begin a run in a folder, or go on with it.

        Raises:
            PinpointError: `output_of_another_run` where the folder holds one of something else, with what differs;
                `cannot_write` where it cannot be written.
        """
        self.folder = folder
        self.kept: dict[str, dict[str, Any]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._check(run)
            self._take_up()
            self._file = (folder / ANSWERS).open("a", encoding="utf-8")
        except OSError as error:
            raise PinpointError("cannot_write", f"cannot be written: {error.strerror}", FIELD) from None

    def __enter__(self) -> AnswersFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, answered: Sequence[Mapping[str, Any]]) -> None:
        """Keep a job's lines; they are the system's, not only this process's, when it returns."""
        # Broken text stays as its escape: ASCII can be written whatever is in a document.
        self._file.write("".join(json.dumps(one) + "\n" for one in answered))
        self._file.flush()
        self.kept |= {one["id"]: dict(one) for one in answered}

    def _check(self, run: Mapping[str, Any]) -> None:
        path = self.folder / RUN
        asked = json.loads(json.dumps(run))
        if not path.exists():
            if (self.folder / ANSWERS).exists():
                raise _another(f"holds an {ANSWERS} of which no {RUN} says what it is")
            beside = path.with_suffix(".part")
            beside.write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")
            os.replace(beside, path)
            return
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            before = None
        if not isinstance(before, dict):
            raise _another(f"its {RUN} cannot be read; name another folder")
        differs = sorted(name for name in {*asked, *before} if asked.get(name) != before.get(name))
        if differs:
            raise _another(f"holds a run with other {', '.join(differs)}; name another folder, or empty it")

    def _take_up(self) -> None:
        """Read what is there; a last line that was not finished is cut off."""
        path = self.folder / ANSWERS
        if not path.exists():
            return
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        for number, row in enumerate(whole.splitlines(), 1):
            try:
                answered = json.loads(row)
                self.kept[answered["id"]] = answered
            except (ValueError, TypeError, KeyError):
                raise _another(f"line {number} of its {ANSWERS} is none of ours") from None


def _another(what: str) -> PinpointError:
    return PinpointError("output_of_another_run", what, FIELD)
