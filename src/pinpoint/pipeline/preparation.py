"""A request made ready for the engine: documents encoded, cut to the room that the prompts leave, asked about in units.

All of it is work of one job that needs no engine but its tokenizer, so it is done outside the thread of the forward
passes, a few documents at a time where there are many.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pinpoint.api.request import Options, Request
from pinpoint.api.response import DocumentFailure
from pinpoint.documents.text import Document, RejectedDocument
from pinpoint.errors import DocumentError, RequestError
from pinpoint.pipeline.answers import task_answer
from pinpoint.pipeline.passes import Engine, Scores, Unit
from pinpoint.prompting.long_document import Fitted, fit
from pinpoint.prompting.prompts import SHORT_FORM_TASK
from pinpoint.prompting.taxonomy import Task

PAGE_BREAK = "\n\n"
ROOM_STEP_TOKENS = 128
REASON_TOKENS = 128  # room for a reason and its opening, where one is asked for


@dataclass(frozen=True, slots=True)
class Reading:
    """A document as the model reads it, by the name of the task."""

    document: Document
    fitted: dict[str, Fitted]


class Preparation:
    """Documents on their way to units.

    Attributes:
        outcomes: one for each document prepared so far, in order: what is read, or why not.
    """

    def __init__(self, request: Request, engine: Engine) -> None:
        """Encode the questions.

        Raises:
            RequestError: the labels do not fit the model's context, or the model cannot tell two of them apart.
        """
        self._request = request
        self._engine = engine
        self._rooms = {task.name: _room(task, request.options, engine) for task in request.tasks}
        self.outcomes: list[Reading | DocumentFailure] = []

    def advance(self, max_chars: int | None = None) -> bool:
        """Prepare documents until about so many characters are read, or all; whether any are left."""
        read_chars = 0
        documents = self._request.documents
        while len(self.outcomes) < len(documents) and (max_chars is None or read_chars < max_chars):
            document = documents[len(self.outcomes)]
            self.outcomes.append(self._prepare(document))
            read_chars += sum(map(len, document.pages)) if isinstance(document, Document) else 0
        return len(self.outcomes) < len(documents)

    def units(self) -> Iterator[Unit]:
        """All units, by document, task, part and question; laid one at a time, as they are asked for."""
        for document, outcome in enumerate(self.outcomes):
            if not isinstance(outcome, Reading):
                continue
            for task in self._request.tasks:
                best, explained = _exact_best(task, self._request.options), self._explained(task)
                for tokens in outcome.fitted[task.name].parts:
                    for prompt in self._engine.prompts.lay(task, tokens):
                        yield Unit(prompt, document, best, explained)

    def count(self) -> tuple[list[int], int]:
        """Units of each document, and the tokens that all of them together ask for, without laying them."""
        prompts, units, asked = self._engine.prompts, [0] * len(self.outcomes), 0
        for task in self._request.tasks:
            lengths = [len(question.tokens) + len(question.trie.tokens) for question in prompts.questions(task)]
            around = sum(lengths) + len(lengths) * (prompts.row_overhead(task) - max(lengths))
            for index, outcome in enumerate(self.outcomes):
                if isinstance(outcome, Reading):
                    fitted = outcome.fitted[task.name]
                    units[index] += len(fitted.parts) * len(lengths)
                    asked += len(fitted.parts) * around + fitted.tokens * len(lengths)
        return units, asked

    def _prepare(self, document: Document | RejectedDocument) -> Reading | DocumentFailure:
        if isinstance(document, RejectedDocument):
            return DocumentFailure(document.id, document.error)
        encode, options = self._engine.prompts.document, self._request.options
        in_pages = options.long_document == "pages"
        whole: Sequence[int] = [] if in_pages else encode(PAGE_BREAK.join(document.pages))
        pages = [encode(page) if page.strip() else [] for page in document.pages] if in_pages else []
        try:
            if not any((whole, *pages)):
                raise DocumentError("empty_text", "nothing in this text has a token for the model", document.field)
            fits = {
                room: fit(whole, pages, room, options.long_document, document.field)
                for room in set(self._rooms.values())
            }
        except DocumentError as error:
            return DocumentFailure(document.id, error.with_traceback(None))
        return Reading(document, {name: fits[room] for name, room in self._rooms.items()})

    def _explained(self, task: Task) -> _Explained | None:
        # Yes or no needs no reason.
        return (
            _Explained(task, self._request.options) if self._request.options.explain and not task.multi_label else None
        )


@dataclass(frozen=True, slots=True)
class _Explained:
    """The label that a reason is given for; with reasons asked for, a document has one part."""

    task: Task
    options: Options

    def __call__(self, scores: Scores) -> str | None:
        answer = task_answer(self.task, self.options, [scores])
        return next((label.name for label in self.task.labels if label.id == answer.label), None)


def _room(task: Task, options: Options, engine: Engine) -> int:
    """Tokens that a task's prompt leaves for a document.

    It depends on the task alone, so that an answer never depends on what else is asked; in steps, so that tasks of
    about the same length cut a long document alike and can share it.
    """
    prompts = engine.prompts
    taken = max(prompts.overhead(task), engine.context_tokens - engine.token_budget + prompts.row_overhead(task))
    taken += REASON_TOKENS if options.explain else 0
    room = engine.context_tokens - taken
    if room < 1:
        raise RequestError(
            "labels_too_long",
            f"the prompt takes {taken} tokens with its labels and without a document, and {engine.context_tokens} can "
            "be read; shorten or split the list of labels",
            "labels" if task.name == SHORT_FORM_TASK else f"tasks.{task.name}.labels",
        )
    stepped = engine.context_tokens - math.ceil(taken / ROOM_STEP_TOKENS) * ROOM_STEP_TOKENS
    return stepped if stepped > 0 else room


def _exact_best(task: Task, options: Options) -> int | None:
    """How many of a task's best labels must be exact; None for all.

    A prior can lift any label, without the masked ones the others are the whole, and with pages a label's
    log-probabilities are summed: there every one counts. Otherwise the margin needs two.
    """
    if options.deterministic or options.return_raw or options.long_document == "pages" or task.prior or task.mask:
        return None
    return max(2, options.top_k or 0)
