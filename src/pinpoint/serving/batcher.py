"""Jobs in flight share forward passes: one owner of the queue, one pass at a time, each job answered exactly once.

    job ── units ──┐
    job ── units ──┼── fair queue ── batch ── forward pass ── outcomes ──┬── job
    job ── units ──┘                                                     └── …

Everything but the pass itself runs in the event loop, so nothing here needs a lock. While a pass runs, jobs queue up,
and the next pass takes of all of them. Where the queue does not fill a pass and more jobs are on their way (arrived,
not yet encoded), the pass waits for them, a tenth of what passes take at most.

What can go wrong, and for whom:

    the caller gives up         its units leave the queue; of a pass that runs already, its outcomes are dropped
    out of memory               the batch is halved (`passes.measure`); a unit that fails alone is its job's business
    the device fails            everything in flight fails, and everything after: the process has to end
    anything else, alone        the job fails
    anything else, in company   each job's units of that batch are measured again by themselves
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from pinpoint.errors import DeviceError, PinpointError
from pinpoint.pipeline.engine_protocol import Engine
from pinpoint.pipeline.fair_queue import FairQueue, Lane, Taken
from pinpoint.pipeline.passes import measure
from pinpoint.pipeline.units import Chunk, Outcome, PassFigures, Unit
from pinpoint.serving.failures import internal_error, place
from pinpoint.serving.patience import Patience
from pinpoint.serving.watch.log_words import printable
from pinpoint.serving.watch.records import BatchRecord

log = logging.getLogger("pinpoint")

T = TypeVar("T")

Shares = list[tuple["_Waiter", list[Taken]]]  # of a batch: the units of each job

# Of a pass on a processor: larger ones are no faster by the token, and whoever comes meanwhile waits for all of it.
PROCESSOR_PASS_TOKENS = 2_048
# Of a job there that does not wait for what is put in beside it: a mail, a question.
SHORT_TOKENS = 512


class Forward(Protocol):
    """Runs a call where forward passes run, and awaits it."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Run one call after the other."""


@dataclass(slots=True, eq=False)
class _Waiter:
    """A job that waits for its units."""

    lane: Lane
    answer: asyncio.Future[list[Outcome]]
    advanced: Callable[[int], None]
    outcomes: list[Outcome] = field(default_factory=list)
    # Written by the forward thread alone: when it was queued, or its last pass ended.
    waits_since_s: float = field(default_factory=time.perf_counter)
    # Read by the forward thread between passes: nobody waits any more.
    closed: bool = False

    def settle(self, outcomes: Sequence[Outcome] | PinpointError) -> None:
        """Take the outcomes of its next units, or fail."""
        if self.answer.done():
            return
        if isinstance(outcomes, PinpointError):
            self.answer.set_exception(outcomes)
            return
        self.outcomes += outcomes
        if not outcomes:
            return  # a chunk was read
        if len(self.outcomes) == self.lane.count:
            self.answer.set_result(self.outcomes)
        else:
            self.advanced(len(self.outcomes))


