"""Whole passes at full size by what the products are made of: 16-bit states, 8-bit states, E4M3.

Speed by the size of a pass, documents a second of the jobs that other engines are measured on, one document alone, and
whether a document's scores are the same bits in any company.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import nn

from bench.gpu_rows import Row
from bench.gpu_speed import forest_of, words
from bench.report import in_turn
from bench.scoring import task_of
from pinpoint.engine.forward.prefix_cache import PrefixStore
from pinpoint.engine.forward.recorded import Recorder
from pinpoint.engine.loading.activations import set_activations, takes
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Task

PART = "passes"
SIZES = (256, 512, 1024, 2048, 4096, 8192, 16384, 32350)
JOBS = {
    "1,000 tokens, 8 labels": (1000, 8, (8192, 32768)),
    "300 tokens, 8 labels": (300, 8, (8192, 32768)),
    "1,000 tokens, 200 labels": (1000, 200, (32768,)),
}
DOCUMENTS, ROUNDS = 64, 3
LARGEST = 448.0 / 127.0


def measure(scorer: Scorer, name: str) -> Iterator[Row]:
    """Speed and bits of one of `VARIANTS`, in their order: the model's integers become E4M3 at the end."""
    VARIANTS[name](scorer.loaded.model)
    scorer.store = PrefixStore(0)
    lengths = scorer.record()
    yield Row(PART, f"{name}: recorded lengths", ", ".join(map(str, lengths)))
    for size in SIZES:
        scorer.token_budget = max(size, 8192)
        forest = forest_of(scorer, size, min(1000, size - 110))
        sides: dict[str, Callable[[], object]] = {"recorded": partial(_run, scorer, forest)}
        if forest.total_tokens <= max(lengths, default=0):
            sides["as asked for"] = partial(_unrecorded, scorer, forest)
        for side, seconds in in_turn(sides, ROUNDS).items():
            took = median(seconds)
            what = f"{name}: a pass of {forest.total_tokens} tokens" + (f", {side}" if len(sides) > 1 else "")
            yield Row(PART, f"{what}, ms", round(took * 1e3, 1))
            yield Row(PART, f"{what}, k tokens/s", round(forest.total_tokens / took / 1e3, 1))
    for job, (tokens, labels, budgets) in JOBS.items():
        for budget in budgets:
            scorer.token_budget = budget
            forests = _forests(scorer, tokens, labels, budget)
            took = median(in_turn({"ours": partial(_all, scorer, forests)}, 1)["ours"])
            computed = sum(forest.total_tokens for forest in forests)
            yield Row(PART, f"{name}: {job}, passes of {budget}, documents/s", round(DOCUMENTS / took, 1))
            yield Row(PART, f"{name}: {job}, passes of {budget}, tokens", computed)
    one = Forest()
    scorer.prompts.add(one, task_of(8), words(random.Random(6), 1000))
    took = median(in_turn({"ours": partial(_run, scorer, one)}, 9)["ours"])
    yield Row(PART, f"{name}: one document of 1,000 tokens, 8 labels, ms", round(took * 1e3, 1))
    yield from bits(scorer, name)


def bits(scorer: Scorer, name: str) -> Iterator[Row]:
    """One document alone, and with others before and behind it."""
    rng, task = random.Random(3), task_of(8)
    document = words(rng, 400)
    others = [words(rng, rng.randint(20, 600)) for _ in range(12)]
    alone = _scores(scorer, task, [document], 0)
    for before in (0, 1, 5, 12):
        found = _scores(scorer, task, [*others[:before], document, *others[before:]], before)
        apart = max(abs(a - b) for a, b in zip(alone, found, strict=True))
        yield Row(PART, f"{name}: {before} documents before it, {12 - before} behind it, largest difference", apart)


def to_e4m3(model: nn.Module) -> None:
    """Weights and scales of the same matrices, each integer the E4M3 number that is nearest."""
    for module in [m for m in model.modules() if takes(m)]:
        module.activations = "int8"  # type: ignore[assignment]
        for name, scale in (
            ("weight", "scale"),
            ("gate_up_proj", "gate_up_proj_scale"),
            ("down_proj", "down_proj_scale"),
        ):
            held = getattr(module, name, None)
            if not isinstance(held, nn.Parameter):
                continue
            new = torch.empty(held.shape, dtype=torch.float8_e4m3fn, device=held.device)
            for part, out in zip(held.data.reshape(-1, *held.shape[-2:]), new.view(-1, *held.shape[-2:]), strict=True):
                out.copy_(part.float().mul_(LARGEST))
            setattr(module, name, nn.Parameter(new, requires_grad=False))
            getattr(module, scale).div_(LARGEST)


VARIANTS: dict[str, Callable[[Any], None]] = {
    "16-bit states": partial(set_activations, wanted="compute"),
    "8-bit states": partial(set_activations, wanted="int8"),
    "e4m3": to_e4m3,
}


def _forests(scorer: Scorer, tokens: int, labels: int, budget: int) -> list[Forest]:
    """Forests that hold all documents between them, each within the budget."""
    rng, task = random.Random(5), task_of(labels)
    forests = [Forest()]
    for _ in range(DOCUMENTS):
        document = words(rng, tokens)
        before = forests[-1].total_tokens
        if before:
            tried = before + (before if len(forests[-1].asks) == 1 else before // len(forests[-1].asks))
            if tried > budget:
                forests.append(Forest())
        scorer.prompts.add(forests[-1], task, document)
    return forests


def _scores(scorer: Scorer, task: Task, documents: list[list[int]], which: int) -> list[float]:
    forest = Forest()
    for document in documents:
        scorer.prompts.add(forest, task, document)
    with scorer.run(forest) as done:
        return done.scores[which].log_probs


def _run(scorer: Scorer, forest: Forest) -> None:
    with scorer.run(forest):
        torch.cuda.synchronize()


def _unrecorded(scorer: Scorer, forest: Forest) -> None:
    recorder, scorer.recorder = scorer.recorder, Recorder(scorer.loaded.model)
    try:
        _run(scorer, forest)
    finally:
        scorer.recorder = recorder


def _all(scorer: Scorer, forests: list[Forest]) -> None:
    for forest in forests:
        _run(scorer, forest)
