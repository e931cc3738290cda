"""The soak's own arithmetic, and a short run of it: a soak that cannot fail proves nothing."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.worker.soak import MAX_SLOPE_MB, MIN_JOBS, Tally

ROOT = Path(__file__).resolve().parents[2]


def a_run(slope_mb: float, jobs: int = 4000, seed: int = 1) -> Tally:
    """Samples as a worker gives them: a floor that rises, and passes that need some memory for a while."""
    chance = random.Random(seed)
    memory = [(n, 600 + slope_mb * n / 1000 + chance.choice([0, chance.uniform(0, 80)])) for n in range(0, jobs, 4)]
    return Tally(memory=memory)


@pytest.mark.parametrize("seed", range(20))
def test_only_memory_that_grows_with_the_jobs_is_a_leak(seed: int) -> None:
    level, leak = a_run(0.0, seed=seed), a_run(100.0, jobs=1000, seed=seed)
    assert level.slope_mb == pytest.approx(0, abs=1) and not level.leaks
    assert leak.slope_mb == pytest.approx(100, rel=0.1) and leak.leaks
    assert not a_run(MAX_SLOPE_MB / 2, seed=seed).leaks


def test_few_jobs_are_not_judged() -> None:
    assert a_run(100.0, jobs=MIN_JOBS // 2).slope_mb is None
    assert Tally().slope_mb is None and not Tally().leaks


@pytest.mark.parametrize("field", ["lost", "twice", "wrong_owner", "complaints"])
def test_a_run_with_anything_wrong_fails(field: str) -> None:
    assert Tally().clean
    tally = Tally()
    setattr(tally, field, ["job-1"])
    assert not tally.clean


@pytest.mark.parametrize(("more", "code"), [([], 0), (["--plant-leak"], 1)])
def test_a_short_run_passes_and_with_a_leak_fails(more: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.worker.soak", "--minutes", "0.25", "--handler", "echo", "--seed", "5",
         "--faults", "posts,outages,takes,storms,malformed,ids,cancels", *more],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "lost" in done.stdout and "Traceback" not in done.stderr
