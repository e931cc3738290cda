"""Attention over a packed forest on CUDA, as a few calls of torch's variable-length kernel.

A call takes any number of pairs (a run of query rows, the keys that they see). A *wide* span, one whose ancestors have
at most `GATHER` times its own tokens, takes their keys before its own in one causal call, the last query seeing the
last key: nothing is left to do for it. A *narrow* span (the inner nodes of a trie after a long document, say) takes its
own keys alone in a causal call of the narrow ones; its ancestors come in further calls, which many narrow spans share,
a level of the forest a call. Each gives a partial attention with its log-sum-exp, and partial results merge exactly::

    lse = log(exp(a.lse) + exp(b.lse));  out = exp(a.lse − lse) · a.out + exp(b.lse − lse) · b.out

So most rows are computed once and never merged, of keys no more than a fixed multiple of the row is gathered, and the
kernel, which starts as many programs for a run of one token as for the longest of its call, has the short ones apart.

Axes: H query heads, G key-value heads, T row tokens, P tokens kept from an earlier pass, D head size.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pinpoint.engine.forward.packing import PackedRow

# A gathered key is written and read once more; a row that is merged is so about ten times over, in float32, with four
# times the heads. At 4, the keys gathered are at most nine times the row's tokens.
GATHER = 4
# Of the kernel: https://github.com/Dao-AILab/flash-attention, "all head dimensions up to 256".
MOST_HEAD_SIZE = 256


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of the row, `start` to `stop`, that queries or keys come from."""

    start: int
    stop: int

    @property
    def tokens(self) -> int:
        """Its length."""
        return self.stop - self.start


# Queries in the row, and the keys they see, in order, counted from the kept tokens: row token i is key P + i.
Pair = tuple[Run, tuple[Run, ...]]


def pairs_by_call(row: PackedRow, same_bits: bool = False) -> tuple[list[Pair], list[list[Pair]]]:
    """The call of the wide spans, and those of the narrow ones: the first over themselves, then a level each.

    With `same_bits`, kept spans are taken as they would be if they lay in the row, so that a row is merged of the same
    parts in either case. Else each kept span is a piece of its own, since far more rows share it than it is gathered
    for.

    In no call is a row twice. In the first, the rows of narrow spans stand too, with no keys, so that the whole row
    goes in and comes out as it lies. It is empty where all spans are narrow; there are no others where all are wide.
    """
    own = [Run(int(start), int(stop)) for start, stop in zip(row.starts, row.stops, strict=True)]
    keys = [Run(run.start + row.kept_tokens, run.stop + row.kept_tokens) for run in own]
    kept = [(Run(*rows), Run(*columns)) for rows, columns in row.kept_crossings]
    above: list[tuple[Run, ...]] = []  # of each span, the keys of its ancestors from the root
    wide_above: list[tuple[bool, ...]] = []  # and whether each of them is wide
    is_wide: list[bool] = []
    wide, narrow = list[Pair](), list[Pair]()
    levels: dict[int, dict[tuple[Run, ...], list[Run]]] = {}
    for span, (run, parent) in enumerate(zip(own, row.parents, strict=True)):
        if parent >= 0:
            above.append((*above[parent], keys[parent]))
            wide_above.append((*wide_above[parent], is_wide[parent]))
        else:
            above.append(tuple(columns for rows, columns in kept if rows.start <= run.start < rows.stop))
            before = itertools.accumulate((columns.tokens for columns in above[span]), initial=0)
            wide_above.append(tuple(
                same_bits and tokens <= GATHER * columns.tokens
                for tokens, columns in zip(before, above[span], strict=False)
            ))  # fmt: skip
        is_wide.append(sum(part.tokens for part in above[span]) <= GATHER * run.tokens)
        if is_wide[span]:
            wide.append((run, (*above[span], keys[span])))
            continue
        narrow.append((run, (keys[span],)))
        if wide and not wide[-1][1]:
            wide[-1] = (Run(wide[-1][0].start, run.stop), ())
        else:
            wide.append((run, ()))
        for level, seen in _levels_above(above[span], wide_above[span]):
            runs = levels.setdefault(level, {}).setdefault(seen, [])
            if runs and runs[-1].stop == run.start:
                runs[-1] = Run(runs[-1].start, run.stop)
            else:
                runs.append(run)
    others = [[(run, seen) for seen, runs in level.items() for run in runs] for _, level in sorted(levels.items())]
    return wide if any(is_wide) else [], [narrow, *others] if narrow else []


