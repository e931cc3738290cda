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
# Fewer have none whose input is another tensor than the embeddings and that is computed for all rows.
LAYERS = 3
# More than twice what these layers and passes of 8,192 tokens are planned to take. Running out of memory fills it.
MOST_GB = 16.0


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    """Full-size layers, and a cap that leaves the rest of the card to whoever else computes there."""
    made = Scorer(plan_and_make(LAYERS, Settings(device="cuda", max_memory_gb=MOST_GB)), 8192, STORE_BYTES)
    yield made
    del made
    gpu.release()
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_the_widest_pass_takes_what_was_planned(scorer: Scorer) -> None:
    done = warm_up(scorer)
    assert done is not None
    planned, measured = (one - done.resident_bytes for one in (done.planned_bytes, done.measured_bytes))
    assert measured == pytest.approx(planned, rel=TOLERANCE)  # of the pass, not of all that lies there
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
