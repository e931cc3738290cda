"""The slow twin of torch's variable-length attention kernel: what it does with what it is given, on any device.

It knows nothing of pairs or spans: only the gathered rows, where each run begins among them, the longest run of either
side, and the window. Rows beyond the longest run of queries are not computed, and keys beyond the longest run of keys
not seen, as in the kernel, which starts as many programs as these say.

Axes: n gathered queries, m gathered keys, H query heads, G key-value heads, D head size.
"""

from typing import Any

import torch
from torch import Tensor


def slow_kernel(
    query: Tensor, key: Tensor, value: Tensor, cu_seq_q: Tensor, cu_seq_k: Tensor, max_q: int, max_k: int, *,
    return_aux: Any = None, scale: float | None = None, window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False, num_splits: int | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """query [n, H, D], key and value [m, G, D] → out [n, H, D] and log-sum-exp [H, n], by runs."""
    assert scale is not None and return_aux.lse and num_splits == 1
    assert key.shape == value.shape and query.shape[2] == key.shape[2], "the kernel takes one head size"
    heads, groups = query.shape[1], key.shape[1]
    assert heads == groups or (enable_gqa and heads % groups == 0)
    out, lse = torch.full_like(query, torch.nan), torch.full((heads, len(query)), torch.nan)
    left, right = window_size
    for number in range(len(cu_seq_q) - 1):
        first, last = int(cu_seq_q[number]), int(cu_seq_q[number + 1])
        start, stop = int(cu_seq_k[number]), int(cu_seq_k[number + 1])
        if start == stop:
            continue
        behind = (stop - start) - (last - first)  # the last query is where the last key is
        stop = min(stop, start + max_k)
        for row in range(first, min(last, first + max_q)):
            here = row - first + behind
            columns = torch.arange(stop - start)
            seen = torch.ones(stop - start, dtype=torch.bool)
            if left >= 0:
                seen &= columns >= here - left
            if right >= 0:
                seen &= columns <= here + right
            for head in range(heads):
                group = head // (heads // groups)
                scores = key[start:stop, group].double() @ query[row, head].double() * scale
                scores = scores.masked_fill(~seen, -torch.inf)
                lse[head, row] = torch.logsumexp(scores, dim=0)
                out[row, head] = (torch.softmax(scores, dim=0) @ value[start:stop, group].double()).to(out.dtype)
    return out, lse
