"""Attention block by block, each with a small mask of its own: on a CPU, and where no kernel computes what is asked.

A block's ancestors are gathered before it into one run of keys. Without sinks or a cap it is torch's own function; with
them, and on CUDA, where that function would hold the scores of all heads, it is written out here, in float32 and in
parts. A sink is one more score in the sum, without a value::

    out = Σ exp(s_j) v_j / (Σ exp(s_j) + exp(sink)) = softmax(s) · v · sigmoid(logsumexp(s) − sink)

Axes: H query heads, G key-value heads, R = H / G, T row tokens, P tokens kept from an earlier pass, n rows, m keys,
D head size, E that of values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pinpoint.engine.forward.packing import Ints
from pinpoint.engine.forward.runs import Run
from pinpoint.engine.forward.span_table import Sight

# Query rows of one call: bounds the mask held at a time to this many rows × the keys that they see, and leaves out the
# keys behind them, which the kernel would compute and hide. On a CPU, 32 documents of 300 tokens took 0.90 s at 256,
# 0.91 at 128 and 0.95 at 1,024; attention of 1,000 tokens alone 5.8 ms at 256 and 8.6 at 1,024 (2 cores).
QUERY_ROWS = 256
# Scores that are written out at a time, all heads together: 32 MB in float32, of which three or four are held.
SCORES = 1 << 23


@dataclass(frozen=True, slots=True)
class Extras:
    """What a model asks of attention beyond the usual.

    Attributes:
        sinks: [H] scores without a value.
        softcap: the bound of all scores.
    """

    sinks: Tensor | None = None
    softcap: float | None = None


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, sight: Sight, wanted: Ints | None = None,
    extras: Extras | None = None,
) -> Tensor:  # fmt: skip
    """[H, T, D] against [G, P + T, D] and [G, P + T, E] → [T, H, E]: each block over its ancestors and itself.

    With `wanted` [R], the others may be zero. What is computed is computed as it is without, to the bit.
    """
    heads, tokens, _ = query.shape
    shape = (tokens, heads, value.shape[-1])
    out = query.new_empty(shape) if wanted is None else query.new_zeros(shape)
    kept = sight.row.kept_tokens
    for index, block in enumerate(sight.blocks):
        runs = [*block.above, Run(kept + block.run.start, kept + block.run.stop)]
        keys, values = (torch.cat([x[:, run.start : run.stop] for run in runs], dim=1) for x in (key, value))
        above = keys.shape[1] - block.run.tokens
        for start in range(block.run.start, block.run.stop, QUERY_ROWS):
            stop = min(start + QUERY_ROWS, block.run.stop)
            rows = slice(start, stop)
            if wanted is not None and np.searchsorted(wanted, start) == np.searchsorted(wanted, stop):
                continue
            bias, first = sight.bias(index, start, stop, query.dtype)
            seen = slice(first, above + stop - block.run.start)
            if extras is not None or query.is_cuda:
                out[rows] = masked(query[:, rows], keys[:, seen], values[:, seen], scale, bias, extras or Extras())
                continue
            out[rows] = F.scaled_dot_product_attention(
                query[None, :, rows], keys[None, :, seen], values[None, :, seen], attn_mask=bias, scale=scale,
                enable_gqa=True,
            )[0].transpose(0, 1)  # fmt: skip
    return out


def masked(query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor, extras: Extras) -> Tensor:
    """query [H, n, D], key [G, m, D], value [G, m, E] → [n, H, E], written out, with whatever a model asks for.

    `mask` [n, m] is bool, true where a row sees a key, or what is added to the scores.
    """
    heads, rows, size = query.shape
    groups, keys, width = value.shape
    out = query.new_empty(rows, heads, width)
    key, value = key.float().transpose(1, 2), value.float()  # [G, D, m], [G, m, E]
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, -torch.inf)
    step = max(1, SCORES // (heads * keys))
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        states = query[:, start:stop].float().reshape(groups, -1, size)  # [G, R · n, D]
        scores = torch.bmm(states, key).mul_(scale).view(heads, -1, keys)
        if extras.softcap is not None:
            scores = scores.div_(extras.softcap).tanh_().mul_(extras.softcap)
        scores += mask[start:stop]
        lse = torch.logsumexp(scores, dim=-1)  # [H, n]
        weights = scores.sub_(lse[..., None]).exp_().view(groups, -1, keys)
        part = torch.bmm(weights, value).view(heads, -1, width)
        if extras.sinks is not None:
            part *= sink_weight(lse, extras.sinks[:, None])[..., None]
        out[start:stop] = part.transpose(0, 1).to(out.dtype)
    return out


def sink_weight(lse: Tensor, sinks: Tensor) -> Tensor:
    """The share of the sum that is not the sink's, from the log-sum-exp of all other scores."""
    return torch.sigmoid(lse - sinks.float())
