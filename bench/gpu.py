"""Mixtral 8x7B at full size in 8 bits on a real GPU: `python bench/gpu.py [--quick] [--part NAME] [--out FOLDER]`.

Weights are random and of the right shapes, so that bytes and seconds are the real ones without a download. Parts:
checks (CUDA against the reference), eight (products of 8-bit states by size and way), proof (the proof at load),
kernels (few rows in 8 bits), speed (prefill against plain products, decoding), peers (the plain ways of doing the same;
long lists, many questions), memory (plan, peak, buffer, baseline, out of memory), passes (whole passes by size, of
16-bit states, 8-bit states and E4M3), flash3 (documents by length, with FlashAttention 3 and without), against (what
`bench/vllm_side.py` measures of vLLM), loading (checkpoints from disk), usual (the usual 8-bit recipe on a cut-down
model). A table comes last; FOLDER gets `gpu_<parts>.json`, which belongs into bench/results/.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import typer
from rich.console import Console
from rich.table import Table

from bench import (
    gpu_against,
    gpu_checks,
    gpu_eight,
    gpu_flash3,
    gpu_kernels,
    gpu_memory,
    gpu_model,
    gpu_passes,
    gpu_peers,
    gpu_proof,
    gpu_speed,
)
from bench.gpu_rows import Row
from bench.report import RESULTS, environment
from pinpoint.engine.baseline import Baseline, requested_bytes
from pinpoint.engine.forward.prefix_cache import PrefixStore
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.weights import shared_rows, triton_eight
from pinpoint.settings import Settings

PARTS = (
    "checks", "eight", "proof", "kernels", "speed", "peers", "memory", "passes", "flash3", "against", "against_long",
    "loading", "usual",
)  # fmt: skip
QUICK_PARTS = ("checks", "speed", "memory")
FULL_BATCHES, FULL_ERRORS = 1000, 20
QUICK_BATCHES, QUICK_ERRORS = 60, 3
STORE_BYTES = 256_000_000

console = Console(width=160)


def main(
    quick: Annotated[bool, typer.Option(help="Checks, one speed, few batches: under three minutes.")] = False,
    part: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(PARTS)}; more than once for several.")]
    = None,
    layers: Annotated[int, typer.Option(help="Layers of the model; 32 is Mixtral 8x7B.")] = 32,
    out: Annotated[Path, typer.Option(help="Folder for the figures, as JSON.")] = RESULTS,
    scratch: Annotated[Path, typer.Option(help="Folder on disk with room for the checkpoints of `loading`.")] = Path(
        "/tmp/pinpoint-bench"
    ),
    commit: Annotated[str, typer.Option(help="Commit, where no git says which.")] = "",
    pass_tokens: Annotated[
        list[int] | None, typer.Option(help="Size of the passes of `against`; more than once for several.")
    ] = None,
    triton_alone: Annotated[
        bool, typer.Option("--triton-alone", help="Large 8-bit products by Triton's kernel on Hopper, too.")
    ] = False,
    quantise_apart: Annotated[
        bool, typer.Option("--quantise-apart", help="Each product quantises its states itself, none of them a norm.")
    ] = False,
) -> None:  # fmt: skip
    """Measure, write the figures and print a table; exit code 1 when a limit is not kept."""
    chosen = tuple(part or (QUICK_PARTS if quick else PARTS))
    if unknown := set(chosen) - set(PARTS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}", param_hint="--part")
    gpu_model.need_gpu()
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("pinpoint").setLevel(logging.INFO)
    out.mkdir(parents=True, exist_ok=True)
    triton_eight.PREFER_CUDA, shared_rows.KEEP = not triton_alone, not quantise_apart
    began, rows = time.monotonic(), list[Row]()
    path = out / f"gpu_{'quick' if quick and not part else '_'.join(chosen)}.json"
    for name, measure in _measures(chosen, quick, layers, out, scratch, tuple(pass_tokens or gpu_against.BUDGETS)):
        started = time.monotonic()
        console.print(f"{name} …")
        rows += _guarded(name, measure)
        rows.append(Row(name, "seconds of this step", round(time.monotonic() - started, 1)))
        # After every step, so that a run that is cut off leaves what it had.
        path.write_text(json.dumps(_figures(rows, commit, time.monotonic() - began), indent=2) + "\n", "utf-8")
    _show(rows)
    console.print(f"{time.monotonic() - began:.0f} s; written to {path}")
    if any(row.ok is False for row in rows):
        raise typer.Exit(1)


Measure = Callable[[], Iterable[Row]]


def _measures(
    parts: tuple[str, ...], quick: bool, layers: int, out: Path, scratch: Path, budgets: tuple[int, ...]
) -> Iterable[tuple[str, Measure]]:
    """The steps in their order; the model is made once for all that need it."""
    if "checks" in parts:
        yield "checks", gpu_checks.all_checks
    if "eight" in parts:
        yield "eight", gpu_eight.products
    if {"proof", "kernels", "speed", "peers", "memory", "passes", "flash3", "against", "against_long"} & set(parts):
        loaded = gpu_model.plan_and_make(layers, Settings(device="cuda"))
        scorer = Scorer(loaded, min(8192, loaded.plan.token_budget if loaded.plan else 8192), STORE_BYTES)
        if "proof" in parts:
            yield "proof", lambda: gpu_proof.proof(with_store(scorer, STORE_BYTES))
        if "memory" in parts:
            yield "memory", lambda: gpu_memory.weights(scorer)
            yield "memory", lambda: gpu_memory.peak(scorer, scorer.token_budget)
        if "kernels" in parts:
            yield "kernels", lambda: gpu_kernels.few_rows(scorer)
            yield "kernels", lambda: gpu_kernels.some_hundred_rows(scorer)
            yield "kernels", lambda: gpu_kernels.norms(scorer)
        if "speed" in parts:
            yield "speed", lambda: [gpu_speed.large_product("speed"), gpu_speed.copy_rate("speed")]
            for tokens, document in ((8192, 300),) if quick else ((2048, 300), (4096, 300), (8192, 300), (8192, 2000)):
                yield (
                    "speed",
                    lambda tokens=tokens, document=document: gpu_speed.prefill(  # type: ignore[misc]
                        "speed", with_store(scorer, 0), tokens, document, 5
                    ),
                )
            yield "speed", lambda: gpu_speed.decode("speed", scorer)
        if "peers" in parts:
            for tokens, document in ((8192, 300), (8192, 2000)):
                yield (
                    "peers",
                    lambda tokens=tokens, document=document: gpu_peers.narrow(  # type: ignore[misc]
                        with_store(scorer, 0), gpu_speed.forest_of(scorer, tokens, document)
                    ),
                )
            yield "peers", lambda: gpu_peers.lists(with_store(scorer, STORE_BYTES))
            yield "peers", lambda: gpu_peers.peers(with_store(scorer, STORE_BYTES))
        if "speed" in parts:
            yield "profile", lambda: gpu_speed.profile(with_store(scorer, 0), out, 8192)
        if "memory" in parts:
            batches, errors = (QUICK_BATCHES, QUICK_ERRORS) if quick else (FULL_BATCHES, FULL_ERRORS)
            yield "memory", lambda: gpu_memory.baseline(with_store(scorer, STORE_BYTES), batches)
            yield "memory", lambda: gpu_memory.forced_errors(scorer, errors)
            if not quick and loaded.plan is not None:
                budget = loaded.plan.token_budget
                yield "memory", lambda: gpu_memory.peak(scorer, budget)
        if "flash3" in parts:
            yield "flash3", lambda: gpu_flash3.measure(with_store(scorer, 0))
        if "passes" in parts:  # the last: it changes the weights
            for name in gpu_passes.VARIANTS:
                yield (
                    "passes",
                    lambda name=name: gpu_passes.measure(with_store(scorer, 0), name),  # type: ignore[misc]
                )
        elif "against" in parts:  # changes them too
            yield "against", lambda: gpu_against.measure(with_store(scorer, 0), out, budgets)
        elif "against_long" in parts:  # and this
            yield "against_long", lambda: gpu_against.measure(with_store(scorer, 0), out, budgets, long=True)
        del scorer, loaded
        _forget()
    if "loading" in parts or "usual" in parts:
        from bench import gpu_loading

        if "usual" in parts:
            yield "usual", lambda: gpu_loading.usual_recipe(scratch)
        if "loading" in parts:
            yield "loading", lambda: gpu_loading.from_16_bits(scratch)
            yield "loading", lambda: gpu_loading.quantised(scratch, layers)


def with_store(scorer: Scorer, store_bytes: int) -> Scorer:
    """The same scorer with a fresh prefix store and baseline; 0 bytes, and every pass computes all of its tokens.

    What a step holds besides, such as the matrices of its ceiling, is in its baseline and in no other step's.
    """
    scorer.store = PrefixStore(store_bytes)
    scorer.baseline = Baseline(lambda: requested_bytes(scorer.loaded.device))
    return scorer


def _guarded(name: str, measure: Measure) -> list[Row]:
    """The rows; where a step fails, a row that says how: a lent card is not for starting over."""
    rows = list[Row]()
    try:
        rows.extend(measure())
    except Exception as error:
        console.print_exception(max_frames=8)
        rows.append(Row(name, "stopped by", f"{type(error).__name__}: {str(error)[:200]}", "runs", False))
    return rows


def _forget() -> None:
    gc.collect()
    torch.cuda.empty_cache()


def _figures(rows: list[Row], commit: str, seconds: float) -> dict[str, Any]:
    where = environment()
    card = torch.cuda.get_device_properties(0)
    return {
        **where,
        "commit": commit or where["commit"],
        "gpu": {"name": card.name, "bytes": card.total_memory, "multiprocessors": card.multi_processor_count},
        "torch_cuda": torch.version.cuda,
        "seconds": round(seconds, 1),
        "rows": [row.to_json() for row in rows],
    }


def _show(rows: list[Row]) -> None:
    table = Table("part", "figure", "value", "asked", "", box=None)
    for row in rows:
        mark = {True: "ok", False: "NOT REACHED", None: ""}[row.ok]
        value = f"{row.value:.6g}" if isinstance(row.value, float) else str(row.value)
        table.add_row(row.part, row.name, value, row.limit, mark)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
