"""One job from request to response, on an engine whose scores are hashes: order, decisions, failures."""

import math
import time
from dataclasses import replace

import pytest

from pinpoint.api.request import Request
from pinpoint.api.response import DocumentFailure, DocumentInput, DocumentResult
from pinpoint.documents.text import PAGE_BREAK, FileFacts, RejectedDocument
from pinpoint.errors import DocumentError
from pinpoint.pipeline.classify import Work, classify
from pinpoint.pipeline.passes import measure
from pinpoint.pipeline.units import Outcome
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
    assert response.results[1] == DocumentFailure("1", rejected.error)
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


def test_an_answer_says_what_was_read_and_how_it_came() -> None:
    facts = FileFacts("application/pdf", ("text layer",))
    read = replace(document("one page", "another"), extractor="pdf", file=facts)
    response, _ = classify(Request((read, document("plain", index=1)), (CHOICE,)), FakeEngine())
    first, second = (result.input for result in response.results if isinstance(result, DocumentResult))
    tokens = len(PROMPTS.document(PAGE_BREAK.join(read.pages)))
    assert first == DocumentInput(pages=2, tokens=tokens, tokens_dropped=0, extractor="pdf", file=facts)
    assert (second.pages, second.extractor, second.file) == (1, "text", None)


def measured(work: Work, engine: FakeEngine) -> list[Outcome]:
    work.prepare()
    lane = work.lane()
    outcomes = measure([lane.take() for _ in range(lane.count)], engine)
    work.decide(outcomes)
    return outcomes


def test_time_that_a_job_waited_is_counted_once() -> None:
    """From times that were taken: none of them is compared with a clock."""
    engine = FakeEngine()
    work = Work(request(LETTERS), engine, time.perf_counter() - 1000)
    outcomes = measured(work, engine)
    timing = work.response(outcomes)[0].timing
    assert 0 < timing.tokenize_ms < timing.queue_ms
    for loading_s, reading_s in ((3.0, None), (0.0, 5.0), (3.0, 5.0)):
        later = work.response(outcomes, loading_s, reading_s)[0].timing
        waited_s = loading_s + (reading_s or 0.0)
        assert timing.queue_ms - later.queue_ms == pytest.approx(waited_s * 1e3, abs=1e-3)
        assert later.tokenize_ms == timing.tokenize_ms
        assert later.read_ms == (None if reading_s is None else reading_s * 1e3)


def test_a_document_is_through_with_its_last_unit() -> None:
    asked = request("one", "two", "three", tasks=(FLAGS, TONE))
    rejected = RejectedDocument("1", 1, DocumentError("invalid_unicode", "no", "documents[1].text"))
    work = Work(replace(asked, documents=(asked.documents[0], rejected, asked.documents[2])), FakeEngine(), 0.0)
    work.prepare()
    assert work.lane("a job").job == "a job"
    each = len(FLAGS.labels) + 1
    assert work.units == [each, 0, each]
    done = [work.documents_done(units) for units in range(2 * each + 1)]
    assert done == [0] * each + [2] * each + [3]
