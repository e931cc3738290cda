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
from pinpoint.engine.forward.span_table import Block, Sight
from pinpoint.engine.weights import fixed_rows

# Query rows of one call: bounds the mask held at a time to this many rows × the keys that they see, and leaves out the
# keys behind them, which the kernel would compute and hide. On a CPU a document of 315 tokens behind 60 took 1.69 ms at
# 128, 1.70 at 64 and 2.03 at 256 (medians in turn, one core of a busy machine, 4 heads of 64); one of 1,000 11.1, 10.9
# and 11.5.
QUERY_ROWS = 128
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
    usual = extras is None and not query.is_cuda
    gathered = _Gathered(sight, key, value)
    # The last first: what a block sees is often the beginning of what the one behind it sees.
    for index, block in reversed(list(enumerate(sight.blocks))):
        for start in range(block.run.start, block.run.stop, QUERY_ROWS):
            stop = min(start + QUERY_ROWS, block.run.stop)
            if wanted is not None and np.searchsorted(wanted, start) == np.searchsorted(wanted, stop):
                continue
            bias, first = sight.bias(index, start, stop, query.dtype)
            keys = gathered.of(block, first, stop)
            if usual:
                _attend(query, *keys, scale, bias, start, out)
            else:
                out[start:stop] = masked(query[:, start:stop], *keys, scale, bias, extras or Extras())
    return out


class _Gathered:
    """The keys and values that one block after another sees.

    Those of a block may begin what the one before it was given, as of a document and of the labels behind it: they are
    gathered once. They lie token by token, so that a head's numbers begin where they do whatever comes behind them.
    """

    def __init__(self, sight: Sight, key: Tensor, value: Tensor) -> None:
        """Key [G, P + T, D] and value [G, P + T, E]."""
        self._kept, self._all = sight.row.kept_tokens, (key, value)
        self._block: Block | None = None
        self._runs, self._held = list[Run](), self._all

    @fixed_rows.free
    def of(self, block: Block, first: int, stop: int) -> tuple[Tensor, Tensor]:
        """What rows of a block up to `stop` see, from the `first` on: [G, m, D] and [G, m, E]."""
        if block is not self._block:
            self._block, kept = block, self._kept
            runs = _joined([*block.above, Run(kept + block.run.start, kept + block.run.stop)])
            if not _begins(runs, self._runs):
                self._runs, self._held = runs, self._all  # what was held goes first
                self._held = _gather(self._all[0], runs), _gather(self._all[1], runs)
        above = sum(run.tokens for run in block.above)
        seen = slice(first, above + stop - block.run.start)
        keys, values = self._held
        return keys[:, seen], values[:, seen]


def _gather(states: Tensor, runs: list[Run]) -> Tensor:
    tokens = states.transpose(0, 1)
    return torch.cat([tokens[run.start : run.stop] for run in runs]).transpose(0, 1)


def _joined(runs: list[Run]) -> list[Run]:
    """The same tokens in as few runs as can be."""
    joined = runs[:1]
    for run in runs[1:]:
        if run.start == joined[-1].stop:
            joined[-1] = Run(joined[-1].start, run.stop)
        else:
            joined.append(run)
    return joined


def _begins(runs: list[Run], others: list[Run]) -> bool:
    """Whether the tokens of `runs` are the first of `others`, both joined."""
    *whole, last = runs
    if len(runs) > len(others) or whole != others[: len(whole)]:
        return False
    other = others[len(whole)]
    return last.start == other.start and last.stop <= other.stop


@fixed_rows.free
def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float, bias: Tensor, start: int, out: Tensor) -> None:
    """Queries [H, T, D], those from row `start` on, against [G, m, D] and [G, m, E] by torch's own function, to their
    rows of `out` [T, H, E]; `bias` [n, m] is added.
    """
    rows = slice(start, start + len(bias))
    out[rows] = F.scaled_dot_product_attention(
        query[None, :, rows], key[None], value[None], attn_mask=bias, scale=scale, enable_gqa=True
    )[0].transpose(0, 1)


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
