"""What the model that ships is right about, whatever its weights: yes or no, and where documents begin."""

from __future__ import annotations

import httpx
import pytest

from tests.http.conftest import asked_alone

# Text, question, whether yes is right. Of each pair one holds and the other does not: a constant answer passes neither.
ASKED = (
    ("Total due: 99.50 EUR", "Is this document an invoice?", True),
    ("Total due: 99.50 EUR", "Is this document a contract?", False),
    ("I have been waiting for three weeks. This is unacceptable.", "Is it a complaint?", True),
    ("Thank you, everything arrived on time.", "Is it a complaint?", False),
    ("My parcel is lost", "Is a parcel lost?", True),
    ("My parcel is lost", "Is this about a refund?", False),
)
PACKET = [
    "Harbour Joinery, 12 Quay Street, Bristol\nINVOICE\nInvoice no. 4711\nDate: 3 March 2026\nBill to: Mill Ltd.\n"
    "Oak door 2 x 180.00 360.00\nHinges 8 x 4.50 36.00\nSub-total carried forward 396.00\nPage 1 of 2",
    "Page 2 of 2\nBrought forward 396.00\nFitting 1 x 90.00 90.00\nNet 486.00\nVAT 20 % 97.20\nTotal due 583.20 GBP\n"
    "Payable within 30 days to the account below.",
    "From: Ann Reed <ann@mill.example>\nTo: office@harbour.example\nSubject: Your invoice 4711\n\nHello,\nthank you for"
    " the doors. We pay on Friday.\nBest regards,\nAnn",
]


@pytest.mark.parametrize(("text", "question", "holds"), ASKED)
def test_yes_or_no(http: httpx.Client, text: str, question: str, holds: bool) -> None:
    answers = asked_alone(http, text, {"q": {"type": "yes_no", "instructions": question}})
    assert (answers["q"]["probability"] > 0.5) is holds, answers["q"]


def test_a_page_that_goes_on_stays_with_its_document(http: httpx.Client) -> None:
    job = {"pages": PACKET, "labels": ["invoice", "email", "contract"], "options": {"split": True}}
    (result,) = http.post("/classify", json=job).json()["results"]
    found = [(segment["pages"], segment["answers"]["category"]["label"]) for segment in result["segments"]]
    assert found == [([0, 1], "invoice"), ([2, 2], "email")]
