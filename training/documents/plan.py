"""How a document of a kind is put together: a title that may be missing, head blocks in any order, then the body."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .blocks import Block
from .case import Case

_TOO_SHORT = 110  # characters: less than that says too little to tell a kind


@dataclass(frozen=True)
class Plan:
    """The title (a template of alternatives), the blocks that open a document and those that follow."""

    titles: str
    top: tuple[Block, ...]
    body: tuple[Block, ...]
    untitled: float = 0.2
    ordered: bool = False
    services: bool = True

    def __call__(self, rng: random.Random) -> str:
        """Write one document."""
        text = self.write(Case(rng))
        while len(text) < _TOO_SHORT:
            text = self.write(Case(rng))
        return text

    def write(self, case: Case, rounds: int = 1) -> str:
        """Write one document about a case, its body drawn so many times over: the more, the longer.

        What opens a body stands there once, and prose in a fixed order is written once.
        """
        case.services = self.services
        case.titled = case.random() >= self.untitled
        top = list(self.top)
        if not self.ordered and case.random() < 0.6:
            case.rng.shuffle(top)
        parts = [text for block in top if (text := block(case))]
        more = () if self.ordered else self.body[1:] * (rounds - 1)
        parts += [text for block in (*self.body, *more) if (text := block(case))]
        if case.titled:
            title = case.style.heading(case.fill(self.titles))
            parts.insert(0 if self.ordered or case.random() < 0.8 or not parts else 1, title)
        gap = case.style.gap
        return gap.join(parts) if gap != "\n" else "\n".join(parts)
