"""A document between the two lines of ours that name it.

A tokenizer may merge a document's edges with these lines: a full stop and the line break behind it, the line break and
an indented first line. So a whole document is encoded together with them. What a document's own tokens are, as they
are counted, cut and parted, is read off there; a part of a document is set between the lines token by token.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Sequence
from functools import lru_cache

from pinpoint.prompting import template
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.long_text import text_steps


class DocumentTokens(tuple[int, ...]):
    """Token ids of a document's own text; a slice of them is a plain tuple.

    Attributes:
        fenced: token ids of the document and the lines around it, encoded together.
    """

    fenced: tuple[int, ...]


class Fence:
    """The lines around a document, for one model. `len` of it is what they take of a prompt at most."""

    def __init__(self, encoder: PromptEncoder) -> None:
        opening, _, closing = template.document("")
        self._encoder = encoder
        self._opening_text, self._closing_text = opening.text, closing.text
        self._opening = self._encode(opening.text)
        self._closing = self._encode(closing.text)
        # After a token that ends its line already. The rest begins with a letter, as every seam does.
        self._closing_line = self._encode(closing.text.lstrip("\n"))
        self._ends_line = lru_cache(maxsize=1024)(self._token_ends_line)

    def __len__(self) -> int:
        return len(self._opening) + len(self._closing)

    def document(self, text: str) -> DocumentTokens:
        """Encode a document."""
        whole = self._encode(self._opening_text + text + self._closing_text)
        own = self._own(whole)
        return self._fenced(self._encode(text) if own is None else own, whole)

    def document_steps(self, text: str, most_tokens: int) -> Generator[int, None, Sequence[int]]:
        """Encode a document in steps; yields the characters that each was worth.

        Returns:
            What `document` returns; for a document of more than `most_tokens`, which will be cut, its own tokens alone,
            four bytes each.
        """
        whole = array("i")
        yield from text_steps(self._encoder, self._opening_text + text + self._closing_text, whole)
        own = self._own(whole)
        if own is None:
            own = array("i")
            yield from text_steps(self._encoder, text, own)
        return own if len(own) > most_tokens else self._fenced(tuple(own), tuple(whole))

    def _own(self, whole: Sequence[int]) -> Sequence[int] | None:
        """A document's own tokens, of those encoded with its lines; None where the first line merges with it."""
        start, end = len(self._opening), len(whole)
        # As much of the closing as stands there token by token; a merged line break stays with the document.
        for token in reversed(self._closing):
            if end <= start or whole[end - 1] != token:
                break
            end -= 1
        return None if tuple(whole[:start]) != self._opening else whole[start:end]

    def _fenced(self, own: Sequence[int], whole: tuple[int, ...]) -> DocumentTokens:
        document = DocumentTokens(own)
        plain = self._around(document)
        # Counted are the document and its fence: together encoded they must not take more.
        document.fenced = whole if len(whole) <= len(document) + len(self) else plain
        return document

    def around(self, document: Sequence[int]) -> tuple[int, ...]:
        """The lines around a document, or around a part of one."""
        return document.fenced if isinstance(document, DocumentTokens) else self._around(document)

    def _around(self, document: Sequence[int]) -> tuple[int, ...]:
        ended = bool(document) and self._ends_line(document[-1])
        return (*self._opening, *document, *(self._closing_line if ended else self._closing))

    def _token_ends_line(self, token: int) -> bool:
        """Whether a token is more than a line break and ends with one."""
        text: str = self._encoder.show(token)
        return text.endswith("\n") and not text.isspace()

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._encoder.text(text, trusted=False))
