"""How well the model answers yes or no: of company documents, news items, and generated texts of new seeds.

Of each text it is asked whether it is what it is, and whether it is something else, in wordings of which some are in no
lesson. An answer is right when yes is on the right side of one half; the area under the curve says how well yes is told
from no wherever the line is drawn.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pinpoint.api.request import parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.engine.scorer import Scorer
from pinpoint.evaluate.figures import auroc
from pinpoint.pipeline.classify import classify
from pinpoint.prompting.taxonomy import Task
from training import messages
from training.choices import Concept
from training.predicates import predicate, with_article
from training.sources import document_concepts, message_concept
from training.topics import topic_concepts

Asked = tuple[str, list[tuple[dict[str, Any], bool]]]  # a text, and tasks with whether yes is right
USUAL = ("Is this document {a}?",)
UNSEEN = (
    "Would you call this document {a}?", "Somebody has sent {a}.", "It is {a}, isn't it?", "Can we book this as {a}?",
    "What we have here is {a}", "does that page come from {a}",
)  # fmt: skip
ABOUT_NEWS = ("Is this about {k}?", "Is the item from the {k} pages?", "It deals with {k}.")
SEED = 98  # no training step draws from it


def company(path: Path, wordings: Sequence[str]) -> Iterator[Asked]:
    """Documents of a public collection: of the right kind and of a wrong one."""
    rng = random.Random(SEED)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    kinds = sorted({row["label"] for row in rows})
    for row in rows:
        yield row["text"], _both(rng, row["label"], kinds, wordings)


def news(path: Path) -> Iterator[Asked]:
    """News items: about their topic and about another."""
    rng = random.Random(SEED)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    topics = sorted({row["label"] for row in rows})
    for row in rows:
        yield row["text"], _both(rng, row["label"], topics, ABOUT_NEWS)


def generated(source: str, count: int) -> Iterator[Asked]:
    """Predicates as they are taught, about `documents`, `messages` or `news` of new seeds."""
    rng = random.Random(f"{SEED}{source}")
    other = ""
    for _ in range(count):
        concepts = _concepts(rng, source)
        text = concepts[0].text(rng)
        asked = [predicate(rng, concepts[0], concepts[1:], text, other) for _ in range(2)]
        yield text, [(_wire(task), holds) for task, holds in asked]
        other = text


def figures(scorer: Scorer, asked: Sequence[Asked]) -> dict[str, float]:
    """How many were asked, the share of right answers, the area under the curve."""
    said, truth = list[float](), list[bool]()
    for text, tasks in asked:
        wire = {str(number): task for number, (task, _) in enumerate(tasks)}
        response, _ = classify(parse_request({"text": text, "tasks": wire}), scorer)
        (result,) = response.results
        assert isinstance(result, DocumentResult), result
        said += [result.answers[name].probability or 0.0 for name in wire]
        truth += [holds for _, holds in tasks]
    yes = np.array(said)
    area = auroc(yes, np.array(truth))
    return {
        "of": len(said),
        "accuracy": round(float(((yes > 0.5) == np.array(truth)).mean()), 3),
        "auc": round(area, 3) if area is not None else float("nan"),
    }


def _both(
    rng: random.Random, right: str, names: Sequence[str], wordings: Sequence[str]
) -> list[tuple[dict[str, Any], bool]]:
    asked = list[tuple[dict[str, Any], bool]]()
    for wording in wordings:
        wrong = rng.choice([name for name in names if name != right])
        for name, holds in ((right, True), (wrong, False)):
            said = wording.format(a=with_article(name), k=name)
            asked.append(({"type": "yes_no", "instructions": said}, holds))
    return asked


def _concepts(rng: random.Random, source: str) -> list[Concept]:
    if source == "news":
        return topic_concepts(rng, 5)
    if source == "messages":
        intent = messages.sample_intent(rng)
        others = [*messages.near_intents(rng, intent, 2), messages.sample_intent(rng)]
        return [message_concept(one) for one in (intent, *others)]
    kinds = document_concepts()
    family, concept = rng.choice(kinds)
    near = [other for name, other in kinds if name == family and other is not concept]
    far = [other for name, other in kinds if name != family]
    return [concept, *rng.sample(near, min(2, len(near))), *rng.sample(far, 2)]


def _wire(task: Task) -> dict[str, Any]:
    yes, no = task.criteria
    criteria = {name: text for name, text in (("yes", yes), ("no", no)) if text}
    return {
        "type": "yes_no", "instructions": task.labels[0].name, **({"criteria": criteria} if criteria else {}),
    }  # fmt: skip
