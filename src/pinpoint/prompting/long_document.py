"""Fitting a document to the room that a prompt leaves: the document is cut or parted, never the instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pinpoint.errors import DocumentError

Mode = Literal["pages", "head_tail", "error"]

# What a document is stands mostly at its beginning; totals, signatures and dates stand at its end.
HEAD_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class Fitted:
    """A document as it is shown to the model.

    Attributes:
        parts: token ids; one part, but for "pages" one for each page, and a page that is too long parted again.
        pages: of each part, the page (from 0) that it is of.
        dropped: tokens of the document that no part holds.
    """

    parts: tuple[tuple[int, ...], ...]
    pages: tuple[int, ...]
    dropped: int

    @property
    def tokens(self) -> int:
        """Tokens that are shown."""
        return sum(map(len, self.parts))


def fit(whole: Sequence[int], pages: Sequence[Sequence[int]], room_tokens: int, mode: Mode, field: str) -> Fitted:
    """Fit a document into prompts that have room for `room_tokens` of it.

    Args:
        whole: token ids of the whole document.
        pages: token ids of each of its pages, for mode "pages".
        room_tokens: what the model's context leaves beside the labels.
        mode: "pages" shows each page apart, "head_tail" the beginning and the end, "error" refuses what does not fit.
        field: where the document stands in the request.

    Raises:
        DocumentError: the document is too long and must not be cut.
    """
    if mode == "pages":
        parts, of = [], []
        for page, tokens in enumerate(pages):
            # A page that fits stays what it is: it knows how it is encoded between its fences.
            pieces = (tokens,) if 0 < len(tokens) <= room_tokens else _parted(tokens, room_tokens)
            for piece in pieces:
                parts.append(as_tuple(piece))
                of.append(page)
        return Fitted(tuple(parts), tuple(of), 0)
    dropped = len(whole) - room_tokens
    if dropped <= 0:
        return Fitted((as_tuple(whole),), (0,), 0)
    if mode == "error":
        raise DocumentError(
            "document_too_long",
            f"the document has {len(whole)} tokens and {room_tokens} fit beside the labels; shorten it, or set "
            'options.long_document to "head_tail" or "pages"',
            field,
        )
    head = round(room_tokens * HEAD_SHARE)
    return Fitted(((*whole[:head], *whole[head + dropped :]),), (0,), dropped)


def as_tuple(tokens: Sequence[int]) -> tuple[int, ...]:
    """The same object where it is a tuple of any kind."""
    return tokens if isinstance(tokens, tuple) else tuple(tokens)


def _parted(tokens: Sequence[int], room_tokens: int) -> list[Sequence[int]]:
    return [tokens[start : start + room_tokens] for start in range(0, len(tokens), room_tokens)]
