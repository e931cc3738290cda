"""The forest of spans: equal spans are shared, prompts are paths, and the count of tokens is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.prefill import Prefill
from pinpoint.prompting.span_tree import NO_PARENT, Forest

TRIE = build_trie([(1,), (2, 3)], stop=0)
spans = st.lists(st.integers(1, 2), min_size=1, max_size=2).map(tuple)  # few, so that paths begin alike
paths_lists = st.lists(st.lists(spans, min_size=1, max_size=4), max_size=8)
Path = list[tuple[int, ...]]


def add_path(forest: Forest, path: Path) -> int:
    span = NO_PARENT
    for tokens in path:
        span = forest.add(tokens, span)
    return span


@given(paths_lists)
def test_a_prompt_is_the_path_it_was_added_as(paths: list[Path]) -> None:
    forest = Forest()
    ends = [add_path(forest, path) for path in paths]
    for path, end in zip(paths, ends, strict=True):
        assert [forest.tokens[span] for span in forest.ancestry(end)] == path
        assert forest.prompt(end) == [token for tokens in path for token in tokens]
        assert forest.prompt_tokens(end) == len(forest.prompt(end))


@given(paths_lists)
def test_equal_beginnings_are_one_span_and_parents_precede_children(paths: list[Path]) -> None:
    forest = Forest()
    for path in paths:
        add_path(forest, path)
    beginnings = {tuple(path[:depth]) for path in paths for depth in range(1, len(path) + 1)}
    assert len(forest.tokens) == len(beginnings)
    assert all(NO_PARENT <= parent < span for span, parent in enumerate(forest.parents))
    assert forest.total_tokens == sum(map(len, forest.tokens)) == sum(len(path[-1]) for path in beginnings)


@given(paths_lists, st.lists(spans, min_size=1, max_size=4))
def test_new_tokens_are_those_that_adding_the_path_adds(paths: list[Path], path: Path) -> None:
    forest = Forest()
    for other in paths:
        add_path(forest, other)
    before, foretold = forest.total_tokens, forest.new_tokens(path)
    assert forest.total_tokens == before
    add_path(forest, path)
    assert forest.total_tokens - before == foretold
    assert forest.new_tokens(path) == 0


def test_asks_keep_their_order_and_each_counts_its_trie() -> None:
    forest = Forest()
    root = forest.add((1, 2, 3))
    child = forest.add((4,), root)
    indices = [forest.ask(child, TRIE), forest.ask(root, TRIE, exact_best=2), forest.ask(child, TRIE)]
    assert indices == [0, 1, 2]
    assert [(ask.span, ask.exact_best) for ask in forest.asks] == [(child, None), (root, 2), (child, None)]
    assert forest.total_tokens == 4 + 3 * len(TRIE.tokens)


def test_the_same_tokens_under_two_parents_are_two_spans() -> None:
    forest = Forest()
    one, other = forest.add((1,)), forest.add((2,))
    assert forest.add((3,), one) != forest.add((3,), other)
    assert forest.add((3,)) not in (one, other)


def test_a_span_is_shared_if_it_was_when_it_came() -> None:
    forest = Forest()
    root = forest.add((1,), shared=True)
    forest.add((2,), root)
    assert forest.add((1,)) == root
    assert forest.shared == [True, False]


@pytest.mark.parametrize(("tokens", "parent"), [((), NO_PARENT), ((), 0), ((1,), 1), ((1,), -2)])
def test_an_empty_span_or_a_parent_that_is_not_there_is_refused_and_changes_nothing(
    tokens: tuple[int, ...], parent: int
) -> None:
    forest = Forest()
    forest.add((9,))
    with pytest.raises(ValueError, match="existing parent"):
        forest.add(tokens, parent)
    assert (forest.tokens, forest.total_tokens) == ([(9,)], 1)


def test_spans_of_two_owners_are_never_one_however_equal() -> None:
    """What is kept for a caller with a key of its own is found by that caller alone."""
    forest, path, ends = Forest(), ((1, 2), (3,)), list[int]()
    for owner in ("", "one", "other"):
        assert forest.new_tokens(path, owner) == 3
        span = NO_PARENT
        for tokens in path:
            span = forest.add(tokens, span, owner=owner)
        assert forest.new_tokens(path, owner) == 0
        ends.append(span)
    assert [forest.ancestry(end) for end in ends] == [[0, 1], [2, 3], [4, 5]]
    assert forest.owners == ["", "", "one", "one", "other", "other"]
    assert forest.add((1, 2), owner="one") == 2


def test_spans_that_were_read_ahead_are_those_of_their_own_prefill_alone() -> None:
    """The same document, the same object even, of prompts that are asked at once and of two that are not."""
    forest, path = Forest(), ((1, 2), (3,))
    prefills = (None, None, Prefill(path), Prefill(path))
    ends = [forest.add(path[1], forest.add(path[0], begun=begun), begun=begun) for begun in prefills]
    again = [forest.add(path[1], forest.add(path[0], begun=begun), begun=begun) for begun in prefills]
    assert ends == again == [1, 1, 3, 5]
    reading, *begun = Forest(), Prefill(path, done=2), Prefill(path, done=2)
    chunks = [reading.read(prefill, 1) for prefill in begun]
    assert [reading.ancestry(chunk) for chunk in chunks] == [[0, 1], [2, 3]]
