"""What precisions are compared on: documents of six kinds, each with two lists of labels that share one reading of it.

The first list is that of `prompt_items`. The second is the same from last to first where it is short; of a longer one
it is the right label among three others, which prompt versions 2 and 3 letter instead of naming.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from bench import prompt_items
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.prompts import SHORT_FORM_TASK
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task

SHORT = 4
DRAWN = 150  # of each kind, whatever is used of them: another number is other documents, under the same ids
# Of kinds whose documents are hundreds of tokens long, this part of the count: they take the time of many short ones.
LONG_KINDS, LONG_PART = ("company", "generated"), 4


@dataclass(frozen=True, slots=True)
class Question:
    """Labels in the order of the prompt, and which is right."""

    labels: tuple[str, ...]
    answer: int

    @property
    def task(self) -> Task:
        """As the worker is asked it."""
        return Task(SHORT_FORM_TASK, tuple(Label(str(place), name) for place, name in enumerate(self.labels)))


@dataclass(frozen=True, slots=True)
class Document:
    """A text and what is asked of it."""

    id: str
    kind: str
    text: str
    questions: tuple[Question, ...]


def documents(data: Path, count: int, drawn: int = DRAWN) -> list[Document]:
    """Up to `count` of each kind out of `drawn`, of long ones fewer; the kinds in turn: any beginning holds all."""
    every = prompt_items.items(data, drawn)
    most = {kind: count // LONG_PART if kind in LONG_KINDS else count for kind in prompt_items.KINDS}
    return [
        _document(item)
        for item in every
        if not item.asked and item.kind in most and int(item.id.partition(":")[2]) < most[item.kind]
    ]


def digest(every: list[Document]) -> str:
    """Which texts and lists these are: programs that make some of them change, under the same ids."""
    said = [[one.id, one.text, [[*question.labels] for question in one.questions]] for one in every]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def batches(scorer: Scorer, every: list[Document], budget: int) -> list[list[Document]]:
    """Documents that go through the model together: the same for all precisions of a model, and in any run."""
    made: list[list[Document]] = []
    forest = Forest()
    for document in every:
        if not made or forest.total_tokens >= budget:
            made.append([])
            forest = Forest()
        made[-1].append(document)
        lay(scorer, forest, document)
    return made


def lay(scorer: Scorer, forest: Forest, document: Document) -> None:
    """Ask all of a document's questions."""
    tokens = scorer.prompts.document(document.text)
    for question in document.questions:
        scorer.prompts.add(forest, question.task, tokens)


def _document(item: prompt_items.Item) -> Document:
    right = item.labels[item.answer]
    short = item.labels
    if len(short) > 2 * SHORT - 2:
        wrong = [label for label in short if label != right][: SHORT - 1]
        short = tuple(label for label in short if label == right or label in wrong)
    again = short[::-1]
    return Document(
        item.id, item.kind, item.text, (Question(item.labels, item.answer), Question(again, again.index(right)))
    )
