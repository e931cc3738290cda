"""The model in this process: what a worker would answer, by the worker's own code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from pinpoint.client.transport import Accepted, Answered
from pinpoint.errors import JobError

NO_DEADLINE_MS = 1e12  # nobody else waits for the model
AT_ONCE = 2  # one in the forward pass, one being encoded. A third would make passes longer: slower on a CPU
MAX_BYTES = 50_000_000


class LocalTransport:
    """A worker of this process, made and loaded with the first request."""

    def __init__(self) -> None:
        """Nothing is loaded yet."""
        # Imported here: a client of an endpoint needs none of it.
        from pinpoint.serving.worker import Worker
        from pinpoint.settings import read_settings

        self.max_bytes = MAX_BYTES
        self.at_once = AT_ONCE
        self.on_busy: Callable[[], None] = lambda: None
        self._worker = Worker(read_settings())

    async def answer(self, request: bytes, accepted: Accepted) -> Answered:
        """Answer a request."""
        job = {"input": json.loads(request), "policy": {"executionTimeout": NO_DEADLINE_MS}}
        return Answered(await self._worker.answer(job))

    async def check(self) -> dict[str, Any]:
        """Nothing is in the way."""
        return {}

    async def collect(self, job_id: str) -> Answered:
        """Nothing outlives the process. Raises JobError `job_forgotten`."""
        raise JobError("job_forgotten", "this process keeps no jobs")

    async def close(self) -> None:
        """End what works beside the model, which stays: the next client of this process finds it loaded."""
        await asyncio.to_thread(self._worker.close)
