"""The product's own handler and engine, with faults that a test plants.

Environment, all optional: PLANT_CHANCE of a forward pass that fails, with PLANT_SEED and PLANT_KINDS (value_error,
system_exit, out_of_memory, memory_error; all by default); PLANT_PASS_S that each pass takes longer; PLANT_LEAK_BYTES
that each job leaves behind; PLANT_TIMES writes a line with the handler's whole time for each job; PLANT_STUCK names a
file: as long as there is one, calls of `os` that name something below PINPOINT_STATE_DIR do not return.

Signals: SIGUSR1 blocks the event loop for ever, SIGUSR2 hangs the next forward pass, SIGHUP asks for a replacement.
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pinpoint.errors import OutOfMemory
from pinpoint.serving import sdk_guards
from pinpoint.serving.start import Entry, start

CANARY = "canary-of-the-exception"
KINDS: dict[str, BaseException] = {
    "value_error": ValueError(CANARY),
    "system_exit": SystemExit(3),
    "out_of_memory": OutOfMemory("out_of_memory", "planted"),
    "memory_error": MemoryError(CANARY),
}
hanging = threading.Event()
leaked: list[bytearray] = []


def plant_in_passes() -> None:
    """Wrap the one call of the engine that runs a pass."""
    from pinpoint.engine.scorer import Scorer

    run = Scorer.run
    chance = random.Random(os.environ.get("PLANT_SEED", "0"))
    limit = float(os.environ.get("PLANT_CHANCE", "0"))
    kinds = os.environ.get("PLANT_KINDS", ",".join(KINDS)).split(",")
    pass_s = float(os.environ.get("PLANT_PASS_S", "0"))

    @contextmanager
    def faulty(scorer: Any, *args: Any, **options: Any) -> Iterator[Any]:
        if hanging.is_set():
            time.sleep(3600)
        time.sleep(pass_s)
        if chance.random() < limit:
            raise KINDS[chance.choice(kinds)]
        with run(scorer, *args, **options) as done:
            yield done

    vars(importlib.import_module("pinpoint.engine.scorer"))["Scorer"].run = faulty


def plant_in_state() -> None:
    """A volume that hangs, as far as Python can tell."""
    stuck, folder = os.environ.get("PLANT_STUCK"), os.environ.get("PINPOINT_STATE_DIR")
    if not stuck or not folder:
        return

    def wrap(call: Any) -> Any:
        def hangs(path: Any, *args: Any, **options: Any) -> Any:
            while str(path).startswith(folder) and os.access(stuck, os.F_OK):
                time.sleep(0.05)
            return call(path, *args, **options)

        return hangs

    for name in ("open", "mkdir", "rmdir", "unlink", "rename", "listdir", "scandir", "stat", "utime"):
        vars(os)[name] = wrap(getattr(os, name))


class Planted(Entry):
    """The handler, which may keep something of every job, and may say how long it took."""

    async def __call__(self, job: dict[str, Any]) -> Any:
        """Answer one job."""
        size = int(os.environ.get("PLANT_LEAK_BYTES", "0"))
        if size:
            leaked.append(bytearray(os.urandom(64) * (size // 64)))  # written to, so that it is really there
        began_s = time.perf_counter()
        answer = await super().__call__(job)
        if "PLANT_TIMES" in os.environ:
            print(f"handled job={job['id']} ms={(time.perf_counter() - began_s) * 1e3:.3f}", flush=True)
        return answer


def main() -> None:
    """Start as handler.py does."""
    # The SDK asks for the processor's name when imported, by a subprocess that takes a second.
    vars(importlib.import_module("cpuinfo"))["get_cpu_info"] = lambda: {"brand_raw": "of no interest"}
    plant_in_passes()
    plant_in_state()
    signal.signal(signal.SIGUSR1, lambda number, frame: time.sleep(3600))
    signal.signal(signal.SIGUSR2, lambda number, frame: hanging.set())
    signal.signal(signal.SIGHUP, lambda number, frame: sdk_guards.request_replacement("the test asked for it"))
    start(Planted())


if __name__ == "__main__":
    main()
