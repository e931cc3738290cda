"""Requests, and what the fake engine answers to them."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import strategies as st

from pinpoint.api.answer import Answer
from pinpoint.api.request import Options, Request
from pinpoint.api.response import DocumentResult, Response
from pinpoint.documents.text import Document
from pinpoint.pipeline.room import ROOM_STEP_TOKENS
from pinpoint.prompting.taxonomy import Label, Task
from tests.fakes import chatml_prompts, log_prob

PROMPTS = chatml_prompts()
NAMES = ("invoice", "receipt", "purchase order", "gas bill", "contract")
CHOICE = Task("category", tuple(Label(f"id {name}", name) for name in NAMES))
TONE = Task("tone", tuple(Label(name, name) for name in ("friendly", "angry")), instructions="How does it sound?")
FLAGS = Task("flags", tuple(Label(name, name) for name in ("urgent", "paid", "signed")), multi_label=True)
LETTERS = "Dear customer, we could not deliver your parcel."

texts = st.text("ab \n", min_size=1, max_size=12).map(lambda text: f"x{text * 9}")
texts_lists = st.lists(texts, min_size=1, max_size=8)
spares = st.integers(0, 1500)
LONGEST_TEXT = 1 + 9 * 12  # in tokens at most: one a character


def document(*pages: str, index: int = 0) -> Document:
    return Document(str(index), index, pages, "text", field=f"documents[{index}].text")


def request(*texts: str, tasks: tuple[Task, ...] = (CHOICE,), **options: Any) -> Request:
    documents = tuple(document(text, index=index) for index, text in enumerate(texts))
    return Request(documents, tasks, Options(**options))


def answered(response: Response) -> list[dict[str, Answer]]:
    """The answers by document; every document has to have some."""
    results = [result for result in response.results if isinstance(result, DocumentResult)]
    assert len(results) == len(response.results)
    return [dict(result.answers) for result in results]


def expected(task: Task, tokens: Sequence[int]) -> list[list[float]]:
    """For each question of a task, what the fake engine says of its labels."""
    return [
        [log_prob([token for span in prompt.path for token in span], label) for label in prompt.trie.labels]
        for prompt in PROMPTS.lay(task, tokens)
    ]


def check_choice(answer: Answer, task: Task, log_probs: list[float]) -> None:
    mass = math.fsum(map(math.exp, log_probs))
    order = sorted(range(len(log_probs)), key=lambda k: -log_probs[k])
    assert answer.labels == tuple(task.labels[k].id for k in order)
    assert answer.label == answer.labels[0]
    assert answer.scores == pytest.approx([math.exp(log_probs[k]) / mass for k in order])
    assert answer.label_mass == pytest.approx(min(1.0, mass))


def least_budget(tasks: tuple[Task, ...]) -> int:
    """The smallest budget that cuts none of the texts."""
    return LONGEST_TEXT + ROOM_STEP_TOKENS + max(PROMPTS.row_overhead(PROMPTS.questions(task)) for task in tasks)
