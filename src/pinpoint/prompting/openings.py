"""The beginning that the questions of a task share, encoded once, and computed once behind a document."""

from __future__ import annotations

from array import array
from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import takewhile

from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.long_text import AHEAD_CHARS, text_steps
from pinpoint.prompting.prompt import Question

CALL_CHARS = 50  # what calling the tokenizer takes, in characters encoded meanwhile


class Front:
    """The beginning that the questions of a `multi_label` task share, encoded once where it is long.

    The first question is encoded whole. Of each other one, what follows is encoded by itself and behind the last
    characters of the beginning: where both agree, and those characters come out as they did in the first, no token lies
    across, and its tokens are those of the whole (`long_text`).
    """

    def __init__(self, encoder: PromptEncoder, text: str) -> None:
        self._encoder = encoder
        self._text = text
        self._useful = encoder.is_byte_pair and len(text) > 2 * AHEAD_CHARS
        self._tokens: tuple[int, ...] | None = None
        self._end: list[int] = []
        # Without its last token, into which what follows may reach.
        self._short = () if len(text) > 2 * AHEAD_CHARS else tuple(encoder.text(text, trusted=False)[:-1])

    def opening_tokens(self, first: tuple[int, ...]) -> int:
        """How many tokens of a question's first run are those that the others begin with, but for the last of all."""
        if first is self._tokens:
            return len(first)
        count = len(self._short)
        return count if first[:count] == self._short else 0

    def parts(self, text: str) -> Generator[int, None, tuple[tuple[int, ...], ...]]:
        """The tokens of a question that begins with this, in runs; yields characters as `PromptBuilder.encode` does."""
        rest, end = list[int](), list[int]()
        if self._useful:
            after = text[len(self._text) :]
            rest = self._encoder.text(after, trusted=False)
            near = self._encoder.text(self._text[-AHEAD_CHARS:] + after, trusted=False)
            apart = 0 < len(rest) < len(near) and rest[0] != self._encoder.unknown and near[-len(rest) :] == rest
            end = near[: len(near) - len(rest)] if apart else []
            yield 2 * (len(after) + CALL_CHARS) + AHEAD_CHARS
            if self._tokens is not None and end == self._end:
                return self._tokens, tuple(rest)
        whole = array("i")
        for chars in text_steps(self._encoder, text, whole):
            yield chars + CALL_CHARS
        if end and self._tokens is None and whole[len(whole) - len(rest) :].tolist() == rest:
            self._tokens, self._end = tuple(whole[: len(whole) - len(rest)]), end
            return self._tokens, tuple(rest)
        return (tuple(whole),)


def begun_alike(questions: Sequence[Question]) -> tuple[Question, ...]:
    """The questions of a tree with the beginning that all of them share as their opening.

    It holds the instructions, so the questions about groups, which are asked behind a document after that at the top,
    pay for them no more.
    """
    if len(questions) < 2:
        return tuple(questions)
    columns = zip(*(question.tokens for question in questions), strict=False)
    shared = sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, columns))
    return tuple(replace(question, opening_tokens=shared) for question in questions)
