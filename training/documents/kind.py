"""What a kind of document is: the label in several wordings, what it is for, and how to write one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of document that the model learns to tell from the others."""

    key: str
    family: str
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    render: Callable[[random.Random], str]
