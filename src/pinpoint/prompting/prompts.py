"""Questions about documents, laid into a forest.

Encoding takes time that nobody can cut short, so what can be long is encoded in steps: `encode` for the questions of a
task, `document_steps` for a document. Each step tells how many characters it was worth, and whoever takes the steps may
stop between any two. What the questions of a task have in common (instructions, the words of the template) is encoded
and held once.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from pinpoint.prompting import template
from pinpoint.prompting.byte_cache import ByteCache
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.fence import DocumentTokens, Fence
from pinpoint.prompting.label_tree import questions_of
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.long_text import text_steps
from pinpoint.prompting.openings import CALL_CHARS, Front, begun_alike
from pinpoint.prompting.prompt import Prompt, Question, kept_bytes
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Task
from pinpoint.prompting.template import PROMPT_VERSION, Version

QUESTIONS_BYTES = 32_000_000  # of encoded questions, kept for the next job with the same: some 50 lists of 1,000 labels
SHORT_FORM_TASK = "category"

_WORD_CHARS = re.compile("[0-9A-Za-z]+")


class PromptBuilder:
    """Lays (document, task) pairs into forests. What depends on the model or the task alone is encoded once.

    Attributes:
        version: of the prompt.
        root_tokens, ending_tokens: of what stands before everything, and at the end.
    """

    def __init__(self, encoder: PromptEncoder, version: Version = PROMPT_VERSION) -> None:
        self.encoder = encoder
        self.version = version
        self._root = tuple(encoder.opening(template.root()))
        closing = template.Piece(encoder.frame.closing, True)
        self._ending = tuple(encoder.pieces([*template.ending(), closing]))
        self._fence = Fence(encoder)
        self.root_tokens, self.ending_tokens = len(self._root), len(self._ending)
        self._fixed = self.root_tokens + len(self._fence) + self.ending_tokens
        self._kept = ByteCache[Task, tuple[Question, ...]](QUESTIONS_BYTES)
        self._longest_word_chars = encoder.longest_word_chars()

    def document(self, text: str) -> DocumentTokens:
        """Token ids of a document's own text."""
        return self._fence.document(text)

    def document_steps(self, text: str, most_tokens: int) -> Generator[int, None, Sequence[int]]:
        """The same in steps; yields the characters that each was worth (`Fence.document_steps`)."""
        return self._fence.document_steps(text, most_tokens)

    def fenced(self, document: Sequence[int]) -> tuple[int, ...]:
        """A document, or a part of one, with the lines around it."""
        return self._fence.around(document)

    def lay(self, task: Task, document: Sequence[int]) -> list[Prompt]:
        """The prompts that ask `task` about a document: one for a choice, one a label with `multi_label`."""
        return list(self.ask(task, self.questions(task), document))

    def ask(
        self,
        task: Task,
        questions: Sequence[Question],
        document: Sequence[int],
        owner: str = "",
        cuts: Sequence[int] = (),
        *,
        followed: bool = False,
        alone: bool = False,
    ) -> Iterator[Prompt]:
        """The prompts of `lay` for questions that are encoded, each laid when it is asked for.

        `owner` is whose their beginnings are, in a pass and in the prefix store. `cuts` are places among the tokens of
        the fenced document: what stands before each is a span that other documents may share. `followed`
        says that more may be asked behind the document, as it may be of a tree; `alone` that nothing else is, so that
        nobody shares the opening of a question.
        """
        *beginning, end = _cut(self.fenced(document), cuts)
        for question in questions:
            if self.document_first(task, question, len(document)):
                *opening, rest = (question.tokens,) if alone else question.spans
                path = (self._root, *beginning, end, *opening, rest + self._ending)
                shared = (True, *(False for _ in path[1:]))
                ahead = len(path) - len(opening) - 1
            else:
                path = (self._root, question.tokens, *beginning, end + self._ending)
                shared = (True, True, *(False for _ in path[2:]))
                ahead = len(path) - 1
            yield Prompt(path, shared, question.trie, owner, open=followed or task.tree is not None, ahead=ahead)

    def document_first(self, task: Task, question: Question, document_tokens: int) -> bool:
        """Whether the document precedes this question. Those of a multi-label task, and of a tree, only ever share the
        document.
        """
        return not task.labels_first and (
            task.multi_label
            or task.tree is not None
            or template.document_first(document_tokens, question.length, self.version)
        )

    def add(self, forest: Forest, task: Task, document: Sequence[int], exact_best: int | None = None) -> list[int]:
        """Ask `task` about a document; returns the indices of its asks, in the order of `lay`."""
        return [prompt.add_to(forest, exact_best) for prompt in self.lay(task, document)]

    def wording(self, task: Task, text: str) -> list[str]:
        """What the user says in each prompt that `lay` makes of a document's text, without the chat format."""
        document = "".join(piece.text for piece in template.document(text))
        document_tokens = len(self.document(text))
        first = [self.document_first(task, question, document_tokens) for question in self.questions(task)]
        asked = [
            "".join(piece.text for piece in pieces)
            for pieces in (
                [template.yes_no_question(task, label, self.version) for label in task.labels]
                if task.multi_label
                else [template.choice_question(one, self.version) for one in choices(task)]
            )
        ]
        root, ending = ("".join(piece.text for piece in part) for part in (template.root(), template.ending()))
        return [
            root + (document + question if in_front else question + document) + ending
            for question, in_front in zip(asked, first, strict=True)
        ]

    def answers(self, task: Task) -> list[str]:
        """What the model may write in each prompt of a task without a tree, in the order of its log-probabilities."""
        return (
            template.yes_no_answers(self.version) if task.multi_label else template.choice_answers(task, self.version)
        )

    def overhead(self, questions: Sequence[Question]) -> int:
        """Tokens of the longest prompt of a task's questions, its longest label included, without the document."""
        return self._fixed + max(question.length + max(map(len, question.trie.labels)) for question in questions)

    def row_overhead(self, questions: Sequence[Question]) -> int:
        """Tokens of a row that asks one question of a task, all its labels included, without the document."""
        return self._fixed + max(question.row_tokens for question in questions)

    def least_overheads(self, task: Task) -> tuple[int, int]:
        """No more than `overhead` and `row_overhead`, by counting labels and characters: nothing is encoded."""
        if task.multi_label:
            return self._fixed, self._fixed
        if task.tree is not None:
            each = [self.least_overheads(one) for one in questions_of(task)]
            return max(prompt for prompt, _ in each), max(row for _, row in each)
        words, labels = 0, len(task.labels)
        if self._longest_word_chars is not None:
            texts = [text for label in task.labels for text in (label.name, label.description) if text]
            chars = sum(len(word) for text in texts for word in _WORD_CHARS.findall(text))
            words = -(-chars // self._longest_word_chars)
        # A label's name is at least a token, as is what stands between two of them, and has a node of its own.
        prompt = self._fixed + max(words, labels) + labels
        return prompt, prompt + labels

    def questions(self, task: Task) -> tuple[Question, ...]:
        """The questions of a task, encoded unless they are kept; all at once, and kept from now on.

        Raises:
            RequestError: a label without tokens, or two labels with the same tokens.
        """
        questions = self.kept(task)
        if questions is None:
            steps = self.encode(task)
            while questions is None:
                try:
                    next(steps)
                except StopIteration as done:
                    questions = done.value
            self.keep(task, questions)
        return questions

    def kept(self, task: Task) -> tuple[Question, ...] | None:
        """The questions of a task where they are kept."""
        return self._kept.get(_asked(task))

    def keep(self, task: Task, questions: tuple[Question, ...]) -> None:
        """Keep them for the next job that asks the same."""
        self._kept.put(_asked(task), questions, kept_bytes(task, questions))

    def encode(
        self, task: Task, longest: Callable[[int], None] = lambda tokens: None
    ) -> Generator[int, None, tuple[Question, ...]]:
        """Encode the questions of a task in steps; yields the characters that each was worth.

        Args:
            task: what is asked.
            longest: told what `overhead` is at least, as soon as it is known; may raise to end it.

        Raises:
            RequestError: a label without tokens, or two labels with the same tokens.
        """
        encoder = self.encoder
        if task.multi_label:
            answers = build_trie([encoder.label_tokens(answer) for answer in self.answers(task)], encoder.stop)
            questions, front = list[Question](), Front(encoder, _text(template.yes_no_opening(task, self.version)))
            for label in task.labels:
                head, tail = encoder.runs(template.yes_no_question(task, label, self.version))
                parts = (*(yield from front.parts(head)), *_ours(encoder, tail))
                questions.append(Question(parts, answers, sum(map(len, parts)), front.opening_tokens(parts[0])))
                longest(self._fixed + questions[-1].length)
            return tuple(questions)
        found = list[Question]()
        for place, choice in enumerate(choices(task)):
            field = "labels" if task.name == SHORT_FORM_TASK else f"tasks.{task.name}.labels"
            if task.tree is not None:
                field += task.tree.place(task.tree.askers()[place])
            found.append((yield from self._choice(choice, longest, field)))
        return tuple(found) if task.tree is None else begun_alike(found)

    def _choice(self, task: Task, longest: Callable[[int], None], field: str) -> Generator[int, None, Question]:
        encoder = self.encoder
        head, tail = encoder.runs(template.choice_question(task, self.version))
        tokens = array("i")
        for chars in text_steps(encoder, head, tokens):
            yield chars
            longest(self._fixed + len(tokens))
        tokens.extend(token for part in _ours(encoder, tail) for token in part)
        answers_tokens = list[tuple[int, ...]]()
        for answer in self.answers(task):
            answers_tokens.append(encoder.label_tokens(answer))
            yield len(answer) + CALL_CHARS
        trie = build_trie(answers_tokens, encoder.stop, field)
        # A question that may stand before many documents is one span.
        front = "" if self.version == 1 or task.labels_first else _text(template.choice_opening(task))
        parts = (tuple(tokens),)
        return Question(parts, trie, len(tokens), Front(encoder, front).opening_tokens(parts[0]))


def _cut(tokens: tuple[int, ...], cuts: Sequence[int]) -> list[tuple[int, ...]]:
    """The tokens in runs that end at the cuts within them."""
    within = sorted({0, *(cut for cut in cuts if 0 < cut < len(tokens)), len(tokens)})
    return [tokens] if len(within) == 2 else [tokens[start:end] for start, end in pairwise(within)]


def _ours(encoder: PromptEncoder, text: str) -> tuple[tuple[int, ...], ...]:
    """The run of a text of ours, where there is one."""
    return (tuple(encoder.text(text, trusted=True)),) if text else ()


def _text(pieces: Iterator[template.Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def choices(task: Task) -> Iterator[Task]:
    """The choices that a task is asked in: itself, or those of its tree."""
    return iter((task,)) if task.tree is None else questions_of(task)


def _asked(task: Task) -> Task:
    """The task without what stands in no prompt: its name, and what acts on the answer alone."""
    return replace(task, name="", mask=frozenset(), prior=None, kind="choice", other=None)
