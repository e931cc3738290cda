"""Pinpoint's side of the comparison with vLLM (`bench/against.py`): the same prompts and labels, every label exactly.

8-bit integers and E4M3, each with 8-bit states, in passes of three sizes, as far as the plan has room for them. What a
worker keeps from pass to pass is kept within a job, and emptied before every round, as vLLM's cache is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import torch

from bench import against, gpu_flash3
from bench.gpu_passes import VARIANTS
from bench.gpu_rows import Row
from bench.report import environment, in_turn
from pinpoint.engine.forward import generate
from pinpoint.engine.forward.prefix_cache import PrefixStore
from pinpoint.engine.forward.recorded import Recorder
from pinpoint.engine.scorer import Scorer
from pinpoint.planning.memory_plan import STORE_BYTES
from pinpoint.prompting.span_tree import Forest

PART = "against"
WAYS = {"int8, 8-bit states": "8-bit states", "fp8": "e4m3"}  # in this order: E4M3 takes the integers' place
BUDGETS = (8192, 16384, 32768)
ROUNDS, ALONE_ROUNDS = 3, 9
NEVER = -1  # no token's id
FLASH3 = ", FlashAttention 3"  # what ways are called that attend by it (requirements-hopper.txt)


def measure(scorer: Scorer, out: Path, budgets: tuple[int, ...] = BUDGETS, *, long: bool = False) -> Iterator[Row]:
    """Documents a second of each job, milliseconds of one document, tokens a second of reasons. Changes the weights.

    `pinpoint_against.json` in `out` holds the figures as `bench/against.py table` reads them; of the `long` documents
    `pinpoint_long.json`, and they are asked nothing else. The largest passes come first, so that a run that is cut off
    has what is compared.
    """
    figures = dict[str, dict[str, float]]()
    attending = _attending()
    room = scorer.loaded.plan.token_budget if scorer.loaded.plan else max(BUDGETS)
    for name, variant in WAYS.items():
        scorer.recorder = Recorder(scorer.loaded.model)
        VARIANTS[variant](scorer.loaded.model)
        scorer.store, scorer.token_budget = PrefixStore(STORE_BYTES), BUDGETS[0]
        scorer.record()
        for budget in sorted((budget for budget in budgets if budget <= room), reverse=True):
            scorer.token_budget = budget
            for job, what, first in _timed(long):
                order = against.FIRST if first else ""
                forests = against.forests(scorer.prompts, what, budget, labels_first=first)
                sides = {
                    f"{name}{said}{order}, passes of {budget:,}": partial(_run, scorer, forests, prefer)
                    for said, prefer in attending[name]
                }
                for way, seconds in in_turn(sides, ROUNDS).items():
                    figures.setdefault(way, {})[job] = round(what.documents / median(seconds), 2)
                    yield Row(PART, f"{way}: {job}, documents/s", figures[way][job])
                yield Row(PART, f"{job}{order}, tokens", sum(forest.total_tokens for forest in forests))
            _write(out, scorer, figures, long)  # so that a run that is cut off leaves what it had
        if long:
            continue
        scorer.token_budget, way = BUDGETS[0], f"{name}{attending[name][0][0]}, passes of {min(budgets):,}"
        alone = against.forests(scorer.prompts, against.JOBS[against.ALONE], BUDGETS[0])
        alone_seconds = in_turn({way: partial(_run, scorer, alone)}, ALONE_ROUNDS)[way]
        figures.setdefault(way, {})[against.ALONE] = round(1e3 * median(alone_seconds), 2)
        yield Row(PART, f"{way}: {against.ALONE}, ms", figures[way][against.ALONE])
        figures[way][against.REASONS] = round(_reasons(scorer), 1)
        yield Row(PART, f"{way}: {against.REASONS}, tokens/s", figures[way][against.REASONS])
        _write(out, scorer, figures, long)


def _timed(long: bool) -> Iterator[tuple[str, against.Job, bool]]:
    """The jobs of many documents; those of one question also with their labels first."""
    if long:
        yield from ((name, job, False) for name, job in against.LONG.items())
        return
    for first in (False, True):
        for name, job in against.JOBS.items():
            if name not in against.UNITS and not (first and job.questions > 1):
                yield name, job, first


def _attending() -> dict[str, list[tuple[str, bool]]]:
    """Of each precision the ways to attend: with FlashAttention 3 where it is there, the first without it as well."""
    if not gpu_flash3.is_there():
        return {name: [("", False)] for name in WAYS}
    return {name: [(FLASH3, True), *([("", False)] if place == 0 else [])] for place, name in enumerate(WAYS)}


def _run(scorer: Scorer, forests: list[Forest], prefer: bool = True) -> None:
    """All of a job, of which nothing is kept from the round before; `prefer`: with FlashAttention 3."""
    scorer.store.clear()
    with gpu_flash3.preferred(prefer):
        for forest in forests:
            with scorer.run(forest):
                torch.cuda.synchronize()


def _reasons(scorer: Scorer) -> float:
    """Tokens a second of reasons of one pass that are written together; the pass is not counted."""
    job, encoder = against.JOBS[against.REASONS], scorer.prompts.encoder
    stop, most = encoder.stop, generate.MOST_TOKENS
    encoder.stop, generate.MOST_TOKENS = NEVER, against.WRITTEN_TOKENS
    try:
        (forest,) = against.forests(scorer.prompts, job, 2 * BUDGETS[0])
        (task,) = against.tasks(job)
        asked = [(ask, task.labels[ask % job.labels].name) for ask in range(job.documents)]
        with scorer.run(forest, explain=True) as done:
            written = sum(one[1] for one in done.explain_all(asked) if one)
            seconds = in_turn({"ours": lambda: done.explain_all(asked)}, ROUNDS)["ours"]
    finally:
        encoder.stop, generate.MOST_TOKENS = stop, most
    return written / median(seconds)


def _write(out: Path, scorer: Scorer, figures: dict[str, dict[str, float]], long: bool) -> None:
    told = {
        **environment(),
        "work": against.digest(against.work(scorer.prompts, long=long)),
        "card": torch.cuda.get_device_name(0),
        "weight_bytes": scorer.loaded.weight_bytes,
        "figures": figures,
    }
    (out / (against.OURS_LONG if long else against.OURS)).write_text(json.dumps(told, indent=2) + "\n", "utf-8")
