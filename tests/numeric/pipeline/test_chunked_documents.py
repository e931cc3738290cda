"""Documents longer than a pass, through the whole pipeline, against the plain forward pass of each whole prompt."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from pinpoint.api.request import Request, parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.engine.scorer import Scorer
from pinpoint.pipeline.classify import Work, classify
from pinpoint.pipeline.fair_queue import FairQueue, Lane
from pinpoint.pipeline.passes import measure
from pinpoint.pipeline.units import Measured, Unit
from pinpoint.prompting.chat_frame import render
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.template import Version
from tests.models import embedded
from tests.numeric.tolerances import FLOAT32
from tests.reference.scoring import label_log_prob, plain_model

TEXT = "Letter {}. Please pay the invoice of {} March; the chairs came late, and two of them were broken. "
KINDS = ["invoice", "contract", "letter", "report"]
TRAITS = ["it is urgent", "it names an amount", "it is signed", "it is about chairs", "it is about gas"]


@pytest.fixture(scope="module")
def plain() -> PreTrainedModel:
    torch.set_num_threads(1)
    return plain_model(embedded().model)


@pytest.fixture(scope="module")
def whole() -> Scorer:
    return Scorer(embedded(), 8192, 0)


def text_of(letters: int) -> str:
    return "".join(TEXT.format(number, number + 1) for number in range(letters))


def job(texts: list[str], tasks: dict[str, Any], **options: Any) -> Request:
    options = {"return_raw": True, **options}
    return parse_request({"documents": [{"text": text} for text in texts], "tasks": tasks, "options": options})


def measured(request: Request, scorer: Scorer, *beside: Request) -> list[tuple[Unit, Measured]]:
    """Each unit of a job and what came of it, with other jobs before it."""
    queue, found, lanes = FairQueue(10**9), list[tuple[Unit, Measured]](), list[Lane]()
    for each in (*beside, request):
        work = Work(each, scorer, 0.0)
        work.prepare()
        lanes.append(work.lane())
        queue.put(lanes[-1])
    while batch := queue.take(scorer.token_budget, scorer.read_tokens):
        units = [taken.unit for taken in batch]
        for taken, unit, one in zip(batch, units, measure(units, scorer), strict=True):
            if isinstance(unit, Unit) and taken.lane is lanes[-1]:
                assert isinstance(one, Measured)
                found.append((unit, one))
    return found


@settings(deadline=None, max_examples=3)
@given(st.integers(1, 20), st.sampled_from([72, 128]), st.integers(2, len(TRAITS)))
def test_any_length_any_budget_any_number_of_questions(letters: int, budget: int, questions: int) -> None:
    """The embedded model's questions fit the smallest of these passes alone; documents take up to 20 of them."""
    torch.set_num_threads(1)
    scorer, endless = Scorer(embedded(), budget, 0), Scorer(embedded(), 8192, 0)
    request = job([text_of(letters)], {"traits": {"labels": TRAITS[:questions], "multi_label": True}})
    (result,), (other,) = classify(request, scorer)[0].results, classify(request, endless)[0].results
    assert isinstance(result, DocumentResult) and isinstance(other, DocumentResult)
    assert result.input == other.input
    one, two = result.answers["traits"], other.answers["traits"]
    assert one.log_probs is not None and two.log_probs is not None
    by_label = dict(zip(two.labels, two.log_probs, strict=True))
    assert dict(zip(one.labels, one.log_probs, strict=True)) == pytest.approx(by_label, abs=FLOAT32)
    assert scorer.held_bytes == 0


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_question_that_two_tasks_ask_is_answered_for_both_where_they_take_several_passes(deterministic: bool) -> None:
    tasks = {
        "first": {"labels": TRAITS[:2], "multi_label": True},
        "second": {"labels": [*TRAITS[2:6], TRAITS[0]], "multi_label": True},
        "third": {"labels": TRAITS[:4], "multi_label": True},
    }
    request = job([text_of(6), text_of(2)], tasks, deterministic=deterministic)
    scorer, endless = Scorer(embedded(), 240, 1_000_000), Scorer(embedded(), 8192, 0)
    for one, other in zip(classify(request, scorer)[0].results, classify(request, endless)[0].results, strict=True):
        assert isinstance(one, DocumentResult) and isinstance(other, DocumentResult)
        for name, answer in one.answers.items():
            by_label = dict(zip(other.answers[name].labels, other.answers[name].scores, strict=True))
            assert dict(zip(answer.labels, answer.scores, strict=True)) == pytest.approx(by_label, abs=FLOAT32)


