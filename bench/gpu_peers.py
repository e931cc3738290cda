"""Pinpoint against the plain ways at full size, and what labels and questions cost there.

The weights are random, so scores are flat and every label of a long list counts: the bounds on labels settle none, and
the figures for long lists are those of the worst case.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from statistics import median

import torch

from bench.gpu_rows import Row, at_least, at_most
from bench.gpu_speed import LABELS, TASK, words
from bench.peers import packed
from bench.plain import generate_and_parse, generate_json, label_answer, score_by_rows, scores_answer
from bench.report import in_turn, ratio
from bench.scoring import run, task_of
from pinpoint.engine.forward import generate, last_layer
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.span_tree import Forest

PART = "peers"
DOCUMENTS, TOKENS = 32, 300
# Documents that the rows of labels are batched over; the best of these is the peer.
BATCHES = (4, 16, 32)
ROUNDS, SLOW_ROUNDS = 5, 1
# The longest answers are written for one document in so many: each takes the same number of tokens.
FEW = 8


def peers(scorer: Scorer) -> Iterator[Row]:
    """One job of 32 documents and 8 labels, each way in turn; the slow ways fewer times, against the same rounds."""
    rng = random.Random(7)
    job = [words(rng, TOKENS) for _ in range(DOCUMENTS)]
    what = f"{DOCUMENTS} documents of {TOKENS} tokens, {len(LABELS)} labels"
    ours = partial(packed, scorer, TASK, job)
    fast, slow = ours(), score_by_rows(scorer, TASK, job)
    apart = max(abs(a - b) for one, other in zip(fast, slow, strict=True) for a, b in zip(one, other, strict=True))
    yield Row(PART, "largest difference in log-probability to scoring by rows", apart)
    rows = {f"rows, {n} at a time": partial(score_by_rows, scorer, TASK, job, n) for n in BATCHES}
    seconds = in_turn(_waited({"ours": ours, **rows}), ROUNDS)
    best = min(rows, key=lambda name: median(seconds[name]))
    yield Row(PART, f"Pinpoint, s ({what})", median(seconds["ours"]))
    yield Row(PART, f"{best}, s", median(seconds[best]))
    yield at_least(PART, "rows over Pinpoint", round(ratio(seconds[best], seconds["ours"]), 2), 1.5)
    pieces = scorer.prompts.encoder.label_tokens
    small, full = (len(pieces(answer(LABELS))) for answer in (label_answer, scores_answer))
    few = job[: DOCUMENTS // FEW]
    ways: dict[str, Callable[[], object]] = {
        "ours": ours,
        "generate, the bare label": partial(generate_and_parse, scorer, TASK, job),
        f"generate, JSON of {small} tokens": partial(generate_json, scorer, TASK, job, small),
        f"recorded steps, JSON of {small} tokens": partial(recorded, scorer, job, small),
        f"generate, JSON of {full} tokens with a score for each label": partial(generate_json, scorer, TASK, few, full),
    }
    seconds = in_turn(_waited(ways), SLOW_ROUNDS)
    for name in list(ways)[1:]:
        times = FEW if name.startswith(f"generate, JSON of {full}") else 1.0
        over = round(times * ratio(seconds[name], seconds["ours"]), 2)
        asked = name.startswith("generate, JSON")
        name = f"{name}, over Pinpoint"
        yield at_least(PART, name, over, 10) if asked else Row(PART, name, over)


def recorded(scorer: Scorer, job: list[list[int]], tokens: int) -> None:
    """The same JSON by this worker's own decoding, a document at a time: the fastest `generate` at hand."""
    before, generate.MOST_TOKENS = generate.MOST_TOKENS, tokens
    try:
        for document in job:
            forest = Forest()
            scorer.prompts.add(forest, TASK, document)
            with scorer.run(forest, explain=True) as done:
                done.explain(0, LABELS[0])
    finally:
        generate.MOST_TOKENS = before


def lists(scorer: Scorer) -> Iterator[Row]:
    """What 200 labels cost over 2, and 8 questions over one, on documents of 1,000 tokens."""
    rng = random.Random(8)
    four, one = [words(rng, 1000) for _ in range(4)], [words(rng, 1000)]
    questions = [task_of(8, 8 * number) for number in range(8)]
    seconds = in_turn(
        _waited(
            {
                **{str(n): partial(run, scorer, [task_of(n)], four) for n in (2, 20, 200)},
                "one question": partial(run, scorer, questions[:1], one),
                "8 questions": partial(run, scorer, questions, one),
            }
        ),
        ROUNDS,
    )
    for name, values in seconds.items():
        yield Row(PART, f"{name}{' labels' if name.isdigit() else ''}, s", median(values))
    yield at_most(PART, "200 labels over 2", round(ratio(seconds["200"], seconds["2"]), 2), 1.4)
    over = round(ratio(seconds["8 questions"], seconds["one question"]), 2)
    yield at_most(PART, "8 questions over one", over, 1.6)


def narrow(scorer: Scorer, forest: Forest) -> Iterator[Row]:
    """What it brings that the last layer computes the wanted rows alone."""

    def with_share(share: float) -> None:
        before, last_layer.MOST_WANTED = last_layer.MOST_WANTED, share
        try:
            with scorer.run(forest):
                pass
        finally:
            last_layer.MOST_WANTED = before

    sides = {"all": partial(with_share, -1.0), "wanted": partial(with_share, last_layer.MOST_WANTED)}
    seconds = in_turn(_waited(sides), 2 * ROUNDS)
    gain = round(ratio(seconds["all"], seconds["wanted"]), 4)
    yield Row(PART, f"{forest.total_tokens} tokens: a last layer of all rows over one of the wanted", gain)


def _waited(sides: Mapping[str, Callable[[], object]]) -> dict[str, Callable[[], None]]:
    """The same, each done only when the device is."""

    def wait(side: Callable[[], object]) -> None:
        side()
        torch.cuda.synchronize()

    return {name: partial(wait, side) for name, side in sides.items()}
