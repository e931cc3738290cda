"""The shape of TypeSafe's `POST /v1/systemone`, in both directions.

    {"model", "state": str | object | list, "questions": {name: question}}
    {"model", "answers": {name: answer}, "usage", "system_fingerprint"}

    noul    {instructions?, criteria?: {true?, false?}}   → noul                                    `yes_no`
    choice  {instructions?, criteria: {name: meaning}}    → choice, confidence, probabilities       `choice`
    score   {instructions?, criteria: [level]}            → score, confidence, legend, probabilities `score`

Field names and shapes are those of the types in the package typesafe-sdk 0.7.5. That format has no way to refuse one
question: what cannot be answered (`box`, `assets`) refuses the request. The levels of a score are its labels; where one
of them could be none, all are numbered from 0 and the levels are what the numbers mean.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pinpoint.api.answer import SCORE_DECIMALS
from pinpoint.api.asked import (
    MAX_QUESTIONS,
    Asked,
    Question,
    answers_of,
    check_count,
    choice_confidence,
    fingerprint,
    likeliest,
    probabilities,
    score_confidence,
    warnings_of,
)
from pinpoint.api.build import build_document, build_task, check_name, refuse_nothing
from pinpoint.api.format_fields import Content, one_of, read
from pinpoint.api.layout import as_text
from pinpoint.api.limits import Limits, join
from pinpoint.api.response import Response
from pinpoint.api.schema import FastList, LabelFields, LevelFields, TaskFields, WireModel
from pinpoint.api.typed_tasks import build_score, build_yes_no
from pinpoint.documents.text import RejectedDocument
from pinpoint.errors import RequestError
from pinpoint.prompting.taxonomy import Task

_NO_IMAGES = "this model reads text only; images, boxes and other assets need one that sees"


class NoulCriteria(WireModel):
    """What counts as yes, and what as no."""

    true: Content | None = None
    false: Content | None = None


class Noul(WireModel):
    """A question of yes or no."""

    type: Literal["noul"]
    instructions: Content | None = None
    criteria: NoulCriteria | None = None


class Choice(WireModel):
    """Which of several fits."""

    type: Literal["choice"]
    criteria: Annotated[dict[str, Content | None], Field(json_schema_extra={"minProperties": 2})]
    instructions: Content | None = None


class Score(WireModel):
    """Which level fits, lowest first."""

    type: Literal["score"]
    criteria: Annotated[FastList[Content], Field(json_schema_extra={"minItems": 2})]
    instructions: Content | None = None


class Box(WireModel):
    """Where something is in an image."""

    type: Literal["box"]
    instructions: Content | None = None


class SystemOneBody(WireModel):
    """The body of a request."""

    model: str
    state: Content
    questions: Annotated[
        dict[str, one_of(Noul, Choice, Score, Box)],  # type: ignore[valid-type]
        Field(json_schema_extra={"minProperties": 1, "maxProperties": MAX_QUESTIONS}),
    ]
    assets: dict[str, Any] | None = None


def parse_systemone(raw: object, limits: Limits) -> Asked:
    """Return what a body asks. Raises RequestError."""
    body = read(SystemOneBody, raw)
    if body.assets is not None:
        raise RequestError("not_supported", _NO_IMAGES, "assets")
    check_count(len(body.questions), "questions")
    document = build_document("0", 0, as_text(body.state), "state")
    refuse_nothing([document])
    if isinstance(document, RejectedDocument):
        raise document.error
    warnings = list(document.warnings)
    questions, tasks = list[Question](), list[Task]()
    for index, (name, fields) in enumerate(body.questions.items()):
        where = join("questions", name)
        check_name(name, where, limits.max_id_chars, kind="name of a question")
        question, task, found = _question(str(index), name, fields, limits, where)
        questions.append(question)
        tasks.append(task)
        warnings += found
    return Asked((document,), tuple(questions), tuple(tasks), body.model, warnings=tuple(warnings))


def _question(
    task: str, name: str, fields: Any, limits: Limits, where: str
) -> tuple[Question, Task, list[str]]:  # fmt: skip
    said = _text(fields.instructions)
    if isinstance(fields, Box):
        raise RequestError("not_supported", _NO_IMAGES, join(where, "type"))
    criteria_at = join(where, "criteria")
    if isinstance(fields, Noul):
        both = (None, None) if fields.criteria is None else (fields.criteria.true, fields.criteria.false)
        built, warnings = build_yes_no(
            task, said, (_text(both[0]), _text(both[1])), limits, join(where, "instructions"),
            (join(criteria_at, "true"), join(criteria_at, "false")),
        )  # fmt: skip
        return Question(name, "yes_no"), built, warnings
    if isinstance(fields, Score):
        levels = tuple(as_text(level) for level in fields.criteria)
        built, warnings = _score(task, levels, said, limits, where)
        return Question(name, "score", levels, tuple(fields.criteria)), built, warnings
    labels = [
        LabelFields(id=option, name=option, description=_text(meaning)) for option, meaning in fields.criteria.items()
    ]
    chosen = TaskFields(labels=labels, instructions=said)
    built, warnings = build_task(task, chosen, limits, parent=where, labels_field="criteria")
    return Question(name, "choice", tuple(fields.criteria)), built, warnings


def _score(task: str, levels: tuple[str, ...], said: str | None, limits: Limits, where: str) -> tuple[Task, list[str]]:
    fits = all(len(level.splitlines()) == 1 and len(level) <= limits.max_label_chars for level in levels)
    named = (
        [LevelFields(label=level) for level in levels]
        if fits
        else [LevelFields(label=str(number), description=level) for number, level in enumerate(levels)]
    )
    repeated = next((index for index, level in enumerate(levels) if level in levels[:index]), None)
    if repeated is not None:
        raise RequestError("duplicate_label", "another level says the same", join(where, "criteria", repeated))
    return build_score(task, named, said, limits, where, levels_field="criteria")


def systemone_answer(asked: Asked, response: Response) -> dict[str, object]:
    """Return the body of the answer. Raises the error that the document was refused with."""
    answers = answers_of(response)
    told: dict[str, object] = {}
    for index, question in enumerate(asked.questions):
        answer = answers[str(index)]
        if question.kind == "yes_no":
            told[str(question.name)] = {"type": "noul", "noul": _round(answer.probability or 0.0)}
        else:
            told[str(question.name)] = _distribution(question, probabilities(question, answer))
    usage = response.usage
    wire: dict[str, object] = {
        "model": response.model.name,
        "answers": told,
        # One number alone: what was computed.
        "usage": {
            "input_tokens": usage.prompt_tokens - usage.cached_tokens,
            "output_tokens": usage.completion_tokens,
        },
        "system_fingerprint": fingerprint(response.model),
    }
    if warnings := warnings_of(response):
        wire["warnings"] = warnings
    return wire


def _distribution(question: Question, shares: list[float]) -> dict[str, object]:
    if question.kind == "score":
        return {
            "type": "score",
            "score": _round(sum(level * share for level, share in enumerate(shares))),
            "confidence": _round(score_confidence(shares)),
            "legend": {str(level): text for level, text in enumerate(question.legend)},
            "probabilities": {str(level): _round(share) for level, share in enumerate(shares)},
        }
    return {
        "type": "choice",
        "choice": likeliest(question, shares),
        "confidence": _round(choice_confidence(shares)),
        "probabilities": {str(option): _round(share) for option, share in zip(question.options, shares, strict=True)},
    }


def _text(content: Any) -> str | None:
    return None if content is None else as_text(content)


def _round(value: float) -> float:
    return round(value, SCORE_DECIMALS)
