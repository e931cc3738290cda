"""Whether the worker is well, and why not: one line a minute, and one at once on every change.

    reason          when                                                               how long it stays
    slow_load       loading took, or has taken so far, over 5 min                      for good
    low_memory      less than 2 GB of the card are free                                while it is so
    low_host_memory less than 1 GB of the machine, or of what its container may use, is free   while it is so
    out_of_memory   a batch ran out of memory, though it was survived                  10 min after the last one
    slow_decode     explanations are written at under 20 tokens/s                      while it is so
    memory_drift    memory that batches in a row do not give back: the worker leaks    for good
    task_files_refused  a task file that cannot be used, and why                       for good
    task_drift      answers by a task file are not like its examples                   until a window is like them

`Health` is arithmetic on readings. `Monitor` is the thread that takes them. A leak is the one reason that gets worse
with every job, so there the monitor asks for a replacement; the others are for the operator to read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

log = logging.getLogger("pinpoint")

GB = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalSigns:
    """What health is judged by; None where there is nothing to measure yet.

    Attributes:
        load_s: how long the model took to load.
        loading_s: how long it has been loading, while it is.
        free_bytes: free on the device.
        host_free_bytes: free in the machine's memory, for this container.
        out_of_memory: batches of the last 10 min that ran out of memory.
        tokens_written: tokens of explanations in the last 10 min.
        decode_tokens_per_s: at what rate they were written.
        drift_bytes: the least that the last batches held beyond the baseline and what they are meant to.
        further: reasons that are found elsewhere, with their figures.
    """

    load_s: float | None = None
    loading_s: float | None = None
    free_bytes: int | None = None
    host_free_bytes: int | None = None
    out_of_memory: int = 0
    tokens_written: int = 0
    decode_tokens_per_s: float | None = None
    drift_bytes: int | None = None
    further: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """Beyond these a worker is not well.

    Attributes:
        host_free_bytes: least that must be free in the machine's memory.
        free_bytes: least that must be free; None where there is no card, and what is free is others' business.
        drift_bytes: most that may be held beyond the baseline.
    """

    load_s: float = 300.0
    free_bytes: int | None = 2 * GB
    host_free_bytes: int = GB  # two of the largest jobs while they are read
    decode_tokens_per_s: float = 20.0
    decode_tokens: int = 64  # fewer say little about a rate
    # A third of the buffer that stays free on a card: time enough to drain before it hurts. The engine tells of every
    # lost byte by itself; without a card memory is the process's, whose allocator keeps what a large pass needed.
    drift_bytes: int = GB


@dataclass(frozen=True, slots=True)
class Verdict:
    """Healthy where there is no reason not to be; `reasons` are names with their figures."""

    reasons: dict[str, str]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reasons

    def to_wire(self) -> dict[str, Any]:
        """Return plain values."""
        return {"healthy": self.healthy, "reasons": [f"{name}: {why}" for name, why in self.reasons.items()]}


def judge(signs: VitalSigns, limits: HealthLimits) -> Verdict:
    """Say what is wrong, in the order of the table above."""
    reasons: dict[str, str] = {}
    loaded_s = max(signs.load_s or 0.0, signs.loading_s or 0.0)
    if loaded_s > limits.load_s:
        state = "loading for" if signs.loading_s is not None else "loaded in"
        reasons["slow_load"] = f"{state} {loaded_s:.0f} s, at most {limits.load_s:.0f}"
    if limits.free_bytes is not None and signs.free_bytes is not None and signs.free_bytes < limits.free_bytes:
        reasons["low_memory"] = f"{signs.free_bytes / GB:.2f} GB free, at least {limits.free_bytes / GB:.2f}"
    if signs.host_free_bytes is not None and signs.host_free_bytes < limits.host_free_bytes:
        reasons["low_host_memory"] = (
            f"{signs.host_free_bytes / GB:.2f} GB free, at least {limits.host_free_bytes / GB:.2f}"
        )
    if signs.out_of_memory:
        reasons["out_of_memory"] = f"{signs.out_of_memory} batches in the last 10 min"
    rate = signs.decode_tokens_per_s
    if rate is not None and signs.tokens_written >= limits.decode_tokens and rate < limits.decode_tokens_per_s:
        reasons["slow_decode"] = f"{rate:.1f} tokens/s, at least {limits.decode_tokens_per_s:.0f}"
    if signs.drift_bytes is not None and signs.drift_bytes > limits.drift_bytes:
        reasons["memory_drift"] = f"{signs.drift_bytes / GB:.3f} GB, at most {limits.drift_bytes / GB:.3f}"
    return Verdict({**reasons, **signs.further})


class Health:
    """Remembers the last verdict and when a line is due. Any thread may call it.

    Attributes:
        verdict: the last one.
    """

    def __init__(
        self, limits: HealthLimits, interval_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.verdict = Verdict({})
        self._limits = limits
        self._interval_s = interval_s
        self._clock = clock
        self._lock = threading.Lock()
        self._leaks: str | None = None  # memory that came back by chance does not mend what leaks
        self._due: float | None = None

    def without_card(self) -> None:
        """There is no card after all: what is free of the machine is another matter."""
        with self._lock:
            self._limits = replace(self._limits, free_bytes=None)

    def look(self, signs: VitalSigns) -> tuple[Verdict, bool]:
        """Judge, and write a line when the reasons have changed or a minute has passed.

        Returns:
            The verdict, and whether the minute was over: the time for a summary.
        """
        with self._lock:
            reasons = dict(judge(signs, self._limits).reasons)
            self._leaks = reasons.get("memory_drift", self._leaks)
            if self._leaks is not None:
                reasons["memory_drift"] = self._leaks
            before, self.verdict = self.verdict, Verdict(reasons)
            changed = before.reasons.keys() != reasons.keys()
            now = self._clock()
            due = self._due is None or now >= self._due
            if due:
                self._due = now + self._interval_s
            if due or changed:
                self._write(changed)
            return self.verdict, due

    def _write(self, changed: bool) -> None:
        why = "; ".join(f"{name}: {text}" for name, text in self.verdict.reasons.items())
        log.log(
            logging.INFO if self.verdict.healthy else logging.WARNING,
            "health healthy=%s changed=%s reasons=%s",
            str(self.verdict.healthy).lower(), str(changed).lower(), why or "none",
        )  # fmt: skip


class Measured(Protocol):
    """What a monitor needs of the metrics."""

    def vital_signs(self) -> VitalSigns:
        """What health is judged by."""

    def log_summary(self) -> None:
        """Write the line of the minute."""


class Monitor:
    """A daemon thread that looks every few seconds; `start` and `stop`, or use it with `with`."""

    def __init__(
        self, metrics: Measured, health: Health, replace: Callable[[str], object], look_s: float = 5.0
    ) -> None:
        """`replace` is asked once, with a reason, when the worker leaks."""
        self._metrics = metrics
        self._health = health
        self._replace = replace
        self._look_s = look_s
        self._stopping = threading.Event()
        self._asked = False
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)

    def start(self) -> None:
        """Begin to look, now and then again and again."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def __enter__(self) -> Monitor:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def look(self) -> None:
        """Look once."""
        verdict, minute = self._health.look(self._metrics.vital_signs())
        if minute:
            self._metrics.log_summary()
        if "memory_drift" in verdict.reasons and not self._asked:
            self._asked = True
            self._replace("memory_drift")

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:  # a failing probe must not end the lines that would say so
                log.error("health status=error type=%s", type(error).__name__)
            if self._stopping.wait(self._look_s):
                return
