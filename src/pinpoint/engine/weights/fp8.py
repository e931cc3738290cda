"""8-bit floating-point weights and states: E4M3 with one scale per output channel, and one per token as it comes.

A row of a weight or of states, x, is kept as `q = e4m3(x · (448 / max|x|))` and the scale `max|x| / 448`, both steps in
float32, to the nearest of E4M3's values, ties to the even one. Divisions are of tensors and correctly rounded, and what
a last bit puts above 448 is cut to it before the cast, which on some devices makes NaN of it: the same bytes on every
machine. A row of zeros has the scale 0; so small a row that 448 / max|x| is infinite is zeros too. A value that is not
finite leaves zeros and a scale that is not finite, by which the row is refused.

A product is `Σ q_x · q_w` in float32, times the row's scale, times the channel's, rounded once to the dtype of the
states. Cards from compute capability 8.9 on multiply E4M3 itself (`triton_eight`); others are refused, and so is a card
where Triton cannot compile (`loading/load.py`). A CPU multiplies the same values in float32, so that a checkpoint can
be tried and its quality measured where there is no card; it is no faster there. Both are held to
`tests/reference/fp8.py`.

Parts of a weight lie as those of 8 bits do: values under its name, scales under `w_scale` or `scale`.

Axes: E experts, N rows, O output channels, I input channels, T tokens, K experts chosen for each, F width.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from pinpoint.engine.weights.experts import mix
from pinpoint.engine.weights.int8_product import gate_rounded_once
from pinpoint.engine.weights.quantizer import WeightConfig, WeightQuantizer, empty_parameter, register_format

METHOD = "pinpoint_fp8"
SCALE = "scale"
LARGEST = 448.0  # of E4M3
# Elements that are widened to float32 at a time, a few copies of 17 MB.
CHUNK_ELEMENTS = 1 << 22


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Quantise the last axis of a weight.

    Args:
        weight: [..., O, I], any float dtype.

    Returns:
        float8_e4m3fn [..., O, I] and float32 scales [..., O].
    """
    rows = weight.reshape(-1, weight.shape[-1])
    values = torch.empty(rows.shape, dtype=torch.float8_e4m3fn, device=weight.device)
    scales = torch.empty(len(rows), dtype=torch.float32, device=weight.device)
    step = max(1, CHUNK_ELEMENTS // rows.shape[-1])
    for start in range(0, len(rows), step):
        stop = start + step
        values[start:stop], scales[start:stop] = quantize_rows(rows[start:stop])
    return values.reshape(weight.shape), scales.reshape(weight.shape[:-1])


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [N, I] of any float dtype → float8_e4m3fn [N, I] and float32 scales [N]; both in one piece."""
    wide = x.to(torch.float32, copy=True, memory_format=torch.contiguous_format)  # written to below
    top = wide.new_tensor(LARGEST)
    largest = wide.abs().amax(dim=1)
    steps = (top / largest).nan_to_num(nan=0.0, posinf=0.0)
    wide.nan_to_num_(nan=0.0).mul_(steps.unsqueeze(-1)).clamp_(-LARGEST, LARGEST)
    return wide.to(torch.float8_e4m3fn), largest / top


def scaled_product(x: Tensor, weight: Tensor, scale: Tensor, shared: bool = False) -> Tensor:
    """x [..., I], quantised row by row, times E4M3 [O, I] with float32 scales [O] → [..., O], in the dtype of x.

    On CUDA an x that is `shared` with other products is quantised once for all.
    """
    if x.is_cuda:
        product: Tensor = _kernels().linear(x, weight, scale, shared)
        return product
    values, scales = quantize_rows(x.reshape(-1, x.shape[-1]))
    return _product(values, scales, weight, scale, x.dtype).view(*x.shape[:-1], -1)


def _product(values: Tensor, scales: Tensor, weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """E4M3 [N, I] with scales [N] times E4M3 [O, I] with scales [O] → [N, O] of `dtype`."""
    out = _widened(values) @ _widened(weight).t()
    return out.mul_(scales.unsqueeze(-1)).mul_(scale).to(dtype)


def _widened(values: Tensor) -> Tensor:
    """E4M3 in float32, exactly. By a table: torch's cast takes 10 ms for a million of them on a CPU, this 0.7."""
    table = _table(values.device)
    return table.index_select(0, values.view(torch.uint8).flatten().int()).view(values.shape)


@cache
def _table(device: torch.device) -> Tensor:
    return torch.arange(256, dtype=torch.uint8, device=device).view(torch.float8_e4m3fn).float()


def _kernels() -> Any:
    """Triton's kernels for this, imported where there is a card for them."""
    from pinpoint.engine.weights import triton_eight

    return triton_eight


def fp8_experts(self: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """Mix the chosen experts' outputs.

    Args:
        self: a fused experts module with E4M3 `gate_up_proj` [E, 2F, H] and `down_proj` [E, H, F] and their scales.
        hidden_states: [T, H].
        top_k_index: [T, K] chosen experts.
        top_k_weights: [T, K] their weights.

    Returns:
        [T, H]. A token's row is computed from that token alone, summed in the order of its choices.
    """
    if hidden_states.is_cuda:
        mixed: Tensor = _kernels().experts(self, hidden_states, top_k_index, top_k_weights)
        return mixed
    return mix(self, hidden_states, top_k_index, top_k_weights, _fp8_expert)


def _fp8_expert(self: Any, index: int, states: Tensor, out: Tensor) -> None:
    wide = scaled_product(states, self.gate_up_proj[index], self.gate_up_proj_scale[index])
    out.copy_(scaled_product(gate_rounded_once(self, wide), self.down_proj[index], self.down_proj_scale[index]))


class Fp8Linear(nn.Module):
    """A linear layer with an E4M3 weight [O, I] and float32 scales [O]; its states are quantised as they come.

    Attributes:
        shares_input: whether it is one of several layers that are given the same states.
    """

    weight_format = METHOD
    shares_input = False

    def __init__(self, inputs: int, outputs: int, bias: Tensor | None) -> None:
        super().__init__()
        self.in_features, self.out_features = inputs, outputs
        self.weight = empty_parameter((outputs, inputs), torch.float8_e4m3fn)
        self.scale = empty_parameter((outputs,), torch.float32)
        self.bias: nn.Parameter | None
        self.register_parameter("bias", None if bias is None else nn.Parameter(bias, requires_grad=False))

    @property
    def states_dtype(self) -> torch.dtype:
        """What its states are multiplied in."""
        return self.weight.dtype

    def forward(self, x: Tensor) -> Tensor:
        """x [..., I] → [..., O], in the dtype of x.

        Raises:
            TypeError: a model has cast its states to the dtype of the weight, and three bits are left of them.
        """
        if x.dtype.itemsize == 1:
            raise TypeError(f"states in {x.dtype}")
        out = scaled_product(x, self.weight, self.scale, self.shares_input)
        return out if self.bias is None else out + self.bias


class Fp8Config(WeightConfig):
    """See `WeightConfig`."""

    method = METHOD


class Fp8Quantizer(WeightQuantizer):
    """E4M3 for transformers' loader."""

    method = METHOD
    suffixes = ("", SCALE)

    def make_linear(self, inputs: int, outputs: int, bias: Tensor | None) -> nn.Module:
        """See `WeightQuantizer`."""
        return Fp8Linear(inputs, outputs, bias)

    def empty_experts(self, experts: int, outputs: int, inputs: int) -> dict[str, nn.Parameter]:
        """E4M3 [E, O, I] and float32 scales [E, O]."""
        return {
            "": empty_parameter((experts, outputs, inputs), torch.float8_e4m3fn),
            SCALE: empty_parameter((experts, outputs), torch.float32),
        }

    def quantize(self, weight: Tensor) -> dict[str, Tensor]:
        """E4M3 [O, I] and float32 scales [O]."""
        return dict(zip(self.suffixes, quantize(weight), strict=True))


def register() -> None:
    """Make transformers know the method and its experts function; does nothing the second time."""
    register_format(Fp8Quantizer, Fp8Config)
    if METHOD not in ALL_EXPERTS_FUNCTIONS:
        ALL_EXPERTS_FUNCTIONS.register(METHOD, fp8_experts)
