"""Documents: the files and functions that they name exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src/pinpoint"
# log.md is history: it names files as they were called then.
DOCUMENTS = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "log.md")]
ROOMS = {path.name for path in SOURCES.iterdir() if (path / "__init__.py").is_file()}
FILE = re.compile(r"`(?:src/pinpoint/)?((?:[a-z_0-9]+/)+[a-z_0-9]+\.py)(?::(\w+))?`")


def named(text: str) -> set[tuple[str, str]]:
    """File below src/pinpoint, and function or empty."""
    return {(file, name) for file, name in FILE.findall(text) if file.split("/")[0] in {*ROOMS, "sdk_guards"}}


def missing(text: str) -> list[str]:
    found = []
    for file, name in sorted(named(text)):
        path = SOURCES / ("serving/" + file if file.startswith("sdk_guards/") else file)
        if not path.is_file():
            found.append(file)
        elif name and name not in {
            node.name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }:
            found.append(f"{file}:{name}")
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_names_exists(document: Path) -> None:
    assert missing(document.read_text(encoding="utf-8")) == []


def test_the_eight_steps_name_functions() -> None:
    steps = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert sum(bool(name) for _, name in named(steps)) >= 8


def test_what_does_not_exist_is_found() -> None:
    text = "`engine/no_such.py`, `api/request.py:no_such`, `src/pinpoint/api/request.py:parse_request`, `tests/x/y.py`"
    assert missing(text) == ["api/request.py:no_such", "engine/no_such.py"]
