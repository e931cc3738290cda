"""Attention over a packed forest, as functions that transformers calls for any causal model.

The rule of the forest (a span sees itself causally and its ancestors fully) is computed in two ways from the same
table:

* `DENSE`: one mask of rows × columns. Any device, any model, obviously right; memory and time grow with the square.
* `SPANS`: never a mask of the whole row. The row is depth-first, so all that is attended to is runs of it. On CUDA they
  become a few calls of torch's variable-length kernel (`varlen.py`). On a CPU, small subtrees (a document with
  its label trie) are one block with a small mask of its own, since many tiny products cost more than a few masked
  entries, and a block's ancestors are gathered before it into one run of keys.

The table reaches the functions as the keyword argument `spans` of the model's call. Without it (plain generation, say)
they hand over to transformers' own scaled-dot-product attention.

Axes: H query heads, G key-value heads, R = H / G, T row tokens, P tokens kept from an earlier pass, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from pinpoint.engine.forward.packing import Ints, PackedRow
from pinpoint.engine.forward.varlen import Calls, Run, attend, make_calls

DENSE = "pinpoint_dense"
SPANS = "pinpoint_spans"

# A subtree of up to so many tokens is one block on a CPU. 32 documents of 300 tokens with 8 labels took, on 2 cores
# and the embedded model, 1.06 s with blocks of single spans, 0.94 s at 512 and 0.91 s at 1,024 (medians of 3).
CPU_BLOCK_TOKENS = 1024
# Query rows of one call on a CPU: bounds the mask held at a time to this many rows × the keys that they see, and leaves
# out the keys behind them, which the kernel would compute and hide. 32 documents of 300 tokens took 0.90 s at 256, 0.91
# at 128 and 0.95 at 1,024; attention of 1,000 tokens alone 5.8 ms at 256 and 8.6 at 1,024 (2 cores).
CPU_QUERY_ROWS = 256
# Masks that a pass keeps from layer to layer on a CPU.
CPU_BIASES_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that are computed together on a CPU.

    Attributes:
        run: where they are.
        above: the keys that all of them see, counted from the kept tokens.
        whole: they are whole subtrees; else the tokens of one span, each of which sees those before it.
    """

    run: Run
    above: tuple[Run, ...]
    whole: bool