@pytest.mark.parametrize("budget", [160, 300])
def test_scores_are_those_of_whole_prompts(plain: PreTrainedModel, budget: int) -> None:
    tasks = {"traits": {"labels": TRAITS[:2], "multi_label": True}, "kind": {"labels": KINDS}}
    scorer = Scorer(embedded(), budget, 1_000_000)
    found = measured(job([text_of(16), text_of(2)], tasks), scorer)
    assert {bool(unit.ahead) for unit, _ in found} == {True, False}
    for unit, one in found:
        prompt = [token for span in unit.prompt.path for token in span]
        expected = [
            label_log_prob(plain, prompt, label, scorer.prompts.encoder.stop) for label in unit.prompt.trie.labels
        ]
        assert one.scores.log_probs == pytest.approx(expected, abs=FLOAT32)


@pytest.mark.parametrize("version", [1, 3])
def test_labels_that_are_read_first_score_as_the_chat_template_has_their_prompt(
    plain: PreTrainedModel, version: Version
) -> None:
    scorer, task = Scorer(embedded(), 200, 1_000_000), {"labels": KINDS, "labels_first": True}
    encoder = scorer.prompts.encoder
    scorer.prompts = PromptBuilder(encoder, version)
    request = job([text_of(1), text_of(9)], {"kind": task})
    for text, (unit, one) in zip((text_of(1), text_of(9)), measured(request, scorer), strict=True):
        (said,) = scorer.prompts.wording(request.tasks[0], text)
        turn = [{"role": "user", "content": said}]
        prompt = render(encoder.tokenizer, turn, generation_prompt=True, tokenize=True)
        expected = [label_log_prob(plain, prompt, encoder.label_tokens(kind), encoder.stop) for kind in KINDS]
        assert one.scores.log_probs == pytest.approx(expected, abs=FLOAT32)
        assert said.index("- invoice") < said.index("Document:") and bool(unit.ahead) == (text != text_of(1))


def test_bits_that_matter_are_those_of_a_long_document_that_nobody_stands_beside() -> None:
    scorer = Scorer(embedded(), 200, 1_000_000)
    mine = job([text_of(16)], {"kind": {"labels": KINDS}}, deterministic=True)
    others = [job([text_of(letters)], {"kind": {"labels": KINDS[:2]}}) for letters in (3, 9)]
    (alone,) = measured(mine, scorer)
    assert len(alone[1].before) > 1
    for beside in ((), others[:1], others):
        ((_, one),) = measured(mine, scorer, *beside)
        assert one.scores.log_probs == alone[1].scores.log_probs


@pytest.mark.parametrize("beside", [KINDS[1:3], [f"{kind} of {n} March" for kind in KINDS for n in range(2)]])
def test_bits_of_a_question_do_not_depend_on_one_beside_it(beside: list[str]) -> None:
    """Not on what both begin with, and not on the chunks in which the document is read for one that is longer."""
    scorer = Scorer(embedded(), 300, 1_000_000)
    scorer.prompts = PromptBuilder(scorer.prompts.encoder, 3)
    mine, other = {"labels": KINDS[:2]}, {"labels": beside}
    ((unit, alone),) = measured(job([text_of(9)], {"mine": mine}, deterministic=True), scorer)
    found = measured(job([text_of(9)], {"other": other, "mine": mine}, deterministic=True), scorer)
    assert not unit.ahead and bool(found[0][1].before) == (len(beside) > 2), "the longer one is read in chunks"
    assert found[1][1].scores.log_probs == alone.scores.log_probs


