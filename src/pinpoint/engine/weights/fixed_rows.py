"""Rows that come out the same to the bit, whatever rows stand beside them and however many.

Libraries choose among kernels by the number of rows, and these sum in different orders. Within `holding`, every product
of states with a matrix takes a way that the number of rows does not change:

* on a CPU, rows are a multiple of `ROWS`, zeros added. Of MKL's float32 products that is all it takes: 1, 2 and 3 rows,
  and what is left of the rows when threads have shared them out by fours, go through kernels of their own. Tried for 1
  to 16 threads and up to 1,100 rows on an AMD EPYC with AVX-512 (torch 2.13, MKL 2024.2).
* on CUDA, Triton's kernels with tiles of one size (`triton_fixed.py`); for float32, and where Triton finds no C
  compiler, torch's product in blocks of `CUDA_ROWS` rows, zeros added.

On a CPU the like holds of functions that have no exact value, as `silu`: torch computes `LANES` numbers at a time by
instructions for vectors, and what is left at the end, of each thread's part, by another approximation. So there the
numbers are filled up until nothing is left.

It is a mode of torch's functions, so that it reaches what models compute by themselves: routers, heads, experts. Each
call of torch then takes a microsecond more, the reading of a shape too; `free` is for code that needs none of it.

Axes: N rows, I input channels, O output channels, E experts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from itertools import pairwise
from typing import Any, ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pinpoint.engine.weights import triton_fixed

ROWS = 16
CUDA_ROWS = 256
# Of torch: two vectors of 512 bits in float32, which holds shorter ones and bfloat16's a whole number of times; and
# with more numbers than GRAIN a thread, threads share them evenly (`at::internal::GRAIN_SIZE`).
LANES, GRAIN = 64, 32768

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_held: ContextVar[bool] = ContextVar("whether rows come out the same whatever stands beside them", default=False)


def held() -> bool:
    """Whether a pass is being computed within `holding`."""
    return _held.get()


@contextmanager
def holding() -> Iterator[None]:
    """Within the block, a row of a product does not depend on the others."""
    token = _held.set(True)
    try:
        with _ByRows():
            yield
    finally:
        _held.reset(token)


def free(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """A function within which torch's functions are torch's own: none that it calls sums or approximates rows in an
    order that others change.
    """

    @wraps(function)
    def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with torch._C.DisableTorchFunction():
            return function(*args, **kwargs)

    return call


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What `F.linear` computes, x [..., I] and `weight` [O, I] → [..., O], each row by itself."""
    if x.is_cuda and _in_tiles(x, weight):
        return triton_fixed.product(x, weight, bias)
    count = x.numel() // x.shape[-1]
    if not x.is_cuda and count % ROWS == 0:
        return F.linear(x, weight, bias)
    rows = x.reshape(-1, x.shape[-1])
    if not x.is_cuda:
        out = x.new_empty(count, len(weight))
        _whole_rows(rows, weight.t(), bias, out)
    else:
        parts = torch.split(_padded(rows, CUDA_ROWS), CUDA_ROWS)
        out = torch.cat([F.linear(part, weight, bias) for part in parts])[:count]
    return out.view(*x.shape[:-1], -1)


