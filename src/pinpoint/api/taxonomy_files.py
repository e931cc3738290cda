"""Taxonomies that are deployed with a worker: a YAML or JSON file each, with the fields of a task.

A file is untrusted like a request: bounded in bytes, levels and values, aliases counted as often as they are used, no
tags, no keys twice. What is wrong with it is told by field and line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinpoint.api.build import prose
from pinpoint.api.deployed import Deployed, Taxonomy
from pinpoint.api.limits import ROOT, Limits, check_bounds, join
from pinpoint.api.request import SHORT_FORM_TASK
from pinpoint.api.schema import TaxonomyFields
from pinpoint.api.typed_tasks import build_typed_task
from pinpoint.api.validation import validate
from pinpoint.errors import RequestError

MAX_FILE_BYTES = 1_000_000  # 1,000 labels with a paragraph each, twice
SUFFIXES = (".yaml", ".yml", ".json")
SHIPPED = Path(__file__).parent.parent / "taxonomies"  # those that come with the package

_WORDS: dict[str, object] = {"": None, "~": None, "null": None, "true": True, "false": False}
_WHOLE, _DECIMAL = (
    re.compile(r"[-+]?[0-9]{1,18}"),
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,2})?"),
)


def load_folders(*folders: Path, limits: Limits = Limits()) -> Deployed:  # noqa: B008 - frozen, so safe to share
    """All taxonomies in some folders; of two with one name, that of the later folder. A damaged file is refused alone.

    Raises:
        RequestError: `invalid_taxonomy`: a folder that is not there, or that may not be read.
    """
    taxonomies: dict[str, Taxonomy] = {}
    refused: dict[str, RequestError] = {}
    for folder in folders:
        here = set[str]()
        for path in _files(folder):
            name = path.stem
            taxonomies.pop(name, None)
            if name in here:
                refused[name] = RequestError(
                    "invalid_taxonomy", "two files have this name and differ in their ending; remove one", path.name
                )
                continue
            here.add(name)
            refused.pop(name, None)
            try:
                taxonomies[name] = read_taxonomy(path, limits)
            except RequestError as error:
                refused[name] = error
    return Deployed(taxonomies, refused)


def _files(folder: Path) -> list[Path]:
    """The taxonomies in a folder, in order; one that may not be looked at is among them, and is refused when read."""
    try:
        if not folder.is_dir():
            raise RequestError("invalid_taxonomy", "there is no such folder", str(folder))
        found = sorted(folder.iterdir())
    except OSError as error:
        raise RequestError("invalid_taxonomy", f"cannot be read: {error.strerror}", str(folder)) from None
    return [path for path in found if path.suffix in SUFFIXES and not path.name.startswith(".") and _is_file(path)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return True


def shipped() -> Deployed:
    """Those that come with the package."""
    return load_folders(SHIPPED)


def read_taxonomy(path: Path, limits: Limits = Limits()) -> Taxonomy:  # noqa: B008 - frozen, so safe to share
    """The taxonomy of a file. Raises RequestError with the field, and the line where it is known."""
    value, lines = read_values(path, limits)
    try:
        check_bounds(value, limits)
        if not isinstance(value, dict):
            raise RequestError("invalid_taxonomy", "must be an object with `labels`", ROOT)
        fields = validate(TaxonomyFields, value)
        warnings = list[str]()
        prose(fields.description, "description", limits.max_description_chars, warnings)
        task, found = build_typed_task(SHORT_FORM_TASK, fields, limits, "")
    except RequestError as error:
        line = _line_of(error.field, lines)
        raise RequestError(error.code, error.message + (f", line {line}" if line else ""), error.field) from None
    return Taxonomy(path.stem, task, (*warnings, *found))


def read_values(path: Path, limits: Limits) -> tuple[Any, dict[str, int]]:
    """The plain values of a file, and the lines that they begin on, by field path. Raises RequestError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise RequestError("invalid_taxonomy", f"cannot be read: {error.strerror}", path.name) from None
    if len(content) > MAX_FILE_BYTES:
        raise RequestError("too_large", f"more than {MAX_FILE_BYTES} bytes; split it", path.name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RequestError("invalid_taxonomy", "not UTF-8; save it in it", path.name) from None
    return (_json(text, path.name), {}) if path.suffix == ".json" else _yaml(text, path.name, limits)


def _json(text: str, name: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise RequestError("invalid_taxonomy", "an object has a key twice; remove one", name)
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RequestError("invalid_taxonomy", f"not JSON: {error.msg}, {where}", name) from None
    except (ValueError, RecursionError):
        raise RequestError("invalid_taxonomy", "numbers too long or brackets too deep to read", name) from None


def _line_of(where: str | None, lines: Mapping[str, int]) -> int | None:
    """Of a field, or of what it is in."""
    while where:
        if where in lines:
            return lines[where]
        where = where[: max(where.rfind("."), where.rfind("["), 0)]
    return None


@dataclass(slots=True)
class _Open:
    """A container that is being read. `size` counts its values, those of aliases as often as they are used."""

    value: dict[str, Any] | list[Any]
    path: str
    anchor: str | None
    size: int = 1
    key: str | None = None


def _yaml(text: str, name: str, limits: Limits) -> tuple[Any, dict[str, int]]:
    import yaml

    try:
        return _Values(name, limits).read(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise RequestError("invalid_taxonomy", f"not YAML: {error.problem or error.context}{line}", name) from None
    except yaml.YAMLError as error:  # a character that YAML does not have
        raise RequestError("invalid_taxonomy", f"not YAML: {type(error).__name__}", name) from None
    except (ValueError, OverflowError):  # "\UFFFFFFFF" is no character, and PyYAML hands it to chr
        raise RequestError("invalid_taxonomy", "not YAML: a number or an escape that is too large", name) from None


class _Values:
    """Plain values of YAML's events: what JSON has and nothing more, so that a label `no` is a word."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name, self.limits = name, limits
        self.lines: dict[str, int] = {}
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.open: list[_Open] = []
        self.result: Any = None
        self.documents = 0

    def read(self, events: Iterator[Any]) -> tuple[Any, dict[str, int]]:
        import yaml

        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    raise self._not_plain("a second document; one file is one taxonomy", line)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event.anchor, line)
            elif isinstance(event, yaml.ScalarEvent):
                self._refuse_tag(event, line)
                self._put(self._scalar(event), 1, event.anchor, line)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._refuse_tag(event, line)
                if len(self.open) >= self.limits.max_depth:
                    raise RequestError(
                        "too_large", f"nested too deep, at most {self.limits.max_depth} levels, line {line}", self.name
                    )
                self._open_one(event, line, {} if isinstance(event, yaml.MappingStartEvent) else [])
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                done = self.open.pop()
                self._put(done.value, done.size, done.anchor, line, path=done.path)
        return self.result, self.lines

    def _open_one(self, event: Any, line: int, value: dict[str, Any] | list[Any]) -> None:
        path = self._path(line)
        self.lines.setdefault(path, line)
        self.open.append(_Open(value, path, event.anchor))

    def _scalar(self, event: Any) -> object:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _WHOLE.fullmatch(text):
            return int(text)
        return float(text) if _DECIMAL.fullmatch(text) else text

    def _alias(self, anchor: str, line: int) -> None:
        if any(one.anchor == anchor for one in self.open):
            raise RequestError(
                "cyclic_tree", f"the alias *{anchor} stands inside of what it names, line {line}; remove it", self.name
            )
        if anchor not in self.anchors:
            raise self._not_plain(f"no anchor &{anchor} before this alias", line)
        value, size = self.anchors[anchor]
        self._put(value, size, None, line)

    def _put(self, value: object, size: int, anchor: str | None, line: int, path: str | None = None) -> None:
        if anchor is not None:
            self.anchors[anchor] = (value, size)
        if not self.open:
            self.result = value
            return
        parent = self.open[-1]
        parent.size += size
        if parent.size > self.limits.max_values:
            raise RequestError(
                "too_large",
                f"more than {self.limits.max_values} values, those of aliases counted as often as they are used, "
                f"line {line}",
                self.name,
            )
        if isinstance(parent.value, list):
            self.lines.setdefault(path or self._path(line), line)
            parent.value.append(value)
        elif parent.key is None:
            if not isinstance(value, str):
                raise self._not_plain("a key that is no word", line)
            if value in parent.value:
                raise self._not_plain("a key that stands here already", line)
            parent.key = value
        else:
            self.lines.setdefault(path or self._path(line), line)
            parent.value[parent.key], parent.key = value, None

    def _path(self, line: int) -> str:
        """Of the value that comes next."""
        if not self.open:
            return ROOT
        parent = self.open[-1]
        if isinstance(parent.value, dict) and parent.key is None:
            raise self._not_plain("a key that is no word", line)
        step = len(parent.value) if isinstance(parent.value, list) else parent.key
        return join(parent.path, step)

    def _refuse_tag(self, event: Any, line: int) -> None:
        if event.tag is not None and event.tag != "!":
            raise self._not_plain("a tag; write plain values", line)

    def _not_plain(self, what: str, line: int) -> RequestError:
        return RequestError("invalid_taxonomy", f"not a plain YAML file: {what}, line {line}", self.name)
