"""A batch as a forest of token spans.

A span attends causally to itself and fully to all its ancestors; positions continue from the ancestor. A prompt is a path
from a root to an *ask*: the place where one question about one document is answered, with the trie of its labels::

    root ── question ── document A + ending ── label trie      (labels first)
         │           └─ document B + ending ── label trie
         └─ document C ── question 1 + ending ── label trie    (document first)
                       └─ question 2 + ending ── label trie

Nothing here knows what a token means, and nothing here is a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pinpoint.prompting.label_trie import LabelTrie

NO_PARENT = -1


@dataclass(frozen=True, slots=True)
class Ask:
    """One question about one document: its trie hangs on the last token of span `span`."""

    span: int
    trie: LabelTrie


@dataclass(slots=True)
class Forest:
    """Spans in an order in which parents precede children, and the asks that hang on them.

    Attributes:
        tokens: token ids of each span; no span is empty.
        parents: index of each span's parent, `NO_PARENT` for a root.
        asks: in the order in which they were added; scores come back in that order.
    """

    tokens: list[tuple[int, ...]] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    _known: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)

    def add(self, tokens: Sequence[int], parent: int = NO_PARENT) -> int:
        """Add a span under `parent` and return its index; an equal span there is reused.

        Raises:
            ValueError: the span is empty or the parent does not exist.
        """
        ids = tuple(tokens)
        if not ids or not NO_PARENT <= parent < len(self.tokens):
            raise ValueError(f"a span needs tokens and an existing parent, got {len(ids)} tokens under {parent}")
        span = self._known.setdefault((parent, ids), len(self.tokens))
        if span == len(self.tokens):
            self.tokens.append(ids)
            self.parents.append(parent)
        return span

    def ask(self, span: int, trie: LabelTrie) -> int:
        """Hang a label trie on the last token of `span`; returns the index of the ask."""
        self.asks.append(Ask(span, trie))
        return len(self.asks) - 1

    def ancestry(self, span: int) -> list[int]:
        """The spans from the root down to `span`, itself included."""
        path = [span]
        while self.parents[path[-1]] != NO_PARENT:
            path.append(self.parents[path[-1]])
        return path[::-1]

    def prompt(self, span: int) -> list[int]:
        """All token ids from the root to the end of `span`: the prompt as a plain model would be given it."""
        return [token for s in self.ancestry(span) for token in self.tokens[s]]

    @property
    def total_tokens(self) -> int:
        """Tokens that a forward pass over this forest computes, tries included."""
        return sum(map(len, self.tokens)) + sum(len(ask.trie.tokens) for ask in self.asks)
