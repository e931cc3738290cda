"""A result in cells: for tables on the screen, CSV and Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

COLUMNS = ("label", "score", "pages", "type", "decision", "error", "warnings")


def lines(result: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Values under `COLUMNS`, in words: one line, or one for each document of a packet.

    Several questions have a label, a score and a decision each, with their names before them.
    """
    if "error" in result:
        error = result["error"]
        yield {"error": f"{error['code']}: {error['message']}"}
        return
    read = result["input"]
    whole = {"answers": result["answers"], "pages": None}
    for part in result.get("segments", [whole]):
        # People count pages from 1.
        first, last = (page + 1 for page in part["pages"] or (0, read["pages"] - 1))
        yield {
            **_answers(part["answers"]),
            "pages": str(read["pages"]) if part is whole else f"{first}-{last}",
            "type": read.get("type", ""),
            "warnings": "; ".join(result["warnings"]),
        }


def _answers(answers: Mapping[str, Any]) -> dict[str, str]:
    told = {
        "label": {name: _labels(answer) for name, answer in answers.items()},
        "score": {name: f"{answer['score']:.4f}" for name, answer in answers.items()},
        "decision": {name: answer["decision"] for name, answer in answers.items()},
    }
    if len(answers) == 1:
        return {column: next(iter(values.values())) for column, values in told.items()}
    return {column: "; ".join(f"{name}: {value}" for name, value in values.items()) for column, values in told.items()}


def _labels(answer: Mapping[str, Any]) -> str:
    """The label, or of a set all of them, as a table of labelled documents has them."""
    return " | ".join(answer["chosen"]) if "chosen" in answer else answer["label"] or ""


def harmless(value: str) -> str:
    """A cell that no spreadsheet takes for a formula: names of files come from anywhere."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value
