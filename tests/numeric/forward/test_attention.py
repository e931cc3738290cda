"""Span-wise attention, both ways of it, against one dense mask; and that it holds no square of the row."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers.masking_utils import (
    bidirectional_mask_function,
    causal_mask_function,
    chunked_causal_mask_function,
    padding_mask_function,
    sliding_window_causal_mask_function,
)

from pinpoint.engine.forward import attention, blocks, span_table, tiles, varlen
from pinpoint.engine.forward.packing import PackedRow, pack
from pinpoint.engine.forward.rules import EVERYTHING, Mask, Rule, find_rule
from pinpoint.engine.forward.runs import NEVER, Group, Run, split
from pinpoint.engine.forward.span_table import Sight, SpanTable
from pinpoint.engine.forward.varlen import make_calls
from pinpoint.errors import ModelError
from pinpoint.planning.activations import GATHERED
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import NO_PARENT, Forest
from tests.reference.tiles import slow_attend
from tests.reference.varlen import slow_kernel

STOP = 0
SIZE = 8  # of a head
HEADS = {"every head its own": (3, 3), "grouped": (4, 2), "one for all": (4, 1)}
BLOCK_LIMITS = (0, 8, 512)
CPU = torch.device("cpu")
SLOW = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])

labels_lists = st.lists(
    st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple), min_size=1, max_size=6, unique=True
)


@st.composite
def rows(draw: st.DrawFn) -> PackedRow:
    """A packed forest, often with some of its spans kept from an earlier pass."""
    forest = Forest()
    for fresh in range(draw(st.integers(1, 8))):
        length = draw(st.integers(1, 12))
        forest.add([100 * fresh + step for step in range(length)], draw(st.integers(NO_PARENT, fresh - 1)))
    chosen: set[int] = set()
    for span in draw(st.sets(st.integers(0, len(forest.tokens) - 1), max_size=3)):
        chosen |= set(forest.ancestry(span))
    kept, offset = {}, 0
    for span in draw(st.permutations(sorted(chosen))):
        kept[span] = offset
        offset += len(forest.tokens[span])
    for _ in range(draw(st.integers(1, 4))):
        span = draw(st.integers(0, len(forest.tokens) - 1))
        trie = build_trie(draw(labels_lists), STOP)
        forest.ask(span, trie.after_first() if span in kept else trie)
    return pack(forest, kept)


def random_states(row: PackedRow, heads: int, groups: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Query [H, T, D], key and value [G, P + T, D]; peaked, so that who is seen matters."""
    generator = torch.Generator().manual_seed(seed)
    tokens = len(row.tokens)
    query = torch.randn(heads, tokens, SIZE, generator=generator) * 2
    key, value = (torch.randn(groups, row.kept_tokens + tokens, SIZE, generator=generator) for _ in "kv")
    return query, key, value


