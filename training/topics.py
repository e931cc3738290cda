"""Short items of news by topic: what a paper would file under sports, business, world affairs or science.

A model of this size knows of the world what it was told: the words that belong to a topic, in sentences of the kind
that a newsroom writes. The names of the topics are drawn from what papers call their pages.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from training.choices import Concept
from training.documents.case import Case
from training.documents.grammar import phrases


@dataclass(frozen=True, slots=True)
class Topic:
    """A page of a newspaper: its names, its descriptions, and templates of headlines and sentences."""

    key: str
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    heads: tuple[str, ...]
    sentences: tuple[str, ...]


def _read() -> dict[str, Topic]:
    """The topics of `topics.txt`: what a line is stands at its head."""
    found: dict[str, Topic] = {}
    for block in Path(__file__).with_name("topics.txt").read_text(encoding="utf-8").split("\n\n"):
        parts: dict[str, list[str]] = {}
        for line in block.splitlines():
            what, _, text = line.partition(" ")
            parts.setdefault(what, []).append(text)
        key = parts["topic"][0]
        names = (key, *phrases(parts["names"][0]))
        found[key] = Topic(key, names, tuple(parts["about"]), tuple(parts["head"]), tuple(parts["text"]))
    return found


TOPICS = _read()
_SCI_TECH = (
    "Sci/Tech",
    "science and technology",
    "science/technology",
    "Science & Tech",
    "sci-tech",
    "tech and science",
)
_BROAD = ("world", "business", "sports")
_SCIENCES = ("science", "technology")
_OVERLAP = (("world", "politics"), ("world", "environment"))


def topic_concepts(rng: random.Random, size: int) -> list[Concept]:
    """Concepts of topics that do not overlap, in random order; often the few pages that every paper has."""
    if rng.random() < 0.4:
        keys = list(_BROAD)
    else:
        keys = rng.sample([key for key in TOPICS if key not in _SCIENCES], min(size, 10))
        for one, other in _OVERLAP:
            if one in keys and other in keys:
                keys.remove(other)
    concepts = [_concept((TOPICS[key],), TOPICS[key].names) for key in keys[: max(1, size - 1)]]
    sciences = tuple(TOPICS[key] for key in _SCIENCES)
    concepts += [_concept(sciences, _SCI_TECH)] if rng.random() < 0.6 else [_concept((s,), s.names) for s in sciences]
    rng.shuffle(concepts)
    return concepts


def item(rng: random.Random, topics: Sequence[Topic]) -> str:
    """A short item of one of the topics: mostly a headline and a sentence or two."""
    about, case = rng.choice(topics), Case(rng)
    count = rng.choice((1, 1, 2, 2, 3))
    body = [case.sentence(one) for one in rng.sample(about.sentences, min(count, len(about.sentences)))]
    if rng.random() < 0.8:
        head = case.sentence(rng.choice(about.heads))
        head += rng.choice((". ", "\n", " - ", ": ", f" ({case.slot('coined')}) "))
    else:
        head = rng.choice(
            ("", "", f"{case.slot('city')} - ", f"{case.slot('city').upper()} ({case.slot('coined')}) -- ")
        )
    return head + " ".join(body)


def _concept(topics: tuple[Topic, ...], names: tuple[str, ...]) -> Concept:
    descriptions = tuple(chain.from_iterable(topic.descriptions for topic in topics))
    return Concept(
        key=f"topic:{topics[0].key}",
        text=partial(_item, topics),
        name=lambda rng: names[0],
        alias=lambda rng: rng.choice(names),
        description=lambda rng: rng.choice(descriptions),
    )


def _item(topics: tuple[Topic, ...], rng: random.Random) -> str:
    return item(rng, topics)
