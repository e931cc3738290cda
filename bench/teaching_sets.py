"""The documents that teaching is measured on, and what a model measures of them: computed once, then kept.

Three sets, none of which the embedded model was trained on: messages of intents that were held back, among themselves;
business documents of new seeds, among all kinds; generated messages, among intents that are close to each other. Every
text is there once. A real model (`training.real_models`) reads the first of each, as many as `REAL_COUNTS` says, in
bfloat16. A run that was ended goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from bench.quality_figures import EMBEDDED, weights_of  # noqa: E402
from pinpoint.api.request import parse_request  # noqa: E402
from pinpoint.api.response import DocumentResult  # noqa: E402
from pinpoint.engine.readings import STATE_FLOATS  # noqa: E402
from pinpoint.pipeline.classify import classify  # noqa: E402
from training import documents, messages  # noqa: E402
from training.sources import load_intents  # noqa: E402

if TYPE_CHECKING:
    from pinpoint.engine.scorer import Scorer

SEED = 131  # no training step draws from it
JOB_DOCUMENTS = 32
NEAR_FAMILIES, NEAR_EACH = 6, 3
COUNT = 1500
# Of a real model, by its device: those that a CPU reads within hours.
REAL_COUNTS = {
    "cpu": {"held-back intents": COUNT, "generated messages": 500},
    "cuda": {"held-back intents": COUNT, "generated messages": COUNT, "generated documents": COUNT},
}
REAL_TOKENS, REAL_STORE_BYTES = {"cpu": 1024, "cuda": 8192}, 200_000_000

Item = tuple[str, str]  # text, right label


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSet:
    """A set with what was measured of it.

    Attributes:
        name: of the set.
        model: that measured.
        labels: K names.
        scores: [n, K] log-probabilities.
        states: [n, P] what the model made of each document (`engine/forward/states.py`).
        right: [n] positions of the right labels.
        scoring_s: what it took.
    """

    name: str
    model: str
    labels: tuple[str, ...]
    scores: NDArray[np.float64]
    states: NDArray[np.float64]
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


def scored_sets(model: str, intents: Path, folder: Path, device: str = "cpu") -> Iterator[ScoredSet]:
    """The sets that a model reads; what lies in the folder is read from there."""
    made: dict[str, Any] = {
        "held-back intents": lambda: held_back_intents(intents, COUNT),
        "generated documents": lambda: generated_documents(COUNT),
        "generated messages": lambda: generated_messages(COUNT),
    }
    engine: Scorer | None = None
    for name, count in (dict.fromkeys(made, COUNT) if model == EMBEDDED else REAL_COUNTS[device]).items():
        labels, drawn = made[name]()
        every = list(dict(drawn).items())
        items = every[:count]
        # Generators and the embedded model change: what was scored is of these texts, by those weights.
        about = json.dumps([weights_of(model), labels, every])
        digest = hashlib.sha256(about.encode("utf-8", "backslashreplace")).hexdigest()[:12]
        path = folder / f"{model}_{name.replace(' ', '_')}_{digest}.npz"
        found = kept(path, name, model, labels, items)
        while len(found.scores) < len(items):
            engine = engine or engine_of(model, device)
            found = further(found, items, engine)
            folder.mkdir(parents=True, exist_ok=True)
            beside = path.with_suffix(".part.npz")
            np.savez_compressed(
                beside, scores=found.scores, states=found.states.astype(np.float32), scoring_s=found.scoring_s
            )
            beside.replace(path)
            print(f"\r{model}, {name}: {len(found.scores)} of {len(items)}", end="", file=sys.stderr, flush=True)
        yield found


def engine_of(model: str, device: str = "cpu") -> Scorer:
    """The embedded model as the worker has it, or a real one."""
    if model == EMBEDDED:
        from pinpoint.serving.model import get_scorer
        from pinpoint.settings import read_settings

        return get_scorer(read_settings())
    from pinpoint.engine.loading.load import load
    from pinpoint.engine.scorer import Scorer
    from pinpoint.settings import Settings
    from training.real_models import MODELS, obtain

    place = str(obtain(next(one for one in MODELS if one.name == model)))
    fields = {"model_name": place, "precision": "bf16", "device": device, "buffer_gb": 0.5}
    return Scorer(load(Settings.model_validate(fields)), REAL_TOKENS[device], REAL_STORE_BYTES)


def kept(path: Path, name: str, model: str, labels: Sequence[str], items: Sequence[Item]) -> ScoredSet:
    """What was measured before, of the first documents of the set."""
    place = {label: k for k, label in enumerate(labels)}
    right = np.array([place[label] for _, label in items])
    scores, states, scoring_s = np.empty((0, len(labels))), np.empty((0, STATE_FLOATS)), 0.0
    if path.exists():
        with np.load(path) as file:
            scores, states, scoring_s = file["scores"], file["states"].astype(np.float64), float(file["scoring_s"])
    return ScoredSet(name, model, tuple(labels), scores, states, right, scoring_s)


def further(found: ScoredSet, items: Sequence[Item], engine: Scorer) -> ScoredSet:
    """With one more job of documents."""
    began_s, first = time.perf_counter(), len(found.scores)
    texts = [{"text": text} for text, _ in items[first : first + JOB_DOCUMENTS]]
    request = parse_request({"documents": texts, "labels": list(found.labels), "options": {"return_raw": True}})
    response, _ = classify(replace(request, options=replace(request.options, states=True)), engine)
    rows, states = list[list[float]](), list[tuple[float, ...]]()
    for result in response.results:
        assert isinstance(result, DocumentResult)
        answer = result.answers["category"]
        assert answer.log_probs is not None
        values = dict(zip(answer.labels, answer.log_probs, strict=True))
        rows.append([values[label] for label in found.labels])
        states.append(answer.state)
    return replace(
        found,
        scores=np.vstack([found.scores, rows]),
        states=np.vstack([found.states, states]),
        scoring_s=found.scoring_s + time.perf_counter() - began_s,
    )
