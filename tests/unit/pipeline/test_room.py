"""A model in which no job has room is refused when it is loaded; one in which the shortest has is not."""

import pytest

from pinpoint.api.request import parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.errors import ModelError, RequestError
from pinpoint.pipeline.classify import classify
from pinpoint.pipeline.room import LEAST_DOCUMENT_TOKENS, LEAST_TASK, refuse_without_room, short_of_context
from tests.fakes import FakeEngine, chatml_prompts

JOB = {"text": "Invoice no. 4711, due in 30 days", "labels": [label.name for label in LEAST_TASK.labels]}


def engine_of(context_tokens: int) -> FakeEngine:
    return FakeEngine(context_tokens=context_tokens)


def least_tokens() -> int:
    """What the shortest prompt takes."""
    prompts = chatml_prompts()
    return prompts.overhead(prompts.questions(LEAST_TASK)) + LEAST_DOCUMENT_TOKENS


def test_the_shortest_context_that_is_let_through_answers_a_job() -> None:
    engine = engine_of(least_tokens())
    refuse_without_room(engine)
    response, _ = classify(parse_request(JOB), engine)
    assert isinstance(response.results[0], DocumentResult)


def test_a_shorter_one_is_refused_with_both_numbers() -> None:
    tokens = least_tokens() - 1
    with pytest.raises(ModelError) as caught:
        refuse_without_room(engine_of(tokens))
    assert caught.value.code == "context_too_short" and caught.value.field == "MODEL_NAME"
    assert f"takes {tokens + 1}, and {tokens} can be read of {tokens}" in caught.value.message


def test_a_card_is_named_as_the_limit_only_where_it_is() -> None:
    assert short_of_context(engine_of(400)) == ""
    engine = FakeEngine(token_budget=200, context_tokens=400, most_read_tokens=300)
    assert "prompts of 300 tokens, of the 400" in short_of_context(engine)


def test_where_not_even_the_question_has_room_every_job_fails() -> None:
    """Which is why such a model is refused."""
    engine = engine_of(least_tokens() - LEAST_DOCUMENT_TOKENS)
    with pytest.raises(RequestError) as caught:
        classify(parse_request(JOB), engine)
    assert caught.value.code == "labels_too_long"
    with pytest.raises(ModelError):
        refuse_without_room(engine)
