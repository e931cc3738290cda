"""Root-mean-square norms on CUDA whose output is quantised as it is made: one kernel for two, the bits of both.

The norm is torch's own function, `F.rms_norm`, to the bit. That sums a row's squares in an order of its own: each of so
many warps takes four numbers of each thread at a time. How many warps is a matter of torch's version, so it is found
out on the device, with rows that have other sums in another order; where none fits, or the rows are not for the kernel,
there are two kernels as before.

On an H200 norm and quantising of 32,390 rows of 4,096 numbers take 0.153 and 0.107 ms, both in one 0.173.

Axes: N rows, H hidden.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pinpoint.engine.weights import shared_rows, triton_eight
from pinpoint.engine.weights.int8_product import kernels_work
from pinpoint.engine.weights.triton_eight import LARGEST, Rows

log = logging.getLogger("pinpoint")

# Of torch's kernel; 4 up to version 2.11 at least.
WARPS = (4, 8, 16, 2, 1)
# What a program holds of a row.
MOST_HIDDEN = 1 << 14
PROBED_ROWS = 64

_found: dict[tuple[torch.device, torch.dtype, int], int | None] = {}


def norm(x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor | None:
    """What `F.rms_norm` makes of x [..., H] and its weight [H], with its rows of `dtype` left with it.

    None where that is not computed here: there it takes two steps.
    """
    if not (shared_rows.KEEP and _takes(x, weight) and kernels_work()):
        return None
    warps = _warps_of(x)
    if warps is None:
        return None
    normed = torch.empty_like(x)
    shared_rows.keep(normed, write(x, weight, epsilon, dtype, warps, normed))
    return normed


def write(x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype, warps: int, normed: Tensor) -> Rows:
    """Norm x [..., H] and quantise what it is rounded to.

    Args:
        x: of 16 bits, contiguous, H a multiple of 4.
        weight: [H] of the same dtype.
        epsilon: added to the mean square.
        dtype: int8 or E4M3.
        warps: by which torch sums.
        normed: [..., H], where the norm is written.
    """
    hidden = x.shape[-1]
    count = x.numel() // hidden
    rows = Rows(
        torch.empty(count, hidden, dtype=dtype, device=x.device),
        torch.empty(count, dtype=torch.float32, device=x.device),
    )
    block = triton_eight._power_of_two(hidden)
    _kernels().norm_kernel[(count,)](
        x, weight, normed, rows.values, rows.scales, epsilon, INPUTS=hidden, WARPS=warps,
        LOG_WARPS=warps.bit_length() - 1, LARGEST=LARGEST[dtype], WHOLE=dtype == torch.int8, BLOCK=block,
        num_warps=max(1, min(8, block // 1024)), enable_fp_fusion=False,
    )  # fmt: skip
    return rows


def _takes(x: Tensor, weight: Tensor) -> bool:
    """Whether the kernel is for such rows: those for which torch's takes four numbers at a time."""
    hidden = x.shape[-1]
    return (
        x.is_cuda
        and x.element_size() == 2
        and x.dtype == weight.dtype
        and x.numel() > 0
        and hidden % 4 == 0
        and hidden <= MOST_HIDDEN
        and x.is_contiguous()
        and x.data_ptr() % 8 == weight.data_ptr() % 8 == 0
    )


def _warps_of(x: Tensor) -> int | None:
    """The number of warps by which torch sums such rows, None where none fits, or it cannot be found out now."""
    key = (x.device, x.dtype, x.shape[-1])
    if key not in _found:
        if torch.cuda.is_current_stream_capturing():
            return None
        _found[key] = _find_warps(*key)
        if _found[key] is None:
            log.info("norms of %d numbers in %s are quantised by a kernel of their own", key[2], key[1])
    return _found[key]


def _find_warps(device: torch.device, dtype: torch.dtype, hidden: int) -> int | None:
    generator = torch.Generator(device).manual_seed(5)
    x = torch.randn(PROBED_ROWS, hidden, device=device, generator=generator)
    # Numbers of many sizes in a row, whose sum depends on their order, and rows of many sizes.
    x *= torch.logspace(-3, 1, PROBED_ROWS, device=device)[:, None]
    x *= torch.rand(hidden, device=device, generator=generator) * 3
    weight = torch.rand(hidden, device=device, generator=generator) + 0.5
    x, weight = x.to(dtype), weight.to(dtype)
    # In float32 each sum shows; torch's kernel has one order for all dtypes.
    wanted = [F.rms_norm(x.to(kind), weight.shape, weight.to(kind), 1e-5) for kind in (torch.float32, dtype)]
    for warps in WARPS:
        found = [torch.empty_like(one) for one in wanted]
        for one in found:
            write(x, weight, 1e-5, torch.int8, warps, one)
        if all(torch.equal(*pair) for pair in zip(found, wanted, strict=True)):
            return warps
    return None


def _kernels() -> Any:
    from pinpoint.engine.weights import eight_kernels

    return eight_kernels
