"""What stands around large 8-bit products on CUDA, each in one pass over its bytes: the cast of the integers before a
product, the scale of its output, the scaled gate of an expert, and the weighted sum of the experts' outputs.

torch's own kernels took, on an H200 and Mixtral 8x7B at 8,192 tokens, 124 ms for the casts and 200 ms for scaling and
gating, beside 255 ms of products; these take 34 and 15. Their twins are the branches of `int8_product` and
`experts.mix` that compute the same with torch.

Axes: N rows, O output channels, F expert width, T tokens, K experts chosen for each, H hidden, P = T·K pairs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

CAST_BLOCK, ROW_BLOCK, WARPS = 8192, 2048, 8


def cast(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """An int8 matrix, contiguous, of fewer than 2³¹ elements, in a floating dtype."""
    out = torch.empty(weight.shape, dtype=dtype, device=weight.device)
    count = weight.numel()
    _kernels()["cast"][(-(-count // CAST_BLOCK),)](weight, out, count, BLOCK=CAST_BLOCK, num_warps=WARPS)
    return out


def scale_(x: Tensor, scale: Tensor) -> Tensor:
    """x [N, O], contiguous, times float32 scales [O], in place."""
    rows, outputs = x.shape
    _kernels()["scale"][(-(-outputs // ROW_BLOCK), rows)](x, scale, outputs, BLOCK=ROW_BLOCK, num_warps=WARPS)
    return x


def silu_gate(wide: Tensor, scale: Tensor) -> Tensor:
    """silu(gate · scale) · (up · scale): wide [N, 2F], contiguous, gate before up, and scales [2F] → [N, F]."""
    rows, width = wide.shape[0], wide.shape[1] // 2
    out = torch.empty(rows, width, dtype=wide.dtype, device=wide.device)
    _kernels()["silu_gate"][(-(-width // ROW_BLOCK), rows)](wide, scale, out, width, BLOCK=ROW_BLOCK, num_warps=WARPS)
    return out


def combine(mixed: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum over each token's pairs.

    Args:
        mixed: [P, H], contiguous, in any order.
        places: int64 [T, K], the row of `mixed` that holds each pair.
        weights: [T, K].

    Returns:
        [T, H] in the dtype of `mixed`, summed in float32 in the order of K.
    """
    (tokens, choices), hidden = places.shape, mixed.shape[1]
    out = torch.empty(tokens, hidden, dtype=mixed.dtype, device=mixed.device)
    _kernels()["combine"][(-(-hidden // ROW_BLOCK), tokens)](
        mixed, places.contiguous(), weights.contiguous(), out, hidden, choices, BLOCK=ROW_BLOCK, num_warps=WARPS
    )
    return out


@cache
def _kernels() -> dict[str, Any]:
    """Compiled on first use for each dtype; triton comes with torch's CUDA builds alone."""
    import triton
    import triton.language as tl

    @triton.jit  # type: ignore[untyped-decorator]
    def cast_kernel(weight, out, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
        at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        inside = at < count
        tl.store(out + at, tl.load(weight + at, mask=inside).to(out.dtype.element_ty), mask=inside)

    @triton.jit  # type: ignore[untyped-decorator]
    def scale_kernel(x, scale, outputs, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
        columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        inside = columns < outputs
        at = x + tl.program_id(1).to(tl.int64) * outputs + columns
        scaled = tl.load(at, mask=inside).to(tl.float32) * tl.load(scale + columns, mask=inside)
        tl.store(at, scaled.to(x.dtype.element_ty), mask=inside)

    @triton.jit  # type: ignore[untyped-decorator]
    def silu_gate_kernel(wide, scale, out, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
        columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        inside = columns < width
        row = tl.program_id(1).to(tl.int64)
        gate = tl.load(wide + row * 2 * width + columns, mask=inside, other=0.0).to(tl.float32)
        up = tl.load(wide + row * 2 * width + width + columns, mask=inside, other=0.0).to(tl.float32)
        gate *= tl.load(scale + columns, mask=inside, other=0.0)
        up *= tl.load(scale + width + columns, mask=inside, other=0.0)
        tl.store(out + row * width + columns, (gate * tl.sigmoid(gate) * up).to(out.dtype.element_ty), mask=inside)

    @triton.jit  # type: ignore[untyped-decorator]
    def combine_kernel(mixed, places, weights, out, hidden, choices, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
        columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        inside = columns < hidden
        token = tl.program_id(1).to(tl.int64)
        total = tl.zeros((BLOCK,), dtype=tl.float32)
        for choice in range(0, choices):
            pair = token * choices + choice
            part = tl.load(mixed + tl.load(places + pair) * hidden + columns, mask=inside, other=0.0)
            total += part.to(tl.float32) * tl.load(weights + pair).to(tl.float32)
        tl.store(out + token * hidden + columns, total.to(out.dtype.element_ty), mask=inside)

    return {"cast": cast_kernel, "scale": scale_kernel, "silu_gate": silu_gate_kernel, "combine": combine_kernel}
