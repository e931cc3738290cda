"""One job: a request in, its response out.

    documents → parts that fit → forests within the token budget → log-probabilities → answers

A job is one packed forward pass unless it exceeds the token budget; then it is as few as the budget allows, a question
about a part of a document being the smallest unit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from pinpoint.api.request import Options, Request
from pinpoint.api.response import (
    Answer,
    DocumentFailure,
    DocumentInput,
    DocumentResult,
    Memory,
    ModelInfo,
    PageAnswer,
    Response,
    Timing,
    Usage,
)
from pinpoint.decide.decision import decide, decide_multi
from pinpoint.documents.text import Document, RejectedDocument
from pinpoint.errors import DocumentError, OutOfMemory, RequestError
from pinpoint.prompting.long_document import Fitted, fit
from pinpoint.prompting.prompts import SHORT_FORM_TASK, Prompt, PromptBuilder
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Task, labels_sha

PAGE_BREAK = "\n\n"
ROOM_STEP_TOKENS = 128
REASON_TOKENS = 128  # room for a reason and its opening, where one is asked for


class Scores(Protocol):
    """Log-probabilities of an ask's labels; those of `bounded` ones are upper bounds."""

    @property
    def log_probs(self) -> list[float]:
        """By label."""

    @property
    def bounded(self) -> frozenset[int]:
        """Labels that were not computed."""


class Pass(Protocol):
    """An open pass of the engine."""

    @property
    def scores(self) -> Sequence[Scores]:
        """One for each ask."""

    computed_tokens: int

    def explain(self, ask: int, label: str) -> tuple[str, int]:
        """A rationale for an answer and its number of tokens."""


class Engine(Protocol):
    """What a job needs of the engine."""

    prompts: PromptBuilder
    token_budget: int

    @property
    def context_tokens(self) -> int:
        """Longest prompt with its label."""

    def run(self, forest: Forest, *, explain: bool = False) -> AbstractContextManager[Pass]:
        """Score the asks of a forest."""

    def release(self) -> None:
        """Give back what a pass that ran out of memory left behind."""

    def memory(self) -> Memory:
        """What the device holds now."""

    def info(self, labels_sha: str) -> ModelInfo:
        """What answers."""


@dataclass(slots=True)
class _Work:
    """A document on its way through the engine; all by task, measured values by part and question too."""

    document: Document
    fitted: dict[str, Fitted]
    measured: dict[tuple[str, int, int], Scores] = field(default_factory=dict)
    rationales: dict[str, str] = field(default_factory=dict)
    failure: OutOfMemory | None = None


@dataclass(slots=True)
class JobCounts:
    """What a job took, for its log line."""

    documents: int
    failed: int = 0
    tokens_asked: int = 0
    tokens_computed: int = 0
    tokens_written: int = 0
    batches: int = 0


def classify(request: Request, engine: Engine, queue_ms: float = 0.0) -> tuple[Response, JobCounts]:
    """Answer a request.

    Raises:
        RequestError: the labels do not fit the model's context, or the model cannot tell two of them apart.
    """
    began = time.perf_counter()
    rooms = {task.name: _room(task, request.options, engine) for task in request.tasks}
    outcomes = [_prepare(document, request.options, rooms, engine) for document in request.documents]
    tokenized = time.perf_counter()
    counts = JobCounts(documents=len(outcomes))
    for batch in _batches([o for o in outcomes if isinstance(o, _Work)], request.tasks, engine):
        _run(batch, request, engine, counts)
    finished = time.perf_counter()
    results = tuple(_result(outcome, request) if isinstance(outcome, _Work) else outcome for outcome in outcomes)
    counts.failed = sum(isinstance(result, DocumentFailure) for result in results)
    response = Response(
        results=results,
        usage=Usage(
            prompt_tokens=counts.tokens_asked,
            cached_tokens=max(0, counts.tokens_asked - counts.tokens_computed),
            completion_tokens=counts.tokens_written,
        ),
        timing=Timing(
            queue_ms=queue_ms,
            tokenize_ms=(tokenized - began) * 1e3,
            forward_ms=(finished - tokenized) * 1e3,
            total_ms=queue_ms + (finished - began) * 1e3,
        ),
        memory=engine.memory(),
        model=engine.info(labels_sha(request.tasks)),
    )
    return response, counts


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


def _prepare(
    document: Document | RejectedDocument, options: Options, rooms: dict[str, int], engine: Engine
) -> _Work | DocumentFailure:
    if isinstance(document, RejectedDocument):
        return DocumentFailure(document.id, document.error)
    encode = engine.prompts.document
    in_pages = options.long_document == "pages"
    whole = [] if in_pages else encode(PAGE_BREAK.join(document.pages))
    pages = [encode(page) if page.strip() else [] for page in document.pages] if in_pages else []
    try:
        if not any((whole, *pages)):
            raise DocumentError("empty_text", "nothing in this text has a token for the model", document.field)
        fits = {room: fit(whole, pages, room, options.long_document, document.field) for room in set(rooms.values())}
    except DocumentError as error:
        return DocumentFailure(document.id, error.with_traceback(None))
    return _Work(document, {name: fits[room] for name, room in rooms.items()})


@dataclass(frozen=True, slots=True)
class _Unit:
    """One question of a task about one part of a document: what is never split."""

    work: _Work
    task: Task
    part: int
    question: int
    prompt: Prompt


