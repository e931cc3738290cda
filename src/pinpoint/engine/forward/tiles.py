"""Attention of narrow rows on CUDA, in tiles: neighbouring rows of a group, whose keys are taken where they lie.

The row is depth-first, so a row's key is seen by one run of rows: from itself up to the end of its span's last
descendant. One number a key is the whole mask. A tile sees all keys of its group's path, and among the group's own rows
those that their numbers say, from the first ancestor of the tile's first row on.

What a row gets does not depend on the other rows of its tile: keys that it does not see add zeros. So it has the same
bits whatever stands beside its group, as long as the group is cut into the same tiles.

Axes: H query heads, G key-value heads, T row tokens, P tokens kept from an earlier pass, D head size, t tiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pinpoint.engine.forward.packing import Ints, PackedRow
from pinpoint.engine.forward.runs import Group

# Rows of a product: tokens of a tile times the query heads that share keys, at most `MOST_HEADS` of them a program.
PRODUCT_ROWS, MOST_HEADS = 64, 8
NO_WINDOW = 0
# Keys at a time, of heads up to 128 numbers and beyond. On an H200, with the heads of Mixtral 8x7B, 128 rows by eight
# warps or two stages took up to 8 % more of attention's time by the job, 128 keys up to 78 %.
KEYS, KEYS_OF_LARGE_HEADS = 64, 32
WARPS, STAGES = 4, 3
# Each table begins at a multiple of so many numbers: Triton compiles another kernel for a pointer that does not, and a
# job would wait for it.
ALIGNED = 32
# Columns of a tile: its rows from and to, the runs of its path from and to, and the first key among the group's rows.
TILE = 5


@dataclass(frozen=True, slots=True)
class Tiles:
    """The narrow rows of a packed row, cut for the kernel, on the device.

    Attributes:
        tiles: [t, TILE].
        runs: [·, 3] of all paths: keys from and to, and the position of the first in its prompt.
        ends: [T] of each row, up to which row its key is seen: from itself on.
        positions: [P + T] of each key in its own prompt.
        kept_tokens: P.
        window: keys that a query sees at most, itself included; `NO_WINDOW` for all.
    """

    tiles: Tensor
    runs: Tensor
    ends: Tensor
    positions: Tensor
    kept_tokens: int
    window: int


def heads_together(heads: int, groups: int) -> tuple[int, int]:
    """Query heads of one program, a power of two, and how many programs the heads of one key-value head take."""
    sharing = heads // groups
    together = min(MOST_HEADS, 1 << (sharing - 1).bit_length())
    return together, -(-sharing // together)


def tile_tokens(heads: int, groups: int) -> int:
    """Tokens of a tile."""
    return PRODUCT_ROWS // heads_together(heads, groups)[0]


def make_tiles(
    row: PackedRow, groups: list[Group], tokens: int, device: torch.device, window: int | None = None
) -> Tiles:
    """The tiles of some groups, of at most `tokens` rows each.

    All numbers go to the device in one copy.
    """
    starts, stops = (_ints([getattr(group, name) for group in groups]) for name in ("start", "stop"))
    runs = [len(group.path) for group in groups]
    path_ends = np.cumsum(runs)
    counts = -(-(stops - starts) // tokens)
    group = np.repeat(np.arange(len(groups)), counts)
    first = starts[group] + tokens * (np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts))
    last = np.minimum(first + tokens, stops[group])
    tiles = np.stack(
        [first, last, (path_ends - runs)[group], path_ends[group], row.kept_tokens + _tops(row, first, starts[group])],
        axis=1,
    )
    positions = np.concatenate([row.kept_positions, row.positions])
    keys = _ints([(run.start, run.stop) for group in groups for run in group.path]).reshape(-1, 2)
    paths = np.concatenate([keys, positions[keys[:, :1]]], axis=1)
    parts = [tiles, paths, np.repeat(row.ends, row.stops - row.starts), positions]
    starts_at = np.cumsum([0, *(-(-part.size // ALIGNED) * ALIGNED for part in parts)]).tolist()
    flat = np.zeros(starts_at[-1], dtype=np.int32)
    for start, part in zip(starts_at, parts, strict=False):
        flat[start : start + part.size] = part.reshape(-1)
    sent = torch.from_numpy(flat).to(device)
    on_device = [
        sent[start : start + part.size].view(part.shape) for start, part in zip(starts_at, parts, strict=False)
    ]
    return Tiles(
        on_device[0], on_device[1], on_device[2], on_device[3], row.kept_tokens,
        NO_WINDOW if window is None else window,
    )  # fmt: skip


def _tops(row: PackedRow, rows: Ints, starts: Ints) -> Ints:
    """Of some rows, where the first ancestor of each begins among the rows from `starts` on; its own span counts."""
    span = np.searchsorted(row.starts, rows, side="right") - 1
    while True:
        parent = row.parents[span]
        up = (parent >= 0) & (row.starts[np.maximum(parent, 0)] >= starts)
        if not up.any():
            return row.starts[span]
        span = np.where(up, parent, span)


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, tiles: Tiles, out: Tensor,
    sinks: Tensor | None = None, softcap: float | None = None,
) -> None:  # fmt: skip
    """query [H, T, D] against key and value [G, P + T, D], 16-bit: writes the tiles' rows of `out` [T, H, D].

    `sinks` [H] are scores without a value; with `softcap`, scores become softcap · tanh(scores / softcap).
    """
    from pinpoint.engine.forward import tile_kernel  # triton comes with torch's CUDA builds alone

    heads, groups, size = len(query), len(key), query.shape[-1]
    together, programs = heads_together(heads, groups)
    block = max(16, 1 << (size - 1).bit_length())
    grid = (len(tiles.tiles), groups * programs)
    strides = [stride for each in (query, key, value) for stride in each.stride()[:2]]
    tile_kernel.attend_tiles[grid](
        query, key, value, out, sinks, tiles.tiles, tiles.runs, tiles.ends, tiles.positions, *strides,
        *out.stride()[:2], tiles.kept_tokens, heads // groups, size, scale, softcap or 0.0, tiles.window,
        PROGRAMS=programs, TOGETHER=together, TOKENS=PRODUCT_ROWS // together, BLOCK=block,
        KEYS=KEYS if block <= 128 else KEYS_OF_LARGE_HEADS, WINDOW=tiles.window != NO_WINDOW, CAP=softcap is not None,
        SINKS=sinks is not None, num_warps=WARPS, num_stages=STAGES,
    )  # fmt: skip


def _ints(values: list[int] | list[tuple[int, int]]) -> Ints:
    return np.asarray(values, dtype=np.int64)
