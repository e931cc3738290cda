"""Label tries: every label is spelled by its path, shared beginnings stand once, and the parts add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.errors import RequestError
from pinpoint.prompting.label_trie import LabelTrie, build_trie

STOP = 0
TOKENS = st.integers(1, 4)  # few, so that labels begin alike and begin each other
Labels = list[tuple[int, ...]]
labels_lists = st.lists(st.lists(TOKENS, min_size=1, max_size=5).map(tuple), min_size=1, max_size=8, unique=True)


def spelled(trie: LabelTrie, path: tuple[int, ...]) -> list[int]:
    """The targets of a path's lookups."""
    return [trie.lookups[lookup][1] for lookup in path]


def beginnings(labels: Labels) -> set[tuple[int, ...]]:
    return {label[:length] for label in labels for length in range(1, len(label) + 1)}


def text_of(trie: LabelTrie, row: int) -> tuple[int, ...]:
    """The tokens from the prompt's end to a row."""
    return () if row < 0 else (*text_of(trie, trie.parents[row]), trie.tokens[row])


@given(labels_lists)
def test_every_path_spells_its_label_and_stop_each_after_what_precedes_it(labels: Labels) -> None:
    trie = build_trie(labels, STOP)
    assert trie.labels == tuple(labels)
    for label, path in zip(labels, trie.paths, strict=True):
        assert spelled(trie, path) == [*label, STOP]
        for step, lookup in enumerate(path):
            assert text_of(trie, trie.lookups[lookup][0]) == label[:step]


@given(labels_lists)
def test_every_shared_beginning_is_one_node_and_every_term_one_lookup(labels: Labels) -> None:
    trie = build_trie(labels, STOP)
    texts = [text_of(trie, node) for node in range(len(trie.tokens))]
    assert sorted(texts) == sorted(beginnings(labels))
    assert len(set(trie.lookups)) == len(trie.lookups)
    assert len(trie.lookups) == len(beginnings(labels)) + len(labels)
    assert {lookup for path in trie.paths for lookup in path} == set(range(len(trie.lookups)))


@given(labels_lists)
def test_nodes_are_in_depth_first_order(labels: Labels) -> None:
    trie = build_trie(labels, STOP)
    open_nodes: list[int] = []
    for node, parent in enumerate(trie.parents):
        while open_nodes and open_nodes[-1] != parent:
            open_nodes.pop()
        assert (open_nodes[-1] if open_nodes else -1) == parent
        open_nodes.append(node)


def test_the_example_of_the_module() -> None:
    gas, bill = 5, 6
    trie = build_trie([(gas,), (gas, bill)], STOP)
    assert (trie.tokens, trie.parents) == ((gas, bill), (-1, 0))
    assert [[trie.lookups[i] for i in path] for path in trie.paths] == [
        [(-1, gas), (0, STOP)],
        [(-1, gas), (0, bill), (1, STOP)],
    ]


@given(labels_lists, st.data())
def test_a_subset_is_the_trie_of_those_labels_in_that_order(labels: Labels, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(range(len(labels))), min_size=1, unique=True))
    assert build_trie(labels, STOP).subset(chosen) == build_trie([labels[k] for k in chosen], STOP)


@given(labels_lists)
def test_first_tokens_are_one_lookup_a_label_at_the_end_of_the_prompt(labels: Labels) -> None:
    first = build_trie(labels, STOP).first_tokens()
    assert first.tokens == first.parents == ()
    assert [[first.lookups[i] for i in path] for path in first.paths] == [[(-1, label[0])] for label in labels]
    assert len(set(first.lookups)) == len(first.lookups)


@given(labels_lists)
def test_first_tokens_and_what_comes_after_add_up_to_the_whole(labels: Labels) -> None:
    whole = build_trie(labels, STOP)
    first, rest = whole.first_tokens(), whole.after_first()
    assert (rest.tokens, rest.parents, rest.labels) == (whole.tokens, whole.parents, whole.labels)
    assert all(row >= 0 for row, _ in rest.lookups)
    for k, path in enumerate(whole.paths):
        parts = [first.lookups[i] for i in first.paths[k]] + [rest.lookups[i] for i in rest.paths[k]]
        assert parts == [whole.lookups[i] for i in path]


@given(labels_lists, st.data())
def test_a_label_without_tokens_is_refused_where_it_stands(labels: Labels, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(labels)))
    with pytest.raises(RequestError) as caught:
        build_trie([*labels[:place], (), *labels[place:]], STOP, "tasks.kind.labels")
    assert (caught.value.code, caught.value.field) == ("invalid_label", f"tasks.kind.labels[{place}]")


@given(labels_lists, st.data())
def test_the_later_of_two_labels_with_the_same_tokens_is_refused_and_the_earlier_named(
    labels: Labels, data: st.DataObject
) -> None:
    earlier = data.draw(st.integers(0, len(labels) - 1))
    later = data.draw(st.integers(earlier + 1, len(labels)))
    with pytest.raises(RequestError) as caught:
        build_trie([*labels[:later], labels[earlier], *labels[later:]], STOP)
    assert (caught.value.code, caught.value.field) == ("duplicate_label", f"labels[{later}]")
    assert f"labels[{earlier}]" in caught.value.message