def _batches(works: Sequence[_Work], tasks: Sequence[Task], engine: Engine) -> Iterator[list[_Unit]]:
    """The units of all documents, in order, in batches whose forest stays within the token budget."""
    forest, batch = Forest(), list[_Unit]()
    for work in works:
        for task in tasks:
            for part, tokens in enumerate(work.fitted[task.name].parts):
                for question, prompt in enumerate(engine.prompts.lay(task, tokens)):
                    if batch and forest.total_tokens + prompt.new_tokens(forest) > engine.token_budget:
                        yield batch
                        forest, batch = Forest(), []
                    prompt.add_to(forest)
                    batch.append(_Unit(work, task, part, question, prompt))
    if batch:
        yield batch


def _run(batch: Sequence[_Unit], request: Request, engine: Engine, counts: JobCounts) -> None:
    """Measure a batch; where the device runs out of memory, its halves, down to a document that fails alone."""
    try:
        _run_whole(batch, request, engine, counts)
        return
    except OutOfMemory as error:
        failure = error.with_traceback(None)
    # Outside the `except`, so that nothing holds the pass that failed.
    engine.release()
    if len(batch) == 1:
        batch[0].work.failure = failure
        return
    middle = len(batch) // 2
    for half in (batch[:middle], batch[middle:]):
        _run(half, request, engine, counts)


def _run_whole(batch: Sequence[_Unit], request: Request, engine: Engine, counts: JobCounts) -> None:
    forest, options, written = Forest(), request.options, 0
    asks = [unit.prompt.add_to(forest, _exact_best(unit.task, options)) for unit in batch]
    with engine.run(forest, explain=options.explain) as done:
        for unit, ask in zip(batch, asks, strict=True):
            unit.work.measured[unit.task.name, unit.part, unit.question] = done.scores[ask]
            if options.explain:
                written += _explain(unit, ask, done, options)
        # Only now: a pass that runs out of memory while it explains is run again in halves.
        counts.batches += 1
        counts.tokens_written += written
        counts.tokens_computed += done.computed_tokens
        counts.tokens_asked += sum(forest.prompt_tokens(ask.span) + len(ask.trie.tokens) for ask in forest.asks)


def _exact_best(task: Task, options: Options) -> int | None:
    """How many of a task's best labels must be exact; None for all.

    A prior can lift any label, without the masked ones the others are the whole, and with pages a label's
    log-probabilities are summed: there every one counts. Otherwise the margin needs two.
    """
    if options.deterministic or options.return_raw or options.long_document == "pages" or task.prior or task.mask:
        return None
    return max(2, options.top_k or 0)


def _explain(unit: _Unit, ask: int, done: Pass, options: Options) -> int:
    """Write down why; with reasons asked for, a document has one part."""
    if unit.task.multi_label:
        return 0  # yes or no needs no reason
    answer = _answer(unit.task, options, [done.scores[ask]])
    if answer.label is None:
        return 0
    name = next(label.name for label in unit.task.labels if label.id == answer.label)
    text, tokens = done.explain(ask, name)
    unit.work.rationales[unit.task.name] = text
    return tokens


def _result(work: _Work, request: Request) -> DocumentResult | DocumentFailure:
    if work.failure is not None:
        return DocumentFailure(work.document.id, work.failure)
    most_cut = max(work.fitted.values(), key=lambda fitted: fitted.dropped)
    warnings = [*work.document.warnings, *request.warnings]
    if most_cut.dropped:
        warnings.append(f"the document was cut: {most_cut.dropped} tokens from its middle were not read")
    return DocumentResult(
        id=work.document.id,
        answers={task.name: _document_answer(work, task, request.options) for task in request.tasks},
        input=DocumentInput(len(work.document.pages), most_cut.tokens, most_cut.dropped, work.document.extractor),
        warnings=tuple(warnings),
    )


def _document_answer(work: _Work, task: Task, options: Options) -> Answer:
    fitted = work.fitted[task.name]
    questions = range(len(task.labels) if task.multi_label else 1)
    parts = [[work.measured[task.name, part, question] for question in questions] for part in range(len(fitted.parts))]
    answer = _answer(task, options, _weighted(parts, [len(tokens) / fitted.tokens for tokens in fitted.parts]))
    if options.explain:
        answer = replace(answer, explanation=work.rationales.get(task.name))
    if options.long_document == "pages":
        shown = [_answer(task, options, part) for part in parts]
        answer = replace(
            answer,
            pages=tuple(
                PageAnswer(page, len(tokens), one.label, one.score)
                for page, tokens, one in zip(fitted.pages, fitted.parts, shown, strict=True)
            ),
        )
    return answer


@dataclass(frozen=True, slots=True)
class _Summed:
    log_probs: list[float]
    bounded: frozenset[int]


def _weighted(parts: Sequence[Sequence[Scores]], weights: Sequence[float]) -> list[Scores]:
    """The parts' log-probabilities, weighted by their tokens and summed; a single part stays as it is."""
    if len(parts) == 1:
        return list(parts[0])
    return [
        _Summed(
            [
                math.fsum(weight * s for weight, s in zip(weights, values, strict=True))
                for values in zip(*(scores.log_probs for scores in asks), strict=True)
            ],
            frozenset().union(*(scores.bounded for scores in asks)),
        )
        for asks in zip(*parts, strict=True)
    ]


def _answer(task: Task, options: Options, scores: Sequence[Scores]) -> Answer:
    if task.multi_label:
        # The asks of a multi-label task are answered yes or no, in that order.
        pairs = [one.log_probs for one in scores]
        return decide_multi(
            [yes - no for yes, no in pairs], [math.exp(yes) + math.exp(no) for yes, no in pairs], task, options
        )
    return replace(decide(scores[0].log_probs, task, options), bounded_labels=len(scores[0].bounded))
