"""The shape of OpenAI's `POST /v1/decisions`, in both directions.

    {"model", "input": str | [message or call], "questions": [question], "prompt_cache_key"?, …}
    {"model", "answers": [answer], "usage", "system_fingerprint"}

    predicate {instructions}            → probability                              `yes_no`
    choice    {instructions, choices}   → choice, confidence, probabilities        `choice`
    score     {instructions, levels}    → score, confidence, probabilities         `score`
    an image in the instructions        → refusal, for that question alone

Field names, shapes and limits are those of the types in the package openai 3.57.0. A choice may have more options than
there, as many as labels. `true` and `false` by themselves are asked as yes or no; beside others, by their names.
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
    option_id,
    probabilities,
    score_confidence,
    warnings_of,
)
from pinpoint.api.build import build_document, build_task, check_name, refuse_nothing
from pinpoint.api.conversation import (
    InputImage,
    InputJson,
    InputText,
    Item,
    content_text,
    conversation_text,
    has_image,
)
from pinpoint.api.format_fields import StringOrBoolean, one_of, read, text_or
from pinpoint.api.limits import Limits, join
from pinpoint.api.response import Response
from pinpoint.api.schema import FastList, LabelFields, LevelFields, TaskFields, WireModel
from pinpoint.api.typed_tasks import build_score, build_yes_no
from pinpoint.documents.text import RejectedDocument
from pinpoint.errors import RequestError
from pinpoint.prompting.taxonomy import Task

MAX_SAFETY_CHARS = 64  # of the Responses API, which the types refer to

Instructions = text_or(one_of(InputText, InputImage, InputJson))


class Choice(WireModel):
    """One option; a string and a boolean are told apart."""

    value: StringOrBoolean
    description: str = ""


class Level(WireModel):
    """One level of a score."""

    label: str
    description: str = ""


class Predicate(WireModel):
    """How likely a statement is true."""

    type: Literal["predicate"]
    instructions: Instructions  # type: ignore[valid-type]
    name: str = ""


class ChoiceQuestion(WireModel):
    """Which option fits."""

    type: Literal["choice"]
    instructions: Instructions  # type: ignore[valid-type]
    choices: Annotated[FastList[Choice], Field(json_schema_extra={"minItems": 2})]
    name: str = ""


class ScoreQuestion(WireModel):
    """Which level fits, lowest first."""

    type: Literal["score"]
    instructions: Instructions  # type: ignore[valid-type]
    levels: Annotated[FastList[Level], Field(json_schema_extra={"minItems": 2})]
    name: str = ""


class CacheOptions(WireModel):
    """What may be said about caching; it changes nothing here."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m"] = "30m"


class DecisionsBody(WireModel):
    """The body of a request."""

    model: str
    input: text_or(Item)  # type: ignore[valid-type]
    questions: Annotated[
        FastList[one_of(Predicate, ChoiceQuestion, ScoreQuestion)],  # type: ignore[valid-type]
        Field(json_schema_extra={"minItems": 1, "maxItems": MAX_QUESTIONS}),
    ]
    prompt_cache_key: str | None = None
    prompt_cache_options: CacheOptions | None = None
    safety_identifier: Annotated[str, Field(max_length=MAX_SAFETY_CHARS)] | None = None


def parse_decisions(raw: object, limits: Limits) -> Asked:
    """Return what a body asks. Raises RequestError."""
    body = read(DecisionsBody, raw)
    check_count(len(body.questions), "questions")
    cache_key = body.prompt_cache_key or ""
    if cache_key:
        check_name(cache_key, "prompt_cache_key", limits.max_id_chars, kind="cache key")
    document = build_document("0", 0, conversation_text(body.input, "input"), "input")
    refuse_nothing([document])
    if isinstance(document, RejectedDocument):
        raise document.error
    warnings = list(document.warnings)
    questions, tasks, names = list[Question](), list[Task](), dict[str, int]()
    for index, fields in enumerate(body.questions):
        where = join("questions", index)
        name = fields.name if "name" in fields.model_fields_set else None
        if name is not None:
            check_name(name, join(where, "name"), limits.max_id_chars, kind="name of a question")
            earlier = names.setdefault(name, index)
            if earlier != index:
                raise RequestError("duplicate_id", f"questions[{earlier}] has this name already", join(where, "name"))
        if has_image(fields.instructions):
            questions.append(Question(name, "refused"))
            continue
        question, task, found = _question(str(index), name, fields, limits, where)
        questions.append(question)
        tasks.append(task)
        warnings += found
    return Asked(
        (document,) if tasks else (), tuple(questions), tuple(tasks), body.model, cache_key, tuple(warnings)
    )  # fmt: skip


def _question(
    task: str, name: str | None, fields: Any, limits: Limits, where: str
) -> tuple[Question, Task, list[str]]:  # fmt: skip
    at = join(where, "instructions")
    said = content_text(fields.instructions, at)
    if not said.strip():
        raise RequestError("missing_field", "say what is asked", at)
    if isinstance(fields, Predicate):
        built, warnings = build_yes_no(task, said, (None, None), limits, at, (at, at))
        return Question(name, "yes_no"), built, warnings
    if isinstance(fields, ScoreQuestion):
        levels = [LevelFields(label=level.label, description=level.description) for level in fields.levels]
        built, warnings = build_score(task, levels, said, limits, where)
        return Question(name, "score", tuple(level.label for level in levels)), built, warnings
    options = tuple(choice.value for choice in fields.choices)
    if len(options) == 2 and {type(option) for option in options} == {bool} and len(set(options)) == 2:
        places = {choice.value: index for index, choice in enumerate(fields.choices)}
        both = (places[True], places[False])
        described = tuple(join(where, "choices", index, "description") for index in both)
        criteria = tuple(fields.choices[index].description or None for index in both)
        built, warnings = build_yes_no(task, said, (criteria[0], criteria[1]), limits, at, (described[0], described[1]))
        return Question(name, "boolean", options), built, warnings
    labels = [
        LabelFields(id=option_id(choice.value), name=option_id(choice.value), description=choice.description)
        for choice in fields.choices
    ]
    chosen = TaskFields(labels=labels, instructions=said)
    built, warnings = build_task(task, chosen, limits, parent=where, labels_field="choices")
    return Question(name, "choice", options), built, warnings


def decisions_answer(asked: Asked, response: Response) -> dict[str, object]:
    """Return the body of the answer. Raises the error that the document was refused with."""
    answers = answers_of(response)
    told = []
    for index, question in enumerate(asked.questions):
        one: dict[str, object] = {"type": "refusal", "name": question.name}
        if question.kind == "yes_no":
            one |= {"type": "predicate", "probability": _round(answers[str(index)].probability or 0.0)}
        elif question.kind != "refused":
            one |= _distribution(question, probabilities(question, answers[str(index)]))
        told.append(one)
    usage = response.usage
    wire: dict[str, object] = {
        "model": response.model.name,
        "answers": told,
        "usage": {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {
                "cached_tokens": usage.cached_tokens,
                "cache_write_tokens": usage.cache_write_tokens,
            },
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
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
            "probabilities": [
                {"value": level, "label": label, "probability": _round(share)}
                for level, (label, share) in enumerate(zip(question.options, shares, strict=True))
            ],
        }
    return {
        "type": "choice",
        "choice": likeliest(question, shares),
        "confidence": _round(choice_confidence(shares)),
        "probabilities": [
            {"value": value, "probability": _round(share)}
            for value, share in zip(question.options, shares, strict=True)
        ],
    }


def _round(value: float) -> float:
    return round(value, SCORE_DECIMALS)
