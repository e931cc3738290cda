"""What CUDA computes against what it stands for. Every check measures an error and says what it may be.

Attention, experts and linears are bf16 on CUDA and are compared with float32 or float64 on the same inputs, by the norm
of the difference over the norm of the reference. An operation that rounds its result once to bf16 is off by about
2⁻⁹ = 0.002 of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from bench.gpu_model import mixtral_8x7b, random_model
from bench.gpu_rows import Row, at_least, at_most, exactly
from bench.gpu_speed import LABELS, TASK, words
from pinpoint.engine.baseline import requested_bytes
from pinpoint.engine.forward import attention
from pinpoint.engine.forward.packing import PackedRow, pack
from pinpoint.engine.forward.rules import EVERYTHING, Mask
from pinpoint.engine.forward.runs import Run
from pinpoint.engine.forward.span_table import SpanTable
from pinpoint.engine.forward.varlen import make_call, varlen_partial
from pinpoint.engine.loading.load import load
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.weights import int8
from pinpoint.engine.weights.experts import int8_experts
from pinpoint.engine.weights.triton_grouped import grouped_experts
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import NO_PARENT, Forest
from pinpoint.settings import Settings

PART = "checks"
DEVICE = "cuda"
ROWS = (1, 2, 3, 8, 9, 33, 500, 2048)
ATTENTION_ERROR = 0.006  # the probabilities are rounded to bf16 before they meet the values, and the result once more
PRODUCT_ERROR = 0.006  # the product rounds to bf16, and the scaled product again
EXPERTS_ERROR = 0.015  # two products, an activation and a weighted sum
# Between float32 on the CPU and bf16 on the card, of a log-probability of the embedded model.
LOG_PROB_ERROR = 0.25


def all_checks() -> Iterator[Row]:
    """Every check, one after the other; one that fails to run is a row that says so."""
    for check in (
        lse_layout, attention_of_forests, attention_of_short_runs, int8_linear, experts, grouped, quantised_bits,
        bitsandbytes_bits, embedded_model,
    ):  # fmt: skip
        yield from run_check(check)


def run_check(check: Callable[[], list[Row]]) -> list[Row]:
    """The rows of a check, or one row with the error that stopped it."""
    try:
        return check()
    except Exception as error:  # the other checks still count on a card that is lent for minutes
        return [Row(PART, check.__name__, f"{type(error).__name__}: {str(error)[:300]}", "runs", False)]


def relative_error(out: Tensor, reference: Tensor) -> float:
    """‖out − reference‖ / ‖reference‖ in float64; infinite where something is not a number."""
    apart = (out.double() - reference.double()).norm() / reference.double().norm()
    return float(apart) if bool(torch.isfinite(apart)) else float("inf")


def lse_layout() -> list[Row]:
    """The log-sum-exps are those of the scores, by head and by query."""
    generator = torch.Generator(DEVICE).manual_seed(0)
    heads, groups, size, tokens = 8, 2, 128, 37
    query = torch.randn(tokens, heads, size, device=DEVICE, dtype=torch.bfloat16, generator=generator)
    key, value = (
        torch.randn(tokens, groups, size, device=DEVICE, dtype=torch.bfloat16, generator=generator) for _ in "kv"
    )
    run = Run(0, tokens)
    call = make_call([(run, (run,))], query.device)
    _, lse = varlen_partial(query, key, value, call, size**-0.5, causal=False)
    wide = key.float().repeat_interleave(heads // groups, dim=1)
    scores = torch.einsum("qhd,khd->qhk", query.float(), wide) * size**-0.5
    apart = float((lse - torch.logsumexp(scores, dim=-1)).abs().max())
    return [at_most(PART, "log-sum-exp, largest difference", apart, 0.01)]


def random_row(rng: random.Random, longest: int) -> PackedRow:
    """A forest of random spans and tries, some of its spans kept from an earlier pass."""
    forest = Forest()
    for fresh in range(rng.randint(1, 12)):
        length = rng.randint(1, longest)
        forest.add([100_000 * fresh + step for step in range(length)], rng.randint(NO_PARENT, fresh - 1))
    spans = range(len(forest.tokens))
    chosen = {s for span in rng.sample(spans, min(len(spans), rng.randint(0, 3))) for s in forest.ancestry(span)}
    kept, offset = {}, 0
    for span in rng.sample(sorted(chosen), len(chosen)):
        kept[span] = offset
        offset += len(forest.tokens[span])
    for _ in range(rng.randint(1, 4)):
        span = rng.choice(spans)
        labels = {tuple(rng.randint(1, 3) for _ in range(rng.randint(1, 4))) for _ in range(6)}
        trie = build_trie(sorted(labels), 0)
        forest.ask(span, trie.after_first() if span in kept else trie)
    return pack(forest, kept)


def attention_of(row: PackedRow, heads: int, groups: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """What CUDA gives for a row, and the dense mask's attention in float32 of the same bf16 states."""
    generator = torch.Generator(DEVICE).manual_seed(seed)

    def states(count: int, tokens: int) -> Tensor:
        return torch.randn(1, count, tokens, size, device=DEVICE, dtype=torch.bfloat16, generator=generator)

    tokens = len(row.tokens)
    # Twice the usual size, so that attention is peaked and who is seen matters.
    query, key, value = 2 * states(heads, tokens), *(states(groups, row.kept_tokens + tokens) for _ in "kv")
    table = SpanTable(row, query.device)
    module = torch.nn.Module()
    mask = Mask.of(EVERYTHING, tokens, row.kept_tokens + tokens)
    with attention.over(table):
        out, _ = attention.span_attention(module, query, key, value, mask)
    wide = (x.float().repeat_interleave(heads // groups, dim=1) for x in (key, value))
    wide_key, wide_value = wide
    scores = (query.float() @ wide_key.transpose(-1, -2)) * size**-0.5
    scores.masked_fill_(~table.sight().dense_mask, -torch.inf)
    return out[0], (torch.softmax(scores, dim=-1) @ wide_value)[0].transpose(0, 1)


def attention_of_forests() -> list[Row]:
    """Random forests, grouped heads, kept spans: the worst error of all, taken row by row of the packed row."""
    rng, worst, rows = random.Random(1), 0.0, 0
    for seed, (heads, groups, size) in enumerate([(4, 2, 64), (32, 8, 128), (3, 3, 128), (8, 1, 64)] * 15):
        out, reference = attention_of(random_row(rng, rng.choice([3, 40, 300])), heads, groups, size, seed)
        worst, rows = max(worst, relative_error(out, reference)), rows + len(out)
    return [at_most(PART, f"attention of 60 random forests, {rows} tokens", worst, ATTENTION_ERROR)]


def attention_of_short_runs() -> list[Row]:
    """Spans of one token and calls with single queries only, which the kernel treats in another way."""
    worst = 0.0
    for spans in (1, 2, 7):
        forest = Forest()
        root = forest.add([1])
        for span in range(spans):
            forest.ask(forest.add([10 + span], root), build_trie([(1,), (2,)], 0))
        for heads, groups in ((4, 2), (32, 8)):
            out, reference = attention_of(pack(forest, {root: 0}), heads, groups, 128, spans)
            worst = max(worst, relative_error(out, reference))
            out, reference = attention_of(pack(forest), heads, groups, 128, spans)
            worst = max(worst, relative_error(out, reference))
    return [at_most(PART, "attention of spans of one token", worst, ATTENTION_ERROR)]


def small_model() -> tuple[Any, Any]:
    """A linear layer and the fused experts of a Mixtral layer in 8 bits, as the product makes them."""
    config = mixtral_8x7b(layers=1)
    config.hidden_size, config.intermediate_size, config.vocab_size = 1024, 1536, 64
    layer = random_model(config, torch.device(DEVICE)).model.layers[0]
    return layer.self_attn.q_proj, layer.mlp.experts


def exact(integers: Tensor, scales: Tensor) -> Tensor:
    """The float64 weight that integers and scales stand for."""
    return integers.double() * scales.double().unsqueeze(-1)


def int8_linear() -> list[Row]:
    """A linear layer for rows from one to many, against float64."""
    linear, _ = small_model()
    weight, worst = exact(linear.weight, linear.scale), 0.0
    for rows in ROWS:
        x = torch.randn(rows, linear.in_features, device=DEVICE, dtype=torch.bfloat16)
        worst = max(worst, relative_error(linear(x), x.double() @ weight.T))
    return [at_most(PART, f"8-bit linear layer against float64, {ROWS[0]} to {ROWS[-1]} rows", worst, PRODUCT_ERROR)]


def experts() -> list[Row]:
    """The experts' mix for rows from one to many, against float64."""
    return [at_most(PART, "8-bit experts against float64", experts_error(int8_experts), EXPERTS_ERROR)]


def grouped() -> list[Row]:
    """The same for the kernel that casts on the way into the matrix units."""
    return [at_most(PART, "8-bit experts, grouped, against float64", experts_error(grouped_experts), EXPERTS_ERROR)]


@torch.inference_mode()
def experts_error(mix: Callable[[Any, Tensor, Tensor, Tensor], Tensor]) -> float:
    """The worst error over rows from one to many, among them rows that all choose the same experts."""
    _, module = small_model()
    rise = exact(module.gate_up_proj, module.gate_up_proj_scale)
    fall = exact(module.down_proj, module.down_proj_scale)
    count, _, hidden = rise.shape
    worst = 0.0
    for rows in ROWS:
        x = torch.randn(rows, hidden, device=DEVICE, dtype=torch.bfloat16)
        for alike in (False, True):
            router = torch.randn(1 if alike else rows, count, device=DEVICE).expand(rows, -1)
            weights, chosen = torch.softmax(router, dim=-1).topk(2, dim=-1)
            reference = torch.zeros(rows, hidden, dtype=torch.float64, device=DEVICE)
            for expert in range(count):
                share = (weights.double() * (chosen == expert)).sum(dim=-1, keepdim=True)
                gate, up = (x.double() @ rise[expert].T).chunk(2, dim=-1)
                reference += share * ((torch.nn.functional.silu(gate) * up) @ fall[expert].T)
            worst = max(worst, relative_error(mix(module, x, chosen, weights), reference))
    return worst


def weights_to_quantise() -> list[Tensor]:
    """bf16 and float32 weights, usual and awkward: small, large, with ties between two levels."""
    generator = torch.Generator().manual_seed(3)
    usual = torch.randn(2048, 4096, generator=generator) * 0.02
    ties = (torch.randint(-254, 255, (512, 1024), generator=generator) / 2).clamp(-127, 127)
    ties[:, 0] = 127
    return [usual.bfloat16(), usual, (usual * 1e-3).bfloat16(), (usual * 1e-5).bfloat16(), ties.bfloat16()]


def quantised_bits() -> list[Row]:
    """Whether the product's own `quantize` gives the same integers and scales on the card as on the CPU."""
    different = scales_different = total = 0
    for weight in weights_to_quantise():
        here, there = int8.quantize(weight), int8.quantize(weight.to(DEVICE))
        different += int((here[0] != there[0].cpu()).sum())
        scales_different += int((here[1] != there[1].cpu()).sum())
        total += weight.numel()
    return [
        exactly(PART, f"integers that the CPU quantises otherwise, of {total}", different),
        exactly(PART, "scales that the CPU quantises otherwise", scales_different),
    ]


def bitsandbytes_bits() -> list[Row]:
    """For the record: how often bitsandbytes' own CUDA kernel, which takes float16 alone, differs from its CPU code."""
    from bitsandbytes.functional import int8_vectorwise_quant

    different = scales_different = 0
    for weight in weights_to_quantise():
        here, there = int8_vectorwise_quant(weight.float()), int8_vectorwise_quant(weight.to(DEVICE).half())
        different += int((here[0] != there[0].cpu()).sum())
        scales_different += int((here[1] != there[1].cpu()).sum())
    return [
        Row(PART, "integers that bitsandbytes' CUDA kernel quantises otherwise", different),
        Row(PART, "scales that bitsandbytes' CUDA kernel makes otherwise", scales_different),
    ]


def embedded_model() -> list[Row]:
    """The embedded model on the card and on the CPU: log-probabilities, answers, and memory back at its baseline."""
    on_cpu = Scorer(load(Settings(device="cpu")), 8192)
    loaded = load(Settings(device="cuda"))
    on_cuda = Scorer(loaded, 8192)
    rng, worst, same, asked, drifts = random.Random(5), 0.0, 0, 0, 0
    for _ in range(20):
        forest = Forest()
        for _ in range(rng.randint(1, 6)):
            on_cpu.prompts.add(forest, TASK, words(rng, rng.randint(5, 250)))
        with on_cuda.run(forest) as done:
            fast = [ask.log_probs for ask in done.scores]
        with on_cpu.run(forest) as done:
            slow = [ask.log_probs for ask in done.scores]
        for mine, reference in zip(fast, slow, strict=True):
            best = max(range(len(LABELS)), key=reference.__getitem__)
            worst = max(worst, abs(mine[best] - reference[best]))
            # Words at random leave the best labels close together: a label as good as the best one counts as the same.
            same += reference[mine.index(max(mine))] >= reference[best] - LOG_PROB_ERROR
            asked += 1
        drifts += bool(on_cuda.baseline and on_cuda.baseline.drift_bytes)
    held = requested_bytes(loaded.device) - (on_cuda.baseline.bytes or 0 if on_cuda.baseline else 0)
    return [
        at_most(PART, "embedded model: best label's log-probability, card against CPU", worst, LOG_PROB_ERROR),
        at_least(PART, f"embedded model: answers alike, of {asked}", same, asked),
        exactly(PART, "embedded model: batches that left memory behind", drifts),
        exactly(PART, "embedded model: bytes above the baseline", held),
    ]
