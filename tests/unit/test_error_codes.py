"""Error codes: every one that the sources can answer with is in the table, and the table holds no other.

Found by reading the sources: literal codes, those that reach an error through a parameter, a variable or a choice of
two, and those written as the beginning of a wire message. A code that cannot be followed fails the first test.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pinpoint import errors
from pinpoint.error_codes import ERROR_CODES

SOURCES = Path(__file__).parents[2] / "src/pinpoint"
CLASSES = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.PinpointError)
}  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef
WIRE = re.compile(r"([a-z]+(?:_[a-z]+)+): ")
TABLE = {entry.code: entry for entry in ERROR_CODES}
SCOPES = {
    "RequestError": {"job"},
    "DocumentError": {"document"},
    "ModelError": {"load", "command"},
    "OutOfMemory": {"document"},
    "DeviceError": {"job"},
    "InternalError": {"job"},
}


def callee(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def functions_around(tree: ast.Module) -> dict[ast.AST, Function]:
    """The innermost function around every node."""
    around = dict[ast.AST, Function]()
    for node in ast.walk(tree):  # outer ones come first
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            around.update(dict.fromkeys(ast.walk(node), node))
    return around


@dataclass
class Call:
    """A call, the function that it stands in, and its file and line."""

    node: ast.Call
    function: Function | None
    place: str

    def argument(self, index: int, name: str) -> ast.expr | None:
        if index < len(self.node.args):
            return self.node.args[index]
        return next((keyword.value for keyword in self.node.keywords if keyword.arg == name), None)


class Walk:
    """All sources, read once.

    `found` has the error classes of each code, `lost` the places where a code comes from somewhere unknown.
    """

    def __init__(self, texts: dict[str, str]) -> None:
        self.trees = {name: ast.parse(text) for name, text in texts.items()}
        self.found = defaultdict[str, set[str]](set)
        self.lost = list[str]()
        self.calls = defaultdict[str, list[Call]](list)
        for name, tree in self.trees.items():
            around = functions_around(tree)
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    self.calls[callee(node)].append(Call(node, around.get(node), f"{name}:{node.lineno}"))
        for kind in CLASSES:
            for call in self.calls[kind]:
                self.follow(call.argument(0, "code"), kind, call.function, call.place)
        for tree in self.trees.values():
            for text in strings(tree):
                if wire := WIRE.match(text):
                    self.found[wire[1]].add("wire")

    def follow(self, code: ast.expr | None, kind: str, function: Function | None, place: str) -> None:
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            self.found[code.value].add(kind)
        elif isinstance(code, ast.IfExp):
            self.follow(code.body, kind, function, place)
            self.follow(code.orelse, kind, function, place)
        elif isinstance(code, ast.Attribute) and code.attr == "code":
            pass  # of another error, which is found where it is made
        elif isinstance(code, ast.Name) and function is not None:
            self.follow_name(code.id, kind, function, place)
        else:
            self.lost.append(place)

    def follow_name(self, name: str, kind: str, function: Function, place: str) -> None:
        parameters = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        values = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
        ]
        if name in parameters:
            index = parameters.index(name) - (parameters[0] == "self")
            for call in self.calls[function.name]:
                self.follow(call.argument(index, name), kind, call.function, call.place)
        elif values:
            for value in values:
                self.follow(value, kind, function, place)
        else:
            self.lost.append(place)


def strings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def walk_of_the_sources() -> Walk:
    return Walk(sources())


def sources() -> dict[str, str]:
    paths = [path for path in sorted(SOURCES.rglob("*.py")) if path.name != "error_codes.py"]
    return {str(path.relative_to(SOURCES)): path.read_text(encoding="utf-8") for path in paths}


def test_every_code_in_the_sources_can_be_followed() -> None:
    assert walk_of_the_sources().lost == []


def test_the_table_holds_the_codes_of_the_sources_and_no_other() -> None:
    found = set(walk_of_the_sources().found)
    assert found - set(TABLE) == set(), "in the sources, not in error_codes.py"
    assert set(TABLE) - found == set(), "in error_codes.py, not in the sources"
    assert len(TABLE) == len(ERROR_CODES)


def test_a_code_is_said_to_end_what_its_errors_end() -> None:
    for code, kinds in walk_of_the_sources().found.items():
        for kind in kinds & set(SCOPES):
            assert SCOPES[kind] & set(TABLE[code].of), f"{code} is raised as {kind}"


def test_the_walk_follows_parameters_variables_and_choices() -> None:
    walk = Walk({
        "a.py": "def helper(self, code, more):\n    return RequestError(code, more)\n"
        "def one(x):\n    name = 'b' if x else 'c'\n    raise errors.DocumentError(code=name)\n",
        "b.py": "def two():\n    raise thing.helper('d', 1)\ndef three():\n    raise helper(code='e', more=1)\n"
        "answer('some_code: what')\n",
        "c.py": "def lost():\n    raise ModelError(table[1], 'x')\n",
    })  # fmt: skip
    assert walk.lost == ["c.py:2"]
    assert {code: sorted(kinds) for code, kinds in walk.found.items()} == {
        "b": ["DocumentError"], "c": ["DocumentError"], "d": ["RequestError"], "e": ["RequestError"],
        "some_code": ["wire"],
    }  # fmt: skip
