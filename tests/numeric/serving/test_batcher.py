"""Jobs that share passes on a real model are answered as each is alone, whoever their neighbours are."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from pinpoint.api.request import parse_request
from pinpoint.engine.scorer import Scorer
from pinpoint.pipeline.classify import Work, classify
from pinpoint.pipeline.units import Measured
from pinpoint.serving.batcher import Batcher
from tests.models import embedded
from tests.numeric.tolerances import FLOAT32

T = TypeVar("T")
KINDS = ["invoice", "receipt", "contract", "bank statement", "delivery note"]
LETTERS = (
    "Invoice no. 4711, dated 14 March 2025, payable within 30 days. Total due: 99.50 EUR, VAT included. ",
    "The parties agree that this contract ends when either of them gives notice in writing six months before. ",
    "Opening balance 1,200.00, transfers in 350.00, transfers out 410.20, closing balance 1,139.80. ",
    "Delivered today: three filing cabinets and a desk, received in good order, signed at the back door. ",
)


def letter(number: int, times: int) -> str:
    return f"Page {number}. " + LETTERS[number % len(LETTERS)] * times


# Different labels, orders of a prompt, kinds of question, ways to read, and the same question asked by several jobs.
JOBS: list[dict[str, Any]] = [
    {"text": letter(0, 1), "labels": KINDS},
    {"documents": [{"text": letter(n, n + 1)} for n in range(5)], "labels": KINDS},
    {"text": letter(2, 40), "labels": ["yes", "no"], "instructions": "Does it have an amount?"},
    {"text": letter(3, 2), "labels": ["urgent", "signed", "paid"], "multi_label": True},
    {"pages": [letter(n, 2) for n in range(3)], "labels": KINDS, "options": {"long_document": "pages"}},
    {"text": letter(1, 3), "labels": [f"{kind} {n}" for kind in KINDS for n in range(20)]},
    {"text": letter(0, 1), "labels": KINDS, "options": {"explain": True}},
    {"text": letter(0, 1), "labels": KINDS, "options": {"deterministic": True}},
    {"text": letter(2, 5), "tasks": {"kind": {"labels": KINDS}, "tone": {"labels": ["friendly", "angry"]}}},
]


def scorer(**settings: Any) -> Scorer:
    return Scorer(embedded(), **{"token_budget": 4096, "prefix_store_bytes": 16_000_000, **settings})


def raw(job: dict[str, Any]) -> dict[str, Any]:
    """Asking for what was measured; but for long lists, whose bounds it would switch off."""
    if len(job.get("labels", ())) >= 100:
        return job
    return {**job, "options": {**job.get("options", {}), "return_raw": True}}


def together(jobs: Sequence[dict[str, Any]], engine: Scorer) -> tuple[list[Any], int]:
    """The results of jobs that share passes as far as they can, and how many passes it took."""
    records = list[Any]()

    async def main() -> list[Any]:
        with ThreadPoolExecutor(1) as thread:

            def forward(call: Callable[[], T]) -> asyncio.Future[T]:
                return asyncio.get_running_loop().run_in_executor(thread, call)

            batcher = Batcher(lambda: engine, forward, 10**9, passed=records.append)
            await batcher.engine()
            return list(await asyncio.gather(*(one(batcher, job) for job in jobs)))

    async def one(batcher: Batcher, job: dict[str, Any]) -> Any:
        work = Work(parse_request(raw(job)), engine, 0.0)
        work.prepare()
        outcomes = await batcher.measure(work.lane())
        assert all(isinstance(outcome, Measured) for outcome in outcomes)
        work.decide(outcomes)
        return work.response(outcomes)[0].to_wire()["results"]

    return asyncio.run(main()), len(records)


def check_close(found: Any, expected: Any, where: str = "") -> None:
    """Equal values; log-probabilities within the tolerance of sums in another order, scores within what follows."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            check_close(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            check_close(one, other, f"{where}[{index}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=FLOAT32), where
    elif not where.endswith("bounded_labels"):
        assert found == expected, where


@pytest.fixture(scope="module")
def alone() -> list[Any]:
    return [classify(parse_request(raw(job)), scorer())[0].to_wire()["results"] for job in JOBS]


@pytest.mark.parametrize("settings", [{}, {"prefix_store_bytes": 0}, {"token_budget": 1500}])
def test_jobs_together_equal_each_alone(settings: dict[str, Any], alone: list[Any]) -> None:
    if settings.get("token_budget"):  # it cuts long documents differently, alone too
        alone = [classify(parse_request(raw(job)), scorer(**settings))[0].to_wire()["results"] for job in JOBS]
    found, passes = together(JOBS, scorer(**settings))
    assert passes < len(JOBS) or settings.get("token_budget")
    for answer, expected in zip(found, alone, strict=True):
        check_close(answer, expected)


def test_other_neighbours_change_nothing(alone: list[Any]) -> None:
    neighbours = [{"text": letter(n, 3 * n + 1), "labels": KINDS[: n + 2]} for n in range(4)]
    for start in range(3):
        jobs = [neighbours[start], *JOBS[start::3], *neighbours[start + 1 :]]
        found, _ = together(jobs, scorer())
        for answer, expected in zip(found[1:], alone[start::3], strict=False):
            check_close(answer, expected)
