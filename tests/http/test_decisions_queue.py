"""The same requests as jobs of the queue, in every way that they may come; a question's company is no matter."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from pinpoint.serving.worker import Worker
from tests.http.test_decisions_openai import INVOICE, QUESTIONS, near_dict
from tests.http.test_systemone_typesafe import QUESTIONS as NAMED
from tests.http.test_systemone_typesafe import STATE

Ask = Callable[..., Any]
DECISIONS = {"model": "pinpoint", "input": INVOICE, "questions": QUESTIONS}
SYSTEMONE: dict[str, Any] = {
    "model": "pinpoint",
    "state": STATE,
    "questions": {name: asked.model_dump(exclude_none=True) for name, asked in NAMED.items()},
}
# A criterion of null is no field that is left out.
SYSTEMONE["questions"]["kind"]["criteria"]["receipt"] = None
# Probabilities have 6 decimals; what shares a pass moved them by 2e-6 at most (float32, 2 cores).
SAME_TO_ROUNDING = 5e-6


@pytest.fixture(scope="module")
def ask(worker: Worker) -> Iterator[Ask]:
    """The handler's answer to an input, or to several at once."""
    loop = asyncio.new_event_loop()

    def answer(*inputs: Any) -> Any:
        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*(worker.handle({"id": "", "input": one}) for one in inputs))

        answers = loop.run_until_complete(all_of_them())
        return answers[0] if len(inputs) == 1 else answers

    yield answer
    loop.close()


@pytest.mark.parametrize(
    ("route", "body"), [("/v1/decisions", DECISIONS), ("/v1/systemone", SYSTEMONE)], ids=["decisions", "systemone"]
)
def test_every_way_of_a_job_is_answered_as_over_http(
    ask: Ask, http: httpx.Client, route: str, body: dict[str, Any]
) -> None:
    over_http = http.post(route, json=body)
    assert over_http.status_code == 200, over_http.text
    told = near_dict(over_http.json())
    direct = {name: value for name, value in body.items() if name != "model"}
    for job in (
        {"openai_route": route, "openai_input": body},
        {"route": route, "body": body},
        {"route": route, "body": body, "method": "POST"},
        body,
        direct,
    ):
        answer = ask(job)
        assert answer == told, job.keys()
        assert "error" not in answer and "refresh_worker" not in answer, "the SDK takes these for its own"


def test_the_models_are_listed_to_a_job(ask: Ask, http: httpx.Client) -> None:
    names = [one["id"] for one in http.get("/v1/models").json()["data"]]
    for job in (
        {"openai_route": "/v1/models"},
        {"openai_route": "/v1/models", "openai_input": {}},
        {"route": "/v1/models", "method": "GET"},
    ):
        listed = ask(job)
        assert [one["id"] for one in listed["data"]] == [one["name"] for one in listed["models"]] == names


def test_our_own_contract_is_a_route_too(ask: Ask) -> None:
    request = {"text": INVOICE, "labels": ["invoice", "receipt"]}
    routed, plain = ask({"route": "/classify", "body": request}), ask(request)
    assert routed["results"] == near_dict(plain["results"])


def test_evidence_is_told_over_the_queue_and_over_http(ask: Ask, http: httpx.Client) -> None:
    text = "Northgate Supplies\n\nInvoice no. 7 of 3 March\n\nTotal due 96.00 EUR\n\nThank you for your business."
    request = {"text": text, "labels": ["invoice", "receipt", "contract"], "options": {"explain": "evidence"}}
    told = [ask(request), http.post("/classify", json=request).json()]
    queued, posted = (one["results"][0]["answers"]["category"]["evidence"] for one in told)
    assert [{**one, "change": pytest.approx(one["change"], abs=1e-4)} for one in queued] == posted
    runs = sorted((one["start"], one["end"]) for one in posted)
    assert "".join(text[start:end] for start, end in runs) == text and len(runs) > 1