@dataclass(frozen=True)
class SpanTable:
    """Which tokens of a packed row see which, for the attention functions.

    Attributes:
        row: the packed forest.
        device: where the masks and offsets are needed.
        wanted_only_in: the layer of which only the rows that score a label are read, where there is one.
    """

    row: PackedRow
    device: torch.device
    wanted_only_in: int | None = None

    @cached_property
    def dense_mask(self) -> Tensor:
        """[1, 1, T, P + T] bool: whether token i sees token j."""
        return torch.from_numpy(self.row.visible())[None, None].to(self.device)

    @cached_property
    def blocks(self) -> list[Block]:
        """On a CPU, the row cut into blocks: small subtrees, siblings together, and spans whose subtree is too large.

        Siblings share the keys above them, which are then gathered once; what is computed in vain between them is less
        than that, as long as they are fewer than those keys.
        """
        row, blocks = self.row, list[Block]()
        covered = 0
        for span, (start, stop, end) in enumerate(
            zip(row.starts.tolist(), row.stops.tolist(), row.ends.tolist(), strict=True)
        ):
            if start < covered:
                continue  # inside a block already
            whole = end - start <= CPU_BLOCK_TOKENS
            covered = end if whole else stop
            above = self._above(span)
            if whole and blocks and blocks[-1].whole and blocks[-1].above == above:
                together = end - blocks[-1].run.start
                if together <= min(CPU_BLOCK_TOKENS, sum(run.tokens for run in above)):
                    blocks[-1] = Block(Run(blocks[-1].run.start, end), above, whole)
                    continue
            blocks.append(Block(Run(start, covered), above, whole))
        return blocks

    def _above(self, span: int) -> tuple[Run, ...]:
        """The keys of a span's ancestors, kept ones first, counted from the kept tokens."""
        row, start = self.row, int(self.row.starts[span])
        kept = [Run(*keys) for (first, last), keys in row.kept_crossings if first <= start < last]
        above = list[Run]()
        parent = int(row.parents[span])
        while parent >= 0:
            above.append(Run(int(row.starts[parent]) + row.kept_tokens, int(row.stops[parent]) + row.kept_tokens))
            parent = int(row.parents[parent])
        return (*sorted(kept, key=lambda run: run.start), *above[::-1])

    def bias(self, index: int, start: int, stop: int, dtype: torch.dtype) -> Tensor:
        """[stop − start, keys] of rows of block `index`: 0 where a row sees a key, −inf elsewhere.

        Those of the first blocks are kept for the next layers, up to `CPU_BIASES_BYTES`.
        """
        found = self._biases.get((start, dtype))
        if found is None:
            block = self.blocks[index]
            above = sum(run.tokens for run in block.above)
            first, last = start - block.run.start, stop - block.run.start
            found = torch.zeros(last - first, above + last, dtype=dtype)
            if block.whole:
                seen = torch.from_numpy(self.row.visible_within(block.run.start, block.run.stop))
                hidden = ~seen[first:last, :last]
            else:
                hidden = torch.ones(last - first, last, dtype=torch.bool).triu(first + 1)
            found[:, above:].masked_fill_(hidden, -torch.inf)
            if sum(bias.nbytes for bias in self._biases.values()) + found.nbytes <= CPU_BIASES_BYTES:
                self._biases[start, dtype] = found
        return found

    @cached_property
    def _biases(self) -> dict[tuple[int, torch.dtype], Tensor]:
        return {}

    @cached_property
    def calls(self) -> Calls:
        """On CUDA, the calls of the variable-length kernel; made once for all layers."""
        return make_calls(self.row, self.device)


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
    if query.is_cuda:
        return attend(query[0], key[0], value[0], scale, spans.calls)[None], None
    narrow = spans.wanted_only_in is not None and getattr(module, "layer_idx", None) == spans.wanted_only_in
    wanted = spans.row.rows if narrow else None
    return _attend_cpu(query[0], key[0], value[0], scale, spans, wanted)[None], None


def register() -> None:
    """Make transformers know the functions; does nothing the second time."""
    for name, function in ((DENSE, dense_attention), (SPANS, span_attention)):
        if name not in ALL_ATTENTION_FUNCTIONS:
            AttentionInterface.register(name, function)


def _plain(module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
    out, _ = sdpa_attention_forward(module, *args, **kwargs)
    return out, None


def _attend_cpu(
    query: Tensor, key: Tensor, value: Tensor, scale: float, spans: SpanTable, wanted: Ints | None = None
) -> Tensor:
    """[H, T, D] against [G, P + T, D] → [T, H, D]: each block over its ancestors and itself, gathered into one run.

    With `wanted` [R], only these rows are computed; the others are zero.
    """
    heads, tokens, size = query.shape
    out = query.new_empty(tokens, heads, size) if wanted is None else query.new_zeros(tokens, heads, size)
    kept = spans.row.kept_tokens
    for index, block in enumerate(spans.blocks):
        runs = [*block.above, Run(kept + block.run.start, kept + block.run.stop)]
        keys, values = (torch.cat([x[:, run.start : run.stop] for run in runs], dim=1)[None] for x in (key, value))
        above = keys.shape[2] - block.run.tokens
        for start in range(block.run.start, block.run.stop, CPU_QUERY_ROWS):
            stop = min(start + CPU_QUERY_ROWS, block.run.stop)
            rows: slice | Tensor = slice(start, stop)
            bias = spans.bias(index, start, stop, query.dtype)
            if wanted is not None:
                rows = torch.from_numpy(wanted[slice(*np.searchsorted(wanted, (start, stop)))])
                if not len(rows):
                    continue
                bias = bias[rows - start]
            seen = above + stop - block.run.start
            out[rows] = F.scaled_dot_product_attention(
                query[None, :, rows], keys[:, :, :seen], values[:, :, :seen], attn_mask=bias, scale=scale,
                enable_gqa=True,
            )[0].transpose(0, 1)  # fmt: skip
    return out
