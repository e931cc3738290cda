"""Train the embedded model: `python -m training.train --intents FILE --out DIR`.

Deterministic but for the last bits of parallel sums: the seeds are fixed, and batch n depends on n alone, so a run
that was stopped goes on from its checkpoint with the batches that it had not seen.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from transformers import AutoTokenizer

from training import model
from training.batches import FIRST_LESSONS, Batch, drawn
from training.muon import Muon
from training.tokenizer import CONTEXT, train_tokenizer

BALANCE_WEIGHT = 0.01
NEXT_TOKEN_WEIGHT = 0.3  # plain language modelling beside the answers: it is what makes heads that find and copy
CLIP = 1.0
SAVE_EVERY_S = 90
LOG_EVERY = 50


def train(
    intents: Annotated[Path, typer.Option(help="support-intents/train.jsonl")],
    out: Annotated[Path, typer.Option(help="Folder for tokenizer, checkpoints and log.")],
    steps: int = 9000,
    seed: int = 1,
    peak: Annotated[float, typer.Option(help="Highest learning rate.")] = 2e-3,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="Threads of the model on a CPU.")] = 2,
    producers: Annotated[int, typer.Option(help="Processes that draw batches.")] = 1,
    scale: Annotated[int, typer.Option(help="Batches of about 4,000 tokens that a step takes.")] = 1,
    minutes: Annotated[float, typer.Option(help="Decay to nothing by then, whatever `steps` says; 0: by steps.")] = 0,
    start: Annotated[
        Path | None,
        typer.Option(help="Go on from this 8-bit checkpoint, with its tokenizer.", exists=True, file_okay=False),
    ] = None,
) -> None:
    """Train, log a line every 50 steps, and save `last.pt` and a 16-bit transformers checkpoint."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer_folder = start or out / "tokenizer"
    if not tokenizer_folder.exists():
        train_tokenizer(intents, tokenizer_folder)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    params = model.init(len(tokenizer), seed, torch.device(device))
    if start is not None:
        model.take_up(params, start)
    matrices = [v for k, v in params.items() if v.ndim == 2 and k != "emb" and not k.endswith("gate")]
    others = [v for k, v in params.items() if v.ndim == 1 or k == "emb" or k.endswith("gate")]
    optimizers: list[torch.optim.Optimizer] = [
        Muon(matrices, lr=peak, weight_decay=0.05),
        torch.optim.AdamW(others, lr=peak, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]
    step, spent, saved = 0, 0.0, out / "last.pt"
    if saved.exists():
        step, spent = _resume(saved, params, optimizers, device)
    layer = torch.compile(model.transformer_layer, dynamic=False)
    began = last_saved = time.monotonic()
    asked = tokens = count = 0
    totals = torch.zeros(3, device=device)
    with (
        (out / "log.jsonl").open("a", encoding="utf-8") as log,
        drawn(tokenizer_folder, intents, seed, step + (FIRST_LESSONS if start else 0), scale, producers) as batches,
    ):
        while True:
            seconds = spent + time.monotonic() - began
            done = seconds / (minutes * 60) if minutes else step / steps
            if done >= 1:
                break
            batch = next(batches)
            rate = peak * min(1.0, (step + 1) / 100) * schedule(done)
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = rate
            ids, positions, spans, above, rows, targets, weights = _tensors(batch, device)
            losses, balance = model.loss(
                params, ids, positions, model.visibility(spans, above), rows, targets,
                layer=layer, dtype=torch.bfloat16,
            )  # fmt: skip
            answers, following = ((losses * weights)[part].sum() for part in _parts(batch))
            (answers + NEXT_TOKEN_WEIGHT * following + BALANCE_WEIGHT * balance).backward()
            torch.nn.utils.clip_grad_norm_(params.values(), CLIP)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            totals += torch.stack((answers, following, balance)).detach()
            step, count = step + 1, count + 1
            asked, tokens = asked + batch.asked, tokens + batch.tokens
            if step % LOG_EVERY == 0:
                mean = (totals / count).tolist()
                line = {
                    "step": step, "loss": round(mean[0], 4), "next": round(mean[1], 4), "balance": round(mean[2], 3),
                    "minutes": round(seconds / 60, 2), "asked": asked, "tokens": tokens, "rate": rate,
                }  # fmt: skip
                print(json.dumps(line), file=log, flush=True)
                totals.zero_()
                count = 0
            if time.monotonic() - last_saved > SAVE_EVERY_S:
                save(saved, params, optimizers, step, seconds)
                last_saved = time.monotonic()
    save(saved, params, optimizers, step, seconds)
    ids_ = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    model.export(params, model.config(len(tokenizer), CONTEXT, *ids_), out / "checkpoint")
    tokenizer.save_pretrained(out / "checkpoint")


def schedule(done: float) -> float:
    """Share of the peak rate after the share `done` of the run: flat, then a cosine to 2 %."""
    flat = 0.4
    if done <= flat:
        return 1.0
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - flat) / (1 - flat)))


def save(path: Path, params: model.Params, optimizers: list[torch.optim.Optimizer], step: int, seconds: float) -> None:
    """Write a checkpoint so that a crash leaves the old one or the new one."""
    state = {
        "params": params, "optimizers": [o.state_dict() for o in optimizers], "step": step, "seconds": seconds,
    }  # fmt: skip
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _resume(
    saved: Path, params: model.Params, optimizers: list[torch.optim.Optimizer], device: str
) -> tuple[int, float]:
    """Take up a checkpoint; returns its step and the seconds that it had taken."""
    state = torch.load(saved, weights_only=True, map_location=device)
    with torch.no_grad():
        for name, value in state["params"].items():
            params[name].copy_(value)
    for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(kept)
    return state["step"], state["seconds"]


def _tensors(batch: Batch, device: str) -> list[torch.Tensor]:
    arrays = (batch.ids, batch.positions, batch.spans, batch.above, batch.rows, batch.targets, batch.weights)
    return [torch.from_numpy(array).to(device, non_blocking=True) for array in arrays]


def _parts(batch: Batch) -> tuple[slice, slice]:
    """Where the answers and where the next tokens stand among what the model is asked."""
    return slice(0, batch.answers), slice(batch.answers, None)


if __name__ == "__main__":
    typer.run(train)
