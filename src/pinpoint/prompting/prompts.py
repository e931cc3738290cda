"""Questions about documents, laid into a forest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pinpoint.prompting import template
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.label_trie import LabelTrie, build_trie
from pinpoint.prompting.span_tree import NO_PARENT, Forest
from pinpoint.prompting.taxonomy import Task

_TASK_CACHE_ENTRIES = 1024
SHORT_FORM_TASK = "category"


@dataclass(frozen=True, slots=True)
class Question:
    """One question as tokens: of a choice there is one, of a `multi_label` task one for each label."""

    tokens: tuple[int, ...]
    trie: LabelTrie


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt: its spans, root first, which of them other prompts are likely to share, and its labels."""

    path: tuple[tuple[int, ...], ...]
    shared: tuple[bool, ...]
    trie: LabelTrie

    def add_to(self, forest: Forest, exact_best: int | None = None) -> int:
        """Add what `forest` has not got of it; returns the index of its ask."""
        span = NO_PARENT
        for tokens, shared in zip(self.path, self.shared, strict=True):
            span = forest.add(tokens, span, shared=shared)
        return forest.ask(span, self.trie, exact_best)

    def new_tokens(self, forest: Forest) -> int:
        """How many tokens `add_to` would add."""
        return forest.new_tokens(self.path) + len(self.trie.tokens)


class PromptBuilder:
    """Lays (document, task) pairs into forests. What depends on the model or the task alone is encoded once."""

    def __init__(self, encoder: PromptEncoder) -> None:
        self.encoder = encoder
        self._root = tuple(encoder.opening() + encoder.pieces(template.root()))
        closing = template.Piece(encoder.frame.closing, True)
        self._ending = tuple(encoder.pieces([*template.ending(), closing]))
        fence_open, _, fence_close = template.document("")
        self._document_open = tuple(encoder.pieces([fence_open]))
        self._document_close = tuple(encoder.pieces([fence_close]))
        self._fixed = len(self._root) + len(self._document_open) + len(self._document_close) + len(self._ending)
        self.questions = lru_cache(maxsize=_TASK_CACHE_ENTRIES)(self._questions)

    def document(self, text: str) -> list[int]:
        """Token ids of a document's own text."""
        return self.encoder.text(text, trusted=False)

    def lay(self, task: Task, document: Sequence[int]) -> list[Prompt]:
        """The prompts that ask `task` about a document: one for a choice, one a label with `multi_label`."""
        fenced = (*self._document_open, *document, *self._document_close)
        prompts = []
        for question in self.questions(task):
            # The questions of a multi-label task only ever share the document.
            if task.multi_label or template.document_first(len(document), len(question.tokens)):
                path, shared = (self._root, fenced, question.tokens + self._ending), (True, False, False)
            else:
                path, shared = (self._root, question.tokens, fenced + self._ending), (True, True, False)
            prompts.append(Prompt(path, shared, question.trie))
        return prompts

    def add(self, forest: Forest, task: Task, document: Sequence[int], exact_best: int | None = None) -> list[int]:
        """Ask `task` about a document; returns the indices of its asks, in the order of `lay`."""
        return [prompt.add_to(forest, exact_best) for prompt in self.lay(task, document)]

    def overhead(self, task: Task) -> int:
        """Tokens of the longest prompt of `task`, its longest label included, without the document."""
        return self._fixed + max(
            len(question.tokens) + max(map(len, question.trie.labels)) for question in self.questions(task)
        )

    def row_overhead(self, task: Task) -> int:
        """Tokens of a row that asks one question of `task`, all its labels included, without the document."""
        return self._fixed + max(len(question.tokens) + len(question.trie.tokens) for question in self.questions(task))

    def _questions(self, task: Task) -> tuple[Question, ...]:
        encoder = self.encoder
        if task.multi_label:
            answers = build_trie([encoder.label_tokens(word) for word in (template.YES, template.NO)], encoder.stop)
            return tuple(
                Question(tuple(encoder.pieces(template.yes_no_question(task, label))), answers) for label in task.labels
            )
        field = "labels" if task.name == SHORT_FORM_TASK else f"tasks.{task.name}.labels"
        trie = build_trie([encoder.label_tokens(label.name) for label in task.labels], encoder.stop, field)
        return (Question(tuple(encoder.pieces(template.choice_question(task))), trie),)
