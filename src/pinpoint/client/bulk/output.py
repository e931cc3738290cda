"""The file of results: JSON lines or CSV, appended to and synced; Parquet, made of JSON lines at the end.

A Parquet file cannot be added to and is unreadable until it is closed. So rows go into `OUT.rows` first, which becomes
`OUT` in one step when a run ends, as far as it came.
"""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pinpoint.client.bulk import cells
from pinpoint.client.bulk.tables import pyarrow
from pinpoint.errors import PinpointError

FORMATS = (".jsonl", ".csv", ".parquet")
ROWS_SUFFIX = ".rows"
PARQUET_ROWS = 5000  # a group
_CSV_COLUMNS = ("id", *cells.COLUMNS)
_CSV_END = "\r\n"  # in a cell, only what may end a line is put into quotes

Wire = dict[str, Any]


class Output:
    """A file of results, whole up to `size_bytes`."""

    def __init__(self, path: Path, whole_bytes: int, *, ours: bool) -> None:
        """Open it and cut what is behind its whole part.

        Raises:
            PinpointError: not a format of ours, not the file that the journal knows, or it cannot be written.
        """
        self.path = path
        self.format = format_of(path)
        self._rows = path.with_name(path.name + ROWS_SUFFIX) if self.format == ".parquet" else path
        if self.format == ".parquet":
            pyarrow()
        with self._told():
            if any(one.exists() and not one.is_file() for one in (path, self._rows)):
                raise PinpointError("cannot_write", "results go to a file that can be read again", str(path))
            foreign = not ours and any(one.exists() and one.stat().st_size for one in (path, self._rows))
            self._file = open(self._rows, "ab", buffering=0)  # noqa: SIM115
        with self._told():
            size = self._file.seek(0, os.SEEK_END)
        if foreign or size < whole_bytes:
            self._file.close()
            raise PinpointError(
                "output_of_another_run",
                "it is not the file that its journal knows, or has none: name another --out, or delete it",
                str(self._rows),
            )
        with self._told():
            self._file.truncate(whole_bytes)
        self.size_bytes = whole_bytes

    def write(self, results: Sequence[Wire]) -> None:
        """Append results and sync them to the disk; on failure the file is what it was.

        Raises:
            PinpointError: `disk_full`, `cannot_write`.
        """
        data = self._encoded(results)
        with self._told():
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(self._file.fileno(), left) :]
                os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(self.size_bytes)
                raise
        self.size_bytes += len(data)

    def finish(self) -> None:
        """Close it; a Parquet file is made now. Raises PinpointError."""
        with self._told():
            if self.format == ".csv" and not self.size_bytes:
                with suppress(OSError):  # no document, and yet a table; a run that goes on cuts it
                    os.write(self._file.fileno(), self._encoded([]))
            self._file.close()
            if self.format == ".parquet":
                self._make_parquet()

    def _encoded(self, results: Sequence[Wire]) -> bytes:
        if self.format != ".csv":
            lines = [json.dumps(one, ensure_ascii=False, separators=(",", ":")) + "\n" for one in results]
            return "".join(lines).encode("utf-8", "backslashreplace")
        target = _Lines()
        writer = csv.DictWriter(target, _CSV_COLUMNS, restval="", lineterminator=_CSV_END)
        if not self.size_bytes:
            writer.writeheader()
        for one in results:
            for line in cells.lines(one):
                writer.writerow({name: cells.harmless(value) for name, value in {"id": one["id"], **line}.items()})
        return "".join(target).encode("utf-8", "backslashreplace")

    def _make_parquet(self) -> None:
        import pyarrow

        parquet = pyarrow.parquet
        names = ("id", "status", "label", "score", "decision", "pages", "tokens", "type", "error", "warnings", "result")
        kinds = {"score": pyarrow.float64(), "pages": pyarrow.int64(), "tokens": pyarrow.int64()}
        schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in names])
        made = self.path.with_name(self.path.name + ".part")
        try:
            with parquet.ParquetWriter(made, schema) as writer, open(self._rows, encoding="utf-8") as rows:
                for group in _groups(rows):
                    writer.write_table(pyarrow.Table.from_pylist([_flat(line) for line in group], schema=schema))
            os.replace(made, self.path)
        finally:
            made.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The system's errors in words."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise PinpointError(
                    "disk_full", "no room for the results; make some, and run it again", str(self._rows)
                ) from None
            why = error.strerror or type(error).__name__
            raise PinpointError("cannot_write", f"the results cannot be written: {why}", str(self._rows)) from None


class _Lines(list[str]):
    """What a CSV writer writes; its lines end as those of JSON do."""

    def write(self, line: str) -> None:
        """Take a line."""
        self.append(line.removesuffix(_CSV_END) + "\n")


def format_of(path: Path) -> str:
    """The format of an output by its ending. Raises PinpointError `unknown_format`."""
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise PinpointError("unknown_format", f"results are written as {', '.join(FORMATS)}", str(path))
    return ending


def _groups(lines: Iterator[str]) -> Iterator[list[str]]:
    group = list[str]()
    for line in lines:
        group.append(line)
        if len(group) == PARQUET_ROWS:
            yield group
            group = []
    if group:
        yield group


def _flat(line: str) -> Wire:
    result = json.loads(line)
    shown = next(cells.lines(result))
    read = result.get("input", {})
    score = shown.get("score", "")
    alone = len(result.get("answers", ())) == 1 and "segments" not in result
    row = {
        "id": result["id"], "status": result["status"], "label": shown.get("label"),
        "score": float(score) if alone and score else None, "decision": shown.get("decision"),
        "pages": read.get("pages"), "tokens": read.get("tokens"), "type": read.get("type"),
        "error": shown.get("error"), "warnings": shown.get("warnings"), "result": line.rstrip("\n"),
    }  # fmt: skip
    # Half of a surrogate pair, which an id or a name of a file in a message may have, is none of Parquet's characters.
    return {
        name: one.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(one, str) else one
        for name, one in row.items()
    }