@pytest.mark.parametrize("direct", [False, True])
def test_what_is_wrong_fails_the_job_with_the_formats_error_as_json(ask: Ask, direct: bool) -> None:
    decisions, systemone = {**DECISIONS, "questions": []}, {**SYSTEMONE, "questions": {}}
    failed = ask(decisions if direct else {"openai_route": "/v1/decisions", "openai_input": decisions})
    assert list(failed) == ["error"]
    told = json.loads(failed["error"])
    assert (told["param"], told["code"], told["type"]) == (
        "questions", "missing_required_parameter", "invalid_request_error",
    )  # fmt: skip
    failed = ask(systemone if direct else {"route": "/v1/systemone", "body": systemone})
    (detail,) = json.loads(failed["error"])["detail"]
    assert (detail["loc"], detail["type"]) == (["body", "questions"], "missing")


@pytest.mark.parametrize(
    ("job", "field", "code"),
    [
        ({"openai_route": "/v1/chat/completions", "openai_input": {}}, "openai_route", "unknown_route"),
        ({"openai_route": "/v1/decisions"}, "openai_input", "missing_required_parameter"),
        ({"openai_route": 5, "openai_input": {}}, "openai_route", "invalid_type"),
        ({"openai_input": {}}, "openai_route", "missing_required_parameter"),
        ({"openai_route": "/v1/decisions", "openai_input": {}, "stream": True}, "stream", "unknown_parameter"),
        ({"openai_route": "/v1/decisions", "openai_input": "x"}, "input", "invalid_type"),
        ({"openai_route": "/v1/decisions", "openai_input": {**DECISIONS, "model": "gpt-7"}}, "model",
         "model_not_found"),
        ({"input": INVOICE}, "questions", "missing_required_parameter"),
        ({"questions": QUESTIONS}, "input", "missing_required_parameter"),
        ({**DECISIONS, "labels": ["a", "b"]}, "labels", "unknown_parameter"),
    ],
)  # fmt: skip
def test_a_job_that_is_no_request_is_told_so(ask: Ask, job: Any, field: str, code: str) -> None:
    told = json.loads(ask(job)["error"])
    assert (told["param"], told["code"]) == (field, code)


def test_a_route_without_openai_s_words_fails_as_our_own_jobs_do(ask: Ask) -> None:
    assert ask({"route": "/nowhere", "body": {}})["error"].startswith("unknown_route: ")
    assert ask({"route": "/classify", "body": {"lables": []}})["error"].startswith("unknown_field: ")


def many(count: int) -> list[dict[str, Any]]:
    """Questions of every type and of several lengths."""
    return [
        {"type": "predicate", "instructions": f"Is the amount {n}?" + " Look well." * (n % 9)} if n % 3 else
        {"type": "choice", "instructions": f"Which is number {n}?", "choices": [{"value": f"{n}"}, {"value": f"{n}0"}]}
        for n in range(count)
    ]  # fmt: skip


def test_a_question_is_answered_alike_alone_and_among_two_hundred(ask: Ask) -> None:
    alone = [ask({"input": INVOICE, "questions": [question]})["answers"][0] for question in QUESTIONS]
    others = many(200)
    among = ask({"input": INVOICE, "questions": [*others[:90], *QUESTIONS, *others[90:]]})["answers"]
    assert numbers(among[90 : 90 + len(QUESTIONS)]) == pytest.approx(numbers(alone), abs=SAME_TO_ROUNDING)
    # Whoever else asks at the same time is no matter either.
    together = ask(*({"input": f"Letter {n}.", "questions": others[:9]} for n in range(4)), {
        "input": INVOICE, "questions": QUESTIONS})  # fmt: skip
    assert numbers(together[-1]["answers"]) == pytest.approx(numbers(alone), abs=SAME_TO_ROUNDING)


def numbers(value: Any) -> list[float]:
    """Every probability and what is made of them, in order."""
    if isinstance(value, dict):
        return [number for key in sorted(value) for number in numbers(value[key])]
    if isinstance(value, list):
        return [number for one in value for number in numbers(one)]
    return [value] if isinstance(value, float) else []


def test_many_questions_are_one_read_of_the_document(ask: Ask) -> None:
    text = "The tenant pays on the first day of the month. " * 100
    one, all_ = (
        ask({"input": text, "questions": many(count)})["usage"] for count in (1, 100)
    )  # fmt: skip
    computed = [told["input_tokens"] - told["input_tokens_details"]["cached_tokens"] for told in (one, all_)]
    assert computed[0] > 1000
    assert computed[1] - computed[0] < 100 * 80, "a hundred short branches"
    assert all_["input_tokens"] > 100 * 1000, "asked for as if each were read alone"
