"""A document's text in pieces that a page can show as they are: plain, part of the evidence, or the name of a character
that nobody would see, or that would move others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pinpoint.documents.text import INVISIBLE
from pinpoint.review.lines import finite

MOST_CHARS = 200_000  # of one document; more would make a page slow, and nobody reads it
MOST_PAGES = 400

# Controls, directions and all else that shows nothing. Joiners and variation selectors stay: emoji and some scripts
# are spelled with them.
_HIDDEN = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{INVISIBLE}\ud800-\udfff\ue000-\uf8ff\ufffe\uffff]")
_HARMLESS = frozenset("\u200c\u200d\ufe0e\ufe0f")


def shown_pages(pages: Sequence[str], first: int, evidence: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Pages as lists of pieces `{"text", "change"?, "hidden"?}`.

    Args:
        pages: clean text.
        first: number of the first of them in its document.
        evidence: of the answer; what lies outside of the pages is left out.
    """
    left, told = MOST_CHARS, list[dict[str, Any]]()
    for number, page in enumerate(pages[:MOST_PAGES], first):
        text = page[:left]
        left -= len(text)
        told.append({"page": number, "pieces": _pieces(text, _of_page(evidence, number, len(page)))})
        if left <= 0:
            break
    total = sum(map(len, pages))
    return {"pages": told, "chars": total, "chars_shown": MOST_CHARS - left, "page_count": len(pages)}


def _of_page(evidence: Sequence[Mapping[str, Any]], page: int, chars: int) -> list[tuple[int, int, float]]:
    """Start, end and change of what lies on a page, in order and apart."""
    found = list[tuple[int, int, float]]()
    for one in evidence:
        begins, ends, change = one.get("page"), one.get("end_page", one.get("page")), finite(one.get("change"))
        if not isinstance(begins, int) or not isinstance(ends, int) or change is None:
            continue
        if begins <= page <= ends:
            start, end = (one.get("start") if page == begins else 0), (one.get("end") if page == ends else chars)
            if isinstance(start, int) and isinstance(end, int) and 0 <= start < min(end, chars):
                found.append((start, min(end, chars), change))
    apart = list[tuple[int, int, float]]()
    for passage in sorted(found):
        if not apart or passage[0] >= apart[-1][1]:
            apart.append(passage)
    return apart


def _pieces(text: str, evidence: Sequence[tuple[int, int, float]]) -> list[dict[str, Any]]:
    pieces, place = list[dict[str, Any]](), 0
    for start, end, change in evidence:
        pieces += _visible(text[place:start], None)
        pieces += _visible(text[start:end], change)
        place = max(place, end)
    return pieces + _visible(text[place:], None)


def _visible(text: str, change: float | None) -> list[dict[str, Any]]:
    marked = {} if change is None else {"change": round(change, 3)}
    pieces, place = list[dict[str, Any]](), 0
    for found in _HIDDEN.finditer(text):
        if found.group() in _HARMLESS:
            continue
        if found.start() > place:
            pieces.append({"text": text[place : found.start()], **marked})
        pieces.append({"text": f"U+{ord(found.group()):04X}", "hidden": True, **marked})
        place = found.end()
    if place < len(text):
        pieces.append({"text": text[place:], **marked})
    return pieces
