"""CUDA graphs, recorded such that one that cannot be harms nobody.

What waits for the device cannot be recorded: CUDA then gives up the recording, and torch, where its end is an error,
goes on as if it were still under way (2.11; see https://github.com/pytorch/pytorch/pull/180395 and 190348). Random
numbers, and graphs that were recorded before, then fail in all of the process ("Offset increment outside graph
capture"), and the pool keeps its memory. So:

* a call that would wait raises before it does, as torch's debug mode has it, and the recording ends in order;
* a recording has a random generator of its own in place of the process's, which no other graph shares;
* where the end fails all the same, the allocator is told that it is one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import torch


class Tape:
    """Graphs recorded one after the other, into one pool."""

    def __init__(self, pool: Any = None) -> None:
        """Take a pool: that of earlier graphs, or a new one."""
        self.pool = torch.cuda.graph_pool_handle() if pool is None else pool
        self._graph: Any = None
        self._generator: Any = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within the block this thread's work on the device is recorded, on a stream of its own, and not done.

        Of other threads' work nothing is recorded; it may not wait for the device meanwhile.
        """
        index = torch.cuda.current_device()
        self._generator = torch.Generator(device=f"cuda:{index}")
        before = torch.cuda.get_sync_debug_mode()
        with torch.cuda.stream(_stream(index)):
            _set_sync_debug_mode(2)
            try:
                self._begin()
                yield
            except BaseException:
                self._abandon(index)
                raise
            finally:
                _set_sync_debug_mode(before)

    def cut(self) -> Any:
        """End a graph and begin the next one; returns the one that is ended."""
        ended = self.end()
        self._begin()
        return ended

    def end(self) -> Any:
        """End the last graph, within `running`, and return it."""
        graph = self._graph
        graph.capture_end()
        self._graph = None
        return graph

    def _begin(self) -> None:
        self._graph = torch.cuda.CUDAGraph()
        # A graph takes the state that is the process's as it begins; what would draw from that later is not recorded.
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        own = generator.graphsafe_get_state()
        generator.graphsafe_set_state(self._generator)
        try:
            self._graph.capture_begin(pool=self.pool, capture_error_mode="thread_local")
        finally:
            generator.graphsafe_set_state(own)

    def _abandon(self, index: int) -> None:
        graph, self._graph = self._graph, None
        if graph is None:
            return
        try:
            graph.capture_end()
        except RuntimeError:
            with suppress(RuntimeError):  # later versions of torch have done so
                torch._C._cuda_endAllocateToPool(index, self.pool)


@cache
def _stream(index: int) -> Any:
    """One for all recordings on a device: products take a workspace for each stream, and keep it."""
    return torch.cuda.Stream(index)  # type: ignore[no-untyped-call]


def _set_sync_debug_mode(mode: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it does not see all that waits
        torch.cuda.set_sync_debug_mode(mode)
