"""Guard `replacement`: drain first, then ask for a new worker.

`stopPod` in a result tells the platform to reset the pod. The SDK sets it in whatever result a handler returned
`refresh_worker` with, while other jobs run and new ones are taken: the reset then kills them. Here, whoever asks (the
worker by `request_replacement`, a handler by `refresh_worker`), taking stops first, every job in flight is answered,
and only the last result, posted after all others have been accepted, carries `stopPod`. With no result left to carry
it the worker just leaves: the platform starts its container anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from pinpoint.serving.sdk_guards.drain import DrainGuard
from pinpoint.serving.sdk_guards.probe import Target
from pinpoint.serving.sdk_guards.results import ResultsGuard
from pinpoint.serving.sdk_guards.runtime import Runtime
from pinpoint.serving.watch.log_words import printable

log = logging.getLogger("pinpoint.sdk")

LOOK_S = 1.0  # between looks, should a bell be missed


class ReplacementGuard:
    """Finds the last result and lets it ask."""

    name = "replacement"
    targets = (
        Target("rp_job", "handle_job", "849f93639768bc87"),
        Target("rp_job", "run_job", "3d5c3ab8a46d71fd"),
        Target("rp_scale", "JobScaler.handle_job", "fe2350bfac7373f7"),
    )

    def __init__(self, last_result_s: float, runtime: Runtime, drain: DrainGuard, results: ResultsGuard) -> None:
        self.reason: str | None = None
        self._last_result_s = last_result_s
        self._runtime = runtime
        self._drain = drain
        self._results = results
        self._applied = False
        # By identity of the job: two deliveries may share an id.
        self._running: set[int] = set()  # from the handler's start to the end of its post
        self._posting: set[int] = set()  # of these, whose fate is decided: their post goes out without asking

    def apply(self) -> None:
        """Count jobs in flight and have every result ask whether it is the last."""
        from runpod.serverless.modules import rp_scale

        handle_job: Callable[..., Awaitable[Any]] = rp_scale.handle_job

        async def counted_job(session: Any, config: dict[str, Any], job: dict[str, Any]) -> Any:
            self._running.add(id(job))
            try:
                return await handle_job(session, config, job)
            finally:
                self._running.discard(id(job))
                self._posting.discard(id(job))
                self._runtime.changed.set()

        rp_scale.handle_job = counted_job
        self._results.before_final = self._carries_request
        self._runtime.on_start.append(self._resume)
        self._applied = True

    def request(self, reason: str) -> bool:
        """Ask for a new worker; the first reason stays. Any thread, before the loop runs as well."""
        if not self._applied:
            log.error("replacement asked for but not possible: reason=%s", reason)
            return False
        if self.reason is None:
            self.reason = reason
            log.warning("replacement: reason=%s; draining, then leaving", reason)
            self._runtime.call_in_loop(self._shut)
        return True

    def _resume(self) -> None:
        if self.reason is not None:
            self._shut()

    def _shut(self) -> None:
        self._runtime.scaler.kill_worker()  # which the guard `drain` has made patient

    async def _carries_request(self, job: dict[str, Any], asked: bool) -> bool:
        me = id(job)
        if asked:
            self.request("the handler returned refresh_worker")
        if me not in self._running:  # a refusal of the guard `take`: no job of the SDK's
            return False
        if self.reason is None:
            self._posting.add(me)
            return False
        now = asyncio.get_running_loop().time
        until_s = now() + self._last_result_s
        while now() < until_s:
            others = self._running - {me}
            if others - self._posting or self._runtime.scaler.jobs_queue.qsize():
                break  # someone after me will be the last
            if self._drain.settled and not others:
                log.info("replacement: job=%s is the last result and asks for a new worker", printable(str(job["id"])))
                return True
            await self._runtime.wait_changed(min(LOOK_S, self._last_result_s))
        self._posting.add(me)
        self._runtime.changed.set()
        return False
