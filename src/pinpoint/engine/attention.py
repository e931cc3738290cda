"""Attention over a packed forest, as functions that transformers calls for any causal model.

The rule of the forest (a span sees itself causally and its ancestors fully) is computed in two ways from the same
table:

* `DENSE`: one mask of rows × columns. Any device, any model, obviously right; memory and time grow with the square.
* `SPANS`: never a mask of the whole row. The row is depth-first, so all that is attended to is runs of it.
  On CUDA every span is a block: itself causally, and then, a level of the forest a call of `varlen_attn`, the runs of
  its ancestors. Each call gives a partial attention with its log-sum-exp, and partial results merge exactly::

      lse = log(exp(a.lse) + exp(b.lse));  out = exp(a.lse − lse) · a.out + exp(b.lse − lse) · b.out

  On a CPU, small subtrees (a document with its label trie) are one block with a small mask of its own, since many tiny
  products cost more than a few masked entries, and a block's ancestors are gathered before it into one run of keys.

The table reaches the functions as the keyword argument `spans` of the model's call. Without it (plain generation, say)
they hand over to transformers' own scaled-dot-product attention.

Axes: H query heads, G key-value heads, R = H / G, T row tokens, P tokens kept from an earlier pass, D head size.
"""

from __future__ import annotations

import inspect
import itertools
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from pinpoint.engine.packing import PackedRow

DENSE = "pinpoint_dense"
SPANS = "pinpoint_spans"

# A subtree of up to so many tokens is one block on a CPU. 32 documents of 300 tokens with 8 labels took, on 2 cores
# and the embedded model, 1.06 s with blocks of single spans, 0.94 s at 512 and 0.91 s at 1,024 (medians of 3).
CPU_BLOCK_TOKENS = 1024
# Query rows of one call on a CPU: bounds the mask held at a time to this many rows × the keys that they see.
CPU_QUERY_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of the row, `start` to `stop`, that queries or keys come from."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that see each other by `mask` [n, n], or causally where it is None."""

    run: Run
    mask: Tensor | None


@dataclass(frozen=True, slots=True)
class VarlenCall:
    """One call of `varlen_attn`: each run of queries over its run of keys.

    Attributes:
        pairs: (queries in the row, keys counted from the kept tokens).
        query_at, key_at: where the rows stand: a slice where the runs follow each other, else int64 on the device.
        query_offsets, key_offsets: [pairs + 1] int32, where each run begins among the gathered rows.
        longest_queries, longest_keys: tokens of the longest run.
    """

    pairs: list[tuple[Run, Run]]
    query_at: Tensor | slice
    key_at: Tensor | slice
    query_offsets: Tensor
    key_offsets: Tensor
    longest_queries: int
    longest_keys: int


