"""What serving costs: `python bench/serving.py [--json]`. Jobs a second alone and together, overhead, a flood.

The real SDK runs the product's handler with the embedded model, as a process of its own, against the emulated platform
of tests/worker. Jobs are one short document each. Three questions:

    speed      jobs a second with 64 in flight against one at a time, in turn (asked: at least 3 times)
    overhead   the handler's time for a job beyond its forward pass, one job at a time (asked: 3 ms at the median)
    flood      2,000 jobs at once: each answered once, and memory where it began

The ceiling is what the engine alone would do: jobs of a run by the seconds that its forward passes took.
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil
import typer
from rich.console import Console
from rich.table import Table

from bench.report import ratio, write
from tests.worker.emulator import Platform
from tests.worker.processes import WorkerProcess
from tests.worker.product import LABELS, TEXTS, product_worker

ONE, MANY = 1, 64  # jobs in flight
JOBS_ONE, JOBS_MANY = 100, 640  # of a round: about as long at either
FLOOD_JOBS = 2000
WARM_JOBS = 200
END_S = 300.0
QUIET_S = 2.0  # for the last garbage to go

_JOB = re.compile(r"job=(\S+) status=ok .*?queue_ms=([\d.]+) forward_ms=([\d.]+) total_ms=([\d.]+)")
_BATCH = re.compile(r"batch=\d+ status=ok jobs=(\d+) .*?queue_ms=[\d.]+ forward_ms=([\d.]+)")
_HANDLED = re.compile(r"handled job=(\S+) ms=([\d.]+)")


@dataclass
class Side:
    """A platform with one worker."""

    platform: Platform
    worker: WorkerProcess
    chance: random.Random

    def run(self, jobs: int) -> Run:
        """Queue so many jobs at once; when all are answered, what the run took."""
        said = len(self.worker.output)
        inputs = [
            {"text": self.chance.choice(TEXTS).format(n=self.chance.randint(1, 10**6)), "labels": list(LABELS[0])}
            for _ in range(jobs)
        ]
        began_s = time.perf_counter()
        ids = [self.platform.submit(value) for value in inputs]
        ended = self.platform.ledger.wait_final(*ids, timeout_s=END_S)
        wall_s = time.perf_counter() - began_s
        wrong = [job.error for job in ended if job.status != "COMPLETED"]
        if wrong:
            raise SystemExit(f"{len(wrong)} jobs failed, the first with {wrong[0]}")
        time.sleep(0.2)  # the log's last line
        return Run(jobs, wall_s, self.worker.output[said:])

    def resident_mb(self) -> float:
        """What the worker holds now."""
        time.sleep(QUIET_S)
        return float(psutil.Process(self.worker.process.pid).memory_info().rss / 1e6)


@dataclass
class Run:
    """A run, by its wall clock and its worker's lines."""

    jobs: int
    wall_s: float
    log: str

    @property
    def jobs_per_s(self) -> float:
        """Answered, from the first submission to the last answer."""
        return self.jobs / self.wall_s

    @property
    def forward_s(self) -> float:
        """In forward passes."""
        return sum(float(found[2]) for found in _BATCH.finditer(self.log)) / 1e3

    @property
    def jobs_per_batch(self) -> float:
        """How well passes are shared."""
        counts = [int(found[1]) for found in _BATCH.finditer(self.log)]
        return sum(counts) / len(counts)

    def overheads_ms(self) -> dict[str, list[float]]:
        """Of each job: the handler's time without its pass, and without waiting for it either."""
        handled = {found[1]: float(found[2]) for found in _HANDLED.finditer(self.log)}
        parts: dict[str, list[float]] = {"without_forward": [], "without_forward_and_queue": [], "queue": []}
        for found in _JOB.finditer(self.log):
            queue, forward = float(found[2]), float(found[3])
            parts["without_forward"].append(handled[found[1]] - forward)
            parts["without_forward_and_queue"].append(handled[found[1]] - forward - queue)
            parts["queue"].append(queue)
        return parts


def middle(runs: list[Run], part: str) -> float:
    """Median over all jobs of these runs, ms."""
    return round(median(value for run in runs for value in run.overheads_ms()[part]), 2)


