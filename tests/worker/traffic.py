"""Good jobs at random moments while a test does harm, and rounds of it side by side."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.worker.conftest import rounds, seed
from tests.worker.emulator import Platform
from tests.worker.ledger import FINAL, WAIT_S, Job

AT_ONCE = 4  # rounds side by side: they mostly wait
MakeJob = Callable[[random.Random], Any]
OneRound = Callable[[Platform, Path, random.Random], None]


def quick_echo(chance: random.Random) -> dict[str, Any]:
    """A job that an echo worker answers within a tenth of a second."""
    return {"echo": chance.randint(0, 10**9), "sleep_s": chance.choice([0, 0, chance.uniform(0, 0.1)])}


class Traffic:
    """Submits jobs from a thread of its own, a few at a time, until the `with` block ends or `stop` is called."""

    def __init__(self, platform: Platform, chance: random.Random, make: MakeJob = quick_echo, pause_s: float = 0.15):
        self.ids: list[str] = []
        self._platform = platform
        self._chance = random.Random(chance.random())
        self._make = make
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self._thread.join()

    def stop(self, timeout_s: float = WAIT_S) -> list[Job]:
        """No more jobs; those there were, once all of them have ended."""
        self.__exit__()
        return self._platform.ledger.wait_final(*self.ids, timeout_s=timeout_s)

    def _run(self) -> None:
        while True:
            for _ in range(self._chance.choice([1, 1, 2, 5])):
                self.ids.append(self._platform.submit(self._make(self._chance)))
            if self._stopping.wait(self._chance.uniform(0, 2 * self._pause_s)):
                return


def once(platform: Platform, *job_ids: str) -> None:
    """Each of these jobs, all where none is named, was answered exactly once and by the one who had it.

    Once means: one result acknowledged to a worker. Where the answer to a post was lost on the wire, or a second
    delivery was asked for, a worker has to post again, and the audit allows for just that.
    """
    audit = platform.ledger.audit()
    assert audit.clean, audit
    for name in job_ids or list(platform.ledger.jobs):
        job = platform.ledger.jobs[name]
        if not job.unanswerable:
            assert job.status in FINAL, (name, job.status)
            assert job.status == "CANCELLED" or len(job.acknowledged) == 1, (name, job.status, len(job.acknowledged))


def repeat(row: str, one_round: OneRound, folder: Path, default: int = 2) -> None:
    """Rounds of a row, each with its own platform and moments; a failing one says how to bring it back.

    `PINPOINT_FAULT_ROUND=17` runs that round alone.
    """
    only = os.environ.get("PINPOINT_FAULT_ROUND")
    numbers = [int(only)] if only else list(range(rounds(default)))
    print(f"{row}: seed {seed()}, {len(numbers)} rounds")

    def run(number: int) -> str | None:
        place = folder / str(number)
        place.mkdir()
        chance = random.Random(f"{seed()}/{row}/{number}")
        try:
            with Platform(seed=chance.randrange(10**9)) as platform:
                one_round(platform, place, chance)
        except Exception as error:
            return f"PINPOINT_FAULT_SEED={seed()} PINPOINT_FAULT_ROUND={number}: {type(error).__name__}: {error}"
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        failed = [told for told in pool.map(run, numbers) if told]
    assert not failed, f"{row}: {len(failed)} of {len(numbers)} rounds\n" + "\n".join(failed)
