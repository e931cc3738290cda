"""Products of 8-bit states with 8-bit weights on CUDA: int8 × int8 summed exactly in int32, or E4M3 × E4M3 in float32.

Each row of states has a scale of its own, taken from its largest value, so the only rounding beside the row's own to 8
bits is that of the output:

    out[p, o] = (Σ_i q[p, i] · weight[e_p, o, i]) · s[p] · scale[e_p, o]

What is quantised once serves all products that read it: a token's state all experts that it chose, which gather its
row as they load it. An expert's gate is computed where its two halves are summed, so that what is [P, 2F] is never
written. Tokens are put in the order of their experts by one kernel, and no count is read back: nothing here waits for
the device. The twins are `int8_product` and `experts` on a CPU.

A row's answer never depends on its neighbours. In int8 its bits do not depend on the tiles either, since whole numbers
have one sum; in E4M3 all sizes take tiles that sum in one order.

Axes: T tokens, K experts chosen for each, P = T·K pairs, E experts, O output channels, I input channels, F width.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pinpoint.engine.weights import cuda_grouped, shared_rows
from pinpoint.engine.weights.int8_product import has_silu_gate
from pinpoint.engine.weights.triton_grouped import shared_bytes
from pinpoint.engine.weights.triton_pointwise import combine

# The largest magnitude that a quantised state has.
LARGEST = {torch.int8: 127.0, torch.float8_e4m3fn: 448.0}
# Large products on Hopper by `cuda_grouped`; the bench compares both ways.
PREFER_CUDA = True
# Of a program's shared memory, for what is not tiles.
SPARE_BYTES = 2048


class Tiles(NamedTuple):
    """Rows, output channels and input channels that a program takes at a time, and how it runs.

    Attributes:
        group: tiles of rows that go through the same channels one after the other, so that these stay in the cache.
        copied: whether the device's copy engine loads the weights, as it can from compute capability 9.0 on. That makes
            large products 4 % faster, and has the host do more for each.
    """

    rows: int
    outputs: int
    inputs: int
    warps: int
    stages: int
    group: int = 16
    copied: bool = False


class Rows(NamedTuple):
    """Quantised rows [N, I] and their float32 scales [N]."""

    values: Tensor
    scales: Tensor


class Route(NamedTuple):
    """Where the pairs of tokens and experts stand once they are sorted by expert.

    Attributes:
        starts: int32 [E + 1], where each expert's pairs begin, and P.
        places: int32 [T, K], where each token's pairs stand in that order.
    """

    starts: Tensor
    places: Tensor


def linear(x: Tensor, weight: Tensor, scale: Tensor, shared: bool = False) -> Tensor:
    """x [..., I] times a weight [O, I] in 8 bits with float32 scales [O] → [..., O], in the dtype of x.

    Where x is `shared` with other products, it is quantised by the first of them (`shared_rows`).
    """
    rows = shared_rows.found(x, weight.dtype) if shared else None
    if rows is None:
        rows = quantize_rows(x.reshape(-1, x.shape[-1]), weight.dtype)
        if shared:
            shared_rows.keep(x, rows)
    return product(rows, weight[None], scale[None], None, x.dtype).view(*x.shape[:-1], -1)


def experts(module: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """Mix the chosen experts' outputs.

    Args:
        module: fused experts with 8-bit `gate_up_proj` [E, 2F, H] and `down_proj` [E, H, F], and their scales.
        hidden_states: [T, H].
        top_k_index: [T, K] chosen experts.
        top_k_weights: [T, K] their weights.

    Returns:
        [T, H] in the dtype of `hidden_states`.
    """
    dtype = hidden_states.dtype
    to = route(top_k_index, len(module.gate_up_proj))
    states = quantize_rows(hidden_states, module.gate_up_proj.dtype, to.places)
    fused = has_silu_gate(module)
    gated = product(states, module.gate_up_proj, module.gate_up_proj_scale, to.starts, dtype, gated=fused)
    if not fused:
        gated = module._apply_gate(gated)  # [P, F]
    between = quantize_rows(gated, module.down_proj.dtype)
    mixed = product(between, module.down_proj, module.down_proj_scale, to.starts, dtype)  # [P, H]
    return combine(mixed, to.places, top_k_weights)


def quantize_rows(x: Tensor, dtype: torch.dtype, places: Tensor | None = None) -> Rows:
    """Each row of x [N, I] in 8 bits: q = x · (largest / max |x|), rounded to the nearest, halves to even.

    A row that is not finite has no whole numbers, but a scale that makes all that comes of it not finite.

    Args:
        x: any float dtype.
        dtype: int8 or E4M3.
        places: [N, K], the places at which each row is put; each at its own once where not given.
    """
    count, inputs = x.shape
    copies = 1 if places is None else places.shape[1]
    values = torch.empty(count * copies, inputs, dtype=dtype, device=x.device)
    scales = torch.empty(count * copies, dtype=torch.float32, device=x.device)
    block = _power_of_two(inputs)
    _kernels().quantize_kernel[(count,)](
        x.contiguous(), values, scales, values if places is None else places, inputs, PLACED=places is not None,
        COPIES=copies, LARGEST=LARGEST[dtype], WHOLE=dtype == torch.int8, BLOCK=block,
        num_warps=max(1, min(16, block // 512)), enable_fp_fusion=False,
    )  # fmt: skip
    return Rows(values, scales)


def route(top_k_index: Tensor, experts: int) -> Route:
    """The pairs of top_k_index [T, K] in the order of their experts, each expert's in the order of the tokens."""
    pairs, device = top_k_index.numel(), top_k_index.device
    starts = torch.empty(experts + 1, dtype=torch.int32, device=device)
    places = torch.empty(top_k_index.shape, dtype=torch.int32, device=device)
    _kernels().route_kernel[(experts,)](
        top_k_index.contiguous(), starts, places, pairs, experts, BLOCK=min(4096, _power_of_two(pairs)), num_warps=4
    )
    return Route(starts, places)


