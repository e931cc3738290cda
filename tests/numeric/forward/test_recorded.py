"""Passes cut where their layers attend, as they are recorded on CUDA: the pieces and attention between them make the
pass. What CUDA does with the pieces is tested in tests/gpu/test_recorded.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from pinpoint.engine.forward import attention, recorded
from pinpoint.engine.forward.head import decoder
from pinpoint.engine.forward.packing import PackedRow, pack
from pinpoint.engine.forward.prefix_cache import PassCache
from pinpoint.engine.forward.rules import EVERYTHING, Mask, Rule
from pinpoint.engine.forward.scoring import score
from pinpoint.engine.forward.span_table import SpanTable
from pinpoint.errors import ModelError
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import Forest

SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128,
}  # fmt: skip
PADDED = 40


def made(kind: str, **more: Any) -> PreTrainedModel:
    from transformers import AutoConfig

    attention.register()
    torch.manual_seed(3)
    config = AutoConfig.for_model(kind, **SIZES, **more)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, attn_implementation=attention.SPANS)
    return model.eval().requires_grad_(False)


def forest() -> Forest:
    """Two documents under a question, each with labels of which one begins another."""
    made = Forest()
    root = made.add([5, 6, 7], shared=True)
    for document in ([8, 9, 10, 11, 12], [13, 14]):
        made.ask(made.add(document, root), build_trie([(20,), (20, 21), (22,)], 1))
    return made


class ByPieces:
    """A recorder whose pieces are run as they come."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.rows: list[int] = []

    def takes(self, row: PackedRow) -> bool:
        return True

    def run(self, row: PackedRow, table: SpanTable, cache: PassCache) -> Tensor:
        tokens = len(row.tokens)
        self.rows.append(tokens)
        ids = torch.zeros(2, 1, PADDED, dtype=torch.int64)
        ids[:, 0, :tokens] = torch.stack([torch.from_numpy(row.tokens), torch.from_numpy(row.positions)])

        def cut(layer: int, scale: float, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys, values = cache.update(key[None, :, :tokens], value[None, :, :tokens], layer)
            # What padding gets of attention is nothing that the row could depend on.
            out = torch.full((PADDED, len(query), value.shape[-1]), 7.0)
            out[:tokens] = attention.over_forest(table, query[None, :, :tokens], keys, values, scale)[0]
            return out

        with attention.cutting(cut):
            mask = Mask.of(EVERYTHING, PADDED, PADDED)
            found = decoder(self.model)(
                input_ids=ids[0], position_ids=ids[1], attention_mask=mask, past_key_values=PassCache([], {}),
                use_cache=False,
            )  # fmt: skip
        states: Tensor = found.last_hidden_state[0, :tokens]
        return states


@pytest.mark.parametrize("kind", ["llama", "qwen3", "mixtral"])
def test_pieces_and_attention_between_them_are_the_pass(kind: str) -> None:
    more = {"sliding_window": None, "num_local_experts": 4} if kind == "mixtral" else {}
    model, row = made(kind, **more), pack(forest(), {})
    by_pieces: Any = ByPieces(model)
    expected = score(model, row)
    for found, one in zip(score(model, row, recorder=by_pieces), expected, strict=True):
        assert found == pytest.approx(one, abs=1e-5)
    assert by_pieces.rows == [len(row.tokens)]


def test_a_kept_prefix_is_seen_between_the_pieces() -> None:
    model, whole = made("llama"), forest()
    first = PassCache([], {0: (0, 3)})
    expected = score(model, pack(whole, {}), first)
    by_pieces: Any = ByPieces(model)
    found = score(model, pack(whole, {0: 0}), PassCache([first.taken[0]], {}), recorder=by_pieces)
    assert by_pieces.rows == [len(pack(whole, {}).tokens) - 3]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_where_bits_count_nothing_is_recorded() -> None:
    model, row = made("llama"), pack(forest(), {})
    by_pieces: Any = ByPieces(model)
    assert score(model, row, recorder=by_pieces, same_bits=True) == score(model, row, same_bits=True)
    assert by_pieces.rows == []


@pytest.mark.parametrize("asked", [{"s_aux": torch.zeros(4)}, {"softcap": 30.0}, {"rule": Rule(4)}])
def test_a_layer_that_asks_for_more_is_not_cut(asked: dict[str, Any]) -> None:
    layer = made("llama").get_decoder().layers[0].self_attn
    rule = asked.pop("rule", EVERYTHING)
    states = torch.zeros(1, 4, 6, 8)
    with attention.cutting(lambda layer, scale, query, key, value: query), pytest.raises(ModelError) as raised:
        attention.span_attention(layer, states, states, states, Mask.of(rule, 6, 6), **asked)
    assert raised.value.code == "unsupported_attention"


def test_on_a_cpu_nothing_is_recorded() -> None:
    recorder = recorded.Recorder(made("llama"))
    assert recorder.record(8192) == []
    assert not recorder.takes(pack(forest(), {}))
