"""One job from request to response, on an engine whose scores are hashes: order, decisions, failures."""

import math
from dataclasses import replace

import pytest

from pinpoint.api.request import Request
from pinpoint.api.response import DocumentFailure, DocumentResult
from pinpoint.documents.text import RejectedDocument
from pinpoint.errors import DocumentError
from pinpoint.pipeline.classify import classify
from pinpoint.prompting.taxonomy import labels_sha
from tests.fakes import FakeEngine
from tests.requests_of import (
    CHOICE,
    FLAGS,
    LETTERS,
    PROMPTS,
    TONE,
    answered,
    check_choice,
    document,
    expected,
    request,
)


def test_one_document_is_one_pass_and_its_labels_share_the_mass() -> None:
    engine = FakeEngine()
    response, counts = classify(request(LETTERS), engine)
    ((log_probs,), (answer,)) = expected(CHOICE, PROMPTS.document(LETTERS)), answered(response)
    check_choice(answer["category"], CHOICE, log_probs)
    assert (counts.documents, counts.failed, counts.batches) == (1, 0, 1)
    assert (response.memory, response.model.labels_sha) == (engine.memory(), labels_sha(CHOICE))


def test_many_documents_and_tasks_are_one_pass_in_the_order_of_the_request() -> None:
    texts = [f"letter {n} " * (n + 1) for n in range(7)]
    engine = FakeEngine()
    response, _ = classify(request(*texts, tasks=(TONE, CHOICE)), engine)
    assert len(engine.forests) == 1
    assert [result.id for result in response.results] == [str(n) for n in range(7)]
    for text, answers in zip(texts, answered(response), strict=True):
        assert list(answers) == ["tone", "category"]
        for task in (TONE, CHOICE):
            check_choice(answers[task.name], task, *expected(task, PROMPTS.document(text)))


def test_each_flag_is_yes_against_no_on_its_own() -> None:
    response, _ = classify(request(LETTERS, tasks=(FLAGS,)), FakeEngine())
    (answers,) = answered(response)
    found = dict(zip(answers["flags"].labels, answers["flags"].scores, strict=True))
    for label, (yes, no) in zip(FLAGS.labels, expected(FLAGS, PROMPTS.document(LETTERS)), strict=True):
        assert found[label.id] == pytest.approx(math.exp(yes) / (math.exp(yes) + math.exp(no)))


def test_a_rejected_document_stays_in_its_place_and_costs_nothing() -> None:
    asked = request("one", "two", "three")
    rejected = RejectedDocument("1", 1, DocumentError("invalid_unicode", "no", "documents[1].text"))
    mixed = replace(asked, documents=(asked.documents[0], rejected, asked.documents[2]))
    engine = FakeEngine()
    response, counts = classify(mixed, engine)
    assert [type(result) for result in response.results] == [DocumentResult, DocumentFailure, DocumentResult]
    assert isinstance(response.results[1], DocumentFailure) and response.results[1].error is rejected.error
    assert (counts.documents, counts.failed, len(engine.forests[0].asks)) == (3, 1, 2)
    whole, _ = classify(asked, FakeEngine())
    assert (response.results[0], response.results[2]) == (whole.results[0], whole.results[2])


def test_without_a_document_that_can_be_read_nothing_is_run() -> None:
    engine = FakeEngine()
    rejected = RejectedDocument("0", 0, DocumentError("invalid_unicode", "no", "text"))
    blank = document("", index=1)
    response, counts = classify(Request((rejected, blank), (CHOICE,)), engine)
    assert [result.error.code for result in response.results if isinstance(result, DocumentFailure)] == [
        "invalid_unicode", "empty_text",
    ]  # fmt: skip
    assert (engine.forests, counts.batches, response.usage.prompt_tokens) == ([], 0, 0)
