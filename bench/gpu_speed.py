"""Prefill against the plain matrix products of the same sizes, and decoding, on the full-size model."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.gpu_rows import Row, at_least
from bench.report import in_turn
from pinpoint.engine.forward import generate
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task

DEVICE = "cuda"
LABELS = ("invoice", "receipt", "purchase order", "contract", "bank statement", "payslip", "email", "news article")
TASK = Task("category", tuple(Label(name, name) for name in LABELS))
# Ids of the embedded model's tokenizer that are neither control tokens nor single bytes.
FIRST_WORD, LAST_WORD = 1000, 7999


def forest_of(scorer: Scorer, tokens: int, document_tokens: int, seed: int = 0) -> Forest:
    """One question about documents of random words, as many as `tokens` take, the last one cut to fit."""
    rng = random.Random(seed)
    forest = Forest()
    scorer.prompts.add(forest, TASK, words(rng, document_tokens))
    own = forest.total_tokens
    scorer.prompts.add(forest, TASK, words(rng, document_tokens))
    own = forest.total_tokens - own  # what another document takes, its labels and ending included
    while (room := tokens - forest.total_tokens) > own - document_tokens:
        scorer.prompts.add(forest, TASK, words(rng, min(document_tokens, room - own + document_tokens)))
    return forest


def words(rng: random.Random, count: int) -> list[int]:
    """Random token ids."""
    return [rng.randint(FIRST_WORD, LAST_WORD) for _ in range(count)]


def prefill(part: str, scorer: Scorer, tokens: int, document_tokens: int, rounds: int) -> list[Row]:
    """Tokens a second of a packed pass, and its share of the ceiling, measured in turn."""
    forest = forest_of(scorer, tokens, document_tokens)

    def ours() -> None:
        with scorer.run(forest):
            torch.cuda.synchronize()

    plain, flop = plain_products(scorer.loaded.model.config, forest.total_tokens)
    seconds = in_turn({"ours": ours, "plain": plain}, rounds)
    ours_s, plain_s = median(seconds["ours"]), median(seconds["plain"])
    share = median(b / a for a, b in zip(seconds["ours"], seconds["plain"], strict=True))
    what = f"{forest.total_tokens} tokens, documents of {document_tokens}"
    asked = tokens >= 8000
    return [
        Row(part, f"prefill, tokens/s ({what})", round(forest.total_tokens / ours_s)),
        Row(part, f"prefill, s (median of {rounds}, {min(seconds['ours']):.4f} to {max(seconds['ours']):.4f})", ours_s),
        Row(part, "the same products in bf16, s", plain_s),
        Row(part, "the same products in bf16, TFLOP/s", round(flop / plain_s / 1e12, 1)),
        at_least(part, f"prefill, share of that ceiling ({what})", round(share, 3), 0.7)
        if asked
        else Row(part, f"prefill, share of that ceiling ({what})", round(share, 3)),
    ]


def plain_products(config: Any, tokens: int) -> tuple[Callable[[], None], float]:
    """A pass's matrix products alone, in bf16, weights and all, tokens spread evenly; and their operations.

    One layer's weights, 2.8 GB, are used for all layers: far more than any cache, so nothing is gained by that.
    """
    hidden, width = config.hidden_size, config.intermediate_size
    head = hidden // config.num_attention_heads
    kv = head * config.num_key_value_heads
    rows = tokens * config.num_experts_per_tok // config.num_local_experts
    sizes = [(tokens, hidden, hidden), (tokens, hidden, kv), (tokens, hidden, kv), (tokens, hidden, hidden)]
    sizes += [(rows, hidden, 2 * width), (rows, width, hidden)] * config.num_local_experts
    states = {size: _normal(*size) for size in {(n, inputs) for n, inputs, _ in sizes}}
    pairs = [(states[n, inputs], _normal(outputs, inputs)) for n, inputs, outputs in sizes]
    layers = config.num_hidden_layers

    def run() -> None:
        for _ in range(layers):
            for x, weight in pairs:
                F.linear(x, weight)
        torch.cuda.synchronize()

    return run, layers * sum(2.0 * n * inputs * outputs for n, inputs, outputs in sizes)


def large_product(part: str, size: int = 8192, rounds: int = 20) -> Row:
    """The rate of one large square product, for comparison with other measurements of the card."""
    a, b = _normal(size, size), _normal(size, size)

    def run() -> None:
        F.linear(a, b)
        torch.cuda.synchronize()

    seconds = median(in_turn({"product": run}, rounds)["product"])
    return Row(part, f"one bf16 product of {size}³, TFLOP/s", round(2 * size**3 / seconds / 1e12, 1))


def copy_rate(part: str, size_bytes: int = 8 * 10**9, rounds: int = 10) -> Row:
    """Bytes read and written a second by a copy on the device."""
    source = torch.randint(0, 255, (size_bytes,), dtype=torch.uint8, device=DEVICE)
    target = torch.empty_like(source)

    def run() -> None:
        target.copy_(source)
        torch.cuda.synchronize()

    seconds = median(in_turn({"copy": run}, rounds)["copy"])
    return Row(part, "copy on the device, TB/s read and written", round(2 * size_bytes / seconds / 1e12, 2))


def decode(part: str, scorer: Scorer, rounds: int = 3) -> list[Row]:
    """Tokens a second of a reason, greedy, after a document of 1,000 tokens."""
    forest, rates = forest_of(scorer, 1, 1000), []
    with scorer.run(forest, explain=True) as done:
        for turn in range(rounds + 1):
            torch.cuda.synchronize()
            began = time.perf_counter()
            _, written = done.explain(0, LABELS[0])
            torch.cuda.synchronize()
            if turn:
                rates.append(written / (time.perf_counter() - began))
    return [
        Row(part, "tokens written in a reason", written),
        at_least(part, f"decode, tokens/s (median of {rounds})", round(median(rates), 1), 40),
    ]


def profile(scorer: Scorer, folder: Path, tokens: int) -> list[Row]:
    """Where the time of one pass and of a few decoded tokens goes: two tables of torch's profiler in `folder`."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as torch_profile

    rows = []
    forest, short = forest_of(scorer, tokens, 300), forest_of(scorer, 1, 1000)
    before, generate.MOST_TOKENS = generate.MOST_TOKENS, 6
    try:
        with scorer.run(short, explain=True) as done:
            sides: dict[str, Callable[[], object]] = {
                "prefill": partial(_run, scorer, forest),
                "decode": partial(done.explain, 0, LABELS[0]),
            }
            for name, side in sides.items():
                with torch_profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
                    began = time.perf_counter()
                    side()
                    torch.cuda.synchronize()
                    wall = time.perf_counter() - began
                events = found.key_averages()
                (folder / f"profile_{name}.txt").write_text(
                    events.table(sort_by="self_cuda_time_total", row_limit=25, max_name_column_width=90), "utf-8"
                )
                kernels = [event for event in events if event.device_type.name == "CUDA"]
                busy = sum(event.self_device_time_total for event in kernels) / 1e6
                rows.append(Row("profile", f"{name}: share of the wall time the device is busy", round(busy / wall, 3)))
    finally:
        generate.MOST_TOKENS = before
    return rows


def _run(scorer: Scorer, forest: Forest) -> None:
    with scorer.run(forest):
        pass


def _normal(*size: int) -> Tensor:
    return torch.randn(size, dtype=torch.bfloat16, device=DEVICE)
