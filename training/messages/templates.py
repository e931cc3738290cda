"""Text templates: alternatives in square brackets, slots in braces.

``[can|could] you book {a} {when}`` is compiled once into nested tuples and then rendered with a random generator, so
that one line of a data file stands for dozens of sentences and rendering stays cheap.  Which text a slot gives is the
caller's business: it hands over a function from the slot's name to its text.
"""

import functools
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

Fill = Callable[[str], str]


@dataclass(frozen=True)
class Slot:
    """A place in a template that the caller fills."""

    name: str


@dataclass(frozen=True)
class Choice:
    """Alternatives, one of which is rendered."""

    options: tuple["Template", ...]


Template = tuple["str | Slot | Choice", ...]

_TOKEN = re.compile(r"[\[\]|]|\{[a-z]+\}|[^\[\]|{}]+")
_SPACES = re.compile(r" +")
_SPACE_BEFORE = re.compile(r" +([,.?!])")


@functools.cache
def compile_template(text: str) -> Template:
    """The parsed form of `text`; ValueError when its brackets do not balance."""
    options, _ = _options(_TOKEN.findall(text), 0, depth=0)
    if len(options) != 1:
        raise ValueError(f"template {text!r}: a bar outside brackets")
    return options[0]


def _options(tokens: list[str], position: int, depth: int) -> tuple[list[Template], int]:
    options: list[Template] = []
    parts: list[str | Slot | Choice] = []
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token == "[":
            inner, position = _options(tokens, position, depth + 1)
            parts.append(Choice(tuple(inner)))
        elif token == "]":
            if depth == 0:
                raise ValueError(f"template {''.join(tokens)!r}: a closing bracket too many")
            options.append(tuple(parts))
            return options, position
        elif token == "|":
            options.append(tuple(parts))
            parts = []
        elif token[0] == "{":
            parts.append(Slot(token[1:-1]))
        else:
            parts.append(token)
    if depth:
        raise ValueError(f"template {''.join(tokens)!r}: an open bracket is not closed")
    options.append(tuple(parts))
    return options, position


def render(rng: random.Random, template: Template, fill: Fill) -> str:
    """One random reading of `template`, with single spaces."""
    pieces: list[str] = []
    _render(rng, template, fill, pieces)
    text = _SPACES.sub(" ", "".join(pieces)).strip()
    return _SPACE_BEFORE.sub(r"\1", text)


def _render(rng: random.Random, template: Template, fill: Fill, pieces: list[str]) -> None:
    for part in template:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, Slot):
            pieces.append(fill(part.name))
        else:
            options = part.options
            _render(rng, options[int(rng.random() * len(options))], fill, pieces)
