"""The passes of one job: split to the budget, halved where memory runs out, explained while open, counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.api.response import DocumentFailure
from pinpoint.errors import DeviceError, OutOfMemory
from pinpoint.pipeline.classify import classify
from pinpoint.pipeline.passes import measure
from pinpoint.pipeline.units import Beginning, Measured, PassFigures
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from pinpoint.prompting.template import choice_in_words
from tests.fakes import FakeEngine, FakePass, FakeStore, units_of
from tests.requests_of import (
    CHOICE,
    FLAGS,
    LETTERS,
    NAMES,
    PROMPTS,
    TONE,
    answered,
    least_budget,
    request,
    spares,
    texts_lists,
)


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
        # Of equal documents one is read, and the question of the other goes on behind it (`fair_queue._most_tokens`).
        goes_on = len(set(texts)) < len(texts)
        assert forest.total_tokens <= limited.token_budget or (one_unit and not one_question) or goes_on
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


def test_a_choice_is_explained_while_its_pass_is_open_and_a_flag_is_not() -> None:
    engine = FakeEngine(token_budget=least_budget((CHOICE, FLAGS)))
    response, counts = classify(request("one", "two", tasks=(FLAGS, CHOICE), explain=True), engine)
    for answers in answered(response):
        place = [label.id for label in CHOICE.labels].index(str(answers["category"].label))
        assert str(answers["category"].explanation).endswith(f"is {choice_in_words(CHOICE, place)}")
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


@pytest.mark.parametrize("stored", [0, 50])
def test_usage_is_what_was_asked_and_how_much_of_it_the_job_shares_with_itself_whatever_was_kept(stored: int) -> None:
    engine = FakeEngine(stored_tokens=stored)
    response, counts = classify(request("one letter", "two letters", "two letters", tasks=(CHOICE, FLAGS)), engine)
    (forest,) = engine.forests
    asked = sum(len(forest.prompt(ask.span)) + len(ask.trie.tokens) for ask in forest.asks)
    usage = response.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (asked, 0)
    assert usage.cached_tokens == asked - forest.total_tokens
    assert (counts.tokens_asked, counts.tokens_computed) == (asked, forest.total_tokens - stored)


def test_bounded_labels_are_counted_in_the_answer() -> None:
    response, _ = classify(request("one", "two"), FakeEngine(bounds=True))
    assert [answers["category"].bounded_labels for answers in answered(response)] == [len(NAMES) - 2] * 2
    response, _ = classify(request("one", top_k=4), FakeEngine(bounds=True))
    assert answered(response)[0]["category"].bounded_labels == len(NAMES) - 4


@pytest.mark.parametrize("on_card", [True, False])
def test_the_passes_of_a_deterministic_job_keep_bits_where_that_is_not_so_anyway(on_card: bool) -> None:
    def asked(**options: Any) -> list[bool]:
        engine = FakeEngine(on_card=on_card)
        classify(request("one", "two", tasks=(CHOICE, FLAGS), **options), engine)
        return [forest.same_bits for forest in engine.forests]

    assert set(asked(deterministic=True)) == {on_card}
    assert set(asked()) == {False}


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


def test_a_pass_is_counted_as_it_was() -> None:
    engine = FakeEngine(stored_tokens=4, store=FakeStore(77))
    units = units_of([[9] * 5, [8] * 3])
    (one, other) = measure(units, engine)
    assert isinstance(one, Measured) and isinstance(other, Measured)
    figures = one.figures
    assert other.figures is figures
    assert figures.asked_tokens == sum(unit.asked_tokens for unit in units)
    assert figures.computed_tokens == engine.forests[0].total_tokens - 4 == one.computed_tokens + other.computed_tokens
    assert (figures.store_bytes, figures.memory, figures.out_of_memory) == (77, engine.memory(), False)


def test_a_pass_that_ran_out_of_memory_is_told_with_what_the_device_holds() -> None:
    told: list[tuple[list[int], PassFigures]] = []
    units = units_of([[9] * 5, [8] * 3])
    engine = FakeEngine(device_tokens=max(unit.prompt.new_tokens(Forest()) for unit in units))
    measure(units, engine, passed=lambda indices, figures: told.append((list(indices), figures)))
    assert [(indices, figures.out_of_memory) for indices, figures in told] == [
        ([0, 1], True),
        ([0], False),
        ([1], False),
    ]
    assert all(figures.memory == engine.memory() for _, figures in told)


@dataclass(slots=True)
class OwningEngine(FakeEngine):
    """Its passes have kept the root before, and keep the question from now on."""

    @contextmanager
    def run(self, forest: Forest, *, explain: bool = False) -> Iterator[FakePass]:
        """Score a forest."""
        with FakeEngine.run(self, forest, explain=explain) as done:
            yield replace(done, found=frozenset({0}), kept=frozenset({1}))


def test_a_unit_is_told_what_of_its_beginnings_was_kept_and_is() -> None:
    unit = units_of([[9] * 5])[0]
    (one,) = measure([replace(unit, prompt=replace(unit.prompt, owner="a key"))], OwningEngine())
    assert isinstance(one, Measured)
    assert one.beginnings == (
        Beginning(((2, 3),), 2, found=True, kept=False),
        Beginning(((2, 3), (4,)), 1, found=False, kept=True),
    )
