"""What both decision formats ask: one document, typed questions, and what is told of each answer.

Each question is a task of its own, called by its place, so that no name can stand in another's way. A question that
cannot be answered has no task, where its format has a way to say so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pinpoint
from pinpoint.api.answer import Answer
from pinpoint.api.response import DocumentFailure, Response
from pinpoint.documents.text import Document
from pinpoint.engine.readings import ModelInfo
from pinpoint.errors import RequestError
from pinpoint.prompting.taxonomy import Task

MAX_QUESTIONS = 400


@dataclass(frozen=True, slots=True)
class Question:
    """One question, as its answer needs it.

    Attributes:
        name: the caller's.
        kind: of its answer. A `boolean` is a choice of true and false, asked as yes or no.
        options: of a choice its values, of a score its levels, in the caller's order.
        legend: the levels of a score as they came, where they may be more than text.
    """

    name: str | None
    kind: Literal["yes_no", "choice", "boolean", "score", "refused"]
    options: tuple[str | bool, ...] = ()
    legend: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in a decision format.

    Attributes:
        documents: the one document; none where no question can be answered.
        questions, tasks: in their order; the task of a question is called by its index.
        model: the name that was asked for, where one was.
        cache_key: of the caller, whose part of the prefix store is its own.
        warnings: about labels that look alike and text that was cleaned.
    """

    documents: tuple[Document, ...]
    questions: tuple[Question, ...]
    tasks: tuple[Task, ...]
    model: str | None = None
    cache_key: str = ""
    warnings: tuple[str, ...] = ()


def check_count(count: int, field: str) -> None:
    """Raise RequestError unless there are questions, and not too many."""
    if not count:
        raise RequestError("missing_field", "there is no question in it; ask at least one", field)
    if count > MAX_QUESTIONS:
        raise RequestError("too_large", f"{count} questions, at most {MAX_QUESTIONS} in a request", field)


def answers_of(response: Response) -> Mapping[str, Answer]:
    """Return the answers to the one document, by task. Raises the error that it was refused with."""
    if not response.results:
        return {}
    (result,) = response.results
    if isinstance(result, DocumentFailure):
        error = result.error
        if error.code == "document_too_long":  # its remedy names an option that there is not in these formats
            raise RequestError(error.code, f"{error.message.partition('; ')[0]}; shorten it", error.field)
        raise error
    return result.answers


def warnings_of(response: Response) -> list[str]:
    """Return what was removed or cut."""
    return [warning for one in response.results if not isinstance(one, DocumentFailure) for warning in one.warnings]


def probabilities(question: Question, answer: Answer) -> list[float]:
    """Return the probability of each option, in the caller's order."""
    if question.kind == "score":
        return list(answer.distribution)
    if question.kind == "boolean":
        yes = answer.probability or 0.0
        return [yes if value else 1 - yes for value in question.options]
    scores = dict(zip(answer.labels, answer.scores, strict=True))
    return [scores[option_id(option)] for option in question.options]


def likeliest(question: Question, shares: Sequence[float]) -> str | bool:
    """Return the likeliest option, the first of several."""
    return question.options[max(range(len(shares)), key=shares.__getitem__)]


def option_id(option: str | bool) -> str:
    """Return the id of an option's label."""
    return option if isinstance(option, str) else str(option).lower()


def choice_confidence(shares: Sequence[float]) -> float:
    """How far the likeliest option is above all being alike: 0 where they are, 1 where it has all.

    Both formats say only that it is made of the probabilities and how concentrated they are. This is what others found
    TypeSafe's to be.
    """
    alike = 1 / len(shares)
    return min(1.0, max(0.0, (max(shares) - alike) / (1 - alike)))


def score_confidence(shares: Sequence[float]) -> float:
    """How little the levels deviate from their median: 0 as much as where all are alike or more, 1 not at all.

    With two levels it is that of a choice.
    """
    middle, below = 0, 0.0
    for level, share in enumerate(shares):
        below += share
        if below >= 0.5:
            middle = level
            break
    deviation = math.fsum(share * abs(level - middle) for level, share in enumerate(shares))
    alike = sum(abs(level - (len(shares) - 1) // 2) for level in range(len(shares))) / len(shares)
    return min(1.0, max(0.0, 1 - deviation / alike))


def fingerprint(model: ModelInfo) -> str:
    """What an answer depends on beside the request: model, revision, precision, version of the prompt, build."""
    return (
        f"{model.name}@{model.revision} {model.precision} prompt-{model.prompt_version} pinpoint-{pinpoint.__version__}"
    )
