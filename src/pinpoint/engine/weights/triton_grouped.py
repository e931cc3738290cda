"""8-bit products of some hundred rows an expert on CUDA: the integers are cast on their way into the matrix units.

Where the experts have few rows each, a pass is bound by the bytes of the weights, and casting a matrix first moves five
times as many as there are. Here each program multiplies a tile of one expert's rows by a strip of its output channels,
reads the integers as they lie, and scales the float32 sums:

    out[p, o] = scale[e_p, o] · Σ_i x[p, i] · weight[e_p, o, i]

Pairs come sorted by expert; where each expert's begin is read on the device, so the host waits for nothing. The twin is
`experts.mix`, which rounds to bf16 before the scale; this does not.

Axes: T tokens, K experts chosen for each, P = T·K pairs, E experts, O output channels, I input channels.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pinpoint.engine.weights.int8_product import gate
from pinpoint.engine.weights.triton_pointwise import combine
from pinpoint.planning.activations import GROUPED_ROWS

# Rows of an expert, on average, up to which this is the faster way where the largest tiles do not fit a
# multiprocessor's shared memory; where they do, it is GROUPED_ROWS.
MOST_ROWS_OF_SMALL_TILES = 128


class Tiles(NamedTuple):
    """Rows, output channels and input channels that a program takes at a time, its warps and software pipeline."""

    rows: int
    outputs: int
    inputs: int
    warps: int
    stages: int

    def shared_bytes(self, dtype: torch.dtype) -> int:
        """What the pipeline keeps in shared memory: integers, and states of `dtype`."""
        return self.stages * self.inputs * (self.outputs + dtype.itemsize * self.rows)


OF_FEW, OF_MANY, OF_MOST = Tiles(64, 128, 128, 8, 3), Tiles(128, 128, 64, 8, 3), Tiles(256, 128, 64, 8, 3)
# Rows of an expert, on average, from which on the larger tiles are faster.
MANY_ROWS, MORE_ROWS = 96, 120


def takes(module: Any, pairs: int, states: Tensor) -> bool:
    """Whether so many pairs are few enough for this to be the faster way, for `module` and the device of `states`."""
    most = GROUPED_ROWS if _fits(OF_MOST, states) else MOST_ROWS_OF_SMALL_TILES
    return pairs <= most * len(module.gate_up_proj)


def grouped_experts(module: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """`experts.int8_experts` for up to a few thousand tokens: the same arguments and result."""
    chosen, order = torch.sort(top_k_index.reshape(-1), stable=True)  # [P]
    # The first pair of each expert; `bincount` would wait for the device.
    starts = torch.searchsorted(chosen, torch.arange(len(module.gate_up_proj) + 1, device=chosen.device))
    states = hidden_states[order // top_k_index.shape[1]]
    wide = grouped_product(states, module.gate_up_proj, module.gate_up_proj_scale, starts)
    mixed = grouped_product(gate(module, wide), module.down_proj, module.down_proj_scale, starts)  # [P, H]
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order), device=order.device)
    return combine(mixed, places.view(top_k_index.shape), top_k_weights)


def grouped_product(x: Tensor, weight: Tensor, scale: Tensor, starts: Tensor, tiles: Tiles | None = None) -> Tensor:
    """Each row times the matrix of its expert.

    Args:
        x: [P, I], sorted by expert, 16-bit or float32.
        weight: int8 [E, O, I], contiguous.
        scale: float32 [E, O].
        starts: int64 [E + 1], where the rows of each expert begin, and P.
        tiles: by the rows of an expert where not given.

    Returns:
        [P, O] in the dtype of x.
    """
    experts, outputs, inputs = weight.shape
    tiles = tiles or _tiles(len(x) / experts, x)
    out = torch.empty(len(x), outputs, dtype=x.dtype, device=x.device)
    # So many tiles at most: each expert's last one may be cut. Tiles side by side share a strip of channels, so that
    # an expert's matrix comes from the cache for its second tile.
    grid = (-(-len(x) // tiles.rows) + experts, -(-outputs // tiles.outputs))
    _kernel()[grid](
        x.contiguous(), weight, scale, starts, out, outputs, inputs,
        EXPERTS=experts, ROWS=tiles.rows, OUTPUTS=tiles.outputs, INPUTS=tiles.inputs,
        num_warps=tiles.warps, num_stages=tiles.stages,
    )  # fmt: skip
    return out


def _tiles(rows: float, x: Tensor) -> Tiles:
    """The fastest tiles for so many rows an expert."""
    if rows >= MORE_ROWS and _fits(OF_MOST, x):
        return OF_MOST
    return OF_MANY if rows >= MANY_ROWS else OF_FEW


def _fits(tiles: Tiles, x: Tensor) -> bool:
    return tiles.shared_bytes(x.dtype) <= shared_bytes(x.device)


@cache
def shared_bytes(device: torch.device) -> int:
    """Shared memory that one program may ask for: 227 KB on an H100, 163 on an A100, 99 on cards of the Ada kind."""
    properties: Any = torch.cuda.get_device_properties(device)
    return int(properties.shared_memory_per_block_optin)


@cache
def _kernel() -> Any:
    """Compiled on first use for each dtype; triton comes with torch's CUDA builds alone."""
    import triton
    import triton.language as tl

    @triton.jit  # type: ignore[untyped-decorator]
    def product(  # type: ignore[no-untyped-def]
        x, weight, scale, starts, out, outputs, inputs,
        EXPERTS: tl.constexpr, ROWS: tl.constexpr, OUTPUTS: tl.constexpr, INPUTS: tl.constexpr,
    ):  # fmt: skip
        tile = tl.program_id(0)
        before, expert, first, last = 0, 0, 0, 0
        for candidate in range(EXPERTS):
            begin = tl.load(starts + candidate).to(tl.int32)
            end = tl.load(starts + candidate + 1).to(tl.int32)
            tiles = (end - begin + ROWS - 1) // ROWS
            mine = (tile >= before) & (tile < before + tiles)
            expert = tl.where(mine, candidate, expert)
            first = tl.where(mine, begin + (tile - before) * ROWS, first)
            last = tl.where(mine, end, last)
            before += tiles
        if tile < before:
            pairs = first + tl.arange(0, ROWS)
            channels = tl.program_id(1) * OUTPUTS + tl.arange(0, OUTPUTS)
            columns = tl.arange(0, INPUTS)
            strip = weight + (tl.cast(expert, tl.int64) * outputs + channels[:, None]) * inputs
            states = x + pairs[None, :].to(tl.int64) * inputs
            sums = tl.zeros((OUTPUTS, ROWS), dtype=tl.float32)
            for start in range(0, inputs, INPUTS):
                inside = start + columns < inputs
                integers = tl.load(
                    strip + start + columns[None, :], mask=(channels < outputs)[:, None] & inside[None, :], other=0
                )
                state = tl.load(
                    states + start + columns[:, None], mask=(pairs < last)[None, :] & inside[:, None], other=0.0
                )
                sums = tl.dot(integers.to(x.dtype.element_ty), state, sums)
            factors = tl.load(
                scale + tl.cast(expert, tl.int64) * outputs + channels, mask=channels < outputs, other=0.0
            )
            tl.store(
                out + pairs[None, :].to(tl.int64) * outputs + channels[:, None],
                (sums * factors[:, None]).to(out.dtype.element_ty),
                mask=(pairs < last)[None, :] & (channels < outputs)[:, None],
            )

    return product
