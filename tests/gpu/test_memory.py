"""Memory on a real GPU: the plan against the widest pass, the baseline, and running out."""

from collections.abc import Iterator

import pytest
import torch

from bench import gpu_memory
from bench.gpu_model import plan_and_make
from pinpoint.engine import gpu
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.warmup import TOLERANCE, warm_up
from pinpoint.settings import Settings

STORE_BYTES = 50_000_000
# More than twice what two layers and passes of 8,192 tokens are planned to take. Running out of memory fills it.
MOST_GB = 16.0


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    """Two full-size layers, and a cap that leaves the rest of the card to whoever else computes there."""
    made = Scorer(plan_and_make(2, Settings(device="cuda", max_memory_gb=MOST_GB)), 8192, STORE_BYTES)
    yield made
    del made
    gpu.release()
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_the_widest_pass_takes_what_was_planned(scorer: Scorer) -> None:
    done = warm_up(scorer)
    assert done is not None
    assert abs(done.off) <= TOLERANCE
    assert done.free_bytes >= Settings().buffer_gb * 1e9


def test_every_batch_leaves_the_baseline_to_the_byte(scorer: Scorer) -> None:
    assert [row for row in gpu_memory.baseline(scorer, batches=40) if row.ok is False] == []


def test_what_a_batch_leaves_behind_is_noticed(scorer: Scorer) -> None:
    assert scorer.baseline is not None
    gpu_memory.baseline(scorer, batches=1)
    kept = torch.empty(1, device=scorer.loaded.device)
    rows = gpu_memory.baseline(scorer, batches=1)  # its first batch ran before it was made, in this thread
    assert [row.ok for row in rows][:1] == [False]
    del kept


def test_running_out_of_memory_leaves_the_baseline_and_the_answers(scorer: Scorer) -> None:
    assert [row for row in gpu_memory.forced_errors(scorer, times=3) if row.ok is False] == []
