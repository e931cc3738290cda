"""A beginning of prompts that takes more than one pass: read in chunks, and kept until what is asked behind it is.

Each chunk sees the chunks before it through their kept keys and values, at the positions that follow theirs, so that
where the chunks end changes nothing. What is kept is the engine's matter; here it is counted in tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

Path = tuple[tuple[int, ...], ...]


@dataclass(eq=False)
class Prefill:
    """How far a beginning is read.

    Attributes:
        path: tokens of its spans, from the root.
        owner: whose it is, as in a forest.
        long: whether the prompts are read as long ones (`Engine.is_long`): all of its chunks are, then.
        done: tokens that are read.
        kept: the engine's: their keys and values; None before the first chunk and once they are let go.
    """

    path: Path
    owner: str = ""
    long: bool = False
    done: int = 0
    kept: object | None = field(default=None, repr=False)

    @cached_property
    def tokens(self) -> tuple[int, ...]:
        """All of it in one run."""
        return tuple(token for span in self.path for token in span)

    @property
    def left(self) -> int:
        """Tokens that are not read yet."""
        return len(self.tokens) - self.done
