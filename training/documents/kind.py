"""What a kind of document is: the label in several wordings, what it is for, and how to write one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from .grammar import lines, phrases


@dataclass(frozen=True)
class Kind:
    """One kind of document that the model learns to tell from the others."""

    key: str
    family: str
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    render: Callable[[random.Random], str]


@dataclass(frozen=True)
class Label:
    """The wordings of one kind, apart from how its documents are written."""

    key: str
    family: str
    names: tuple[str, ...]
    descriptions: tuple[str, ...]


def label(key: str, family: str, names: str, descriptions: str) -> Label:
    """A label whose first name is its key; names are separated by semicolons, descriptions stand on lines."""
    return Label(key, family, (key, *phrases(names)), lines(descriptions))
