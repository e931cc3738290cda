"""4-bit weights: NF4 with double quantisation, by bitsandbytes, for the same tensors and by the same path as 8 bits.

A weight's elements, row after row, are cut into blocks of 64. Of a block there are kept a 4-bit index into NF4's 16
levels for each element, and the block's largest value; these, less their mean, are themselves kept as 8-bit indices in
groups of 256 with a float32 scale each. A product widens its matrix to 16 bits and is then a plain matrix product.
Each expert is quantised as if it were alone, so that one can be widened without its neighbours.

Parts of a weight, by suffix, for one matrix [O, I] with B = ceil(O·I / 64) blocks; fused experts have E in front:

    (none)          uint8   [ceil(O·I / 2)]   two indices a byte
    absmax          uint8   [B]               indices of the blocks' largest values
    nested_absmax   float32 [ceil(B / 256)]   scales of the groups
    offset          float32 [1]               mean of the blocks' largest values

bitsandbytes divides and averages in another order on a GPU than on a CPU, so the bytes may differ in the last place
between the two; on one device they are always the same.

Axes: T tokens, K experts chosen for each, E experts, O output channels, I input channels, P = T·K pairs.
"""

from __future__ import annotations

from functools import cache
from math import ceil
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from pinpoint.engine.weights.experts import mix
from pinpoint.engine.weights.int8_product import gate
from pinpoint.engine.weights.quantizer import WeightConfig, WeightQuantizer, empty_parameter, part_name, register_format
from pinpoint.planning.weight_bytes import NF4_BLOCK, NF4_GROUP

METHOD = "pinpoint_nf4"
SUFFIXES = ("", "absmax", "nested_absmax", "offset")


def quantize(weight: Tensor) -> dict[str, Tensor]:
    """A weight [O, I], float16, bfloat16 or float32 → its parts by suffix."""
    # Imported where it is used: it takes a second, which 8 bits need not wait for.
    from bitsandbytes.functional import quantize_4bit

    packed, state = quantize_4bit(weight.contiguous(), blocksize=NF4_BLOCK, compress_statistics=True, quant_type="nf4")
    return dict(
        zip(SUFFIXES, (packed.flatten(), state.absmax, state.state2.absmax, state.offset.reshape(1)), strict=True)
    )


