"""The warm-up: the widest row there is; plan and measurement side by side, as a feigned allocator tells them."""

import logging
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from pinpoint.engine import warmup
from pinpoint.engine.forward.packing import pack
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.warmup import planned_pass_bytes, small_sizes, warm_up, widest_forest
from pinpoint.engine.weights import triton_eight, triton_grouped
from pinpoint.errors import CapacityError, OutOfMemory
from pinpoint.planning.known_models import find_shape
from pinpoint.planning.memory_plan import plan
from pinpoint.planning.model_shapes import shape_from_config
from tests.numeric.conftest import Pair

BUDGET_TOKENS = 512
GB = 10**9
CARD_BYTES, FREE_BYTES, RESIDENT_BYTES = 24 * GB, 12 * GB, 2 * GB


@pytest.mark.parametrize("tokens", [256, 1000, 2048, 8192, 32_768])
@pytest.mark.parametrize("stop", [0, 1, 2, 7])
def test_the_widest_row_has_as_many_tokens_as_it_should_and_they_are_one(tokens: int, stop: int) -> None:
    forest = widest_forest(tokens, stop)
    row = pack(forest)
    assert len(row.tokens) == forest.total_tokens == tokens
    assert stop not in row.tokens
    _, counts = torch.unique(torch.from_numpy(row.tokens), return_counts=True)
    assert int(counts.max()) == tokens - len(forest.asks), "all but a label's token for each document"


def test_the_widest_row_sends_all_tokens_to_the_same_experts(small_mixtral: Pair) -> None:
    loaded, _ = small_mixtral
    scorer, chosen = Scorer(loaded, BUDGET_TOKENS), list[Tensor]()

    def note(module: object, arguments: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
        chosen.append(outputs[-1])

    hooks = [layer.mlp.gate.register_forward_hook(note) for layer in loaded.model.model.layers]
    with scorer.run(widest_forest(BUDGET_TOKENS, scorer.prompts.encoder.stop)):
        pass
    for hook in hooks:
        hook.remove()
    assert len(chosen) == loaded.model.config.num_hidden_layers
    for experts in chosen[:-1]:  # the last layer computes the rows that score a label, no more
        counts = torch.bincount(experts.flatten(), minlength=loaded.model.config.num_local_experts)
        assert int(counts.max()) >= 0.98 * BUDGET_TOKENS


@pytest.fixture
def scorer(small_mixtral: Pair) -> Scorer:
    """The small Mixtral as if it were on a card of its own."""
    loaded, _ = small_mixtral
    made = plan(shape_from_config(loaded.model.config.to_dict(), "small"), "int8", CARD_BYTES, 3 * GB)
    return Scorer(replace(loaded, plan=made), BUDGET_TOKENS)


@pytest.fixture
def allocator(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, int], None]:
    """Sets what the device will say: what the pass takes over what is planned for it, and free bytes."""

    def say(scorer: Scorer, ratio: float, free_bytes: int = FREE_BYTES) -> None:
        assert scorer.loaded.plan is not None
        peak = RESIDENT_BYTES + round(ratio * planned_pass_bytes(scorer.loaded.plan, BUDGET_TOKENS))
        cuda = SimpleNamespace(
            memory_allocated=lambda _: RESIDENT_BYTES,
            reset_peak_memory_stats=lambda _: None,
            max_memory_allocated=lambda _: peak,
            max_memory_reserved=lambda _: peak + 1,
            mem_get_info=lambda _: (free_bytes, CARD_BYTES),
        )
        monkeypatch.setattr(warmup, "torch", SimpleNamespace(cuda=cuda))

    return say  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("ratio", "free_bytes", "told"),
    [
        (1.0, FREE_BYTES, []),
        (1.04, FREE_BYTES, []),
        (0.96, FREE_BYTES, []),
        (1.06, FREE_BYTES, ["memory plan off by +6.0% of the pass"]),
        (0.94, FREE_BYTES, ["memory plan off by -6.0% of the pass"]),
        (1.0, 3 * GB - 1, ["buffer not free"]),
    ],
)
def test_plan_and_measurement_are_logged_and_their_difference_is_a_warning(
    scorer: Scorer, allocator: Callable[..., None], caplog: pytest.LogCaptureFixture, ratio: float, free_bytes: int,
    told: list[str],
) -> None:  # fmt: skip
    allocator(scorer, ratio, free_bytes)
    with caplog.at_level(logging.INFO, "pinpoint"):
        done = warm_up(scorer)
    assert done is not None
    assert (done.tokens, done.free_bytes, done.resident_bytes) == (BUDGET_TOKENS, free_bytes, RESIDENT_BYTES)
    assert done.off == pytest.approx(ratio - 1, abs=1e-6)
    messages = {
        level: [r.getMessage() for r in caplog.records if r.levelname == level] for level in ("INFO", "WARNING")
    }
    (line,) = [message for message in messages["INFO"] if message.startswith("warm-up: ")]
    assert f"tokens={BUDGET_TOKENS} planned_gb=" in line
    assert "measured_gb=" in line
    assert len(messages["WARNING"]) == len(told)
    assert all(found.startswith(wanted) for found, wanted in zip(messages["WARNING"], told, strict=True))


