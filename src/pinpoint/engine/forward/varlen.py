"""Attention over a packed forest on CUDA: one call of a variable-length kernel, and tiles for the rest.

The kernel is torch's, or `flash3`'s where that is there.

The call takes any number of pairs (a run of query rows, the keys that they see). A wide span takes its ancestors' keys
before its own, causally, the last query seeing the last key. What is narrow (`runs.py`) is computed by `tiles.py`, with
its keys where they lie: no key is gathered for a few rows, and no partial result is merged. A cap on the scores is
none of the call's, so with one all spans are narrow.

Axes: H query heads, G key-value heads, T row tokens, P tokens kept from an earlier pass, D head size, E that of values.
"""

from __future__ import annotations

import inspect
import itertools
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pinpoint.engine.forward import flash3, tiles
from pinpoint.engine.forward.packing import PackedRow
from pinpoint.engine.forward.runs import GATHER, NEVER, Group, Pair, Run, split
from pinpoint.engine.forward.tiles import Tiles, make_tiles, tile_tokens

# Of the kernel: https://github.com/Dao-AILab/flash-attention, "all head dimensions up to 256".
MOST_HEAD_SIZE = 256


@dataclass(frozen=True, slots=True)
class VarlenCall:
    """One call of the kernel.

    Attributes:
        query_at, key_at: where in the row, and among all keys, each gathered token stands; a slice where they lie side
            by side, and need not be gathered.
        query_offsets, key_offsets: where each pair begins among them, and where the last ends.
        longest_queries, longest_keys: tokens of the longest run.
    """

    query_at: Tensor | slice
    key_at: Tensor | slice
    query_offsets: Tensor
    key_offsets: Tensor
    longest_queries: int
    longest_keys: int


def make_call(pairs: list[Pair], device: torch.device) -> VarlenCall:
    """The call of some pairs."""
    query_lengths = [queries.tokens for queries, _ in pairs]
    key_lengths = [sum(run.tokens for run in seen) for _, seen in pairs]
    return VarlenCall(
        _places([queries for queries, _ in pairs], device),
        _places([run for _, seen in pairs for run in seen], device),
        _offsets(query_lengths, device),
        _offsets(key_lengths, device),
        max(query_lengths),
        max(key_lengths),
    )


@dataclass(frozen=True, slots=True)
class Calls:
    """How a row is computed.

    Attributes:
        row: the packed forest.
        device: where its numbers are needed.
        wide: the call of the wide spans; None where there are none.
        narrow: the groups of narrow rows.
        window: keys that a query sees at most, itself included; None for all.
    """

    row: PackedRow
    device: torch.device
    wide: VarlenCall | None
    narrow: list[Group]
    window: int | None = None
    _tiles: dict[int, Tiles] = field(default_factory=dict)

    def tiles(self, tokens: int) -> Tiles:
        """The narrow rows in tiles of so many tokens, made once for all layers."""
        if tokens not in self._tiles:
            self._tiles[tokens] = make_tiles(self.row, self.narrow, tokens, self.device, self.window)
        return self._tiles[tokens]


def make_calls(
    row: PackedRow, device: torch.device, window: int | None = None, same_bits: bool = False, capped: bool = False
) -> Calls:
    """How a row is computed, with a `window` or a cap on its scores or without. `same_bits`: see `runs.split`."""
    wide, narrow = split(row, window, same_bits, NEVER if capped else GATHER)
    return Calls(row, device, make_call(wide, device) if wide else None, narrow, window)


