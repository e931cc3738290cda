"""Guard `kept`: kept results are posted on, by a timer and once more at the end.

A result that was not accepted until its deadline gave its slot back and is kept (`kept_results.py`). From then on it is
tried at growing pauses, at once when another result is accepted after an outage and when taking ends, and at last after
the worker's last job, within `LAST_S`. What is lost even then is said, a line a job.

A round goes through what is kept, longest kept first, and ends where the platform seems to be down; a refusal of one
result (404, 413) says nothing about the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any

from pinpoint.serving.sdk_guards.drain import DrainGuard
from pinpoint.serving.sdk_guards.kept_results import KeptResults, Result
from pinpoint.serving.sdk_guards.pace import Pace
from pinpoint.serving.sdk_guards.post import Reply
from pinpoint.serving.sdk_guards.probe import Target
from pinpoint.serving.watch.log_words import printable

log = logging.getLogger("pinpoint.sdk")

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
LAST_S = 5.0  # with the 2 s of the open poll within the 10 s that containers are commonly given
LAST_PAUSE_S = 0.5
AT_ONCE = 8  # posts at the end, side by side
IDS_A_LINE = 50

Attempt = Callable[[Any, Result], Awaitable[Reply]]


class KeptPosts:
    """Posts what is kept from one event loop; a task runs only while something is."""

    def __init__(self, kept: KeptResults, attempt: Attempt) -> None:
        self._kept = kept
        self._attempt = attempt
        self._session: Any = None
        self._task: asyncio.Task[None] | None = None
        self._now = asyncio.Event()
        self._down = False  # the last round ended because the platform accepted nothing, not because it refused

    def keep(self, session: Any, result: Result) -> None:
        """Keep a result and see to it that it is tried on."""
        self._session = session
        self._kept.put(result)
        if self._task is None or self._task.done():
            self._down = True
            self._task = asyncio.get_running_loop().create_task(self._run())

    def accepting(self) -> None:
        """Another result was accepted: after an outage, what is kept need not wait for its timer."""
        if self._down:
            self._now.set()

    def hurry(self) -> None:
        """Try everything now."""
        self._now.set()

    async def _run(self) -> None:
        pace = Pace(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        while len(self._kept):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._now.wait(), pace.next_s() * random.uniform(0.5, 1.0))
            self._now.clear()
            if await self._round():
                pace.reset()
            self._kept.lose_old()

    async def _round(self) -> bool:
        """One attempt for each result, until the platform seems to be down; whether any was accepted."""
        accepted = False
        for result in self._kept.results:
            if not self._kept.holds(result):  # dropped, or replaced, while another was posted
                continue
            reply = await self._try(result)
            accepted = accepted or reply.accepted
            if not (reply.accepted or reply.refused):
                self._down = True
                return accepted
        self._down = False
        return accepted

    async def _try(self, result: Result) -> Reply:
        reply = await self._attempt(self._session, result)
        if reply.accepted or reply.gone:
            if self._kept.holds(result):
                self._kept.drop(result.job_id)
            status = "posted" if reply.accepted else "gone"
            log.info("job=%s status=%s at=kept bytes=%d", printable(result.job_id), status, len(result.body))
        return reply

    async def finish(self) -> None:
        """The last job has ended: try all that is kept, again and again for `LAST_S`; then say what is lost."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if not len(self._kept):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                while len(self._kept):
                    slots = asyncio.Semaphore(AT_ONCE)

                    async def one(result: Result, slots: asyncio.Semaphore = slots) -> None:
                        async with slots:
                            await self._try(result)

                    await asyncio.gather(*(one(result) for result in self._kept.results))
                    if len(self._kept):
                        await asyncio.sleep(LAST_PAUSE_S)
        for result in self._kept.results:
            self._kept.lose(result, "worker_ends")


class KeptGuard:
    """Puts `KeptPosts` before the end of the worker's loop. Stands on `runtime`, `drain` and `results`."""

    name = "kept"
    # What it wraps is what `runtime` put there, after a look at it of its own.
    targets: tuple[Target, ...] = ()

    def __init__(self, drain: DrainGuard, posts: KeptPosts, waiting: Callable[[], list[str]]) -> None:
        self._drain = drain
        self._posts = posts
        self._waiting = waiting  # jobs whose results are not accepted yet

    def apply(self) -> None:
        """Wrap the loop that runs jobs, whose end is the end of the last of them; the session is open until then."""
        from runpod.serverless.modules import rp_scale

        run_jobs = rp_scale.JobScaler.run_jobs

        async def run_jobs_and_post(scaler: Any, session: Any) -> None:
            try:
                await run_jobs(scaler, session)
            finally:
                await self._posts.finish()

        rp_scale.JobScaler.run_jobs = run_jobs_and_post
        self._drain.on_begin.append(self._drain_begins)

    def _drain_begins(self) -> None:
        """Try all at once, and name them now: nobody knows whether there will be time to."""
        ids = [printable(job_id) for job_id in self._waiting()]
        for start in range(0, len(ids), IDS_A_LINE):
            some = ids[start : start + IDS_A_LINE]
            log.warning("draining: results not accepted yet: %d jobs=%s", len(some), ",".join(some))
        self._posts.hurry()
