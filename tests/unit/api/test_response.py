"""The response shape: the contract's example to the letter, rounding, and what must never be posted."""

from dataclasses import replace

import pytest

from pinpoint.api.answer import Answer
from pinpoint.api.response import (
    DocumentFailure,
    DocumentInput,
    DocumentResult,
    Response,
    Timing,
    Usage,
    check_wire,
    error_envelope,
)
from pinpoint.engine.readings import Memory, ModelInfo
from pinpoint.errors import CapacityError, DocumentError, InternalError, RequestError

ANSWER = Answer(
    label="invoice",
    score=0.93000049,
    labels=("invoice", "receipt", "other"),
    scores=(0.93000049, 0.0499999, 1e-9),
    margin=0.8800006,
    label_mass=0.98,
)
RESPONSE = Response(
    results=(
        DocumentResult("0", {"category": ANSWER}, DocumentInput(1, 412, 0, "text"), ("removed 1 control character",)),
        DocumentFailure("1", DocumentError("pdf_encrypted", "it has a password", "documents[1].base64")),
    ),
    usage=Usage(prompt_tokens=412, cached_tokens=96),
    timing=Timing(queue_ms=1.2345, tokenize_ms=0.04, forward_ms=14.05001, total_ms=17),
    memory=Memory(46_900_400_000, 47_600_000_000, 91_234_567_890, 46_900_400_000),
    model=ModelInfo("m/x", "abc", "int8", 1, "0123"),
)


def test_the_shape_of_the_contract() -> None:
    assert RESPONSE.to_wire() == {
        "results": [
            {
                "id": "0",
                "status": "ok",
                "answers": {
                    "category": {
                        "label": "invoice",
                        "score": 0.93,
                        "labels": ["invoice", "receipt", "other"],
                        "scores": [0.93, 0.05, 0.0],
                        "margin": 0.880001,
                        "label_mass": 0.98,
                        "confidence": None,
                        "decision": "accept",
                        "reasons": [],
                    }
                },
                "input": {"pages": 1, "tokens": 412, "tokens_dropped": 0, "extractor": "text"},
                "warnings": ["removed 1 control character"],
            },
            {
                "id": "1",
                "status": "error",
                "error": {
                    "code": "pdf_encrypted",
                    "message": "it has a password",
                    "field": "documents[1].base64",
                },
            },
        ],
        "usage": {"prompt_tokens": 412, "cached_tokens": 96, "completion_tokens": 0},
        "timing": {"queue_ms": 1.2, "tokenize_ms": 0.0, "forward_ms": 14.1, "total_ms": 17},
        "memory": {"allocated_gb": 46.9, "reserved_gb": 47.6, "free_gb": 91.235, "baseline_gb": 46.9},
        "model": {"name": "m/x", "revision": "abc", "precision": "int8", "prompt_version": 1, "labels_sha": "0123"},
    }


def test_each_call_gives_a_fresh_object() -> None:
    """The SDK pops keys of what the handler returns."""
    wire = RESPONSE.to_wire()
    wire.clear()
    assert RESPONSE.to_wire()


def test_raw_log_probabilities_are_there_when_asked_for_and_infinity_is_null() -> None:
    raw = replace(ANSWER, log_probs=(-0.07257123, -2.9957, -float("inf"))).to_wire()["log_probs"]
    assert raw == [-0.072571, -2.9957, None]
    assert "log_probs" not in ANSWER.to_wire()


def test_an_abstention_has_no_label() -> None:
    wire = replace(ANSWER, label=None, decision="abstain", reasons=("no_label_reached_threshold",)).to_wire()
    assert (wire["label"], wire["decision"], wire["reasons"]) == (None, "abstain", ["no_label_reached_threshold"])


def test_the_envelope_of_a_refused_job_is_a_string() -> None:
    assert error_envelope(RequestError("wrong_type", "must be a list", "labels")) == {
        "error": "wrong_type: must be a list (labels)"
    }


def test_an_error_with_a_lone_surrogate_can_still_be_posted() -> None:
    error = DocumentError("fetch_failed", "host \ud800", "documents[0].\udfff")
    check_wire([error_envelope(error), DocumentFailure("0", error).to_wire()])


def test_the_size_is_that_of_the_posted_bytes() -> None:
    assert check_wire({"id": "\u6f22"}) == '{"id": "\u6f22"}'.encode()


def test_at_the_limit_a_response_goes_out_and_over_it_it_does_not() -> None:
    wire = RESPONSE.to_wire()
    size_bytes = len(check_wire(wire))
    assert len(check_wire(wire, max_bytes=size_bytes)) == size_bytes
    with pytest.raises(CapacityError, match="top_k") as caught:
        check_wire(wire, max_bytes=size_bytes - 1)
    assert caught.value.code == "response_too_large"


def cyclic() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), "canary \ud800", b"canary", {"a", "canary"}, object(), cyclic(), {("canary",): 1}],
    ids=["nan", "infinity", "surrogate", "bytes", "set", "object", "cycle", "tuple key"],
)
def test_what_strict_json_cannot_hold_is_caught_and_not_repeated(value: object) -> None:
    with pytest.raises(InternalError) as caught:
        check_wire({"results": value})
    assert caught.value.code == "not_serialisable"
    assert "canary" not in caught.value.wire()