def measure(rounds: int, flood_jobs: int, threads: int, console: Console) -> dict[str, Any]:
    """Both sides in turn, then the flood."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="serving-")))
        sides = {}
        for slots in (ONE, MANY):
            platform = stack.enter_context(Platform(poll_s=5.0))
            env: dict[str, object] = {
                "PINPOINT_MAX_CONCURRENCY": slots, "OMP_NUM_THREADS": threads, "PLANT_TIMES": 1,
                # Kept answers are meant to be kept: full at once, they are no growth.
                "PINPOINT_KEPT_ANSWERS_BYTES": 100_000,
            }  # fmt: skip
            console.print(f"starting a worker with {slots} in flight")
            worker = stack.enter_context(product_worker(platform, folder, f"w{slots}", env))
            sides[slots] = Side(platform, worker, random.Random(slots))
        counts = {ONE: JOBS_ONE, MANY: JOBS_MANY}
        runs: dict[int, list[Run]] = {ONE: [], MANY: []}
        for turn in range(rounds + 1):
            for slots, side in sides.items():
                run = side.run(counts[slots])
                console.print(f"round {turn}: {slots} in flight, {run.jobs_per_s:.1f} jobs/s")
                if turn:
                    runs[slots].append(run)
        flooded = sides[MANY]
        flooded.run(WARM_JOBS)
        before_mb = flooded.resident_mb()
        console.print(f"flood of {flood_jobs} jobs")
        flood = flooded.run(flood_jobs)
        after_mb = flooded.resident_mb()
        audits = [side.platform.ledger.audit() for side in sides.values()]
    return {
        "jobs_per_s": {slots: [round(run.jobs_per_s, 2) for run in done] for slots, done in runs.items()},
        "many_over_one": round(ratio([run.jobs_per_s for run in runs[MANY]], [run.jobs_per_s for run in runs[ONE]]), 2),
        "ceiling_jobs_per_s": {
            slots: round(median(run.jobs / run.forward_s for run in done), 1) for slots, done in runs.items()
        },
        "engine_busy_share": {
            slots: round(median(run.forward_s / run.wall_s for run in done), 3) for slots, done in runs.items()
        },
        "jobs_per_batch": {slots: round(median(run.jobs_per_batch for run in done), 1) for slots, done in runs.items()},
        "overhead_ms_median": {
            slots: {part: middle(done, part) for part in ("without_forward", "without_forward_and_queue", "queue")}
            for slots, done in runs.items()
        },
        "flood": {
            "jobs": flood_jobs,
            "seconds": round(flood.wall_s, 1),
            "before_mb": round(before_mb, 1),
            "after_mb": round(after_mb, 1),
            "grown_mb": round(after_mb - before_mb, 1),
        },
        "lost": sum(len(audit.lost) for audit in audits),
        "twice": sum(len(audit.twice) for audit in audits),
        "wrong_owner": sum(len(audit.wrong_owner) for audit in audits),
    }


def main(
    rounds: Annotated[int, typer.Option(help="Measured rounds of either side, in turn.")] = 3,
    flood: Annotated[int, typer.Option(help="Jobs of the flood.")] = FLOOD_JOBS,
    threads: Annotated[int, typer.Option(help="Threads of a forward pass.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Also write bench/results/serving.json.")] = False,
) -> None:
    """Measure serving against the emulated platform: speed together and alone, overhead, a flood."""
    console = Console(stderr=True)
    figures = measure(rounds, flood, threads, console)
    table = Table("", "1 in flight", "64 in flight", box=None, title="serving, one short document a job")
    for name in ("jobs_per_s", "ceiling_jobs_per_s", "engine_busy_share", "jobs_per_batch"):
        shown = [figures[name][slots] for slots in (ONE, MANY)]
        table.add_row(name, *(str(median(value) if isinstance(value, list) else value) for value in shown))
    for part in ("without_forward", "without_forward_and_queue", "queue"):
        table.add_row(f"ms {part}", *(str(figures["overhead_ms_median"][slots][part]) for slots in (ONE, MANY)))
    out = Console()
    out.print(table)
    out.print(f"64 in flight over 1: {figures['many_over_one']} × (asked: 3)")
    out.print(
        f"flood: {figures['flood']}; lost {figures['lost']}, twice {figures['twice']}, "
        f"wrong owner {figures['wrong_owner']}"
    )
    if as_json:
        print(json.dumps(figures))
        print(f"written to {write('serving', figures)}")


if __name__ == "__main__":
    typer.run(main)
