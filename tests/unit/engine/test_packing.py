"""Packing: whatever the forest, every row sees exactly its own prompt and label, in order, and nothing is lost."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.engine.forward.packing import PackedRow, pack
from pinpoint.prompting.label_trie import LabelTrie, build_trie
from pinpoint.prompting.span_tree import NO_PARENT, Forest
from tests.reference import packing as reference

STOP = 0
labels_lists = st.lists(
    st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple), min_size=1, max_size=6, unique=True
)
# Each token of a span is a number of its own, so that a token says where it came from.
FIRST_SPAN_TOKEN = 100


@st.composite
def forests(draw: st.DrawFn, most_spans: int = 8, most_asks: int = 5) -> Forest:
    forest = Forest()
    fresh = FIRST_SPAN_TOKEN
    for _ in range(draw(st.integers(1, most_spans))):
        length = draw(st.integers(1, 4))
        forest.add(range(fresh, fresh + length), draw(st.integers(NO_PARENT, len(forest.tokens) - 1)))
        fresh += length
    for _ in range(draw(st.integers(1, most_asks))):
        span = draw(st.integers(0, len(forest.tokens) - 1))
        # Documents share their questions' tries.
        known = [ask.trie for ask in forest.asks if draw(st.booleans())]
        forest.ask(span, known[0] if known else build_trie(draw(labels_lists), STOP))
    return forest


@st.composite
def kept_spans(draw: st.DrawFn, forest: Forest) -> dict[int, int]:
    """Some spans with all their ancestors, one after the other in any order."""
    chosen: set[int] = set()
    for span in draw(st.sets(st.integers(0, len(forest.tokens) - 1))):
        chosen |= set(forest.ancestry(span))
    offsets, offset = {}, 0
    for span in draw(st.permutations(sorted(chosen))):
        offsets[span] = offset
        offset += len(forest.tokens[span])
    return offsets


def reads(forest: Forest, row: PackedRow, kept: dict[int, int], at: int) -> list[int]:
    """The tokens that row token `at` sees, in the order of their positions, which have to be consecutive."""
    columns = [(0, 0)] * row.kept_tokens
    for span, offset in kept.items():
        before = forest.prompt_tokens(span) - len(forest.tokens[span])
        for step, token in enumerate(forest.tokens[span]):
            columns[offset + step] = (before + step, token)
    columns += zip(row.positions.tolist(), row.tokens.tolist(), strict=True)
    seen = sorted(columns[j] for j in np.flatnonzero(row.visible()[at]))
    assert [position for position, _ in seen] == list(range(len(seen)))
    assert seen[-1] == columns[row.kept_tokens + at], "a row is the last that it sees"
    return [token for _, token in seen]


def check_twin(forest: Forest, row: PackedRow, kept: dict[int, int], only: set[int] | None = None) -> None:
    """The row is to the last number the one that is laid node by node."""
    for name, slow in reference.pack(forest, kept, only).items():
        fast = getattr(row, name)
        assert (fast.tolist() if isinstance(fast, np.ndarray) else fast) == slow, name


def check_asks(forest: Forest, row: PackedRow, kept: dict[int, int], tries: list[LabelTrie]) -> None:
    """Every lookup of every ask reads its prompt and its label's beginning. `tries` are those of the full forest."""
    assert len(row.paths) == len(forest.asks)
    assert sorted(set(row.rows.tolist())) == row.rows.tolist()
    for ask, whole, paths in zip(forest.asks, tries, row.paths, strict=True):
        for label, path in zip(whole.labels, paths, strict=True):
            terms = [*label, STOP]
            skipped = len(terms) - len(path)
            assert skipped in (0, 1)
            for step, lookup in enumerate(path, skipped):
                place, target = row.lookups[lookup].tolist()
                assert target == terms[step]
                assert reads(forest, row, kept, row.rows[place]) == [*forest.prompt(ask.span), *label[:step]]


def check_spans(row: PackedRow) -> None:
    """The spans cut the row in order, and descendants follow within their ancestor's end."""
    assert row.starts.tolist() == [0, *row.stops[:-1].tolist()][: len(row.starts)]
    assert (row.stops[-1:] == len(row.tokens)).all()
    for span, parent in enumerate(row.parents.tolist()):
        assert row.starts[span] < row.stops[span] <= row.ends[span]
        assert parent < span
        # Whoever lies between a span's stop and end has it among its ancestors, and nobody else has.
        below = parent >= 0
        assert below == any(row.stops[s] <= row.starts[span] < row.ends[s] for s in range(span))
        if below:
            assert row.stops[parent] <= row.starts[span] and row.ends[span] <= row.ends[parent]


@settings(deadline=None)
@given(forests())
def test_every_lookup_reads_its_prompt_and_its_label(forest: Forest) -> None:
    row = pack(forest)
    check_asks(forest, row, {}, [ask.trie for ask in forest.asks])
    check_spans(row)
    check_twin(forest, row, {})


@settings(deadline=None)
@given(forests())
def test_every_token_is_laid_once_and_reads_its_own_prompt(forest: Forest) -> None:
    row = pack(forest)
    assert len(row.tokens) == len(row.positions) == forest.total_tokens
    assert row.span_starts.keys() == set(range(len(forest.tokens)))
    assert (row.kept_tokens, row.kept_crossings) == (0, [])
    for span, start in row.span_starts.items():
        tokens = forest.tokens[span]
        assert tuple(row.tokens[start : start + len(tokens)]) == tokens
        assert reads(forest, row, {}, start + len(tokens) - 1) == forest.prompt(span)


