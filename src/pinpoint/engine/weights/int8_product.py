"""Products with 8-bit matrices: the integers cast to the dtype of the states, a plain matrix product, a scale on the
output. The integers are exact in every dtype it is computed in, so the only rounding is the product's own, and a row's
answer does not depend on its neighbours.

On CUDA the cast, the scale and an expert's gate are Triton kernels, and products of a few rows are one kernel that
reads the integers as they lie; where Triton finds no C compiler, torch computes the same, slower. Nothing holds a
float32 copy of an output on any path: the memory plan counts on it.

Axes: N rows, O output channels, I input channels, F expert width.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import SiLUActivation
from transformers.integrations import moe

from pinpoint.engine.weights import triton_int8, triton_pointwise

log = logging.getLogger("pinpoint")

# Rows that are scaled at a time where torch makes a float32 temporary of what it scales.
SCALE_ROWS = 256


def scaled_product(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """x [..., I] times an int8 weight [O, I] with float32 scales [O] → [..., O], in the dtype of x."""
    rows = x.reshape(-1, x.shape[-1])
    if few_rows(rows):
        return triton_int8.few_rows_product(x, weight, scale)
    out = x.new_empty(len(rows), len(weight))
    scaled_product_into(rows, weight, scale, out)
    return out.view(*x.shape[:-1], -1)


def scaled_product_into(x: Tensor, weight: Tensor, scale: Tensor, out: Tensor) -> None:
    """x [N, I] times an int8 weight [O, I] with float32 scales [O], written to the contiguous `out` [N, O]."""
    if x.is_cuda and kernels_work():
        torch.mm(x, triton_pointwise.cast(weight, x.dtype).t(), out=out)
        triton_pointwise.scale_(out, scale)
    else:
        cast_product(weight, scale, x.dtype, len(x))(x, out)


def cast_product(weight: Tensor, scale: Tensor, dtype: torch.dtype, rows: int) -> Callable[[Tensor, Tensor], None]:
    """The product with an int8 weight [O, I] in plain torch, cast once for calls with `rows` rows in all.

    Each call takes x [N, I] of `dtype` and writes to the contiguous `out` [N, O].
    """
    cast = weight.to(dtype)
    # Float32 rounds a scaled weight no worse than a scaled output. Not by the number of rows, which would give a row
    # other bits beside others.
    scale_weight = dtype == torch.float32
    if scale_weight:
        cast.mul_(scale.unsqueeze(-1))

    def product(x: Tensor, out: Tensor) -> None:
        torch.mm(x, cast.t(), out=out)
        if not scale_weight:
            for part in torch.split(out, SCALE_ROWS):
                part.mul_(scale)

    return product


def gated_product(experts: Any, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """x [N, I] times an int8 weight [2F, I] with scales [2F], through the gate of the module `experts` → [N, F]."""
    if x.is_cuda and has_silu_gate(experts) and kernels_work():
        wide = F.linear(x, triton_pointwise.cast(weight, x.dtype))
        return triton_pointwise.silu_gate(wide, scale)
    return gate(experts, scaled_product(x, weight, scale))


def gate(experts: Any, wide: Tensor) -> Tensor:
    """The gate of a fused experts module: wide [N, 2F] → [N, F]."""
    if has_silu_gate(experts):
        opening, up = wide.chunk(2, dim=-1)
        return F.silu(opening).mul_(up)
    gated: Tensor = experts._apply_gate(wide)
    return gated


def gate_rounded_once(experts: Any, wide: Tensor) -> Tensor:
    """The same where what it gates is quantised next: in float32, and rounded to the dtype of `wide` at the end."""
    if has_silu_gate(experts):
        opening, up = wide.float().chunk(2, dim=-1)
        return F.silu(opening).mul_(up).to(wide.dtype)
    gated: Tensor = experts._apply_gate(wide)
    return gated


def has_silu_gate(experts: Any) -> bool:
    """Whether a fused experts module gates as Mixtral's does: silu of the first half times the second."""
    default = getattr(moe, "_default_apply_gate", None)
    silu = isinstance(getattr(experts, "act_fn", None), (nn.SiLU, SiLUActivation))
    return silu and default is not None and type(experts)._apply_gate is default


def few_rows(x: Tensor) -> bool:
    """Whether products of x [N, I] are those of a few rows, for which there is a kernel of its own."""
    return x.is_cuda and len(x) <= triton_int8.MOST_ROWS and kernels_work()


@cache
def kernels_work() -> bool:
    """Whether Triton can compile here: it needs a C compiler for what calls the kernels. Asked once, on CUDA."""
    integers = torch.arange(-127, 128, dtype=torch.int8, device="cuda")
    try:
        works = torch.equal(triton_pointwise.cast(integers, torch.float32), integers.float())
    except Exception as error:  # whatever is missing, there is another way
        log.warning(
            "Triton cannot compile kernels here (%s); 8-bit products go the slower way of torch. In a container: "
            "install gcc and libc6-dev",
            type(error).__name__,
        )
        return False
    if not works:
        log.warning("Triton's kernels are wrong on this device; 8-bit products go the slower way of torch")
    return works
