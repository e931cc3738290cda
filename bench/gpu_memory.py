"""Weights, peak, buffer and baseline of the full-size model: what was planned against what the device says."""

from __future__ import annotations

import random
import time

import torch

from bench.gpu_rows import Row, at_least, at_most, exactly
from bench.gpu_speed import TASK, forest_of, words
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.warmup import WarmUp, planned_pass_bytes, warm_up
from pinpoint.errors import OutOfMemory
from pinpoint.planning.cards import GB
from pinpoint.planning.memory_plan import CUDA_CONTEXT_BYTES
from pinpoint.prompting.span_tree import Forest

PART = "memory"
WEIGHTS_GB = 47.1
OFF_PERCENT = 5.0
# Batches of at most so many tokens, the small ones far more often: a thousand fit into a minute.
EXPLAINED_EVERY = 50
LENGTHS, WEIGHTS = (16, 64, 256, 1024, 4096, 8192), (30, 30, 20, 12, 5, 3)


def weights(scorer: Scorer) -> list[Row]:
    """Bytes of all parameters and buffers, and what the plan says of them."""
    loaded = scorer.loaded
    assert loaded.plan is not None
    rows = [
        Row(PART, "weights, GB", round(loaded.weight_bytes / GB, 3)),
        Row(PART, "weights as planned, GB", round(loaded.plan.weight_bytes / GB, 3)),
        Row(PART, "made on the card in, s", round(loaded.seconds, 2)),
    ]
    if loaded.model.config.num_hidden_layers == 32:
        rows[0] = at_most(PART, "weights, GB", round(loaded.weight_bytes / GB, 3), WEIGHTS_GB)
    return rows


def peak(scorer: Scorer, token_budget: int) -> list[Row]:
    """The widest pass of `token_budget` tokens against the plan, and whether the buffer is still free then."""
    assert scorer.loaded.plan is not None
    plan, before = scorer.loaded.plan, scorer.token_budget
    scorer.token_budget = token_budget
    torch.cuda.empty_cache()
    outside = _outside_bytes()
    done = warm_up(scorer)
    scorer.token_budget = before
    assert isinstance(done, WarmUp)
    pass_planned = planned_pass_bytes(plan, done.tokens)
    pass_measured = done.measured_bytes - done.resident_bytes
    whole = outside + done.reserved_bytes
    at = f"at {done.tokens} tokens"
    return [
        at_most(PART, f"pass alone {at}, measured against planned, % off", round(100 * abs(done.off), 2), OFF_PERCENT),
        Row(PART, f"peak {at}, planned, GB", round(done.planned_bytes / GB, 3)),
        Row(PART, f"peak {at}, measured, GB", round(done.measured_bytes / GB, 3)),
        Row(PART, f"of it the pass alone {at}, planned, GB", round(pass_planned / GB, 3)),
        Row(PART, f"of it the pass alone {at}, measured, GB", round(pass_measured / GB, 3)),
        Row(PART, f"taken from the card {at}, context and cached blocks included, GB", round(whole / GB, 3)),
        at_most(PART, f"taken from the card {at}, over the plan's whole, %",
                round(100 * (whole / plan.needed_bytes(done.tokens) - 1), 2), OFF_PERCENT),
        at_least(PART, f"free {at}, GB", round(done.free_bytes / GB, 2), plan.buffer_bytes / GB),
        Row(PART, "outside the allocator (context, kernels), GB", round(outside / GB, 3)),
        Row(PART, "outside the allocator as planned, GB", round(CUDA_CONTEXT_BYTES / GB, 3)),
        Row(PART, f"cached beyond the tensors {at}, % of the pass",
            round(100 * (done.reserved_bytes - done.measured_bytes) / pass_measured, 1)),
        Row(PART, f"seconds of the widest pass {at}", round(done.seconds, 3)),
    ]  # fmt: skip


