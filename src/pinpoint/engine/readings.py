"""What others may know of the engine: its memory, which model answered, where its start went. Torch-free."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

# Of what a model made of a document, where that is wanted (`forward/states.py`).
STATE_FLOATS = 128


@dataclass(frozen=True, slots=True)
class Memory:
    """Device memory after the job, without a GPU the process's; `baseline` is what the model alone holds."""

    allocated_bytes: int
    reserved_bytes: int
    free_bytes: int
    baseline_bytes: int


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What answered; with the same five values the same document gets the same answer."""

    name: str
    revision: str
    precision: str
    prompt_version: int
    labels_sha: str


class Laps:
    """Where the seconds of a start go.

    Attributes:
        seconds: by part, in the order in which they first ended.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._last = clock()

    def lap(self, part: str) -> None:
        """What went since the last call was for this part."""
        now = self._clock()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._last
        self._last = now

    def told(self) -> dict[str, float]:
        """Rounded."""
        return {part: round(seconds, 2) for part, seconds in self.seconds.items()}


def process_age_s() -> float:
    """Seconds since the system began this process, to a hundredth; where it does not say, of processor time."""
    try:
        with open("/proc/self/stat", encoding="ascii") as stream:
            ticks = int(stream.read().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return time.process_time()
