"""Jobs with a tree: asked from the top down in one pass, each document for itself, and counted as what was asked."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.api.answer import Answer
from pinpoint.api.request import Request, parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.api.schema import UNSEEN_MASS
from pinpoint.api.taxonomy_files import SHIPPED, load_folders
from pinpoint.errors import RequestError
from pinpoint.pipeline.classify import classify
from pinpoint.prompting.label_tree import questions_of
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Task
from tests.fakes import FakeEngine, log_prob
from tests.reference.tree import Node, shares
from tests.requests_of import PROMPTS, TONE, answered, document, texts_lists

LABELS: list[Any] = [
    {"name": "bills", "children": ["invoice", "receipt", {"name": "reminders", "children": ["first", "last"]}]},
    {"name": "letters", "children": ["complaint", "praise"]},
    {"name": "contracts", "children": ["lease", "loan", "sale"]},
    "other",
]
ROOT = Node(
    "",
    (
        Node("bills", (Node("invoice"), Node("receipt"), Node("reminders", (Node("first"), Node("last"))))),
        Node("letters", (Node("complaint"), Node("praise"))),
        Node("contracts", (Node("lease"), Node("loan"), Node("sale"))),
        Node("other"),
    ),
)
[TREE] = parse_request({"text": "x", "labels": LABELS}).tasks
PRIOR = {"bills": 3.0, "letters": 1.0, "contracts": 0.5, "other": 1.0}


def asked(*texts: str, tasks: tuple[Task, ...] = (TREE,), **options: Any) -> Request:
    made = parse_request({"text": "x", "labels": ["a", "b"], "options": options})
    return replace(made, documents=tuple(document(t, index=i) for i, t in enumerate(texts)), tasks=tasks)


def expected(task: Task, text: str) -> dict[str, float]:
    """Every path by itself, each question by a prompt of its own, as a choice among a node's children."""
    tokens, tree = PROMPTS.document(text), TREE.tree
    assert tree is not None

    def ask(path: tuple[str, ...]) -> list[float]:
        node = next(n for n in tree.askers() if tuple(tree.label(one).id for one in tree.path(n)) == path)
        choice = list(questions_of(task))[tree.askers().index(node)]
        [question] = PROMPTS.questions(choice)
        opening = [token for part in PROMPTS.lay(TONE, tokens)[0].path[:1] for token in part]
        ending = list(PROMPTS._ending)
        prompt = [*opening, *PROMPTS.fenced(tokens), *question.tokens, *ending]
        return [log_prob(prompt, label) for label in question.trie.labels]

    return shares(ROOT, (), ask, task.mask, task.prior)


def scores(answer: Answer) -> dict[str, float]:
    return dict(zip(answer.labels, answer.scores, strict=True))


@pytest.mark.parametrize(
    "task",
    [TREE, replace(TREE, prior=PRIOR), replace(TREE, mask=frozenset({"receipt", "letters", "complaint", "praise"}))],
    ids=["plain", "prior", "mask"],
)
def test_scores_are_those_of_every_path_by_itself(task: Task) -> None:
    texts = ["one", "another letter", "x" * 300]
    for given_, unseen in (
        (asked(*texts, tasks=(task,), unseen_mass=0.0), 0.0),
        (asked(*texts, tasks=(task,)), UNSEEN_MASS),
    ):
        for text, answers in zip(texts, answered(classify(given_, FakeEngine())[0]), strict=True):
            slow = expected(task, text)
            assert scores(answers["category"]) == pytest.approx(slow, abs=unseen + 1e-9)
            assert math.fsum(answers["category"].scores) == pytest.approx(1.0)
            assert answers["category"].labels[0] == max(slow, key=lambda name: slow[name])


@given(texts_lists, st.sampled_from([400, 900, 1_000_000]), st.booleans())
def test_no_budget_and_no_neighbour_changes_an_answer(texts: list[str], budget: int, pages: bool) -> None:
    options: dict[str, Any] = {"long_document": "pages"} if pages else {}
    engine = FakeEngine(token_budget=budget, context_tokens=1500)
    together = answered(classify(asked(*texts, tasks=(TONE, TREE), **options), engine)[0])
    for text, answers in zip(texts, together, strict=True):
        [alone] = answered(classify(asked(text, **options), FakeEngine(context_tokens=1500))[0])
        assert answers["category"] == alone["category"]


def test_a_document_is_read_once_and_only_groups_that_matter_are_asked_about() -> None:
    engine = FakeEngine()
    response, counts = classify(asked("a letter", "x" * 200), engine)
    [forest] = engine.forests
    answers = [each["category"] for each in answered(response)]
    # Five questions each, if all were asked.
    assert 2 < len(forest.asks) < 10
    assert len([tokens for tokens in forest.tokens if len(tokens) > 190]) == 1
    assert all(answer.bounded_labels > 0 for answer in answers)
    assert counts.batches == 1 and counts.tokens_computed == forest.total_tokens


@pytest.mark.parametrize("pages", [1, 3])
def test_evidence_is_of_the_best_label_with_all_groups_asked_about(pages: int) -> None:
    mode = "pages" if pages > 1 else "head_tail"
    given_ = asked("x", explain="evidence", long_document=mode)
    texts = ["\n\n".join(f"Paragraph {k} of page {n}. " * 8 for k in range(4)) for n in range(pages)]
    engine = FakeEngine()
    response, _ = classify(replace(given_, documents=(document(*texts),)), engine)
    [answers] = answered(response)
    assert len(answers["category"].evidence or ()) >= 2
    laid = sum(forest.total_tokens for forest in engine.forests)
    assert response.usage.prompt_tokens - response.usage.cached_tokens == laid


