"""Label tries as they lie in a packed row, counted from where each begins: made once a trie, then only moved.

A node joins the run of its parent when it is the parent's only child; where a trie branches, each branch is a span of
its own.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pinpoint.prompting.label_trie import LabelTrie

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrieLayout:
    """One trie, flat. Axes: N nodes, S spans, L lookups, E terms of all labels' sums, K labels.

    Attributes:
        nodes: [2, N] token id of each node, and its depth, 0 for the first of a label.
        spans: [4, S] start, stop and end among the nodes, and parent among the spans, −1 for the span that the trie
            hangs on.
        lookups: [2, L] node, −1 for the prompt's last token, and target token id.
        terms: [1, E] the lookups of each label, label after label.
        labels: [1, K] how many terms each label has.
    """

    nodes: Ints
    spans: Ints
    lookups: Ints
    terms: Ints
    labels: Ints


@dataclass(frozen=True, slots=True)
class Moved:
    """One attribute of the layouts of some asks, one ask after the other.

    Attributes:
        values: [columns, n] as they are in the layouts.
        counts: [asks] how many of the n are each ask's.
    """

    values: Ints
    counts: Ints

    def spread(self, of_each: Ints) -> Ints:
        """[n] what belongs to an ask, for each of its values."""
        return np.repeat(of_each, self.counts)


_NONE = LabelTrie((), 0, (), (), (), ())  # so that without asks, too, there are columns


class Tries:
    """The tries of some asks; each attribute is that of `TrieLayout`."""

    def __init__(self, tries: Sequence[LabelTrie]) -> None:
        distinct = {id(trie): trie for trie in tries or [_NONE]}
        layouts = [layout_of(trie) for trie in distinct.values()]
        places = {one: place for place, one in enumerate(distinct)}
        which = np.fromiter((places[id(trie)] for trie in tries), np.int64, len(tries))
        self.nodes = _moved([layout.nodes for layout in layouts], which)
        self.spans = _moved([layout.spans for layout in layouts], which)
        self.lookups = _moved([layout.lookups for layout in layouts], which)
        self.terms = _moved([layout.terms for layout in layouts], which)
        self.labels = _moved([layout.labels for layout in layouts], which)


# By value, so that tries that say the same share one; it goes with the trie that it was made of.
_made: weakref.WeakKeyDictionary[LabelTrie, TrieLayout] = weakref.WeakKeyDictionary()


def layout_of(trie: LabelTrie) -> TrieLayout:
    """Where a trie's nodes, spans and lookups lie."""
    found = _made.get(trie)
    if found is None:
        found = _made[trie] = _lay(trie)
    return found


def runs(starts: Ints, counts: Ints) -> Ints:
    """[Σ counts] the numbers from each start on, as many as its count says, one run after the other."""
    before = np.cumsum(counts) - counts
    found: Ints = np.arange(int(counts.sum())) + np.repeat(starts - before, counts)
    return found


def _moved(parts: Sequence[Ints], which: Ints) -> Moved:
    """The columns of `parts[which[0]]`, those of `parts[which[1]]`, and so on."""
    if len(parts) == 1:
        return Moved(np.tile(parts[0], len(which)), np.full(len(which), parts[0].shape[1]))
    sizes = np.array([part.shape[1] for part in parts])
    counts = sizes[which]
    together: Ints = np.concatenate(parts, axis=1)
    return Moved(np.take(together, runs((np.cumsum(sizes) - sizes)[which], counts), axis=1), counts)


def _lay(trie: LabelTrie) -> TrieLayout:
    children = Counter(trie.parents)
    depths, span_of = list[int](), list[int]()
    starts, stops, parents = list[int](), list[int](), list[int]()
    for node, above in enumerate(trie.parents):
        depths.append(0 if above < 0 else depths[above] + 1)
        if above >= 0 and children[above] == 1:
            span = span_of[above]  # depth-first order: an only child comes right after its parent
            stops[span] += 1
        else:
            span = len(starts)
            starts.append(node)
            stops.append(node + 1)
            parents.append(-1 if above < 0 else span_of[above])
        span_of.append(span)
    ends = list(stops)
    for span in range(len(parents) - 1, -1, -1):
        if parents[span] >= 0:
            ends[parents[span]] = max(ends[parents[span]], ends[span])
    return TrieLayout(
        nodes=_columns([trie.tokens, depths]),
        spans=_columns([starts, stops, ends, parents]),
        lookups=_columns(zip(*trie.lookups, strict=True) if trie.lookups else [(), ()]),
        terms=_columns([[lookup for path in trie.paths for lookup in path]]),
        labels=_columns([[len(path) for path in trie.paths]]),
    )


def _columns(columns: Iterable[Sequence[int]]) -> Ints:
    return np.array(list(columns), dtype=np.int64)
