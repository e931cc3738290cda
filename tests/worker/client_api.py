"""The calls a client makes: run, runsync, status, stream, cancel, retry, purge-queue, health.

What stands before all of them is `guard`: keys and endpoints are checked where the platform is told to, and scripted
faults befall the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.worker.ledger import FINAL

RUN_BYTES, SYNC_BYTES = 10_000_000, 20_000_000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

if TYPE_CHECKING:
    from tests.worker.emulator import Platform


class ClientApi:
    """Routes of the client, over a platform's ledger."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.ledger = platform.ledger

    def routes(self) -> list[web.RouteDef]:
        """Everything under `/v2/{endpoint}/`."""
        at = "/v2/{endpoint}"
        return [
            web.post(at + "/run", self.guard(self.run)),
            web.post(at + "/runsync", self.guard(self.run_sync)),
            web.get(at + "/status/{job}", self.guard(self.status)),
            web.get(at + "/stream/{job}", self.guard(self.stream)),
            web.post(at + "/cancel/{job}", self.guard(self.cancel)),
            web.post(at + "/retry/{job}", self.guard(self.retry)),
            web.post(at + "/purge-queue", self.guard(self.purge)),
            web.get(at + "/health", self.guard(self.health)),
        ]

    def guard(self, handler: Handler) -> Handler:
        """A call behind the checks of the platform's front."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            with self.ledger.change():
                self.ledger.calls[request.path.split("/")[3]] += 1
            fate = self.platform.faults.calls.popleft() if self.platform.faults.calls else "pass"
            if fate == "lost":  # heard and done, and its answer does not arrive
                await handler(request)
            if fate != "pass":
                if fate in ("reset", "lost") and isinstance(request.transport, asyncio.Transport):
                    request.transport.abort()
                status = fate if isinstance(fate, int) else 500
                return web.json_response(
                    {"error": "scripted"}, status=status, headers={"Retry-After": self.platform.faults.retry_after}
                )
            if self.platform.endpoint is not None and request.match_info["endpoint"] != self.platform.endpoint:
                return web.json_response({"error": "endpoint not found"}, status=404)
            if self.platform.key is not None and request.headers.get("Authorization") != f"Bearer {self.platform.key}":
                return web.json_response({"error": "unauthorized"}, status=401)
            return await handler(request)

        return guarded

    async def _submit(self, request: web.Request, most_bytes: int) -> str | web.Response:
        if (request.content_length or 0) > most_bytes:
            return web.json_response({"error": "the body is too large"}, status=413)
        try:
            body = await request.json()
        except ValueError:
            return web.json_response({"error": "the body is not JSON"}, status=400)
        if not isinstance(body, dict) or "input" not in body:
            return web.json_response({"error": "input is missing"}, status=400)
        return self.platform.submit(body["input"])

    async def run(self, request: web.Request) -> web.Response:
        """Queue a job."""
        job_id = await self._submit(request, RUN_BYTES)
        if isinstance(job_id, web.Response):
            return job_id
        return web.json_response({"id": job_id, "status": "IN_QUEUE"})

    async def run_sync(self, request: web.Request) -> web.Response:
        """Queue a job and hold the answer for as long as the platform does."""
        job_id = await self._submit(request, SYNC_BYTES)
        if isinstance(job_id, web.Response):
            return job_id
        self.platform.sync_asked_ms.append(request.query.get("wait"))
        await self.platform.wait_job(job_id, self.platform.sync_s)
        return web.json_response(self._view(job_id))

    def _view(self, job_id: str) -> dict[str, Any]:
        with self.ledger.lock:
            return self.ledger.jobs[job_id].view

    async def status(self, request: web.Request) -> web.Response:
        """Where a job stands."""
        job_id = request.match_info["job"]
        if job_id not in self.ledger.jobs or self._forgotten(job_id):
            return web.json_response({"error": "request does not exist"}, status=404)
        return web.json_response(self._view(job_id))

    def _forgotten(self, job_id: str) -> bool:
        """Whether an answer has been kept as long as answers are."""
        with self.ledger.lock:
            job = self.ledger.jobs[job_id]
            old_s = self.ledger.now_s() - (job.ended_s or 0.0)
            return job.status in FINAL and job.ended_s is not None and old_s > self.platform.keeps_s

    async def stream(self, request: web.Request) -> web.Response:
        """The chunks since the last look."""
        with self.ledger.change():
            job = self.ledger.jobs[request.match_info["job"]]
            chunks, job.chunks = job.chunks, []
            return web.json_response({"status": job.status, "stream": chunks})

    async def cancel(self, request: web.Request) -> web.Response:
        """End a job, queued or running."""
        job_id = request.match_info["job"]
        if job_id not in self.ledger.jobs:
            return web.json_response({"error": "request does not exist"}, status=404)
        self.platform.cancel(job_id)
        return web.json_response(self._view(job_id))

    async def retry(self, request: web.Request) -> web.Response:
        """Queue a failed job again."""
        job_id = request.match_info["job"]
        with self.ledger.lock:
            job = self.ledger.jobs.get(job_id)
            if job is None or job.status not in ("FAILED", "TIMED_OUT"):
                return web.json_response({"error": "only failed or timed-out requests can be retried"}, status=400)
        self.platform.retry(job_id)
        return web.json_response(self._view(job_id))

    async def purge(self, request: web.Request) -> web.Response:
        """Drop everything that is queued."""
        return web.json_response({"removed": self.platform.purge(), "status": "completed"})

    async def health(self, request: web.Request) -> web.Response:
        """Counts of jobs and workers."""
        with self.ledger.lock:
            jobs = list(self.ledger.jobs.values())
            busy = {job.deliveries[-1].worker for job in jobs if job.status == "IN_PROGRESS" and job.deliveries}
            seen = {take.worker for take in self.ledger.takes} | {
                name for name, n in self.ledger.polls_open.items() if n
            }
            workers = (seen | busy) - self.platform.retired
            counts = {
                "completed": sum(job.status == "COMPLETED" for job in jobs),
                "failed": sum(job.status == "FAILED" for job in jobs),
                "inProgress": sum(job.status == "IN_PROGRESS" for job in jobs),
                "inQueue": sum(job.status == "IN_QUEUE" for job in jobs),
                "retried": sum(job.retries for job in jobs),
            }
        running = len(busy & workers)
        return web.json_response({"jobs": counts, "workers": {"idle": len(workers) - running, "running": running}})