def by_the_book(
    query: Tensor, key: Tensor, value: Tensor, scale: float, seen: Tensor, sinks: Tensor | None = None,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Attention in float64, a head at a time: out [H, T, E] and log-sum-exp [H, T]."""
    repeats = len(query) // len(key)
    outs, sums = [], []
    for head, one in enumerate(query.double()):
        scores = one @ key[head // repeats].double().T * scale
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        scores = scores.masked_fill(~seen, -torch.inf)
        sink = scores.new_full((len(scores), 1), -torch.inf if sinks is None else float(sinks[head]))
        weights = torch.softmax(torch.cat([scores, sink], dim=1), dim=1)[:, :-1]
        outs.append(weights @ value[head // repeats].double())
        sums.append(torch.logsumexp(scores, dim=-1))
    return torch.stack(outs), torch.stack(sums)


def path_of(row: PackedRow, token: int) -> list[tuple[int, int]]:
    """(position, key) of all that a token of the row sees by the forest alone."""
    seen = np.flatnonzero(row.visible()[token])
    positions = np.concatenate([row.kept_positions, row.positions])[seen]
    return sorted(zip(positions.tolist(), seen.tolist(), strict=True))


def dense(
    query: Tensor, key: Tensor, value: Tensor, scale: float, row: PackedRow, window: int | None = None, **extras: Any
) -> Tensor:
    """[T, H, E] of the whole row, by its dense mask; with a window, the last so many tokens of each path."""
    seen = torch.from_numpy(row.visible())
    if window is not None:
        for token in range(len(seen)):
            path = path_of(row, token)
            assert [position for position, _ in path] == list(range(len(path))), "a path has all positions, once"
            for _, hidden in path[:-window]:
                seen[token, hidden] = False
    return by_the_book(query, key, value, scale, seen, **extras)[0].transpose(0, 1).float()


@pytest.fixture
def kernel_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch's variable-length kernel and that of tiles, computed by their slow twins."""
    from torch.nn.attention import varlen as torch_varlen

    monkeypatch.setattr(torch_varlen, "varlen_attn", slow_kernel)
    monkeypatch.setattr(tiles, "attend", slow_attend)
    varlen._varlen_options.cache_clear()
    yield
    varlen._varlen_options.cache_clear()


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("gather", [0, 1, 4, 1000])
@pytest.mark.parametrize("same_bits", [False, True])
@pytest.mark.parametrize("tile_tokens", [1, 3, 64])
@settings(SLOW, max_examples=6)
@given(row=rows())
def test_what_the_kernels_are_given_makes_the_dense_attention(
    kernel_on_a_cpu: None, monkeypatch: pytest.MonkeyPatch, heads: str, gather: int, same_bits: bool, tile_tokens: int,
    row: PackedRow,
) -> None:  # fmt: skip
    monkeypatch.setattr(varlen, "GATHER", gather)
    monkeypatch.setattr(varlen, "tile_tokens", lambda *_: tile_tokens)
    states = random_states(row, *HEADS[heads])
    out = varlen.attend(*states, 0.3, make_calls(row, CPU, same_bits=same_bits))
    torch.testing.assert_close(out, dense(*states, 0.3, row), rtol=1e-5, atol=1e-5)


def left_out_in_turn(passages: int = 20, length: int = 7) -> PackedRow:
    """A document in a chain of as many spans as evidence ever cuts it into, and what is read without each passage."""
    forest = Forest()
    trie, span, rest = build_trie([(1,), (2, 3)], STOP), NO_PARENT, list(range(passages * length))
    for passage in range(passages):
        behind = rest[(passage + 1) * length :]
        if span != NO_PARENT and behind:
            forest.ask(forest.add(behind, span), trie)
        span = forest.add(rest[passage * length : (passage + 1) * length], span)
    forest.ask(span, trie)
    return pack(forest)


@pytest.mark.parametrize("gather", [0, 1, 4, 1000])
def test_a_chain_of_passages_attends_as_a_whole(
    kernel_on_a_cpu: None, monkeypatch: pytest.MonkeyPatch, gather: int
) -> None:
    monkeypatch.setattr(varlen, "GATHER", gather)
    row = left_out_in_turn()
    states = random_states(row, *HEADS["grouped"])
    out = varlen.attend(*states, 0.3, make_calls(row, CPU))
    torch.testing.assert_close(out, dense(*states, 0.3, row), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("limit", BLOCK_LIMITS)
@pytest.mark.parametrize("query_rows", [5, 1024])
@SLOW
@given(row=rows())
def test_blocks_of_any_size_merge_to_the_dense_one(
    monkeypatch: pytest.MonkeyPatch, limit: int, query_rows: int, row: PackedRow
) -> None:
    monkeypatch.setattr(span_table, "CPU_BLOCK_TOKENS", limit)
    monkeypatch.setattr(blocks, "QUERY_ROWS", query_rows)
    states = random_states(row, *HEADS["grouped"])
    out = blocks.attend(*states, 0.3, Sight(row, CPU, EVERYTHING))
    torch.testing.assert_close(out, dense(*states, 0.3, row), rtol=1e-5, atol=1e-5)


@SLOW
@given(row=rows())
def test_what_a_block_shares_with_the_one_behind_it_changes_no_bit(
    monkeypatch: pytest.MonkeyPatch, row: PackedRow
) -> None:
    states, sight = random_states(row, *HEADS["grouped"]), Sight(row, CPU, EVERYTHING)
    shared = blocks.attend(*states, 0.3, sight)
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "_begins", lambda runs, others: False)
        assert torch.equal(blocks.attend(*states, 0.3, sight), shared)


def test_the_keys_of_a_document_and_of_the_labels_behind_it_are_gathered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    forest, gathered = Forest(), list[int]()
    root = forest.add([1] * 5, shared=True)
    for length in (20, 30):
        forest.ask(forest.add([2] * length, root), build_trie([(1, 2), (1, 3)], STOP))
    row = pack(forest)
    own = blocks._gather

    def counted(states: Tensor, runs: list[Run]) -> Tensor:
        gathered.append(sum(run.tokens for run in runs))
        return own(states, runs)

    monkeypatch.setattr(blocks, "_gather", counted)
    blocks.attend(*random_states(row, *HEADS["grouped"]), 0.3, Sight(row, CPU, EVERYTHING))
    labels = (len(row.tokens) - 55) // 2
    assert labels > 0
    assert gathered == [35 + labels, 35 + labels, 25 + labels, 25 + labels]  # the first's begin with the root's own


@pytest.mark.parametrize("gather", [NEVER, 0, 4])
@pytest.mark.parametrize("same_bits", [False, True])
@settings(deadline=None, max_examples=50)
@given(row=rows())
def test_every_row_is_wide_or_narrow_and_nowhere_twice(gather: int, same_bits: bool, row: PackedRow) -> None:
    wide, groups = split(row, None, same_bits, gather)
    narrow = [token for group in groups for token in range(group.start, group.stop)]
    assert narrow == sorted(set(narrow)) and (gather != NEVER or not wide)
    if wide:
        assert [token for run, _ in wide for token in range(run.start, run.stop)] == list(range(len(row.tokens)))
        assert [token for run, seen in wide if not seen for token in range(run.start, run.stop)] == narrow
    else:
        assert narrow == list(range(len(row.tokens)))


@pytest.mark.parametrize("window", [None, 4])
@settings(deadline=None, max_examples=50)
@given(row=rows())
def test_the_keys_gathered_for_a_row_are_bounded_by_its_length(window: int | None, row: PackedRow) -> None:
    calls = make_calls(row, CPU, window)
    if calls.wide is not None:
        assert int(calls.wide.key_offsets[-1]) <= GATHERED * len(row.tokens)


@settings(deadline=None, max_examples=20)
@given(row=rows())
def test_tables_lie_as_the_kernel_was_compiled_for(row: PackedRow) -> None:
    made = tiles.make_tiles(row, split(row, gather=NEVER)[1], 3, CPU)
    assert all(table.data_ptr() % 16 == made.tiles.data_ptr() % 16 for table in (made.runs, made.ends, made.positions))
    assert all(table.dtype == torch.int32 for table in (made.tiles, made.runs, made.ends, made.positions))


def test_neighbours_that_see_the_same_share_tiles_unless_the_same_bits_are_asked_for() -> None:
    forest = Forest()
    document = forest.add(range(100))
    for question in range(4):
        forest.ask(forest.add([200 + question, 7], document), build_trie([(1,), (2, 3)], STOP))
    row = pack(forest)

    def narrow(same_bits: bool, rule: Rule = EVERYTHING) -> list[Group]:
        made = Sight(row, CPU, rule, same_bits).calls()
        assert made is not None
        return made.narrow

    (group,) = narrow(False)
    assert (group.start, group.stop, [run.tokens for run in group.path]) == (100, len(row.tokens), [100])
    alone = narrow(True)
    assert narrow(True, Rule(90)) == alone and narrow(False, Rule(90)) == [group]
    assert [group.stop - group.start for group in alone] == [2, 3] * 4
    assert [[run.tokens for run in group.path] for group in alone] == [[100], [100, 2]] * 4


@pytest.mark.parametrize("scaling", [None, 1.0, 0.05])
@pytest.mark.parametrize("implementation", [attention.span_attention, attention.dense_attention])
def test_both_implementations_are_what_transformers_expects(implementation: Any, scaling: float | None) -> None:
    forest = Forest()
    forest.ask(forest.add((1, 2, 3)), build_trie([(1, 2), (1, 3)], STOP))
    row = pack(forest)
    query, key, value = (x[None] for x in random_states(row, 4, 2))
    table = SpanTable(row, CPU)
    with attention.over(table):
        out, weights = implementation(nn.Module(), query, key, value, everything(row), scaling=scaling)
    assert table.calls == 1
    assert (out.shape, weights) == ((1, len(row.tokens), 4, SIZE), None)
    expected = dense(query[0], key[0], value[0], scaling or SIZE**-0.5, row)
    torch.testing.assert_close(out[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("extras", [{}, {"sinks": torch.tensor([1.5, -0.5, 0.25, 3.0])}, {"softcap": 2.0}])
@pytest.mark.parametrize("scaling", [None, 0.9])
@pytest.mark.parametrize("implementation", [attention.span_attention, attention.dense_attention])
def test_without_a_forest_it_is_the_usual_causal_attention(
    implementation: Any, scaling: float | None, extras: dict[str, Any]
) -> None:
    """All tokens at once, and the last of them behind keys that a cache holds, with the mask that generation makes."""
    forest = Forest()
    forest.ask(forest.add(range(9)), build_trie([(1,)], STOP))
    query, key, value = (x[None] for x in random_states(pack(forest), 4, 2))
    module = nn.Module()
    module.num_key_value_groups, module.is_causal = 2, True  # type: ignore[assignment]
    asked = {"scaling": scaling, "s_aux": extras.get("sinks"), "softcap": extras.get("softcap")}
    causal = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool).tril()
    usual = SIZE**-0.5 if scaling is None else scaling
    plain = by_the_book(query[0], key[0], value[0], usual, causal, **extras)[0].float()
    out, _ = implementation(module, query, key, value, None, **asked)
    torch.testing.assert_close(out[0].transpose(0, 1), plain, rtol=1e-5, atol=1e-5)
    last, _ = implementation(module, query[:, :, -2:], key, value, causal[None, None, -2:], **asked)
    torch.testing.assert_close(last[0].transpose(0, 1), plain[:, -2:], rtol=1e-5, atol=1e-5)


def everything(row: PackedRow) -> Mask:
    """The mask that layers without a window are given."""
    return Mask.of(EVERYTHING, len(row.tokens), row.kept_tokens + len(row.tokens))


# What layers ask of attention beyond the usual; the sinks and the cap are of the size of the scores.
ASKED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a window": {"window": 5},
    "itself alone": {"window": 1},
    "sinks": {"sinks": True},
    "sinks and a window": {"sinks": True, "window": 3},
    "a cap": {"softcap": 2.0},
    "all of it": {"sinks": True, "softcap": 1.5, "window": 7},
}


@pytest.mark.parametrize("width", [SIZE, SIZE // 2], ids=["", "narrow values"])
@pytest.mark.parametrize("way", ["dense", "blocks", "small blocks", "kernel", "kernel, gathering little"])
@pytest.mark.parametrize("asked", ASKED)
@settings(SLOW, max_examples=8)
@given(row=rows())
def test_what_layers_ask_of_attention_is_computed_in_every_way(
    kernel_on_a_cpu: None, monkeypatch: pytest.MonkeyPatch, way: str, asked: str, width: int, row: PackedRow
) -> None:
    options = dict(ASKED[asked])
    query, key, value = random_states(row, *HEADS["grouped"])
    value = value[..., :width]
    if "sinks" in options:
        options["sinks"] = torch.tensor([1.5, -0.5, 0.25, 3.0])
    expected = dense(query, key, value, 0.3, row, **options)
    rule, extras = Rule(options.pop("window", None)), {"s_aux": options.get("sinks"), "softcap": options.get("softcap")}
    if way.startswith("kernel"):
        monkeypatch.setattr(varlen, "GATHER", 0 if "little" in way else 1000)
        calls = Sight(row, CPU, rule).calls(extras["softcap"] is not None)
        assert calls is not None
        out = varlen.attend(query, key, value, 0.3, calls, extras["s_aux"], extras["softcap"])
    else:
        monkeypatch.setattr(span_table, "CPU_BLOCK_TOKENS", 4 if "small" in way else 1024)
        monkeypatch.setattr(blocks, "QUERY_ROWS", 3 if "small" in way else 1024)
        monkeypatch.setattr(blocks, "SCORES", 50)
        mask = Mask.of(rule, len(row.tokens), key.shape[1])
        way_of = attention.dense_attention if way == "dense" else attention.span_attention
        with attention.over(SpanTable(row, CPU)):
            out = way_of(nn.Module(), query[None], key[None], value[None], mask, scaling=0.3, **extras)[0][0]
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"position_bias": torch.zeros(1)}, "the argument position_bias"),
        ({"attention_mask": None}, "a mask of the model's own"),
        ({"attention_mask": torch.zeros(1, 1, 4, 4)}, "a mask of the model's own"),
        ({"is_causal": False}, "what comes later"),
    ],
)
@pytest.mark.parametrize("implementation", [attention.span_attention, attention.dense_attention])
def test_what_is_not_known_is_refused_by_its_name(implementation: Any, given: dict[str, Any], said: str) -> None:
    forest = Forest()
    forest.ask(forest.add((1, 2, 3)), build_trie([(1,)], STOP))
    row = pack(forest)
    states = (x[None] for x in random_states(row, 4, 2))
    with attention.over(SpanTable(row, CPU)), pytest.raises(ModelError, match=said) as caught:
        implementation(nn.Module(), *states, **{"attention_mask": everything(row), **given})
    assert caught.value.code == "unsupported_attention"


