"""What prompts are measured on: texts of six kinds with a list of labels each, yes or no about one label (by its name,
as a question and as a statement), long lists,
and the same texts with lists that grow; parted into a half to choose by and a half that is kept out of the choice.

Company documents and intents come from files that are no part of the project; news items are our own; generated
documents come from `training/documents`, of seeds that no training step draws from.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from training.measure import Item as Row
from training.measure import generated_documents, intents, labelled_texts
from training.sources import load_intents

NEWS = Path(__file__).parent / "data" / "news.jsonl"
NEWS_LABELS = ("World", "Sports", "Business", "Sci/Tech")
# A generated document longer than this is left out: the longest take minutes on two cores and tell nothing else.
MOST_CHARS = 1500
KINDS = ("company", "news", "known", "unknown", "banking", "generated")
MANY = "many"
MANY_LABELS = 60
YES_KINDS = ("company", "news", "known", "generated")
YES_NO = ("yes", "no")
# How the same is asked: by the label's name alone, as a question, as a statement.
ASKED = {
    "yes": dict.fromkeys(YES_KINDS, "{label}"),
    "ask": {
        "company": "Is this document {a} {label}?",
        "news": "Is this news item about {label}?",
        "known": "Is the customer writing about {label}?",
        "generated": "Is this document {a} {label}?",
    },
    "say": {
        "company": "This document is {a} {label}.",
        "news": "This news item is about {label}.",
        "known": "The customer writes about {label}.",
        "generated": "This document is {a} {label}.",
    },
}
# How many labels are offered, of the same list of the longest; for texts of these kinds.
GROWING, GROWING_KINDS = (2, 3, 4, 5, 6, 7, 8, 10, 12), ("known", "unknown", "banking", "generated")


@dataclass(frozen=True, slots=True)
class Item:
    """One text, the labels on offer in the order of the prompt, and which of them is right.

    With `asked`, the question is whether that label fits, and the labels are yes and no.
    """

    id: str
    kind: str
    text: str
    labels: tuple[str, ...]
    answer: int
    asked: str = ""

    @property
    def chosen_by(self) -> bool:
        """Whether it is of the half that prompts are chosen by; fixed by the text alone."""
        return hashlib.sha256(f"half:{self.text}".encode()).digest()[0] % 2 == 0


def items(data: Path, count: int) -> list[Item]:
    """Up to `count` items of each kind, the kinds in turn, so that any beginning of the list holds all of them."""
    support = load_intents(data / "support-intents" / "train.jsonl")
    known = sorted(support.trained)
    banking = _banking(data / "support-intents" / "train.jsonl", set(known))
    unknown = sorted(support.unseen_intents)
    kinds = {
        "company": _spread(labelled_texts(data / "company-documents" / "sample.jsonl"), count),
        "news": _spread(_news(), count),
        "known": list(intents(support.unseen_messages, known, 10, count)),
        "unknown": list(intents(support.unseen_intents, unknown, 5, count)),
        "banking": list(intents(_only(support.unseen_messages, banking), banking, 10, count)),
        "generated": [row for row in generated_documents(8, 3 * count) if len(row[0]) <= MOST_CHARS][:count],
    }
    made = [
        Item(f"{kind}:{place}", kind, text, tuple(map(str, labels)), list(labels).index(right))
        for kind, rows in kinds.items()
        for place, (text, labels, right) in enumerate(rows)
    ]
    made += [question for item in made if item.kind in YES_KINDS for question in _yes_no(item)]
    many = intents(support.unseen_messages, known, MANY_LABELS, count // 2)
    made += [
        Item(f"{MANY}:{place}", MANY, text, tuple(map(str, labels)), list(labels).index(right))
        for place, (text, labels, right) in enumerate(many)
    ]
    return sorted(made, key=lambda item: int(item.id.partition(":")[2]))


def growing(data: Path, count: int) -> list[Item]:
    """Up to `count` texts of each of `GROWING_KINDS`, each with lists of so many labels, every list part of the next.

    The kind is that of the text and the number of labels: `known/5`.
    """
    support = load_intents(data / "support-intents" / "train.jsonl")
    known, longest = sorted(support.trained), GROWING[-1]
    banking = _banking(data / "support-intents" / "train.jsonl", set(known))
    kinds = {
        "known": list(intents(support.unseen_messages, known, longest, count)),
        "unknown": list(intents(support.unseen_intents, sorted(support.unseen_intents), longest, count)),
        "banking": list(intents(_only(support.unseen_messages, banking), banking, longest, count)),
        "generated": [row for row in generated_documents(longest, 3 * count) if len(row[0]) <= MOST_CHARS][:count],
    }
    made: list[Item] = []
    for kind in GROWING_KINDS:
        for place, (text, offered, right) in enumerate(kinds[kind]):
            wrong = [label for label in offered if label != right]
            for size in GROWING:
                labels = [label for label in offered if label == right or label in wrong[: size - 1]]
                made.append(Item(f"{kind}/{size}:{place}", f"{kind}/{size}", text, tuple(labels), labels.index(right)))
    return sorted(made, key=lambda item: int(item.id.partition(":")[2]))


def _yes_no(item: Item) -> Iterator[Item]:
    """Whether the right label fits, and whether a wrong one does, in each of the ways of `ASKED`."""
    rng = random.Random(item.text)
    wrong = rng.choice([place for place in range(len(item.labels)) if place != item.answer])
    _, _, place = item.id.partition(":")
    for way, texts in ASKED.items():
        for answer, which in enumerate((item.answer, wrong)):
            label = item.labels[which]
            asked = texts[item.kind].format(label=label, a="an" if label[0].lower() in "aeiou" else "a")
            yield Item(f"{way}{answer} {item.kind}:{place}", f"{way} {item.kind}", item.text, YES_NO, answer, asked)


def write(made: Sequence[Item], path: Path) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in made), encoding="utf-8")


def read(path: Path) -> list[Item]:
    """What `write` wrote."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Item(**{**row, "labels": tuple(row["labels"])}) for row in rows]


def _banking(path: Path, among: set[str]) -> list[str]:
    """Intents of one bank's customers: close to each other, so that lists of them are hard."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return sorted({row["label"] for row in rows if row["source"] == "banking77" and row["label"] in among})


def _only(pool: dict[str, tuple[str, ...]], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    return {name: pool[name] for name in names if name in pool}


def _news() -> Iterator[Row]:
    with NEWS.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield row["text"], list(NEWS_LABELS), row["label"]


def _spread(rows: Iterator[Row], count: int) -> list[Row]:
    """Some of the rows, in an order that has nothing to do with their labels."""
    every = list(rows)
    random.Random(0).shuffle(every)
    return every[:count]
