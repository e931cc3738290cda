"""What moved an answer, on an engine whose scores are hashes of all of a prompt's tokens: any that differs shows."""

from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.api.answer import Answer
from pinpoint.api.asked import Asked
from pinpoint.api.request import Options, Request, parse_request
from pinpoint.api.response import DocumentResult, Response
from pinpoint.documents.paragraphs import Run
from pinpoint.pipeline.classify import classify
from pinpoint.pipeline.evidence import (
    MOST_PASSAGES,
    MOST_TIMES,
    MOST_TOLD,
    NO_EVIDENCE_OF_CUT,
    LeftOut,
    Passage,
    by_passage,
    merged_to,
    passages,
)
from pinpoint.pipeline.preparation import Preparation
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from tests.fakes import FakeEngine, FakeScores
from tests.reference import evidence as twin
from tests.requests_of import CHOICE, PROMPTS, TONE, answered, document, request
from tests.unit.pipeline.test_taxonomy_jobs import LABELS
from tests.unit.pipeline.test_taxonomy_jobs import PRIOR as BRANCH_PRIOR

PRIOR = replace(CHOICE, name="prior", prior={label.id: 1.0 + n for n, label in enumerate(CHOICE.labels)})
YES = Task("paid", (Label("paid", "The invoice is paid."),), multi_label=True, kind="yes_no")
SCORE = Task("mood", tuple(Label(name, name) for name in ("bad", "fair", "good")), kind="score")

TREE = replace(parse_request({"text": "x", "labels": LABELS}).tasks[0], name="tree")
WEIGHED = replace(TREE, name="weighed", prior=BRANCH_PRIOR, mask=frozenset({"letters", "lease"}))
OPTIONS: list[dict[str, Any]] = [
    {},
    {"ignore_blank_pages": True},
    {"first_pages": 2},
    {"long_document": "pages"},
    {"second_reading": True},
]
paragraph = st.sampled_from(["Dear customer.", "Total due: 99.50 EUR", "x", "-- 3 --", "Invoice no. 4711\nof March"])
pages_of = st.lists(st.lists(paragraph, min_size=0, max_size=6).map("\n\n".join), min_size=1, max_size=3)


def ask(request: Request) -> Response:
    return classify(request, FakeEngine())[0]


@given(
    pages_of.filter(lambda pages: any(page.strip() for page in pages)),
    st.lists(
        st.sampled_from([CHOICE, TONE, PRIOR, YES, SCORE, TREE, WEIGHED]),
        min_size=1,
        max_size=3,
        unique_by=lambda t: t.name,
    ),
    st.sampled_from(OPTIONS),
)
def test_a_change_is_that_of_a_job_without_the_passage(pages: list[str], tasks: list[Task], more: Any) -> None:
    if "first_pages" in more and not any(page.strip() for page in pages[:2]):
        return
    if "second_reading" in more:  # of a tree there is one reading
        tasks = [task for task in tasks if task.tree is None] or [CHOICE]
    asked = Request((document(*pages),), tuple(tasks), Options(evidence=True, **more))
    for said, is_ in twin.changes(asked, ask(asked), ask):
        assert said == pytest.approx(is_, abs=1e-9)


def test_evidence_is_told_strongest_first_and_of_the_whole_document() -> None:
    text = "\n\n".join(f"Paragraph {n} says something of its own." for n in range(8))
    (result,) = ask(request(text, tasks=(CHOICE,), evidence=True)).results
    assert isinstance(result, DocumentResult)
    found = result.answers["category"].evidence
    assert found
    assert [abs(one.change) for one in found] == sorted((abs(one.change) for one in found), reverse=True)
    runs = sorted((one.start, one.end) for one in found)
    assert [start for start, _ in runs] == [0, *(end for _, end in runs[:-1])] and runs[-1][1] == len(text)
    assert list(found[0].to_wire()) == ["page", "start", "end", "change"]


def test_the_answer_itself_is_the_one_without_evidence() -> None:
    text = "\n\n".join(f"Paragraph {n}." for n in range(8))
    with_it, without = (answered(ask(request(text, tasks=(CHOICE, TONE), evidence=e))) for e in (True, False))
    for name, answer in with_it[0].items():
        assert replace(answer, evidence=None) == without[0][name]


