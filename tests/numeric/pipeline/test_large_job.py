"""A large job equals the same questions asked one by one."""

from typing import Any

import pytest

from pinpoint.api.request import parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.engine.scorer import Scorer
from pinpoint.pipeline.classify import Work, classify
from pinpoint.pipeline.passes import measure
from pinpoint.pipeline.units import Measured
from tests.models import embedded
from tests.numeric.tolerances import FLOAT32

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
    return Scorer(embedded(), token_budget=4096, prefix_store_bytes=64_000_000)


def _answers(scorer: Scorer, job: dict[str, Any]) -> list[dict[str, Any]]:
    response, _ = classify(parse_request(job), scorer)
    return [dict(result.answers) for result in response.results if isinstance(result, DocumentResult)]


def test_217_labels_are_what_the_name_says() -> None:
    assert len(set(ACTIONS)) == 217


def test_six_documents_and_three_questions_equal_eighteen_jobs(scorer: Scorer) -> None:
    documents = DOCUMENTS[1::2]
    together = _answers(scorer, {"documents": [{"text": text} for text in documents], "tasks": TASKS})
    assert len(together) == len(documents)
    for text, answers in zip(documents, together, strict=True):
        for name, task in TASKS.items():
            (alone,) = _answers(scorer, {"text": text, "tasks": {name: task}})
            expected = dict(zip(alone[name].labels, alone[name].scores, strict=True))
            assert dict(zip(answers[name].labels, answers[name].scores, strict=True)) == pytest.approx(
                expected, abs=ROUNDING
            )
            assert answers[name].label == alone[name].label


STATEMENTS = [f"it asks to {step} something of {group}" for group in GROUPS for step in STEPS][:15]
LONG_BUDGET = 640


@pytest.mark.parametrize("store_bytes", [0, 64_000_000])
def test_a_document_that_fills_a_pass_is_read_once_for_all_questions(store_bytes: int) -> None:
    small = Scorer(embedded(), token_budget=LONG_BUDGET, prefix_store_bytes=store_bytes)
    text = " ".join(DOCUMENTS)[:1450]
    tasks: dict[str, Any] = {
        "traits": {"labels": STATEMENTS, "multi_label": True},
        "kind": {"labels": ["invoice", "contract", "letter", "report"], "instructions": "Choose the kind of document."},
    }
    job: dict[str, Any] = {"text": text, "tasks": tasks, "options": {"return_raw": True}}
    response, counts = classify(parse_request(job), small)
    (result,) = response.results
    assert isinstance(result, DocumentResult)
    assert result.input.tokens > LONG_BUDGET / 2
    # The document, and each question, of which none comes near its length.
    work = Work(parse_request(job), small, 0.0)
    work.prepare()
    units = list(work.lane().units)
    own = [len(unit.prompt.path[-1]) + len(unit.prompt.trie.tokens) for unit in units]
    assert counts.tokens_computed <= sum(map(len, units[0].prompt.path[:-1])) + sum(own)
    assert counts.batches == 1
    alone = [one for unit in units for one in measure([unit], small)]
    together = measure(units, small)
    for one, other in zip(alone, together, strict=True):
        assert isinstance(one, Measured) and isinstance(other, Measured)
        assert other.scores.log_probs == pytest.approx(one.scores.log_probs, abs=FLOAT32)
