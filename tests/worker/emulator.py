"""An emulated RunPod: one endpoint, its queue, its workers' calls and its clients' calls, on a loopback port.

The server runs in a thread with a loop of its own, so that tests stay plain functions: they submit jobs, switch
faults on, wait on the ledger and read it. Nothing of the SDK's code is in here; the SDK itself is what is tried
against it.

    with Platform(seed=1) as platform:
        job_id = platform.submit({"echo": 1})
        … start a worker with platform.worker_env("w1") …
        platform.ledger.wait_final(job_id)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from typing import Any

from aiohttp import web

from tests.worker.batch_api import BatchApi
from tests.worker.client_api import ClientApi
from tests.worker.faults import Faults
from tests.worker.ledger import FINAL, Job, Ledger
from tests.worker.worker_api import WorkerApi, as_wire

ENDPOINT = "pinpoint-test"
API_KEY = "emulated-key-not-secret"
MAX_BODY_BYTES = 64 * 2**20


class Platform:
    """The endpoint. Start it with `with`; all methods may be called from any thread."""

    def __init__(self, seed: int = 0, poll_s: float = 1.0, sync_s: float = 10.0) -> None:
        self.ledger = Ledger()
        self.faults = Faults(seed=seed)
        self.poll_s = poll_s  # how long a take or stop poll is held; the real ones are held much longer
        self.sync_s = sync_s  # how long /runsync waits
        self.sync_asked_ms: list[str | None] = []  # what each /runsync asked to wait
        self.keeps_s = 1800.0  # how long answers are kept
        self.endpoint: str | None = None  # the only one there is for clients, and the only key; None: any
        self.key: str | None = None
        self.retired: set[str] = set()  # workers that get no more jobs
        self.pids: dict[str, int] = {}  # of workers whose pod the platform may reset
        self._queue: deque[str] = deque()
        self._stops: dict[str, list[str]] = {}
        self._numbers = iter(range(1, 10**9))
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failed: BaseException | None = None

    # Life

    def __enter__(self) -> Platform:
        self._thread = threading.Thread(target=self._serve, name="platform", daemon=True)
        self._thread.start()
        if not self._ready.wait(10) or self._failed is not None:
            raise RuntimeError("the emulated platform did not start") from self._failed
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self.closing.set)
        assert self._thread is not None
        self._thread.join(10)
        if self._thread.is_alive():
            raise RuntimeError("the emulated platform did not stop")

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._failed = error
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.closing, self.queue_changed, self._stops_changed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        client = ClientApi(self)
        app.add_routes([*WorkerApi(self).routes(), *client.routes(), *BatchApi(self, client).routes()])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = runner.addresses[0][1]
        self._ready.set()
        await self.closing.wait()
        self.queue_changed.set()
        self._stops_changed.set()
        await runner.cleanup()

    # Where it is

    @property
    def base_url(self) -> str:
        """What the client SDK takes as `RUNPOD_ENDPOINT_BASE_URL`."""
        return f"http://127.0.0.1:{self.port}/v2"

    def worker_env(self, worker: str, ping_ms: int = 1000) -> dict[str, str]:
        """The environment that the platform gives a worker."""
        at = f"{self.base_url}/{ENDPOINT}"
        return {
            "RUNPOD_WEBHOOK_GET_JOB": f"{at}/job-take/$ID?gpu=none",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{at}/job-done/$RUNPOD_POD_ID/$ID?gpu=none",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{at}/job-stream/$RUNPOD_POD_ID/$ID?gpu=none",
            "RUNPOD_WEBHOOK_PING": f"{at}/ping/$RUNPOD_POD_ID?gpu=none",
            "RUNPOD_PING_INTERVAL": str(ping_ms),
            "RUNPOD_AI_API_KEY": API_KEY,
            "RUNPOD_POD_ID": worker,
            "RUNPOD_POD_HOSTNAME": f"host-of-{worker}",
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
        }

    # Jobs

    def submit(self, value: Any, job_id: str | None = None, extra: dict[str, Any] | None = None) -> str:
        """Queue a job with this input. A known id is queued again: the same job delivered once more."""
        job_id = job_id or f"job-{next(self._numbers):05d}"
        return self._enqueue(job_id, as_wire({"id": job_id, "input": value, **(extra or {})}))

    def submit_raw(self, raw: bytes, job_id: str | None = None) -> str:
        """Queue a job by the bytes that its taker will get. Without `job_id` no answer is expected."""
        name = job_id or f"raw-{next(self._numbers):05d}"
        return self._enqueue(name, raw, unanswerable=job_id is None)

    def submit_batch(self, raws: Iterable[tuple[bytes, str | None]]) -> list[str]:
        """Queue several raw jobs so that one take gets them together, if it asks for as many."""
        with self.ledger.lock:
            return [self.submit_raw(raw, job_id) for raw, job_id in raws]

    def _enqueue(self, job_id: str, raw: bytes, unanswerable: bool = False) -> str:
        with self.ledger.change():
            job = self.ledger.jobs.get(job_id)
            if job is None:
                job = self.ledger.jobs[job_id] = Job(job_id, raw, unanswerable=unanswerable)
            job.raw = raw
            self._queue.append(job_id)
        self._wake_queue()
        return job_id

    def pop_queue(self, wanted: int) -> list[Job]:
        """Up to `wanted` jobs; the ledger's lock is held."""
        count = min(wanted, len(self._queue))
        return [self.ledger.jobs[self._queue.popleft()] for _ in range(count)]

    def requeue(self, jobs: Iterable[Job]) -> None:
        """Queue jobs again whose last hand-over came to nothing."""
        with self.ledger.change():
            for job in jobs:
                if job.deliveries[-1].lost_with_worker:  # the cut was noticed and the death as well
                    continue
                job.deliveries[-1].lost_with_worker = True
                if job.status not in FINAL:
                    job.status = "IN_QUEUE"
                    self._queue.append(job.id)
        self._wake_queue()

    def worker_lost(self, worker: str) -> list[str]:
        """A worker is known to be dead: it gets no more jobs, and those it had go to the next one."""
        with self.ledger.change():
            self.retired.add(worker)
            held = [
                job
                for job in self.ledger.jobs.values()
                if job.status == "IN_PROGRESS" and job.deliveries and job.deliveries[-1].worker == worker
            ]
        self.requeue(held)
        return [job.id for job in held]

    def cancel(self, job_id: str) -> None:
        """Cancel a job: a queued one is dropped, of a running one the worker is told."""
        with self.ledger.change():
            job = self.ledger.jobs[job_id]
            if job.status == "IN_QUEUE":
                with contextlib.suppress(ValueError):
                    self._queue.remove(job_id)
            elif job.status == "IN_PROGRESS":
                self._stops.setdefault(job.deliveries[-1].worker, []).append(job_id)
            if job.status not in FINAL:
                job.status = "CANCELLED"
        self._loop.call_soon_threadsafe(self._stops_changed.set)

    def retry(self, job_id: str) -> None:
        """Queue a failed job again, as new."""
        with self.ledger.change():
            job = self.ledger.jobs[job_id]
            job.status, job.output, job.error, job.retries = "IN_QUEUE", None, None, job.retries + 1
            self._queue.append(job_id)
        self._wake_queue()

    def purge(self) -> int:
        """Cancel everything queued; how many that was."""
        with self.ledger.change():
            purged = [self.ledger.jobs[name] for name in self._queue]
            self._queue.clear()
            for job in purged:
                job.status = "CANCELLED"
        return len(purged)

    def stop_pod(self, worker: str) -> None:
        """A worker asked to be replaced: where told so, its pod is reset at once, whatever it still holds."""
        with self.ledger.change():
            self.ledger.stop_pods.append((worker, self.ledger.now_s()))
            if self.faults.stop_pod_kills and worker in self.pids:
                self.retired.add(worker)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pids[worker], signal.SIGKILL)

    def spawn(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        """Run something in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    # Waiting, in the server's loop

    def _wake_queue(self) -> None:
        self._loop.call_soon_threadsafe(self.queue_changed.set)

    async def wait_queue(self, timeout_s: float) -> None:
        """Until the queue changes, or for this long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.queue_changed.wait(), timeout_s)

    async def wait_closing(self, timeout_s: float) -> None:
        """Until the platform stops, or for this long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), timeout_s)

    async def wait_job(self, job_id: str, timeout_s: float) -> None:
        """Until a job has ended, or for this long."""
        until = self._loop.time() + timeout_s
        while self._loop.time() < until and self.ledger.jobs[job_id].status not in FINAL:
            await self.wait_closing(0.02)

    async def next_stops(self, worker: str, timeout_s: float) -> list[str]:
        """Jobs this worker is to stop, as soon as there are any; none after this long."""
        until = self._loop.time() + timeout_s
        while True:
            self._stops_changed.clear()
            with self.ledger.change():
                ids = self._stops.pop(worker, [])
            left_s = until - self._loop.time()
            if ids or left_s <= 0 or self.closing.is_set():
                return ids
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stops_changed.wait(), min(left_s, 0.1))
