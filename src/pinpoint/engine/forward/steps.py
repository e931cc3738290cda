"""Steps of writing that are recorded once and used again: one cache that stays, and a CUDA graph for each size of it.

To ask for a step takes the host longer than the device to run it, and to record one takes as long as many of them. So
sizes are rounded up, rows to `ROWS` and places to quarters of a power of two, and a company of that size is laid
into the same tensors as those before it. All of them are taken at once, at the worker's warm-up, and count in the plan
(`planning/memory_plan.py:kept_reason_places`). A step may read nothing else but the weights: whatever is made for one
company has another address for the next.

Axes: B rows, L places of the cache, G key-value heads, D head size.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pinpoint.engine.forward.graphs import record_one
from pinpoint.engine.forward.prefix_cache import Layers
from pinpoint.engine.forward.written import RowCache

log = logging.getLogger("pinpoint")

# Of a company, dummies included.
ROWS = (1, 2, 4, 8, 16, 24, 32)
# Graphs that are kept; the one used longest ago goes. Each is some MB outside of the allocator, in the plan's context.
MOST_GRAPHS = 16

Step = Callable[[], object]
Size = tuple[int, int]  # rows and places


@dataclass(frozen=True, slots=True)
class State:
    """All that changes from step to step, in tensors that stay where they are.

    Attributes:
        token: [B, 1] that comes next.
        position: [B, 1] of it.
        last: [B, 1] the position that a row does not go beyond.
        written: [B, n] tokens so far.
        count: [1] how many these are.
    """

    token: Tensor
    position: Tensor
    last: Tensor
    written: Tensor
    count: Tensor

    @staticmethod
    def of(rows: int, tokens: int, device: torch.device) -> State:
        """Of so many rows that write up to so many tokens."""
        one = torch.zeros(rows, 1, dtype=torch.int64, device=device)
        return State(one, one.clone(), one.clone(), one.new_zeros(rows, tokens), one.new_zeros(1))

    def first(self, rows: int) -> State:
        """The same tensors, as those of the first rows."""
        return State(self.token[:rows], self.position[:rows], self.last[:rows], self.written[:rows], self.count)

    def move(self, rows: Tensor) -> None:
        """Have these rows be the first ones."""
        for held in (self.token, self.position, self.last, self.written):
            held[: len(rows)] = held[rows]


class RecordedSteps:
    """The cache that stays and the steps over it. Used by one company at a time.

    Attributes:
        places: of the cache, all rows together; 0 keeps nothing.
        made: how many steps were recorded so far.
        failed: whether one could not be: from then on steps are called.
    """

    def __init__(self, places: int, record: Callable[[Callable[[], None], object], tuple[Step, object]]) -> None:
        """Take nothing yet.

        Args:
            places: of all rows together.
            record: makes a step of a call, given the pool of the first step, or None; returns it with its pool.
        """
        self.places, self.made, self.failed = places, 0, False
        self._record = record
        self._flat: list[tuple[Tensor, Tensor]] = []
        self._state: State | None = None
        self._numbers = torch.empty(0)
        self._steps: OrderedDict[Size, Step] = OrderedDict()
        self._first: Step | None = None
        self._pool: object = None

    def size(self, rows: int, places: int) -> Size | None:
        """The size that so many rows of so many places are laid into; None where there is no room."""
        rounded = next(size for size in ROWS if size >= rows)
        return (rounded, places) if rounded * places <= self.places else None

    def take(self, like: Layers, tokens: int) -> None:
        """Take the tensors, where they are not there, for keys and values such as these and so many written tokens."""
        if self._state is None:
            self._flat = [
                (
                    keys.new_zeros(self.places * keys.shape[0] * keys.shape[2]),
                    values.new_zeros(self.places * values.shape[0] * values.shape[2]),
                )
                for keys, values in like
            ]
            device = like[0][0].device
            self._numbers = torch.arange(ROWS[-1], device=device)[:, None]
            self._state = State.of(ROWS[-1], tokens, device)

    def cache(self, like: Layers, size: Size) -> RowCache:
        """The cache as one of this size; its first rows are those of a smaller one of as many places."""
        rows, places = size
        shaped = [
            tuple(
                flat[: rows * places * x.shape[0] * x.shape[2]].view(rows, x.shape[0], places, x.shape[2])
                for flat, x in zip(held, pair, strict=True)
            )
            for held, pair in zip(self._flat, like, strict=True)
        ]
        return RowCache([keys for keys, _ in shaped], [values for _, values in shaped], self._numbers[:rows])

    def state(self, size: Size) -> State:
        """Of the rows of this size."""
        assert self._state is not None, "`take` comes first"
        return self._state.first(size[0])

    def known(self, size: Size) -> Step | None:
        """The step of this size, where it is recorded."""
        if size in self._steps:
            self._steps.move_to_end(size)
        return self._steps.get(size)

    def record(self, size: Size, call: Callable[[], None]) -> Step | None:
        """Record a step, which may not be the first of this size, and keep it; None where it could not be."""
        while len(self._steps) >= MOST_GRAPHS:
            self._steps.popitem(last=False)
        step, pool = self._tried(call, self._pool)
        if step is None:
            return None
        if self._first is None:  # kept for good: its pool is that of all others
            self._first, self._pool = step, pool
        self._steps[size] = step
        return step

    def record_once(self, call: Callable[[], None]) -> Step | None:
        """Record a step over a cache of its company's own, which goes with it; None where it could not be."""
        return self._tried(call, None)[0]

    def _tried(self, call: Callable[[], None], pool: object) -> tuple[Step | None, object]:
        try:
            made = self._record(call, pool)
        except torch.OutOfMemoryError:
            self._steps.clear()
            raise
        except RuntimeError as error:
            if self._numbers.is_cuda:
                torch.cuda.synchronize()  # a device that has failed says so here
            log.warning("steps of reasons are not recorded: %s", str(error).split("\n")[0][:200])
            self.failed = True
            self._steps.clear()  # they share a generator with the one that failed, which may be broken
            return None, None
        self.made += 1
        return made


def record_graph(call: Callable[[], None], pool: object) -> tuple[Step, object]:
    """A call as a CUDA graph that is replayed, and the pool of what it needs while it runs."""
    graph, its_pool = record_one(call, pool)
    return graph.replay, its_pool