class Batcher:
    """Runs the units of all jobs in flight through one engine. Belongs to one event loop.

    Attributes:
        expected: jobs that have arrived and whose units are not here yet.
    """

    def __init__(
        self,
        load: Callable[[], Engine],
        forward: Forward,
        max_queued_tokens: int,
        wait_s: float | None = 0.0,
        around: Callable[[list[str]], AbstractContextManager[Any]] = lambda jobs: nullcontext(),
        passed: Callable[[BatchRecord], None] = lambda record: None,
    ) -> None:
        """Start nothing yet.

        Args:
            load: the engine that runs the passes; called on first use, where they run.
            forward: runs a call there, one at a time.
            max_queued_tokens: asked for by all units that wait; jobs beyond are refused.
            wait_s: how long a pass that is not full waits for jobs that are expected; None: by what passes take.
            around: entered around each batch, in the thread of the passes, with the ids of its jobs.
            passed: told of each pass, in the thread of the passes.
        """
        self.expected = 0
        self._load = load
        self._engine: Engine | None = None
        self._forward = forward
        self._patience = Patience(wait_s)
        self._around = around
        self._passed = passed
        self._queue = FairQueue(max_queued_tokens)
        self._waiters: dict[Lane, _Waiter] = {}
        self._changed = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self._broken: DeviceError | None = None

    @property
    def queued_tokens(self) -> int:
        """Asked for by all units that wait."""
        return self._queue.tokens

    @contextmanager
    def expecting(self) -> Iterator[Callable[[], None]]:
        """A job is on its way, until it calls what it is given, has brought its units, or has ended."""
        open_ = True

        def arrived() -> None:
            nonlocal open_
            if open_:
                open_ = False
                self.expected -= 1
                self._changed.set()

        self.expected += 1
        try:
            yield arrived
        finally:
            arrived()

    async def engine(self) -> Engine:
        """The engine, loaded unless it is; a failed load is not remembered.

        Raises:
            ModelError, CapacityError: it cannot be loaded.
        """
        if self._engine is None:
            self._engine = await self._forward(self._load)
        return self._engine

    async def measure(self, lane: Lane, advanced: Callable[[int], None] = lambda units: None) -> list[Outcome]:
        """The outcomes of a job's units, in their order.

        Args:
            lane: the units.
            advanced: told how many are through, after each pass but the last.

        Raises:
            CapacityError: `overloaded`.
            DeviceError: the device failed.
            InternalError: the engine failed on this job.
        """
        if self._broken is not None:
            raise self._broken
        engine = await self.engine()
        if not lane.count:
            return []
        self._queue.put(lane)
        waiter = _Waiter(lane, asyncio.get_running_loop().create_future(), advanced)
        self._waiters[lane] = waiter
        self._changed.set()
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve(engine), name="batcher")
        try:
            return await waiter.answer
        finally:
            waiter.closed = True
            self._queue.drop(lane)
            self._waiters.pop(lane, None)

    async def _serve(self, engine: Engine) -> None:
        """Run passes until nothing waits."""
        try:
            while self._queue:
                await self._wait_for_more(engine)
                batch = self._queue.take(
                    _pass_tokens(engine), engine.read_tokens, engine.token_budget, 0 if engine.on_card else SHORT_TOKENS
                )
                self._fail_unlaid()
                if batch:
                    await self._pass(batch, engine)
        except DeviceError as error:
            self._broken = error.with_traceback(None)
            self._fail_all(self._broken)
        except Exception as error:  # a fault of this file: nobody must wait for ever because of it
            log.error("batcher failed type=%s at=%s", type(error).__name__, place(error))
            self._fail_all(internal_error())
        finally:
            self._serving = None

    async def _wait_for_more(self, engine: Engine) -> None:
        """Where more work is likely and there is room for it, give it a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.most_s):
                while self.expected and 0 < self._queue.tokens < _pass_tokens(engine):
                    self._changed.clear()
                    await self._changed.wait()

    async def _pass(self, batch: list[Taken], engine: Engine) -> None:
        shares = _by_waiter(batch, self._waiters)
        outcomes = await self._forward(partial(self._measure, shares, engine))
        for (waiter, _), share in zip(shares, outcomes, strict=True):
            if isinstance(share, PinpointError):
                self._queue.drop(waiter.lane)
            waiter.settle(share)

    def _measure(
        self, shares: list[tuple[_Waiter, list[Taken]]], engine: Engine
    ) -> list[list[Outcome] | PinpointError]:
        """In the forward thread: the outcomes of each waiter's units, or why it failed.

        Raises:
            DeviceError: the device failed.
        """
        units = [(waiter, taken.unit) for waiter, share in shares for taken in share]
        try:
            with self._around([waiter.lane.job for waiter, _ in shares]):
                outcomes = measure(
                    [unit for _, unit in units],
                    engine,
                    lambda index: not units[index][0].closed,
                    lambda indices, figures: self._record([units[index] for index in indices], figures, engine),
                )
        except DeviceError:
            raise
        except (Exception, SystemExit) as error:  # whatever it is, one job is to blame
            log.error(
                "batch failed type=%s at=%s jobs=%s",
                type(error).__name__, place(error), ",".join(printable(waiter.lane.job) for waiter, _ in shares),
            )  # fmt: skip
        else:
            ends = iter(outcomes)
            by_share = [[(taken.unit, next(ends)) for taken in share] for _, share in shares]
            return [[end for unit, end in share if isinstance(unit, Unit)] for share in by_share]
        # Outside the `except`, so that nothing holds the pass that failed.
        engine.release()
        if len(shares) == 1:
            return [internal_error()]
        return [alone for share in shares for alone in self._measure([share], engine)]

    def _record(self, taken: Sequence[tuple[_Waiter, Unit | Chunk]], figures: PassFigures, engine: Engine) -> None:
        if not figures.out_of_memory:
            self._patience.passed(figures.ended_s - figures.began_s - figures.decode_s)
        waiters = {id(waiter): waiter for waiter, _ in taken}.values()
        units = [(waiter, unit) for waiter, unit in taken if isinstance(unit, Unit)]
        self._passed(
            BatchRecord(
                jobs=len(waiters),
                documents=len({(id(waiter), unit.document) for waiter, unit in units}),
                asks=len(units),
                code="out_of_memory" if figures.out_of_memory else None,
                tokens_asked=figures.asked_tokens,
                tokens_computed=figures.computed_tokens,
                tokens_written=figures.written_tokens,
                queue_ms=max(figures.began_s - waiter.waits_since_s for waiter in waiters) * 1e3,
                forward_ms=figures.total_ms - figures.decode_s * 1e3,
                decode_ms=figures.decode_s * 1e3,
                store_bytes=engine.store.bytes,
                held_bytes=figures.held_bytes,
                memory=figures.memory,
            )
        )
        for waiter in waiters:
            waiter.waits_since_s = figures.ended_s

    def _fail_unlaid(self) -> None:
        for lane, error in self._queue.failed:
            log.error("job=%s cannot be laid type=%s at=%s", printable(lane.job), type(error).__name__, place(error))
            if lane in self._waiters:
                self._waiters[lane].settle(error if isinstance(error, PinpointError) else internal_error())
        self._queue.failed.clear()

    def _fail_all(self, error: PinpointError) -> None:
        for waiter in list(self._waiters.values()):
            self._queue.drop(waiter.lane)
            waiter.settle(error)


def _pass_tokens(engine: Engine) -> int:
    """What is taken into one pass; a prompt that is longer has one to itself, and what else is asked of a document that
    is in it goes along.
    """
    return engine.token_budget if engine.on_card else min(engine.token_budget, PROCESSOR_PASS_TOKENS)


def _by_waiter(batch: list[Taken], waiters: dict[Lane, _Waiter]) -> Shares:
    """The units of each job, which lie in the batch in rounds, brought together."""
    shares: dict[Lane, list[Taken]] = {}
    for taken in batch:
        shares.setdefault(taken.lane, []).append(taken)
    return [(waiters[lane], share) for lane, share in shares.items() if lane in waiters]
