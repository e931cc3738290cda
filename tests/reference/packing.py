"""The packed row laid node by node, and labels summed one by one: the slow twins of `engine/forward/packing.py` and
`label_sums.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any

from pinpoint.prompting.label_trie import LabelTrie
from pinpoint.prompting.span_tree import NO_PARENT, Forest


def pack(forest: Forest, kept: Mapping[int, int] | None = None, only: Set[int] | None = None) -> dict[str, Any]:
    """The attributes of the row of `forest` by name, arrays as lists."""
    row = _Row(forest, kept or {}, only)
    for span, parent in enumerate(forest.parents):
        if parent == NO_PARENT and (only is None or span in only):
            row.lay(span, NO_PARENT, 0)
    paths: list[list[list[int]]] = []
    lookups: list[tuple[int, int]] = []
    for ask, lookup_rows in enumerate(row.lookup_rows):
        trie = forest.asks[ask].trie
        first = len(lookups)
        lookups += [(at, target) for at, (_, target) in zip(lookup_rows, trie.lookups, strict=True)]
        paths.append([[first + lookup for lookup in path] for path in trie.paths])
    rows = sorted({at for at, _ in lookups}) or [len(row.tokens) - 1]
    return {
        "tokens": row.tokens,
        "positions": row.positions,
        "parents": row.parents,
        "starts": row.starts,
        "stops": row.stops,
        "ends": row.ends,
        "rows": rows,
        "lookups": [[rows.index(at), target] for at, target in lookups],
        "paths": paths,
        "span_starts": row.span_starts,
        "tries": row.tries,
        # A span is done after those under it.
        "kept_crossings": row.kept_crossings[::-1],
    }


def label_sums(terms: Sequence[float], lengths: Sequence[int]) -> list[float]:
    """Each label's terms added one after the other, with what was lost of each sum added in the end."""
    sums, place = list[float](), 0
    for length in lengths:
        total, lost = 0.0, 0.0
        for term in terms[place : place + length]:
            new = total + term
            lost += (total - new) + term if abs(total) >= abs(term) else (term - new) + total
            total = new
        sums.append(total + lost if math.isfinite(lost) else total)
        place += length
    return sums


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