def windowed_pairs(row: PackedRow, window: int) -> list[Pair]:
    """Of each span, its rows and what one of them sees within the window: the end of its path, then its own keys."""
    pairs = list[Pair]()
    above: list[tuple[Run, ...]] = []  # of each span, the keys that its first token sees above it
    for start, stop, parent in zip(row.starts.tolist(), row.stops.tolist(), row.parents.tolist(), strict=True):
        own = Run(start + row.kept_tokens, stop + row.kept_tokens)
        if parent >= 0:
            path = (*above[parent], Run(row.starts[parent] + row.kept_tokens, row.stops[parent] + row.kept_tokens))
        else:
            path = tuple(Run(*columns) for rows, columns in row.kept_crossings if rows[0] <= start < rows[1])
        above.append(_last(path, window - 1))
        pairs.append((Run(start, stop), (*above[-1], own)))
    return pairs


def _last(runs: tuple[Run, ...], tokens: int) -> tuple[Run, ...]:
    """The last `tokens` tokens of some runs, one after the other."""
    taken: list[Run] = []
    for run in reversed(runs):
        if tokens <= 0:
            break
        taken.append(Run(max(run.start, run.stop - tokens), run.stop))
        tokens -= run.tokens
    return tuple(taken[::-1])


def _levels_above(above: Sequence[Run], wide: Sequence[bool]) -> Iterator[tuple[int, tuple[Run, ...]]]:
    """What a narrow span sees above itself, in pieces: each with a level that no other piece of its rows has.

    The nearest wide ancestor comes with all of its own; those below it are a piece each.
    """
    for level in range(len(above) - 1, -1, -1):
        if wide[level]:
            yield level, tuple(above[: level + 1])
            return
        yield level, (above[level],)


@dataclass(frozen=True, slots=True)
class VarlenCall:
    """One call of `varlen_attn`, with all that it takes on the device.

    Attributes:
        query_at, key_at: where the rows stand: a slice where the runs follow each other, else int64 indices.
        query_offsets, key_offsets: [pairs + 1] int32, where each run begins among the gathered rows.
        longest_queries, longest_keys: tokens of the longest run.
    """

    pairs: list[Pair]
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
        pairs,
        _places([queries for queries, _ in pairs], device),
        _places([run for _, seen in pairs for run in seen], device),
        _offsets(query_lengths, device),
        _offsets(key_lengths, device),
        max(query_lengths),
        max(key_lengths),
    )


@dataclass(frozen=True, slots=True)
class Calls:
    """All calls of a row.

    Attributes:
        wide: that of the wide spans; None where there are none.
        narrow: those of the narrow spans, the one over themselves first.
        narrow_at: of each of the others, where its queries stand among the narrow rows.
        window: keys that a query of the wide spans sees at most, itself included; None for all.
    """

    wide: VarlenCall | None
    narrow: list[VarlenCall]
    narrow_at: list[Tensor | slice]
    window: int | None = None


def make_calls(
    row: PackedRow, device: torch.device, window: int | None = None, same_bits: bool = False
) -> Calls | None:
    """The calls of a row, with all that they take on the device.

    With a window, every span takes what it sees of its ancestors before its own keys, in one call. None where these
    would be too many to gather. `same_bits`: see `pairs_by_call`.
    """
    if window is not None:
        pairs = windowed_pairs(row, window)
        gathered = sum(run.tokens for _, seen in pairs for run in seen)
        most = (2 * GATHER + 1) * len(row.tokens) + row.kept_tokens
        return Calls(make_call(pairs, device), [], [], window) if gathered <= most else None
    wide, narrow = pairs_by_call(row, same_bits)
    # Of each row's token, how many of the tokens before it are narrow: the narrow spans in a row of their own.
    is_narrow = np.zeros(len(row.tokens) + 1, dtype=np.int64)
    for run, _ in narrow[0] if narrow else []:
        is_narrow[run.start + 1 : run.stop + 1] = 1
    before = np.cumsum(is_narrow)
    return Calls(
        make_call(wide, device) if wide else None,
        [make_call(pairs, device) for pairs in narrow],
        [_places([Run(int(before[run.start]), int(before[run.stop])) for run, _ in pairs], device)
         for pairs in narrow[1:]],
    )  # fmt: skip


