"""What was chosen, in a file that only ever grows by whole lines and shrinks by the last one.

A line is written by one call and is on the disk before the page hears of it. A line that a crash cut short is taken off
when the file is opened again. One process at a time has the file.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pinpoint.errors import PinpointError

Choice = str | list[str]  # the label, or where a document may have several, all of them


class Chosen:
    """The file, open for writing.

    Attributes:
        path: of it.
        labels: by the key of the document, in the order in which they were chosen.
        several: whether a choice is a list of labels.
    """

    def __init__(self, path: Path, *, several: bool = False) -> None:
        """Open it, or make it.

        Raises:
            PinpointError: `cannot_write`: the folder or file cannot be written, another process has it, or it holds
                something else.
        """
        self.path, self.several = path, several
        self.labels: dict[str, Choice] = {}
        self._starts: list[tuple[str, int]] = []
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "no name of a file"
            raise PinpointError("cannot_write", f"what is chosen cannot be written: {why}", str(path)) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._load()
        except OSError:
            self.close()
            raise PinpointError("cannot_write", "another review writes to this file; end it first", str(path)) from None
        except PinpointError:
            self.close()
            raise

    def add(self, key: str, label: Choice, about: Mapping[str, Any]) -> None:
        """Write a choice; `about` is what else its line says. Raises OSError, with nothing of it left in the file."""
        line = json.dumps({"id": key, **about, "label": label}, ensure_ascii=False) + "\n"
        start = os.lseek(self._file, 0, os.SEEK_END)
        try:
            left = memoryview(line.encode("utf-8", "backslashreplace"))
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, start)
            raise
        self._starts.append((key, start))
        self.labels[key] = label

    @property
    def last(self) -> str | None:
        """Key of the last choice."""
        return self._starts[-1][0] if self._starts else None

    def undo(self) -> str | None:
        """Take the last choice back; its key, or None where there is none."""
        if not self._starts:
            return None
        key, start = self._starts.pop()
        os.ftruncate(self._file, start)
        os.fsync(self._file)
        del self.labels[key]
        return key

    def close(self) -> None:
        """Let another process have the file."""
        os.close(self._file)

    def _load(self) -> None:
        with os.fdopen(os.dup(self._file), "rb") as stream:
            start = 0
            for line in stream:
                if not line.endswith(b"\n"):
                    break  # a line that a crash cut short
                self._take(line, start)
                start += len(line)
        os.ftruncate(self._file, start)

    def _take(self, line: bytes, start: int) -> None:
        if not line.strip():
            return
        try:
            record = json.loads(line)
            key, label = record["id"], record["label"]
        except (ValueError, TypeError, KeyError, RecursionError):
            key = label = None
        one, many = isinstance(label, str), isinstance(label, list) and all(isinstance(each, str) for each in label)
        if isinstance(key, str) and (many if not self.several else one):
            there = "sets of labels" if many else "one label of each document"
            raise PinpointError(
                "cannot_write", f"the file holds {there}, and these answers are otherwise; name another with --out",
                str(self.path),
            )  # fmt: skip
        if not isinstance(key, str) or not (one or many) or key in self.labels:
            raise PinpointError(
                "cannot_write", "the file holds something else than what was chosen before; name another with --out",
                str(self.path),
            )  # fmt: skip
        self.labels[key] = label
        self._starts.append((key, start))
