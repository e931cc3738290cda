"""The running worker loop, as the guards share it: its scaler, its event loop, a bell for every change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from pinpoint.serving.sdk_guards.clock import GivenTime
from pinpoint.serving.sdk_guards.probe import Target


class Runtime:
    """Knows the SDK's scaler while its loop runs."""

    name = "runtime"
    targets = (
        Target("rp_scale", "JobScaler.run", "f6c6b5f871b94c72"),
        Target("rp_scale", "JobScaler.run_jobs", "74cd623de98ef8b4"),
    )

    def __init__(self) -> None:
        self.clock = GivenTime()  # the loop's own: what waits in it is not late because the process was paused
        self.loop: asyncio.AbstractEventLoop | None = None
        self.scaler: Any = None
        self.changed = asyncio.Event()
        self.finished = asyncio.Event()  # the last job has ended and nothing more will be run
        self.on_start: list[Callable[[], None]] = []
        self.on_end: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    def apply(self) -> None:
        """Note the loop when the SDK's scaler starts to run, and the end of its last job."""
        from runpod.serverless.modules import rp_scale

        run, run_jobs = rp_scale.JobScaler.run, rp_scale.JobScaler.run_jobs

        async def watched_run(scaler: Any) -> None:
            self.scaler, self.loop = scaler, asyncio.get_running_loop()
            self.clock.start()
            vars(self.loop)["time"] = self.clock.time
            for call in self.on_start:
                call()
            try:
                await run(scaler)
            finally:
                self.loop = None
                for call in self.on_end:
                    call()

        async def watched_run_jobs(scaler: Any, session: Any) -> None:
            try:
                await run_jobs(scaler, session)
                if self._tasks:  # posts that no job of the SDK waits for; the session is closed after this
                    await asyncio.wait(self._tasks)
            finally:
                self.finished.set()

        rp_scale.JobScaler.run = watched_run
        rp_scale.JobScaler.run_jobs = watched_run_jobs

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the loop; the worker does not leave before it has ended."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def call_in_loop(self, call: Callable[..., Any], *arguments: Any) -> bool:
        """From any thread or signal handler; False when no loop runs."""
        loop = self.loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # it closed just now
            return False
        return True

    async def wait_changed(self, timeout_s: float) -> None:
        """Until the bell rings, or for this long."""
        self.changed.clear()
        try:
            await asyncio.wait_for(self.changed.wait(), timeout_s)
        except TimeoutError:
            return
