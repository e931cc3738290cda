"""Products on CUDA whose rows do not depend on each other: tiles of one size, sums in one order, whatever the rows.

Libraries split the sum over the input channels, or take other tiles, by the number of rows. Here each program
multiplies a tile of rows by a strip of output channels and goes through the input channels from first to last:

    out[n, o] = Σ_i x[n, i] · weight[o, i] (+ bias[o])        in float32, rounded once

Where in its tile a row lies, and what lies beside it, changes none of its products. For 8-bit weights it is the kernel
of `triton_grouped.py`, with its tiles held fixed. Slower than the usual ways for few rows (a tile is never smaller) and
for many (no kernel is tuned to the card): it is for passes that ask for the same bits.

Axes: N rows, O output channels, I input channels, T tokens, K experts chosen for each, P = T·K pairs, E experts.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import torch
from torch import Tensor

from pinpoint.engine.weights.int8_product import gate
from pinpoint.engine.weights.triton_grouped import OF_MANY, Tiles, grouped_product
from pinpoint.engine.weights.triton_pointwise import combine
from pinpoint.planning.activations import GROUPED_ROWS

log = logging.getLogger("pinpoint")

# Of 16-bit products: 96 KB of shared memory in three stages, which every card since Ampere has. Not measured against
# others.
OF_16_BITS = Tiles(128, 128, 64, 8, 3)
OF_8_BITS = OF_MANY


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [..., I] times `weight` [O, I], both of one 16-bit dtype, plus `bias` [O] → [..., O] in that dtype."""
    rows, (outputs, inputs) = x.reshape(-1, x.shape[-1]).contiguous(), weight.shape
    out = torch.empty(len(rows), outputs, dtype=x.dtype, device=x.device)
    tiles = OF_16_BITS
    # Tiles side by side share a strip of channels, as in `triton_grouped.py`.
    grid = (-(-len(rows) // tiles.rows), -(-outputs // tiles.outputs))
    _kernel()[grid](
        rows, weight.contiguous(), weight if bias is None else bias, out, len(rows), outputs, inputs,
        BIAS=bias is not None, ROWS=tiles.rows, OUTPUTS=tiles.outputs, INPUTS=tiles.inputs,
        num_warps=tiles.warps, num_stages=tiles.stages,
    )  # fmt: skip
    return out.view(*x.shape[:-1], outputs)


def scaled_product(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """x [..., I] times an int8 weight [O, I] with float32 scales [O] → [..., O], in the dtype of x."""
    rows = x.reshape(-1, x.shape[-1])
    starts = torch.arange(2, device=x.device) * len(rows)
    return grouped_product(rows, weight[None], scale[None], starts, OF_8_BITS).view(*x.shape[:-1], -1)


def grouped(x: Tensor, weights: Tensor, ends: Tensor) -> Tensor:
    """Each row of x [N, I], sorted by expert, times the 16-bit matrix of its expert, weights [E, O, I] → [N, O].

    `ends` [E] are where each expert's rows end.
    """
    starts = torch.cat([ends.new_zeros(1), ends]).to(torch.int64)
    ones = torch.ones(weights.shape[:2], dtype=torch.float32, device=x.device)
    return grouped_product(x, weights.contiguous(), ones, starts, OF_8_BITS)


def experts(module: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """`experts.int8_experts` with the same arguments and result, for any number of tokens.

    As many pairs at a time as the memory plan counts for experts that are multiplied at once.
    """
    chosen, order = torch.sort(top_k_index.reshape(-1), stable=True)  # [P]
    count, pairs = len(module.gate_up_proj), len(chosen)
    starts = torch.searchsorted(chosen, torch.arange(count + 1, device=chosen.device))
    mixed = torch.empty(pairs, hidden_states.shape[1], dtype=hidden_states.dtype, device=hidden_states.device)
    step = GROUPED_ROWS * count
    for start in range(0, pairs, step):
        stop = min(start + step, pairs)
        begin = starts.clamp(start, stop) - start
        states = hidden_states[order[start:stop] // top_k_index.shape[1]]
        wide = grouped_product(states, module.gate_up_proj, module.gate_up_proj_scale, begin, OF_8_BITS)
        mixed[start:stop] = grouped_product(
            gate(module, wide), module.down_proj, module.down_proj_scale, begin, OF_8_BITS
        )
    places = torch.empty_like(order)
    places[order] = torch.arange(pairs, device=order.device)
    return combine(mixed, places.view(top_k_index.shape), top_k_weights)


@cache
def works() -> bool:
    """Whether the kernel compiles here and computes a product of small whole numbers exactly. Asked once, on CUDA."""
    x = torch.arange(3 * 80, device="cuda").view(3, 80).remainder(7).to(torch.bfloat16)
    weight = torch.arange(5 * 80, device="cuda").view(5, 80).remainder(3).to(torch.bfloat16)
    try:
        right = torch.equal(product(x, weight), (x.double() @ weight.double().t()).to(torch.bfloat16))
    except Exception as error:  # whatever is missing, there is another way
        log.warning("Triton cannot compile kernels here (%s)", type(error).__name__)
        return False
    if not right:
        log.warning("Triton's fixed products are wrong on this device; torch's in blocks of rows take their place")
    return right


@cache
def _kernel() -> Any:
    """Compiled on first use for each dtype; triton comes with torch's CUDA builds alone."""
    import triton
    import triton.language as tl

    @triton.jit  # type: ignore[untyped-decorator]
    def fixed_product(  # type: ignore[no-untyped-def]
        x, weight, bias, out, count, outputs, inputs,
        BIAS: tl.constexpr, ROWS: tl.constexpr, OUTPUTS: tl.constexpr, INPUTS: tl.constexpr,
    ):  # fmt: skip
        rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
        channels = tl.program_id(1) * OUTPUTS + tl.arange(0, OUTPUTS)
        columns = tl.arange(0, INPUTS)
        states = x + rows[:, None].to(tl.int64) * inputs
        strip = weight + channels[None, :].to(tl.int64) * inputs
        sums = tl.zeros((ROWS, OUTPUTS), dtype=tl.float32)
        for start in range(0, inputs, INPUTS):
            inside = start + columns < inputs
            state = tl.load(
                states + start + columns[None, :], mask=(rows < count)[:, None] & inside[None, :], other=0.0
            )
            matrix = tl.load(
                strip + start + columns[:, None], mask=(channels < outputs)[None, :] & inside[:, None], other=0.0
            )
            sums = tl.dot(state, matrix, sums)
        if BIAS:
            sums += tl.load(bias + channels, mask=channels < outputs, other=0.0).to(tl.float32)[None, :]
        tl.store(
            out + rows[:, None].to(tl.int64) * outputs + channels[None, :],
            sums.to(out.dtype.element_ty),
            mask=(rows < count)[:, None] & (channels < outputs)[None, :],
        )

    return fixed_product