def product(
    x: Rows, weight: Tensor, scale: Tensor, starts: Tensor | None, dtype: torch.dtype, tiles: Tiles | None = None,
    gated: bool = False,
) -> Tensor:  # fmt: skip
    """Each row times the matrix of its expert.

    Args:
        x: rows [P, I], sorted by expert.
        weight: [E, O, I], contiguous, of the dtype of the rows.
        scale: float32 [E, O].
        starts: int32 [E + 1], where the rows of each expert begin, and P; None for one expert.
        dtype: of the result.
        tiles: of Triton's kernel; where not given, by the rows of an expert, or `cuda_grouped` computes the same bits.
        gated: whether O is 2F, gates before what they gate, and the result silu(gate) · up; both are rounded to
            `dtype` before.

    Returns:
        [P, O], or [P, F].
    """
    pairs = len(x.values)
    if tiles is None and PREFER_CUDA and cuda_grouped.takes(pairs, weight, dtype):
        made = cuda_grouped.product(x.values, x.scales, weight, scale, starts, dtype, gated)
        if made is not None:
            return made
    experts, outputs, inputs = weight.shape
    outputs = outputs // 2 if gated else outputs
    tiles = tiles or tiles_for(pairs, weight)
    out = torch.empty(pairs, outputs, dtype=dtype, device=weight.device)
    strips = -(-outputs // (tiles.outputs // 2 if gated else tiles.outputs))
    # So many tiles of rows at most: each expert's last one may be cut.
    row_tiles = -(-pairs // tiles.rows) + (experts - 1 if starts is not None else 0)
    size = {"ROWS": tiles.rows, "OUTPUTS": tiles.outputs, "INPUTS": tiles.inputs, "GROUP": tiles.group}
    what = {"GATED": gated, "WHOLE": weight.dtype == torch.int8, "GROUPED": starts is not None, "EXPERTS": experts}
    matrix = _described(weight, tiles, gated) if tiles.copied else weight
    _kernels().product_kernel[(row_tiles * strips,)](
        x.values, x.scales, matrix, scale, x.scales if starts is None else starts, out, pairs, outputs, inputs, strips,
        **size, **what, BLOCK_EXPERTS=_power_of_two(experts), EVEN=inputs % tiles.inputs == 0, COPIED=tiles.copied,
        num_warps=tiles.warps, num_stages=tiles.stages,
    )  # fmt: skip
    return out


def tiles_for(pairs: int, weight: Tensor) -> Tiles:
    """The fastest tiles for so many rows in all and weights [E, O, I], of those that sum E4M3 in one order.

    Measured on an H200 at the sizes of Mixtral 8x7B (bench/gpu_eight.py); where a device has less shared memory, fewer
    stages are on their way.
    """
    tiles, room = _wanted_tiles(pairs, weight), shared_bytes(weight.device) - SPARE_BYTES
    return tiles._replace(stages=max(2, min(tiles.stages, room // ((tiles.rows + tiles.outputs) * tiles.inputs))))


def _wanted_tiles(pairs: int, weight: Tensor) -> Tiles:
    experts, outputs, inputs = weight.shape
    rows = pairs / experts
    if rows <= 128:
        # Tiles of 16 rows take other instructions, which need not round E4M3 as these do.
        return Tiles(16, 128, 256, 4, 4) if rows <= 16 and weight.dtype == torch.int8 else Tiles(64, 256, 128, 4, 4)
    many, processors = -(-pairs // 128) * -(-outputs // 256), _multiprocessors(weight.device)
    if many <= processors:  # less than one for each
        return Tiles(64, 128, 128, 4, 4)
    copied = many >= 4 * processors and inputs % 16 == 0 and _copies(weight.device)
    return Tiles(128, 256, 128, 8, 3 if rows > 1024 else 4, copied=copied)


def _described(weight: Tensor, tiles: Tiles, gated: bool) -> Any:
    """What the copy engine is told of matrices [E, O, I]."""
    from triton.tools.tensor_descriptor import TensorDescriptor

    experts, outputs, inputs = weight.shape
    if gated:  # a gate and what it gates lie side by side once they are loaded
        half = outputs // 2
        strides = [outputs * inputs, inputs, half * inputs, 1]
        block = [1, tiles.outputs // 2, 2, tiles.inputs]
        return TensorDescriptor(weight, [experts, half, 2, inputs], strides, block)
    block = [1, tiles.outputs, tiles.inputs]
    return TensorDescriptor(weight, [experts, outputs, inputs], [outputs * inputs, inputs, 1], block)


@cache
def _multiprocessors(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


@cache
def _copies(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= (9, 0)


def _power_of_two(count: int) -> int:
    return 1 << max(0, count - 1).bit_length()


def _kernels() -> Any:
    from pinpoint.engine.weights import eight_kernels

    return eight_kernels
