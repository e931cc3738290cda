"""Passes cut where their layers attend, as they are recorded on CUDA: the pieces and attention between them make the
pass. What CUDA does with the pieces is tested in tests/gpu/test_recorded.py.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from pinpoint.engine import forest_scorer
from pinpoint.engine.forward import attention, recorded
from pinpoint.engine.forward.packing import PackedRow, pack
from pinpoint.engine.forward.prefix_cache import PassCache
from pinpoint.engine.forward.rules import EVERYTHING, Mask, Rule
from pinpoint.engine.forward.scoring import score
from pinpoint.engine.scorer import Scorer
from pinpoint.errors import ModelError
from pinpoint.planning.activations import RECORDED_LENGTHS
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import Forest
from tests.numeric.conftest import Pair

SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip


def made(kind: str, **more: Any) -> PreTrainedModel:
    from transformers import AutoConfig

    attention.register()
    torch.manual_seed(3)
    config = AutoConfig.for_model(kind, **SIZES, **more)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, attn_implementation=attention.SPANS)
    return model.eval().requires_grad_(False)


def forest(document: Sequence[int] = (8, 9, 10, 11, 12)) -> Forest:
    """Two documents under a question, each with labels of which one begins another."""
    made = Forest()
    root = made.add([5, 6, 7], shared=True)
    for one in (document, [13, 14]):
        made.ask(made.add(list(one), root), build_trie([(20,), (20, 21), (22,)], 1))
    return made


class Turns:
    """What a device does with the pieces of a pass: each runs the model up to where the next layer attends.

    The model runs in a thread of its own, which waits at each cut for the next piece.
    """

    def __init__(self, recorder: recorded.Recorder, length: int) -> None:
        self.recorder, self.length = recorder, length
        self.there, self.on = threading.Semaphore(0), threading.Semaphore(0)

    def replay(self, first: bool) -> None:
        if first:
            threading.Thread(target=self._run).start()
        else:
            self.on.release()
        assert self.there.acquire(timeout=30)

    def _run(self) -> None:
        def cut(layer: int, scale: float, *states: Tensor) -> Tensor:
            out = self.recorder._keep(*states)
            self.there.release()
            assert self.on.acquire(timeout=30)
            return out

        with torch.inference_mode():
            self.recorder._forward(self.length, cut)
        self.there.release()


def recorder_of(model: PreTrainedModel, length: int = RECORDED_LENGTHS[0]) -> recorded.Recorder:
    """A recorder that has one length, without a device that records it."""
    recorder = recorded.Recorder(model)
    recorder._ids = torch.zeros(2, 1, RECORDED_LENGTHS[-1], dtype=torch.int64)
    made = recorded._Recording()

    def cut(layer: int, scale: float, *states: Tensor) -> Tensor:
        made.layers.append((layer, scale))
        return recorder._keep(*states)

    with torch.inference_mode():
        recorder._forward(length, cut)
    turns = Turns(recorder, length)
    made.pieces = [SimpleNamespace(replay=partial(turns.replay, number == 0)) for number in range(len(made.layers) + 1)]
    recorder._recorded[length] = made
    return recorder


@pytest.mark.parametrize("kind", ["llama", "qwen3", "mixtral"])
def test_pieces_and_attention_between_them_are_the_pass(kind: str) -> None:
    more = {"sliding_window": None, "num_local_experts": 4} if kind == "mixtral" else {}
    model = made(kind, **more)
    recorder = recorder_of(model)
    rows = [pack(forest(), {}), pack(forest(document=range(8, 50)), {}), pack(forest(), {})]
    for row in rows:  # over the same buffers, whatever the row before left there
        assert recorder.takes(row)
        for found, one in zip(score(model, row, recorder=recorder), score(model, row), strict=True):
            assert found == pytest.approx(one, abs=1e-5)


def test_a_longer_row_than_is_recorded_is_computed_as_ever() -> None:
    model, row = made("llama"), pack(forest(document=[*range(8, 60)] * 5), {})
    recorder = recorder_of(model)
    assert len(row.tokens) > RECORDED_LENGTHS[0] and not recorder.takes(row)
    assert score(model, row, recorder=recorder) == score(model, row)


def test_kept_prefixes_are_seen_and_taken_between_the_pieces() -> None:
    model, whole = made("llama"), forest()
    recorder = recorder_of(model)
    first, again = PassCache([], {0: (0, 3)}), PassCache([], {0: (0, 3)})
    expected = score(model, pack(whole, {}), first)
    score(model, pack(whole, {}), again, recorder=recorder)
    for pair, other in zip(first.taken[0], again.taken[0], strict=True):
        torch.testing.assert_close(other, pair)  # copies: the next layer writes over the buffers
    found = score(model, pack(whole, {0: 0}), PassCache([again.taken[0]], {}), recorder=recorder)
    for one, two in zip(found, expected, strict=True):
        assert one == pytest.approx(two, abs=1e-5)


def test_where_bits_count_nothing_is_recorded() -> None:
    model, row = made("llama"), pack(forest(), {})
    recorder = recorder_of(model)
    recorder._recorded[RECORDED_LENGTHS[0]].pieces.clear()  # would fail
    assert score(model, row, recorder=recorder, same_bits=True) == score(model, row, same_bits=True)


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


def test_a_row_as_long_as_what_is_recorded_is_run_by_it_and_a_longer_one_is_not() -> None:
    recorder = recorded.Recorder(made("llama"))
    recorder._recorded = {length: recorded._Recording() for length in RECORDED_LENGTHS[:2]}
    row = Forest()
    row.ask(row.add(range(RECORDED_LENGTHS[1])), build_trie([(20,)], 1))
    longer = len(pack(row).tokens) - RECORDED_LENGTHS[1]
    fitting = Forest()
    fitting.ask(fitting.add(range(RECORDED_LENGTHS[1] - longer)), build_trie([(20,)], 1))
    assert recorder.takes(pack(fitting)) and not recorder.takes(pack(row))


def on_a_device(monkeypatch: pytest.MonkeyPatch, *failing: int) -> tuple[recorded.Recorder, list[int]]:
    """A recorder of a model that can be recorded, but for some lengths; and the lengths that it tries."""
    recorder, tried = recorded.Recorder(made("llama")), list[int]()

    def record(length: int, pool: object) -> recorded._Recording:
        tried.append(length)
        recorder._buffer("hidden", torch.zeros(length, 1))
        if length in failing:
            raise RuntimeError("no room")
        return recorded._Recording()

    monkeypatch.setattr(recorder, "_record", record)
    monkeypatch.setattr(recorded, "recordable", lambda model: True)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    return recorder, tried


def test_what_is_recorded_again_takes_the_place_of_what_was(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, tried = on_a_device(monkeypatch)
    short, long = RECORDED_LENGTHS[:2]
    for most, lengths in ((long, [short, long]), (long - 1, [short]), (short - 1, [])):
        assert recorder.record(most) == lengths
        assert recorder.takes(pack(forest())) == bool(lengths)
        assert recorder.takes(pack(forest(range(8, short + 8)))) == (long in lengths)
        assert bool(recorder._buffers) == bool(lengths), "what nobody runs holds no memory"
    assert tried == [long, short, short], "the longest first"


def test_a_row_is_padded_to_the_shortest_length_that_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, _ = on_a_device(monkeypatch)
    recorder.record(RECORDED_LENGTHS[-1])
    assert recorder._length_of(pack(forest())) == RECORDED_LENGTHS[0]


def test_behind_a_length_that_cannot_be_recorded_none_is_tried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, middle, long = RECORDED_LENGTHS[:3]
    for failing, lengths in ((middle, [long]), (long, [])):
        recorder, _ = on_a_device(monkeypatch, failing)
        caplog.clear()
        assert recorder.record(long) == lengths
        assert len(caplog.records) == 1 and f"{failing} tokens" in caplog.text
        assert bool(recorder._buffers) == bool(lengths)


def test_a_pass_that_somebody_looks_at_runs_nothing_recorded(
    small_mixtral: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, seen = Scorer(small_mixtral[0], 1000), list[recorded.Recorder | None]()

    def noted(_: object, row: PackedRow, *__: Any, recorder: recorded.Recorder | None, **___: Any) -> list[list[float]]:
        seen.append(recorder)
        return [[0.0] * int(labels) for labels in row.labels]

    monkeypatch.setattr(forest_scorer, "score", noted)
    watch: Any = object()
    with attention.watched(watch), scorer.run(forest()):
        pass
    with scorer.run(forest()):
        pass
    assert seen == [None, scorer.recorder]
