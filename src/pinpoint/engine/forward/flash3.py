"""FlashAttention 3 in place of torch's variable-length kernel, where it is installed and the card is made for it.

Of the Hopper generation (compute capability 9.0) it uses what torch's kernel, which is version 2, does not. It is no
part of the requirements: `requirements-hopper.txt` names a build of its forward pass alone, without windows and for
bfloat16 (https://pypi.org/project/fa3-fwd, from https://github.com/Dao-AILab/flash-attention).
"""

from __future__ import annotations

import importlib
import logging
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger("pinpoint")

PACKAGE, LIBRARY = "fa3_fwd", "fa3_fwd._C"
CAPABILITY = (9, 0)
PREFER = True  # a measurement turns it off


def takes(query: Tensor, window: int | None) -> bool:
    """Whether it computes such queries, with a window or without."""
    suits = PREFER and window is None and query.is_cuda and query.dtype == torch.bfloat16
    return suits and _kernel(query.device.index) is not None


def attend(
    query: Tensor, key: Tensor, value: Tensor, query_offsets: Tensor, key_offsets: Tensor, longest_queries: int,
    longest_keys: int, scale: float, *, causal: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """query [n, H, D], key and value [m, G, D], bfloat16 → out [n, H, D] and float32 log-sum-exp [H, n], by runs.

    One split: what a row gets does not depend on what else is in the call.
    """
    out, lse, *_ = _kernel(query.device.index)(
        query, key, value, cu_seqlens_q=query_offsets, cu_seqlens_k=key_offsets, max_seqlen_q=longest_queries,
        max_seqlen_k=longest_keys, softmax_scale=scale, is_causal=causal, num_splits=1,
    )  # fmt: skip
    return out, lse


@cache
def _kernel(device: int) -> Any:
    """The kernel, or None; a line of the log says that it is used, or why it is not although it is installed."""
    if find_spec(PACKAGE) is None or torch.cuda.get_device_capability(device) != CAPABILITY:
        return None
    try:
        importlib.import_module(LIBRARY)
        found = getattr(torch.ops, PACKAGE).fwd
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        log.warning("FlashAttention 3 is installed and cannot be used, so torch's is: %s", str(error).splitlines()[0])
        return None
    log.info("attention: FlashAttention 3")
    return found
