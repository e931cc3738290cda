"""Which way each span of a packed row attends on CUDA: its keys gathered, or where they lie.

A *wide* span has at most `GATHER` times its own tokens above itself: its ancestors' keys are gathered before its own,
and torch's variable-length kernel computes it (`varlen.py`). All others (a list of labels behind a long document, the
nodes of tries) are *narrow*, and go in groups of neighbours that see the same spans above them, in tiles (`tiles.py`).

Axes: T row tokens, P tokens kept from an earlier pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pinpoint.engine.forward.packing import PackedRow
from pinpoint.prompting.span_tree import NO_PARENT

# A gathered key is written and read once more; a narrow row is computed by a kernel that does less in the same time. On
# an H200 1 took up to 12 % more of attention's time by the job, 16 up to 22 %, and 0 up to 39 %.
GATHER = 4
NEVER = -1  # as `gather`: no span is wide


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


@dataclass(slots=True)
class Group:
    """Neighbouring narrow rows below the same spans.

    Attributes:
        start, stop: the rows.
        path: keys that all of them see, those of each span from the root down; what else they see lies among the rows.
    """

    start: int
    stop: int
    path: tuple[Run, ...]


def split(
    row: PackedRow, window: int | None = None, same_bits: bool = False, gather: int = GATHER
) -> tuple[list[Pair], list[Group]]:
    """The wide spans, each with the keys it sees, and the narrow rows.

    In the first, the rows of narrow spans stand too, with no keys, so that the whole row goes in and comes out as it
    lies. It is empty where all spans are narrow.

    Args:
        row: the packed forest.
        window: keys that a query sees at most, itself included; None for all.
        same_bits: a group holds one span alone or one trie, so that its tiles are the same whatever stands beside it,
            and whether what is above it is kept or laid.
        gather: of the tokens of a wide span, how many times may be above it.
    """
    wide, groups = list[Pair](), list[Group]()
    paths: dict[int, tuple[Run, ...]] = {}  # of each span that is no trie's, its ancestors' keys and its own
    lengths: dict[int, int] = {}  # their tokens
    any_wide, ends_with, hangs_on = False, NO_PARENT, NO_PARENT  # of the last group: its last span, what it is under
    kept = [(Run(*rows), Run(*columns)) for rows, columns in row.kept_crossings]
    for span, run, is_trie in _in_order(row):
        parent = int(row.parents[span])
        if parent >= 0:
            above, tokens = paths[parent], lengths[parent]
        else:
            above = tuple(columns for rows, columns in kept if rows.start <= run.start < rows.stop)
            tokens = sum(part.tokens for part in above)
        if not is_trie:
            own = Run(run.start + row.kept_tokens, run.stop + row.kept_tokens)
            paths[span], lengths[span] = (*above, own), tokens + run.tokens
            if (tokens if window is None else min(tokens, window - 1)) <= gather * run.tokens:
                seen = above if window is None else _last(above, window - 1)
                wide.append((run, (*seen, own)))
                any_wide = True
                continue
        if wide and not wide[-1][1]:
            wide[-1] = (Run(wide[-1][0].start, run.stop), ())
        else:
            wide.append((run, ()))
        last = groups[-1] if groups and groups[-1].stop == run.start and not same_bits else None
        if last and is_trie and parent == ends_with != NO_PARENT:
            last.stop = run.stop  # a trie behind its own narrow span
        elif last and parent == hangs_on and (parent >= 0 or last.path == above):
            last.stop, ends_with = run.stop, span
        else:
            groups.append(Group(run.start, run.stop, above))
            ends_with, hangs_on = span, parent
    return wide if any_wide else [], groups


def _in_order(row: PackedRow) -> Iterator[tuple[int, Run, bool]]:
    """Spans and whole tries, as they lie: the span's number (a trie's first), its rows, and whether it is a trie."""
    tries = np.asarray(row.tries, dtype=np.int64).reshape(-1, 2)
    trie = np.searchsorted(tries[:, 0], row.starts, side="right") - 1
    inside = (trie >= 0) & (row.starts < tries[np.maximum(trie, 0), 1]) if len(tries) else np.zeros(len(trie), bool)
    begins = inside & (row.starts == tries[np.maximum(trie, 0), 0]) if len(tries) else inside
    stops = np.where(begins, tries[np.maximum(trie, 0), 1], row.stops) if len(tries) else row.stops
    chosen = np.flatnonzero(~inside | begins)
    for span, start, stop, is_trie in zip(
        chosen.tolist(), row.starts[chosen].tolist(), stops[chosen].tolist(), begins[chosen].tolist(), strict=True
    ):
        yield span, Run(start, stop), is_trie


def _last(runs: Sequence[Run], tokens: int) -> tuple[Run, ...]:
    """The last `tokens` tokens of some runs, one after the other."""
    taken: list[Run] = []
    for run in reversed(runs):
        if tokens <= 0:
            break
        taken.append(Run(max(run.start, run.stop - tokens), run.stop))
        tokens -= run.tokens
    return tuple(taken[::-1])
