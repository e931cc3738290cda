"""Guard `slots`: a slot that is free is filled, not slept on.

Whenever all slots are taken, the SDK's loop that takes jobs sleeps for a second before it looks again. Jobs of 20 ms
are over long before, so a worker with 4 slots answers 4 jobs a second and one with a single slot answers one, however
fast it is. Here the head of that loop waits until a slot is free, so that the loop never finds all of them taken.

What stays: the SDK looks at its own queue every 0.1 s while nothing runs, so a job that comes alone waits up to 0.1 s.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from pinpoint.serving.sdk_guards.drain import DrainGuard
from pinpoint.serving.sdk_guards.probe import Target

LOOK_S = 1.0  # between looks, should an event be missed


class SlotsGuard:
    """Wraps the head of the loop that takes, and the life of a job."""

    name = "slots"
    targets = (
        Target("rp_scale", "JobScaler.get_jobs", "e08b2e0cfb262643"),
        Target("rp_scale", "JobScaler.current_occupancy", "b2aea650fe668006"),
        Target("rp_scale", "JobScaler.handle_job", "fe2350bfac7373f7"),
    )

    def __init__(self, drain: DrainGuard) -> None:
        self._drain = drain
        self._changed = asyncio.Event()

    def apply(self) -> None:
        """Put it around what the guard `drain` has put in place."""
        from runpod.serverless.modules import rp_scale

        set_scale, handle_job = rp_scale.JobScaler.set_scale, rp_scale.JobScaler.handle_job

        async def patient_set_scale(scaler: Any) -> None:
            await set_scale(scaler)
            if not await self._wait_free(scaler):
                await set_scale(scaler)  # which settles the end of taking

        async def heard_job(scaler: Any, session: Any, job: dict[str, Any]) -> None:
            self._changed.set()  # it left the queue, in which the SDK counts it a second time
            try:
                await handle_job(scaler, session, job)
            finally:
                self._changed.set()

        rp_scale.JobScaler.set_scale = patient_set_scale
        rp_scale.JobScaler.handle_job = heard_job

    async def _wait_free(self, scaler: Any) -> bool:
        """Until a slot is free; False when no more jobs are to be taken."""
        while not self._drain.draining and scaler.is_alive():
            self._changed.clear()
            if scaler.current_occupancy() < scaler.current_concurrency:
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), LOOK_S)
        return False
