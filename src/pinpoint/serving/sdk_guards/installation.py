"""Putting the guards around the SDK, in order, each only where the SDK is what it was written for."""

from __future__ import annotations

import logging
from typing import Protocol

from pinpoint.serving.sdk_guards.drain import DrainGuard
from pinpoint.serving.sdk_guards.judge import Judge
from pinpoint.serving.sdk_guards.kept_posts import KeptGuard
from pinpoint.serving.sdk_guards.log import LogGuard
from pinpoint.serving.sdk_guards.ping import PingGuard
from pinpoint.serving.sdk_guards.probe import SDK_VERSION, Target, differences
from pinpoint.serving.sdk_guards.replacement import ReplacementGuard
from pinpoint.serving.sdk_guards.results import ResultsGuard
from pinpoint.serving.sdk_guards.runtime import Runtime
from pinpoint.serving.sdk_guards.slots import SlotsGuard
from pinpoint.serving.sdk_guards.take import TakeGuard
from pinpoint.serving.sdk_guards.watchdog import WatchdogGuard, watch_tick_s

log = logging.getLogger("pinpoint.sdk")


class GuardSettings(Protocol):
    """The fields of `settings.Settings` that the guards read; each has its unit and reason there."""

    @property
    def late_take_s(self) -> float: ...  # noqa: D102
    @property
    def post_attempt_s(self) -> float: ...  # noqa: D102
    @property
    def post_deadline_s(self) -> float: ...  # noqa: D102
    @property
    def kept_results_bytes(self) -> float: ...  # noqa: D102
    @property
    def hang_s(self) -> float: ...  # noqa: D102
    @property
    def last_result_s(self) -> float: ...  # noqa: D102


class Guard(Protocol):
    """What all guards have; `difference` too where there is more to check than the SDK."""

    @property
    def name(self) -> str:
        """In the log and in what `install` returns."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """What it relies on."""

    def apply(self) -> None:
        """Put it around the SDK."""


class Installation:
    """The guards of this process."""

    def __init__(self, settings: GuardSettings, local: bool = False) -> None:
        runtime = Runtime()
        self.clock = runtime.clock
        take = TakeGuard(runtime, settings.post_attempt_s)
        drain = DrainGuard(settings.late_take_s, runtime, lambda: take.reading)
        results = ResultsGuard(settings.post_attempt_s, settings.post_deadline_s, int(settings.kept_results_bytes))
        judge = Judge(2 * settings.hang_s, watch_tick_s(settings.hang_s))
        self.watchdog = WatchdogGuard(settings.hang_s, runtime, judge)
        self.replacement = ReplacementGuard(settings.last_result_s, runtime, drain, results)
        self.names: list[str] = []
        # `drain` wraps what `take` put in place, and `slots` what `drain` did; it is last, since `replacement` looks at
        # what it wraps. `replacement` stands on both `drain` and `results`.
        self._put(LogGuard(local))
        if local:
            return
        self.clock.start()
        self._put(results)
        self._put(PingGuard(judge))
        if self._put(runtime):
            self._put(take)
            self._put(drain)
            self._put(self.watchdog)
            if {drain.name, results.name} <= set(self.names):
                self._put(self.replacement)
                self._put(KeptGuard(drain, results.kept_posts, results.unaccepted))
            if drain.name in self.names:
                self._put(SlotsGuard(drain))
        self.names = [name for name in self.names if name != runtime.name]
        log.info("sdk guards in force: %s", " ".join(self.names) or "none")

    def _put(self, guard: Guard) -> bool:
        found = differences(guard.targets)
        own = getattr(guard, "difference", None)
        if own is not None and (reason := own()) is not None:
            found.append(reason)
        if found:
            log.warning("sdk guard %s (SDK %s) steps aside: %s", guard.name, SDK_VERSION, "; ".join(found))
            return False
        guard.apply()
        self.names.append(guard.name)
        return True
