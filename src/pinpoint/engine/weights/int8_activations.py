"""8-bit activations: products of integers with integers, for weights that are held in 8 bits.

Each row x of a product's input is taken to float32 and quantised by itself, the *dynamic* way:

    m = max |x|        scale = m / 127        step = 127 / m, 0 where that is infinite (m = 0 or below 4e-37)
    q = x · step, rounded half to even        out = (Σ q·w, exactly, as float32) · scale · channel's scale

in this order, each operation rounded to float32 once and the last result to the dtype of x. The divisions are true
ones. Sums of integers are exact in any order, so a row's output has the same bits whatever is computed beside it, in
however many rows, on every device. A row with a value that is not finite has a scale that is not, and so an output that
is not. `tests/reference/int8.py` is the same, one number at a time.

On CUDA this is what `triton_eight` computes; where Triton finds no C compiler, and on a CPU, it is what stands here.

Axes: N rows, O output channels, I input channels, T tokens, K experts chosen for each, H hidden.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from pinpoint.engine.weights import triton_eight
from pinpoint.engine.weights.int8_product import gate_rounded_once, kernels_work

LEVELS = 127
# A sum of more products of two 8-bit integers may not fit 32 bits.
MOST_INPUTS = (2**31 - 1) // LEVELS**2
# Float32 holds a sum of so many products exactly, in whatever order it is made.
EXACT_IN_FLOAT = 2**24 // LEVELS**2
# Rows at a time, so that what lies between two steps stays in the processor's cache.
ROWS = 512


def quantise_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [..., I] → int8 [N, I] and float32 scales [N, 1], by the formula above."""
    rows = x.reshape(-1, x.shape[-1])
    if len(rows) <= ROWS:
        return _quantise(rows)
    parts = [_quantise(part) for part in torch.split(rows, ROWS)]
    return torch.cat([q for q, _ in parts]), torch.cat([scales for _, scales in parts])


def _quantise(rows: Tensor) -> tuple[Tensor, Tensor]:
    wide = rows.float()
    size = wide.abs()
    largest = size.amax(dim=1, keepdim=True)
    levels = largest.new_tensor(LEVELS)  # by a tensor: CUDA multiplies by the reciprocal of a number
    step = levels / largest
    step.masked_fill_(step.isinf(), 0.0)
    return torch.mul(wide, step, out=size).round_().to(torch.int8), largest / levels


def integer_product(q: Tensor, weight: Tensor) -> Tensor:
    """int8 [N, I] times int8 [O, I] → [N, O], exact integers in int32, or in float32 where they are as exact there."""
    # Of a single column torch's product is wrong: 0 in most places (torch 2.13 on a CPU).
    if not q.is_cuda and q.shape[1] > 1 and _int_mm_is_exact():
        return torch._int_mm(q, weight.t())
    total: Tensor | None = None
    for columns in range(0, q.shape[1], EXACT_IN_FLOAT):
        part = slice(columns, columns + EXACT_IN_FLOAT)
        sums = torch.mm(q[:, part].float(), weight[:, part].float().t())
        if q.shape[1] <= EXACT_IN_FLOAT:
            return sums
        total = sums.int() if total is None else total.add_(sums.int())
    assert total is not None, "a product has inputs"
    return total


def linear(x: Tensor, weight: Tensor, scale: Tensor, shared: bool = False) -> Tensor:
    """x [..., I] times an int8 weight [O, I] with float32 scales [O] → [..., O], in the dtype of x.

    On CUDA an x that is `shared` with other products is quantised once for all.
    """
    if x.is_cuda and kernels_work():
        return triton_eight.linear(x, weight, scale, shared)
    rows = x.reshape(-1, x.shape[-1])
    out = x.new_empty(len(rows), len(weight))
    for part, place in zip(torch.split(rows, ROWS), torch.split(out, ROWS), strict=True):
        torch.mul(_scaled_by_row(*quantise_rows(part), weight), scale, out=place)
    return out.view(*x.shape[:-1], len(weight))


def experts(self: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor | None:
    """What `weights/experts.int8_experts` computes, by one call of the kernels; None where there are none."""
    if hidden_states.is_cuda and kernels_work():
        return triton_eight.experts(self, hidden_states, top_k_index, top_k_weights)
    return None


def expert(self: Any, index: int, q: Tensor, scales: Tensor, out: Tensor) -> None:
    """One expert of a fused experts module.

    Args:
        self: the module, its weights in 8 bits.
        index: of the expert.
        q: int8 [N, H], states of the tokens that chose it.
        scales: float32 [N, 1], theirs.
        out: [N, H], where its output goes.
    """
    sums = _scaled_by_row(q, scales, self.gate_up_proj[index])
    wide = sums.mul_(self.gate_up_proj_scale[index]).to(out.dtype)
    gated = gate_rounded_once(self, wide)
    torch.mul(_scaled_by_row(*quantise_rows(gated), self.down_proj[index]), self.down_proj_scale[index], out=out)


def _scaled_by_row(q: Tensor, scales: Tensor, weight: Tensor) -> Tensor:
    """The product with the first of its scales, float32 [N, O]."""
    sums = integer_product(q, weight)
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