def takes(query: Tensor, value: Tensor) -> bool:
    """Whether the kernels can compute with heads of these sizes, in the last axis, and in this dtype: of 16 bits."""
    return max(query.shape[-1], value.shape[-1]) <= MOST_HEAD_SIZE and query.element_size() == 2


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, calls: Calls, sinks: Tensor | None = None,
    softcap: float | None = None,
) -> Tensor:  # fmt: skip
    """query [H, T, D] against key [G, P + T, D] and value [G, P + T, E], 16-bit → [T, H, E].

    `sinks` [H] are scores without a value, one more term of each query's sum. With `softcap`, scores become
    softcap · tanh(scores / softcap), and the calls are those of a capped row.
    """
    size, width = query.shape[-1], value.shape[-1]
    if size != width:  # the kernel takes one size of heads: zeros change neither a score nor a value
        widest = max(size, width)
        query, key, value = (F.pad(x, (0, widest - x.shape[-1])) for x in (query, key, value))
        return attend(query, key, value, scale, calls, sinks, softcap)[..., :width]
    if calls.wide is None:
        result = query.new_empty(query.shape[1], query.shape[0], size)
    else:
        rows, keys, values = (x.transpose(0, 1).contiguous() for x in (query, key, value))  # [tokens, heads, D]
        result, lse = varlen_partial(rows, keys, values, calls.wide, scale, causal=True, window=calls.window)
        if sinks is not None:
            result *= torch.sigmoid(lse - sinks.float())[..., None].to(result.dtype)
    if calls.narrow:
        cut = calls.tiles(tile_tokens(len(query), len(key)))
        tiles.attend(query, key, value, scale, cut, result, sinks, softcap)
    return result


def varlen_partial(
    query: Tensor, key: Tensor, value: Tensor, call: VarlenCall, scale: float, causal: bool, window: int | None = None
) -> tuple[Tensor, Tensor]:
    """Attention of each run of queries over its keys, all in one call.

    query [T, H, D], key and value [P + T, G, D], 16-bit → out [n, H, D] and float32 log-sum-exp [n, H], n the queries
    of all pairs in order. Causal: the last query of a pair sees all of its keys, each one before it a key less; with a
    window, no more than so many. Queries without keys come out as anything.
    """
    queries = query[call.query_at]
    # At least 2: with single queries the kernel turns to another order of heads, and splits the keys by what else is in
    # the call, so that a row's rounding would depend on its neighbours. Later versions are told with `num_splits`.
    longest, longest_keys = max(2, call.longest_queries), max(2, call.longest_keys)
    if flash3.takes(query, window):
        out, lse = flash3.attend(
            queries, key[call.key_at], value[call.key_at], call.query_offsets, call.key_offsets, longest, longest_keys,
            scale, causal=causal,
        )  # fmt: skip
        return out, lse.transpose(0, 1)
    from torch.nn.attention.varlen import AuxRequest, varlen_attn

    options: dict[str, Any] = {"enable_gqa": query.shape[1] != key.shape[1], "num_splits": 1}
    out, lse = varlen_attn(
        queries, key[call.key_at], value[call.key_at], call.query_offsets, call.key_offsets,
        longest, longest_keys, scale=scale,
        window_size=(-1 if window is None else window - 1, 0 if causal else -1),
        return_aux=AuxRequest(lse=True), **{name: options[name] for name in options.keys() & _varlen_options()},
    )  # fmt: skip
    # The kernel's layout is [H, n], whatever torch's documentation says; [n, H] would spoil sinks.
    if lse.shape != (queries.shape[1], queries.shape[0]):
        raise RuntimeError(f"varlen_attn gave log-sum-exps of {list(lse.shape)} for queries of {list(queries.shape)}")
    return out, lse.transpose(0, 1).float()


@cache
def _varlen_options() -> frozenset[str]:
    """What `varlen_attn` of this torch can be told; 2.11 knows neither option, and takes grouped heads as they are."""
    from torch.nn.attention.varlen import varlen_attn

    return frozenset(inspect.signature(varlen_attn).parameters)


def _offsets(lengths: list[int], device: torch.device) -> Tensor:
    return torch.from_numpy(np.cumsum([0, *lengths], dtype=np.int32)).to(device)


def _places(runs: list[Run], device: torch.device) -> Tensor | slice:
    """Where the tokens of the runs stand, one run after the other."""
    if all(before.stop == after.start for before, after in itertools.pairwise(runs)):
        return slice(runs[0].start, runs[-1].stop)
    return torch.from_numpy(np.concatenate([np.arange(run.start, run.stop) for run in runs])).to(device)
