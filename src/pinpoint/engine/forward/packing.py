"""A forest of spans laid flat in one row: no token twice, no padding.

The row is in depth-first order, label tries included, so that a span's descendants follow it in one run. With that,
every attention the forest asks for is between two runs of the row: a span and itself (causal), and a span's
descendants and the span (full). A trie node joins the run of its parent when it is the parent's only child; where a
trie branches, each branch is a span of its own, so the one rule covers the tries too.

Spans whose keys and values are kept from an earlier pass are not laid again: they stand before the row, so to speak,
and their descendants see them there.

Axes: T tokens of the row, P kept tokens, S laid spans, R rows whose logits are wanted, L lookups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pinpoint.prompting.label_trie import LabelTrie
from pinpoint.prompting.span_tree import NO_PARENT, Forest

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PackedRow:
    """One forest, flat.

    Attributes:
        tokens: [T] token ids.
        positions: [T] position of each token in its own prompt.
        parents: [S] parent among the laid spans, −1 where there is none; parents precede children.
        starts: [S] where each span begins in the row.
        stops: [S] where each span's own tokens end.
        ends: [S] where its last descendant ends.
        rows: [R] ascending indices of the tokens whose logits are wanted; the last one where nothing is asked.
        lookups: [L, 2] (index into `rows`, target token id).
        paths: for each ask, in the order of asking, for each label, the lookups whose sum is its log-probability.
        span_starts: where in the row each span of the forest that was laid begins.
        tries: where each ask's labels begin and end in the row.
        kept_tokens: P.
        kept_ids: [P] their token ids.
        kept_positions: [P] position of each kept token in its own prompt.
        kept_crossings: (start and stop of descendants in the row, start and stop among the kept tokens that they see),
            those of a kept span before those of the spans under it.
    """

    tokens: Ints
    positions: Ints
    parents: Ints
    starts: Ints
    stops: Ints
    ends: Ints
    rows: Ints
    lookups: Ints
    paths: list[tuple[tuple[int, ...], ...]]
    span_starts: dict[int, int]
    tries: list[tuple[int, int]]
    kept_tokens: int
    kept_ids: Ints
    kept_positions: Ints
    kept_crossings: list[tuple[tuple[int, int], tuple[int, int]]]

    def visible(self) -> NDArray[np.bool_]:
        """[T, P + T] whether token i sees token j: the forest's rule as a dense mask, the kept tokens first."""
        seen = np.zeros((len(self.tokens), self.kept_tokens + len(self.tokens)), dtype=np.bool_)
        for (first, last), (start, stop) in self.kept_crossings:
            seen[first:last, start:stop] = True
        seen[:, self.kept_tokens :] = self.visible_within(0, len(self.tokens))
        return seen

    def visible_within(self, first: int, last: int) -> NDArray[np.bool_]:
        """[last − first] square: who sees whom among the row's tokens from `first` to `last`, a run of whole spans."""
        seen = np.zeros((last - first, last - first), dtype=np.bool_)
        spans = slice(*np.searchsorted(self.starts, (first, last)))
        for start, stop, end in zip(self.starts[spans], self.stops[spans], self.ends[spans], strict=True):
            start, stop, end = start - first, stop - first, end - first
            seen[start:stop, start:stop] = np.tri(stop - start, dtype=np.bool_)
            seen[stop:end, start:stop] = True
        return seen


def pack(forest: Forest, kept: Mapping[int, int] | None = None, only: Set[int] | None = None) -> PackedRow:
    """Lay `forest` flat.

    Args:
        forest: what to lay.
        kept: spans whose keys and values are at hand, and where among the kept tokens each begins. With a span, all its
            ancestors are kept; a trie that hangs on a kept span has no lookup at the prompt's last token.
        only: the spans to lay, with all their ancestors; None for all.
    """
    row = _Row(forest, kept or {}, only)
    for span, parent in enumerate(forest.parents):
        if parent == NO_PARENT and (only is None or span in only):
            row.lay(span, NO_PARENT, 0)
    paths: list[tuple[tuple[int, ...], ...]] = []
    lookups: list[tuple[int, int]] = []
    for ask, lookup_rows in enumerate(row.lookup_rows):
        trie = forest.asks[ask].trie
        first = len(lookups)
        lookups += [(at, target) for at, (_, target) in zip(lookup_rows, trie.lookups, strict=True)]
        paths.append(tuple(tuple(first + lookup for lookup in path) for path in trie.paths))
    flat = _ints(lookups).reshape(-1, 2)
    rows, index = np.unique(flat[:, 0], return_inverse=True)
    if not len(rows):
        rows = _ints([len(row.tokens) - 1])
    return PackedRow(
        tokens=_ints(row.tokens),
        positions=_ints(row.positions),
        parents=_ints(row.parents),
        starts=_ints(row.starts),
        stops=_ints(row.stops),
        ends=_ints(row.ends),
        rows=rows,
        lookups=np.stack([index.reshape(-1), flat[:, 1]], axis=1),
        paths=paths,
        span_starts=row.span_starts,
        tries=row.tries,
        kept_tokens=sum(len(forest.tokens[span]) for span in row.kept),
        kept_ids=_kept_ids(forest, row.kept),
        kept_positions=_kept_positions(forest, row.kept),
        # A span is done after those under it.
        kept_crossings=row.kept_crossings[::-1],
    )