@given(st.lists(st.lists(paragraph, min_size=1, max_size=6).map("\n\n".join), min_size=1, max_size=4), st.booleans())
def test_usage_counts_every_reading_and_what_they_share(texts: list[str], both: bool) -> None:
    asked = request(*texts, tasks=(CHOICE, TONE) if both else (CHOICE,), evidence=True)
    engine = FakeEngine()
    preparation = Preparation(asked, engine)
    preparation.advance()
    forest, units = Forest(), list(preparation.units())
    for unit in units:
        unit.prompt.add_to(forest)
    counts, tokens = preparation.count()
    assert sum(counts) == len(units) and tokens == sum(unit.asked_tokens for unit in units)
    usage = classify(asked, engine)[0].usage
    assert usage.prompt_tokens == tokens and usage.cached_tokens == tokens - forest.total_tokens


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.sampled_from([CHOICE, TONE, YES, SCORE]))
def test_readings_cost_no_more_than_they_may(lengths: list[int], task: Task) -> None:
    text = "\n\n".join("word " * length for length in lengths)
    tokens, questions = PROMPTS.document(text), PROMPTS.questions(task)
    found = passages([text], len(tokens), task, questions, PROMPTS)
    runs = [run for passage in found for run in passage.runs]
    assert len(found) <= MOST_PASSAGES and [run.start for run in runs] == sorted(run.start for run in runs)
    if len(lengths) == 1:
        assert found == ()
    if len(found) > 2:
        forest = Forest()
        engine = FakeEngine()
        preparation = Preparation(request(text, tasks=(task,), evidence=True), engine)
        preparation.advance()
        first, *rest = list(preparation.units())
        first.prompt.add_to(forest)
        whole = forest.total_tokens
        for unit in rest:
            unit.prompt.add_to(forest)
        # Tokens are told from characters, and what is not cut at a token's edge is laid again.
        assert forest.total_tokens - whole <= MOST_TIMES * whole * 1.15 + 10 * len(rest)


@pytest.mark.parametrize(
    ("lengths", "count", "sizes"),
    [
        ([5, 4, 3], 2, [1, 2]),
        ([6, 1, 1, 4], 2, [1, 3]),
        ([1] * 6, 3, [2, 2, 2]),
        ([9, 1], 2, [1, 1]),
        ([1, 1], 5, [1, 1]),
    ],
)
def test_each_paragraph_goes_where_its_middle_lies(lengths: list[int], count: int, sizes: list[int]) -> None:
    ends = list(accumulate(lengths))
    runs = [Run(0, end - length, end) for length, end in zip(lengths, ends, strict=True)]
    merged = merged_to(runs, count)
    assert [len(passage.runs) for passage in merged] == sizes
    assert [run for passage in merged for run in passage.runs] == runs


def test_two_passages_are_left_out_whatever_the_question_costs() -> None:
    task = Task("long", tuple(Label(f"label {n}", f"label {n} with a long name of its own") for n in range(60)))
    text = "\n\n".join(f"Line {n}." for n in range(8))
    tokens, questions = PROMPTS.document(text), PROMPTS.questions(task)
    assert questions[0].length > MOST_TIMES * len(tokens)
    assert len(passages([text], len(tokens), task, questions, PROMPTS)) == 2


def test_every_label_is_computed_in_every_reading() -> None:
    text = "\n\n".join(f"Line {n}." for n in range(8))
    engine = FakeEngine(bounds=True)
    (answers,) = answered(classify(request(text, evidence=True), engine)[0])
    assert answers["category"].bounded_labels == 0
    assert {ask.exact_best for forest in engine.forests for ask in forest.asks} == {None}


