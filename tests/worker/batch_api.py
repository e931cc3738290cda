"""Batch jobs, as RunPod's documentation of August 2026 has them: create, add, finalise, look, list, cancel.

A finalised batch's requests are jobs of the queue. There is no state for a batch that is done: counts say it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.worker.client_api import ClientApi
from tests.worker.ledger import FINAL

if TYPE_CHECKING:
    from tests.worker.emulator import Platform

CALL_BYTES = 10 * 2**20
REQUESTS, ACTIVE = 5000, 10
PAGE, LONGEST_PAGE = 50, 100
ORDER = ("FAILED", "TIMED_OUT", "CANCELLED", "IN_PROGRESS", "IN_QUEUE", "COMPLETED")


@dataclass
class Batch:
    """One batch; `jobs` are those of its requests once it is finalised."""

    id: str
    status: str = "DRAFT"
    inputs: list[Any] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)


class BatchApi:
    """Routes of batches, over a platform's ledger."""

    def __init__(self, platform: Platform, client: ClientApi) -> None:
        self.platform = platform
        self.ledger = platform.ledger
        self.batches: dict[str, Batch] = {}
        self._guard = client.guard

    def routes(self) -> list[web.RouteDef]:
        """Everything under `/v2/{endpoint}/batch`."""
        at = "/v2/{endpoint}/batch"
        return [
            web.post(at, self._guard(self.create)),
            web.post(at + "/{batch}/requests", self._guard(self.add)),
            web.post(at + "/{batch}/finalize", self._guard(self.finalize)),
            web.post(at + "/{batch}/cancel", self._guard(self.cancel)),
            web.get(at + "/{batch}", self._guard(self.summary)),
            web.get(at + "/{batch}/requests", self._guard(self.requests)),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Make a draft of the requests in a list, which may be empty."""
        body = await request.json()
        active = sum(not self._done(one) for one in self.batches.values() if one.status in ("DRAFT", "FINALIZED"))
        if not isinstance(body, list) or active >= ACTIVE:
            return web.json_response({"error": "a list of requests, and 10 active batches at most"}, status=400)
        batch = Batch(f"batch_{len(self.batches):04d}")
        self.batches[batch.id] = batch
        batch.inputs += [one["input"] for one in body]
        return web.json_response({"id": batch.id, "status": batch.status})

    async def add(self, request: web.Request) -> web.Response:
        """Add requests to a draft."""
        batch = self.batches.get(request.match_info["batch"])
        if batch is None:
            return web.json_response({"error": "batch not found"}, status=404)
        if (request.content_length or 0) > CALL_BYTES:
            return web.json_response({"error": "10 MiB a call"}, status=413)
        added = [one["input"] for one in (await request.json())["requests"]]
        if batch.status != "DRAFT" or len(batch.inputs) + len(added) > REQUESTS:
            return web.json_response({"error": "not a draft, or more than 5000 requests"}, status=400)
        batch.inputs += added
        return web.json_response({"added": len(added)})

    async def finalize(self, request: web.Request) -> web.Response:
        """Lock a batch, and queue its requests."""
        batch = self.batches.get(request.match_info["batch"])
        if batch is None or batch.status != "DRAFT":
            return web.json_response({"error": "no such draft"}, status=404)
        batch.status = "FINALIZED"
        batch.jobs = [self.platform.submit(value) for value in batch.inputs]
        batch.inputs = []
        return web.json_response({"id": batch.id, "status": batch.status})

    async def cancel(self, request: web.Request) -> web.Response:
        """End a batch."""
        batch = self.batches.get(request.match_info["batch"])
        if batch is None:
            return web.json_response({"error": "batch not found"}, status=404)
        batch.status = "CANCELLED"
        for job in batch.jobs:
            self.platform.cancel(job)
        return web.json_response({"id": batch.id, "status": batch.status})

    async def summary(self, request: web.Request) -> web.Response:
        """Counts of a batch."""
        batch = self.batches.get(request.match_info["batch"])
        if batch is None:
            return web.json_response({"error": "batch not found"}, status=404)
        with self.ledger.lock:
            states = [self.ledger.jobs[name].status for name in batch.jobs]
        return web.json_response({
            "id": batch.id, "endpointId": request.match_info["endpoint"], "status": batch.status,
            "requestTotal": len(batch.jobs) or len(batch.inputs), "requestInProgress": states.count("IN_PROGRESS"),
            "requestCompleted": states.count("COMPLETED"),
            "requestFailed": sum(state in ("FAILED", "TIMED_OUT", "CANCELLED") for state in states),
            "createdAt": 1783584000000,
        })  # fmt: skip

    async def requests(self, request: web.Request) -> web.Response:
        """A page of a batch's requests: those that failed first."""
        batch = self.batches.get(request.match_info["batch"])
        if batch is None:
            return web.json_response({"error": "batch not found"}, status=404)
        offset = int(request.query.get("offset", "0"))
        limit = min(int(request.query.get("limit", str(PAGE))), LONGEST_PAGE)
        with self.ledger.lock:
            jobs = sorted((self.ledger.jobs[name] for name in batch.jobs), key=lambda job: ORDER.index(job.status))
            page = [job.view for job in jobs[offset : offset + limit]]
        more = offset + limit < len(jobs)
        return web.json_response(
            {"requests": page, "total": len(jobs), "offset": offset, "limit": limit, "hasMore": more}
        )

    def _done(self, batch: Batch) -> bool:
        with self.ledger.lock:
            return batch.status == "FINALIZED" and all(self.ledger.jobs[name].status in FINAL for name in batch.jobs)