@settings(deadline=None)
@given(st.data())
def test_kept_spans_are_read_as_if_they_were_laid(data: st.DataObject) -> None:
    forest = data.draw(forests())
    kept = data.draw(kept_spans(forest))
    tries = [ask.trie for ask in forest.asks]
    # What is kept has no row of its own, so nothing may be asked at its last token.
    after = Forest(forest.tokens, forest.parents, forest.shared)
    for ask in forest.asks:
        after.ask(ask.span, ask.trie.after_first() if ask.span in kept else ask.trie)
    row = pack(after, kept)
    kept_tokens = sum(len(forest.tokens[span]) for span in kept)
    assert (row.kept_tokens, len(row.tokens)) == (kept_tokens, forest.total_tokens - kept_tokens)
    assert row.span_starts.keys() == set(range(len(forest.tokens))) - kept.keys()
    check_asks(after, row, kept, tries)
    check_spans(row)
    check_twin(after, row, kept)


@settings(deadline=None)
@given(st.data())
def test_only_the_spans_asked_for_are_laid(data: st.DataObject) -> None:
    forest = data.draw(forests())
    asks = data.draw(st.lists(st.sampled_from(forest.asks), min_size=1, max_size=4))
    kept = data.draw(kept_spans(forest))
    only = {span for ask in asks for span in forest.ancestry(ask.span)}
    kept = {span: offset for span, offset in kept.items() if span in only}
    offsets = dict(zip(kept, np.cumsum([0, *(len(forest.tokens[span]) for span in kept)]).tolist(), strict=False))
    chosen = Forest(forest.tokens, forest.parents, forest.shared)
    for ask in asks:
        chosen.ask(ask.span, ask.trie.after_first() if ask.span in kept else ask.trie)
    row = pack(chosen, offsets, only)
    assert row.span_starts.keys() == only - kept.keys()
    check_asks(chosen, row, offsets, [ask.trie for ask in asks])
    check_spans(row)
    check_twin(chosen, row, offsets, only)


@settings(deadline=None)
@given(forests())
def test_a_subtree_alone_sees_what_it_sees_in_the_whole(forest: Forest) -> None:
    row = pack(forest)
    whole = row.visible()
    for start, end in zip(row.starts.tolist(), row.ends.tolist(), strict=True):
        assert (row.visible_within(start, end) == whole[start:end, start:end]).all()


def test_a_chain_of_a_trie_is_one_span_and_a_branch_is_a_span_of_its_own() -> None:
    forest = Forest()
    forest.ask(forest.add((100, 101)), build_trie([(1, 2, 3), (1, 2, 4), (5,)], STOP))
    row = pack(forest)
    assert row.tokens.tolist() == [100, 101, 1, 2, 3, 4, 5]
    assert row.positions.tolist() == [0, 1, 2, 3, 4, 4, 2]
    assert row.starts.tolist() == [0, 2, 4, 5, 6]
    assert row.parents.tolist() == [-1, 0, 1, 1, 0]
    assert row.ends.tolist() == [7, 6, 5, 6, 7]


def test_a_row_that_several_labels_need_is_wanted_once() -> None:
    forest = Forest()
    forest.ask(forest.add((100,)), build_trie([(1,), (2,), (3,)], STOP))
    row = pack(forest)
    assert row.rows.tolist() == [0, 1, 2, 3]
    assert sorted(row.lookups.tolist()) == [[0, 1], [0, 2], [0, 3], [1, STOP], [2, STOP], [3, STOP]]


def test_what_is_asked_of_a_span_that_is_not_laid_is_refused() -> None:
    forest = Forest()
    root, other = forest.add((100, 101)), forest.add((102,))
    trie = build_trie([(1,), (2,)], STOP)
    forest.ask(root, trie)
    with pytest.raises(ValueError, match="span 0 is kept"):
        pack(forest, {root: 0})
    with pytest.raises(ValueError, match="span 0 is asked"):
        pack(forest, only={other})


def test_a_row_of_kept_spans_alone_has_nothing() -> None:
    forest = Forest()
    forest.add((100, 101))
    row = pack(forest, {0: 0})
    assert (len(row.tokens), len(row.starts), row.kept_tokens) == (0, 0, 2)


def test_a_trie_goes_with_its_task() -> None:
    """What is remembered of a trie does not hold it."""
    forest = Forest()
    forest.ask(forest.add((100,)), build_trie([(1, 77), (2,)], STOP))
    pack(forest)
    trie = weakref.ref(forest.asks[0].trie)
    del forest
    gc.collect()
    assert trie() is None


@pytest.mark.parametrize("asks", [0, 3])
def test_two_asks_on_one_span_do_not_see_each_other(asks: int) -> None:
    forest = Forest()
    span = forest.add((100, 101))
    for _ in range(asks):
        forest.ask(span, build_trie([(1, 2)], STOP))
    row = pack(forest)
    assert len(row.tokens) == 2 + 2 * asks
    assert row.visible().sum() == 3 + asks * (3 + 4)


def test_where_nothing_is_asked_the_last_token_alone_is_computed_to_the_end() -> None:
    forest = Forest()
    forest.add(range(5, 12), forest.add(range(3)))
    assert pack(forest).rows.tolist() == [9]
