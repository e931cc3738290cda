"""A batch as a forest of token spans.

A span attends causally to itself and fully to all its ancestors; positions continue from the ancestor. A prompt is a
path from a root to an *ask*: the place where one question about one document is answered, with the trie of its
labels::

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
from pinpoint.prompting.prefill import Prefill

NO_PARENT = -1


@dataclass(frozen=True, slots=True)
class Ask:
    """One question about one document: its trie hangs on the last token of span `span`.

    Attributes:
        span: index of the span at whose end the answer stands.
        trie: the labels.
        exact_best: how many of the best labels must be exact; the others may be bounded where they cannot matter. None:
            all are computed.
        state: whether the state of the prompt's last token is wanted beside them.
    """

    span: int
    trie: LabelTrie
    exact_best: int | None = None
    state: bool = False


@dataclass(slots=True)
class Forest:
    """Spans in an order in which parents precede children, and the asks that hang on them.

    Attributes:
        tokens: token ids of each span; no span is empty.
        parents: index of each span's parent, `NO_PARENT` for a root.
        shared: whether other forests are likely to hold the span too, so that its keys and values are worth keeping.
        asks: in the order in which they were added; scores come back in that order.
        total_tokens: tokens of all spans and tries.
        owners: whose each span is; those of two owners are never one, however equal, and nor are those of prompts that
            one prefill began and of any others.
        open: spans that more may be asked below while the pass over this forest is open.
        same_bits: whether scores have to be the same to the bit whatever else is in the forest, at the price of speed.
        given: spans whose paths were read before, and by which prefill.
        given_tokens: of `total_tokens`, those of given spans and of what is above them: nobody computes them again.
        reads: spans that are the next chunk of a prefill; nothing is asked below them.
        begun: spans of prompts that a prefill began. Their bits are those of its chunks, so they are kept for nobody
            else, and nothing that is kept stands for them.
    """

    tokens: list[tuple[int, ...]] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    shared: list[bool] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    total_tokens: int = 0
    owners: list[str] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    same_bits: bool = False
    given: list[tuple[int, Prefill]] = field(default_factory=list)
    given_tokens: int = 0
    reads: list[tuple[int, Prefill]] = field(default_factory=list)
    begun: set[int] = field(default_factory=set)
    _given: set[int] = field(default_factory=set)
    _known: dict[tuple[int, tuple[int, ...], str, Prefill | None], int] = field(default_factory=dict)
    _same: dict[tuple[int, int, str, Prefill | None], tuple[int, tuple[int, ...]]] = field(default_factory=dict)

    def add(
        self, tokens: Sequence[int], parent: int = NO_PARENT, *, shared: bool = False, owner: str = "",
        begun: Prefill | None = None,
    ) -> int:  # fmt: skip
        """Add a span under `parent` and return its index; an equal span there, of the same owner, is reused, and where
        its prompt was `begun` ahead, of the same prefill: what a prompt sees never depends on what others had read.

        Raises:
            ValueError: the span is empty or the parent does not exist.
        """
        ids = tuple(tokens)
        found = self._find(parent, ids, owner, begun)
        if found is not None:
            return found
        if not ids or not NO_PARENT <= parent < len(self.tokens):
            raise ValueError(f"a span needs tokens and an existing parent, got {len(ids)} tokens under {parent}")
        span = self._known[parent, ids, owner, begun] = len(self.tokens)
        self.tokens.append(ids)
        self.parents.append(parent)
        self.shared.append(shared)
        self.owners.append(owner)
        self.total_tokens += len(ids)
        if begun is not None:
            self.begun.add(span)
        return span

    def _find(self, parent: int, ids: tuple[int, ...], owner: str, begun: Prefill | None) -> int | None:
        """The equal span under `parent`, where there is one.

        Looked up first by the object, which is held so that no other takes its number: many questions are asked about
        one document, and to hash its tokens takes as long as they are many.
        """
        same = self._same.get((parent, id(ids), owner, begun))
        if same is not None:
            return same[0]
        span = self._known.get((parent, ids, owner, begun))
        if span is not None:
            self._same[parent, id(ids), owner, begun] = span, ids
        return span

    def ask(self, span: int, trie: LabelTrie, exact_best: int | None = None, *, state: bool = False) -> int:
        """Hang a label trie on the last token of `span`; returns the index of the ask."""
        self.asks.append(Ask(span, trie, exact_best, state))
        self.total_tokens += len(trie.tokens)
        return len(self.asks) - 1

    @property
    def laid_tokens(self) -> int:
        """Tokens of all spans and tries that were not read before."""
        return self.total_tokens - self.given_tokens

    def give(self, span: int, prefill: Prefill) -> None:
        """Say that a span and all above it were read before: they are the beginning of `prefill`."""
        if (span, prefill) not in self.given:
            self.given.append((span, prefill))
        for above in set(self.ancestry(span)) - self._given:
            self._given.add(above)
            self.given_tokens += len(self.tokens[above])

    def read(self, prefill: Prefill, most_tokens: int) -> int:
        """Add the next tokens of a prefill, at most so many, below those that are read; returns their span."""
        owner, parent = prefill.owner, NO_PARENT
        if prefill.done:
            parent = self.add(prefill.tokens[: prefill.done], owner=owner, begun=prefill)
            self.give(parent, prefill)
        span = self.add(prefill.tokens[prefill.done : prefill.done + most_tokens], parent, owner=owner, begun=prefill)
        self.reads.append((span, prefill))
        return span

    def new_tokens(self, path: Sequence[Sequence[int]], owner: str = "", begun: Prefill | None = None) -> int:
        """Tokens that adding the spans of `path`, one under the other from a root, would add for an owner."""
        parent = NO_PARENT
        for position, tokens in enumerate(path):
            known = self._find(parent, tuple(tokens), owner, begun)
            if known is None:
                return sum(map(len, path[position:]))
            parent = known
        return 0

    def ancestry(self, span: int) -> list[int]:
        """The spans from the root down to `span`, itself included."""
        path = [span]
        while self.parents[path[-1]] != NO_PARENT:
            path.append(self.parents[path[-1]])
        return path[::-1]

    def path(self, span: int) -> tuple[tuple[int, ...], ...]:
        """The tokens of each span from the root down to `span`: what makes it equal to a span of another forest."""
        return tuple(self.tokens[s] for s in self.ancestry(span))

    def prompt(self, span: int) -> list[int]:
        """All token ids from the root to the end of `span`: the prompt as a plain model would be given it."""
        return [token for s in self.ancestry(span) for token in self.tokens[s]]

    def prompt_tokens(self, span: int) -> int:
        """Length of `prompt(span)`."""
        return sum(len(self.tokens[s]) for s in self.ancestry(span))
