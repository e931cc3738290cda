"""Where concepts come from: generated business documents, generated messages, and the support intents.

`held_out_intents` and every message whose hash falls into `HELD_OUT_MESSAGES` are never trained on; the model card's
figures are measured on them.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from training import documents, messages
from training.choices import Concept
from training.documents import snippets
from training.messages.wordings import WORDINGS

HELD_OUT_INTENTS = 14
HELD_OUT_MESSAGES = 0.05
_SEED = 20261123


@dataclass(frozen=True, slots=True)
class IntentData:
    """The messages of the support intents, parted."""

    trained: dict[str, tuple[str, ...]]
    unseen_messages: dict[str, tuple[str, ...]]
    unseen_intents: dict[str, tuple[str, ...]]


def load_intents(path: Path) -> IntentData:
    """Read `train.jsonl` (`text`, `label` a line) and part it by fixed seeds."""
    by_label: dict[str, list[str]] = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            by_label.setdefault(row["label"], []).append(row["text"])
    held_out = set(random.Random(_SEED).sample(sorted(by_label), HELD_OUT_INTENTS))
    known = {label: texts for label, texts in by_label.items() if label not in held_out}
    return IntentData(
        trained={label: tuple(t for t in texts if not _held_out(t)) for label, texts in known.items()},
        unseen_messages={label: tuple(t for t in texts if _held_out(t)) for label, texts in known.items()},
        unseen_intents={label: tuple(by_label[label]) for label in held_out},
    )


def intent_concepts(texts: dict[str, tuple[str, ...]]) -> list[Concept]:
    """One concept for each intent of the data."""
    return [_intent_concept(label, messages_) for label, messages_ in sorted(texts.items())]


def document_concepts() -> list[tuple[str, Concept]]:
    """(family, concept) of each kind of business document."""
    return [(kind.family, _kind_concept(kind)) for kind in documents.KINDS]


def message_concept(intent: messages.Intent) -> Concept:
    """The concept of one generated intent."""
    return Concept(
        key=f"message:{intent.key}",
        text=partial(_swap, messages.message, intent),
        name=partial(_swap, messages.name, intent),
        alias=partial(_swap, messages.name, intent),
        description=partial(_swap, messages.description, intent),
    )


def _swap(draw: Callable[[random.Random, messages.Intent], str], intent: messages.Intent, rng: random.Random) -> str:
    return draw(rng, intent)


def _intent_concept(label: str, texts: Sequence[str]) -> Concept:
    wording = WORDINGS[label]
    return Concept(
        key=f"intent:{label}",
        text=lambda rng: rng.choice(texts),
        name=lambda rng: label,
        alias=lambda rng: rng.choice(wording.names),
        description=lambda rng: rng.choice(wording.descriptions),
    )


def _kind_concept(kind: documents.Kind) -> Concept:
    return Concept(
        key=f"document:{kind.key}",
        text=lambda rng: _paper(rng, kind),
        name=lambda rng: kind.names[0],
        alias=lambda rng: rng.choice(kind.names),
        description=lambda rng: rng.choice(kind.descriptions),
    )


def _paper(rng: random.Random, kind: documents.Kind) -> str:
    if kind.key in snippets.SNIPPETS and rng.random() < snippets.SHARE:
        return snippets.snippet(rng, kind.key)
    return documents.generate(rng, kind)[1]


def _held_out(text: str) -> bool:
    return hashlib.sha256(text.encode()).digest()[0] < HELD_OUT_MESSAGES * 256
