"""A second reading in an open pass, on a model, against both questions asked alone."""

import pytest

from pinpoint.api.answer import Answer
from pinpoint.api.request import parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.engine.scorer import Scorer
from pinpoint.pipeline.classify import classify
from pinpoint.pipeline.second_reading import UNSURE_MARGIN
from tests.models import embedded
from tests.numeric.tolerances import FLOAT32

SURE = "Invoice no. 2026-118\nOffice chairs, quantity 6, unit price 80.00\nVAT 20 % 96.00\nTotal due 576.00"
# Of these, which are sure is a matter of the weights and of the length.
UNSURE = ("3 chairs 90.00", "to be paid", "chairs delivered, total 90.00 to be paid")
LABELS = ["delivery note", "receipt", "invoice", "purchase order"]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(embedded(), 8_192, 10_000_000)


def asked(scorer: Scorer, texts: list[str], labels: list[str], *, twice: bool) -> list[Answer]:
    options = {"second_reading": twice, "return_raw": True}
    job = {"documents": [{"text": text} for text in texts], "labels": labels, "options": options}
    results = classify(parse_request(job), scorer)[0].results
    return [result.answers["category"] for result in results if isinstance(result, DocumentResult)]


# Short documents stand behind the question, long ones before it.
@pytest.mark.parametrize("times", [1, 20])
def test_the_mean_is_that_of_both_questions_asked_alone(scorer: Scorer, times: int) -> None:
    texts = [f"{text}\n" * times for text in (SURE, *UNSURE)]
    said = asked(scorer, texts, LABELS, twice=True)
    readings = [asked(scorer, texts, labels, twice=False) for labels in (LABELS, LABELS[::-1])]
    assert any(answer.margin < UNSURE_MARGIN for answer in readings[0])
    for answer, first, second in zip(said, *readings, strict=True):
        values = [dict(zip(one.labels, one.log_probs or (), strict=True)) for one in (first, second)]
        unsure = first.margin < UNSURE_MARGIN
        assert (answer.order_spread is not None) == unsure
        for label, value in zip(answer.labels, answer.log_probs or (), strict=True):
            expected = (values[0][label] + values[1][label]) / 2 if unsure else values[0][label]
            assert value == pytest.approx(expected, abs=FLOAT32)
