"""CUDA graphs, recorded such that one that cannot be harms nobody.

What waits for the device cannot be recorded: CUDA then gives up the recording, and torch, where its end is an error,
goes on as if it were still under way (2.11; see https://github.com/pytorch/pytorch/pull/180395 and 190348). Random
numbers, and graphs that were recorded before, then fail in all of the process ("Offset increment outside graph
capture"), and the pool keeps its memory. So:

* a call that would wait raises before it does, as torch's debug mode has it, and the recording ends in order;
* a recording has a random generator of its own in place of the process's: torch notes a graph in it, and takes memory
  with the first one and gives it back with the last;
* where the end fails all the same, the allocator is told that it is one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import torch


class Tape:
    """Graphs recorded one after the other, into one pool.

    Attributes:
        pool: theirs.
        broken: whether the end of one was an error: those of the same generator are not to be used any more.
    """

    def __init__(self, pool: Any = None, generator: Any = None) -> None:
        """Take the pool and the generator of earlier graphs, or new ones."""
        self.pool = torch.cuda.graph_pool_handle() if pool is None else pool
        self._generator = generator or torch.Generator(device=f"cuda:{torch.cuda.current_device()}")
        self.broken = False
        self._graph: Any = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within the block this thread's work on the device is recorded, on a stream of its own, and not done.

        Of other threads' work nothing is recorded; it may not wait for the device meanwhile.
        """
        index = torch.cuda.current_device()
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
            self.broken = True
            with suppress(RuntimeError):  # later versions of torch have done so
                torch._C._cuda_endAllocateToPool(index, self.pool)


def record_one(call: Callable[[], None], pool: Any = None) -> tuple[Any, Any]:
    """A call as a graph, and its pool. All graphs that are made so share a generator, whose memory stays for good, so
    that one that comes or goes takes none.
    """
    index = torch.cuda.current_device()
    generator, *_ = _kept_generator(index)
    tape = Tape(pool, generator)
    try:
        return _record_one(call, tape)
    finally:
        if tape.broken:
            _kept_generator.cache_clear()


def _record_one(call: Callable[[], None], tape: Tape) -> tuple[Any, Any]:
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    with tape.running():
        call()
        graph = tape.end()
    return graph, tape.pool


@cache
def _kept_generator(index: int) -> tuple[Any, ...]:
    """A generator of a device, and what keeps it: a graph of next to nothing."""
    generator, number = torch.Generator(device=f"cuda:{index}"), torch.zeros(1, device=f"cuda:{index}")

    def call() -> None:
        number.zero_()

    graph, _ = _record_one(call, Tape(generator=generator))
    return generator, graph, number


@cache
def _stream(index: int) -> Any:
    """One for all recordings on a device: products take a workspace for each stream, and keep it."""
    return torch.cuda.Stream(index)  # type: ignore[no-untyped-call]


def _set_sync_debug_mode(mode: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it does not see all that waits
        torch.cuda.set_sync_debug_mode(mode)
