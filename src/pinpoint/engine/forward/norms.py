"""Root-mean-square norms by one function of torch, a single kernel on CUDA.

transformers' own take six over a float32 copy of the states, which at 8,192 tokens of Mixtral 8x7B is some 30 of 420 ms
of a pass on an H200, and 390 of the launches of a decoding step. On a CPU the function is the faster way as well: in
bfloat16 1.9 ms against 3.3 for 7,889 rows of 256.

The two differ by where they round: transformers rounds the normed state to the model's dtype before it meets the
weight, torch's function rounds once, after it.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

# The families that are supported have norms of this one kind; others (Gemma's adds 1 to its weight) are left alone.
_SUFFIX, _EPSILON = "RMSNorm", "variance_epsilon"


def fuse(model: PreTrainedModel) -> int:
    """Have the model's root-mean-square norms computed by torch's own function; returns how many they are."""
    found = [m for m in model.modules() if type(m).__name__.endswith(_SUFFIX) and hasattr(m, _EPSILON)]
    for module in found:
        module.forward = types.MethodType(_norm, module)
    return len(found)


@contextmanager
def own(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, norms are computed as transformers has them."""
    fused = [(m, m.__dict__.pop("forward")) for m in model.modules() if _is_fused(m)]
    try:
        yield
    finally:
        for module, forward in fused:
            module.forward = forward


def _is_fused(module: nn.Module) -> bool:
    return getattr(module.__dict__.get("forward"), "__func__", None) is _norm


def _norm(self: Any, hidden_states: Tensor) -> Tensor:
    """hidden_states [..., H] → [..., H], in their dtype."""
    return F.rms_norm(hidden_states, self.weight.shape, self.weight, self.variance_epsilon)
