"""Documents made ready: cut to the room that a task leaves, parted in pages, counted in units."""

from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.api.request import Options, Request
from pinpoint.api.response import DocumentFailure, DocumentResult
from pinpoint.documents.text import PAGE_BREAK
from pinpoint.errors import RequestError
from pinpoint.pipeline.classify import classify
from pinpoint.pipeline.preparation import Preparation, Reading
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.long_text import STRETCH_CHARS
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.taxonomy import Label, Task
from tests.fakes import FakeEngine, chatml_tokenizer
from tests.requests_of import (
    CHOICE,
    FLAGS,
    LETTERS,
    NAMES,
    PROMPTS,
    TONE,
    answered,
    check_choice,
    document,
    expected,
    request,
)


@settings(deadline=None)
@given(st.integers(300, 900), st.integers(0, 900), st.sampled_from([CHOICE, TONE, FLAGS]))
def test_an_answer_does_not_depend_on_what_else_is_asked(budget: int, length: int, task: Task) -> None:
    engine = FakeEngine(token_budget=budget, context_tokens=800)
    texts = ("x" + "ab" * length, "short")
    alone, _ = classify(request(*texts, tasks=(task,), return_raw=True), engine)
    together, _ = classify(request(*texts[::-1], tasks=(FLAGS, TONE, CHOICE), return_raw=True), engine)
    assert [answers[task.name] for answers in answered(alone)] == [
        answers[task.name] for answers in answered(together)[::-1]
    ]


def test_pages_are_weighted_by_their_tokens_and_shown_one_by_one() -> None:
    pages = ("first page " * 3, "second page, and longer " * 5, "third")
    asked = Request((document(*pages),), (CHOICE,), Options(long_document="pages"))
    response, _ = classify(asked, FakeEngine())
    tokens = [PROMPTS.document(page) for page in pages]
    by_page = [expected(CHOICE, page)[0] for page in tokens]
    total = sum(map(len, tokens))
    mean = [
        sum(len(page) / total * s for page, s in zip(tokens, values, strict=True))
        for values in zip(*by_page, strict=True)
    ]
    (answers,) = answered(response)
    check_choice(answers["category"], CHOICE, mean)
    shown = answers["category"].pages
    assert [(page.page, page.tokens) for page in shown] == [(n, len(page)) for n, page in enumerate(tokens)]
    best = [max(range(len(NAMES)), key=values.__getitem__) for values in by_page]
    assert [page.label for page in shown] == [CHOICE.labels[k].id for k in best]


def test_a_page_that_is_too_long_is_parted_and_all_of_it_is_read() -> None:
    engine = FakeEngine(context_tokens=400)
    response, _ = classify(Request((document("short", "x" * 600),), (CHOICE,), Options(long_document="pages")), engine)
    (answers,) = answered(response)
    pages = answers["category"].pages
    assert len(pages) > 2
    assert [page.page for page in pages] == [0, *[1] * (len(pages) - 1)]
    assert sum(page.tokens for page in pages) == sum(len(PROMPTS.document(text)) for text in ("short", "x" * 600))


@pytest.mark.parametrize("options", [{"long_document": "pages"}, {}, {"explain": True}])
@pytest.mark.parametrize("labels", [len(NAMES), 40])
def test_a_worker_that_has_measured_a_larger_budget_answers_as_one_that_has_not(
    options: dict[str, Any], labels: int
) -> None:
    task = replace(CHOICE, labels=tuple(Label(f"{n:02}", f"label number {n:02}") for n in range(labels)))
    asked = Request((document("short", "x" * 900),), (task,), Options(**options))
    found = list[Any]()
    for budget in (400, 1600):
        engine = FakeEngine(token_budget=budget, most_row_tokens=400, context_tokens=1200)
        try:
            (answers,) = answered(classify(asked, engine)[0])
            found.append(answers["category"])
        except RequestError as error:
            found.append(error.wire())
    assert found[0] == found[1]
    assert ("labels_too_long" in str(found[0])) == (labels == 40)


def test_a_page_keeps_its_number_behind_a_blank_one() -> None:
    asked = Request((document("", "text", " ", "more"),), (CHOICE,), Options(long_document="pages"))
    (answers,) = answered(classify(asked, FakeEngine())[0])
    assert [page.page for page in answers["category"].pages] == [1, 3]


def test_a_long_document_is_cut_in_its_middle_and_says_by_how_much() -> None:
    engine = FakeEngine(context_tokens=400)
    (result,) = classify(request("x" * 900), engine)[0].results
    assert isinstance(result, DocumentResult)
    length = len(PROMPTS.document("x" * 900))
    assert result.input.tokens + result.input.tokens_dropped == length
    assert result.input.tokens_dropped > 0
    assert any(f"{result.input.tokens_dropped} tokens" in warning for warning in result.warnings)
    longest = max(
        forest.prompt_tokens(ask.span) + max(map(len, ask.trie.labels))
        for forest in engine.forests
        for ask in forest.asks
    )
    assert longest <= engine.context_tokens


