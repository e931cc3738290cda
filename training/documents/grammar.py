"""A small template language: the generator's whole variety is written as data, so the expander must be fast and plain.

``a [quick|slow] {animal}`` picks one alternative per bracket (brackets nest, a ``|`` outside all brackets splits \
  the whole
template) and asks a resolver for each ``{slot}``.  Templates are parsed once and kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

_SPACES = re.compile(r"  +")
_TOKEN = re.compile(r"\{\w+\}|[\[\]|]|[^\[\]|{}]+")


@dataclass(frozen=True, slots=True)
class Slot:
    """A name whose text is asked for while expanding."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Alternatives of which one is drawn."""

    options: tuple[tuple[Part, ...], ...]


Part: TypeAlias = "str | Slot | Choice"
Resolver: TypeAlias = Callable[[str], str]


def words(text: str) -> tuple[str, ...]:
    """The white-space separated words of a vocabulary literal."""
    return tuple(text.split())


def phrases(text: str) -> tuple[str, ...]:
    """The entries of a vocabulary literal, one per line or separated by semicolons."""
    return tuple(part.strip() for part in re.split(r"[;\n]", text) if part.strip())


def lines(text: str) -> tuple[str, ...]:
    """The non-empty lines of a literal, stripped; runs of spaces, as continued lines leave them, become one."""
    return tuple(_SPACES.sub(" ", line.strip()) for line in text.splitlines() if line.strip())


def alternatives(template: str) -> tuple[str, ...]:
    """The templates between the bars that stand outside all brackets."""
    found: list[str] = []
    depth = start = 0
    for at, char in enumerate(template):
        if char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
        elif char == "|" and depth == 0:
            found.append(template[start:at])
            start = at + 1
    return (*found, template[start:])


def _parse(tokens: list[str], depth: int) -> tuple[Part, ...]:
    options: list[tuple[Part, ...]] = []
    current: list[Part] = []
    while tokens:
        token = tokens.pop()
        if token == "[":
            current.extend(_parse(tokens, depth + 1))
        elif token == "|":
            options.append(tuple(current))
            current = []
        elif token == "]":
            if depth == 0:
                raise ValueError("unbalanced bracket")
            break
        elif token[0] == "{":
            current.append(Slot(token[1:-1]))
        else:
            current.append(token)
    options.append(tuple(current))
    return options[0] if len(options) == 1 else (Choice(tuple(options)),)


@cache
def parse(template: str) -> tuple[Part, ...]:
    """The parsed form of a template."""
    if template.count("[") != template.count("]"):
        raise ValueError(f"unbalanced brackets: {template}")
    return _parse(list(reversed(_TOKEN.findall(template))), 0)


def expand(parts: tuple[Part, ...], resolve: Resolver, random: Callable[[], float]) -> str:
    """The text of a parsed template: choices drawn with ``random``, slots answered by ``resolve``."""
    out: list[str] = []
    for part in parts:
        if isinstance(part, str):
            out.append(part)
        elif isinstance(part, Slot):
            out.append(resolve(part.name))
        else:
            options = part.options
            out.append(expand(options[int(random() * len(options))], resolve, random))
    return "".join(out)
