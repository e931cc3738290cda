"""Train the embedded model: `python -m training.train --intents FILE --out DIR`.

Deterministic but for the last bits of parallel sums: the seeds are fixed, and batch n depends on n alone, so a run
that was stopped goes on from its checkpoint with the batches that it had not seen.
"""

from __future__ import annotations

import json
import math
import multiprocessing as mp
import random
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from transformers import AutoTokenizer

from pinpoint.engine.packing import PackedRow
from pinpoint.prompting.encoder import PromptEncoder
from training import model
from training.rows import SHAPES, RowMaker
from training.tokenizer import CONTEXT, train_tokenizer

BALANCE_WEIGHT = 0.01
NEXT_TOKEN_WEIGHT = 0.3  # plain language modelling beside the answers: it is what makes heads that find and copy
NEXT_TOKENS = 768  # positions of a batch at which it is measured
LOOKUPS = {256: 448, 512: 256, 2048: 96}  # room for the answers' tokens in a batch of each shape
CLIP = 1.0
FIRST_LESSONS = 1400  # steps of finding and copying alone
SAVE_EVERY = 250
LOG_EVERY = 50


def batch(maker: RowMaker, seed: int, step: int) -> list[PackedRow]:
    """Batch number `step`: rows of one of `SHAPES`."""
    rng = random.Random(f"{seed}:{step}")
    first_lessons = step < FIRST_LESSONS
    length, count, _ = SHAPES[0] if first_lessons else rng.choices(SHAPES, [share for *_, share in SHAPES])[0]
    return maker.rows(rng, length, count, first_lessons=first_lessons)