def test_bits_of_a_second_reading_are_the_same_whether_a_long_document_was_read_before_it() -> None:
    """What is read behind chunks has other bits than the same labels by themselves: it is kept for none of them."""
    task = {"labels": [f"{kind} of {n} March" for kind in KINDS for n in range(8)], "labels_first": True}

    def asked(letters: int) -> Request:
        return job([text_of(letters)], {"kind": task}, deterministic=True, second_reading=True)

    short, long = asked(2), asked(7)
    found = list[dict[str, list[float]]]()
    for order in ((short, long), (long, short)):
        scorer = Scorer(embedded(), 420, 5_000_000)
        answers = {id(one): classify(one, scorer)[0].results[0] for one in order}
        told = dict[str, list[float]]()
        for name, one in (("short", short), ("long", long)):
            result = answers[id(one)]
            assert isinstance(result, DocumentResult)
            answer = result.answers["kind"]
            assert answer.order_spread is not None and answer.log_probs is not None, "it was read twice"
            told[name] = list(answer.log_probs)
        found.append(told)
    assert found[0] == found[1]


LEAVES = [{"name": kind, "children": [{"name": f"{kind} {n}"} for n in range(2)]} for kind in KINDS[:2]]
LISTS: dict[str, dict[str, Any]] = {
    # So many labels stand before a document that is not eight times as long (version 1 of the prompt).
    "labels first": {"kind": {"labels": [f"{kind} of {n} March" for kind in KINDS for n in range(8)]}},
    "tree": {"kind": {"labels": LEAVES}},
}


@pytest.mark.parametrize("second_reading", [False, True])
@pytest.mark.parametrize("tasks", LISTS.values(), ids=LISTS)
def test_what_follows_from_an_answer_finds_the_document(
    whole: Scorer, tasks: dict[str, Any], second_reading: bool
) -> None:
    scorer = Scorer(embedded(), 400, 0)
    request = job([text_of(25)], tasks, second_reading=second_reading)
    (result,), (other,) = classify(request, scorer)[0].results, classify(request, whole)[0].results
    assert isinstance(result, DocumentResult) and isinstance(other, DocumentResult)
    assert result.input == other.input
    assert result.input.tokens > 400 and not result.input.tokens_dropped
    one, two = result.answers["kind"], other.answers["kind"]
    assert one.log_probs is not None and two.log_probs is not None
    assert dict(zip(one.labels, one.log_probs, strict=True)) == pytest.approx(
        dict(zip(two.labels, two.log_probs, strict=True)), abs=FLOAT32
    )


@pytest.mark.parametrize("explain", ["text", "evidence"])
def test_reasons_and_evidence_of_a_long_document_are_those_of_a_short_one(whole: Scorer, explain: str) -> None:
    scorer = Scorer(embedded(), 256, 0)
    text = "\n\n".join(text_of(number + 2) for number in range(5))
    request = job([text], {"kind": {"labels": KINDS}}, explain=explain)
    (result,), (other,) = classify(request, scorer)[0].results, classify(request, whole)[0].results
    assert isinstance(result, DocumentResult) and isinstance(other, DocumentResult)
    assert result.input.tokens > 256
    one, two = result.answers["kind"], other.answers["kind"]
    assert result.warnings == other.warnings == ()
    assert (one.explanation, one.explanation is None) == (two.explanation, explain == "evidence")
    mine, theirs = one.evidence or (), two.evidence or ()
    assert len(mine) == len(theirs) and bool(mine) == (explain == "evidence")
    changes = {(each.page, each.start): each.change for each in theirs}
    assert {(each.page, each.start): each.change for each in mine} == pytest.approx(changes, abs=10 * FLOAT32)