def baseline(scorer: Scorer, batches: int, seed: int = 0) -> list[Row]:
    """Bytes above the baseline after each of many batches of mixed sizes, with the prefix store and without."""
    assert scorer.baseline is not None
    rng = random.Random(seed)
    _mixed(scorer, rng)  # the thread's first batch sets the baseline, and so does the first that writes a reason
    _explained(scorer, rng)
    device = scorer.loaded.device
    scorer.store.clear()
    allocated, dirty, tokens, began = torch.cuda.memory_allocated(device), 0, 0, time.monotonic()
    for batch in range(batches):
        if batch == batches // 2:
            scorer.store.clear()
        tokens += _explained(scorer, rng) if batch % EXPLAINED_EVERY == EXPLAINED_EVERY - 1 else _mixed(scorer, rng)
        dirty += scorer.baseline.drift_bytes != 0
    seconds = time.monotonic() - began
    scorer.store.clear()
    return [
        exactly(PART, f"batches of {batches} that left memory behind, by what tensors asked for", dirty),
        exactly(PART, f"memory_allocated after {batches} batches, bytes above the baseline",
                torch.cuda.memory_allocated(device) - allocated),
        Row(PART, f"tokens/s over {batches} batches of mixed sizes, {tokens} tokens", round(tokens / seconds)),
    ]  # fmt: skip


def forced_errors(scorer: Scorer, times: int, seed: int = 1) -> list[Row]:
    """Out of memory, forced by a tensor that fills the card up to the cap: survived, and nothing of it stays."""
    assert scorer.baseline is not None
    rng, device = random.Random(seed), scorer.loaded.device
    small, large = _forest(scorer, 64, rng), forest_of(scorer, 8192, 300)
    with scorer.run(small) as done:
        before = [ask.log_probs for ask in done.scores]
    scorer.store.clear()
    scorer.release()
    allocated, held, failed, alike = torch.cuda.memory_allocated(device), 0, 0, 0
    for _ in range(times):
        filler = _fill(scorer)
        failed += _runs_out(scorer, large)
        scorer.release()
        del filler
        scorer.release()
        held = max(held, torch.cuda.memory_allocated(device) - allocated)
        with scorer.run(small) as done:
            alike += [ask.log_probs for ask in done.scores] == before
        scorer.store.clear()
    return [
        exactly(PART, f"passes of {times} that ran out of memory when forced to", failed, times),
        exactly(PART, "bytes above the baseline after the worst of them", held),
        exactly(PART, "answers after them that are bit-equal to those before", alike, times),
    ]


def _runs_out(scorer: Scorer, forest: Forest) -> bool:
    try:
        with scorer.run(forest):
            return False
    except OutOfMemory:
        return True


def _fill(scorer: Scorer, left_bytes: int = 300_000_000) -> torch.Tensor:
    """All but `left_bytes` of what the allocator's cap leaves: enough for a pass to begin, not for its experts."""
    assert scorer.loaded.plan is not None
    device = scorer.loaded.device
    cap = scorer.loaded.plan.bound_bytes - CUDA_CONTEXT_BYTES
    room = min(cap - torch.cuda.memory_reserved(device), torch.cuda.mem_get_info(device)[0]) - left_bytes
    return torch.empty(room, dtype=torch.uint8, device=device)


def _mixed(scorer: Scorer, rng: random.Random) -> int:
    forest = _forest(scorer, rng.choices(LENGTHS, WEIGHTS)[0], rng)
    with scorer.run(forest, explain=False) as done:
        return done.computed_tokens


def _explained(scorer: Scorer, rng: random.Random) -> int:
    with scorer.run(_forest(scorer, 256, rng), explain=True) as done:
        done.explain(0, TASK.labels[0].name)
        return done.computed_tokens


def _forest(scorer: Scorer, tokens: int, rng: random.Random) -> Forest:
    """Documents of mixed lengths, `tokens` of them together at most beside the question."""
    forest = Forest()
    while True:
        scorer.prompts.add(forest, TASK, words(rng, rng.randint(1, max(2, tokens // 2))))
        if forest.total_tokens >= tokens // 2:
            return forest


def _outside_bytes() -> int:
    """What this card has taken beside the allocator's own: the context, kernels, and others on the card."""
    free, total = torch.cuda.mem_get_info()
    return total - free - torch.cuda.memory_reserved()
