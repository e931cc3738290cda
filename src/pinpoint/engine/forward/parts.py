"""What a pass takes of a forest: which asks, which of their labels at first, and by what a span is known afterwards."""

from __future__ import annotations

from collections.abc import Sequence, Set

from pinpoint.engine.forward.prefix_cache import HeldPrefix, Key, Layers
from pinpoint.prompting.span_tree import Ask, Forest

# A trie is first bounded by its first tokens where it has more nodes than this, and more than this share of the tokens
# that its prompt has to itself. Below, a second pass costs more than the nodes: on an H100 and Mixtral 8x7B, four
# documents of 1,000 tokens took 0.25 s, and a second pass of 220 nodes each, all of which counted, 0.17 s more.
TRIE_TOKENS_AT_ONCE, TRIE_SHARE_AT_ONCE = 64, 0.25
# Of the token budget, what a pass takes that goes on where the one before it read a document: that document's keys and
# values are there beside it, and most of what a token takes are not these.
GOING_ON_SHARE = 4


def store_key(forest: Forest, span: int, long: bool) -> Key:
    """What a span is kept by: its path, and before it, with marks that no token is, whether it is of long prompts,
    whether it was computed for the same bits, and whose it is.
    """
    path, owner = forest.path(span), forest.owners[span]
    if owner:
        path = ((-2, *owner.encode("utf-8")), *path)
    if forest.same_bits:
        path = ((-3,), *path)
    return ((-1,), *path) if long else path


def spans_of(forest: Forest, asks: Sequence[int]) -> set[int]:
    """The spans of the prompts of some asks."""
    return {span for ask in asks for span in forest.ancestry(forest.asks[ask].span)}


def parts_of(
    forest: Forest, asks: Sequence[int], budget_tokens: int, held: Set[int] = frozenset(), read_tokens: int = 0
) -> list[list[int]]:
    """Some asks in parts, each for one pass: the first takes the budget at most, with the `read_tokens` of chunks that
    go with it, and those that go on with what it read a share of that, unless they are a single ask. With `held` spans,
    all of them go on. The last span of a prompt is new in each part, since the labels of an ask begin in its last row.
    """
    if forest.laid_tokens <= budget_tokens:
        return [list(asks)]
    parts, laid, taken = [list[int]()], set(held), 0
    most = min(budget_tokens // GOING_ON_SHARE if held else budget_tokens, budget_tokens - read_tokens)
    for ask in asks:
        new = (set(forest.ancestry(forest.asks[ask].span)) - laid) | {forest.asks[ask].span}
        tokens = sum(len(forest.tokens[span]) for span in new) + len(forest.asks[ask].trie.tokens)
        if parts[-1] and taken + tokens > most:
            parts.append([])
            taken, most = 0, budget_tokens // GOING_ON_SHARE
        parts[-1].append(ask)
        taken, laid = taken + tokens, laid | new
    return parts


def given_spans(forest: Forest, long: bool) -> dict[int, Layers]:
    """The spans of a forest that were read before by prompts of one kind, and their keys and values."""
    given = dict[int, Layers]()
    for last, prefill in forest.given:
        if prefill.long != long:
            continue
        held, start = prefill.kept, 0
        assert isinstance(held, HeldPrefix), "nothing was read"
        for span in forest.ancestry(last):
            stop = start + len(forest.tokens[span])
            assert stop <= prefill.done, "not read as far as that"
            given.setdefault(span, held.span(start, stop))
            start = stop
    return given


def is_bounded(forest: Forest, ask: Ask) -> bool:
    """Whether the labels of an ask are bounded first. A matter of its prompt alone, whatever else is in the forest."""
    if ask.exact_best is None or len(ask.trie.tokens) <= TRIE_TOKENS_AT_ONCE:
        return False
    own = sum(len(forest.tokens[span]) for span in forest.ancestry(ask.span) if not forest.shared[span])
    return len(ask.trie.tokens) > max(TRIE_TOKENS_AT_ONCE, TRIE_SHARE_AT_ONCE * own)
