"""The calls a worker makes: take, take several, stop, done, stream, ping (FACTS section 5)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.worker.faults import ACCEPTED, PostFault, TakeFault
from tests.worker.ledger import FINAL, Delivery, Job, Ping, Post, Take

if TYPE_CHECKING:
    from tests.worker.emulator import Platform

NEVER_S = 60.0  # bound of an answer that never comes


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class WorkerApi:
    """Routes of the worker loop, over a platform's ledger and faults."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.ledger = platform.ledger
        self.faults = platform.faults
        self._takes = 0

    def routes(self) -> list[web.RouteDef]:
        """Everything under `/v2/{endpoint}/`."""
        at = "/v2/{endpoint}"
        return [
            web.get(at + "/job-take/{worker}", self.take),
            web.get(at + "/job-take-batch/{worker}", self.take),
            web.get(at + "/job-stop/{worker}", self.stop),
            web.post(at + "/job-done/{worker}/{job}", self.done),
            web.post(at + "/job-stream/{worker}/{job}", self.stream),
            web.get(at + "/ping/{worker}", self.ping),
            web.route("*", at + "/landing", self.landing),
        ]

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Hold the poll until there is a job for it, or it has been held long enough."""
        worker = request.match_info["worker"]
        batch = "/job-take-batch/" in request.path
        wanted = int(request.query.get("batch_size", "1")) if batch else 1
        in_progress = request.query.get("job_in_progress", "")
        self._takes += 1
        fault = self.faults.take(self._takes)
        with self.ledger.change():
            self.ledger.polls_open[worker] += 1
            self.ledger.polls_begun[worker] += 1
        try:
            jobs: list[Job] = []
            if fault not in (TakeFault.ERROR_500, TakeFault.BUSY_429) and not fault.at_once:
                jobs = await self._claim(request, worker, wanted)
            status = int(fault.value) if fault.value.isdigit() else (200 if jobs or fault.at_once else 204)
            if fault.at_once or (fault is not TakeFault.NONE and status != 204):  # without jobs no body is cut
                self.faults.hits[f"take {fault.value}"] += 1
        finally:
            with self.ledger.change():
                self.ledger.polls_open[worker] -= 1
        with self.ledger.change():
            ids = tuple(job.id for job in jobs)
            self.ledger.takes.append(Take(worker, self.ledger.now_s(), wanted, in_progress, status, ids))
        if fault.at_once and status == 200:
            return web.Response(body=fault.value.encode(), content_type="application/json")
        if not jobs:
            return web.Response(status=status)
        bodies = [job.raw for job in jobs]
        body = b"[" + b",".join(bodies) + b"]" if batch else bodies[0]
        return await self._hand_over(request, body, jobs, fault)

    async def _claim(self, request: web.Request, worker: str, wanted: int) -> list[Job]:
        """Jobs for this poll. A poll whose worker has hung up gets none: they stay in the queue."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.platform.poll_s
        while True:
            self.platform.queue_changed.clear()
            gone = request.transport is None or request.transport.is_closing()
            if gone or worker in self.platform.retired:
                return []
            with self.ledger.change():
                jobs = self.platform.pop_queue(wanted)
                for job in jobs:
                    job.status = "IN_PROGRESS"
                    job.deliveries.append(Delivery(worker, self.ledger.now_s()))
            left_s = until - loop.time()
            if jobs or left_s <= 0:
                return jobs
            # A hung-up connection wakes nobody: look at it every tenth of a second.
            await self.platform.wait_queue(min(left_s, 0.1))

    async def _hand_over(
        self, request: web.Request, body: bytes, jobs: list[Job], fault: TakeFault
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
        await response.prepare(request)
        half = len(body) // 2
        try:
            await response.write(body[:half])
            if fault is TakeFault.CUT:
                raise ConnectionResetError
            if fault is TakeFault.STALL:
                await self._never(request)
                raise ConnectionResetError
            if fault is TakeFault.SLOW:
                await asyncio.sleep(self.faults.slow_s)
            await response.write(body[half:])
            await response.write_eof()
        except ConnectionResetError:
            _reset(request)
            self.platform.requeue(jobs)
        return response

    async def stop(self, request: web.Request) -> web.Response:
        """Hold the poll until there are jobs for this worker to stop."""
        worker = request.match_info["worker"]
        with self.ledger.change():
            self.ledger.stop_polls[worker] += 1
        ids = list(self.faults.stop_ids) or await self.platform.next_stops(worker, self.platform.poll_s)
        return web.json_response({"jobsToStop": ids}) if ids else web.Response(status=204)

    async def done(self, request: web.Request) -> web.StreamResponse:
        """A result or a progress update."""
        return await self._receive(request, stream=False)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """A chunk of a streamed result."""
        return await self._receive(request, stream=True)

    async def _receive(self, request: web.Request, stream: bool) -> web.StreamResponse:
        post = Post(
            job_id=request.match_info["job"],
            worker=request.match_info["worker"],
            at_s=self.ledger.now_s(),
            body=await request.read(),
            content_type=request.headers.get("Content-Type", ""),
            request_id=request.headers.get("X-Request-ID"),
            is_stream=request.query.get("isStream"),
            stream=stream,
        )
        elsewhere = "elsewhere" in request.query
        fault = self.faults.post(post.job_id) if post.final and not elsewhere else PostFault.NONE
        if fault is PostFault.LARGE_400 and len(post.body) <= self.faults.large_bytes:
            fault = PostFault.NONE
        post.status = fault.status
        with self.ledger.change():
            job = self.ledger.jobs.get(post.job_id)
            (self.ledger.strays if job is None else job.posts).append(post)
        if fault in (PostFault.NONE, PostFault.RESET_AFTER, *ACCEPTED):
            status = self._record(job, post)
            with self.ledger.change():
                post.status = None if fault is PostFault.RESET_AFTER else status
        if fault in (PostFault.RESET, PostFault.RESET_AFTER):
            _reset(request)
        if fault is PostFault.NEVER:
            await self._never(request)
        if fault in ACCEPTED and post.status == 200:
            return await self._acknowledge_badly(request, fault)
        if fault is PostFault.GONE_400:
            return web.json_response({"error": f"job {post.job_id} does not exist"}, status=400)
        return web.Response(status=post.status or 500, headers=self._redirect(request, fault))

    def _redirect(self, request: web.Request, fault: PostFault) -> dict[str, str]:
        """Where an answer of this kind sends the poster."""
        if fault.status not in (301, 302, 303, 307, 308):
            return {}
        landing = f"/v2/{request.match_info['endpoint']}/landing"
        if fault is PostFault.STRANGER_307:
            return {"Location": f"http://localhost:{self.platform.port}{landing}"}
        if fault.status in (307, 308):
            return {"Location": f"{request.rel_url}&elsewhere=1"}
        return {"Location": landing}

    async def _acknowledge_badly(self, request: web.Request, fault: PostFault) -> web.StreamResponse:
        """A 200 whose body is of no use."""
        response = web.StreamResponse(headers={"Content-Length": "100"})
        if fault is PostFault.GARBLED_AFTER:
            response.headers["Content-Encoding"] = "gzip"
        await response.prepare(request)
        await response.write(b"no gzip, half of a body, then more of it "[:40])
        if fault is PostFault.GARBLED_AFTER:
            await response.write(b"x" * 60)
        elif fault is PostFault.CUT_AFTER:
            _reset(request)
        else:
            await self._never(request)
        return response

    async def landing(self, request: web.Request) -> web.Response:
        """A page that welcomes anybody, by any method, and keeps nothing."""
        with self.ledger.change():
            self.ledger.landed[request.method] += 1
        return web.Response(text="welcome")

    def _record(self, job: Job | None, post: Post) -> int:
        if job is None:
            return 404
        try:
            payload = json.loads(post.body.decode("utf-8"), parse_constant=_refuse_constant)
        except ValueError:
            return 400
        if not isinstance(payload, dict):
            return 400
        with self.ledger.change():
            post.recorded = True
            if post.stream:
                job.chunks.append(payload)
            elif not post.final:
                job.progress.append(payload.get("output"))
            else:
                self._settle(job, post, payload)
        if payload.get("stopPod"):
            self.platform.stop_pod(post.worker)
        return 200

    def _settle(self, job: Job, post: Post, payload: dict[str, Any]) -> None:
        job.answers.append(post)
        self.ledger.answered_by[post.worker] += 1
        if job.status in FINAL:  # the first answer stays
            return
        job.output, job.error = payload.get("output"), payload.get("error")
        job.status = "FAILED" if job.error else "COMPLETED"
        job.ended_s = self.ledger.now_s()

    async def _never(self, request: web.Request) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + NEVER_S
        while loop.time() < until and not self.platform.closing.is_set():
            if request.transport is None or request.transport.is_closing():
                return
            await self.platform.wait_closing(0.1)

    async def ping(self, request: web.Request) -> web.Response:
        """A sign of life."""
        await self.platform.wait_closing(self.faults.ping_s) if self.faults.ping_s else None
        with self.ledger.change():
            query = dict(request.query)
            authorization = request.headers.get("Authorization", "")
            self.ledger.pings.append(
                Ping(request.match_info["worker"], self.ledger.now_s(), query, authorization),
            )
        return web.Response()


def _reset(request: web.Request) -> None:
    if isinstance(request.transport, asyncio.Transport):
        request.transport.abort()


def as_wire(value: Any) -> bytes:
    """A job as the platform sends it; NaN stays what Python makes of it, a lone surrogate is escaped."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=True).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=True).encode("ascii")
