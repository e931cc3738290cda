"""The card: who is on it, what the plan compares with, what attention on it can compute; running out of memory."""

import gc
import weakref
from typing import Any

import pytest
import torch

from pinpoint.engine import gpu
from pinpoint.errors import CapacityError, ModelError, OutOfMemory
from pinpoint.planning.cards import CARDS, GB
from pinpoint.planning.known_models import find_shape, known_shapes
from pinpoint.planning.memory_plan import CUDA_CONTEXT_BYTES, PRECISIONS, plan
from pinpoint.planning.model_shapes import shape_from_config
from pinpoint.planning.shape import ModelShape
from pinpoint.settings import Settings

MIXTRAL = find_shape("mistralai/Mixtral-8x7B-Instruct-v0.1")
IDLE_CONTEXT_BYTES = 550_000_000  # less free than total on an H100 with one context and nothing in it
BUFFER_BYTES = 3 * GB
ALL = [
    (name, precision, card)
    for name, shape in known_shapes().items()
    for precision in PRECISIONS
    for card in CARDS
    if precision in shape.precisions
]  # whatever the table says fits, and whatever it says does not


@pytest.mark.parametrize("context_bytes", [0, IDLE_CONTEXT_BYTES, CUDA_CONTEXT_BYTES])
def test_every_pair_that_the_plan_calls_fitting_fits_an_idle_card(context_bytes: int) -> None:
    shapes, fitting = known_shapes(), 0
    for name, precision, card in ALL:
        shape = shapes[name]
        planned = plan(shape, precision, card.total_bytes, BUFFER_BYTES, driver_bytes=card.driver_bytes)
        if planned.fits:
            made = gpu.plan_or_refuse(Settings(), shape, card.cuda_bytes, card.cuda_bytes - context_bytes, precision)
            assert made.token_budget == planned.token_budget, (name, precision, card.name)
            assert made.others_bytes == 0
            fitting += 1
        else:
            with pytest.raises(CapacityError) as refused:
                gpu.plan_or_refuse(Settings(), shape, card.cuda_bytes, card.cuda_bytes - context_bytes, precision)
            assert refused.value.code == "does_not_fit"
    assert fitting > 250


@pytest.mark.parametrize("others_gb", [1, 20, 40])
def test_what_others_hold_is_kept_out_of_the_plan_and_of_the_cap(
    others_gb: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, _: told.append(share))
    total = 140 * GB
    free = total - CUDA_CONTEXT_BYTES - others_gb * GB
    made = gpu.plan_or_refuse(Settings(), MIXTRAL, total, free)
    assert made.others_bytes == others_gb * GB
    gpu.enforce(made, torch.device("cuda", 0), total)
    # With all that the allocator may take, the buffer is still free.
    assert free - told[0] * total == pytest.approx(BUFFER_BYTES)


def needed_at(tokens: int, total: int, **settings: Any) -> int:
    made = gpu.plan_or_refuse(Settings(**settings), MIXTRAL, total, total)
    return made.needed_bytes(min(tokens, made.token_budget))


@pytest.mark.parametrize("budget", [512, 2048, 8192])
@pytest.mark.parametrize("buffer_gb", [0, 3, 10])
def test_a_card_in_use_is_refused_by_a_byte_at_the_budget_that_will_run(budget: int, buffer_gb: int) -> None:
    total = 140 * GB
    settings = Settings(token_budget=budget, buffer_gb=buffer_gb)
    needed = needed_at(budget, total, token_budget=budget, buffer_gb=buffer_gb)
    enough = needed - CUDA_CONTEXT_BYTES + buffer_gb * GB
    assert gpu.plan_or_refuse(settings, MIXTRAL, total, enough).bound_bytes >= needed
    with pytest.raises(CapacityError) as refused:
        gpu.plan_or_refuse(settings, MIXTRAL, total, enough - 1)
    assert refused.value.code == "card_in_use"
    assert f"passes of {budget:,} tokens" in refused.value.message


