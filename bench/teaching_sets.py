"""The documents that teaching is measured on, and what the model scores on them: computed once, then kept.

Three sets, none of which the embedded model was trained on: messages of intents that were held back, among themselves;
business documents of new seeds, among all kinds; generated messages, among intents that are close to each other. Every
text is there once.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from pinpoint.api.request import parse_request  # noqa: E402
from pinpoint.api.response import DocumentResult  # noqa: E402
from pinpoint.pipeline.classify import classify  # noqa: E402
from training import documents, messages  # noqa: E402
from training.sources import load_intents  # noqa: E402

if TYPE_CHECKING:
    from pinpoint.engine.scorer import Scorer

SEED = 131  # no training step draws from it
JOB_DOCUMENTS = 32
NEAR_FAMILIES, NEAR_EACH = 6, 3

Item = tuple[str, str]  # text, right label


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSet:
    """A set with its scores: log-probabilities [n, K] as measured, the right labels' positions [n], and the names."""

    name: str
    labels: tuple[str, ...]
    scores: NDArray[np.float64]
    right: NDArray[np.int64]
    scoring_s: float


def held_back_intents(path: Path, count: int) -> tuple[list[str], list[Item]]:
    """Messages of the intents that training never saw, among themselves."""
    pool = load_intents(path).unseen_intents
    every = [(text, label) for label, texts in sorted(pool.items()) for text in texts]
    return sorted(pool), _drawn(every, count)


def generated_documents(count: int) -> tuple[list[str], list[Item]]:
    """Business documents of new seeds, among all kinds."""
    rng = random.Random(SEED)
    drawn = (documents.generate(rng) for _ in range(count))
    return [kind.names[0] for kind in documents.KINDS], [(text, kind.names[0]) for kind, text in drawn]


def generated_messages(count: int) -> tuple[list[str], list[Item]]:
    """Messages of intents of which three each are close to each other."""
    rng = random.Random(SEED)
    intents = dict[str, messages.Intent]()
    while len(intents) < NEAR_FAMILIES * NEAR_EACH:
        first = messages.sample_intent(rng)
        for one in (first, *messages.near_intents(rng, first, NEAR_EACH - 1)):
            intents.setdefault(messages.name(rng, one), one)
    names = list(intents)
    drawn = [rng.choice(names) for _ in range(count)]
    return names, [(messages.message(rng, intents[name]), name) for name in drawn]


def _drawn(every: Sequence[Item], count: int) -> list[Item]:
    return random.Random(SEED).sample(list(every), min(count, len(every)))


def scored_sets(intents: Path, folder: Path, count: int) -> Iterator[ScoredSet]:
    """All three; a set that lies in the folder is read from there."""
    made: dict[str, Any] = {
        "held-back intents": lambda: held_back_intents(intents, count),
        "generated documents": lambda: generated_documents(count),
        "generated messages": lambda: generated_messages(count),
    }
    engine: Scorer | None = None
    for name, make in made.items():
        path = folder / f"{name.replace(' ', '_')}_{count}.npz"
        if not path.exists():
            from pinpoint.serving.model import get_scorer
            from pinpoint.settings import read_settings

            engine = engine or get_scorer(read_settings())
            labels, items = make()
            found = score(name, labels, list(dict(items).items()), engine)
            folder.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(
                path, labels=np.array(json.dumps(found.labels)), scores=found.scores, right=found.right,
                scoring_s=np.array(found.scoring_s),
            )  # fmt: skip
        with np.load(path) as kept:
            yield ScoredSet(
                name, tuple(json.loads(str(kept["labels"]))), kept["scores"], kept["right"], float(kept["scoring_s"])
            )


def score(name: str, labels: Sequence[str], items: Sequence[Item], engine: Scorer) -> ScoredSet:
    """What the model measures of every label for every text."""
    began_s = time.perf_counter()
    place = {label: k for k, label in enumerate(labels)}
    scores = np.empty((len(items), len(labels)))
    for start in range(0, len(items), JOB_DOCUMENTS):
        texts = [{"text": text} for text, _ in items[start : start + JOB_DOCUMENTS]]
        job = {"documents": texts, "labels": list(labels), "options": {"return_raw": True}}
        response, _ = classify(parse_request(job), engine)
        for offset, result in enumerate(response.results):
            assert isinstance(result, DocumentResult)
            answer = result.answers["category"]
            assert answer.log_probs is not None
            for label, value in zip(answer.labels, answer.log_probs, strict=True):
                scores[start + offset, place[label]] = value
        print(f"\r{name}: {min(start + JOB_DOCUMENTS, len(items))} of {len(items)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    right = np.array([place[label] for _, label in items])
    return ScoredSet(name, tuple(labels), scores, right, time.perf_counter() - began_s)
