"""8-bit activations: products of integers with integers, for weights that are held in 8 bits.

Each row x of a product's input is taken to float32 and quantised by itself, the *dynamic* way:

    m = max |x|        scale = m / 127        step = 127 / m, 0 where that is infinite (m = 0 or below 4e-37)
    q = x · step, rounded half to even        out = (Σ q·w, exactly, as float32) · scale · channel's scale

in this order, each operation rounded to float32 once and the last result to the dtype of x. The divisions are true
ones. Sums of integers are exact in any order, so a row's output has the same bits whatever is computed beside it, in
however many rows, on every device. A row with a value that is not finite has a scale that is not, and so an output that
is not. `tests/reference/int8.py` is the same, one number at a time.

On CUDA this is what `triton_eight` computes; where Triton finds no C compiler, and on a CPU, it is what stands here.

Axes: N rows, n of a part, O output channels, I input channels, T tokens, K experts chosen for each, H hidden, F width.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from pinpoint.engine.weights import fixed_rows, triton_eight
from pinpoint.engine.weights.int8_product import gate_rounded_once, kernels_work
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS

LEVELS = 127
# A sum of more products of two 8-bit integers may not fit 32 bits.
MOST_INPUTS = (2**31 - 1) // LEVELS**2
# Float32 holds a sum of so many products exactly, in whatever order it is made.
EXACT_IN_FLOAT = 2**24 // LEVELS**2
# Rows at a time, so that what lies between two steps stays in the processor's cache. Experts and linear layers of the
# embedded model took 210 and 92 ms of a pass at 512, 202 and 87 at 1,024, 226 and 100 at 256, 262 and 119 at 128 (the
# least of 7 in turn on a busy machine).
ROWS = 512


def quantise_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [..., I] → int8 [N, I] and float32 scales [N, 1], by the formula above."""
    rows = x.reshape(-1, x.shape[-1])
    q, scales = torch.empty_like(rows, dtype=torch.int8), rows.new_empty(len(rows), 1, dtype=torch.float32)
    room = Room(rows, ROWS)
    for part, integers, scale in zip(*(torch.split(each, ROWS) for each in (rows, q, scales)), strict=True):
        _quantise(part, room, integers, scale)
    return q, scales


