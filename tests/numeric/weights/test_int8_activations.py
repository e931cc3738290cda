"""8-bit activations: the bits of the slow twin, whatever the sizes and the neighbours, and nothing hidden."""

import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pinpoint.engine.weights import experts, int8_activations
from pinpoint.engine.weights.experts import int8_experts
from pinpoint.engine.weights.int8 import Int8Linear, is_int8_experts
from pinpoint.engine.weights.int8_activations import EXACT_IN_FLOAT, integer_product, linear
from tests.models import load_cpu
from tests.numeric.conftest import Pair
from tests.numeric.weights.test_experts import layer, routing, tanh_gate
from tests.reference import int8 as reference

DTYPES = (torch.float32, torch.bfloat16)


def matrix(seed: int, outputs: int, inputs: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    integers = torch.randint(-127, 128, (outputs, inputs), generator=generator).to(torch.int8)
    return integers, torch.rand(outputs, generator=generator)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32), st.integers(1, 19), st.integers(1, 70), st.integers(1, 37), st.sampled_from(DTYPES),
    st.integers(-37, 37),
)  # fmt: skip
@example(0, 3, 8, 5, torch.float32, -37)  # rows that no step is large enough for
def test_a_product_has_the_bits_of_the_slow_one(
    seed: int, rows: int, inputs: int, outputs: int, dtype: torch.dtype, exponent: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = (torch.randn(rows, inputs, generator=generator) * 10.0**exponent).to(dtype)
    x[rows // 2] = 0
    weight, scale = matrix(seed, outputs, inputs)
    out = linear(x, weight, scale)
    assert out.dtype == dtype
    assert (out[rows // 2] == 0).all()
    assert torch.equal(out, reference.product(x, weight, scale))


@pytest.mark.parametrize("int_mm", [True, False])
@pytest.mark.parametrize("inputs", [1, 16, 33, EXACT_IN_FLOAT, EXACT_IN_FLOAT + 1, 5000])
def test_sums_are_exact_where_every_product_is_as_large_as_can_be(
    inputs: int, int_mm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums in 16 bits saturate here, and float32 rounds long ones."""
    monkeypatch.setattr(int8_activations, "_int_mm_is_exact", lambda: int_mm)
    ends = torch.full((3, inputs), 127, dtype=torch.int8)
    ends[1], ends[2, ::2] = -127, -127
    ends[2, 0] = 126
    expected = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in ends.tolist()] for x in ends.tolist()]
    assert integer_product(ends, ends).tolist() == expected


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_that_is_not_finite_has_no_finite_output(bad: float, dtype: torch.dtype) -> None:
    x = torch.ones(3, 8, dtype=dtype)
    x[1, 5] = bad
    weight, scale = matrix(0, 6, 8)
    weight[2] = 0  # a product with zeros is no number either
    finite = linear(x, weight, scale).isfinite()
    assert finite.tolist() == [[True] * 6, [False] * 6, [True] * 6]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "choices"), [(23, 2), (1, 2), (23, 1), (23, 4)])
@torch.inference_mode()
def test_experts_are_the_slow_ones(small_mixtral: Pair, rows: int, choices: int, dtype: torch.dtype) -> None:
    module = int8_layer(small_mixtral)
    states, chosen, weights = routing(module, rows + choices, rows, choices)
    states = states.to(dtype)
    ours = in_8_bits(module, states, chosen, weights)
    up = module.gate_up_proj, module.gate_up_proj_scale
    slow = reference.mixed(states, chosen, weights, up, (module.down_proj, module.down_proj_scale))
    # The exponential of the gate may be another's, which moves one integer of a row by one.
    torch.testing.assert_close(ours.float(), slow, rtol=0, atol=0.01 * float(slow.abs().max()))
    same = (ours.float() - slow).abs() <= torch.finfo(dtype).eps * 4 * float(slow.abs().max())
    assert same.float().mean() > 0.95


@torch.inference_mode()
def test_experts_that_nobody_chose_and_rows_of_zeros_change_nothing(small_mixtral: Pair) -> None:
    module = int8_layer(small_mixtral)
    states, chosen, weights = routing(module, 3)
    chosen = torch.tensor([[2, 0]]).expand_as(chosen)
    states[4] = 0
    states[9, 5], states[11, 0] = float("nan"), float("inf")
    ours = in_8_bits(module, states, chosen, weights)
    assert (ours[4] == 0).all()
    assert not ours[[9, 11]].isfinite().any()
    others = [row for row in range(len(states)) if row not in (9, 11)]
    alone = in_8_bits(module, states[others], chosen[others], weights[others])
    assert alone.isfinite().all() and torch.equal(ours[others], alone)


@pytest.mark.parametrize("gate", ["gelu", "of its own"])
@torch.inference_mode()
def test_experts_gate_as_their_module_does(small_mixtral: Pair, gate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = int8_layer(small_mixtral)
    if gate == "gelu":
        monkeypatch.setitem(module._modules, "act_fn", nn.GELU())
    else:
        monkeypatch.setattr(type(module), "_apply_gate", tanh_gate)
    states, chosen, weights = routing(module, 8)
    ours = in_8_bits(module, states, chosen, weights)
    up = module.gate_up_proj, module.gate_up_proj_scale
    down = module.down_proj, module.down_proj_scale
    slow = reference.mixed(states, chosen, weights, up, down, module._apply_gate)
    torch.testing.assert_close(ours, slow, rtol=0, atol=0.01 * float(slow.abs().max()))


@pytest.mark.parametrize("rows", [1, 3])
@torch.inference_mode()
def test_parts_leave_no_trace(small_mixtral: Pair, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = int8_layer(small_mixtral)
    states, chosen, weights = routing(module, 7)
    weight, scale = matrix(7, 9, states.shape[1])
    at_once = in_8_bits(module, states, chosen, weights), linear(states, weight, scale)
    monkeypatch.setattr(int8_activations, "ROWS", rows)
    monkeypatch.setattr(experts, "CPU_ROWS", rows)
    in_parts = in_8_bits(module, states, chosen, weights), linear(states, weight, scale)
    assert all(torch.equal(*pair) for pair in zip(at_once, in_parts, strict=True))


def test_sums_are_exact_on_a_processor_without_vnni() -> None:
    """torch's own product of integers is wrong there; oneDNN takes the instructions of older processors where told."""
    asked = (
        "import torch; from pinpoint.engine.weights.int8_activations import integer_product; "
        "q = torch.full((40, 300), 127, dtype=torch.int8); assert (integer_product(q, q) == 127 * 127 * 300).all()"
    )
    subprocess.run([sys.executable, "-c", asked], env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}, check=True)


def test_a_bias_is_added_after_the_scales() -> None:
    weight, scale = matrix(1, 5, 12)
    bias = torch.arange(5.0)
    layer = Int8Linear(12, 5, bias)
    layer.weight, layer.scale = (nn.Parameter(part, requires_grad=False) for part in (weight, scale))
    layer.activations = "int8"
    x = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(layer(x), reference.product(x.view(6, 12), weight, scale).view(2, 3, 5) + bias)


@torch.inference_mode()
def test_a_row_has_the_same_bits_alone(small_mixtral: Pair) -> None:
    module = int8_layer(small_mixtral)
    states, chosen, weights = routing(module, 5)
    together = in_8_bits(module, states, chosen, weights)
    for row in range(len(states)):
        one = slice(row, row + 1)
        assert torch.equal(in_8_bits(module, states[one], chosen[one], weights[one])[0], together[row])


def test_a_model_is_loaded_with_them() -> None:
    loaded = load_cpu(activations="int8")
    taking = [m for m in loaded.model.modules() if isinstance(m, Int8Linear) or is_int8_experts(m)]
    assert taking and all(module.activations == "int8" for module in taking)
    assert loaded.activations == "int8"


def int8_layer(pair: Pair) -> Any:
    """The experts of the first layer, as they are without the setting."""
    return layer(pair)


def in_8_bits(module: Any, *arguments: Tensor) -> Tensor:
    """The experts, with 8-bit activations for this once."""
    module.activations = "int8"
    try:
        return int8_experts(module, *arguments)
    finally:
        module.activations = "compute"
