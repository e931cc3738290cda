"""Passes of documents by length, with FlashAttention 3 (requirements-hopper.txt) and with torch's kernel, in turn.

As many documents as the budget has room for, or one that is longer, in chunks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import torch

from bench.gpu_passes import VARIANTS
from bench.gpu_rows import Row
from bench.gpu_speed import TASK, words
from bench.report import in_turn
from pinpoint.engine.forward import flash3
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.span_tree import Forest

PART = "flash3"
LENGTHS = (300, 1_000, 4_000, 8_000, 16_000, 31_000)
ROUNDS = 2


def is_there() -> bool:
    """Whether it is installed, and this card is one that it is made for."""
    return flash3.takes(torch.empty(1, 1, 8, dtype=torch.bfloat16, device="cuda"), None)


@contextmanager
def preferred(prefer: bool) -> Iterator[None]:
    """Within the block it attends, or torch's kernel does."""
    flash3.PREFER = prefer
    try:
        yield
    finally:
        flash3.PREFER = True


def measure(scorer: Scorer) -> Iterator[Row]:
    """Thousand tokens a second of passes of 8-bit states, and how many times of torch's FlashAttention 3 is."""
    if not is_there():
        yield Row(PART, "FlashAttention 3 is not installed, or not for this card", 0)
        return
    VARIANTS["8-bit states"](scorer.loaded.model)
    for length in LENGTHS:
        rng, forest, own = random.Random(length), Forest(), 0
        while not forest.asks or forest.total_tokens + length + own < scorer.token_budget:
            before = forest.total_tokens
            scorer.prompts.add(forest, TASK, words(rng, length))
            own = forest.total_tokens - before - length

        def run(prefer: bool, forest: Forest = forest) -> None:
            with preferred(prefer), scorer.run(forest):
                torch.cuda.synchronize()

        seconds = in_turn({"with": lambda: run(True), "without": lambda: run(False)}, ROUNDS)
        for way, taken in seconds.items():
            rate = round(forest.total_tokens / median(taken) / 1e3, 2)
            yield Row(PART, f"documents of {length:,} tokens, {way}, thousand tokens/s", rate)
        times = median(b / a for a, b in zip(seconds["with"], seconds["without"], strict=True))
        yield Row(PART, f"documents of {length:,} tokens, times as fast", round(times, 3))
