"""The experts' product against a plain loop, and that a row's neighbours do not change it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pinpoint.engine.weights import experts
from pinpoint.engine.weights.experts import int8_experts, mix
from tests.numeric.conftest import Pair

ROWS = 23


def layer(pair: Pair) -> Any:
    """The experts of the first layer."""
    return pair[0].model.base_model.layers[0].mlp.experts


def routing(module: Any, seed: int, rows: int = ROWS, choices: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Random states, each with distinct random experts and weights."""
    generator = torch.Generator().manual_seed(seed)
    count, hidden = module.down_proj.shape[0], module.down_proj.shape[1]
    states = torch.randn(rows, hidden, generator=generator)
    chosen = torch.rand(rows, count, generator=generator).argsort(dim=-1)[:, :choices]
    return states, chosen, torch.rand(rows, choices, generator=generator)


def silu_gate(wide: Tensor) -> Tensor:
    """Mixtral's."""
    opening, up = wide.chunk(2, dim=-1)
    return F.silu(opening) * up


def plain_loop(
    module: Any, states: Tensor, chosen: Tensor, weights: Tensor, gate: Callable[[Tensor], Tensor] = silu_gate
) -> Tensor:
    """The same in float64, one row and one expert at a time."""
    up = module.gate_up_proj.double() * module.gate_up_proj_scale.double().unsqueeze(-1)
    down = module.down_proj.double() * module.down_proj_scale.double().unsqueeze(-1)
    out = torch.zeros_like(states, dtype=torch.float64)
    for row in range(len(states)):
        for expert, weight in zip(chosen[row].tolist(), weights[row].tolist(), strict=True):
            out[row] += weight * (down[expert] @ gate(up[expert] @ states[row].double()))
    return out


@pytest.mark.parametrize(("rows", "choices"), [(ROWS, 2), (1, 2), (ROWS, 1), (ROWS, 4)])
@torch.inference_mode()
def test_the_mix_is_that_of_a_plain_loop(small_mixtral: Pair, rows: int, choices: int) -> None:
    module = layer(small_mixtral)
    states, chosen, weights = routing(module, rows + choices, rows, choices)
    mixed = int8_experts(module, states, chosen, weights)
    slow = plain_loop(module, states, chosen, weights)
    torch.testing.assert_close(mixed.double(), slow, rtol=1e-4, atol=1e-4 * float(slow.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("part", [1, 3, 16, 79])
@torch.inference_mode()
def test_experts_in_parts_are_the_experts_at_once(
    small_mixtral: Pair, dtype: torch.dtype, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = layer(small_mixtral)
    states, chosen, weights = routing(module, 7, rows=40)
    chosen[:, 0], chosen[:, 1] = chosen[:, 0] % 3, 3  # one that all chose, and where there are more, some that none did
    states = states.to(dtype)
    at_once = mix(module, states, chosen, weights, experts._int8_expert)
    monkeypatch.setattr(experts, "CPU_ROWS", part)
    monkeypatch.setattr(experts, "mix", None)  # not asked any more
    in_parts = int8_experts(module, states, chosen, weights)
    torch.testing.assert_close(in_parts, at_once, rtol=0, atol=8 * torch.finfo(dtype).eps * float(at_once.abs().max()))


def tanh_gate(self: Any, wide: Tensor) -> Tensor:
    """A gate of a module's own, neither Mixtral's order nor its activation."""
    up, opening = wide.chunk(2, dim=-1)
    return torch.tanh(opening) * (up + 1)


@pytest.mark.parametrize("gate", ["gelu", "of its own"])
@pytest.mark.parametrize("part", [3, 512])
@torch.inference_mode()
def test_experts_gate_as_their_module_does(
    small_mixtral: Pair, gate: str, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On both ways of a CPU."""
    module = layer(small_mixtral)
    if gate == "gelu":
        monkeypatch.setitem(module._modules, "act_fn", nn.GELU())
    else:
        monkeypatch.setattr(type(module), "_apply_gate", tanh_gate)
    monkeypatch.setattr(experts, "CPU_ROWS", part)
    states, chosen, weights = routing(module, 8)
    slow = plain_loop(module, states, chosen, weights, module._apply_gate)
    torch.testing.assert_close(
        int8_experts(module, states, chosen, weights).double(), slow, rtol=1e-4, atol=1e-4 * float(slow.abs().max())
    )


@torch.inference_mode()
def test_an_expert_that_nobody_chose_changes_nothing(small_mixtral: Pair) -> None:
    module = layer(small_mixtral)
    states, chosen, weights = routing(module, 3)
    chosen = torch.tensor([[2, 0]]).expand_as(chosen)
    slow = plain_loop(module, states, chosen, weights)
    torch.testing.assert_close(
        int8_experts(module, states, chosen, weights).double(), slow, rtol=1e-4, atol=1e-4 * float(slow.abs().max())
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_the_dtype_of_the_states_is_that_of_the_mix(small_mixtral: Pair, dtype: torch.dtype) -> None:
    module = layer(small_mixtral)
    states, chosen, weights = routing(module, 4)
    assert int8_experts(module, states.to(dtype), chosen, weights).dtype == dtype


@pytest.mark.parametrize("row", [0, ROWS // 2, ROWS - 1])
@torch.inference_mode()
def test_a_row_does_not_depend_on_its_neighbours(small_mixtral: Pair, row: int) -> None:
    module = layer(small_mixtral)
    states, chosen, weights = routing(module, 5)
    others, other_chosen, other_weights = routing(module, 6)
    for mine, theirs in ((states, others), (chosen, other_chosen), (weights, other_weights)):
        theirs[row] = mine[row]
    one = int8_experts(module, states, chosen, weights)
    other = int8_experts(module, others, other_chosen, other_weights)
    alone = int8_experts(module, states[row : row + 1], chosen[row : row + 1], weights[row : row + 1])
    size = float(one[row].abs().max())
    torch.testing.assert_close(other[row], one[row], rtol=0, atol=1e-6 * size)
    torch.testing.assert_close(alone[0], one[row], rtol=0, atol=1e-6 * size)
    # The neighbours really were others.
    assert float((one - other).abs().max()) > 0.01 * size