def test_a_warm_up_that_runs_out_of_memory_is_a_refusal(
    scorer: Scorer, allocator: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    allocator(scorer, 1.0)

    def failing(*args: object, **kwargs: object) -> None:
        raise OutOfMemory("out_of_memory", "the device ran out of memory")

    monkeypatch.setattr(scorer, "_score", failing)
    with pytest.raises(CapacityError, match=f"a pass of up to {BUDGET_TOKENS} tokens") as refused:
        warm_up(scorer)
    assert (refused.value.code, refused.value.field) == ("warm_up_out_of_memory", "PINPOINT_TOKEN_BUDGET")
    assert refused.value.__context__ is None, "nothing may hold the pass that failed"


def test_without_a_plan_nothing_is_run(small_mixtral: Pair) -> None:
    scorer = Scorer(small_mixtral[0], BUDGET_TOKENS)
    assert scorer.loaded.plan is None
    assert warm_up(scorer) is None


def test_a_pass_is_planned_with_the_activations_that_it_has() -> None:
    shape = find_shape("mistralai/Mistral-7B-Instruct-v0.3")
    wide, eight = (
        planned_pass_bytes(plan(shape, "int8", 24 * GB, 3 * GB, activations=held), 4096) for held in ("compute", "int8")
    )
    assert wide < eight  # integers stand beside the states that they are made of


def test_before_the_widest_pass_there_is_one_for_each_kind_of_tiles() -> None:
    mixtral, qwen = (
        plan(find_shape(name), "int8", 80 * GB, 3 * GB)
        for name in ("mistralai/Mixtral-8x7B-Instruct-v0.1", "Qwen/Qwen3-30B-A3B")
    )
    assert small_sizes(mixtral, 8192) == [256, 432, 1200, 3072, 6144]
    assert small_sizes(qwen, 8192) == [256, 1728, 4800]
    dense = plan(find_shape("mistralai/Mistral-7B-Instruct-v0.3"), "int8", 24 * GB, 3 * GB)
    assert small_sizes(dense, 8192) == [256, 300, 768, 1536]
    assert small_sizes(dense, 512) == [256, 300]


def test_the_passes_before_it_use_all_tiles_that_jobs_can_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_grouped, "shared_bytes", lambda device: 227_000)
    monkeypatch.setattr(triton_eight, "shared_bytes", lambda device: 227_000)
    monkeypatch.setattr(triton_eight, "_multiprocessors", lambda device: 132)
    monkeypatch.setattr(triton_eight, "_copies", lambda device: True)
    mixtral = find_shape("mistralai/Mixtral-8x7B-Instruct-v0.1")
    warmed = [*small_sizes(plan(mixtral, "int8", 80 * GB, 3 * GB), 8192), 8192]
    states, weight = torch.empty(1, dtype=torch.bfloat16), torch.empty(8, 28_672, 4096, dtype=torch.int8, device="meta")
    grouped = [tokens for tokens in range(64, 2049) if tokens * 2 <= 512 * 8]
    for sizes, tiles in (
        (grouped, lambda tokens: triton_grouped._tiles(tokens * 2 / 8, states)),
        (range(256, 8193, 32), lambda tokens: triton_eight.tiles_for(tokens * 2, weight)),
    ):
        met = {tiles(tokens) for tokens in sizes}
        assert len(met) >= 3
        assert met <= {tiles(tokens) for tokens in warmed if tokens <= max(sizes)}
