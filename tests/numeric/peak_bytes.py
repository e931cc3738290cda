"""What computing holds in tensors at its widest moment, counted on the CPU as a GPU would have to hold it."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the bytes of every tensor that is made inside, for as long as its storage lives."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held_bytes = self.peak_bytes = 0
        self._followed: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {address(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if not isinstance(tensor, Tensor) or tensor.is_meta:  # one without data takes nothing
                continue
            if address(tensor) not in given | self._followed:
                self._follow(tensor)
        return result

    def _follow(self, tensor: Tensor) -> None:
        storage, at = tensor.untyped_storage(), address(tensor)
        self._followed.add(at)
        self.held_bytes += storage.nbytes()
        self.peak_bytes = max(self.peak_bytes, self.held_bytes)
        weakref.finalize(storage, self._forget, at, storage.nbytes())

    def _forget(self, at: int, size_bytes: int) -> None:
        self._followed.discard(at)
        self.held_bytes -= size_bytes


def address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def measured(run: Callable[[], object]) -> int:
    """Most bytes held at a time by tensors that `run` makes."""
    with torch.inference_mode(), PeakBytes() as mode:
        run()
    peak: int = mode.peak_bytes
    return peak