@pytest.mark.parametrize(
    "options", [{"deterministic": True}, {"return_raw": True}, {"long_document": "pages"}, {"unseen_mass": 0}]
)
def test_where_every_label_counts_every_group_is_asked_about(options: dict[str, Any]) -> None:
    engine = FakeEngine()
    [answers] = answered(classify(asked("a letter", **options), engine)[0])
    assert len(engine.forests[0].asks) == 5
    assert answers["category"].bounded_labels == 0


def test_usage_is_what_was_asked_and_what_the_job_shares_with_itself() -> None:
    job = asked("a letter", "a letter", "x" * 200, tasks=(TREE, TONE, replace(TREE, name="again", prior=PRIOR)))
    engine = FakeEngine()
    response, _ = classify(job, engine)
    forest = Forest()
    prompts = 0
    for one in engine.forests[0].asks:
        spans = engine.forests[0].path(one.span)
        parent = -1
        for tokens in spans:
            parent = forest.add(tokens, parent)
        forest.ask(parent, one.trie)
        prompts += sum(map(len, spans)) + len(one.trie.tokens)
    assert response.usage.prompt_tokens == prompts
    assert response.usage.cached_tokens == prompts - forest.total_tokens
    again, _ = classify(job, FakeEngine(token_budget=500))
    assert again.usage == response.usage


def test_pages_are_summed_question_by_question_and_may_vote() -> None:
    pages = replace(asked("x", long_document="pages"), documents=(document("one", "two", "three"),))
    [summed] = answered(classify(pages, FakeEngine())[0])
    assert math.fsum(summed["category"].scores) == pytest.approx(1.0)
    assert len(summed["category"].pages) == 3
    for vote in ("majority", "evidence"):
        voting = replace(pages, options=replace(pages.options, page_vote=vote, top_k=2))
        [voted] = answered(classify(voting, FakeEngine())[0])
        answer = voted["category"]
        assert len(answer.labels) == 2 and answer.path and answer.label == answer.path[-1]


def test_a_reason_is_given_for_the_answer_behind_the_question_that_it_answers() -> None:
    for back_off in (0.0, 1.0):
        engine = FakeEngine()
        [answers] = answered(classify(asked("a letter", explain=True, back_off=back_off), engine)[0])
        answer = answers["category"]
        assert answer.label is not None and answer.explanation is not None
        number, name = answer.explanation.removeprefix("ask ").split(" is ")
        [forest] = engine.forests
        prompt = engine.prompts.encoder.tokenizer.decode(forest.prompt(forest.asks[int(number)].span))
        assert name.endswith(answer.label)
        assert (f"belongs to: {' > '.join(answer.path[:-1])}" in prompt) == (len(answer.path) > 1)


def test_a_tree_is_not_read_twice_and_offers_none_of_these_at_the_top() -> None:
    [task] = parse_request({"text": "x", "tasks": {"category": {"labels": LABELS[:3], "other": True}}}).tasks
    engine = FakeEngine()
    [answers] = answered(classify(asked("a letter", tasks=(task,), second_reading=True, back_off=0.0), engine)[0])
    answer = answers["category"]
    assert answer.order_spread is None and "none of these" in answer.labels
    chances = {"none of these": 1e9, "bills": 1.0, "letters": 1.0, "contracts": 1.0}
    [answers] = answered(classify(asked("a letter", tasks=(replace(task, prior=chances),)), FakeEngine())[0])
    assert (answers["category"].decision, answers["category"].label) == ("abstain", None)


def test_a_tree_too_long_for_the_context_is_refused_before_a_pass() -> None:
    engine = FakeEngine(context_tokens=250, token_budget=250)
    deployed = load_folders(SHIPPED)
    named = parse_request({"text": "x", "taxonomy": "business-documents"}, deployed=deployed)
    with pytest.raises(RequestError) as caught:
        classify(named, engine)
    assert caught.value.code == "labels_too_long"
    assert not engine.forests


def test_a_packet_is_cut_by_the_labels_of_a_tree() -> None:
    pages = ("An invoice of two pages. " * 4, "Its second page. " * 4, "A complaint. " * 4)
    packet = replace(asked("x", split=True), documents=(document(*pages),))
    response, _ = classify(packet, FakeEngine())
    [result] = response.results
    assert isinstance(result, DocumentResult)
    assert (result.segments[0].pages[0], result.segments[-1].pages[1]) == (0, 2)
    for segment in result.segments:
        answer = segment.answers["category"]
        assert math.fsum(answer.scores) == pytest.approx(1.0) and answer.path


def test_a_group_with_one_label_left_is_answered_without_being_asked_about() -> None:
    masked = frozenset({"receipt", "reminders", "first", "last", "praise", "loan", "sale"})
    engine = FakeEngine()
    [answers] = answered(classify(asked("a letter", tasks=(replace(TREE, mask=masked),), unseen_mass=0.0), engine)[0])
    assert set(answers["category"].labels) == {"invoice", "complaint", "lease", "other"}
    assert len(engine.forests[0].asks) == 1 and answers["category"].bounded_labels == 0
