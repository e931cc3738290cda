"""RunPod's batch jobs: up to 5,000 jobs are put into a batch, which is left to workers of its own and looked at now
and then. Beta there, as of August 2026: docs.runpod.io, "Batch jobs".

    create (empty) ── add, 10 MiB a call ── finalise ── look at the counts ── list the results, page by page

A batch has no state for "done": it is when `requestCompleted + requestFailed` is `requestTotal`. The list names no
inputs and has no order of ours, so a document's id in a job is `JOB.PLACE`, with JOB the job's number in its batch;
which jobs failed is known by their absence. Their documents are put into smaller jobs of a further batch, and at last
alone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from pinpoint.client.documents import Document, Question
from pinpoint.client.jobs import Wire
from pinpoint.client.queue import QueueTransport
from pinpoint.client.results import Result, unreadable
from pinpoint.client.told import job_error
from pinpoint.errors import JobError, NotFoundError, PinpointError

BATCH_JOBS = 5000
CALL_BYTES = 10 * 2**20 - 1000
PAGE = 100
FIRST_LOOK_S, LOOK_GROWTH, LONGEST_LOOK_S = 2.0, 1.5, 60.0
_PLACE = re.compile(r"(\d{1,6})\.(\d{1,6})(/.*)?")


class Batch:
    """One batch of an endpoint.

    Attributes:
        id: the platform's.
        jobs: how many it has.
    """

    def __init__(self, transport: QueueTransport, batch_id: str, jobs: int = 0) -> None:
        self.id = batch_id
        self.jobs = jobs
        self._transport = transport
        self._held = list[bytes]()
        self._held_bytes = 0

    @classmethod
    async def create(cls, transport: QueueTransport) -> Batch:
        """A draft without jobs. Raises PinpointError."""
        made = await transport.call("POST", "/batch", b"[]")
        batch_id = made.get("id")
        if not isinstance(batch_id, str) or not batch_id.replace("_", "").replace("-", "").isalnum():
            raise JobError("answer_unreadable", "the platform made a batch and gave it no id")
        return cls(transport, batch_id)

    async def add(self, question: Question, documents: Sequence[Document]) -> int:
        """Add a job; its number. It is sent when a call is full, or the batch finalised."""
        number = self.jobs
        ids = [f"{number}.{place}" for place in range(len(documents))]
        job = b'{"input":' + question.about(documents, ids) + b"}"
        if self._held and self._held_bytes + len(job) + 1 > CALL_BYTES:
            await self._send()
        self._held.append(job)
        self._held_bytes += len(job) + 1
        self.jobs += 1
        return number

    async def _send(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if held:
            await self._transport.call("POST", f"/batch/{self.id}/requests", b'{"requests":[' + b",".join(held) + b"]}")

    async def finalise(self) -> None:
        """Send what is left, and let the batch's workers begin."""
        await self._send()
        try:
            await self._transport.call("POST", f"/batch/{self.id}/finalize", b"{}")
        except NotFoundError:  # a second try where the first one was heard, and its answer was not
            if (await self.state()).get("status") != "FINALIZED":
                raise

    async def cancel(self) -> None:
        """End it: what has not begun never will."""
        await self._transport.call("POST", f"/batch/{self.id}/cancel", b"{}")

    async def state(self) -> dict[str, Any]:
        """Its state and counts. Raises JobError `job_forgotten`."""
        try:
            return await self._transport.call("GET", f"/batch/{self.id}")
        except NotFoundError:
            raise JobError("job_forgotten", f"the platform does not know batch {self.id} any more") from None

    async def ended(self, told: Any = None) -> None:
        """Wait until all of its jobs have ended; `told` is called with the counts of each look.

        Raises:
            JobError: the batch failed, was cancelled, or is not known any more.
        """
        look_s = FIRST_LOOK_S
        while True:
            state = await self.state()
            if told is not None:
                told(state)
            total, done = (_count(state, "requestTotal"), _count(state, "requestCompleted", "requestFailed"))
            if state.get("status") == "FAILED":
                raise JobError("job_failed", f"batch {self.id} failed as a whole; see RunPod's console")
            if state.get("status") == "CANCELLED":
                raise JobError("job_cancelled", f"somebody cancelled batch {self.id}")
            # Counts may lag behind: one that was just finalised has none yet.
            if state.get("status") == "FINALIZED" and done >= total > 0:
                return
            await asyncio.sleep(look_s)
            look_s = min(look_s * LOOK_GROWTH, LONGEST_LOOK_S)

    async def page(self, offset: int) -> tuple[list[dict[str, Any]], bool]:
        """So many of its jobs from this one on, and whether there are more. Raises JobError `answer_unreadable`."""
        params = {"offset": str(offset), "limit": str(PAGE)}
        page = await self._transport.call("GET", f"/batch/{self.id}/requests", None, params)
        requests = page.get("requests")
        if not isinstance(requests, list):
            raise unreadable()
        return [one for one in requests if isinstance(one, dict)], bool(page.get("hasMore"))


def _count(state: dict[str, Any], *names: str) -> int:
    return sum(count for name in names if isinstance(count := state.get(name), int))


def job_of(request: dict[str, Any]) -> tuple[int, list[list[Wire]]] | PinpointError:
    """A listed job's number and the results of each of its documents by place; or the error that it failed with.

    Raises:
        JobError: `answer_unreadable`, a result that no job of ours can have.
    """
    output = request.get("output")
    if request.get("status") != "COMPLETED" or not isinstance(output, dict):
        return job_error(request.get("error"))
    results = output.get("results")
    found: dict[int, list[Wire]] = {}
    numbers = set[int]()
    for result in results if isinstance(results, list) else []:
        match = _PLACE.fullmatch(str(result.get("id")) if isinstance(result, dict) else "")
        if match is None:
            raise unreadable()
        Result.of(result)
        numbers.add(int(match[1]))
        found.setdefault(int(match[2]), []).append({**result, "id": match[2] + (match[3] or "")})
    if len(numbers) != 1 or sorted(found) != list(range(len(found))):
        raise unreadable()
    return numbers.pop(), [found[place] for place in range(len(found))]
