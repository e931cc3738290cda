"""Which format a job's input is in, and how an error is told in it.

    {"openai_route": "/v1/decisions", "openai_input": {…}}     as RunPod's `/openai/*` reaches a worker
    {"route": "/v1/systemone", "body": {…}}                    the same for any route
    {"state": …, "questions": {…}}                             TypeSafe's format, directly
    {"input": …, "questions": […]}                             OpenAI's format, directly
    {"teach": {…}}                                             labelled documents, for a task file
    anything else                                              the contract of this worker

Routes: `/v1/decisions`, `/v1/systemone`, `/v1/models`, `/v1/tasks`, `/classify`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from pinpoint.api.format_errors import in_request, openai_error, typesafe_error
from pinpoint.api.limits import kind_of
from pinpoint.api.response import error_envelope
from pinpoint.api.served import ANY_MODEL
from pinpoint.errors import PinpointError, RequestError

Shape = Literal["pinpoint", "decisions", "systemone", "models", "teach"]

ROUTES: dict[str, Shape] = {
    "/v1/decisions": "decisions",
    "/v1/systemone": "systemone",
    "/v1/models": "models",
    "/v1/tasks": "teach",
    "/classify": "pinpoint",
}
OURS: tuple[Shape, ...] = ("pinpoint", "teach")
_METHODS = ("GET", "POST")


@dataclass(frozen=True, slots=True)
class Way:
    """How a job came: the shape of its request, and the request."""

    shape: Shape
    body: Any


def find_way(raw: dict[str, Any]) -> Way:
    """Return the way of a job's input.

    Raises:
        RequestError: a route that is not there, or fields that go with no route.
    """
    for route, body in (("openai_route", "openai_input"), ("route", "body")):
        if route in raw or (body in raw and body == "openai_input"):
            return _routed(raw, route, body)
    if "teach" in raw:
        for field in raw:
            if field != "teach":
                raise RequestError("unknown_field", "unknown field; known here: teach", field)
        return Way("teach", raw["teach"])
    if "state" in raw or ("input" not in raw and isinstance(raw.get("questions"), dict)):
        return Way("systemone", {"model": ANY_MODEL, **raw})
    if "input" in raw or "questions" in raw:
        return Way("decisions", {"model": ANY_MODEL, **raw})
    return Way("pinpoint", raw)


def _routed(raw: dict[str, Any], route_field: str, body_field: str) -> Way:
    if route_field not in raw:
        raise RequestError("missing_field", "this field is required", route_field)
    known = (route_field, body_field, "method")
    for field in raw:
        if field not in known:
            raise RequestError("unknown_field", f"unknown field; known here: {', '.join(known)}", field)
    if raw.get("method") not in (None, *_METHODS):
        raise RequestError("out_of_range", f"must be one of {', '.join(_METHODS)}", "method")
    route = raw[route_field]
    if not isinstance(route, str):
        raise RequestError("wrong_type", f"must be a string, not {kind_of(route)}", route_field)
    if route not in ROUTES:
        raise RequestError("unknown_route", f"there is no such route here; there is {', '.join(ROUTES)}", route_field)
    if ROUTES[route] == "models":
        return Way("models", None)
    if raw.get(body_field) is None:
        raise RequestError("missing_field", "this route needs a body", body_field)
    return Way(ROUTES[route], raw[body_field])


def told_in(raw: object) -> Way:
    """Return the way in which an error is told, whatever is wrong with the input."""
    if not isinstance(raw, dict):
        return Way("pinpoint", raw)
    try:
        return find_way(raw)
    except RequestError:
        # A route that is not there is asked for by clients of the one format that has routes on the platform.
        return Way("models" if "openai_route" in raw or "openai_input" in raw else "pinpoint", None)


def located(error: PinpointError, way: Way) -> PinpointError:
    """Return the error with its field in the caller's words."""
    questions = way.body.get("questions") if isinstance(way.body, dict) else None
    if way.shape in OURS:
        return error
    names = list(questions) if isinstance(questions, dict) else None
    field = in_request(error.field, names)
    return error if field == error.field else type(error)(error.code, error.message, field)


def job_error(error: PinpointError, raw: object) -> dict[str, object]:
    """Return what fails a whole job: a string, in a decision format the JSON of its error.

    That is where a worker of vLLM's puts it: the SDK makes a string of an error, and fails the job.
    """
    way = told_in(raw)
    if way.shape in OURS:
        return error_envelope(error)
    told = typesafe_error(error) if way.shape == "systemone" else openai_error(error)
    return {"error": json.dumps(told)}
