"""8-bit products of a few rows and of some hundred, by Triton and the way of many rows; norms; attention of the jobs.

Every figure of products is all layers' experts one after the other, so that no weight is read from a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench import against
from bench.gpu_rows import Row, at_most
from pinpoint.engine.forward.attention import over_forest
from pinpoint.engine.forward.packing import pack
from pinpoint.engine.forward.span_table import SpanTable
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.weights import triton_grouped, triton_int8
from pinpoint.engine.weights.experts import _int8_expert, mix
from pinpoint.engine.weights.triton_grouped import grouped_experts

Mix = Callable[[Any, Tensor, Tensor, Tensor], Tensor]

PART = "kernels"
ROWS = (1, 2, 4, 8)
HUNDREDS = (8, 16, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072)
ROUNDS = 5


def few_rows(scorer: Scorer) -> Iterator[Row]:
    """Milliseconds of all layers' experts for a few tokens, both ways."""
    modules = [layer.mlp.experts for layer in scorer.loaded.model.model.layers]
    for rows in ROWS:
        cast = round(milliseconds(modules, rows, cast_first), 2)
        few = round(milliseconds(modules, rows, triton_int8.few_rows_experts), 2)
        yield Row(PART, f"{rows} tokens: all experts the way of many rows, ms", cast)
        yield at_most(PART, f"{rows} tokens: all experts, few rows, ms", few, cast)


def some_hundred_rows(scorer: Scorer) -> Iterator[Row]:
    """The same where experts have few rows each: from where on is casting a matrix first the faster way?"""
    modules = [layer.mlp.experts for layer in scorer.loaded.model.model.layers]
    for rows in HUNDREDS:
        cast = milliseconds(modules, rows, cast_first)
        grouped = round(milliseconds(modules, rows, grouped_experts), 2)
        yield Row(PART, f"{rows} tokens: all experts the way of many rows, ms", round(cast, 2))
        states = torch.empty(0, dtype=torch.bfloat16, device="cuda")
        if triton_grouped.takes(modules[0], 2 * rows, states):
            # At its upper end the two are alike by the device's time; what is saved besides is the host's.
            yield at_most(PART, f"{rows} tokens: all experts, grouped, ms", grouped, round(1.05 * cast, 2))
        else:
            yield Row(PART, f"{rows} tokens: all experts, grouped, ms", grouped)


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


@torch.inference_mode()
def attention_of_jobs(scorer: Scorer, budget: int = 32_768) -> Iterator[Row]:
    """Milliseconds of one layer's attention over a pass of each job that other engines are measured on, and TFLOP/s of
    the keys that its tokens see.
    """
    config = scorer.loaded.model.config
    heads, groups, size = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    for name, job in against.JOBS.items():
        row = pack(against.forests(scorer.prompts, job, budget)[0])
        tokens = len(row.tokens)
        query, key, value = (
            torch.randn(1, tokens, count, size, dtype=torch.bfloat16, device="cuda").transpose(1, 2)
            for count in (heads, groups, groups)
        )
        table = SpanTable(row, query.device)
        took = timed([table] * 4, lambda one: over_forest(one, query, key, value, size**-0.5)) / 4  # noqa: B023
        work = 4 * heads * size * float((row.positions + 1).sum())
        yield Row(PART, f"attention of {name}, {tokens} tokens, ms", round(took, 3))
        yield Row(PART, f"attention of {name}, TFLOP/s", round(work / took / 1e9))


def cast_first(module: Any, states: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
    """The way of many rows, whatever the product would choose."""
    return mix(module, states, chosen, weights, _int8_expert)


@torch.inference_mode()
def milliseconds(modules: list[Any], rows: int, way: Mix) -> float:
    """Median of all modules one after the other, by device events, after one unmeasured round."""
    experts, _, hidden = modules[0].gate_up_proj.shape
    states = torch.randn(rows, hidden, dtype=torch.bfloat16, device="cuda")
    weights, chosen = torch.softmax(torch.randn(rows, experts, device="cuda"), dim=-1).topk(2, dim=-1)
    return timed(modules, lambda module: way(module, states, chosen, weights))


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
