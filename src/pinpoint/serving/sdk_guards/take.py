"""Guard `take`: every taken job by itself, and no hot loop when the platform is down.

The SDK hands a whole batch to its queue or none of it. A job without an id ends the worker by a KeyError in its loop;
JSON that Python refuses makes the batch vanish without a trace; after a failed take it asks again at once, thousands
of times a second. Here a bad job is dropped with a line in the log, and answered with an error where it says who it
is.

Reading the body is marked, so that `drain` never cuts a take whose jobs are already on the wire.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from pinpoint.serving.sdk_guards.probe import Target
from pinpoint.serving.sdk_guards.runtime import Runtime
from pinpoint.serving.sdk_guards.taken_jobs import read_jobs

log = logging.getLogger("pinpoint.sdk")

FIRST_PAUSE_S = 0.2  # after a failed take; doubles with each that follows
LONGEST_PAUSE_S = 5.0


class TakeGuard:
    """Replaces the SDK's fetching of jobs."""

    name = "take"
    targets = (
        Target("rp_job", "get_job", "8ce238208ca5261a"),
        Target("rp_job", "_job_get_url", "08b9c30905c64480"),
        Target("rp_scale", "JobScaler.get_jobs", "e08b2e0cfb262643"),
        Target("rp_scale", "JobScaler.__init__", "a6f8e34dff6a9dce"),
    )

    def __init__(self, runtime: Runtime) -> None:
        self.reading = False  # the answer's head has arrived: what it brings is ours
        self._runtime = runtime
        self._failures = 0

    def apply(self) -> None:
        """Replace `get_job` where the scaler looks it up."""
        from runpod.serverless.modules import rp_scale

        rp_scale.get_job = self.fetch

    async def fetch(self, session: Any, num_jobs: int = 1) -> list[dict[str, Any]] | None:
        """Jobs of one take, each of them sound; None when there are none.

        Raises:
            TooManyRequests, aiohttp.ClientError: as the SDK's own; its loop expects them.
        """
        from aiohttp import ClientError
        from runpod.http_client import TooManyRequests

        try:
            body = await self._read(session, num_jobs)
        except TooManyRequests:  # the SDK pauses by itself
            raise
        except (ClientError, OSError):
            self._failures += 1
            await asyncio.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10)))
            raise
        self._failures = 0
        if not body:
            return None
        jobs, refused = read_jobs(body)
        for bad in refused:
            log.warning("job=%s status=refused at=take bytes=%d why=%r", bad.id, len(body), bad.error)
            if bad.id is not None:
                self._runtime.spawn(self._answer(session, bad.id, bad.error))
        return jobs or None

    async def _read(self, session: Any, num_jobs: int) -> bytes | None:
        from runpod.http_client import TooManyRequests
        from runpod.serverless.modules import rp_job

        async with session.get(rp_job._job_get_url(num_jobs)) as response:
            if response.status in (204, 400):  # nothing to do; 400 is what FlashBoot answers
                return None
            if response.status == 429:
                raise TooManyRequests(response.request_info, response.history, status=429, message=response.reason)
            response.raise_for_status()
            if response.content_type != "application/json":
                return None
            self.reading = True
            try:
                body: bytes = await response.read()
            finally:
                self.reading = False
            return body

    async def _answer(self, session: Any, job_id: str, error: str) -> None:
        from runpod.serverless.modules import rp_http

        await rp_http.send_result(session, {"error": error}, {"id": job_id})
