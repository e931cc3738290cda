"""`/v1/systemone` as TypeSafe's own client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import typesafe_sdk as typesafe
from typesafe_sdk import AsyncTypeSafeClient, Box, Choice, Image, Noul, RetryPolicy, Score, TypeSafeClient

from tests.http.conftest import asked_alone
from tests.http.running import ALIAS, Server
from tests.http.test_decisions_openai import INVOICE, near, near_dict

ONCE = RetryPolicy(max_retries=0)
STATE: Any = {"subject": "Invoice 4711", "lines": [{"item": "chairs", "euro": 99.5}, "VAT included"], "paid": None,
         "body": "Dear sirs,\nplease pay within 30 days."}  # fmt: skip
STATE_TEXT = (
    "subject: Invoice 4711\nlines:\n  - item: chairs\n    euro: 99.5\n  - VAT included\npaid: null\n"
    "body:\n  Dear sirs,\n  please pay within 30 days."
)
QUESTIONS: dict[str, Any] = {
    "invoice": Noul(instructions="Is this document an invoice?", criteria={"false": "anything else"}),
    "paid": Noul(criteria={"true": "It is paid."}),
    "kind": Choice(criteria={"invoice": "a request for payment", "receipt": None, "lease": {"rent": True}}),
    "urgency": Score(criteria=["can wait", "this month", "today"], instructions={"task": "urgency"}),
    "long": Score(criteria=["one line", "two\nlines"]),
}
TASKS: dict[str, Any] = {
    "invoice": {"type": "yes_no", "instructions": "Is this document an invoice?",
                "criteria": {"no": "anything else"}},
    "paid": {"type": "yes_no", "instructions": "It is paid."},
    "kind": {"labels": [{"name": "invoice", "description": "a request for payment"}, "receipt",
                        {"name": "lease", "description": "rent: true"}]},
    "urgency": {"type": "score", "levels": ["can wait", "this month", "today"], "instructions": "task: urgency"},
    "long": {"type": "score", "levels": [{"label": "0", "description": "one line"},
                                         {"label": "1", "description": "two lines"}]},
}  # fmt: skip


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[TypeSafeClient]:
    with TypeSafeClient(base_url=server.url, api_key="none", model="pinpoint", retry=ONCE, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def told(client: TypeSafeClient) -> typesafe.SystemOneResponse:
    return client.system_one(STATE, QUESTIONS)


def test_every_type_is_answered_as_in_our_own_contract(told: typesafe.SystemOneResponse, http: httpx.Client) -> None:
    own = asked_alone(http, STATE_TEXT, TASKS)
    for name in ("invoice", "paid"):
        assert told.nouls[name].noul == near(own[name]["probability"])
    kind = told.choices["kind"]
    assert list(kind.probabilities) == ["invoice", "receipt", "lease"]
    assert kind.probabilities == near(dict(zip(own["kind"]["labels"], own["kind"]["scores"], strict=True)))
    assert kind.choice == own["kind"]["label"]
    assert kind.confidence == near((max(kind.probabilities.values()) - 1 / 3) / (1 - 1 / 3))
    for name, legend in (("urgency", ["can wait", "this month", "today"]), ("long", ["one line", "two\nlines"])):
        score = told.scores[name]
        assert score.score == near(own[name]["expected"])
        assert score.probabilities == near(dict(enumerate(own[name]["distribution"])))
        assert score.legend == dict(enumerate(legend))


def test_what_answered_and_what_it_took_is_told(told: typesafe.SystemOneResponse, http: httpx.Client) -> None:
    own = http.post("/classify", json={"text": STATE_TEXT, "tasks": TASKS}).json()
    computed = own["usage"]["prompt_tokens"] - own["usage"]["cached_tokens"]
    assert (told.usage.input_tokens, told.usage.output_tokens) == (computed, 0)
    assert told.model == own["model"]["name"]
    assert "pinpoint-embedded@embedded int8" in told.raw_http_response.json()["system_fingerprint"]


async def test_the_async_client_gets_the_same(server: Server, told: typesafe.SystemOneResponse) -> None:
    async with AsyncTypeSafeClient(base_url=server.url, api_key="none", model=ALIAS, retry=ONCE, timeout=60) as client:
        again = await client.system_one(STATE, QUESTIONS)
        models = await client.models.list()
    assert {name: one.model_dump() for name, one in again.answers.items()} == {
        name: near_dict(one.model_dump()) for name, one in told.answers.items()
    }
    assert [model.name for model in models.models] == ["pinpoint-embedded", "pinpoint", ALIAS]


def test_a_text_a_list_and_an_object_are_all_a_state(client: TypeSafeClient, http: httpx.Client) -> None:
    states: list[tuple[Any, str]] = [(INVOICE, INVOICE), (["a", {"b": [1, True]}], "- a\n- b:\n    - 1\n    - true")]
    for state, text in states:
        (answer,) = client.system_one(state, {"q": Noul(instructions="Is it an invoice?")}).nouls.values()
        own = asked_alone(http, text, {"q": {"type": "yes_no", "instructions": "Is it an invoice?"}})
        assert answer.noul == near(own["q"]["probability"])


YES: Any = {"type": "noul", "instructions": "Is it?"}
BAD: list[tuple[str, dict[str, Any], list[Any], str]] = [
    ("no questions", {"questions": {}}, ["questions"], "missing"),
    ("too many", {"questions": {str(n): YES for n in range(401)}}, ["questions"], "too_large"),
    ("a list of questions", {"questions": [YES]}, ["questions"], "wrong_type"),
    ("questions null", {"questions": None}, ["questions"], "wrong_type"),
    ("a type that is not there", {"questions": {"q": {"type": "bool"}}}, ["questions", "q", "type"], "out_of_range"),
    ("a question of no type", {"questions": {"q": {"instructions": "x"}}}, ["questions", "q", "type"], "missing"),
    ("no object", {"questions": {"q": 5}}, ["questions", "q"], "wrong_type"),
    ("nothing asked", {"questions": {"q": {"type": "noul"}}}, ["questions", "q", "instructions"], "missing"),
    ("no criteria", {"questions": {"q": {"type": "choice"}}}, ["questions", "q", "criteria"], "missing"),
    ("one option", {"questions": {"q": {"type": "choice", "criteria": {"a": None}}}}, ["questions", "q", "criteria"],
     "too_few_labels"),
    ("no option", {"questions": {"q": {"type": "choice", "criteria": {}}}}, ["questions", "q", "criteria"],
     "too_few_labels"),
    ("equal after folding", {"questions": {"q": {"type": "choice", "criteria": {"Straße": None, "STRASSE": None}}}},
     ["questions", "q", "criteria", 1], "duplicate_label"),
    ("equal levels", {"questions": {"q": {"type": "score", "criteria": ["a", "b", "a"]}}},
     ["questions", "q", "criteria", 2], "duplicate_label"),
    ("a level of no type", {"questions": {"q": {"type": "score", "criteria": ["a", 5]}}},
     ["questions", "q", "criteria", 1], "wrong_type"),
    ("criteria of no type", {"questions": {"q": {"type": "score", "criteria": {"a": "b"}}}},
     ["questions", "q", "criteria"], "wrong_type"),
    ("a long option", {"questions": {"q": {"type": "choice", "criteria": {"x" * 201: None, "y": None}}}},
     ["questions", "q", "criteria", 0], "label_too_long"),
    ("an unknown field", {"questions": {"q": YES | {"criterion": {}}}}, ["questions", "q", "criterion"],
     "extra_forbidden"),
    ("a box", {"questions": {"q": {"type": "box", "instructions": "the dog"}}}, ["questions", "q", "type"],
     "not_supported"),
    ("assets", {"assets": {"a": {"type": "image", "format": "png", "data_base64": "AAAA"}}}, ["assets"],
     "not_supported"),
    ("state null", {"state": None}, ["state"], "wrong_type"),
    ("state of no type", {"state": 5}, ["state"], "wrong_type"),
    ("no text", {"state": " "}, ["state"], "empty_text"),
    ("a state that does not fit", {"state": {"x": "word " * 9000}}, ["state"], "document_too_long"),
    ("a question that does not fit", {"questions": {"q": YES | {"instructions": "x 1 " * 1900}}}, ["questions", "q"],
     "labels_too_long"),
    ("a field that is not there", {"temperature": 0}, ["temperature"], "extra_forbidden"),
    ("a model of no type", {"model": 5}, ["model"], "wrong_type"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "loc", "kind"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_wrong_raises_the_clients_own_error(
    client: TypeSafeClient, change: dict[str, Any], loc: list[Any], kind: str
) -> None:
    # By `extra_body`: the client itself would not send most of it.
    with pytest.raises(typesafe.TypeSafeUnprocessableEntityError) as raised:
        client.system_one(INVOICE, {"q": YES}, extra_body=change)
    (told,) = raised.value.body["detail"]
    assert (told["loc"], told["type"]) == (["body", *loc], kind)
    assert "4711" not in str(raised.value), "a document is never repeated"


@pytest.mark.parametrize("field", ["model", "state", "questions"])
def test_a_field_that_is_missing_is_named(http: httpx.Client, field: str) -> None:
    body = {"model": "pinpoint", "state": INVOICE, "questions": {"q": YES}}
    del body[field]
    answer = http.post("/v1/systemone", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"] == [{"loc": ["body", field], "msg": "this field is required", "type": "missing"}]


def test_a_model_that_is_not_here_is_not_found(client: TypeSafeClient) -> None:
    with pytest.raises(typesafe.TypeSafeNotFoundError, match="there is pinpoint-embedded, pinpoint"):
        client.system_one(INVOICE, QUESTIONS, model="jev-latest")


def test_images_and_boxes_are_refused_as_the_client_sends_them(client: TypeSafeClient) -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
    asked: list[tuple[Any, Any]] = [(Image(png), {"q": YES}), (INVOICE, {"q": Box(instructions="the dog")})]
    for state, questions in asked:
        with pytest.raises(typesafe.TypeSafeUnprocessableEntityError, match="text only"):
            client.system_one(state, questions)
