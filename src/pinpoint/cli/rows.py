"""What became of files, in words: as a table for people, and as comma-separated values."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.markup import escape
from rich.table import Table

from pinpoint.client.bulk import cells

COLUMNS = ("file", *cells.COLUMNS)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a file, or of an attachment in one.

    Attributes:
        file: its path as it was found; an attachment's number behind it.
        result: as the worker would answer, under `results`.
    """

    file: str
    result: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> Iterator[dict[str, str]]:
        """Its values under `COLUMNS`, in words: one line, or one for each document of a packet."""
        for line in cells.lines(self.result):
            yield {"file": self.file, **line}


def as_table(rows: Sequence[Row]) -> Table:
    """A line a document; names begin below the folder that all files share, so that few columns tell them apart."""
    table = Table("file", "label", "score", "pages", "type", "notes", box=None)
    table.columns[0].overflow = "fold"
    shared = os.path.commonpath([os.path.dirname(os.path.abspath(row.file)) for row in rows]) if rows else ""
    for line in (one for row in rows for one in row.lines()):
        notes = line.get("error") or "; ".join(
            filter(None, [line["decision"] if line["decision"] != "accept" else "", line["warnings"]])
        )
        shown = [line.get(name, "") for name in ("label", "score", "pages", "type")]
        table.add_row(*map(escape, [os.path.relpath(os.path.abspath(line["file"]), shared), *shown, notes]))
    return table


def as_csv(rows: Sequence[Row]) -> str:
    """With a header; values that a spreadsheet would compute are made harmless."""
    target = io.StringIO()
    writer = csv.DictWriter(target, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for values in (one for row in rows for one in row.lines()):
        writer.writerow({name: cells.harmless(value) for name, value in values.items()})
    return target.getvalue()
