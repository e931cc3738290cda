"""What the embedded model scores on parts that it never saw: `python -m training.measure --intents FILE`.

The figures of `training/MODEL_CARD.md` are this command's output.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pinpoint.api.request import parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.engine.scorer import Scorer
from pinpoint.pipeline.classify import classify
from pinpoint.serving.model import get_scorer
from pinpoint.settings import read_settings
from training import documents, messages
from training import measure_predicates as predicates
from training.choices import concept_choice
from training.sources import load_intents, message_concept

SEED = 97  # no training step draws from it
Item = tuple[str, list[Any], str]  # text, labels, right label


def intents(pool: dict[str, tuple[str, ...]], names: Sequence[str], labels: int, count: int) -> Iterator[Item]:
    """Messages, each with its own list of intent names in random order."""
    rng = random.Random(SEED)
    every = [(text, label) for label, texts in sorted(pool.items()) for text in texts]
    for text, label in rng.sample(every, min(count, len(every))):
        offered = [*rng.sample([name for name in names if name != label], labels - 1), label]
        rng.shuffle(offered)
        yield text, offered, label


def generated_documents(labels: int, count: int) -> Iterator[Item]:
    """Business documents of unseen seeds, usual names."""
    rng = random.Random(SEED)
    for _ in range(count):
        kind, text = documents.generate(rng)
        others = [other.names[0] for other in documents.KINDS if other.key != kind.key]
        offered = [*rng.sample(others, labels - 1), kind.names[0]]
        rng.shuffle(offered)
        yield text, offered, kind.names[0]


def generated_messages(count: int) -> Iterator[Item]:
    """Synthetic messages among 5 labels of any wording, with near ones."""
    rng = random.Random(SEED)
    for _ in range(count):
        intent = messages.sample_intent(rng)
        wrong = [message_concept(other) for other in messages.near_intents(rng, intent, 2)]
        wrong += [message_concept(messages.sample_intent(rng)) for _ in range(4 - len(wrong))]
        choice = concept_choice(rng, [message_concept(intent)], wrong, 1)
        labels = [
            {"id": label.id, "name": label.name, **({"description": label.description} if label.description else {})}
            for label in choice.task.labels
        ]
        yield choice.examples[0].text, labels, labels[choice.examples[0].answer]["id"]


def labelled_texts(path: Path) -> Iterator[Item]:
    """Texts that training never used, such as documents of a public collection: `text`, `label` a line."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    labels = sorted({row["label"] for row in rows})
    for row in rows:
        yield row["text"], labels, row["label"]


def accuracy(scorer: Scorer, items: Sequence[Item]) -> dict[str, float]:
    """Share of right labels, and the mean of what the model wanted to say inside the list."""
    right, mass = 0, 0.0
    for text, labels, label in items:
        response, _ = classify(parse_request({"text": text, "labels": labels}), scorer)
        (result,) = response.results
        if isinstance(result, DocumentResult):
            answer = result.answers["category"]
            right += answer.label == label
            mass += answer.label_mass
    return {"of": len(items), "accuracy": round(right / len(items), 3), "label_mass": round(mass / len(items), 3)}


def measure(
    intents_file: Annotated[Path, typer.Option("--intents", help="support-intents/train.jsonl")],
    company: Annotated[Path | None, typer.Option(help="company-documents/sample.jsonl")] = None,
    news: Annotated[Path | None, typer.Option(help="bench/data/news.jsonl")] = None,
    count: Annotated[int, typer.Option(help="Items of each kind.")] = 500,
) -> None:
    """Measure the model that the worker would load on every held-out part and print a table."""
    scorer = get_scorer(read_settings())
    data = load_intents(intents_file)
    unseen, known = sorted(data.unseen_intents), sorted(data.trained)
    parts: dict[str, list[Item]] = {
        "unseen messages of known intents, 10 labels": list(intents(data.unseen_messages, known, 10, count)),
        "unseen intents among themselves, 5 labels": list(intents(data.unseen_intents, unseen, 5, count)),
        "unseen intents among all, 5 labels": list(intents(data.unseen_intents, [*unseen, *known], 5, count)),
        "generated documents of new seeds, 8 labels": list(generated_documents(8, count)),
        "generated messages, 5 labels of any wording": list(generated_messages(count)),
    }
    if company is not None:
        parts["company documents, 4 labels"] = list(labelled_texts(company))
    if news is not None:
        parts["news items, 4 topics"] = list(labelled_texts(news))
    table = Table("held-out part", "of", "accuracy", "label mass", box=None)
    for name, items in parts.items():
        figures = accuracy(scorer, items)
        table.add_row(name, *(str(value) for value in figures.values()))
    asked: dict[str, Iterator[predicates.Asked]] = {
        **({"company documents, the usual question": predicates.company(company, predicates.USUAL)} if company else {}),
        **({"company documents, other wordings": predicates.company(company, predicates.UNSEEN)} if company else {}),
        **({"news items": predicates.news(news)} if news else {}),
        **{f"generated {name}": predicates.generated(name, count // 2) for name in ("documents", "messages", "news")},
    }
    yes_no = Table("yes or no", "of", "accuracy", "auc", box=None)
    for name, part in asked.items():
        yes_no.add_row(name, *(str(value) for value in predicates.figures(scorer, list(part)).values()))
    for each in (table, yes_no):
        Console(width=120).print(each)


if __name__ == "__main__":
    typer.run(measure)
