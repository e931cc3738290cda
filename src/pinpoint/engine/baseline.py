"""Memory back at its baseline after every batch, to the byte; a batch that keeps something is a leak.

What is compared are the bytes that living tensors asked for. Those that the allocator gave for them
(`memory_allocated`) are as many where the allocator's blocks are used again in the same way, but a tensor may also get
a larger block that happens to be free, so they can differ without a leak.

Beside the model, three things stay on the device for good reasons: the prefix store, which counts its own bytes; the
cache that recorded steps of reasons are over, taken at the warm-up; and cuBLAS' workspaces, one for each thread and
stream that multiplies: a thread's first batch brings one, and the first in which it records a graph, to write a reason,
another.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable

import torch

log = logging.getLogger("pinpoint")

# So many batches in a row above the baseline are a leak; fewer may be objects that wait for Python's collector.
DRIFT_BATCHES = 16


class Baseline:
    """What the device holds between batches, and whether it still does.

    Attributes:
        bytes: asked for by all that stays, the prefix store aside; None until the first batch.
        drift_bytes: above the baseline after the last batch.
        drifted: whether memory was lost for good: the worker should answer what it has and be replaced.
    """

    def __init__(self, read_bytes: Callable[[], int], batches: int = DRIFT_BATCHES) -> None:
        self.bytes: int | None = None
        self.drift_bytes = 0
        self.drifted = False
        self._read_bytes = read_bytes
        self._batches = batches
        self._above = 0
        self._seen: set[tuple[int, bool]] = set()

    def check(self, store_bytes: int, recorded: bool = False) -> int:
        """Compare after a batch of which nothing is left, and return `drift_bytes`.

        A thread's first batch, and its first in which a step was recorded, are taken as they are.

        Args:
            store_bytes: what the prefix store holds now.
            recorded: whether a step of a reason was recorded.
        """
        held_bytes = self._read_bytes() - store_bytes
        who = (threading.get_ident(), recorded)
        if self.bytes is None or who not in self._seen:
            self._seen.add(who)
            self.bytes = held_bytes
        self.drift_bytes = held_bytes - self.bytes
        self._above = self._above + 1 if self.drift_bytes else 0
        if self._above >= self._batches and not self.drifted:
            gc.collect()
            self.drift_bytes = self._read_bytes() - store_bytes - self.bytes
            self.drifted = self.drift_bytes != 0
            if self.drifted:
                log.error("memory_drift bytes=%d batches=%d baseline=%d", self.drift_bytes, self._above, self.bytes)
            self._above = 0
        return self.drift_bytes


def requested_bytes(device: torch.device) -> int:
    """Bytes that living tensors asked of the device's allocator."""
    return int(torch.cuda.memory_stats(device).get("requested_bytes.all.current", 0))
