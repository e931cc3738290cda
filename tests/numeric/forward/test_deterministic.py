"""The same bits whatever stands beside a document: on a CPU always, in float32."""

import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.activations import ACT2CLS, ACT2FN

from bench import bits
from pinpoint.engine.forward import attention
from pinpoint.engine.forward.packing import PackedRow, pack
from pinpoint.engine.forward.runs import split
from pinpoint.engine.forward.tiles import make_tiles
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.weights import fixed_rows
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import Forest
from tests.models import embedded
from tests.numeric.conftest import Pair as Models
from tests.numeric.forward import families
from tests.numeric.forward.families import configuration
from tests.numeric.forward.test_families import EXACT, LABELS, STOP, scorer_of, tokens, with_our_attention

STORE_BYTES = 10_000_000
MATRIX = (96, 64)


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    yield Scorer(embedded(), 100_000, STORE_BYTES)


@pytest.mark.parametrize(("tokens", "neighbours"), [(40, 200), (300, 4)])
def test_a_document_has_the_same_bits_alone_and_in_any_company(scorer: Scorer, tokens: int, neighbours: int) -> None:
    found = bits.compare(
        scorer, bits.words(tokens), bits.documents(neighbours, 1, 4 if neighbours > 50 else 90), modules=neighbours < 50
    )
    assert [one for one in found if not one.same or one.module] == []


def test_the_probe_says_where_bits_differ(scorer: Scorer) -> None:
    forest = bits.a_forest(scorer, [(bits.ASKED, bits.words(20))])
    alone = bits.traced(scorer, forest, 0)
    scorer.store.clear()
    norm = scorer.loaded.model.model.layers[3].post_attention_layernorm
    handle = norm.register_forward_hook(lambda _, args, out: out * (1 + 2**-20))
    try:
        other = bits.traced(scorer, forest, 0)
    finally:
        handle.remove()
        scorer.store.clear()
    assert bits.first_difference(alone, other).startswith("layer 3 ")
    assert alone.log_probs != other.log_probs


def company(mine: list[int], others: list[list[int]]) -> tuple[Forest, int]:
    """Documents below a beginning that is kept, `mine` in the middle, each asked for the same labels."""
    forest = Forest()
    root = forest.add(tokens(6, 1), shared=True)
    middle = len(others) // 2
    for document in (*others[:middle], mine, *others[middle:]):
        forest.ask(forest.add(document, root), build_trie(LABELS, STOP))
    return forest, middle


@pytest.mark.parametrize("family", EXACT)
def test_every_family_has_the_same_bits_in_company(family: str) -> None:
    attention.register()
    model = with_our_attention(families.random_model(configuration(family)))
    scorer = scorer_of(model, STORE_BYTES)
    mine, others = tokens(17, 7), [tokens(length, length) for length in (1, 40, 5, 2, 23, 9, 12)]
    found = list[list[float]]()
    for beside in ([], others, others[:1], others[:4]):  # the second pass finds the beginning kept
        forest, at = company(mine, beside)
        with scorer.run(forest) as done:
            found.append(list(done.scores[at].log_probs))
    assert found == found[:1] * 4


