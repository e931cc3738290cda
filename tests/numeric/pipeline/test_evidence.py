"""Evidence by the fast way, whose readings share one forest, against jobs without each passage."""

from typing import Any

import pytest

from pinpoint.api.request import parse_request
from pinpoint.engine.scorer import Scorer
from pinpoint.pipeline.classify import classify
from tests.models import embedded
from tests.numeric.tolerances import FLOAT32
from tests.reference import evidence as twin

LARGE_BYTES = 10_000_000
TEXT = "\n\n".join(
    [
        "Northgate Supplies Ltd\n12 Harbour Road, Bristol",
        "Invoice no. 2026-118, dated 3 March 2026",
        "Bill to: Weaver & Sons, 4 Mill Lane, Leeds",
        "Item: office chairs, quantity 6, unit price 80.00, amount 480.00",
        "Subtotal 480.00\nVAT 20 % 96.00\nTotal due 576.00",
        "Please pay within 30 days to the account below.",
        "Thank you for your business.",
    ]
)
LABELS = ["invoice", "purchase order", "receipt", "delivery note"]
TASKS = {
    "kind": {"labels": LABELS},
    "paid": {"type": "yes_no", "instructions": "Is there something to pay?"},
    "tone": {"type": "score", "levels": ["rude", "plain", "kind"], "instructions": "How kind is it?"},
}


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(embedded(), 8_192, LARGE_BYTES)


@pytest.mark.parametrize(
    ("body", "budget"),
    [
        ({"text": TEXT, "tasks": TASKS}, 8_192),
        ({"text": TEXT * 3, "labels": LABELS}, 500),  # passes that hold a part of the readings
        ({"pages": TEXT.split("\n\n"), "labels": LABELS, "options": {"long_document": "pages"}}, 8_192),
    ],
)
def test_changes_are_those_of_jobs_without_the_passage(scorer: Scorer, body: dict[str, Any], budget: int) -> None:
    scorer.token_budget = budget
    asked = parse_request({**body, "options": {**body.get("options", {}), "explain": "evidence"}})
    told = classify(asked, scorer)[0]
    pairs = twin.changes(asked, told, lambda request: classify(request, scorer)[0])
    assert len(pairs) >= 4 and max(abs(is_) for _, is_ in pairs) > 0.1
    # A difference of two, each of which is that close.
    assert all(said == pytest.approx(is_, abs=2 * FLOAT32) for said, is_ in pairs)