def test_the_strongest_is_the_largest_either_way_and_of_equals_the_first() -> None:
    log_probs = {"whole": -1.0, "a": -2.0, "b": -0.2, "c": -4.0, "d": 0.0, "e": -2.0}
    scores = {name: FakeScores([value, -1.0]) for name, value in log_probs.items()}
    answer = Answer("friendly", 0.5, ("friendly", "angry"), (0.5, 0.5), 0.0, 1.0)
    left_out = LeftOut(tuple(Passage((Run(0, n, n + 1),)) for n in range(5)))
    told = by_passage(TONE, answer, scores["whole"], left_out, [scores[name] for name in "abcde"]).evidence
    assert [(one.start, one.change) for one in told or ()] == [
        (2, 3.0), (0, 1.0), (3, -1.0), (4, 1.0), (1, pytest.approx(-0.8)),
    ]  # fmt: skip


def test_no_more_is_told_than_can_be_read() -> None:
    pages = tuple(f"Page {n} of many, with words." for n in range(30))
    (result,) = ask(Request((document(*pages),), (CHOICE,), Options(evidence=True, long_document="pages"))).results
    assert isinstance(result, DocumentResult) and len(result.answers["category"].evidence or ()) == MOST_TOLD


def test_pages_are_merged_where_there_are_more_than_readings() -> None:
    pages = tuple(f"Page {n} of many, with words." for n in range(30))
    asked = Request((document(*pages),), (CHOICE,), Options(evidence=True))
    told = ask(asked)
    (result,) = told.results
    assert isinstance(result, DocumentResult)
    found = result.answers["category"].evidence or ()
    assert any(one.end_page > one.page for one in found)
    assert all(("end_page" in one.to_wire()) == (one.end_page != one.page) for one in found)
    assert all(said == pytest.approx(is_, abs=1e-9) for said, is_ in twin.changes(asked, told, ask))


def test_a_document_of_one_paragraph_has_none_and_one_that_was_cut_says_why() -> None:
    (alone,) = ask(request("Hello", evidence=True)).results
    assert isinstance(alone, DocumentResult) and alone.to_wire()["answers"]["category"]["evidence"] == []  # type: ignore[index]
    long = "\n\n".join(f"Paragraph {n} is long enough." for n in range(200))
    (cut,) = classify(request(long, evidence=True), FakeEngine(context_tokens=600))[0].results
    assert isinstance(cut, DocumentResult) and cut.input.tokens_dropped
    assert cut.answers["category"].evidence == () and NO_EVIDENCE_OF_CUT in cut.warnings
    (other,) = classify(request("Hello\n\nyou\n\nthere", evidence=True), FakeEngine(context_tokens=600))[0].results
    assert isinstance(other, DocumentResult) and other.warnings == ()


def test_segments_of_a_packet_have_their_own_pages() -> None:
    pages = tuple(f"Page {n}. Dear customer, " * 3 for n in range(6))
    (result,) = ask(
        Request((document(*pages),), (CHOICE,), Options(evidence=True, split=True, long_document="pages"))
    ).results
    assert isinstance(result, DocumentResult)
    for segment in result.segments:
        found = segment.answers["category"].evidence
        assert found is not None
        first, last = segment.pages
        assert sorted(one.page for one in found) == (list(range(first, last + 1)) if first < last else [])


@pytest.mark.parametrize("task", [CHOICE, TREE])
def test_what_is_asked_next_stands_behind_the_very_document_of_its_caller(task: Task) -> None:
    """Parted as it was, and under the key that it came with: else it is computed again, or kept for others to find."""
    text = "Dear customer.\n\nTotal due: 99.50 EUR\n\nInvoice no. 4711"
    options = Options(evidence=True, second_reading=task.tree is None)
    whose = Asked((), (), (), cache_key="its own")
    preparation = Preparation(Request((document(text),), (task,), options, asked=whose), FakeEngine())
    preparation.advance()
    asked_next = 0
    for unit in preparation.units():
        first = unit.prompt
        assert len(first.path[: first.ahead]) > 2, "cut into passages"
        for prompt in unit.follow(FakeScores([-2.0] * len(first.trie.labels)), {}).values() if unit.follow else ():
            assert (prompt.owner, prompt.path[: first.ahead]) == ("its own", first.path[: first.ahead])
            asked_next += 1
    assert asked_next
