"""The 8-bit products of a few rows and of some hundred: Triton's kernels against the way of many rows, and which blocks
suit them.

Every figure is all layers' experts one after the other, so that no weight is read from a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.gpu_rows import Row, at_most
from pinpoint.engine import triton_grouped, triton_int8
from pinpoint.engine.experts import int8_experts
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.triton_grouped import grouped_experts

Mix = Callable[[Any, Tensor, Tensor, Tensor], Tensor]

PART = "kernels"
ROWS = (1, 2, 4, 8, 16, 32, 64)
BLOCKS = ((4, 1024, 4), (8, 512, 4), (8, 1024, 4), (16, 512, 4), (8, 2048, 8), (16, 1024, 8), (4, 2048, 4))
HUNDREDS = (16, 64, 128, 256, 512, 1024, 2048)
TILES = ((64, 128, 128, 8, 3), (64, 128, 64, 4, 4), (32, 128, 128, 4, 4), (64, 128, 128, 4, 3), (128, 128, 64, 8, 3))
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


def some_hundred_rows(scorer: Scorer) -> Iterator[Row]:
    """The same where experts have few rows each, by tiles: from where on is casting a matrix first the faster way?"""
    modules = [layer.mlp.experts for layer in scorer.loaded.model.model.layers]
    names = ("ROWS", "OUTPUTS", "INPUTS", "WARPS", "STAGES")
    before = tuple(getattr(triton_grouped, name) for name in names)
    with most_rows(0):
        for rows in HUNDREDS:
            yield Row(
                PART, f"{rows} tokens: all experts the way of many rows, ms", round(milliseconds(modules, rows), 2)
            )
    try:
        for tiles in TILES:
            for name, value in zip(names, tiles, strict=True):
                setattr(triton_grouped, name, value)
            try:
                found = [round(milliseconds(modules, rows, grouped_experts), 2) for rows in HUNDREDS]
            except Exception as error:  # tiles that this card has no room for say nothing of the others
                yield Row(PART, f"grouped, tiles {tiles}", f"{type(error).__name__}: {str(error)[:80]}")
                continue
            for rows, taken in zip(HUNDREDS, found, strict=True):
                yield Row(PART, f"{rows} tokens: all experts, grouped, tiles {tiles}, ms", taken)
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(triton_grouped, name, value)


@torch.inference_mode()
def norms(scorer: Scorer, tokens: int = 8192) -> Iterator[Row]:
    """All of a pass's root-mean-square norms, transformers' way and fused."""
    model = scorer.loaded.model
    found = [layer.input_layernorm for layer in model.model.layers] * 2
    states = torch.randn(1, tokens, model.config.hidden_size, dtype=torch.bfloat16, device="cuda")
    for name, side in (("transformers' way", lambda norm: type(norm).forward(norm, states)), ("fused", _fused(states))):
        yield Row(PART, f"{len(found)} norms of {tokens} tokens, {name}, ms", round(timed(found, side), 2))


def _fused(states: Tensor) -> Callable[[Any], Tensor]:
    return lambda norm: F.rms_norm(states, norm.weight.shape, norm.weight, norm.variance_epsilon)


@contextmanager
def most_rows(rows: int) -> Iterator[None]:
    """Few rows are so many inside."""
    before, triton_int8.MOST_ROWS = triton_int8.MOST_ROWS, rows
    try:
        yield
    finally:
        triton_int8.MOST_ROWS = before


@torch.inference_mode()
def milliseconds(modules: list[Any], rows: int, mix: Mix = int8_experts) -> float:
    """Median of all modules one after the other, by device events, after one unmeasured round."""
    experts, _, hidden = modules[0].gate_up_proj.shape
    states = torch.randn(rows, hidden, dtype=torch.bfloat16, device="cuda")
    weights, chosen = torch.softmax(torch.randn(rows, experts, device="cuda"), dim=-1).topk(2, dim=-1)
    return timed(modules, lambda module: mix(module, states, chosen, weights))


def timed(modules: list[Any], side: Callable[[Any], object]) -> float:
    """Median milliseconds of `side` of all modules, by device events, after one unmeasured round."""
    found: list[float] = []
    for turn in range(ROUNDS + 1):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        for module in modules:
            side(module)
        stop.record()
        torch.cuda.synchronize()
        if turn:
            found.append(start.elapsed_time(stop))
    return median(found)
