"""The calls a client makes: run, runsync, status, stream, cancel, retry, purge-queue, health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

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
            web.post(at + "/run", self.run),
            web.post(at + "/runsync", self.run_sync),
            web.get(at + "/status/{job}", self.status),
            web.get(at + "/stream/{job}", self.stream),
            web.post(at + "/cancel/{job}", self.cancel),
            web.post(at + "/retry/{job}", self.retry),
            web.post(at + "/purge-queue", self.purge),
            web.get(at + "/health", self.health),
        ]

    async def _submit(self, request: web.Request) -> str | web.Response:
        try:
            body = await request.json()
        except ValueError:
            return web.json_response({"error": "the body is not JSON"}, status=400)
        if not isinstance(body, dict) or "input" not in body:
            return web.json_response({"error": "input is missing"}, status=400)
        return self.platform.submit(body["input"])

    async def run(self, request: web.Request) -> web.Response:
        """Queue a job."""
        job_id = await self._submit(request)
        if isinstance(job_id, web.Response):
            return job_id
        return web.json_response({"id": job_id, "status": "IN_QUEUE"})

    async def run_sync(self, request: web.Request) -> web.Response:
        """Queue a job and hold the answer for as long as the platform does."""
        job_id = await self._submit(request)
        if isinstance(job_id, web.Response):
            return job_id
        await self.platform.wait_job(job_id, self.platform.sync_s)
        return web.json_response(self._view(job_id))

    def _view(self, job_id: str) -> dict[str, Any]:
        with self.ledger.lock:
            return self.ledger.jobs[job_id].view

    async def status(self, request: web.Request) -> web.Response:
        """Where a job stands."""
        job_id = request.match_info["job"]
        if job_id not in self.ledger.jobs:
            return web.json_response({"error": "request does not exist"}, status=404)
        return web.json_response(self._view(job_id))

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
            workers = seen - self.platform.retired
            counts = {
                "completed": sum(job.status == "COMPLETED" for job in jobs),
                "failed": sum(job.status == "FAILED" for job in jobs),
                "inProgress": sum(job.status == "IN_PROGRESS" for job in jobs),
                "inQueue": sum(job.status == "IN_QUEUE" for job in jobs),
                "retried": sum(job.retries for job in jobs),
            }
        running = len(busy & workers)
        return web.json_response({"jobs": counts, "workers": {"idle": len(workers) - running, "running": running}})
