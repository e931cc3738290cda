"""Batches of training rows, drawn by processes of their own while the model learns from the last ones.

Batch n depends on the seed and on n alone, however many processes draw.
"""

from __future__ import annotations

import multiprocessing as mp
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer

from pinpoint.engine.forward.packing import PackedRow
from pinpoint.prompting.encoder import PromptEncoder
from training.rows import SHAPES, RowMaker

FIRST_LESSONS = 1400  # batches of finding and copying alone
LOOKUPS = {256: 448, 512: 256, 2048: 96}  # room for the answers' tokens in a batch of each shape
NEXT_TOKENS = 768  # positions of a batch at which plain language modelling is measured
WAITING = 24  # batches that lie ready
_TEXTS_REMEMBERED = 50_000

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows padded to one shape, and where the model is asked what.

    Axes: B rows, T tokens, S spans, N questions to the model: first `answers` of answers, then next tokens.

    Attributes:
        ids: [B, T] int32 token ids.
        positions: [B, T] int32.
        spans: [B, T] int32 span of each token.
        above: [B, S, S] bool: whether the second span is the first or one of its ancestors.
        rows: [N] int64 indices into the B · T tokens.
        targets: [N] int64 token ids.
        weights: [N] float32: of the answers and of the next tokens, each summing to 1.
        answers: how many of the N belong to answers.
        asked: answers in the batch.
        tokens: tokens that are not padding.
    """

    ids: Array
    positions: Array
    spans: Array
    above: Array
    rows: Array
    targets: Array
    weights: Array
    answers: int
    asked: int
    tokens: int


def draw(maker: RowMaker, seed: int, step: int, scale: int) -> Batch:
    """Batch number `step`, of `scale` times the rows of one of `SHAPES`."""
    rng = random.Random(f"{seed}:{step}")
    first_lessons = step < FIRST_LESSONS
    length, count, _ = SHAPES[0] if first_lessons else rng.choices(SHAPES, [share for *_, share in SHAPES])[0]
    rows = maker.rows(rng, length, count * scale, first_lessons=first_lessons)
    return collate(rows, length, scale, np.random.default_rng((seed, step)))


def collate(rows: list[PackedRow], length: int, scale: int, rng: np.random.Generator) -> Batch:
    """Pad rows to one shape and note what is asked of each."""
    most_spans = max(len(row.starts) for row in rows) + 1  # the last is the padding's
    ids, positions = (np.zeros((len(rows), length), dtype=np.int32) for _ in range(2))
    spans = np.full((len(rows), length), most_spans - 1, dtype=np.int32)
    above = np.zeros((len(rows), most_spans, most_spans), dtype=np.bool_)
    above[:, np.arange(most_spans), np.arange(most_spans)] = True
    answers, following = LOOKUPS[length] * scale, NEXT_TOKENS * scale
    at, targets = (np.zeros(answers + following, dtype=np.int64) for _ in range(2))
    weights = np.zeros(answers + following, dtype=np.float32)
    used = 0
    inner: list[Array] = []
    for i, row in enumerate(rows):
        n = len(row.tokens)
        ids[i, :n], positions[i, :n] = row.tokens, row.positions
        spans[i, :n] = np.repeat(np.arange(len(row.starts)), row.stops - row.starts)
        for span, parent in enumerate(row.parents):
            if parent >= 0:
                above[i, span] |= above[i, parent]
        followed = np.ones(n, dtype=np.bool_)
        followed[row.stops - 1] = False  # what follows a span's last token is another branch
        inner.append(i * length + np.flatnonzero(followed))
        for path in (path for paths in row.paths for path in paths):
            # The first token is the choice; the others mostly copy. They share a weight of one.
            for place, lookup in enumerate(path):
                if used < answers:
                    at[used] = i * length + row.rows[row.lookups[lookup, 0]]
                    targets[used] = row.lookups[lookup, 1]
                    weights[used] = 1.0 if place == 0 else 1.0 / (len(path) - 1)
                    used += 1
    weights /= weights.sum()
    sample = rng.choice(np.concatenate(inner), following, replace=False)
    at[answers:], targets[answers:] = sample, ids.reshape(-1)[sample + 1]
    weights[answers:] = 1.0 / following
    asked, tokens = sum(len(row.paths) for row in rows), sum(len(row.tokens) for row in rows)
    return Batch(ids, positions, spans, above, at, targets, weights, answers, asked, tokens)


@contextmanager
def drawn(
    tokenizer: Path, intents: Path, seed: int, first: int, scale: int, processes: int
) -> Iterator[Iterator[Batch]]:
    """The batches from number `first` on, in order, drawn by `processes` processes that end with the block."""
    context = mp.get_context("spawn")
    queues: list[mp.Queue[Batch]] = [context.Queue(maxsize=max(2, WAITING // processes)) for _ in range(processes)]
    workers = [
        context.Process(
            target=_produce,
            args=(tokenizer, intents, seed, range(first + i, 10**9, processes), scale, queue),
            daemon=True,
        )
        for i, queue in enumerate(queues)
    ]
    for worker in workers:
        worker.start()
    try:
        yield (queues[i % processes].get() for i in range(10**9))
    finally:
        for worker in workers:
            worker.terminate()


def _produce(tokenizer: Path, intents: Path, seed: int, steps: range, scale: int, queue: mp.Queue[Batch]) -> None:
    torch.set_num_threads(1)
    encoder = PromptEncoder(AutoTokenizer.from_pretrained(tokenizer))
    # Names and the template's own words come again and again; documents do not.
    encode, remembered = encoder.text, lru_cache(maxsize=_TEXTS_REMEMBERED)(encoder.text)
    encoder.text = lambda text, *, trusted: (remembered if len(text) < 80 else encode)(text, trusted=trusted)  # type: ignore[method-assign]
    maker = RowMaker(encoder, intents)
    for step in steps:
        queue.put(draw(maker, seed, step, scale))
