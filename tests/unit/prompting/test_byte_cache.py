"""What is kept is bounded in bytes, whatever is asked."""

import gc
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.errors import RequestError
from pinpoint.prompting import prompts as prompts_module
from pinpoint.prompting.byte_cache import ByteCache
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.prompt import kept_bytes
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.taxonomy import Label, Task
from tests.fakes import chatml_prompts, chatml_tokenizer


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12), st.booleans()), max_size=60), st.integers(0, 30))
def test_no_more_bytes_are_kept_than_may_be_and_the_latest_used_are(
    moves: list[tuple[int, int, bool]], most: int
) -> None:
    cache, sizes, used = ByteCache[int, str](most), dict[int, int](), list[int]()
    for key, size, reads in moves:
        if reads:
            found = cache.get(key)
            assert found == (str(key) if key in used else None)
        elif key not in used and size <= most:
            cache.put(key, str(key), size)
            sizes[key] = size
        else:
            cache.put(key, "another", size)
            continue
        if key in used or not reads:
            used = [other for other in used if other != key] + [key]
        while sum(sizes[other] for other in used) > most:
            used.pop(0)
        assert cache.bytes == sum(sizes[other] for other in used) <= most
        assert len(cache) == len(used)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("chars", [2, 150])
def test_questions_take_no_more_than_they_are_counted(multi_label: bool, chars: int) -> None:
    prompts = PromptBuilder(PromptEncoder(chatml_tokenizer()))

    def task(at: str) -> Task:
        names = [f"{at} {n} " + "long name " * (chars // 10) for n in range(400)]
        return Task("t", tuple(Label(f"{name}.", name, name[::-1]) for name in names), multi_label, at * 2_000)

    prompts.questions(task("é"))  # what is made once is made
    gc.collect()
    tracemalloc.start()
    try:
        asked = task("ç")
        questions = prompts.questions(asked)
        size = kept_bytes(asked, questions)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken <= size + prompts.encoder._labels.bytes < 8 * taken


@pytest.mark.parametrize("more", [{"description": "x" * 999}, {"examples": ("x" * 999,)}])
def test_all_words_of_a_label_are_counted(more: dict[str, Any]) -> None:
    bare, worded = (kept_bytes(Task("t", (Label("a", "a", **fields),)), ()) for fields in ({}, more))
    assert worded >= bare + 999


def test_the_caches_of_questions_and_labels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts_module, "QUESTIONS_BYTES", 300_000)
    monkeypatch.setattr("pinpoint.prompting.encoder._LABELS_BYTES", 50_000)
    prompts = PromptBuilder(PromptEncoder(chatml_tokenizer()))
    for number in range(40):
        prompts.questions(Task("t", tuple(Label(f"{number} {n}", f"{number} {n}") for n in range(60))))
    assert 0 < prompts._kept.bytes <= 300_000 and 0 < len(prompts._kept) < 40
    assert 0 < prompts.encoder._labels.bytes <= 50_000


def test_the_same_question_under_another_name_mask_and_prior_is_kept_once() -> None:
    prompts = PromptBuilder(chatml_prompts().encoder)
    labels = (Label("a", "a"), Label("b", "b"))
    first = prompts.questions(Task("t", labels))
    assert prompts.questions(Task("t", labels, mask=frozenset("a"), prior={"b": 1.0})) is first
    assert prompts.questions(Task("u", labels)) is first
    assert len(prompts._kept) == 1


def test_an_error_names_the_task_that_asks_whoever_asked_before() -> None:
    prompts = PromptBuilder(chatml_prompts().encoder)
    labels = (*(Label(str(n), f"kind {n}") for n in range(9)), Label("twin", "kind 8"))
    for name in ("t", "u", "t"):
        with pytest.raises(RequestError) as caught:
            prompts.questions(Task(name, labels))
        assert caught.value.field == f"tasks.{name}.labels[9]"


def test_a_question_with_criteria_is_another() -> None:
    prompts = PromptBuilder(chatml_prompts().encoder)
    plain = Task("t", (Label("paid", "paid"),), multi_label=True)
    strict = replace(plain, criteria=("a stamp says so", None))
    assert prompts.questions(plain)[0].tokens != prompts.questions(strict)[0].tokens