def collate(rows: list[PackedRow], length: int, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """Pad rows to one shape: ids, cos, sin, bias, then rows, targets and weights of the answers and of next tokens."""
    ids = np.zeros((len(rows), length), dtype=np.int64)
    positions = np.zeros((len(rows), length), dtype=np.int64)
    seen = np.zeros((len(rows), 1, 1, length, length), dtype=np.bool_)
    seen[..., np.arange(length), np.arange(length)] = True
    lookups = LOOKUPS[length]
    at, targets = np.zeros(lookups + NEXT_TOKENS, dtype=np.int64), np.zeros(lookups + NEXT_TOKENS, dtype=np.int64)
    weights = np.zeros(lookups + NEXT_TOKENS, dtype=np.float32)
    used = 0
    following: list[np.ndarray] = []
    for i, row in enumerate(rows):
        n = len(row.tokens)
        ids[i, :n], positions[i, :n] = row.tokens, row.positions
        seen[i, 0, 0, :n, :n] = row.visible()
        inner = np.ones(n, dtype=np.bool_)
        inner[row.stops - 1] = False  # what follows a span's last token is another branch
        following.append(i * length + np.flatnonzero(inner))
        for path in (path for paths in row.paths for path in paths):
            # The first token is the choice; the others mostly copy. They share a weight of one.
            for place, lookup in enumerate(path):
                if used < lookups:
                    at[used] = i * length + row.rows[row.lookups[lookup, 0]]
                    targets[used] = row.lookups[lookup, 1]
                    weights[used] = 1.0 if place == 0 else 1.0 / (len(path) - 1)
                    used += 1
    weights /= weights.sum()
    sample = rng.choice(np.concatenate(following), NEXT_TOKENS, replace=False)
    at[lookups:], targets[lookups:] = sample, ids.reshape(-1)[sample + 1]
    weights[lookups:] = 1.0 / NEXT_TOKENS
    bias = torch.zeros(seen.shape).masked_fill_(~torch.from_numpy(seen), float("-inf"))
    cos, sin = model.rotary(torch.from_numpy(positions), torch.bfloat16)
    return (torch.from_numpy(ids), cos, sin, bias, *(torch.from_numpy(a) for a in (at, targets, weights)))


def _produce(tokenizer: Path, intents: Path, seed: int, steps: range, queue: mp.Queue[list[PackedRow]]) -> None:
    torch.set_num_threads(1)
    maker = RowMaker(PromptEncoder(AutoTokenizer.from_pretrained(tokenizer)), intents)
    for step in steps:
        queue.put(batch(maker, seed, step))


def train(
    intents: Annotated[Path, typer.Option(help="support-intents/train.jsonl")],
    out: Annotated[Path, typer.Option(help="Folder for tokenizer, checkpoints and log.")],
    steps: int = 9000,
    seed: int = 1,
    peak: Annotated[float, typer.Option(help="Highest learning rate.")] = 2e-3,
    threads: int = 2,
    minutes: Annotated[float, typer.Option(help="Decay to nothing by then, whatever `steps` says; 0: by steps.")] = 0,
) -> None:
    """Train, log a line every 50 steps, and save `last.pt` and a 16-bit transformers checkpoint."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer_folder = out / "tokenizer"
    if not tokenizer_folder.exists():
        train_tokenizer(intents, tokenizer_folder)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    params = model.init(len(tokenizer), seed)
    matrices = [v for k, v in params.items() if v.ndim == 2 and k != "emb" and not k.endswith("gate")]
    others = [v for k, v in params.items() if v.ndim == 1 or k == "emb" or k.endswith("gate")]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=peak, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=peak, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]
    step0, spent, saved = 0, 0.0, out / "last.pt"
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        with torch.no_grad():
            for name, value in state["params"].items():
                params[name].copy_(value)
        for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        step0, spent = state["step"], state["seconds"]
    context = mp.get_context("spawn")
    queue: mp.Queue[list[PackedRow]] = context.Queue(maxsize=24)
    producer = context.Process(
        target=_produce, args=(tokenizer_folder, intents, seed, range(step0, 10**9), queue), daemon=True
    )
    producer.start()
    compiled = torch.compile(model.loss, dynamic=False)
    began, total, total_next, count, asked, tokens = time.monotonic(), 0.0, 0.0, 0, 0, 0
    step = step0
    with (out / "log.jsonl").open("a", encoding="utf-8") as log:
        while True:
            seconds = spent + time.monotonic() - began
            done = seconds / (minutes * 60) if minutes else step / steps
            if done >= 1:
                break
            rows = queue.get()
            length = next(n for n, count_, _ in SHAPES if count_ == len(rows))
            rate = peak * min(1.0, (step + 1) / 100) * schedule(done)
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = rate
            half = {name: value.to(torch.bfloat16) for name, value in params.items()}
            losses, balance = compiled(half, *collate(rows, length, np.random.default_rng((seed, step))))
            answers, following = losses[: LOOKUPS[length]].sum(), losses[LOOKUPS[length] :].sum()
            (answers + NEXT_TOKEN_WEIGHT * following + BALANCE_WEIGHT * balance).backward()
            torch.nn.utils.clip_grad_norm_(params.values(), CLIP)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            step += 1
            total, total_next, count = total + answers.item(), total_next + following.item(), count + 1
            asked += sum(len(row.paths) for row in rows)
            tokens += sum(len(row.tokens) for row in rows)
            if step % LOG_EVERY == 0:
                line = {
                    "step": step, "loss": round(total / count, 4), "next": round(total_next / count, 4),
                    "balance": round(balance.item(), 3),
                    "minutes": round(seconds / 60, 1), "asked": asked, "tokens": tokens, "waiting": queue.qsize(),
                    "rate": rate,
                }  # fmt: skip
                print(json.dumps(line), file=log, flush=True)
                total = total_next = count = 0
            if step % SAVE_EVERY == 0:
                save(saved, params, optimizers, step, seconds)
    save(saved, params, optimizers, step, seconds)
    producer.terminate()
    ids = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    model.export(params, model.config(len(tokenizer), CONTEXT, *ids), out / "checkpoint")
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


if __name__ == "__main__":
    typer.run(train)
