"""One pass at the full token budget before the first job: the plan against what is measured.

The row is a single token, repeated. It makes all hidden states alike, so that the router sends every token to the same
experts: the widest pass there is, and the one that the plan counts. It also loads the kernels and leaves behind the
workspaces that stay, so that the baseline is taken after them.
Smaller passes go before it, one for each kind of tiles that products take by their rows: compiling these kernels would
fall to the first job of that size. The first tokens of a reason are written behind the smallest, which takes the cache
that recorded steps are over (`forward/steps.py`).
Then small passes are recorded, where the plan has room for them. All that stays of it belongs to the baseline.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pinpoint.engine import gpu
from pinpoint.errors import CapacityError, OutOfMemory
from pinpoint.planning import activations
from pinpoint.planning.cards import GB
from pinpoint.planning.memory_plan import MemoryPlan
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import Forest

if TYPE_CHECKING:
    from pinpoint.engine.scorer import Scorer

log = logging.getLogger("pinpoint")

# How far plan and measurement of the pass may lie apart.
TOLERANCE = 0.05
DOCUMENT_TOKENS = 1000
SMALL_TOKENS = 256
# Rows of a matrix, or of an expert on average, between the numbers at which `weights/triton_grouped.py` and
# `weights/triton_eight.py` change their tiles.
ROWS_OF_TILES = (108, 300, 768, 1536)


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What the widest pass took.

    Attributes:
        tokens: of its row.
        planned_bytes, measured_bytes: at the pass's widest moment: what stays, and what the pass adds to it.
        resident_bytes: what stays, measured: the same on both sides.
        reserved_bytes: taken from the device at most, the CUDA context aside.
        free_bytes: of the card, after the pass, with all that it took still reserved.
        seconds: of the pass; the first one also loads kernels.
    """

    tokens: int
    planned_bytes: int
    measured_bytes: int
    resident_bytes: int
    reserved_bytes: int
    free_bytes: int
    seconds: float

    @property
    def off(self) -> float:
        """What the pass adds to what stays: measured over planned, less 1. Of both together a pass is a few percent."""
        return (self.measured_bytes - self.resident_bytes) / (self.planned_bytes - self.resident_bytes) - 1


def widest_forest(tokens: int, stop: int) -> Forest:
    """`tokens` tokens, all of them one and the same but for a label's: a question, documents under it, and labels."""
    forest = Forest()
    token, other = [token for token in range(3) if token != stop][:2]
    trie = build_trie([(token,), (token, token), (other,)], stop)
    root = forest.add([token] * min(256, tokens // 4))
    length = DOCUMENT_TOKENS
    while (room := tokens - forest.total_tokens - len(trie.tokens)) > 0:
        # Equal spans would be one, so each document is a token longer; the last one takes what is left.
        length = length + 1 if room >= 2 * length + len(trie.tokens) + 2 else room
        forest.ask(forest.add([token] * length, root), trie)
    return forest


def warm_up(scorer: Scorer) -> WarmUp | None:
    """Run the widest pass, compare it with the plan and log both; None where nothing is planned, on a CPU.

    Raises:
        CapacityError: the pass does not fit, whatever the plan says.
    """
    plan, device = scorer.loaded.plan, scorer.loaded.device
    if plan is None:
        return None
    small, *others, forest = (
        widest_forest(tokens, scorer.prompts.encoder.stop)
        for tokens in (*small_sizes(plan, scorer.token_budget), scorer.token_budget)
    )
    failed = False
    try:
        with scorer.run(small, explain=True) as opened:
            opened.explain_all([(0, "a")], lambda _: False)
        for other in others:
            with scorer.run(other):
                pass
        if plan.recorded_bytes:
            scorer.record()
        resident = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        began = time.monotonic()
        with scorer.run(forest):
            pass
    except OutOfMemory:
        failed = True
    if failed:
        gpu.release()
        raise CapacityError(
            "warm_up_out_of_memory",
            f"a pass of up to {forest.total_tokens} tokens, which the plan allows, ran out of memory; lower "
            "PINPOINT_TOKEN_BUDGET",
            "PINPOINT_TOKEN_BUDGET",
        )
    done = WarmUp(
        tokens=forest.total_tokens,
        planned_bytes=resident + planned_pass_bytes(plan, forest.total_tokens),
        measured_bytes=torch.cuda.max_memory_allocated(device),
        resident_bytes=resident,
        reserved_bytes=torch.cuda.max_memory_reserved(device),
        free_bytes=torch.cuda.mem_get_info(device)[0],
        seconds=time.monotonic() - began,
    )
    report(done, plan)
    return done


def small_sizes(plan: MemoryPlan, budget: int) -> list[int]:
    """Tokens of the passes that go before the widest, ascending."""
    shape = plan.shape
    share = shape.experts / shape.experts_per_token if shape.experts else 1.0
    larger = {math.ceil(rows * share) for rows in ROWS_OF_TILES}
    return [SMALL_TOKENS, *sorted(size for size in larger if SMALL_TOKENS < size < budget)]


def planned_pass_bytes(plan: MemoryPlan, tokens: int) -> int:
    """What the plan says a pass over `tokens` adds that sees no kept prefixes, the allocator's slack aside."""
    found = activations.stages(plan.shape, plan.precision, activations=plan.activations)
    return max(stage.peak_bytes(tokens) for stage in found)


def report(done: WarmUp, plan: MemoryPlan) -> None:
    """Log plan and measurement; a warning where they are too far apart or the buffer is not free."""
    log.info(
        "warm-up: tokens=%d planned_gb=%.3f measured_gb=%.3f pass_off=%+.1f%% reserved_gb=%.3f free_gb=%.1f "
        "seconds=%.2f",
        done.tokens, done.planned_bytes / GB, done.measured_bytes / GB, 100 * done.off, done.reserved_bytes / GB,
        done.free_bytes / GB, done.seconds,
    )  # fmt: skip
    if abs(done.off) > TOLERANCE:
        log.warning(
            "memory plan off by %+.1f%% of the pass: planned_bytes=%d measured_bytes=%d resident_bytes=%d tokens=%d",
            100 * done.off, done.planned_bytes, done.measured_bytes, done.resident_bytes, done.tokens,
        )  # fmt: skip
    if done.free_bytes < plan.buffer_bytes:
        log.warning("buffer not free: free_bytes=%d buffer_bytes=%d", done.free_bytes, plan.buffer_bytes)
