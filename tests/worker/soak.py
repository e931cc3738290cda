"""A worker among platform failures for minutes on end: `python -m tests.worker.soak --minutes 5 --faults all`.

Two workers of the real SDK share an emulated platform's jobs. One stays for the whole run, and its memory is watched;
the other is killed, terminated, hung or replaced again and again, and a new one takes its place. At the end no job may
be lost, answered twice or answered by another's result, and the first worker's memory must not grow with its jobs.
"""

from __future__ import annotations

import itertools
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.worker.conftest import echo_worker
from tests.worker.emulator import Platform
from tests.worker.faults import ACCEPTED, TRANSIENT, PostFault, TakeFault
from tests.worker.ledger import FINAL
from tests.worker.processes import WorkerProcess
from tests.worker.product import BAD, good_job, owner, product_worker
from tests.worker.test_sdk_facts import DEEP, HUGE_INTEGER

SLOTS = 64  # of each worker
FAULTS = (
    "posts", "outages", "takes", "storms", "passes", "bad_inputs", "malformed", "ids", "cancels", "duplicates",
    "deaths",
)  # fmt: skip
REFUSING = (PostFault.ERROR_500, PostFault.FOUND_302, PostFault.MISSING_404, PostFault.LARGE_413)
DEATHS = ("sigkill", "sigterm", "hung_pass", "hung_loop", "replacement")
DEATH_EVERY_S = 6.0  # after the last one was replaced
HANG_S = 8.0  # longer than the longest honest pass on a busy machine
LEAK_BYTES = 200_000  # of each job, where one is planted
WARM_SHARE = 0.4  # of the jobs, until allocators, stores and windows are full
MIN_JOBS = 500  # fewer say nothing about a slope
MAX_SLOPE_MB = 5.0  # per 1,000 jobs; the planted leak is forty times as much
NOISE_MB = 25.0  # by which floors differ in a run that leaks nothing
BUCKETS = 8


class Handler(Enum):
    """What answers."""

    PRODUCT = "product"
    ECHO = "echo"


