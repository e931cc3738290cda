"""What a layer adds to its states, summed by the kernel of the norm that reads the sum.

A decoder layer of any family says `residual + hidden_states`, and a norm is next. So the states that a layer is given
are a tensor of a class of its own, and so are the weighted sum of its experts' outputs and what both sum up to: memory
is there, what is in it is not, until it is read. If the first that reads it is a norm, sums and norm are one kernel
(`triton_norm.py`); whatever else asks torch for more than its form is given an ordinary tensor with the sum in it.

Axes: T tokens, K experts chosen for each, P = T·K pairs, H hidden.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from pinpoint.engine.weights.int8_product import kernels_work
from pinpoint.engine.weights.triton_pointwise import combine

# Whether sums wait, and whether those of experts do; a benchmark compares the ways.
LATE, LATE_MIX = False, False

# What is known of a sum before it is computed.
_OF_ITS_FORM = frozenset(
    [getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "is_cuda", "ndim", "requires_grad")]
    + [Tensor.size, Tensor.numel, Tensor.dim, Tensor.element_size, Tensor.is_contiguous, Tensor.stride]
)


class Mix(NamedTuple):
    """Outputs of experts [P, H], the row of each pair [T, K], and the weight of each [T, K]: see `combine`."""

    mixed: Tensor
    places: Tensor
    weights: Tensor


class Sum(NamedTuple):
    """A tensor [..., H], and what is added to it."""

    first: Tensor
    second: Tensor | Mix


class States(Tensor):
    """States [..., H].

    Attributes:
        plain: an ordinary tensor of the same memory.
        parts: whose sum they are, as long as it has not been computed.
    """

    plain: Tensor
    parts: Sum | Mix | None

    @classmethod
    def of(cls, plain: Tensor, parts: Sum | Mix | None = None) -> States:
        """The same memory, filled unless `parts` are given."""
        made: States = Tensor._make_subclass(cls, plain)
        made.plain, made.parts = plain, parts
        return made

    def settled(self) -> Tensor:
        """An ordinary tensor with what they are."""
        if isinstance(self.parts, Mix):
            combine(*self.parts, out=self.plain.view(-1, self.plain.shape[-1]))
        elif self.parts is not None:
            first, second = self.parts
            torch.add(first, combine(*second).view_as(first) if isinstance(second, Mix) else second, out=self.plain)
        self.parts = None
        return self.plain

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Sums wait, the form is told, and all else is done with ordinary tensors."""
        if func is Tensor.add and len(args) == 2 and not kwargs and _fit(*args):
            return _sum(*args)
        if func in _OF_ITS_FORM:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))
        if func in (Tensor.reshape, Tensor.view) and isinstance(args[0], cls) and isinstance(args[0].parts, Mix):
            shaped = func(args[0].plain, *args[1:], **(kwargs or {}))
            if shaped.shape[-1:] == args[0].plain.shape[-1:]:
                return cls.of(shaped, args[0].parts)
        args, kwargs = tree_map_only(cls, cls.settled, (args, kwargs or {}))
        return func(*args, **kwargs)


def states(x: Any) -> States | None:
    """The states that a layer is given, for it to add to; None where its sums do not wait."""
    if LATE and isinstance(x, Tensor) and not isinstance(x, States) and _takes(x):
        return States.of(x)
    return None


def mix(mixed: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """`combine`, at once or when it is read."""
    if not (LATE and LATE_MIX and _takes(mixed)):
        return combine(mixed, places, weights)
    waiting = Mix(mixed, places.contiguous(), weights.contiguous())
    return States.of(mixed.new_empty(len(places), mixed.shape[1]), waiting)


def _sum(one: Tensor, other: Tensor) -> States:
    """A sum that waits; of experts' outputs, which may come first, it is one with theirs."""
    if isinstance(one, States) and isinstance(one.parts, Mix):
        one, other = other, one
    waiting = other.parts if isinstance(other, States) and isinstance(other.parts, Mix) else None
    first = _plain(one)
    return States.of(torch.empty_like(first), Sum(first, waiting or _plain(other)))


def _plain(x: Tensor) -> Tensor:
    return x.settled() if isinstance(x, States) else x


def _takes(x: Tensor) -> bool:
    return x.is_cuda and x.element_size() == 2 and not torch.is_grad_enabled() and kernels_work()


def _fit(one: Any, other: Any) -> bool:
    """Whether two are tensors of the same form, as those are whose sum a kernel computes with its norm."""
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return False
    return one.shape == other.shape and one.dtype == other.dtype and one.is_contiguous() and other.is_contiguous()
