"""Questions about documents, laid into a forest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pinpoint.prompting import template
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.label_trie import LabelTrie, build_trie
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Task

_TASK_CACHE_ENTRIES = 1024


@dataclass(frozen=True, slots=True)
class Question:
    """One question as tokens: of a choice there is one, of a `multi_label` task one for each label."""

    tokens: tuple[int, ...]
    trie: LabelTrie


class PromptBuilder:
    """Lays (document, task) pairs into forests. What depends on the model or the task alone is encoded once."""

    def __init__(self, encoder: PromptEncoder) -> None:
        self.encoder = encoder
        self._root = tuple(encoder.opening() + encoder.pieces(template.root()))
        closing = template.Piece(encoder.frame.closing, True)
        self._ending = tuple(encoder.pieces([*template.ending(), closing]))
        self._document_open, self._document_close = self._fence()
        self.questions = lru_cache(maxsize=_TASK_CACHE_ENTRIES)(self._questions)

    def document(self, text: str) -> list[int]:
        """Token ids of a document's own text."""
        return self.encoder.text(text, trusted=False)

    def add(self, forest: Forest, task: Task, document: Sequence[int]) -> list[int]:
        """Ask `task` about a document; returns the asks' indices, one for a choice, one a label for `multi_label`."""
        asks = []
        for question in self.questions(task):
            if self._document_first(task, len(document), len(question.tokens)):
                span = forest.add(self._fenced(document), forest.add(self._root))
                span = forest.add(question.tokens + self._ending, span)
            else:
                span = forest.add(question.tokens, forest.add(self._root))
                span = forest.add(self._fenced(document) + self._ending, span)
            asks.append(forest.ask(span, question.trie))
        return asks

    def overhead(self, task: Task) -> int:
        """Tokens of the longest prompt of `task`, its longest label included, without the document."""
        fixed = len(self._root) + len(self._document_open) + len(self._document_close) + len(self._ending)
        return fixed + max(
            len(question.tokens) + max(map(len, question.trie.paths)) - 1 for question in self.questions(task)
        )

    def _document_first(self, task: Task, document_tokens: int, question_tokens: int) -> bool:
        # The questions of a multi-label task only ever share the document.
        return task.multi_label or template.document_first(document_tokens, question_tokens)

    def _questions(self, task: Task) -> tuple[Question, ...]:
        if task.multi_label:
            answers = build_trie([self.encoder.label_tokens(answer) for answer in (template.YES, template.NO)],
                                 self.encoder.stop)
            return tuple(
                Question(tuple(self.encoder.pieces(template.yes_no_question(task, label))), answers)
                for label in task.labels
            )
        trie = build_trie([self.encoder.label_tokens(label.name) for label in task.labels], self.encoder.stop,
                          _field(task))
        return (Question(tuple(self.encoder.pieces(template.choice_question(task))), trie),)

    def _fenced(self, document: Sequence[int]) -> tuple[int, ...]:
        return (*self._document_open, *document, *self._document_close)

    def _fence(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        opening, _, closing = template.document("")
        return tuple(self.encoder.pieces([opening])), tuple(self.encoder.pieces([closing]))


def _field(task: Task) -> str:
    return "labels" if task.name == "category" else f"tasks.{task.name}.labels"


