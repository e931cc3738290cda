"""`/v1/decisions` as OpenAI's own client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.http.conftest import asked_alone
from tests.http.running import ALIAS, Server

INVOICE = "Invoice no. 4711, dated 14 March 2025, payable within 30 days. Total due: 99.50 EUR, VAT included."
PREDICATE = {"type": "predicate", "name": "invoice", "instructions": "Is this document an invoice?"}
KIND = {
    "type": "choice",
    "name": "kind",
    "instructions": "What kind of document is it?",
    "choices": [{"value": "invoice", "description": "a request for payment"}, {"value": "receipt"}, {"value": "lease"}],
}
URGENCY = {
    "type": "score",
    "instructions": "How soon must it be paid?",
    "levels": [{"label": "at once"}, {"label": "within a month", "description": "30 days"}, {"label": "never"}],
}
PAID = {
    "type": "choice",
    "name": "paid",
    "instructions": "Is it paid?",
    "choices": [{"value": False, "description": "an amount is due"}, {"value": True}],
}
MIXED = {
    "type": "choice",
    "instructions": "Is it paid?",
    "choices": [{"value": True}, {"value": "partly"}, {"value": "unknown"}],
}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
QUESTIONS: list[Any] = [PREDICATE, KIND, URGENCY, PAID, MIXED]
# The same in our own contract.
TASKS: dict[str, Any] = {
    "invoice": {"type": "yes_no", "instructions": "Is this document an invoice?"},
    "kind": {
        "labels": [{"name": "invoice", "description": "a request for payment"}, "receipt", "lease"],
        "instructions": "What kind of document is it?",
    },
    "urgency": {
        "type": "score",
        "levels": ["at once", {"label": "within a month", "description": "30 days"}, "never"],
        "instructions": "How soon must it be paid?",
    },
    "paid": {"type": "yes_no", "instructions": "Is it paid?", "criteria": {"no": "an amount is due"}},
    "mixed": {"labels": ["true", "partly", "unknown"], "instructions": "Is it paid?"},
}


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def decision(client: OpenAI) -> Any:
    return client.decisions.create(model="pinpoint", input=INVOICE, questions=QUESTIONS)


def near(value: Any) -> Any:
    return pytest.approx(value, abs=2e-5)


def test_every_type_is_answered_as_in_our_own_contract(decision: Any, http: httpx.Client) -> None:
    own = asked_alone(http, INVOICE, TASKS)
    invoice, kind, urgency, paid, mixed = decision.answers
    assert (invoice.type, invoice.name) == ("predicate", "invoice")
    assert invoice.probability == near(own["invoice"]["probability"])
    assert (kind.type, kind.name, kind.choice) == ("choice", "kind", own["kind"]["label"])
    shares = dict(zip(own["kind"]["labels"], own["kind"]["scores"], strict=True))
    assert [one.value for one in kind.probabilities] == ["invoice", "receipt", "lease"]
    assert {one.value: one.probability for one in kind.probabilities} == near(shares)
    assert kind.confidence == near((max(shares.values()) - 1 / 3) / (1 - 1 / 3))
    assert (urgency.type, urgency.name) == ("score", None)
    assert urgency.score == near(own["urgency"]["expected"])
    assert [one.probability for one in urgency.probabilities] == near(own["urgency"]["distribution"])
    assert [(one.value, one.label) for one in urgency.probabilities] == [
        (0, "at once"), (1, "within a month"), (2, "never"),
    ]  # fmt: skip
    assert [(one.value, one.probability) for one in paid.probabilities] == [
        (False, near(1 - own["paid"]["probability"])), (True, near(own["paid"]["probability"])),
    ]  # fmt: skip
    assert paid.choice is (own["paid"]["probability"] > 0.5)
    mixed_shares = dict(zip(own["mixed"]["labels"], own["mixed"]["scores"], strict=True))
    assert [one.value for one in mixed.probabilities] == [True, "partly", "unknown"]
    assert [one.probability for one in mixed.probabilities] == near(
        [mixed_shares["true"], mixed_shares["partly"], mixed_shares["unknown"]]
    )


def test_what_answered_and_what_it_took_is_told(decision: Any, http: httpx.Client) -> None:
    told = http.post("/classify", json={"text": INVOICE, "tasks": TASKS}).json()
    assert decision.model == told["model"]["name"]
    for part in ("name", "revision", "precision"):
        assert told["model"][part] in decision.system_fingerprint
    usage = decision.usage
    assert usage.input_tokens == told["usage"]["prompt_tokens"]
    assert usage.input_tokens_details.cached_tokens == told["usage"]["cached_tokens"] > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert (usage.output_tokens, usage.output_tokens_details.reasoning_tokens) == (0, 0)


async def test_the_async_client_gets_the_same(server: Server, decision: Any) -> None:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        again = await client.decisions.create(model=ALIAS, input=INVOICE, questions=QUESTIONS)
        models = [model.id async for model in client.models.list()]
    assert [one.to_dict() for one in again.answers] == [near_dict(one.to_dict()) for one in decision.answers]
    assert models == ["pinpoint-embedded", "pinpoint", ALIAS]


def test_messages_are_one_document_with_every_turn_marked(client: OpenAI, http: httpx.Client) -> None:
    messages: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "input_text", "text": "Where is my parcel?"},
            {"type": "input_json", "data": {"id": 7, "tags": ["late", "lost"]}},
        ]},
        {"type": "function_call", "call_id": "c", "name": "track", "arguments": '{"id": 7}'},
        {"type": "function_call_output", "call_id": "c", "output": "lost"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "It is lost."}], "phase": "final_answer"},
    ]  # fmt: skip
    text = (
        "[system]\nBe brief.\n\n[user]\nWhere is my parcel?\nid: 7\ntags:\n  - late\n  - lost\n\n"
        '[function_call track]\n{"id": 7}\n\n[function_call_output track]\nlost\n\n[assistant]\nIt is lost.'
    )
    asked: Any = {"type": "predicate", "instructions": "Is a parcel lost?"}
    decision = client.decisions.create(model="pinpoint", input=messages, questions=[asked])
    (answer,) = decision.answers
    own = asked_alone(http, text, {"q": {"type": "yes_no", "instructions": "Is a parcel lost?"}})
    assert answer.type == "predicate" and answer.probability == near(own["q"]["probability"])
    # One message of the user is its text, unmarked.
    alone = client.decisions.create(
        model="pinpoint", input=[{"role": "user", "content": INVOICE}], questions=QUESTIONS[:1]
    )
    assert alone.usage == client.decisions.create(model="pinpoint", input=INVOICE, questions=QUESTIONS[:1]).usage


def test_an_image_in_a_question_refuses_that_question_alone(client: OpenAI, decision: Any) -> None:
    seen: Any = {"type": "predicate", "name": "seen", "instructions": [IMAGE]}
    told = client.decisions.create(model="pinpoint", input=INVOICE, questions=[seen, *QUESTIONS])
    refused, *others = told.answers
    assert refused.to_dict() == {"type": "refusal", "name": "seen"}
    assert [one.to_dict() for one in others] == [near_dict(one.to_dict()) for one in decision.answers]
    nothing = client.decisions.create(model="pinpoint", input=INVOICE, questions=[seen])
    assert [one.type for one in nothing.answers] == ["refusal"]
    assert nothing.usage.total_tokens == 0


def near_dict(value: Any) -> Any:
    """The same with every number approximate."""
    if isinstance(value, dict):
        return {key: near_dict(one) for key, one in value.items()}
    if isinstance(value, list):
        return [near_dict(one) for one in value]
    return near(value) if isinstance(value, float) else value


def test_a_cache_key_owns_what_is_kept_and_is_told_of_it(client: OpenAI) -> None:
    def tokens(key: str | None) -> tuple[int, int]:
        asked: Any = {**KIND, "instructions": "What kind of document is it, please? " * 4}
        told = client.decisions.create(model="pinpoint", input="Rent", questions=[asked], prompt_cache_key=key)
        details = told.usage.input_tokens_details
        return details.cached_tokens, details.cache_write_tokens

    first, again, other, nobody = tokens("tenant a"), tokens("tenant a"), tokens("tenant b"), tokens(None)
    assert first == other, "what one tenant asked must not be told to another"
    assert first[0] == 0 and first[1] > 40
    assert again == (first[1], 0), "all that was written is found again"
    assert nobody == (0, 0) == tokens(None)


BAD: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("no questions", {"questions": []}, "questions", "missing_required_parameter"),
    ("too many", {"questions": [PREDICATE | {"name": str(n)} for n in range(401)]}, "questions", "too_large"),
    ("a type that is not there", {"questions": [{"type": "box"}]}, "questions[0].type", "invalid_value"),
    ("no type", {"questions": [{"instructions": "x"}]}, "questions[0].type", "missing_required_parameter"),
    ("no instructions", {"questions": [{"type": "predicate"}]}, "questions[0].instructions",
     "missing_required_parameter"),
    ("blank instructions", {"questions": [{"type": "predicate", "instructions": " "}]}, "questions[0].instructions",
     "missing_required_parameter"),
    ("instructions of no type", {"questions": [{"type": "predicate", "instructions": 5}]},
     "questions[0].instructions", "invalid_type"),
    ("one option", {"questions": [{**KIND, "choices": [{"value": "x"}]}]}, "questions[0].choices", "too_few_labels"),
    ("no levels", {"questions": [{**URGENCY, "levels": []}]}, "questions[0].levels", "too_few_labels"),
    ("equal options", {"questions": [{**KIND, "choices": [{"value": "x"}, {"value": "x"}]}]},
     "questions[0].choices[1]", "duplicate_label"),
    ("equal after folding", {"questions": [{**KIND, "choices": [{"value": "ﬁnance"}, {"value": "Finance "}]}]},
     "questions[0].choices[1]", "duplicate_label"),
    ("true beside 'true'", {"questions": [{**KIND, "choices": [{"value": True}, {"value": "true"}]}]},
     "questions[0].choices[1]", "duplicate_label"),
    ("true twice", {"questions": [{**KIND, "choices": [{"value": True}, {"value": True}]}]},
     "questions[0].choices[1]", "duplicate_label"),
    ("a number as an option", {"questions": [{**KIND, "choices": [{"value": 1}, {"value": "x"}]}]},
     "questions[0].choices[0].value", "invalid_type"),
    ("an empty option", {"questions": [{**KIND, "choices": [{"value": ""}, {"value": "x"}]}]},
     "questions[0].choices[0]", "invalid_label"),
    ("a long option", {"questions": [{**KIND, "choices": [{"value": "x" * 201}, {"value": "x"}]}]},
     "questions[0].choices[0]", "label_too_long"),
    ("too many options", {"questions": [{**KIND, "choices": [{"value": str(n)} for n in range(1001)]}]},
     "questions[0].choices", "too_many_labels"),
    ("equal names", {"questions": [PREDICATE, PREDICATE]}, "questions[1].name", "duplicate_id"),
    ("a name of no type", {"questions": [PREDICATE | {"name": 5}]}, "questions[0].name", "invalid_type"),
    ("an unknown field", {"questions": [PREDICATE | {"instruction": "x"}]}, "questions[0].instruction",
     "unknown_parameter"),
    ("questions by name", {"questions": {"a": PREDICATE}}, "questions", "invalid_type"),
    ("no text", {"input": ""}, "input", "empty_text"),
    ("nothing visible", {"input": "\u200b\u200d"}, "input", "empty_text"),
    ("no messages", {"input": []}, "input", "missing_required_parameter"),
    ("input of no type", {"input": 5}, "input", "invalid_type"),
    ("input null", {"input": None}, "input", "invalid_type"),
    ("an image", {"input": [{"role": "user", "content": [IMAGE]}]}, "input[0].content[0]", "not_supported"),
    ("a role that is not there", {"input": [{"role": "boss", "content": "x"}]}, "input[0].role", "invalid_value"),
    ("output of no call", {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
     "input[0].call_id", "unknown_id"),
    ("JSON of no object", {"input": [{"role": "user", "content": [{"type": "input_json", "data": [1]}]}]},
     "input[0].content[0].data", "invalid_type"),
    ("too much JSON",
     {"input": [{"role": "user", "content": [{"type": "input_json", "data": {"x": "y" * 262_137}}]}]},
     "input[0].content[0].data", "too_large"),
    ("a document that does not fit", {"input": "word " * 9000}, "input", "context_length_exceeded"),
    ("an instruction that does not fit", {"questions": [{**KIND, "instructions": "x 1 " * 1900}]}, "questions[0]",
     "labels_too_long"),
    ("a long key", {"prompt_cache_key": "x" * 201}, "prompt_cache_key", "too_large"),
    ("a long identifier", {"safety_identifier": "x" * 65}, "safety_identifier", "too_large"),
    ("a time that is not there", {"prompt_cache_options": {"ttl": "24h"}}, "prompt_cache_options.ttl",
     "invalid_value"),
    ("a parameter that is not there", {"extra_body": {"temperature": 0}}, "temperature", "unknown_parameter"),
    ("a stream", {"extra_body": {"stream": True}}, "stream", "unknown_parameter"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "param", "code"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_wrong_raises_the_clients_own_error(
    client: OpenAI, change: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.decisions.create(**{"model": "pinpoint", "input": INVOICE, "questions": [PREDICATE], **change})
    error = raised.value
    assert (error.code, error.param, error.type) == (code, param, "invalid_request_error")
    assert "4711" not in str(error), "a document is never repeated"


@pytest.mark.parametrize("field", ["model", "input", "questions"])
def test_a_field_that_is_missing_is_named(http: httpx.Client, field: str) -> None:
    body = {"model": "pinpoint", "input": INVOICE, "questions": [PREDICATE]}
    del body[field]
    answer = http.post("/v1/decisions", json=body)
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (field, "missing_required_parameter")


def test_a_model_that_is_not_here_is_not_found_and_those_that_are_are_named(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=f"pinpoint-embedded, pinpoint, {ALIAS}") as raised:
        client.decisions.create(model="gpt-7", input=INVOICE, questions=QUESTIONS)
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")


def test_limits_are_answered_up_to_them(client: OpenAI) -> None:
    many: list[Any] = [{"type": "predicate", "name": str(n), "instructions": f"Is it {n}?"} for n in range(400)]
    told = client.decisions.create(model="pinpoint", input="It is 7.", questions=many, safety_identifier="x" * 64)
    assert [one.to_dict()["name"] for one in told.answers] == [str(n) for n in range(400)]
    options: Any = {**KIND, "choices": [{"value": f"option {n}"} for n in range(300)]}  # more than the format's 255
    (answer,) = client.decisions.create(model="pinpoint", input=INVOICE, questions=[options]).answers
    assert answer.type == "choice" and sum(one.probability for one in answer.probabilities) == pytest.approx(
        1, abs=1e-3
    )
    deep: Any = "x"
    for _ in range(31):
        deep = {"x": deep}
    part: Any = {"role": "user", "content": [{"type": "input_json", "data": {"x": deep}}]}
    assert client.decisions.create(model="pinpoint", input=[part], questions=QUESTIONS[:1]).answers
    part["content"][0]["data"] = {"x": {"x": deep}}
    with pytest.raises(openai.BadRequestError, match="nested too deep"):
        client.decisions.create(model="pinpoint", input=[part], questions=QUESTIONS[:1])
