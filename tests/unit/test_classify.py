"""One job from request to response, on an engine whose scores are hashes: splitting, order, weights, counts."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.api.request import Options, Request
from pinpoint.api.response import Answer, DocumentFailure, DocumentResult, Response
from pinpoint.documents.text import Document, RejectedDocument
from pinpoint.errors import DeviceError, DocumentError, OutOfMemory, RequestError
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task, labels_sha
from pinpoint.serving.classify import classify
from pinpoint.serving.preparation import PAGE_BREAK, ROOM_STEP_TOKENS
from tests.fakes import FakeEngine, chatml_prompts, log_prob

PROMPTS = chatml_prompts()
NAMES = ("invoice", "receipt", "purchase order", "gas bill", "contract")
CHOICE = Task("category", tuple(Label(f"id {name}", name) for name in NAMES))
TONE = Task("tone", tuple(Label(name, name) for name in ("friendly", "angry")), instructions="How does it sound?")
FLAGS = Task("flags", tuple(Label(name, name) for name in ("urgent", "paid", "signed")), multi_label=True)
LETTERS = "Dear customer, we could not deliver your parcel."


def document(*pages: str, index: int = 0) -> Document:
    return Document(str(index), index, pages, "text", field=f"documents[{index}].text")


def request(*texts: str, tasks: tuple[Task, ...] = (CHOICE,), **options: Any) -> Request:
    documents = tuple(document(text, index=index) for index, text in enumerate(texts))
    return Request(documents, tasks, Options(**options))


def answered(response: Response) -> list[dict[str, Answer]]:
    """The answers by document; every document has to have some."""
    results = [result for result in response.results if isinstance(result, DocumentResult)]
    assert len(results) == len(response.results)
    return [dict(result.answers) for result in results]


def expected(task: Task, tokens: list[int]) -> list[list[float]]:
    """For each question of a task, what the fake engine says of its labels."""
    return [
        [log_prob([token for span in prompt.path for token in span], label) for label in prompt.trie.labels]
        for prompt in PROMPTS.lay(task, tokens)
    ]


def check_choice(answer: Answer, task: Task, log_probs: list[float]) -> None:
    mass = math.fsum(map(math.exp, log_probs))
    order = sorted(range(len(log_probs)), key=lambda k: -log_probs[k])
    assert answer.labels == tuple(task.labels[k].id for k in order)
    assert answer.label == answer.labels[0]
    assert answer.scores == pytest.approx([math.exp(log_probs[k]) / mass for k in order])
    assert answer.label_mass == pytest.approx(min(1.0, mass))


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


texts = st.text("ab \n", min_size=1, max_size=12).map(lambda text: f"x{text * 9}")
texts_lists = st.lists(texts, min_size=1, max_size=8)
spares = st.integers(0, 1500)
LONGEST_TEXT = 1 + 9 * 12  # in tokens at most: one a character


def least_budget(tasks: tuple[Task, ...]) -> int:
    """The smallest budget that cuts none of the texts."""
    return LONGEST_TEXT + ROOM_STEP_TOKENS + max(PROMPTS.row_overhead(task) for task in tasks)


@settings(deadline=None)
@given(
    texts_lists, st.sampled_from([(CHOICE,), (FLAGS,), (TONE, CHOICE), (TONE, FLAGS, CHOICE)]), spares, st.booleans()
)
def test_a_budget_changes_the_passes_and_not_the_answers(
    texts: list[str], tasks: tuple[Task, ...], spare: int, pages: bool
) -> None:
    asked = request(*texts, tasks=tasks, long_document="pages" if pages else "error", return_raw=True)
    limited = FakeEngine(token_budget=least_budget(tasks) + spare)
    free = FakeEngine()
    response, counts = classify(asked, limited)
    assert response.results == classify(asked, free)[0].results
    assert len(free.forests) == 1
    assert counts.batches == len(limited.forests)
    assert sum(len(forest.asks) for forest in limited.forests) == len(free.forests[0].asks)
    yes_or_no = PROMPTS.questions(FLAGS)[0].trie
    for forest in limited.forests:
        one_question = len(forest.asks) == 1
        one_unit = one_question or (len(forest.asks) == len(FLAGS.labels) and forest.asks[0].trie == yes_or_no)
        assert forest.total_tokens <= limited.token_budget or (one_unit and not one_question)
    # As few as the order allows: two neighbours never fit into one.
    if FLAGS not in tasks:
        for one, other in zip(limited.forests, limited.forests[1:], strict=False):
            assert one.total_tokens + other.total_tokens > limited.token_budget


def test_documents_whose_flags_fit_into_one_pass_share_it() -> None:
    asked = request(LETTERS * 9, LETTERS * 8, tasks=(FLAGS,))
    free = FakeEngine()
    classify(asked, free)
    limited = FakeEngine(token_budget=free.forests[0].total_tokens)
    classify(asked, limited)
    assert len(limited.forests) == 1


def test_a_task_with_many_flags_is_split_to_the_budget_too() -> None:
    many = Task("flags", tuple(Label(str(n), f"flag number {n}") for n in range(60)), multi_label=True)
    engine = FakeEngine(token_budget=600)
    classify(request(LETTERS, tasks=(many,)), engine)
    assert max(forest.total_tokens for forest in engine.forests) <= engine.token_budget


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


@pytest.mark.parametrize("stored", [0, 50])
def test_usage_is_what_was_asked_and_how_much_of_it_was_not_computed(stored: int) -> None:
    engine = FakeEngine(stored_tokens=stored)
    response, counts = classify(request("one letter", "two letters", "two letters", tasks=(CHOICE, FLAGS)), engine)
    (forest,) = engine.forests
    asked = sum(len(forest.prompt(ask.span)) + len(ask.trie.tokens) for ask in forest.asks)
    usage = response.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (asked, 0)
    assert usage.cached_tokens == asked - (forest.total_tokens - stored)
    assert (counts.tokens_asked, counts.tokens_computed) == (asked, forest.total_tokens - stored)


def test_bounded_labels_are_counted_in_the_answer() -> None:
    response, _ = classify(request("one", "two"), FakeEngine(bounds=True))
    assert [answers["category"].bounded_labels for answers in answered(response)] == [len(NAMES) - 2] * 2
    response, _ = classify(request("one", top_k=4), FakeEngine(bounds=True))
    assert answered(response)[0]["category"].bounded_labels == len(NAMES) - 4


@pytest.mark.parametrize(
    ("task", "options"),
    [
        (CHOICE, {"deterministic": True}),
        (CHOICE, {"return_raw": True}),
        (CHOICE, {"long_document": "pages"}),
        (replace(CHOICE, mask=frozenset({"id invoice"})), {}),
        (replace(CHOICE, prior={label.id: 0.2 for label in CHOICE.labels}), {}),
    ],
    ids=["deterministic", "raw", "pages", "mask", "prior"],
)
def test_where_every_label_counts_none_is_bounded(task: Task, options: dict[str, Any]) -> None:
    engine = FakeEngine(bounds=True)
    response, _ = classify(request("one", tasks=(task,), **options), engine)
    assert answered(response)[0]["category"].bounded_labels == 0
    assert [ask.exact_best for ask in engine.forests[0].asks] == [None]


def test_a_choice_is_explained_while_its_pass_is_open_and_a_flag_is_not() -> None:
    engine = FakeEngine(token_budget=least_budget((CHOICE, FLAGS)))
    response, counts = classify(request("one", "two", tasks=(FLAGS, CHOICE), explain=True), engine)
    for answers in answered(response):
        chosen = str(answers["category"].label).removeprefix("id ")
        assert str(answers["category"].explanation).endswith(f"is {chosen}")
        assert answers["flags"].explanation is None
    assert counts.tokens_written == response.usage.completion_tokens == 2 * 3
    assert all(one.closed and one.may_explain for one in engine.passes)
    assert not any(answers["category"].explanation for answers in answered(classify(request("one"), FakeEngine())[0]))


def test_what_the_engine_raises_comes_through_and_no_pass_stays_open() -> None:
    engine = FakeEngine(fails=[DeviceError("device_error", "broken")])
    with pytest.raises(DeviceError):
        classify(request("one"), engine)
    engine = FakeEngine(explain_fails=[DeviceError("device_error", "broken")])
    with pytest.raises(DeviceError):
        classify(request("one", explain=True), engine)
    assert [one.closed for one in engine.passes] == [True]


@settings(deadline=None)
@given(texts_lists, st.sampled_from([(CHOICE,), (TONE, CHOICE), (FLAGS, CHOICE)]), st.integers(100, 1500))
def test_out_of_memory_costs_no_document_that_the_device_can_hold(
    texts: list[str], tasks: tuple[Task, ...], device_tokens: int
) -> None:
    asked = request(*texts, tasks=tasks, return_raw=True)
    tight = FakeEngine(device_tokens=device_tokens)
    response, counts = classify(asked, tight)
    whole, _ = classify(asked, FakeEngine())
    for text, result, undisturbed in zip(texts, response.results, whole.results, strict=True):
        alone: list[int] = []
        for task in tasks:
            # A question is the smallest unit: it fails a document only where the device cannot hold it by itself.
            alone += [prompt.new_tokens(Forest()) for prompt in PROMPTS.lay(task, PROMPTS.document(text))]
        if max(alone) <= device_tokens:
            assert result == undisturbed
        else:
            assert isinstance(result, DocumentFailure)
            assert (result.id, result.error.code) == (undisturbed.id, "out_of_memory")
            assert result.error.__traceback__ is None
    assert counts.failed == sum(isinstance(result, DocumentFailure) for result in response.results)
    assert tight.releases == len(tight.forests) - len(tight.passes)
    assert counts.batches == len(tight.passes)


def test_out_of_memory_halves_the_batch_and_gives_back_what_it_left_behind() -> None:
    engine = FakeEngine(fails=[OutOfMemory("out_of_memory", "too much")])
    response, counts = classify(request("one", "two", "three", "four"), engine)
    assert [len(forest.asks) for forest in engine.forests] == [4, 2, 2]
    assert (engine.releases, counts.batches, counts.failed) == (1, 2, 0)
    assert answered(response) == answered(classify(request("one", "two", "three", "four"), FakeEngine())[0])


def test_a_pass_that_failed_while_explaining_is_not_counted() -> None:
    asked = request("one", "two", explain=True)
    engine = FakeEngine(explain_fails=[OutOfMemory("out_of_memory", "too much")])
    response, _ = classify(asked, engine)
    assert response.usage.prompt_tokens == classify(asked, FakeEngine())[0].usage.prompt_tokens


def test_the_pages_of_a_document_that_is_read_whole_are_joined_by_a_blank_line() -> None:
    joined, _ = classify(Request((document("one", "two"),), (CHOICE,)), FakeEngine())
    plain, _ = classify(request(f"one{PAGE_BREAK}two"), FakeEngine())
    assert answered(joined) == answered(plain)
