"""Cutting a document to the room that a prompt leaves: the document is cut, never the instructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pinpoint.errors import DocumentError

# What a document is stands mostly at its beginning; totals, signatures and dates stand at its end.
HEAD_SHARE = 0.75


def fit(
    tokens: Sequence[int], room_tokens: int, mode: Literal["head_tail", "error"], field: str
) -> tuple[Sequence[int], int]:
    """Return the tokens that are shown to the model and how many were dropped.

    Args:
        tokens: the document's token ids.
        room_tokens: how many of them the model's context leaves room for.
        mode: "head_tail" keeps the beginning and the end, "error" refuses.
        field: where the document stands in the request.

    Raises:
        DocumentError: the document is too long and must not be cut.
    """
    dropped = len(tokens) - room_tokens
    if dropped <= 0:
        return tokens, 0
    if mode == "error":
        raise DocumentError(
            "document_too_long",
            f"the document has {len(tokens)} tokens and {room_tokens} fit beside the labels; shorten or split it, or set "
            'options.long_document to "head_tail"',
            field,
        )
    head = round(room_tokens * HEAD_SHARE)
    return [*tokens[:head], *tokens[head + dropped :]], dropped
