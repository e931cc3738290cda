"""A question and a prompt as tokens, and what they take in memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from pinpoint.prompting.label_trie import LabelTrie
from pinpoint.prompting.prefill import Prefill
from pinpoint.prompting.span_tree import NO_PARENT, Forest
from pinpoint.prompting.taxonomy import Task

# Bytes, at most, of: a token, with its place in a tuple; a tuple, a label or a question with its fields.
_TOKEN_BYTES, _OBJECT_BYTES = 40, 120
# And of the arrays that an engine makes once of a trie, what they take without what is in them.
_LAYOUT_BYTES = 1_200


@dataclass(frozen=True, slots=True)
class Question:
    """One question as tokens: of a choice there is one, of a `multi_label` task one for each label, of a tree one for
    each node that has children.

    Attributes:
        parts: its runs of tokens; questions of one task hold the same objects where they say the same.
        trie: its labels.
        length: tokens of all parts.
        opening_tokens: of these, its first, which other questions about a document begin with too.
    """

    parts: tuple[tuple[int, ...], ...]
    trie: LabelTrie
    length: int
    opening_tokens: int = 0

    @property
    def tokens(self) -> tuple[int, ...]:
        """All of it in one."""
        return self.parts[0] if len(self.parts) == 1 else tuple(token for part in self.parts for token in part)

    @property
    def spans(self) -> tuple[tuple[int, ...], ...]:
        """Its opening, where it has one, and the rest."""
        tokens, cut = self.tokens, self.opening_tokens
        return (tokens[:cut], tokens[cut:]) if cut else (tokens,)

    @property
    def row_tokens(self) -> int:
        """With all its labels."""
        return self.length + len(self.trie.tokens)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt: its spans, root first, which of them other prompts are likely to share, its labels, and its owner.

    `open` says that more may be asked behind all but its last span, once its answer is known. `ahead` is how many of
    its spans may be read ahead of the rest: the document with all that precedes it, or all but the last span.
    """

    path: tuple[tuple[int, ...], ...]
    shared: tuple[bool, ...]
    trie: LabelTrie
    owner: str = ""
    open: bool = False
    ahead: int = 0

    @property
    def length(self) -> int:
        """Tokens of the whole prompt and of its labels, shared or not."""
        return sum(map(len, self.path)) + len(self.trie.tokens)

    @property
    def shared_tokens(self) -> int:
        """Tokens of the spans that prompts about other documents are likely to have, too."""
        return sum(len(tokens) for tokens, shared in zip(self.path, self.shared, strict=True) if shared)

    def add_to(
        self, forest: Forest, exact_best: int | None = None, *, state: bool = False, begun: Prefill | None = None
    ) -> int:
        """Add what `forest` has not got of it, which may be `begun` ahead; returns the index of its ask."""
        span = NO_PARENT
        for tokens, shared in zip(self.path, self.shared, strict=True):
            if self.open and span != NO_PARENT:
                forest.open.add(span)
            span = forest.add(tokens, span, shared=shared, owner=self.owner, begun=begun)
        return forest.ask(span, self.trie, exact_best, state=state)

    def new_tokens(self, forest: Forest, begun: Prefill | None = None) -> int:
        """How many tokens `add_to` would add."""
        return forest.new_tokens(self.path, self.owner, begun) + len(self.trie.tokens)


def kept_bytes(task: Task, questions: Sequence[Question]) -> int:
    """What a task and its questions take in memory, at most; parts that are the same object once."""
    labels = (*task.labels, *(task.tree.labels if task.tree is not None else ()))
    texts = [text for one in labels for text in (one.id, one.name, one.description, *one.examples) if text]
    texts += [text for text in (task.instructions, *task.criteria) if text]
    size = sum(map(sys.getsizeof, texts)) + _OBJECT_BYTES * len(labels)
    parts = {id(part): part for question in questions for part in question.parts}
    tries = {id(question.trie): question.trie for question in questions}
    size += sum(_OBJECT_BYTES + 8 * len(question.parts) for question in questions)
    size += sum(_OBJECT_BYTES + _TOKEN_BYTES * len(part) for part in parts.values())
    for trie in tries.values():
        # A node is a token, a parent and at least one lookup, and a lookup a pair; a path has one lookup a token.
        size += (2 * _TOKEN_BYTES + _OBJECT_BYTES) * (len(trie.tokens) + len(trie.lookups))
        size += sum(2 * _OBJECT_BYTES + 2 * _TOKEN_BYTES * len(label) for label in trie.labels) + _LAYOUT_BYTES
    return size
