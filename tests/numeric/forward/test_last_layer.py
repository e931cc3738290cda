"""The last layer of the wanted rows alone is that of all rows, for every family."""

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinpoint.engine.forward import attention, blocks, last_layer
from pinpoint.engine.forward.packing import PackedRow, pack
from pinpoint.engine.forward.prefix_cache import PassCache
from pinpoint.engine.forward.rules import EVERYTHING
from pinpoint.engine.forward.scoring import score
from pinpoint.engine.forward.span_table import Sight
from pinpoint.engine.loading.load import LoadedModel
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import Forest
from tests.numeric.conftest import Pair
from tests.numeric.forward.test_attention import CPU, HEADS, dense, random_states, rows
from tests.numeric.tolerances import FLOAT32

STOP = 2


def documents(loaded: LoadedModel, lengths: tuple[int, ...] = (40, 7, 90)) -> Forest:
    """A question, and documents of these lengths below it, each with the same labels."""
    generator = torch.Generator().manual_seed(5)

    def tokens(length: int) -> list[int]:
        return torch.randint(3, loaded.model.config.vocab_size, (length,), generator=generator).tolist()

    forest = Forest()
    root = forest.add(tokens(20), shared=True)
    for length in lengths:
        forest.ask(forest.add(tokens(length), root), build_trie([(5,), (5, 6), (7, 8, 9)], STOP))
    return forest


def of_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the last layer computed for all rows, as long as the patch lasts."""
    monkeypatch.setattr(last_layer, "MOST_WANTED", -1.0)


@pytest.mark.parametrize("implementation", [attention.SPANS, attention.DENSE])
def test_scores_are_those_of_a_last_layer_of_all_rows(
    pair: Pair, implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, _ = pair
    loaded.model.set_attn_implementation(implementation)
    row = pack(documents(loaded))
    assert last_layer.worthwhile(loaded.model, row)
    try:
        narrow = score(loaded.model, row)
        of_all_rows(monkeypatch)
        whole = score(loaded.model, row)
    finally:
        loaded.model.set_attn_implementation(attention.SPANS)
    for one, other in zip(narrow, whole, strict=True):
        assert one == pytest.approx(other, abs=FLOAT32)


def test_keys_and_values_of_every_row_are_the_same_to_the_bit(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, _ = pair
    row = pack(documents(loaded))

    def kept() -> list[tuple[torch.Tensor, torch.Tensor]]:
        cache = PassCache([], {0: (0, len(row.tokens))})
        score(loaded.model, row, cache)
        return cache.taken[0]

    narrow = kept()
    of_all_rows(monkeypatch)
    for one, other in zip(narrow, kept(), strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


@pytest.mark.parametrize("fails", [False, True])
def test_the_feed_forward_part_sees_the_wanted_rows_within_the_block_and_all_rows_after_it(
    small_mixtral: Pair, fails: bool
) -> None:
    model = small_mixtral[0].model
    seen: list[list[int]] = []

    def note(layer: int, module: Any, args: tuple[Any, ...], kwargs: Any) -> None:
        seen[-1].append(args[0].reshape(-1, args[0].shape[-1]).shape[0])

    layers = model.base_model.layers
    handles = [
        layer.mlp.experts.register_forward_pre_hook(
            lambda module, args, kwargs, n=n: note(n, module, args, kwargs), with_kwargs=True
        )
        for n, layer in enumerate(layers)
    ]
    ids = torch.arange(3, 23)[None]
    try:
        with torch.inference_mode():
            seen.append([])
            try:
                with last_layer.only_rows(model, torch.tensor([4, 19])):
                    model.base_model(input_ids=ids, use_cache=False)
                    if fails:
                        raise KeyError("a failed pass")
            except KeyError:
                pass
            seen.append([])
            model.base_model(input_ids=ids, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    others = [20] * (len(layers) - 1)
    assert seen == [[*others, 2], [*others, 20]]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(row=rows(), seed=st.integers(0, 2**32), query_rows=st.sampled_from([3, 1024]))
def test_attention_of_some_rows_is_that_of_all_rows_to_the_bit(row: PackedRow, seed: int, query_rows: int) -> None:
    states = random_states(row, *HEADS["grouped"])
    rng = np.random.default_rng(seed)
    wanted = np.flatnonzero(rng.random(len(row.tokens)) < rng.random())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "QUERY_ROWS", query_rows)
        out, whole = (blocks.attend(*states, 0.3, Sight(row, CPU, EVERYTHING), rows) for rows in (wanted, None))
    torch.testing.assert_close(whole, dense(*states, 0.3, row), rtol=1e-5, atol=1e-5)
    assert torch.equal(out[wanted], whole[wanted])
    far = [at for at in range(len(row.tokens)) if not any(abs(at - other) < query_rows for other in wanted)]
    assert not bool(out[far].any()), "what nobody wants was computed"


def test_with_most_rows_wanted_all_are_computed(small_mixtral: Pair) -> None:
    forest = Forest()
    forest.ask(forest.add((3, 4, 5)), build_trie([(6, 7), (8, 9), (10,)], STOP))
    assert not last_layer.worthwhile(small_mixtral[0].model, pack(forest))


def test_where_nothing_is_asked_one_row_is_computed_and_where_layers_lie_elsewhere_all(small_mixtral: Pair) -> None:
    model = small_mixtral[0].model
    unasked = Forest()
    unasked.add(range(3, 40))
    row = pack(unasked)
    assert row.rows.tolist() == [36] and last_layer.worthwhile(model, row)  # a chunk that is only read
    assert score(model, row) == []
    elsewhere: Any = SimpleNamespace(get_decoder=lambda: SimpleNamespace(h=model.base_model.layers))
    assert not last_layer.worthwhile(elsewhere, pack(documents(small_mixtral[0])))


def test_a_module_that_answers_with_more_than_its_states_keeps_the_rest() -> None:
    class Mixture(torch.nn.Module):
        def forward(self, states: torch.Tensor) -> tuple[torch.Tensor, str]:
            return states + 1, "the router's choices"

    module = Mixture()
    states = torch.arange(12.0).view(1, 4, 3)
    with last_layer._narrowed(module, torch.tensor([1, 3])):
        out, rest = module(states)
        by_name, _ = module(states=states)
    assert rest == "the router's choices"
    torch.testing.assert_close(out, (states + 1) * torch.tensor([0.0, 1.0, 0.0, 1.0]).view(1, 4, 1))
    torch.testing.assert_close(by_name, states + 1)


def test_nothing_of_a_pass_waits_for_pythons_collector(small_mixtral: Pair) -> None:
    """A cycle would hold the rows' indices on the device until then: memory above its baseline."""
    model = small_mixtral[0].model
    wanted = torch.tensor([4, 19])
    dead = weakref.ref(wanted)
    gc.collect()
    gc.disable()
    try:
        with torch.inference_mode(), last_layer.only_rows(model, wanted):
            model.base_model(input_ids=torch.arange(3, 23)[None], use_cache=False)
        del wanted
        assert dead() is None
    finally:
        gc.enable()
