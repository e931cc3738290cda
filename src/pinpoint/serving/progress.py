"""Progress of jobs of many documents, posted to the platform while they run.

The SDK's `progress_update` starts a thread with an event loop and a session of its own for each update, and nobody
waits for it: an update that is slow arrives after the result, and a finished job is in progress again. Here the same
body goes through the same function of the SDK (`rp_http.send_result`, which the guard `results` makes try once), from
the worker's own loop: at most one update is on its way, and it is given up before the result is returned.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger("pinpoint")

PROGRESS_DOCUMENTS = 16  # of a job; smaller ones are over before anybody looks
PROGRESS_S = 2.0  # between two updates, and before the first

Send = Callable[[dict[str, Any], dict[str, int]], Awaitable[None]]
Clock = Callable[[], float]


async def send_to_platform(job: dict[str, Any], figures: dict[str, int]) -> None:
    """Post what the SDK's `progress_update` posts."""
    from runpod.http_client import AsyncClientSession
    from runpod.serverless.modules import rp_http

    async with AsyncClientSession() as session:
        await rp_http.send_result(session, {"status": "IN_PROGRESS", "output": figures}, job)


class Progress:
    """The updates of one job; use it with `async with`, so that none outlives it."""

    def __init__(
        self, job: dict[str, Any], documents: int, send: Send | None = None, clock: Clock = time.monotonic
    ) -> None:
        """`send` None, or few documents, sends nothing."""
        self._job = {"id": job.get("id")}
        self._documents = documents
        self._send = send if documents >= PROGRESS_DOCUMENTS else None
        self._clock = clock
        self._last_s = clock()
        self._update: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Progress:
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._update is not None:
            self._update.cancel()
            await asyncio.wait({self._update})

    def documents_done(self, documents: int) -> None:
        """So many are through; told to the platform unless it was told a moment ago. In the event loop."""
        now_s = self._clock()
        busy = self._update is not None and not self._update.done()
        if self._send is None or busy or now_s - self._last_s < PROGRESS_S:
            return
        self._last_s = now_s
        self._update = asyncio.create_task(self._post(self._send, documents))

    async def _post(self, send: Send, documents: int) -> None:
        try:
            await send(self._job, {"documents_done": documents, "documents": self._documents})
        except Exception as error:  # it is only news: the job goes on
            log.warning("progress was not sent type=%s", type(error).__name__)