@pytest.mark.parametrize("count", [1, 2, 3, 5, 11, 16, 17, 40])
def test_a_row_of_a_product_has_the_same_bits_with_any_number_of_rows(count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    x, bias = torch.randn(64, MATRIX[1], generator=generator), torch.randn(MATRIX[0], generator=generator)
    weight = torch.randn(*MATRIX, generator=generator)
    out = torch.empty(count, MATRIX[0])
    start = count % 7
    rows = x[start : start + count]
    with fixed_rows.holding():
        whole, biased = F.linear(x, weight), F.linear(x, weight, bias)
        assert torch.equal(F.linear(rows[None, :, None], weight)[0, :, 0], whole[start : start + count])
        assert torch.equal(F.linear(rows, weight, bias=bias), biased[start : start + count])
        for product in (torch.mm(rows, weight.t()), rows @ weight.t(), torch.mm(rows, weight.t(), out=out), out):
            assert torch.equal(product, whole[start : start + count])
        ends = torch.tensor([0, count // 2, count], dtype=torch.int32)
        grouped = torch._grouped_mm(rows, torch.stack([weight.t()] * 3), offs=ends)
        assert torch.equal(grouped, whole[start : start + count])
        products = torch.randn(2, 3, 4, generator=generator), torch.randn(2, 4, 5, generator=generator)
        torch.testing.assert_close(products[0] @ products[1], torch.bmm(*products))
    torch.testing.assert_close(whole, F.linear(x, weight))


def test_code_that_needs_none_of_it_is_free_of_the_mode_and_its_caller_is_not() -> None:
    x, weight = torch.ones(3, 4), torch.ones(2, 4)
    called = list[int]()

    def padded(*_: Any) -> Tensor:
        called.append(1)
        return x

    @fixed_rows.free
    def product() -> Tensor:
        return F.linear(x, weight)

    with fixed_rows.holding(), pytest.MonkeyPatch.context() as patch:
        patch.setitem(fixed_rows._BY_ROWS, F.linear, padded)
        assert torch.equal(product(), torch.full((3, 2), 4.0)) and not called
        F.linear(x, weight)
    assert called == [1]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("rows", "width"), [(5, 1), (7, 4), (3, 48), (701, 48), (333, 129)])
def test_a_number_has_the_same_bits_with_any_number_of_numbers(rows: int, width: int, threads: int) -> None:
    x = torch.randn(1001, width, generator=torch.Generator().manual_seed(rows))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with fixed_rows.holding():
            for function in (F.silu, torch.sigmoid, F.gelu, torch.cos, F.softplus, F.mish):
                assert torch.equal(function(x[11 : 11 + rows]), function(x)[11 : 11 + rows])
                assert torch.equal(function(x[:rows, : width // 2]), function(x)[:rows, : width // 2])
    finally:
        torch.set_num_threads(before)


def steps(row: PackedRow, window: int | None) -> dict[int, list[tuple[int, ...]]]:
    """By token of the row, which are all different, the keys of each stretch that it is computed over, in order.

    Of a narrow token, those that it does not see are left out: they add zeros.
    """
    ids = np.concatenate([row.kept_ids, row.tokens]).tolist()
    wide, groups = split(row, window, same_bits=True)
    found: dict[int, list[tuple[int, ...]]] = {}
    for run, seen in wide:
        keys = tuple(ids[at] for part in seen for at in range(part.start, part.stop))
        for at in range(run.start, run.stop) if keys else ():
            found[int(row.tokens[at])] = [keys]
    tiles = make_tiles(row, groups, 2, torch.device("cpu"), window)
    for first, last, path, path_end, own in tiles.tiles.tolist():
        for at in range(first, last):
            first_own = own - row.kept_tokens
            among = [int(row.tokens[key]) for key in range(first_own, at + 1) if at < int(tiles.ends[key])]
            stretches = [tuple(ids[begin:end]) for begin, end, _ in tiles.runs[path:path_end].tolist()]
            # Where a tile's own keys begin decides with which others a key is added up.
            found[int(row.tokens[at])] = [*stretches, (first_own - first, *among)]
    return found


@pytest.mark.parametrize("window", [None, 9])
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_on_a_card_a_token_takes_the_same_steps_whether_its_beginning_is_kept(window: int | None, seed: int) -> None:
    rng = random.Random(seed)
    forest, lengths = Forest(), [rng.choice((1, 2, 7, 40)) for _ in range(9)]
    for span, length in enumerate(lengths):
        forest.add([1000 * (span + 1) + step for step in range(length)], rng.randint(-1, span - 1) if span else -1)
    for span in range(len(lengths)):
        trie = build_trie([(100_000 + 10 * span,), (100_001 + 10 * span, 100_002 + 10 * span)], STOP)
        if span not in forest.parents:
            forest.ask(span, trie)
    inner = {span for ask in forest.asks for span in forest.ancestry(ask.span)[:-1]}
    kept, offset = {}, 0
    chosen = {one for span in inner if rng.random() < 0.5 for one in forest.ancestry(span)}
    for one in sorted(chosen):
        kept[one] = offset
        offset += len(forest.tokens[one])
    cold, warm = pack(forest), pack(forest, kept)
    whole = steps(cold, window)
    for token, parts in steps(warm, window).items():
        assert parts == whole[token]
    assert len(whole) == len(cold.tokens)


@pytest.mark.parametrize("name", sorted(ACT2CLS))
def test_every_activation_that_a_configuration_can_name_has_the_same_bits(name: str) -> None:
    x = torch.randn(333, 52, generator=torch.Generator().manual_seed(len(name)))
    activation = ACT2FN[name]
    with fixed_rows.holding(), torch.inference_mode():
        whole = activation(x)
        for start, count in ((11, 5), (7, 3), (2, 301)):
            assert torch.equal(activation(x[start : start + count]), whole[start : start + count])


def test_what_is_kept_for_the_same_bits_serves_no_other_pass(small_mixtral: Models) -> None:
    scorer = Scorer(small_mixtral[0], 1000, STORE_BYTES)

    def stored(same_bits: bool) -> int:
        forest: Any = Forest(same_bits=same_bits)
        forest.ask(forest.add((5, 6), forest.add((3, 4), shared=True)), build_trie([(7,), (8,)], STOP))
        with scorer.run(forest) as done:
            return done.stored_tokens

    assert [stored(False), stored(True), stored(True), stored(False)] == [0, 0, 2, 2]


def test_a_block_within_another_and_one_that_fails_end_nothing_but_themselves() -> None:
    with fixed_rows.holding():
        with suppress(KeyError), fixed_rows.holding():
            raise KeyError
        assert fixed_rows.held()
    assert not fixed_rows.held()