def test_a_document_that_must_not_be_cut_fails_alone() -> None:
    asked = request("one", "x" * 900, "three", long_document="error")
    response, counts = classify(asked, FakeEngine(context_tokens=400))
    assert [type(result) for result in response.results] == [DocumentResult, DocumentFailure, DocumentResult]
    failure = response.results[1]
    assert isinstance(failure, DocumentFailure)
    assert (failure.error.code, failure.error.field) == ("document_too_long", "documents[1].text")
    assert failure.error.__traceback__ is None
    assert counts.failed == 1


@pytest.mark.parametrize("limit", ["context_tokens", "token_budget"])
@pytest.mark.parametrize(
    ("task", "field"), [(CHOICE, "labels"), (TONE, "tasks.tone.labels"), (FLAGS, "tasks.flags.labels")]
)
def test_labels_that_leave_no_room_are_refused(task: Task, field: str, limit: str) -> None:
    engine = FakeEngine()
    setattr(engine, limit, 60)
    with pytest.raises(RequestError) as caught:
        classify(request(LETTERS, tasks=(task,)), engine)
    assert (caught.value.code, caught.value.field) == ("labels_too_long", field)
    assert engine.forests == []


def test_the_pages_of_a_document_that_is_read_whole_are_joined_by_a_blank_line() -> None:
    joined, _ = classify(Request((document("one", "two"),), (CHOICE,)), FakeEngine())
    plain, _ = classify(request(f"one{PAGE_BREAK}two"), FakeEngine())
    assert answered(joined) == answered(plain)


@pytest.mark.parametrize("long_document", ["head_tail", "pages"])
@pytest.mark.parametrize("tasks", [(CHOICE,), (FLAGS,), (TONE, FLAGS, CHOICE)])
def test_units_are_counted_without_laying_them(
    tasks: tuple[Task, ...], long_document: Literal["head_tail", "pages"]
) -> None:
    documents = (document("one", " ", "x" * 900), document("", index=1), document("two " * 99, "three", index=2))
    asked = Request(documents, tasks, Options(long_document=long_document))
    preparation = Preparation(asked, FakeEngine(context_tokens=400))
    assert not preparation.advance()
    units = list(preparation.units())
    by_document, tokens = preparation.count()
    assert by_document == [sum(unit.document == index for unit in units) for index in range(3)]
    assert by_document[1] == 0
    assert tokens == sum(unit.asked_tokens for unit in units)


@settings(deadline=None)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=12), st.integers(1, 400))
def test_documents_are_prepared_a_few_at_a_time(lengths: list[int], max_chars: int) -> None:
    asked = request(*("x" * length for length in lengths))
    preparation, prepared = Preparation(asked, FakeEngine()), [0]
    while preparation.advance(max_chars):
        prepared.append(len(preparation.outcomes))
    assert len(preparation.outcomes) == len(lengths)
    # A turn ends with the document that it was enough with.
    assert len(prepared) > sum(lengths) // (max_chars + max(lengths) + 1)
    whole = Preparation(asked, FakeEngine())
    assert not whole.advance()
    assert list(map(repr, whole.outcomes)) == list(map(repr, preparation.outcomes))


MANY = tuple(Label(f"label {n}", f"label {n}", f"what it means, number {n}") for n in range(200))


@pytest.mark.parametrize("multi_label", [False, True])
def test_questions_are_encoded_in_turns_and_are_those_encoded_at_once(multi_label: bool) -> None:
    task = Task("category", MANY, multi_label, "Read the whole letter. " * 40)
    prompts = PromptBuilder(PROMPTS.encoder)
    preparation, turns = Preparation(request(LETTERS, tasks=(task,)), FakeEngine(prompts=prompts)), 1
    while preparation.advance(1_000):
        turns += 1
    assert turns > 10
    assert preparation.questions["category"] == PROMPTS.questions(task)


def test_a_large_document_is_read_in_turns_and_as_if_at_once() -> None:
    text = "The parties agree that this contract ends.\n" * 3_000
    preparation, turns = Preparation(request(text), FakeEngine()), 1
    while preparation.advance(25_000):
        turns += 1
    assert turns >= len(text) // 25_000
    (reading,) = preparation.outcomes
    assert isinstance(reading, Reading)
    assert reading.fitted["category"].parts == (tuple(PROMPTS.document(text)),)


class Counted(PromptEncoder):
    """Counts the characters that it encodes."""

    def __init__(self) -> None:
        super().__init__(chatml_tokenizer())
        self.chars = 0

    def text(self, text: str, *, trusted: bool) -> list[int]:
        self.chars = getattr(self, "chars", 0) + len(text)
        return super().text(text, trusted=trusted)


