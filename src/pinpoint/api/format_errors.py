"""An error of ours in the shape of each format, and its HTTP status."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pinpoint.api.answer import encodable
from pinpoint.api.limits import ROOT
from pinpoint.errors import (
    CapacityError,
    DeviceError,
    DocumentError,
    InternalError,
    ModelError,
    OutOfMemory,
    PinpointError,
    RequestError,
)

BAD_REQUEST, UNAUTHORISED, NOT_FOUND, CONFLICT = 400, 401, 404, 409
TIMED_OUT, TOO_LARGE, NOT_JSON, UNPROCESSABLE, TOO_MANY = 408, 413, 415, 422, 429
OUR_FAULT, UNAVAILABLE = 500, 503

_STATUSES = {
    "invalid_api_key": UNAUTHORISED,
    "unknown_model_name": NOT_FOUND,
    "unknown_route": NOT_FOUND,
    "conflict": CONFLICT,
    "body_too_slow": TIMED_OUT,
    "body_too_large": TOO_LARGE,
    "not_json": NOT_JSON,
    "overloaded": TOO_MANY,
}
# Where OpenAI has a code of its own for the same, its clients look for that.
_OPENAI_CODES = {
    "unknown_model_name": "model_not_found",
    "unknown_field": "unknown_parameter",
    "missing_field": "missing_required_parameter",
    "wrong_type": "invalid_type",
    "out_of_range": "invalid_value",
    "document_too_long": "context_length_exceeded",
    "overloaded": "rate_limit_exceeded",
    "internal": "server_error",
}
_PYDANTIC_TYPES = {"missing_field": "missing", "unknown_field": "extra_forbidden"}
_OPENAI_TYPES = {
    UNAUTHORISED: "authentication_error",
    TOO_MANY: "rate_limit_error",
    OUR_FAULT: "server_error",
    UNAVAILABLE: "server_error",
}
_TASK = re.compile(r"tasks\.(\d+)\..*")
_STEP = re.compile(r"\[(\d+)\]|\.?([^.\[]+)")


def status_of(error: PinpointError) -> int:
    """Return the HTTP status of an error."""
    if error.code in _STATUSES:
        return _STATUSES[error.code]
    if isinstance(error, (RequestError, DocumentError)):
        return BAD_REQUEST
    # Too much for one answer is the caller's to mend; everything else may be well again in a moment, or elsewhere.
    if error.code == "response_too_large":
        return BAD_REQUEST
    if isinstance(error, (CapacityError, DeviceError, ModelError)):
        return UNAVAILABLE
    assert isinstance(error, (InternalError, OutOfMemory)), type(error).__name__
    return OUR_FAULT


def in_request(field: str | None, names: Sequence[str] | None) -> str | None:
    """Return a field path in the caller's words: a task of ours is one of its questions.

    Args:
        field: a path, in the request or in what was made of it.
        names: of the questions, where they are called by name.
    """
    task = _TASK.fullmatch(field or "")
    if task is None:
        return field
    index = int(task[1])
    return f"questions[{index}]" if names is None else f"questions.{names[index]}"


def openai_error(error: PinpointError, status: int | None = None) -> dict[str, object]:
    """Return the object under `error`."""
    status = status_of(error) if status is None else status
    return {
        "message": encodable(error.message),
        "type": _OPENAI_TYPES.get(status, "invalid_request_error"),
        "param": None if error.field is None else encodable(error.field),
        "code": _OPENAI_CODES.get(error.code, error.code),
    }


def typesafe_status(error: PinpointError) -> int:
    """Return the HTTP status in TypeSafe's format: what is wrong with a body is 422 there."""
    status = status_of(error)
    return UNPROCESSABLE if status == BAD_REQUEST else status


def typesafe_error(error: PinpointError) -> dict[str, object]:
    """Return the whole body: where and what for what is wrong with the request's, else a message."""
    if typesafe_status(error) != UNPROCESSABLE:
        return {"detail": {"message": encodable(error.message), "code": error.code}}
    steps = [int(number) if number else name for number, name in _STEP.findall(error.field or "")]
    loc = ["body", *(steps if error.field != ROOT or error.code == "unknown_field" else ())]
    kind = _PYDANTIC_TYPES.get(error.code, error.code)
    return {"detail": [{"loc": loc, "msg": encodable(error.message), "type": kind}]}