@dataclass(frozen=True)
class SpanTable:
    """Which tokens of a packed row see which, for the attention functions.

    Attributes:
        row: the packed forest.
        device: where the masks and offsets are needed.
    """

    row: PackedRow
    device: torch.device

    @cached_property
    def dense_mask(self) -> Tensor:
        """[1, 1, T, P + T] bool: whether token i sees token j."""
        return torch.from_numpy(self.row.visible())[None, None].to(self.device)

    @cached_property
    def blocks(self) -> list[Block]:
        """The row cut into blocks: whole small subtrees, and single spans where a subtree is too large."""
        limit = 0 if self.device.type == "cuda" else CPU_BLOCK_TOKENS
        row, blocks, covered = self.row, [], 0
        for start, stop, end in zip(row.starts, row.stops, row.ends, strict=True):
            if start < covered:
                continue  # inside a block already
            if end - start <= limit and end > stop:
                mask = torch.from_numpy(row.visible_within(int(start), int(end))).to(self.device)
                blocks.append(Block(Run(int(start), int(end)), mask))
                covered = end
            else:
                blocks.append(Block(Run(int(start), int(stop)), None))
                covered = stop
        return blocks

    @cached_property
    def ancestors(self) -> list[list[Run]]:
        """Of each block, the keys of the spans above it, counted from the kept tokens."""
        row, found = self.row, []
        heads = {int(start): span for span, start in enumerate(row.starts)}
        for block in self.blocks:
            runs = [Run(*keys) for (first, last), keys in row.kept_crossings if first <= block.run.start < last]
            span = int(row.parents[heads[block.run.start]])
            above = []
            while span >= 0:
                above.append(Run(int(row.starts[span]) + row.kept_tokens, int(row.stops[span]) + row.kept_tokens))
                span = int(row.parents[span])
            found.append(sorted(runs, key=lambda run: run.start) + above[::-1])
        return found

    @cached_property
    def crossings(self) -> list[list[tuple[Run, Run]]]:
        """By level of the forest: (descendants in the row, keys of the span they see), disjoint within a level.

        Keys count from the kept tokens: row token i is key P + i.
        """
        row = self.row
        heads = {block.run.start for block in self.blocks if block.mask is not None}
        levels: list[list[tuple[Run, Run]]] = []
        depth: list[int] = []
        inside = 0
        for start, stop, end, parent in zip(row.starts, row.stops, row.ends, row.parents, strict=True):
            level = depth[parent] + 1 if parent >= 0 else 0
            depth.append(level)
            if start in heads:
                inside = end
            if end > stop and start >= inside:
                levels += [[] for _ in range(level + 1 - len(levels))]
                keys = Run(int(start) + row.kept_tokens, int(stop) + row.kept_tokens)
                levels[level].append((Run(int(stop), int(end)), keys))
        kept = [(Run(*queries), Run(*keys)) for queries, keys in row.kept_crossings]
        return [level for level in ([[pair] for pair in kept] + levels) if level]

    @cached_property
    def calls(self) -> list[VarlenCall]:
        """What CUDA computes: every block over itself, causally, and then each level; made once for all layers."""
        kept = self.row.kept_tokens
        own = [(block.run, Run(block.run.start + kept, block.run.stop + kept)) for block in self.blocks]
        return [_varlen_call(pairs, self.device) for pairs in (own, *self.crossings)]


def dense_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    spans: SpanTable | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """query [1, H, T, D], key and value [1, G, P + T, D] → [1, T, H, D], by one mask."""
    if spans is None:
        return _plain(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=spans.dense_mask, scale=scaling, enable_gqa=True)
    return out.transpose(1, 2).contiguous(), None


