"""An unsure choice read twice, its labels in reverse the second time; and the label for none of them. On hashes."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.api.answer import Answer
from pinpoint.api.request import Options, parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.decide.decision import decide, read_twice
from pinpoint.pipeline.classify import classify
from pinpoint.pipeline.second_reading import UNSURE_MARGIN
from pinpoint.prompting.taxonomy import Label, Task
from tests.fakes import FakeEngine
from tests.requests_of import CHOICE, FLAGS, LETTERS, PROMPTS, TONE, answered, expected, request

PAGES = ["Invoice no. 7, total due 9.00", "Receipt for three cabinets", "The parties agree on what follows"]


def two_readings(task: Task, text: str) -> tuple[list[float], list[float]]:
    """The slow way: both questions asked alone, the second one's labels put back into the task's order."""
    tokens = PROMPTS.document(text)
    ((first,), (second,)) = (
        expected(task, tokens),
        expected(replace(task, labels=task.labels[::-1]), tokens),
    )
    return first, second[::-1]


def shares(log_probs: list[float]) -> list[float]:
    total = math.fsum(map(math.exp, log_probs))
    return [math.exp(s) / total for s in log_probs]


def margin_of(log_probs: list[float]) -> float:
    first, second, *_ = sorted(shares(log_probs), reverse=True)
    return first - second


@pytest.mark.parametrize("task", [CHOICE, TONE, replace(TONE, kind="score")])
def test_where_the_first_answer_is_unsure_scores_are_those_of_both_readings_mean(task: Task) -> None:
    texts = [f"letter no. {number}" for number in range(24)]
    engine = FakeEngine(bounds=True)
    response, counts = classify(request(*texts, tasks=(task,), second_reading=True, return_raw=True), engine)
    twice = 0
    for text, answers in zip(texts, answered(response), strict=True):
        answer, (first, second) = answers[task.name], two_readings(task, text)
        found = dict(zip(answer.labels, answer.scores, strict=True))
        unsure = margin_of(first) < UNSURE_MARGIN
        mean = [(a + b) / 2 for a, b in zip(first, second, strict=True)] if unsure else first
        assert [found[label.id] for label in task.labels] == pytest.approx(shares(mean))
        assert answer.label_mass == pytest.approx(math.fsum(map(math.exp, mean)))
        moved = sum(abs(a - b) for a, b in zip(shares(first), shares(second), strict=True)) / 2
        assert answer.order_spread == (pytest.approx(moved) if unsure else None)
        assert answer.to_wire().get("order_spread") == (round(moved, 6) if unsure else None)
        twice += unsure
    assert 0 < twice < len(texts)
    assert (counts.batches, len(engine.forests), len(engine.forests[0].asks)) == (1, 1, len(texts) + twice)


def test_the_document_is_computed_once_for_both_readings_and_usage_tells_both() -> None:
    text = next(
        text for text in (f"{LETTERS} {number}" * 9 for number in range(20))
        if margin_of(two_readings(CHOICE, text)[0]) < UNSURE_MARGIN
    )  # fmt: skip
    engines = FakeEngine(), FakeEngine()
    one, two = (
        classify(request(text, second_reading=twice), engine)[0].usage
        for twice, engine in zip((False, True), engines, strict=True)
    )
    document = len(PROMPTS.document(text))
    assert two.prompt_tokens > one.prompt_tokens + document
    laid = [engine.forests[0].total_tokens for engine in engines]
    assert laid[1] - laid[0] < document < two.cached_tokens
    assert two.prompt_tokens - two.cached_tokens == laid[1]


def test_what_is_answered_yes_or_no_is_read_once() -> None:
    once, _ = classify(request(LETTERS, tasks=(FLAGS,)), FakeEngine())
    twice, _ = classify(request(LETTERS, tasks=(FLAGS,), second_reading=True), FakeEngine())
    assert once.results == twice.results and "order_spread" not in answered(twice)[0]["flags"].to_wire()


def test_pages_and_documents_of_a_packet_are_read_twice_each() -> None:
    raw: dict[str, Any] = {"pages": PAGES, "labels": ["invoice", "receipt", "contract"]}
    task = parse_request({"text": "x", "labels": raw["labels"]}).tasks[0]
    unsure = [margin_of(two_readings(task, page)[0]) < UNSURE_MARGIN for page in PAGES]
    assert any(unsure)
    for options in ({"split": True}, {"long_document": "pages"}, {"long_document": "pages", "page_vote": "majority"}):
        response, _ = classify(parse_request({**raw, "options": {**options, "second_reading": True}}), FakeEngine())
        (result,) = response.results
        assert isinstance(result, DocumentResult)
        spans = [range(len(PAGES)), *(range(one.pages[0], one.pages[1] + 1) for one in result.segments)]
        answers = [result.answers["category"], *(one.answers["category"] for one in result.segments)]
        for pages, answer in zip(spans, answers, strict=True):
            assert (answer.order_spread is not None) == any(unsure[page] for page in pages)
            assert answer.order_spread is None or 0 <= answer.order_spread <= 1
        json.dumps(response.to_wire(), allow_nan=False)
    # A page by itself is read as it would be alone.
    alone = parse_request({"text": PAGES[0], "labels": raw["labels"], "options": {"second_reading": True}})
    assert isinstance(result, DocumentResult)
    page = result.answers["category"].pages[0]
    (answer,) = (one["category"] for one in answered(classify(alone, FakeEngine())[0]))
    assert page.label == answer.label and page.score == pytest.approx(answer.score)


log_probs = st.lists(st.floats(-30, -3), min_size=3, max_size=3)


@given(log_probs, log_probs)
def test_an_answer_is_for_people_where_the_order_moves_more_than_separates_the_best_two(
    first: list[float], second: list[float]
) -> None:
    task = Task("q", tuple(Label(name, name) for name in "abc"))
    one, two = (decide(s, task, Options()) for s in (first, second))
    mean = decide([(a + b) / 2 for a, b in zip(first, second, strict=True)], task, Options())
    answer = read_twice(mean, one, two, task, Options())
    assert answer.order_spread is not None and 0 <= answer.order_spread <= 1
    assert ("order_sensitive" in answer.reasons) == (answer.margin < answer.order_spread)
    assert answer.decision == ("review" if answer.reasons else "accept")
    same = read_twice(mean, one, one, task, Options())
    assert same.order_spread == 0 and "order_sensitive" not in same.reasons


def none_of(text: str, labels: list[str], other: object, **options: Any) -> Answer:
    raw = {"text": text, "tasks": {"kind": {"labels": labels, "other": other}}, "options": options}
    return answered(classify(parse_request(raw), FakeEngine())[0])[0]["kind"]


def test_none_of_these_is_a_label_like_the_others_and_no_answer() -> None:
    labels = ["invoice", "receipt", "contract"]
    seen = set()
    for number in range(12):
        text = f"letter no. {number}"
        answer = none_of(text, labels, True)
        spelled = none_of(text, [*labels, "none of these"], None)
        assert (answer.labels, answer.scores) == (spelled.labels, spelled.scores)
        if spelled.label == "none of these":
            reasons = ("none_of_these", *spelled.reasons)
            assert (answer.label, answer.decision, answer.reasons) == (None, "abstain", reasons)
        else:
            assert answer == spelled
        seen.add(answer.decision == "abstain")
    assert seen == {True, False}, "the hashes of twelve letters have both"


def test_none_of_these_has_the_name_that_the_caller_gives_it() -> None:
    assert set(none_of(LETTERS, ["invoice"], "something else").labels) == {"invoice", "something else"}


def test_pages_that_vote_for_none_of_these_abstain() -> None:
    decisions = set()
    for number in range(12):
        raw = {
            "pages": [f"{page} {number}" for page in PAGES],
            "tasks": {"kind": {"labels": ["invoice", "receipt"], "other": True}},
            "options": {"long_document": "pages", "page_vote": "evidence"},
        }
        answer = answered(classify(parse_request(raw), FakeEngine())[0])[0]["kind"]
        assert (answer.labels[0] == "none of these") == (answer.label is None) == ("none_of_these" in answer.reasons)
        decisions.add(answer.decision)
    assert "abstain" in decisions and len(decisions) > 1