def test_another_process_does_not_lower_the_operators_own_bound() -> None:
    settings = Settings(max_memory_gb=60)
    made = gpu.plan_or_refuse(settings, MIXTRAL, 140 * GB, 100 * GB)
    assert made.bound_bytes == 60 * GB
    with pytest.raises(CapacityError, match="are free"):
        gpu.plan_or_refuse(settings, MIXTRAL, 140 * GB, 50 * GB)


@pytest.mark.parametrize("concurrency", [1, 64])
def test_jobs_in_flight_do_not_push_mixtral_off_80_gb(concurrency: int) -> None:
    card = next(card for card in CARDS if card.name == "H100 80GB SXM")
    settings = Settings(max_concurrency=concurrency)
    made = gpu.plan_or_refuse(settings, MIXTRAL, card.cuda_bytes, card.cuda_bytes - IDLE_CONTEXT_BYTES)
    assert made.store_bytes == settings.prefix_store_bytes
    small = Settings(prefix_store_bytes=1000)
    assert gpu.plan_or_refuse(small, MIXTRAL, card.cuda_bytes, card.cuda_bytes).store_bytes == 1000
    large = Settings(prefix_store_bytes=100 * GB, max_concurrency=64)
    for precision in ("int8", "auto"):
        with pytest.raises(CapacityError, match="does_not_fit"):
            gpu.plan_or_refuse(large, MIXTRAL, 60 * GB, 60 * GB, precision)


# What the kernel takes


def shape_with(head_size: int) -> ModelShape:
    config = {
        "model_type": "mistral", "hidden_size": 1024, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 4, "intermediate_size": 512, "vocab_size": 1000, "max_position_embeddings": 2048,
        "head_dim": head_size,
    }  # fmt: skip
    return shape_from_config(config, "x/y")


@pytest.mark.parametrize("head_size", [8, 64, 80, 96, 128, 256, 264, 512])
def test_heads_that_the_kernel_takes_or_blocks_do_are_let_through(head_size: int) -> None:
    gpu.check_kernel(Settings(), shape_with(head_size))
    gpu.check_kernel(Settings(compute_dtype="bfloat16"), shape_with(head_size))


@pytest.mark.parametrize("head_size", [4, 100, 257])
def test_heads_that_the_kernel_does_not_take_are_refused_before_the_load(head_size: int) -> None:
    with pytest.raises(ModelError, match=f"heads of {head_size} channels") as refused:
        gpu.check_kernel(Settings(), shape_with(head_size))
    assert refused.value.code == "unsupported_head_size"


def test_float32_on_a_gpu_is_refused_before_the_load() -> None:
    with pytest.raises(ModelError, match="computes in bfloat16") as refused:
        gpu.check_kernel(Settings(compute_dtype="float32"), shape_with(64))
    assert (refused.value.code, refused.value.field) == ("precision_unsuitable", "PINPOINT_COMPUTE_DTYPE")


# Running out


class Held:
    """Stands for a tensor: its death can be seen."""


@pytest.mark.parametrize(
    ("raised", "code"), [(torch.OutOfMemoryError, "out_of_memory"), (torch.AcceleratorError, "device_error")]
)
def test_an_error_that_is_kept_holds_nothing_of_the_pass_that_failed(raised: type[Exception], code: str) -> None:
    alive: list[weakref.ref[Held]] = []

    def layer() -> None:
        states = Held()
        alive.append(weakref.ref(states))
        raise raised("CUDA out of memory")

    def forward() -> None:
        states = Held()
        alive.append(weakref.ref(states))
        layer()

    kept: list[BaseException] = []
    original: list[BaseException] = []
    gc.disable()  # what goes must go by itself: nothing collects between a failed pass and its next try
    try:
        try:
            with gpu.device_errors():
                try:
                    forward()
                except raised as error:
                    original.append(error)  # as a future or a logger may
                    raise
        except Exception as error:
            kept.append(error)
        assert [reference() for reference in alive] == [None, None]
    finally:
        gc.enable()
    assert getattr(kept[0], "code", None) == code
    assert isinstance(kept[0], OutOfMemory) == (code == "out_of_memory")
    assert kept[0].__context__ is original[0] and original[0].__traceback__ is None


def test_other_errors_go_through_as_they_are() -> None:
    with pytest.raises(ValueError, match="ours"), gpu.device_errors():
        raise ValueError("ours")
