"""Labels as they are typed in one line: "invoice,receipt", one with a comma in quotes: '"Food, drink",travel'."""

from __future__ import annotations

import csv
from collections.abc import Iterable


def typed_labels(line: str) -> list[str]:
    """The labels between commas, without the white space around them."""
    rows = csv.reader([line.replace("\r", " ").replace("\n", " ")], skipinitialspace=True)
    return [name for row in rows for cell in row if (name := cell.strip())]


def quoting(labels: Iterable[str]) -> str:
    """What there is to say of labels that are lacking because they were split at their commas; else nothing."""
    split = next((label for label in labels if "," in label), None)
    return "" if split is None else f"""; a label with a comma is typed in quotes: --labels '"{split}",…'"""
