"""One job: a request in, its response out.

    documents → tokens that fit → forests within the token budget → scores → answers

A job is one packed forward pass unless it exceeds the token budget; then it is as few as the budget allows, whole
documents at a time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pinpoint.api.request import Options, Request
from pinpoint.api.response import (
    Answer,
    DocumentFailure,
    DocumentInput,
    DocumentResult,
    Memory,
    ModelInfo,
    Response,
    Timing,
    Usage,
)
from pinpoint.decide.decision import decide, decide_multi
from pinpoint.documents.text import Document, RejectedDocument
from pinpoint.errors import DocumentError, RequestError
from pinpoint.prompting.long_document import fit
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Task, labels_sha

PAGE_BREAK = "\n\n"


class Engine(Protocol):
    """What a job needs of the engine."""

    prompts: PromptBuilder
    token_budget: int

    @property
    def context_tokens(self) -> int:
        """Longest prompt with its label."""

    def score(self, forest: Forest) -> list[list[float]]:
        """Log-probabilities of the labels of each ask."""

    def memory(self) -> Memory:
        """What the device holds now."""

    def info(self, labels_sha: str) -> ModelInfo:
        """What answers."""


@dataclass(slots=True)
class _Work:
    """A document on its way through the engine."""

    document: Document
    tokens: Sequence[int]
    dropped: int
    asks: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobCounts:
    """What a job took, for its log line."""

    documents: int
    failed: int
    tokens_asked: int
    tokens_computed: int
    batches: int


def classify(request: Request, engine: Engine, queue_ms: float = 0.0) -> tuple[Response, JobCounts]:
    """Answer a request.

    Raises:
        RequestError: the labels do not fit the model's context, or the model cannot tell two of them apart.
    """
    began = time.perf_counter()
    room = _room(request.tasks, engine)
    outcomes: list[_Work | DocumentFailure] = [
        _prepare(document, request.options, room, engine) for document in request.documents
    ]
    tokenized = time.perf_counter()
    results: dict[str, DocumentResult] = {}
    asked = computed = batches = 0
    for forest, works in _forests([w for w in outcomes if isinstance(w, _Work)], request.tasks, engine):
        scores = engine.score(forest)
        batches += 1
        asked += sum(len(forest.prompt(ask.span)) for ask in forest.asks)
        computed += forest.total_tokens
        for work in works:
            results[work.document.id] = _result(work, request, scores)
    finished = time.perf_counter()
    answered = tuple(
        results[outcome.document.id] if isinstance(outcome, _Work) else outcome for outcome in outcomes
    )
    response = Response(
        results=answered,
        usage=Usage(prompt_tokens=asked, cached_tokens=max(0, asked - computed)),
        timing=Timing(
            queue_ms=queue_ms,
            tokenize_ms=(tokenized - began) * 1e3,
            forward_ms=(finished - tokenized) * 1e3,
            total_ms=queue_ms + (finished - began) * 1e3,
        ),
        memory=engine.memory(),
        model=engine.info(labels_sha(request.tasks)),
    )
    failed = sum(isinstance(result, DocumentFailure) for result in answered)
    return response, JobCounts(len(answered), failed, asked, computed, batches)


def _room(tasks: Sequence[Task], engine: Engine) -> int:
    """Tokens that the tasks' prompts leave for a document: the same for every task, so that they can share it."""
    room = engine.context_tokens - max(engine.prompts.overhead(task) for task in tasks)
    if room < 1:
        raise RequestError(
            "labels_too_long",
            f"labels and instructions take {engine.context_tokens - room + 1} tokens with their prompt and the model "
            f"reads {engine.context_tokens}; shorten or split the list",
            "labels",
        )
    return room


def _prepare(
    document: Document | RejectedDocument, options: Options, room: int, engine: Engine
) -> _Work | DocumentFailure:
    if isinstance(document, RejectedDocument):
        return DocumentFailure(document.id, document.error)
    tokens = engine.prompts.document(PAGE_BREAK.join(document.pages))
    mode = "error" if options.long_document == "error" else "head_tail"
    try:
        shown, dropped = fit(tokens, room, mode, f"documents[{document.index}]")
    except DocumentError as error:
        return DocumentFailure(document.id, error.with_traceback(None))
    return _Work(document, shown, dropped)


def _forests(
    works: Sequence[_Work], tasks: Sequence[Task], engine: Engine
) -> Iterator[tuple[Forest, list[_Work]]]:
    """Forests of whole documents, each within the token budget or of a single document."""
    forest, held = Forest(), list[_Work]()
    for work in works:
        overhead = sum(engine.prompts.overhead(task) for task in tasks)
        if held and forest.total_tokens + len(work.tokens) * len(tasks) + overhead > engine.token_budget:
            yield forest, held
            forest, held = Forest(), []
        for task in tasks:
            work.asks[task.name] = engine.prompts.add(forest, task, work.tokens)
        held.append(work)
    if held:
        yield forest, held


def _result(work: _Work, request: Request, scores: Sequence[Sequence[float]]) -> DocumentResult:
    warnings = [*work.document.warnings, *request.warnings]
    if work.dropped:
        warnings.append(f"the document was cut: {work.dropped} tokens from its middle were not read")
    return DocumentResult(
        id=work.document.id,
        answers={
            task.name: _answer(task, request.options, [scores[ask] for ask in work.asks[task.name]])
            for task in request.tasks
        },
        input=DocumentInput(len(work.document.pages), len(work.tokens), work.dropped, work.document.extractor),
        warnings=tuple(warnings),
    )


def _answer(task: Task, options: Options, scores: Sequence[Sequence[float]]) -> Answer:
    if not task.multi_label:
        return decide(scores[0], task, options)
    # Asks of a multi-label task are answered yes or no, in that order.
    return decide_multi(
        [yes - no for yes, no in scores], [math.exp(yes) + math.exp(no) for yes, no in scores], task, options
    )

