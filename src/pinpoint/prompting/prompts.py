"""Questions about documents, laid into a forest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pinpoint.prompting import template
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.fence import DocumentTokens, Fence
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
        self._root = tuple(encoder.opening(template.root()))
        closing = template.Piece(encoder.frame.closing, True)
        self._ending = tuple(encoder.pieces([*template.ending(), closing]))
        self._fence = Fence(encoder)
        self._fixed = len(self._root) + len(self._fence) + len(self._ending)
        self.questions = lru_cache(maxsize=_TASK_CACHE_ENTRIES)(self._questions)

    def document(self, text: str) -> DocumentTokens:
        """Token ids of a document's own text."""
        return self._fence.document(text)

    def lay(self, task: Task, document: Sequence[int]) -> list[Prompt]:
        """The prompts that ask `task` about a document: one for a choice, one a label with `multi_label`."""
        fenced = self._fence.around(document)
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

    def wording(self, task: Task, text: str) -> list[str]:
        """What the user says in each prompt that `lay` makes of a document's text, without the chat format."""
        document = "".join(piece.text for piece in template.document(text))
        first = [
            task.multi_label or template.document_first(len(self.document(text)), len(question.tokens))
            for question in self.questions(task)
        ]
        asked = [
            "".join(piece.text for piece in pieces)
            for pieces in (
                [template.yes_no_question(task, label) for label in task.labels]
                if task.multi_label
                else [template.choice_question(task)]
            )
        ]
        root, ending = ("".join(piece.text for piece in part) for part in (template.root(), template.ending()))
        return [
            root + (document + question if in_front else question + document) + ending
            for question, in_front in zip(asked, first, strict=True)
        ]

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
