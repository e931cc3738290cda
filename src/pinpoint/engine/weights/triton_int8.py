"""8-bit products for a few rows on CUDA: the integers are read once, as they lie, and never written in 16 bits.

A product of one row is bound by the bytes of its matrix. The plain way (cast to bf16, write, read again) moves five
times as many as there are; here each program takes a strip of output channels of one pair's expert and sums in float32:

    out[p, o] = scale[e_p, o] · Σ_i x[p // share, i] · weight[e_p, o, i]

No token is sorted and no count is read back, so the host does not wait for the device. The twins are
`int8.scaled_product` and `experts.int8_experts`; they round to bf16 before the scale, this does not.

Axes: T rows, K experts chosen for each, P = T·K pairs, E experts, O output channels, I input channels.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

# Up to so many rows. All experts of Mixtral 8x7B took, on an H200, 4.9, 8.7, 16 and 31 ms for 1, 2, 4 and 8 tokens,
# each pair reading its own matrix; the grouped way takes 23 from there on.
MOST_ROWS, MOST_TOKENS_OF_EXPERTS = 8, 4
# Output channels and input channels that a program takes at a time.
BLOCK_OUTPUTS, BLOCK_INPUTS, WARPS = 16, 512, 4


def few_rows_product(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """x [..., I] times an int8 weight [O, I] with float32 scales [O] → [..., O], in the dtype of x."""
    rows = x.reshape(-1, x.shape[-1])
    first = torch.zeros(len(rows), dtype=torch.int64, device=x.device)
    return chosen_product(rows, weight[None], scale[None], first).view(*x.shape[:-1], -1)


def chosen_product(x: Tensor, weight: Tensor, scale: Tensor, chosen: Tensor) -> Tensor:
    """Each pair's row times the matrix of its expert.

    Args:
        x: [T, I] or [P, I], 16-bit or float32; with T rows, each serves P / T pairs in a row.
        weight: int8 [E, O, I], contiguous.
        scale: float32 [E, O].
        chosen: int64 [P], the expert of each pair.

    Returns:
        [P, O] in the dtype of x.
    """
    pairs, (_, outputs, inputs) = len(chosen), weight.shape
    out = torch.empty(pairs, outputs, dtype=x.dtype, device=x.device)
    grid = (-(-outputs // BLOCK_OUTPUTS), pairs)
    _kernel()[grid](
        x.contiguous(), weight, scale, chosen, out, outputs, inputs, pairs // len(x),
        BLOCK_OUTPUTS=BLOCK_OUTPUTS, BLOCK_INPUTS=BLOCK_INPUTS, num_warps=WARPS,
    )  # fmt: skip
    return out


def few_rows_experts(module: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """`experts.int8_experts` for a few tokens: the same arguments and result."""
    tokens, choices = top_k_index.shape
    chosen = top_k_index.reshape(-1)
    wide = chosen_product(hidden_states, module.gate_up_proj, module.gate_up_proj_scale, chosen)  # [P, 2F]
    mixed = chosen_product(module._apply_gate(wide), module.down_proj, module.down_proj_scale, chosen)  # [P, H]
    weights = top_k_weights.unsqueeze(-1).to(mixed.dtype)  # [T, K, 1]
    return (mixed.view(tokens, choices, -1) * weights).sum(dim=1)


@cache
def _kernel() -> Any:
    """Compiled on first use for each pair of dtypes; triton comes with torch's CUDA builds alone."""
    import triton
    import triton.language as tl

    @triton.jit  # type: ignore[untyped-decorator]
    def product(  # type: ignore[no-untyped-def]
        x, weight, scale, chosen, out, outputs, inputs, share,
        BLOCK_OUTPUTS: tl.constexpr, BLOCK_INPUTS: tl.constexpr,
    ):  # fmt: skip
        pair = tl.program_id(1)
        expert = tl.load(chosen + pair)  # int64, so that offsets into a stack of experts do not overflow
        row = (pair // share).to(tl.int64)
        channels = tl.program_id(0) * BLOCK_OUTPUTS + tl.arange(0, BLOCK_OUTPUTS)
        strip = weight + (expert * outputs + channels[:, None]) * inputs
        sums = tl.zeros((BLOCK_OUTPUTS, BLOCK_INPUTS), dtype=tl.float32)
        for start in range(0, inputs, BLOCK_INPUTS):
            columns = start + tl.arange(0, BLOCK_INPUTS)
            inside = columns < inputs
            state = tl.load(x + row * inputs + columns, mask=inside, other=0.0).to(tl.float32)
            integers = tl.load(strip + columns[None, :], mask=(channels < outputs)[:, None] & inside[None, :], other=0)
            sums += integers.to(tl.float32) * state[None, :]
        factors = tl.load(scale + expert * outputs + channels, mask=channels < outputs, other=0.0)
        total = tl.sum(sums, axis=1) * factors
        tl.store(out + pair.to(tl.int64) * outputs + channels, total.to(out.dtype.element_ty), mask=channels < outputs)

    return product
