"""What the server says of itself at `/openapi.json`: the bodies as they are checked, and every status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.responses import Response

from pinpoint.api.decisions import DecisionsBody
from pinpoint.api.schema import JobFields, TeachFields, ZeroShotFields
from pinpoint.api.systemone import SystemOneBody

_JSON_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_REFUSALS = {
    400: "The request is refused.",
    401: "The key is missing or wrong.",
    404: "There is no model of this name.",
    408: "The body did not arrive in time.",
    409: "A job of this id, with another input.",
    413: "The body is too large.",
    415: "The body is no JSON by its own word.",
    422: "The request is refused.",
    429: "Too much is in flight.",
    499: "The client has left.",
    500: "A fault of the server.",
    503: "The server is about to end, or cannot answer.",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One route, as it is described.

    Attributes:
        method: of HTTP.
        summary: what it is.
        bodies: what its body is one of.
        refused: the status of a request that is refused for what is in it.
    """

    method: str
    summary: str
    bodies: tuple[type[BaseModel], ...] = ()
    refused: int = 400

    def for_fastapi(self) -> dict[str, Any]:
        """Arguments of `add_api_route`."""
        statuses = [status for status in _REFUSALS if status not in (400, 422) or status == self.refused]
        if not self.bodies:
            statuses = [401, 429, 499, 500, 503]
        refusals = {status: {"description": _REFUSALS[status], "content": _JSON_OBJECT} for status in statuses}
        extra = {}
        if self.bodies:
            refs = [{"$ref": f"#/components/schemas/{body.__name__}"} for body in self.bodies]
            schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
            extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        return {
            "summary": self.summary,
            "responses": {200: {"description": "The answer.", "content": _ANSWER}, **refusals},
            "openapi_extra": extra,
            "response_model": None,
        }


# A list of texts in the zero-shot shape is answered by a list.
_ANSWER = {"application/json": {"schema": {"anyOf": [{"type": "object"}, {"type": "array", "items": {}}]}}}

ROUTES = {
    "/v1/decisions": Route("POST", "Typed questions in OpenAI's format.", (DecisionsBody,)),
    "/v1/systemone": Route("POST", "Typed questions in TypeSafe's format.", (SystemOneBody,), 422),
    "/v1/models": Route("GET", "The names of the model, for clients of both formats."),
    "/v1/tasks": Route("POST", "Labelled documents, for a task file.", (TeachFields,)),
    "/classify": Route("POST", "Documents and tasks in Pinpoint's own contract.", (JobFields, ZeroShotFields)),
}
_WATCHED = {
    status: {"description": _REFUSALS[status], "content": _JSON_OBJECT} for status in (401, 500)
}  # fmt: skip
HEALTH: dict[str, Any] = {
    "summary": "The worker's own figures.",
    "responses": {200: {"description": "The figures.", "content": _JSON_OBJECT}, **_WATCHED},
    "response_model": None,
}
METRICS: dict[str, Any] = {
    "summary": "Figures for Prometheus.",
    "responses": {200: {"description": "The figures.", "content": {"text/plain": {}}}, **_WATCHED},
    "response_model": None,
    "response_class": Response,
}
PING: dict[str, Any] = {
    "summary": "Whether it can answer.",
    "responses": {
        200: {"description": "Ready."},
        204: {"description": "The model is loading."},
        503: {"description": "Unwell, or about to end."},
    },
    "response_model": None,
    "response_class": Response,
}
PATHS = (*ROUTES, "/ping", "/health", "/metrics")


def schema(app: FastAPI, names: tuple[str, ...], *, needs_key: bool) -> dict[str, Any]:
    """The document; `names` are what the model may be called."""
    made = get_openapi(title=app.title, version=app.version, routes=app.routes)
    components = made.setdefault("components", {})
    components["schemas"] = _schemas(names)
    if needs_key:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, operations in made["paths"].items():
            if path in (*ROUTES, "/health", "/metrics"):
                for operation in operations.values():
                    operation["security"] = [{"key": []}]
    return made


def _schemas(names: tuple[str, ...]) -> dict[str, Any]:
    """Every model of a body, with what it is made of under names of its own."""
    made: dict[str, Any] = {}
    for body in {body for route in ROUTES.values() for body in route.bodies}:
        whole = body.model_json_schema(ref_template=f"#/components/schemas/{body.__name__}.{{model}}")
        for name, part in whole.pop("$defs", {}).items():
            made[f"{body.__name__}.{name}"] = part
        if "model" in whole["properties"]:
            whole["properties"]["model"]["enum"] = list(names)
        made[body.__name__] = whole
    return made