class Room:
    """Tensors that parts of a few rows use one after the other: new ones would have to be fetched into the cache."""

    def __init__(self, like: Tensor, rows: int) -> None:
        self._like, self._rows, self._held = like, rows, dict[tuple[str, int], Tensor]()

    def __call__(self, name: str, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        """[rows, width], with whatever was left there."""
        held = self._held.get((name, width))
        if held is None:
            held = self._held[name, width] = self._like.new_empty(self._rows, width, dtype=dtype)
        return held if rows == self._rows else held[:rows]


def _quantise(rows: Tensor, room: Room, q: Tensor | None = None, scales: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """[n, I] → int8 [n, I] and float32 [n, 1], in `q` and `scales` or in what the next part writes over."""
    count, width = rows.shape
    if q is None:
        q = room("integers", count, width, torch.int8)
    wide, size = rows.float(), room("sizes", count, width, torch.float32)
    largest = torch.abs(wide, out=size).amax(dim=1, keepdim=True)
    levels = _levels(rows.device)
    step = torch.div(levels, largest).nan_to_num_(nan=torch.nan, posinf=0.0)
    q.copy_(torch.mul(wide, step, out=size).round_())
    return q, torch.div(largest, levels, out=scales)


@cache
def _levels(device: torch.device) -> Tensor:
    """What is divided by, as a tensor: CUDA multiplies by the reciprocal of a number."""
    with torch.inference_mode(False):
        return torch.tensor(float(LEVELS), device=device)


def integer_product(q: Tensor, weight: Tensor, out: Tensor | None = None) -> Tensor:
    """int8 [N, I] times int8 [O, I] → [N, O], exact integers in int32, or in float32 where they are as exact there.

    In `out`, int32 [N, O], where torch's own product makes them.
    """
    # Of a single column torch's product is wrong: 0 in most places (torch 2.13 on a CPU).
    if not q.is_cuda and q.shape[1] > 1 and _int_mm_is_exact():
        return torch._int_mm(q, weight.t(), out=out)
    total: Tensor | None = None
    for columns in range(0, q.shape[1], EXACT_IN_FLOAT):
        part = slice(columns, columns + EXACT_IN_FLOAT)
        sums = torch.mm(q[:, part].float(), weight[:, part].float().t())
        if q.shape[1] <= EXACT_IN_FLOAT:
            return sums
        total = sums.int() if total is None else total.add_(sums.int())
    assert total is not None, "a product has inputs"
    return total


@fixed_rows.free
def linear(x: Tensor, weight: Tensor, scale: Tensor, shared: bool = False) -> Tensor:
    """x [..., I] times an int8 weight [O, I] with float32 scales [O] → [..., O], in the dtype of x.

    On CUDA an x that is `shared` with other products is quantised once for all.
    """
    if x.is_cuda and kernels_work():
        return triton_eight.linear(x, weight, scale, shared)
    rows = x.reshape(-1, x.shape[-1])
    out, room = x.new_empty(len(rows), len(weight)), Room(x, ROWS)
    for part, place in zip(torch.split(rows, ROWS), torch.split(out, ROWS), strict=True):
        torch.mul(_scaled_by_row(*_quantise(part, room), weight, room), scale, out=place)
    return out.view(*x.shape[:-1], len(weight))


def experts(self: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor | None:
    """What `weights/experts.int8_experts` computes, by one call of the kernels; None where there are none."""
    if hidden_states.is_cuda and kernels_work():
        return triton_eight.experts(self, hidden_states, top_k_index, top_k_weights)
    return None


def expert(self: Any, index: int, q: Tensor, scales: Tensor, tokens: Tensor, out: Tensor, room: Room) -> None:
    """One expert of a fused experts module, `ROWS` of its tokens at a time.

    Args:
        self: the module, its weights in 8 bits.
        index: of the expert.
        q: int8 [T, H], the states of all tokens.
        scales: float32 [T, 1], theirs.
        tokens: [n], those that chose it.
        out: [n, H], where its output goes.
        room: of `ROWS` rows.
    """
    rise, fall = ((getattr(self, name)[index], getattr(self, f"{name}_scale")[index]) for name in EXPERT_WEIGHTS)
    for part, place in zip(torch.split(tokens, ROWS), torch.split(out, ROWS), strict=True):
        wide = _rise(q, scales, part, *rise, room)
        _fall(gate_rounded_once(self, wide.to(out.dtype)), *fall, place, room)


@fixed_rows.free
def _rise(q: Tensor, scales: Tensor, tokens: Tensor, weight: Tensor, scale: Tensor, room: Room) -> Tensor:
    """[n, 2F] of `tokens` [n] of q [T, H] and scales [T, 1], in float32; the next part is written over it."""
    count = len(tokens)
    states = torch.index_select(q, 0, tokens, out=room("states", count, q.shape[1], torch.int8))
    theirs = torch.index_select(scales, 0, tokens, out=room("scales", count, 1, torch.float32))
    return _scaled_by_row(states, theirs, weight, room).mul_(scale)


@fixed_rows.free
def _fall(gated: Tensor, weight: Tensor, scale: Tensor, out: Tensor, room: Room) -> None:
    torch.mul(_scaled_by_row(*_quantise(gated, room), weight, room), scale, out=out)


def _scaled_by_row(q: Tensor, scales: Tensor, weight: Tensor, room: Room) -> Tensor:
    """The product with the first of its scales, float32 [N, O]; the next part is written over it."""
    sums = integer_product(q, weight, room("sums", len(q), len(weight), torch.int32))
    # In place of the integers, which are as wide: less time than with a tensor more in the processor's cache.
    wide = sums if sums.dtype == torch.float32 else sums.view(torch.float32).copy_(sums)
    return wide.mul_(scales)


def in_8_bits(module: nn.Module) -> bool:
    """Whether the products of a module that holds its weights in 8 bits are those of integers."""
    return getattr(module, "activations", "compute") == "int8"


@cache
def _int_mm_is_exact() -> bool:
    """Whether torch's product of integers is exact on this processor, also where all of them are as large as can be.

    Instructions older than VNNI add pairs of products in 16 bits, and saturate there: on AVX2 and on the first AVX-512
    it is wrong (torch 2.13), also for random integers.
    """
    for inputs in (4, 67, 256):
        ends = torch.full((129, inputs), LEVELS, dtype=torch.int8)
        for one, other in ((ends, ends), (-ends, ends), (ends, -ends), (-ends, -ends)):
            product = torch._int_mm(one, other.t())
            if not (product == int(one[0, 0]) * int(other[0, 0]) * inputs).all():
                return False
    return True