@dataclass
class Tally:
    """What was done and what came of it."""

    submitted: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong_owner: list[str] = field(default_factory=list)
    strays: int = 0
    complaints: list[str] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)  # jobs answered, MB

    @property
    def floors(self) -> list[tuple[float, float]]:
        """Jobs answered and the least memory held about then, once warm: that is between passes."""
        if not self.memory or self.memory[-1][0] < MIN_JOBS:
            return []
        warm = [sample for sample in self.memory if sample[0] >= WARM_SHARE * self.memory[-1][0]]
        size = max(1, len(warm) // BUCKETS)
        buckets = [warm[start : start + size] for start in range(0, size * BUCKETS, size)]
        return [(median(jobs for jobs, _ in some), min(mb for _, mb in some)) for some in buckets if some]

    @property
    def slope_mb(self) -> float | None:
        """MB per 1,000 jobs: the median of the slopes between any two floors (Theil, Sen); None with too few jobs."""
        pairs = itertools.combinations(self.floors, 2)
        slopes = [1000 * (later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in pairs
                  if later[0] > earlier[0]]  # fmt: skip
        return median(slopes) if slopes else None

    @property
    def leaks(self) -> bool:
        """Whether memory grows with the jobs, and by more than it moves up and down anyway."""
        if self.slope_mb is None or self.slope_mb <= MAX_SLOPE_MB:
            return False
        return self.slope_mb * (self.floors[-1][0] - self.floors[0][0]) / 1000 > NOISE_MB

    @property
    def clean(self) -> bool:
        """Whether the run passes."""
        return not (self.lost or self.twice or self.wrong_owner or self.strays or self.complaints or self.leaks)


class Soak:
    """One run."""

    def __init__(
        self, platform: Platform, folder: Path, handler: Handler, faults: set[str], seed: int, leak: bool
    ) -> None:
        self.tally = Tally()
        self._platform = platform
        self._folder = folder
        self._handler = handler
        self._faults = faults
        self._chance = random.Random(seed)
        self._leak = leak
        self._open: dict[str, str | None] = {}  # jobs in flight → the tag that their answer must bear
        self._done: list[str] = []
        self._workers = 0
        self._number = 0
        self._ends_s = {"outages": 0.0, "storms": 0.0}
        platform.poll_s = 2.0
        platform.faults.stop_pod_kills = True
        if "posts" in faults:
            platform.faults.post_chance = 0.15
            platform.faults.post_kinds = (*TRANSIENT, *ACCEPTED, PostFault.RESET_AFTER)
        if "takes" in faults:
            platform.faults.take_chance = 0.15
            platform.faults.take_kinds = tuple(kind for kind in TakeFault if kind is not TakeFault.NONE)

    def start(self, lasting: bool) -> WorkerProcess:
        """A worker, not entered yet."""
        self._workers += 1
        name = "lasting" if lasting else f"mortal-{self._workers}"
        if self._handler is Handler.ECHO:
            return echo_worker(
                self._platform, self._folder, name, guards=True, echo_concurrency=SLOTS, echo_hang_s=HANG_S,
                echo_post_attempt_s=2.0, echo_leak_bytes=LEAK_BYTES if self._leak else 0, wait_ready=lasting,
            )  # fmt: skip
        env: dict[str, object] = {
            "PINPOINT_MAX_CONCURRENCY": SLOTS,
            "PINPOINT_HANG_S": HANG_S,
            "PINPOINT_POST_ATTEMPT_S": 2.0,
            # What is kept on purpose, and bounded, is full before memory is looked at.
            "PINPOINT_KEPT_ANSWERS_BYTES": 200_000,
            "PINPOINT_PREFIX_STORE_BYTES": 4_000_000,
            "PLANT_CHANCE": 0.03 if "passes" in self._faults else 0,
            "PLANT_SEED": self._chance.randrange(10**9),
            "PLANT_LEAK_BYTES": LEAK_BYTES if self._leak else 0,
        }
        return product_worker(self._platform, self._folder, name, env, wait_ready=lasting)

    def run(self, minutes: float, tick: Callable[[float], None]) -> None:
        """Jobs and faults for so long, then the end of everything that is open."""
        with ExitStack() as stack:
            lasting = stack.enter_context(self.start(lasting=True))
            process = psutil.Process(lasting.process.pid)
            mortal = Mortal(self, stack)
            began_s = time.monotonic()
            while (elapsed_s := time.monotonic() - began_s) < minutes * 60:
                self._settle()
                self._submit()
                self._harm()
                if "deaths" in self._faults:
                    mortal.step()
                if lasting.process.poll() is not None:
                    self.tally.complaints.append(
                        f"the lasting worker ended with {lasting.process.returncode}: {lasting.output[-800:]}"
                    )
                    break
                answered = self._platform.ledger.answered_by[lasting.name]
                self.tally.memory.append((answered, process.memory_info().rss / 1e6))
                tick(elapsed_s)
                time.sleep(0.05)
            self._finish(lasting, mortal)

    def _submit(self) -> None:
        """Keep as many jobs open as two workers have slots."""
        for _ in range(2 * SLOTS - len(self._open)):
            self._number += 1
            tag = f"tag-{self._number}"
            value: Any
            if "bad_inputs" in self._faults and self._chance.random() < 0.08:
                value, expected = self._chance.choice(BAD), None
                self.tally.faults["bad input"] += 1
            elif self._handler is Handler.ECHO:
                value, expected = {"echo": tag, "sleep_s": self._chance.uniform(0, 0.05)}, tag
            else:
                value, expected = good_job(self._chance, tag), tag
            job_id = None
            if "ids" in self._faults and self._chance.random() < 0.1:
                job_id = f"no\u00a0break status=lost {self._number}"
                self.tally.faults["odd id"] += 1
            self._open[self._platform.submit(value, job_id)] = expected
            self.tally.submitted += 1

    def _harm(self) -> None:
        """About one of each kind a second."""
        if "cancels" in self._faults and self._chance.random() < 0.05:
            job_id = self._chance.choice(list(self._open))
            self._platform.cancel(job_id)
            self.tally.faults["cancel"] += 1
        if "duplicates" in self._faults and self._chance.random() < 0.05:
            known = list(self._open) + self._done[-200:]
            job = self._platform.ledger.jobs[self._chance.choice(known)]
            if job.status != "CANCELLED":
                with self._platform.ledger.lock:
                    self._platform.submit_raw(job.raw, job.id)
                self.tally.faults["duplicate"] += 1
        if "malformed" in self._faults and self._chance.random() < 0.05:
            raw = self._chance.choice(
                [b'{"input": {}}', b'{"id": [7], "input": {}}', b'{"id": "", "input": {}}', b"null", b"}",
                 b'{"input": %s}' % HUGE_INTEGER, b'{"input": %s}' % DEEP]
            )  # fmt: skip
            self._platform.submit_raw(raw)
            self.tally.faults["malformed job"] += 1

        for kind, chance in (("outages", 0.01), ("storms", 0.02)):
            if kind in self._faults and time.monotonic() > self._ends_s[kind]:
                begins = self._chance.random() < chance
                self._set(kind, begins)
                if begins:
                    self._ends_s[kind] = time.monotonic() + self._chance.uniform(0.2, 2.0)
                    self.tally.faults[kind] += 1

    def _set(self, kind: str, on: bool) -> None:
        """Begin or end a time in which the platform accepts nothing, or answers every stop poll at once."""
        if kind == "outages":
            self._platform.faults.down = self._chance.choice(REFUSING) if on else None
        else:
            self._platform.faults.stop_ids = ("nobody",) if on else ()

    def _settle(self) -> None:
        """Look at the jobs that have ended since."""
        for job_id in [name for name in self._open if self._platform.ledger.jobs[name].status in FINAL]:
            job, expected = self._platform.ledger.jobs[job_id], self._open.pop(job_id)
            self._done.append(job_id)
            code = str(job.error).partition(":")[0] if job.error else ""
            self.tally.outcomes[job.status.lower() + (f" {code}" if code else "")] += 1
            if job.status == "COMPLETED" and expected is not None:
                tags = {job.output["echo"]} if self._handler is Handler.ECHO else owner(job.output)
                if tags != {expected}:
                    self.tally.wrong_owner.append(job_id)

    def _finish(self, lasting: WorkerProcess, mortal: Mortal) -> None:
        """No more faults; what is open ends, and the workers leave in peace."""
        faults = self._platform.faults
        faults.post_chance = faults.take_chance = 0.0
        faults.down, faults.stop_ids = None, ()
        mortal.end()
        try:
            if self._open:
                self._platform.ledger.wait_final(*self._open, timeout_s=60)
        except AssertionError as error:
            self.tally.complaints.append(str(error))
            self.tally.lost += [name for name in self._open if self._platform.ledger.jobs[name].status not in FINAL]
        self._settle()
        lasting.terminate()
        try:
            if lasting.wait_exit(30) != 0:
                self.tally.complaints.append(f"the lasting worker ended with {lasting.process.returncode}")
        except AssertionError as error:
            self.tally.complaints.append(str(error)[:2000])
        audit = self._platform.ledger.audit()
        self.tally.lost += audit.lost
        self.tally.twice += audit.twice
        self.tally.wrong_owner += audit.wrong_owner
        self.tally.strays = audit.strays
        self.tally.faults.update(faults.hits)
        self.tally.faults.update(_planted(self._folder))


class Mortal:
    """The worker that ends again and again, by each kind of death in turn."""

    def __init__(self, soak: Soak, stack: ExitStack) -> None:
        self._soak = soak
        self._platform = soak._platform
        self._stack = stack
        self._worker: WorkerProcess | None = None
        self._due_s = 0.0
        self._dying: str | None = None
        self._deaths = 0

    def step(self) -> None:
        """Start it, end it, or see it ended."""
        now_s = time.monotonic()
        if self._worker is None:
            self._worker = self._stack.enter_context(self._soak.start(lasting=False))
            self._due_s = 0.0
        elif self._due_s == 0.0:
            if self._platform.ledger.polls_begun[self._worker.name]:
                self._due_s = now_s + self._soak._chance.uniform(0.2, 2 * DEATH_EVERY_S)
            elif self._worker.process.poll() is not None:
                self._ended()
        elif self._dying is not None:
            if self._worker.process.poll() is not None:
                self._ended()
            elif now_s > self._due_s + 60:
                self._soak.tally.complaints.append(f"{self._worker.name} outlives its {self._dying}")
                self._worker.kill()
        elif self._worker.process.poll() is not None:
            self._ended()
        elif now_s >= self._due_s:
            self._strike(self._worker, DEATHS[self._deaths % len(DEATHS)])
            self._deaths += 1

    def _strike(self, worker: WorkerProcess, kind: str) -> None:
        self._dying = kind
        self._soak.tally.faults[kind] += 1
        signals = {
            "sigkill": signal.SIGKILL, "sigterm": signal.SIGTERM, "hung_pass": signal.SIGUSR2,
            "hung_loop": signal.SIGUSR1, "replacement": signal.SIGHUP,
        }  # fmt: skip
        worker.process.send_signal(signals[kind])

    def _ended(self) -> None:
        assert self._worker is not None
        worker, kind, self._worker, self._dying = self._worker, self._dying, None, None
        if kind is None:
            self._soak.tally.complaints.append(
                f"{worker.name} ended by itself with {worker.process.returncode}: {worker.output[-800:]}"
            )
        # Of a worker that drains nothing may be left; the platform is told of the other deaths alone, so that whatever
        # a drained one leaves behind is found as lost.
        if kind in ("sigkill", "hung_pass", "hung_loop", None):
            self._platform.worker_lost(worker.name)
        else:
            self._platform.retired.add(worker.name)

    def end(self) -> None:
        """Let the last one go: what is dying dies, what lives drains."""
        if self._worker is None:
            return
        worker = self._worker
        if self._dying is None:
            self._strike(worker, "sigterm" if self._due_s else "sigkill")
        worker.process.wait(60)
        self._ended()


def _planted(folder: Path) -> Counter[str]:
    """Passes that were made to fail, from the workers' logs."""
    found: Counter[str] = Counter()
    for path in folder.glob("*.log"):
        text = path.read_text(errors="replace")
        found["failed pass"] += text.count("batch failed type=")
        found["out of memory"] += text.count("status=error code=out_of_memory jobs=")
    return +found


def show(tally: Tally, seed: int, console: Console) -> None:
    """The table of the run."""
    table = Table(title=f"soak, seed {seed}", box=None, title_justify="left")
    table.add_column("")
    table.add_column("count", justify="right")
    table.add_row("jobs submitted", str(tally.submitted))
    for name, count in sorted(tally.outcomes.items()):
        table.add_row(f"  {name}", str(count))
    table.add_row("faults", str(tally.faults.total()))
    for name, count in sorted(tally.faults.items()):
        table.add_row(f"  {name}", str(count))
    for name, found in (("lost", tally.lost), ("twice", tally.twice), ("wrong owner", tally.wrong_owner)):
        table.add_row(name, str(len(found)), style="red" if found else None)
    table.add_row("answers to nobody's job", str(tally.strays), style="red" if tally.strays else None)
    slope = tally.slope_mb
    table.add_row(
        "memory, MB per 1,000 jobs",
        f"too few jobs, {MIN_JOBS} needed" if slope is None else f"{slope:+.2f} (limit {MAX_SLOPE_MB:g})",
        style="red" if tally.leaks else None,
    )
    console.print(table)
    for complaint in tally.complaints:
        console.print(complaint, style="red", markup=False)
    for name, found in (("lost", tally.lost), ("twice", tally.twice), ("wrong owner", tally.wrong_owner)):
        if found:
            console.print(f"{name}: {', '.join(found[:20])}", style="red", markup=False)


def main(
    minutes: Annotated[float, typer.Option(min=0.05, help="How long jobs and faults go on.")] = 5.0,
    faults: Annotated[str, typer.Option(help=f"all, none, or a list of {', '.join(FAULTS)}.")] = "all",
    handler: Annotated[Handler, typer.Option(help="The product with its embedded model, or a stub.")] = Handler.PRODUCT,
    plant_leak: Annotated[bool, typer.Option(help=f"Each job leaves {LEAK_BYTES} bytes behind: must fail.")] = False,
    seed: Annotated[int, typer.Option(help="Of everything random; 0 for a new one.")] = 0,
    logs: Annotated[Path | None, typer.Option(help="Keep the workers' logs in this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Also print the figures as JSON.")] = False,
) -> None:
    """Run a worker among platform failures; exit code 1 when a job was lost, doubled or mixed up, or memory grows."""
    chosen = {"all": set(FAULTS), "none": set[str]()}.get(faults, {name.strip() for name in faults.split(",")})
    if unknown := chosen - set(FAULTS):
        raise typer.BadParameter(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    seed = seed or random.SystemRandom().randrange(1, 10**6)
    console = Console(stderr=True)
    with ExitStack() as stack:
        folder = logs or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        folder.mkdir(parents=True, exist_ok=True)
        platform = stack.enter_context(Platform(seed=seed))
        soak = Soak(platform, folder, handler, chosen, seed, plant_leak)
        bar = stack.enter_context(
            Progress(
                TextColumn("soak, seed {task.fields[seed]}"), BarColumn(), TimeElapsedColumn(),
                TextColumn("{task.fields[jobs]} jobs, {task.fields[faults]} faults"), console=console,
            )
        )  # fmt: skip
        task = bar.add_task("soak", total=minutes * 60, seed=seed, jobs=0, faults=0)
        soak.run(
            minutes,
            lambda elapsed_s: bar.update(
                task, completed=elapsed_s, jobs=soak.tally.submitted,
                faults=soak.tally.faults.total() + platform.faults.hits.total(),
            ),
        )  # fmt: skip
    tally = soak.tally
    show(tally, seed, Console())
    if as_json:
        figures = {
            "seed": seed, "jobs": tally.submitted, "outcomes": dict(tally.outcomes), "faults": dict(tally.faults),
            "lost": len(tally.lost), "twice": len(tally.twice), "wrong_owner": len(tally.wrong_owner),
            "slope_mb_per_1000_jobs": tally.slope_mb, "complaints": tally.complaints,
        }  # fmt: skip
        print(json.dumps(figures))
    sys.exit(0 if tally.clean else 1)


if __name__ == "__main__":
    typer.run(main)
