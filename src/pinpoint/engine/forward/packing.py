"""A forest of spans laid flat in one row: no token twice, no padding.

The row is in depth-first order, label tries included, so that a span's descendants follow it in one run. With that,
every attention the forest asks for is between two runs of the row: a span and itself (causal), and a span's
descendants and the span (full). Each run of a trie is a span of its own (`trie_layout.py`), so the one rule covers the
tries too.

Spans whose keys and values are kept from an earlier pass are not laid again: they stand before the row, so to speak,
and their descendants see them there.

Axes: T tokens of the row, P kept tokens, S laid spans, R rows whose logits are wanted, L lookups, A asks, K labels of
all asks, E terms of all labels' sums.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pinpoint.engine.forward.trie_layout import Ints, Tries, runs
from pinpoint.prompting.span_tree import NO_PARENT, Forest

__all__ = ["Ints", "PackedRow", "pack"]


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
        labels: [A] how many labels each ask has, in the order of asking.
        label_terms: [K] of how many lookups each label's log-probability is the sum.
        terms: [E] these lookups, label after label.
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
    labels: Ints
    label_terms: Ints
    terms: Ints
    span_starts: dict[int, int]
    tries: list[tuple[int, int]]
    kept_tokens: int
    kept_ids: Ints
    kept_positions: Ints
    kept_crossings: list[tuple[tuple[int, int], tuple[int, int]]]

    @property
    def paths(self) -> list[list[list[int]]]:
        """For each ask, for each of its labels, its terms."""
        terms, lengths = iter(self.terms.tolist()), iter(self.label_terms.tolist())
        return [
            [list(itertools.islice(terms, next(lengths))) for _ in range(labels)] for labels in self.labels.tolist()
        ]

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
    """Lay `forest` flat. Slow twin: tests/reference/packing.py.

    Args:
        forest: what to lay.
        kept: spans whose keys and values are at hand, and where among the kept tokens each begins. With a span, all its
            ancestors are kept; a trie that hangs on a kept span has no lookup at the prompt's last token.
        only: the spans to lay, with all their ancestors; None for all.

    Raises:
        ValueError: a prompt's last token is looked at and not laid.
    """
    kept = kept or {}
    spans = _Spans(forest, kept, only)
    tries = Tries([ask.trie for ask in forest.asks])
    under = spans.places[np.array([ask.span for ask in forest.asks], dtype=np.int64)]  # what each trie hangs on
    if (under < 0).any():
        raise ValueError(f"span {forest.asks[int(under.argmin())].span} is asked below, and is not to be laid")
    # A span's own tokens, then the tries that hang on it in the order of asking, then what is below it.
    order = np.argsort(np.concatenate([np.arange(len(spans.order)), under]), kind="stable")
    starts, trie_starts, length = _one_after_the_other(spans.own, tries.nodes.counts, order)
    numbers, trie_numbers, count = _one_after_the_other(spans.is_laid, tries.spans.counts, order)
    ends = np.concatenate([starts, [length]])[spans.following]
    laid = np.flatnonzero(spans.is_laid)
    laid_spans = spans.order[laid].tolist()

    tokens, positions = np.empty((2, length), dtype=np.int64)
    at = runs(starts, spans.own)
    own_tokens = itertools.chain.from_iterable(forest.tokens[span] for span in laid_spans)
    tokens[at], positions[at] = np.fromiter(own_tokens, np.int64, len(at)), runs(spans.positions, spans.own)
    at, (ids, depths) = runs(trie_starts, tries.nodes.counts), tries.nodes.values
    tokens[at], positions[at] = ids, depths + tries.nodes.spread((spans.positions + spans.lengths)[under])

    # A kept span is nobody's parent; nor is what the roots hang on, which stands last.
    holders = np.concatenate([np.where(spans.is_laid, numbers, NO_PARENT), [NO_PARENT]])
    table = np.empty((4, count), dtype=np.int64)
    table[:, numbers[laid]] = starts[laid], (starts + spans.own)[laid], ends[laid], holders[spans.parents[laid]]
    at, above = runs(trie_numbers, tries.spans.counts), tries.spans.values[3]
    table[:3, at] = tries.spans.values[:3] + tries.spans.spread(trie_starts)
    table[3, at] = np.where(above < 0, tries.spans.spread(holders[under]), above + tries.spans.spread(trie_numbers))

    nodes, targets = tries.lookups.values
    last = np.where(spans.is_laid, starts + spans.own - 1, -1)[under]
    looked_at = np.where(nodes < 0, tries.lookups.spread(last), nodes + tries.lookups.spread(trie_starts))
    if (looked_at < 0).any():
        ask = forest.asks[int(tries.lookups.spread(np.arange(len(under)))[looked_at.argmin()])]
        raise ValueError(f"span {ask.span} is kept, so the row that precedes its labels is not laid")
    is_wanted = np.zeros(length, dtype=np.bool_)
    is_wanted[looked_at] = True
    first_lookups = np.cumsum(tries.lookups.counts) - tries.lookups.counts
    with_nodes = np.flatnonzero(tries.nodes.counts)
    with_nodes = with_nodes[np.argsort(trie_starts[with_nodes])]
    return PackedRow(
        tokens=tokens,
        positions=positions,
        parents=table[3],
        starts=table[0],
        stops=table[1],
        ends=table[2],
        rows=np.flatnonzero(is_wanted) if len(looked_at) else np.array([length - 1]),
        lookups=np.stack([(np.cumsum(is_wanted) - 1)[looked_at], targets], axis=1),
        terms=tries.terms.values[0] + tries.terms.spread(first_lookups),
        label_terms=tries.labels.values[0],
        labels=tries.labels.counts,
        span_starts=dict(zip(laid_spans, starts[laid].tolist(), strict=True)),
        tries=_bounds(trie_starts[with_nodes], tries.nodes.counts[with_nodes]),
        kept_tokens=sum(len(forest.tokens[span]) for span in kept),
        kept_ids=_kept_ids(forest, kept),
        kept_positions=_kept_positions(forest, kept),
        kept_crossings=_crossings(spans, kept, starts, ends) if kept else [],
    )


class _Spans:
    """The spans of a forest that are kept or to be laid, in depth-first order.

    Attributes:
        order: which of the forest's each is.
        places: of each of the forest's, where it stands in this order; −1 where it is left out.
        parents: where the parent of each stands, −1 where there is none.
        following: where the first one behind its last descendant stands.
        lengths: tokens of each.
        own: of these, those that are laid: all or none.
        positions: of its first token in its own prompt.
        is_laid: whether it is not kept.
    """

    def __init__(self, forest: Forest, kept: Mapping[int, int], only: Set[int] | None) -> None:
        children: list[list[int]] = [[] for _ in [*forest.tokens, NO_PARENT]]  # the last has the roots
        for span in range(len(forest.tokens) - 1, -1, -1):
            if only is None or span in only:
                children[forest.parents[span]].append(span)
        order, parents, positions = list[int](), list[int](), list[int]()
        waiting = [(span, NO_PARENT, 0) for span in children[NO_PARENT]]
        while waiting:
            span, parent, position = waiting.pop()
            here, behind = len(order), position + len(forest.tokens[span])
            order.append(span)
            parents.append(parent)
            positions.append(position)
            waiting += [(child, here, behind) for child in children[span]]
        following = list(range(1, len(order) + 1))
        for here in range(len(order) - 1, 0, -1):
            if parents[here] >= 0:
                following[parents[here]] = max(following[parents[here]], following[here])
        self.order, self.parents, self.following, self.positions = np.array(
            [order, parents, following, positions], dtype=np.int64
        )
        self.places = np.full(len(forest.tokens), -1)
        self.places[self.order] = np.arange(len(order))
        self.lengths = np.fromiter((len(forest.tokens[span]) for span in order), np.int64, len(order))
        self.is_laid = np.fromiter((span not in kept for span in order), np.int64, len(order)) > 0
        self.own = self.lengths * self.is_laid


def _one_after_the_other(spans: NDArray[Any], tries: Ints, order: Ints) -> tuple[Ints, Ints, int]:
    """Where each of some spans and then tries begins, given what each takes, and the order in which they lie; and all
    that they take.
    """
    taken: Ints = np.concatenate([spans, tries])
    starts = np.empty_like(taken)
    starts[order] = np.cumsum(taken[order]) - taken[order]
    return starts[: len(spans)], starts[len(spans) :], int(taken.sum())


def _crossings(
    spans: _Spans, kept: Mapping[int, int], starts: Ints, ends: Ints
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    seen = np.flatnonzero(~spans.is_laid & (ends > starts))
    # Of kept spans that end alike, those above come first; the others have no descendants in common.
    seen = seen[np.argsort(-ends[seen], kind="stable")]
    kept_starts = np.array([kept[span] for span in spans.order[seen].tolist()], dtype=np.int64)
    below, own = _bounds(starts[seen], (ends - starts)[seen]), _bounds(kept_starts, spans.lengths[seen])
    return list(zip(below, own, strict=True))


def _bounds(starts: Ints, counts: Ints) -> list[tuple[int, int]]:
    return list(zip(starts.tolist(), (starts + counts).tolist(), strict=True))


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