def _whole_rows(x: Tensor, matrix: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """x [N, I] times `matrix` [I, O] to `out` [N, O]: what is left behind the last multiple of `ROWS` with zeros added,
    by itself, so that not all rows are copied.
    """
    whole = len(x) - len(x) % ROWS
    for rows, place in ((x[:whole], out[:whole]), (x[whole:], out[whole:])):
        missing = -len(rows) % ROWS
        if missing:
            place.copy_(F.linear(_padded(rows, ROWS), matrix.t(), bias)[: len(rows)])
        elif len(rows):
            torch.mm(rows, matrix, out=place) if bias is None else torch.addmm(bias, rows, matrix, out=place)


def mm(x: Tensor, matrix: Tensor, *, out: Tensor | None = None) -> Tensor:
    """What `torch.mm` computes, x [N, I] and `matrix` [I, O] → [N, O], each row by itself."""
    if not x.is_cuda and len(x) % ROWS == 0:
        return torch.mm(x, matrix, out=out)
    if x.is_cuda or out is None or not out.is_contiguous():
        found = linear(x, matrix.t())
        return found if out is None else out.copy_(found)
    _whole_rows(x, matrix, None, out)
    return out


def matmul(x: Tensor, matrix: Tensor, *, out: Tensor | None = None) -> Tensor:
    """What `torch.matmul` computes, by `mm` where it is a product of two matrices."""
    return mm(x, matrix, out=out) if x.ndim == matrix.ndim == 2 else torch.matmul(x, matrix, out=out)


def grouped_mm(x: Tensor, matrices: Tensor, *, offs: Tensor, **options: Any) -> Tensor:
    """What `torch._grouped_mm` computes of x [N, I], sorted by expert, matrices [E, I, O] and the end of each expert's
    rows, `offs` [E] → [N, O], each row by itself.
    """
    weights = matrices.transpose(-2, -1)
    if x.is_cuda and _in_tiles(x, weights):
        return triton_fixed.grouped(x, weights, offs)
    out = x.new_empty(len(x), weights.shape[1])
    for weight, (start, stop) in zip(weights, pairwise([0, *offs.tolist()]), strict=True):
        if start < stop:
            out[start:stop] = linear(x[start:stop], weight)
    return out


def _by_vectors(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of each number by itself, computed of all numbers in the same way."""

    def of_all(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        count = x.numel()
        filled = _filled_up(count)
        # Rows of whole vectors need not follow each other; but `gelu` has another library's function where they do.
        whole = x.is_contiguous() or (x.shape[-1] % LANES == 0 and function is F.silu)
        if x.is_cuda or not count or (filled == count and whole):
            return function(x, *args, **kwargs)
        numbers = x.new_zeros(filled)
        numbers[:count] = x.reshape(-1)
        return function(numbers, *args, **kwargs)[:count].view(x.shape)

    return of_all


def _filled_up(count: int) -> int:
    """The next number of numbers that threads share out in whole vectors."""
    while True:
        threads = max(1, min(torch.get_num_threads(), -(-count // GRAIN)))
        if not (missing := -count % (LANES * threads)):
            return count
        count += missing


def _in_tiles(x: Tensor, weight: Tensor) -> bool:
    return x.dtype == weight.dtype and x.element_size() == 2 and triton_fixed.works()


def _padded(rows: Tensor, multiple: int) -> Tensor:
    missing = -len(rows) % multiple
    return torch.cat([rows, rows.new_zeros(missing, rows.shape[1])]) if missing else rows


_BY_ROWS: dict[Any, Callable[..., Tensor]] = {
    F.linear: linear, torch.mm: mm, torch.Tensor.mm: mm, torch.matmul: matmul, torch.Tensor.matmul: matmul,
    torch.Tensor.__matmul__: matmul,
}  # fmt: skip
# Where torch has it; experts of weights in 16 bits are multiplied by it.
for _place, _name in ((torch, "_grouped_mm"), (F, "grouped_mm")):
    if hasattr(_place, _name):
        _BY_ROWS[getattr(_place, _name)] = grouped_mm


_APPROXIMATE = (
    F.silu, F.gelu, F.mish, F.sigmoid, F.softplus, F.tanh,
    torch.sigmoid, torch.tanh, torch.exp, torch.erf, torch.cos, torch.sin, torch.Tensor.sigmoid, torch.Tensor.tanh,
    torch.Tensor.exp, torch.Tensor.erf, torch.Tensor.cos, torch.Tensor.sin,
)  # fmt: skip
_BY_ROWS |= {function: _by_vectors(function) for function in _APPROXIMATE}


class _ByRows(TorchFunctionMode):
    """Calls the functions above where torch's are called."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _BY_ROWS.get(func, func)(*args, **(kwargs or {}))