@pytest.mark.parametrize("multi_label", [False, True])
def test_what_questions_have_in_common_is_encoded_and_held_once(multi_label: bool) -> None:
    encoder = Counted()
    prompts, encoder.chars = PromptBuilder(encoder), 0
    task = Task("category", MANY, multi_label, "Read the whole letter. " * 300)
    questions = prompts.questions(task)
    sent = len(task.instructions or "") + sum(len(label.name) + len(label.description or "") for label in MANY)
    # Whole, the questions are 200 times the instructions.
    assert encoder.chars < 3 * sent + 300 * len(MANY)
    distinct = {id(part): len(part) for question in questions for part in question.parts}
    assert sum(distinct.values()) < 3 * sent


def long_labels(chars: int) -> Task:
    """More than a context of 4,000 tokens has room for, by descriptions of so many characters."""
    return Task("category", tuple(Label(f"l {n}", f"l {n}", "ab cd " * (chars // 6)) for n in range(1000)))


def test_labels_that_can_never_fit_are_refused_before_anything_is_encoded() -> None:
    encoder = Counted()
    engine = FakeEngine(context_tokens=4_000, prompts=PromptBuilder(encoder))
    encoder.chars = 0
    with pytest.raises(RequestError) as caught:
        Preparation(request(LETTERS, tasks=(long_labels(1_800),)), engine).advance()
    assert (caught.value.code, caught.value.field) == ("labels_too_long", "labels")
    assert encoder.chars == 0


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("explain", [False, True])
def test_encoding_ends_where_the_questions_have_filled_the_context(multi_label: bool, explain: bool) -> None:
    encoder = Counted()
    # Nothing that the cheap bound counts.
    task = Task("category", tuple(Label(str(n), f"{n}", "… " * 900) for n in range(300)), multi_label, "… " * 3_900)
    engine = FakeEngine(context_tokens=4_000, prompts=PromptBuilder(encoder))
    encoder.chars = 0
    with pytest.raises(RequestError) as caught:
        Preparation(request(LETTERS, tasks=(task,), explain=explain), engine).advance()
    assert caught.value.code == "labels_too_long"
    assert encoder.chars < 4 * STRETCH_CHARS  # of half a million; a stretch is read a little ahead of
    assert engine.prompts.kept(task) is None


@settings(deadline=None)
@given(st.integers(100, 700), st.integers(100, 700), st.sampled_from([CHOICE, TONE, FLAGS]), st.booleans())
def test_a_task_is_refused_early_only_where_it_is_refused(context: int, budget: int, task: Task, explain: bool) -> None:
    def outcome(engine: FakeEngine) -> str:
        try:
            Preparation(request(LETTERS, tasks=(task,), explain=explain), engine).advance()
        except RequestError as error:
            return error.code
        return "read"

    known, fresh = PromptBuilder(PROMPTS.encoder), PromptBuilder(PROMPTS.encoder)
    known.questions(task)
    late = outcome(FakeEngine(token_budget=budget, context_tokens=context, prompts=known))
    early = outcome(FakeEngine(token_budget=budget, context_tokens=context, prompts=fresh))
    assert early == late


def test_more_questions_than_a_job_may_have_are_refused_before_anything_is_encoded() -> None:
    encoder = Counted()
    engine = FakeEngine(prompts=PromptBuilder(encoder))
    flags = Task("flags", tuple(Label(str(n), str(n)) for n in range(1000)), multi_label=True)
    encoder.chars = 0
    with pytest.raises(RequestError) as caught:
        Preparation(request(*["a"] * 1000, tasks=(flags, CHOICE)), engine).advance()
    assert (caught.value.code, caught.value.field) == ("too_large", "documents")
    assert encoder.chars == 0


def test_pages_that_make_too_many_questions_are_refused_when_they_have() -> None:
    flags = Task("flags", tuple(Label(str(n), str(n)) for n in range(1000)), multi_label=True)
    documents = tuple(document(*["a"] * 600, index=index) for index in range(3))
    preparation = Preparation(Request(documents, (flags,), Options(long_document="pages")), FakeEngine())
    with pytest.raises(RequestError) as caught:
        preparation.advance()
    assert caught.value.code == "too_large"
    assert len(preparation.outcomes) == 2


def test_a_prompt_that_leaves_one_token_is_read_and_one_that_leaves_none_is_refused() -> None:
    taken = PROMPTS.overhead(PROMPTS.questions(CHOICE))
    response, _ = classify(request("xyz" * 9), FakeEngine(context_tokens=taken + 1))
    (result,) = response.results
    assert isinstance(result, DocumentResult) and result.input.tokens == 1 and result.input.tokens_dropped > 0
    with pytest.raises(RequestError, match=f"takes {taken} tokens") as caught:
        classify(request("xyz" * 9), FakeEngine(context_tokens=taken))
    assert caught.value.code == "labels_too_long"
