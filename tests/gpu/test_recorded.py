"""Recorded passes and the rotary kernel on a real GPU: the same bits as without, and memory back where it was."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from transformers.models.mixtral import modeling_mixtral

from bench.gpu_speed import forest_of
from pinpoint.engine.forward import recorded, rotary
from pinpoint.engine.forward.prefix_cache import PrefixStore
from pinpoint.engine.forward.rules import Rule
from pinpoint.engine.scorer import Scorer
from pinpoint.planning.activations import RECORDED_LENGTHS
from tests.gpu.two_layers import STATES, scores, two_layers


@pytest.fixture(scope="module", params=STATES)
def scorer(request: pytest.FixtureRequest) -> Iterator[Scorer]:
    """Two full-size layers with 8-bit states."""
    yield from two_layers(request.param)


def test_recorded_passes_have_the_bits_of_others(scorer: Scorer) -> None:
    forests = [forest_of(scorer, tokens, min(600, tokens - 110)) for tokens in (200, 256, 600, 1030, 2048, 2300)]
    before = [scores(scorer, forest) for forest in forests]
    assert scorer.record() == list(RECORDED_LENGTHS)
    for _ in range(2):
        assert [scores(scorer, forest) for forest in forests] == before


def test_a_warm_store_is_seen_by_recorded_passes(scorer: Scorer) -> None:
    scorer.record()
    forest = forest_of(scorer, 900, 200)
    cold = scores(scorer, forest)
    scorer.store = PrefixStore(1_000_000_000)
    try:
        for _ in range(2):
            for warm, one in zip(scores(scorer, forest), cold, strict=True):
                assert warm == pytest.approx(one, abs=0.05)  # a prefix that is kept is another piece of attention
        assert scorer.store.hits
    finally:
        scorer.store = PrefixStore(0)


def test_what_recorded_passes_take_is_given_back(scorer: Scorer) -> None:
    scorer.record()
    forests = [forest_of(scorer, tokens, 150) for tokens in (250, 800, 2000)]
    for forest in forests:
        scores(scorer, forest)
    held = torch.cuda.memory_allocated()
    for forest in forests * 3:
        scores(scorer, forest)
    assert torch.cuda.memory_allocated() == held


def test_a_model_with_a_window_is_not_recorded(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "EVERYTHING", Rule(16))
    other = recorded.Recorder(scorer.loaded.model)
    assert other.record(8192) == []


def test_a_recording_that_fails_leaves_the_card_as_it_was(scorer: Scorer, caplog: pytest.LogCaptureFixture) -> None:
    """A layer that waits for the device, but only while it is recorded."""
    forest, waited = forest_of(scorer, 900, 200), list[float]()
    before = scores(scorer, forest)
    scorer.record()  # products keep a workspace for the stream that is recorded on
    scorer.recorder = recorded.Recorder(scorer.loaded.model)
    torch.cuda.empty_cache()
    held = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()

    def wait(_layer: torch.nn.Module, _given: object, found: object) -> None:
        if torch.cuda.is_current_stream_capturing():
            states = found[0] if isinstance(found, tuple) else found
            assert isinstance(states, Tensor)
            waited.append(float(states.sum()))

    hook = scorer.loaded.model.model.layers[1].register_forward_hook(wait)
    try:
        assert scorer.recorder.record(2048) == []
    finally:
        hook.remove()
    assert waited == []
    assert "are not recorded: called a synchronizing CUDA operation" in caplog.text
    torch.rand(1, device="cuda")  # random numbers are drawn as ever
    for _ in range(3):  # the allocator still gives and takes
        assert scores(scorer, forest) == before
        torch.empty(1 << 28, dtype=torch.uint8, device="cuda").fill_(1)
    scorer.recorder = recorded.Recorder(scorer.loaded.model)
    torch.cuda.empty_cache()
    assert torch.cuda.memory_allocated() <= held[0]
    assert torch.cuda.memory_reserved() <= held[1] + (64 << 20)
    assert scorer.record() == list(RECORDED_LENGTHS)
    assert scores(scorer, forest) == before


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize(("heads", "kv_heads", "tokens", "size"), [(32, 8, 70, 128), (4, 1, 9, 24), (3, 3, 1, 64)])
def test_rotated_heads_are_transformers_s(
    dtype: torch.dtype, heads: int, kv_heads: int, tokens: int, size: int
) -> None:
    def states(count: int) -> Tensor:
        return torch.randn(1, tokens, count, size, device="cuda").to(dtype).transpose(1, 2)

    q, k, (cos, sin) = states(heads), states(kv_heads), (torch.randn(2, 1, tokens, size, device="cuda").to(dtype))
    own = getattr(modeling_mixtral.apply_rotary_pos_emb, "own", modeling_mixtral.apply_rotary_pos_emb)
    for found, expected in zip(rotary.rotated(q, k, cos, sin), own(q, k, cos, sin), strict=True):
        assert torch.equal(found, expected)
        assert found.transpose(1, 2).is_contiguous()  # as the variable-length kernel wants it