def span_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    spans: SpanTable | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """query [1, H, T, D], key and value [1, G, P + T, D] → [1, T, H, D], run by run."""
    if spans is None:
        return _plain(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    attend = _attend_cuda if query.is_cuda else _attend_cpu
    return attend(query[0], key[0], value[0], scale, spans)[None], None


def register() -> None:
    """Make transformers know the functions; does nothing the second time."""
    for name, function in ((DENSE, dense_attention), (SPANS, span_attention)):
        if name not in ALL_ATTENTION_FUNCTIONS:
            AttentionInterface.register(name, function)


def _plain(module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
    out, _ = sdpa_attention_forward(module, *args, **kwargs)
    return out, None


def _attend_cpu(query: Tensor, key: Tensor, value: Tensor, scale: float, spans: SpanTable) -> Tensor:
    """[H, T, D] against [G, P + T, D] → [T, H, D]: each block over its ancestors and itself, gathered into one run."""
    heads, tokens, size = query.shape
    out = query.new_empty(heads, tokens, size)
    kept = spans.row.kept_tokens
    for block, ancestors in zip(spans.blocks, spans.ancestors, strict=True):
        for start in range(block.run.start, block.run.stop, CPU_QUERY_ROWS):
            stop = min(start + CPU_QUERY_ROWS, block.run.stop)
            runs = [*ancestors, Run(kept + block.run.start, kept + stop)]
            keys, values = (
                torch.cat([x[:, run.start : run.stop] for run in runs], dim=1).repeat_interleave(heads // len(x), dim=0)
                for x in (key, value)
            )
            bias = _bias(block, start, stop, sum(run.stop - run.start for run in ancestors), query.dtype)
            out[:, start:stop] = F.scaled_dot_product_attention(
                query[None, :, start:stop], keys[None], values[None], attn_mask=bias, scale=scale
            )[0]
    return out.transpose(0, 1)


def _bias(block: Block, start: int, stop: int, ancestors: int, dtype: torch.dtype) -> Tensor:
    """[stop − start, ancestors + stop − block start]: 0 where a row sees a key, −inf elsewhere."""
    first, last = start - block.run.start, stop - block.run.start
    bias = torch.zeros(last - first, ancestors + last, dtype=dtype)
    if block.mask is None:
        hidden = torch.ones(last - first, last, dtype=torch.bool).triu(first + 1)
    else:
        hidden = ~block.mask[first:last, :last]
    bias[:, ancestors:].masked_fill_(hidden, -torch.inf)
    return bias


def _attend_cuda(query: Tensor, key: Tensor, value: Tensor, scale: float, spans: SpanTable) -> Tensor:
    """[H, T, D] against [G, P + T, D] → [T, H, D], a level of the forest a call."""
    rows, keys, values = (x.transpose(0, 1).contiguous() for x in (query, key, value))  # [tokens, heads, D]
    own, *levels = spans.calls
    out, lse = varlen_partial(rows, keys, values, own, scale, causal=True)
    if not levels:
        return out
    out = out.float()
    for level in levels:
        part, part_lse = varlen_partial(rows, keys, values, level, scale, causal=False)
        at = level.query_at
        # exp(b.lse − lse) of the module's docstring, and exp(a.lse − lse) is what is left of 1.
        weight = torch.sigmoid(part_lse - lse[at])[..., None]
        out[at] = torch.lerp(out[at], part.float(), weight)
        lse[at] = torch.logaddexp(lse[at], part_lse)
    return out.to(query.dtype)


def varlen_partial(
    query: Tensor, key: Tensor, value: Tensor, call: VarlenCall, scale: float, causal: bool
) -> tuple[Tensor, Tensor]:
    """Attention of each run of queries over its run of keys, all in one call.

    query [T, H, D], key and value [P + T, G, D], 16-bit → out [n, H, D] and float32 log-sum-exp [n, H], n the queries
    of all pairs in order.
    """
    from torch.nn.attention.varlen import AuxRequest, varlen_attn

    queries = query[call.query_at]
    # At least 2: with single queries the kernel turns to another order of heads, and splits the keys by what else is in
    # the call, so that a row's rounding would depend on its neighbours. Later versions are told with `num_splits`.
    longest = max(2, call.longest_queries)
    options = {"enable_gqa": query.shape[1] != key.shape[1], "num_splits": 1}
    out, lse = varlen_attn(
        queries, key[call.key_at], value[call.key_at], call.query_offsets, call.key_offsets,
        longest, max(2, call.longest_keys), scale=scale, window_size=(-1, 0) if causal else (-1, -1),
        return_aux=AuxRequest(lse=True), **{name: options[name] for name in options.keys() & _varlen_options()},
    )  # fmt: skip
    # The kernel's layout is [H, n], whatever torch's documentation says; [n, H] would merge to nonsense.
    if lse.shape != (queries.shape[1], queries.shape[0]):
        raise RuntimeError(f"varlen_attn gave log-sum-exps of {list(lse.shape)} for queries of {list(queries.shape)}")
    return out, lse.transpose(0, 1).float().contiguous()


@cache
def _varlen_options() -> frozenset[str]:
    """What `varlen_attn` of this torch can be told; 2.11 knows neither option, and takes grouped heads as they are."""
    from torch.nn.attention.varlen import varlen_attn

    return frozenset(inspect.signature(varlen_attn).parameters)


def _varlen_call(pairs: list[tuple[Run, Run]], device: torch.device) -> VarlenCall:
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    lengths = [[run.stop - run.start for run in runs] for runs in sides]
    return VarlenCall(
        pairs,
        *(_places(runs, device) for runs in sides),
        *(torch.from_numpy(np.cumsum([0, *counts], dtype=np.int32)).to(device) for counts in lengths),
        *(max(counts) for counts in lengths),
    )


def _places(runs: list[Run], device: torch.device) -> Tensor | slice:
    """Where the tokens of the runs stand, one run after the other."""
    if all(before.stop == after.start for before, after in itertools.pairwise(runs)):
        return slice(runs[0].start, runs[-1].stop)
    return torch.from_numpy(np.concatenate([np.arange(run.start, run.stop) for run in runs])).to(device)
