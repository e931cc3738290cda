"""Guard `take`: every taken job by itself, and no hot loop whatever the platform answers.

The SDK hands a whole batch to its queue or none of it. A job without an id ends the worker by a KeyError in its loop;
JSON that Python refuses makes the batch vanish without a trace; after a failed take, or one that was answered at once
with nothing, it asks again at once, thousands of times a second. Here a bad job is dropped with a line in the log, and
answered with an error where it says who it is. Takes that bring no job have a floor between their beginnings, which
grows to a second: a poll that the platform holds is not delayed, and one that it does not hold is no storm.

Reading the body is marked, so that `drain` does not cut a take whose jobs are already on the wire. The body has bounds
of its own, since the session's are 600 s: one that stalls is let go, and the next take follows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from pinpoint.serving.sdk_guards.pace import Pace
from pinpoint.serving.sdk_guards.probe import Target
from pinpoint.serving.sdk_guards.runtime import Runtime
from pinpoint.serving.sdk_guards.taken_jobs import Refused, read_jobs
from pinpoint.serving.watch.log_words import printable

log = logging.getLogger("pinpoint.sdk")

FIRST_PAUSE_S = 0.2  # after a failed take; doubles with each that follows
LONGEST_PAUSE_S = 5.0
FIRST_FLOOR_S = 0.1  # between the beginnings of two takes that bring nothing; doubles likewise
LONGEST_FLOOR_S = 1.0
STALL_S = 10.0  # without a byte of a body that has begun


class TakeGuard:
    """Replaces the SDK's fetching of jobs."""

    name = "take"
    targets = (
        Target("rp_job", "get_job", "8ce238208ca5261a"),
        Target("rp_job", "_job_get_url", "08b9c30905c64480"),
        Target("rp_scale", "JobScaler.get_jobs", "e08b2e0cfb262643"),
        Target("rp_scale", "JobScaler.__init__", "a6f8e34dff6a9dce"),
    )

    def __init__(self, runtime: Runtime, body_s: float) -> None:
        self.reading = False  # the answer's head has arrived: what it brings is ours
        self._runtime = runtime
        self._body_s = body_s  # for a whole body
        self._failed = Pace(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._empty = Pace(FIRST_FLOOR_S, LONGEST_FLOOR_S)

    def apply(self) -> None:
        """Replace `get_job` where the scaler looks it up."""
        from runpod.serverless.modules import rp_scale

        rp_scale.get_job = self.fetch

    async def fetch(self, session: Any, num_jobs: int = 1) -> list[dict[str, Any]] | None:
        """Jobs of one take, each of them sound; None when there are none.

        Raises:
            TooManyRequests, aiohttp.ClientError, TimeoutError: as the SDK's own; its loop expects them.
        """
        from runpod.http_client import TooManyRequests

        began_s = time.monotonic()
        try:
            body = await self._read(session, num_jobs)
        except TooManyRequests:  # the SDK pauses by itself
            raise
        except Exception:
            await asyncio.sleep(self._failed.next_s())
            raise
        self._failed.reset()
        jobs, refused = read_jobs(body)
        for bad in refused:
            self._refuse(session, bad, len(body))
        if jobs or any(bad.id is not None for bad in refused):  # whatever they are worth, the queue had some
            self._empty.reset()
        else:
            await asyncio.sleep(max(0.0, began_s + self._empty.next_s() - time.monotonic()))
        return jobs or None

    def _refuse(self, session: Any, bad: Refused, size_bytes: int) -> None:
        """Say what cannot be run, and answer it where it says who it is."""
        name = "-" if bad.id is None else printable(bad.id)
        log.warning("job=%s status=refused at=take bytes=%d why=%r", name, size_bytes, bad.error)
        if bad.id is not None:
            self._runtime.spawn(self._answer(session, bad.id, bad.error))

    async def _read(self, session: Any, num_jobs: int) -> bytes:
        from runpod.http_client import TooManyRequests
        from runpod.serverless.modules import rp_job

        async with session.get(rp_job._job_get_url(num_jobs)) as response:
            if response.status in (204, 400):  # nothing to do; 400 is what FlashBoot answers
                return b""
            if response.status == 429:
                raise TooManyRequests(response.request_info, response.history, status=429, message=response.reason)
            response.raise_for_status()
            if response.content_type != "application/json":
                return b""
            self.reading = True
            try:
                return await self._body(response)
            finally:
                self.reading = False

    async def _body(self, response: Any) -> bytes:
        chunks = list[bytes]()
        async with asyncio.timeout(self._body_s):
            while True:
                async with asyncio.timeout(STALL_S):
                    chunk = await response.content.readany()
                if not chunk:
                    return b"".join(chunks)
                chunks.append(chunk)

    async def _answer(self, session: Any, job_id: str, error: str) -> None:
        from runpod.serverless.modules import rp_http

        await rp_http.send_result(session, {"error": error}, {"id": job_id})
