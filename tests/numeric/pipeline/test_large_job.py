"""A large job equals the same questions asked one by one."""

from typing import Any

import pytest

from pinpoint.api.request import parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.engine.scorer import Scorer
from pinpoint.pipeline.classify import classify
from tests.models import embedded

GROUPS = ("invoice", "contract", "claim", "delivery", "staff", "tax", "support")
STEPS = (
    "register", "approve", "reject", "pay", "dispute", "archive", "forward", "sign", "renew", "cancel", "escalate",
    "confirm", "correct", "translate", "scan", "file", "answer", "remind", "refund", "close", "reopen", "assign",
    "review", "print", "export", "merge", "split", "date", "stamp", "return", "price",
)  # fmt: skip
ACTIONS = [f"{step} {group}" for group in GROUPS for step in STEPS]
TASKS: dict[str, Any] = {
    "action": {"labels": ACTIONS},
    "kind": {"labels": ["invoice", "contract", "letter", "report"], "instructions": "Choose the kind of document."},
    "traits": {"labels": ["urgent", "has an amount", "is signed"], "multi_label": True},
}
DOCUMENTS = [
    f"Letter {number}. Please {STEPS[number]} the {GROUPS[number % 7]} of {number + 1} March. " * (number + 1)
    for number in range(12)
]
ROUNDING = 2e-5  # of the packed sums, where scores are not far apart


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(embedded(), token_budget=8192, prefix_store_bytes=64_000_000)


def _answers(scorer: Scorer, job: dict[str, Any]) -> list[dict[str, Any]]:
    response, _ = classify(parse_request(job), scorer)
    return [dict(result.answers) for result in response.results if isinstance(result, DocumentResult)]


def test_217_labels_are_what_the_name_says() -> None:
    assert len(set(ACTIONS)) == 217


def test_twelve_documents_and_three_questions_equal_thirty_six_jobs(scorer: Scorer) -> None:
    together = _answers(scorer, {"documents": [{"text": text} for text in DOCUMENTS], "tasks": TASKS})
    assert len(together) == len(DOCUMENTS)
    for text, answers in zip(DOCUMENTS, together, strict=True):
        for name, task in TASKS.items():
            (alone,) = _answers(scorer, {"text": text, "tasks": {name: task}})
            expected = dict(zip(alone[name].labels, alone[name].scores, strict=True))
            assert dict(zip(answers[name].labels, answers[name].scores, strict=True)) == pytest.approx(
                expected, abs=ROUNDING
            )
            assert answers[name].label == alone[name].label
