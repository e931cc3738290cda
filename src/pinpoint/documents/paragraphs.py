"""A text as its paragraphs: runs of characters that cover it from its first to its last.

What parts them is what the text itself has: blank lines; where those make fewer than `FEW` paragraphs, line ends; where
there are few of these too, ends of sentences. A paragraph holds the white space behind it, so that leaving one out
leaves the others whole: `text[:start] + text[end:]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pinpoint.documents.text import is_blank

FEW = 3

_BREAKS = (
    re.compile(r"\n[^\S\n]*\n\s*"),
    re.compile(r"\n\s*"),
    # A full stop and the like, perhaps a closing quote, and white space; in scripts that set none, the stop alone.
    re.compile("(?<=[.!?…])[\"'’”»)\\]]?\\s+|(?<=[。！？])"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of a page, `start` to `end`."""

    page: int
    start: int
    end: int


def paragraphs(text: str, page: int = 0) -> list[Run]:
    """The paragraphs of a page; each has something to be seen in it, and together they are the whole page.

    Nothing for a page on which nothing can be seen.
    """
    runs = list[Run]()
    for pattern in _BREAKS:
        runs = _parted(text, pattern, page)
        if len(runs) >= FEW:
            break
    return runs


def _parted(text: str, pattern: re.Pattern[str], page: int) -> list[Run]:
    runs, start = list[Run](), 0
    for found in pattern.finditer(text):
        # Blank stretches go with what follows, at the end with what precedes.
        if found.end() < len(text) and not is_blank(text[start : found.end()]):
            runs.append(Run(page, start, found.end()))
            start = found.end()
    if not is_blank(text[start:]):
        runs.append(Run(page, start, len(text)))
    elif runs:
        runs[-1] = Run(page, runs[-1].start, len(text))
    return runs