def takes(query: Tensor, value: Tensor) -> bool:
    """Whether the kernel can compute with heads of these sizes, in the last axis, and in this dtype: of 16 bits."""
    return max(query.shape[-1], value.shape[-1]) <= MOST_HEAD_SIZE and query.element_size() == 2


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, calls: Calls, sinks: Tensor | None = None
) -> Tensor:
    """query [H, T, D] against key [G, P + T, D] and value [G, P + T, E], 16-bit → [T, H, E].

    `sinks` [H] are scores without a value, one more term of each query's sum.
    """
    size, width = query.shape[-1], value.shape[-1]
    if size != width:  # the kernel takes one size of heads: zeros change neither a score nor a value
        widest = max(size, width)
        query, key, value = (F.pad(x, (0, widest - x.shape[-1])) for x in (query, key, value))
        return attend(query, key, value, scale, calls, sinks)[..., :width]
    rows, keys, values = (x.transpose(0, 1).contiguous() for x in (query, key, value))  # [tokens, heads, D]
    if calls.wide is None:
        result = torch.empty_like(rows)
    else:
        result, lse = varlen_partial(rows, keys, values, calls.wide, scale, causal=True, window=calls.window)
        if sinks is not None:
            result *= torch.sigmoid(lse - sinks.float())[..., None].to(result.dtype)
    if not calls.narrow:
        return result
    first, *others = calls.narrow
    out, lse = varlen_partial(rows, keys, values, first, scale, causal=True)
    out = out.float()
    for call, at in zip(others, calls.narrow_at, strict=True):
        part, part_lse = varlen_partial(rows, keys, values, call, scale, causal=False)
        # exp(b.lse − lse) of the docstring above; exp(a.lse − lse) is what is left of 1.
        weight = torch.sigmoid(part_lse - lse[at])[..., None]
        out[at] = torch.lerp(out[at], part.float(), weight)
        lse[at] = torch.logaddexp(lse[at], part_lse)
    if sinks is not None:
        out *= torch.sigmoid(lse - sinks.float())[..., None]
    result[first.query_at] = out.to(result.dtype)
    return result


def varlen_partial(
    query: Tensor, key: Tensor, value: Tensor, call: VarlenCall, scale: float, causal: bool, window: int | None = None
) -> tuple[Tensor, Tensor]:
    """Attention of each run of queries over its keys, all in one call.

    query [T, H, D], key and value [P + T, G, D], 16-bit → out [n, H, D] and float32 log-sum-exp [n, H], n the queries
    of all pairs in order. Causal: the last query of a pair sees all of its keys, each one before it a key less; with a
    window, no more than so many. Queries without keys come out as anything.
    """
    from torch.nn.attention.varlen import AuxRequest, varlen_attn

    queries = query[call.query_at]
    # At least 2: with single queries the kernel turns to another order of heads, and splits the keys by what else is in
    # the call, so that a row's rounding would depend on its neighbours. Later versions are told with `num_splits`.
    longest = max(2, call.longest_queries)
    options: dict[str, Any] = {"enable_gqa": query.shape[1] != key.shape[1], "num_splits": 1}
    out, lse = varlen_attn(
        queries, key[call.key_at], value[call.key_at], call.query_offsets, call.key_offsets,
        longest, max(2, call.longest_keys), scale=scale,
        window_size=(-1 if window is None else window - 1, 0 if causal else -1),
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


def _offsets(lengths: list[int], device: torch.device) -> Tensor:
    return torch.from_numpy(np.cumsum([0, *lengths], dtype=np.int32)).to(device)


def _places(runs: list[Run], device: torch.device) -> Tensor | slice:
    """Where the tokens of the runs stand, one run after the other."""
    if all(before.stop == after.start for before, after in itertools.pairwise(runs)):
        return slice(runs[0].start, runs[-1].stop)
    return torch.from_numpy(np.concatenate([np.arange(run.start, run.stop) for run in runs])).to(device)