def dequantize(parts: dict[str, Tensor], outputs: int, inputs: int, dtype: torch.dtype) -> Tensor:
    """The weight [O, I] that the parts stand for."""
    from bitsandbytes.functional import QuantState, dequantize_4bit

    packed, absmax, nested_absmax, offset = (parts[suffix] for suffix in SUFFIXES)
    levels, absmax_levels = _levels(packed.device)
    # bitsandbytes 0.50's kernel for CPUs takes wrong blocks' largest values where a row ends within a block (up to half
    # of the weight's size off at 32, 48, 96 or 160 inputs); so its rows are whole blocks, or all numbers are one row.
    elements = outputs * inputs
    rows = elements // NF4_BLOCK if elements % NF4_BLOCK == 0 else 1
    state = QuantState(
        absmax=absmax,
        shape=torch.Size((outputs, inputs) if inputs % NF4_BLOCK == 0 else (rows, elements // rows)),
        code=levels,
        blocksize=NF4_BLOCK,
        quant_type="nf4",
        dtype=dtype,
        offset=offset,
        state2=QuantState(absmax=nested_absmax, code=absmax_levels, blocksize=NF4_GROUP, dtype=torch.float32),
    )
    return dequantize_4bit(packed.unsqueeze(1), state).view(outputs, inputs)


class Nf4Linear(nn.Module):
    """A linear layer whose weight [O, I] is held in NF4."""

    weight_format = METHOD

    def __init__(self, inputs: int, outputs: int, bias: Tensor | None) -> None:
        super().__init__()
        self.in_features, self.out_features = inputs, outputs
        for suffix, empty in _empty((), outputs, inputs).items():
            self.register_parameter(part_name("weight", suffix), empty)
        self.bias: nn.Parameter | None
        self.register_parameter("bias", None if bias is None else nn.Parameter(bias, requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        """x [..., I] → [..., O], in the dtype of x."""
        parts = {suffix: getattr(self, part_name("weight", suffix)) for suffix in SUFFIXES}
        return F.linear(x, dequantize(parts, self.out_features, self.in_features, x.dtype), self.bias)


def nf4_experts(self: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """Mix the chosen experts' outputs; tokens are sorted by expert once, each expert is widened once.

    Args:
        self: a fused experts module whose `gate_up_proj` [E, 2F, H] and `down_proj` [E, H, F] are held in NF4.
        hidden_states: [T, H].
        top_k_index: [T, K] chosen experts.
        top_k_weights: [T, K] their weights.

    Returns:
        [T, H]. A token's row is computed from that token alone, summed in the order of its choices.
    """
    return mix(self, hidden_states, top_k_index, top_k_weights, _nf4_expert)


def _nf4_expert(self: Any, index: int, states: Tensor, out: Tensor) -> None:
    gated = gate(self, F.linear(states, expert_weight(self, "gate_up_proj", index, states.dtype)))
    torch.mm(gated, expert_weight(self, "down_proj", index, states.dtype).t(), out=out)


def expert_weight(experts: Any, name: str, expert: int, dtype: torch.dtype) -> Tensor:
    """The weight [O, I] of one expert of a fused module whose `name` is held in NF4."""
    parts = {suffix: getattr(experts, part_name(name, suffix))[expert] for suffix in SUFFIXES}
    outputs, inputs = experts.nf4_sizes[name]
    return dequantize(parts, outputs, inputs, dtype)


class Nf4Config(WeightConfig):
    """See `WeightConfig`."""

    method = METHOD


class Nf4Quantizer(WeightQuantizer):
    """NF4 for transformers' loader."""

    method = METHOD
    suffixes = SUFFIXES

    def make_linear(self, inputs: int, outputs: int, bias: Tensor | None) -> nn.Module:
        """See `WeightQuantizer`."""
        return Nf4Linear(inputs, outputs, bias)

    def empty_experts(self, experts: int, outputs: int, inputs: int) -> dict[str, nn.Parameter]:
        """The parts with E in front."""
        return _empty((experts,), outputs, inputs)

    def quantize(self, weight: Tensor) -> dict[str, Tensor]:
        """See the function of this name."""
        return quantize(weight)

    def _convert_experts(self, name: str, module: Any) -> None:
        # A flat weight does not know its shape any more.
        sizes = {weight: tuple(getattr(module, weight).shape[1:]) for weight in ("gate_up_proj", "down_proj")}
        super()._convert_experts(name, module)
        module.nf4_sizes = sizes


def register() -> None:
    """Make transformers know the method and its experts function; does nothing the second time."""
    register_format(Nf4Quantizer, Nf4Config)
    if METHOD not in ALL_EXPERTS_FUNCTIONS:
        ALL_EXPERTS_FUNCTIONS.register(METHOD, nf4_experts)


def _empty(stack: tuple[int, ...], outputs: int, inputs: int) -> dict[str, nn.Parameter]:
    elements = outputs * inputs
    blocks = ceil(elements / NF4_BLOCK)
    return {
        "": empty_parameter((*stack, ceil(elements / 2)), torch.uint8),
        "absmax": empty_parameter((*stack, blocks), torch.uint8),
        "nested_absmax": empty_parameter((*stack, ceil(blocks / NF4_GROUP)), torch.float32),
        "offset": empty_parameter((*stack, 1), torch.float32),
    }


@cache
def _levels(device: torch.device) -> tuple[Tensor, Tensor]:
    """NF4's 16 levels, and the 256 of the blocks' largest values; 1 kB that all weights share."""
    from bitsandbytes.functional import create_dynamic_map, get_4bit_type

    return get_4bit_type("nf4", device=device), create_dynamic_map().to(device)
