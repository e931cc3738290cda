"""The 8-bit products of a few rows: Triton's kernel against the way of many rows, and which blocks suit it.

Every figure is all layers' experts one after the other, so that no weight is read from a cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch

from bench.gpu_rows import Row, at_most
from pinpoint.engine import triton_int8
from pinpoint.engine.experts import int8_experts
from pinpoint.engine.scorer import Scorer

PART = "kernels"
ROWS = (1, 2, 4, 8, 16, 32, 64)
BLOCKS = ((4, 1024, 4), (8, 512, 4), (8, 1024, 4), (16, 512, 4), (8, 2048, 8), (16, 1024, 8), (4, 2048, 4))
ROUNDS = 5


def few_rows(scorer: Scorer) -> Iterator[Row]:
    """Milliseconds of all layers' experts for so many tokens, both ways, and with one token by blocks."""
    modules = [layer.mlp.experts for layer in scorer.loaded.model.model.layers]
    for rows in ROWS:
        with most_rows(0):
            many = milliseconds(modules, rows)
        with most_rows(rows):
            few = milliseconds(modules, rows)
        yield Row(PART, f"{rows} tokens: all experts the way of many rows, ms", round(many, 2))
        if rows <= triton_int8.MOST_ROWS:
            yield at_most(PART, f"{rows} tokens: all experts, few rows, ms", round(few, 2), round(many, 2))
        else:
            yield Row(PART, f"{rows} tokens: all experts, few rows, ms", round(few, 2))
    before = triton_int8.BLOCK_OUTPUTS, triton_int8.BLOCK_INPUTS, triton_int8.WARPS
    try:
        for blocks in BLOCKS:
            triton_int8.BLOCK_OUTPUTS, triton_int8.BLOCK_INPUTS, triton_int8.WARPS = blocks
            with most_rows(1):
                yield Row(PART, f"1 token, blocks {blocks}, ms", round(milliseconds(modules, 1), 3))
    finally:
        triton_int8.BLOCK_OUTPUTS, triton_int8.BLOCK_INPUTS, triton_int8.WARPS = before


@contextmanager
def most_rows(rows: int) -> Iterator[None]:
    """Few rows are so many inside."""
    before, triton_int8.MOST_ROWS = triton_int8.MOST_ROWS, rows
    try:
        yield
    finally:
        triton_int8.MOST_ROWS = before


@torch.inference_mode()
def milliseconds(modules: list[Any], rows: int) -> float:
    """Median of all modules one after the other, by device events, after one unmeasured round."""
    experts, _, hidden = modules[0].gate_up_proj.shape
    states = torch.randn(rows, hidden, dtype=torch.bfloat16, device="cuda")
    weights, chosen = torch.softmax(torch.randn(rows, experts, device="cuda"), dim=-1).topk(2, dim=-1)
    found: list[float] = []
    for turn in range(ROUNDS + 1):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        for module in modules:
            int8_experts(module, states, chosen, weights)
        stop.record()
        torch.cuda.synchronize()
        if turn:
            found.append(start.elapsed_time(stop))
    return median(found)
