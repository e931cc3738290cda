"""Guard `drain`: what the open poll still brings after SIGTERM is run.

The SDK's loop that runs jobs ends as soon as SIGTERM has come and its queue is empty; its loop that takes jobs is then
still inside a poll, and what that poll brings is queued for nobody. Here SIGTERM first only means "take no more":

    SIGTERM → no new poll; the open one has `late_take_s` to end → its jobs are queued, while the loop that runs jobs is
    still alive → only now is the SDK told to shut down → jobs end, results are posted → the stop poll is let go

After `late_take_s` the poll is closed, unless the answer's head has arrived: then it is read to its end, for as long
as `LATE_READ_S`. What no worker can rule out is an answer that crosses the closing on the wire; the platform sees that
connection break. The SDK's own time-out of 90 s cuts a poll in the same way and is treated in the same way.

The stop poll, which the SDK would sit out before it leaves, is let go with the last job. Answered at once with jobs
that are not here, or were told to stop before, it is not made anew at once either.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

from pinpoint.serving.sdk_guards.pace import Pace
from pinpoint.serving.sdk_guards.probe import Target
from pinpoint.serving.sdk_guards.runtime import Runtime

log = logging.getLogger("pinpoint.sdk")

LATE_READ_S = 5.0  # for an answer that is arriving when the poll is closed; with the rest within 10 s
FIRST_REST_S = 0.1  # after a stop poll that stopped nothing; doubles with each that follows
LONGEST_REST_S = 2.0

Fetch = Callable[[Any, int], Awaitable[list[dict[str, Any]] | None]]


class DrainGuard:
    """Puts the shutdown off until the open poll has ended."""

    name = "drain"
    targets = (
        Target("rp_scale", "JobScaler.get_jobs", "e08b2e0cfb262643"),
        Target("rp_scale", "JobScaler.__init__", "a6f8e34dff6a9dce"),
        Target("rp_scale", "JobScaler.set_scale", "e137f173c456d41b"),
        Target("rp_scale", "JobScaler.kill_worker", "863effbe007ad0f9"),
        Target("rp_scale", "JobScaler.is_alive", "261d783f83839b12"),
        Target("rp_scale", "JobScaler.handle_shutdown", "5d8a51e34251f513"),
        Target("rp_scale", "JobScaler.monitor_stop_signals", "3bf52c6dcde159b4"),
        Target("rp_scale", "JobScaler.stop_job", "dc57f329f526b934"),
    )

    def __init__(self, late_take_s: float, runtime: Runtime, reading: Callable[[], bool]) -> None:
        self.draining = False
        self.settled = False  # every job that will ever be taken is in the SDK's queue
        self._late_take_s = late_take_s
        self._runtime = runtime
        self._reading = reading  # whether an answer to the open poll is arriving
        self.on_begin: list[Callable[[], None]] = []
        self._poll: asyncio.Task[list[dict[str, Any]] | None] | None = None
        self._closing = asyncio.Event()
        self._rests = Pace(FIRST_REST_S, LONGEST_REST_S)
        self._rest_s = 0.0  # before the next stop poll
        self._told: WeakSet[asyncio.Task[Any]] = WeakSet()  # jobs that were told to stop

    def apply(self) -> None:
        """Wrap taking, scaling (the head of the loop that takes), shutting down and the stop poll."""
        from runpod.serverless.modules import rp_scale

        fetch, stops = rp_scale.get_job, rp_scale.get_stop_signals
        set_scale, kill_worker = rp_scale.JobScaler.set_scale, rp_scale.JobScaler.kill_worker

        async def drained_fetch(session: Any, num_jobs: int = 1) -> list[dict[str, Any]] | None:
            return await self._fetch(fetch, session, num_jobs)

        async def drained_set_scale(scaler: Any) -> None:
            # The head of the loop that takes: all that earlier polls brought is in the queue.
            if not self.draining:
                await set_scale(scaler)
            elif self._poll is None and not self.settled:
                self.settled = True
                kill_worker(scaler)
                self._runtime.changed.set()

        def drained_kill(scaler: Any) -> None:
            if self.draining:
                return
            self.draining = True
            if not self._runtime.call_in_loop(self._begin):  # the loop has not begun: nothing can be taken
                self.settled = True
                kill_worker(scaler)

        async def drained_stops(session: Any) -> list[str]:
            return await self._stops(stops, session)

        rp_scale.get_job = drained_fetch
        rp_scale.get_stop_signals = drained_stops
        rp_scale.JobScaler.set_scale = drained_set_scale
        rp_scale.JobScaler.kill_worker = drained_kill

    def _begin(self) -> None:
        log.info("draining: no more jobs are taken, the open poll has %.1f s", self._late_take_s)
        asyncio.get_running_loop().call_later(self._late_take_s, self._closing.set)
        for call in self.on_begin:
            call()

    async def _fetch(self, fetch: Fetch, session: Any, num_jobs: int) -> list[dict[str, Any]] | None:
        if self._poll is None:
            if self.draining:
                return None
            self._poll = asyncio.ensure_future(fetch(session, num_jobs))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({self._poll, closing}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the SDK's 90 s
            await self._close()
            raise
        finally:
            closing.cancel()
        await self._close()
        poll, self._poll = self._poll, None
        # A poll that was being read when the SDK's time was up is kept, and is what the next call returns.
        return None if poll is None or poll.cancelled() else await poll

    async def _close(self) -> None:
        """Close the poll unless it is being read; forget it when it brought nothing."""
        if self._poll is None or self._poll.done():
            return
        if self._reading():
            if not self._closing.is_set():
                return
            await asyncio.wait({self._poll}, timeout=LATE_READ_S)
        if not self._poll.done():
            self._poll.cancel()
            await asyncio.wait({self._poll})
        if self._poll.cancelled():
            self._poll = None

    async def _stops(self, stops: Callable[[Any], Awaitable[list[str]]], session: Any) -> list[str]:
        """Jobs to stop, for as long as there are jobs: the SDK would sit out this poll before it leaves."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._runtime.finished.wait(), self._rest_s)
        poll = asyncio.ensure_future(stops(session))
        finished = asyncio.ensure_future(self._runtime.finished.wait())
        try:
            await asyncio.wait({poll, finished}, return_when=asyncio.FIRST_COMPLETED)
            job_ids = await poll if poll.done() else []
        finally:
            poll.cancel()
            finished.cancel()
        tasks = {task for job_id in job_ids if (task := self._runtime.scaler.jobs_tasks.get(job_id)) is not None}
        if not job_ids or tasks - set(self._told):  # after none at all the SDK rests by itself
            self._rests.reset()
            self._rest_s = 0.0
        else:
            self._rest_s = self._rests.next_s()
        self._told.update(tasks)
        return job_ids