class _Row:
    """The row while it is being laid."""

    def __init__(self, forest: Forest, kept: Mapping[int, int], only: Set[int] | None) -> None:
        self.forest, self.kept = forest, kept
        self.span_starts: dict[int, int] = {}
        self.kept_crossings: list[tuple[tuple[int, int], tuple[int, int]]] = []
        self.tries: list[tuple[int, int]] = []
        self.tokens: list[int] = []
        self.positions: list[int] = []
        self.parents: list[int] = []
        self.starts: list[int] = []
        self.stops: list[int] = []
        self.ends: list[int] = []
        self.lookup_rows: list[list[int]] = [[] for _ in forest.asks]
        self._children: list[list[int]] = [[] for _ in forest.tokens]
        self._asks: list[list[int]] = [[] for _ in forest.tokens]
        for span, parent in enumerate(forest.parents):
            if parent != NO_PARENT and (only is None or span in only):
                self._children[parent].append(span)
        for index, ask in enumerate(forest.asks):
            self._asks[ask.span].append(index)

    def lay(self, span: int, parent: int, position: int) -> None:
        """Lay a span of the forest and all below it. Prompts are at most a handful of spans deep."""
        tokens = self.forest.tokens[span]
        if span in self.kept:
            first = len(self.tokens)
            for ask in self._asks[span]:
                trie = self.forest.asks[ask].trie
                if any(node < 0 for node, _ in trie.lookups):
                    raise ValueError(f"span {span} is kept, so the row that precedes its labels is not laid")
                at = self._trie(trie, NO_PARENT, position + len(tokens))
                self.lookup_rows[ask] = [at[node] for node, _ in trie.lookups]
            for child in self._children[span]:
                self.lay(child, NO_PARENT, position + len(tokens))
            here = self.kept[span]
            if first < len(self.tokens):
                self.kept_crossings.append(((first, len(self.tokens)), (here, here + len(tokens))))
            return
        self.span_starts[span] = len(self.tokens)
        laid = self._open(tokens, parent, position)
        position += len(tokens)
        last = len(self.tokens) - 1
        for ask in self._asks[span]:
            trie = self.forest.asks[ask].trie
            at = self._trie(trie, laid, position)
            self.lookup_rows[ask] = [at[node] if node >= 0 else last for node, _ in trie.lookups]
        for child in self._children[span]:
            self.lay(child, laid, position)
        self.ends[laid] = len(self.tokens)

    def _trie(self, trie: LabelTrie, parent: int, position: int) -> list[int]:
        """Lay a trie below the laid span `parent`; returns where in the row each node lies."""
        children = Counter(trie.parents)
        span_of: list[int] = []
        at: list[int] = []
        open_spans: list[int] = []
        for token, above in zip(trie.tokens, trie.parents, strict=True):
            here = position if above < 0 else self.positions[at[above]] + 1
            if above >= 0 and children[above] == 1:
                span = span_of[above]  # depth-first order: an only child comes right after its parent
                self.tokens.append(token)
                self.positions.append(here)
                self.stops[span] += 1
            else:
                holder = parent if above < 0 else span_of[above]
                while open_spans and open_spans[-1] != holder:
                    self.ends[open_spans.pop()] = len(self.tokens)
                span = self._open((token,), holder, here)
                open_spans.append(span)
            span_of.append(span)
            at.append(len(self.tokens) - 1)
        for span in open_spans:
            self.ends[span] = len(self.tokens)
        if at:
            self.tries.append((at[0], len(self.tokens)))
        return at

    def _open(self, tokens: tuple[int, ...], parent: int, position: int) -> int:
        self.parents.append(parent)
        self.starts.append(len(self.tokens))
        self.tokens += tokens
        self.positions += range(position, position + len(tokens))
        self.stops.append(len(self.tokens))
        self.ends.append(len(self.tokens))
        return len(self.starts) - 1


def _kept_positions(forest: Forest, kept: Mapping[int, int]) -> Ints:
    """[P] positions of kept tokens, each span's from where its ancestors' end."""
    positions = np.zeros(sum(len(forest.tokens[span]) for span in kept), dtype=np.int64)
    for span, at in kept.items():
        length = len(forest.tokens[span])
        positions[at : at + length] = np.arange(length) + forest.prompt_tokens(span) - length
    return positions


def _kept_ids(forest: Forest, kept: Mapping[int, int]) -> Ints:
    """[P] token ids, as they stand among the kept tokens."""
    ids = np.zeros(sum(len(forest.tokens[span]) for span in kept), dtype=np.int64)
    for span, at in kept.items():
        ids[at : at + len(forest.tokens[span])] = forest.tokens[span]
    return ids


def _ints(values: list[int] | list[tuple[int, int]]) -> Ints:
    return np.asarray(values, dtype=np.int64)