def test_what_is_made_of_a_mask_has_no_rule() -> None:
    mask = Mask.of(Rule(3), 4, 6)
    assert mask.shape == (1, 1, 4, 6)
    for made in (mask[:, :, :, :5], mask[:, :, 1:], mask | mask, mask.float(), torch.where(mask, 1.0, 0.0)):
        assert not isinstance(made, Mask)


@pytest.mark.parametrize("positions", [1, 2, 7, 8, 9, 40])
def test_a_mask_function_is_told_by_what_it_shows(positions: int) -> None:
    def made(function: Any) -> Rule | None:
        return find_rule(function, positions, CPU)

    assert made(causal_mask_function) == EVERYTHING
    assert made(sliding_window_causal_mask_function(8)) == (Rule(8) if positions > 8 else EVERYTHING)
    chunked = made(chunked_causal_mask_function(8, torch.zeros(1, dtype=torch.int64)))
    assert chunked is not None
    assert (chunked == EVERYTHING) == (positions <= 8)
    at = np.arange(positions)
    assert (chunked.seen(at, at)[at[:, None] >= at] == (at[:, None] // 8 == at // 8)[at[:, None] >= at]).all()
    assert made(bidirectional_mask_function) == (None if positions > 1 else EVERYTHING)
    assert made(lambda _batch, _head, query, key: key < query) is None  # a token that does not see itself
    assert made(padding_mask_function(torch.ones(1, positions - 1, dtype=torch.bool))) is None


@pytest.mark.parametrize("function", [sliding_window_causal_mask_function(8), causal_mask_function])
def test_where_bits_matter_a_layer_has_one_rule_however_long_the_row_is(function: Any) -> None:
    def rules(same_bits: bool) -> set[Rule]:
        found = set[Rule]()
        for tokens in (5, 40):
            forest = Forest()
            forest.ask(forest.add(range(tokens)), build_trie([(1,)], STOP))
            table = SpanTable(pack(forest), CPU, same_bits=same_bits)
            rule = find_rule(function, table.asked_positions, CPU)
            assert rule is not None
            found.add(table.sight(rule).rule)
        return found

    assert len(rules(True)) == 1
    assert EVERYTHING in rules(False)  # a window that hides nothing of a short row is none


class LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The number of elements of the largest tensor that is made inside."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        # An expanded view has many elements and holds few: what counts is the storage.
        made = [x for x in tree_leaves(result) if isinstance(x, Tensor)]
        held = [x.untyped_storage().nbytes() // x.element_size() for x in made]
        self.elements = max([self.elements, *held])
        return result


def wide_row(kept: bool) -> PackedRow:
    """4,096 tokens: a question and many documents with their labels, one of them as long as all others."""
    forest = Forest()
    root = forest.add(range(500))
    for document, length in enumerate((*[190] * 9, 1846)):
        span = forest.add([document, *range(1, length)], root)
        forest.ask(span, build_trie([(1, 2), (1, 3), (4,)], STOP))
    return pack(forest, {root: 0} if kept else None)


@pytest.mark.parametrize("window", [None, 300])
@pytest.mark.parametrize("kept", [False, True])
def test_a_long_row_takes_no_square_of_its_length(
    monkeypatch: pytest.MonkeyPatch, kept: bool, window: int | None
) -> None:
    row = wide_row(kept)
    tokens = len(row.tokens)
    assert tokens + row.kept_tokens == 4096
    query, key, value = random_states(row, 1, 1)
    mask = Mask.of(Rule(window), tokens, 4096) if window else everything(row)

    def measured(implementation: Any) -> tuple[int, Tensor]:
        with LargestTensor() as mode, attention.over(SpanTable(row, CPU)):
            out, _ = implementation(nn.Module(), query[None], key[None], value[None], mask)
        return int(mode.elements), out[0]

    square = tokens * tokens
    largest, reference = measured(attention.dense_attention)
    assert largest >= square, "else nothing is measured"
    monkeypatch.setattr(PackedRow, "visible", None)  # the square in numpy, too
    largest, out = measured(attention.span_attention)
    assert largest < square / 4
    torch.testing.assert_close(out, reference, rtol=1e-4, atol=1e-4)
