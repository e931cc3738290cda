"""The routes.

POST /v1/decisions   OpenAI's format          GET /v1/models   the model's names, for clients of both formats
POST /v1/systemone   TypeSafe's format        GET /ping        200 ready, 204 loading, 503 unwell or draining
POST /v1/tasks       labelled documents       GET /health      the worker's own figures
POST /classify       our own contract         GET /metrics     figures for Prometheus
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

import pinpoint
from pinpoint.api.format_errors import openai_error, status_of, typesafe_error, typesafe_status
from pinpoint.api.response import error_envelope
from pinpoint.errors import PinpointError, RequestError
from pinpoint.serving.failures import internal_error, place
from pinpoint.serving.http import openapi
from pinpoint.serving.http.bodies import read_json, throw_away
from pinpoint.serving.http.exposition import Exposition
from pinpoint.serving.http.gate import Gate
from pinpoint.serving.http.gone import Gone, unless_gone
from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings

log = logging.getLogger("pinpoint")

RETRY_AFTER_S = 1  # a request takes less; who comes back too early is told again
UNWELL = ("memory_drift",)  # reasons of health that get worse with every request

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def make_app(worker: Worker, settings: Settings, gate: Gate) -> FastAPI:
    """The application over a worker, whose engine somebody else loads."""
    app = FastAPI(title="Pinpoint", version=pinpoint.__version__, docs_url=None, redoc_url=None)
    exposition = Exposition(worker, gate)

    def answering(route: str) -> Endpoint:
        async def answer(request: Request) -> Response:
            gate.check_key(request.headers.get("authorization", ""))
            body = None
            with gate.admit() as holds:
                if request.method == "POST":
                    body = await read_json(request, settings.max_body_bytes, settings.body_s, holds)
                wire = await unless_gone(request, worker.answer({"input": {"route": route, "body": body}}))
                return _json(wire)

        return _told(answer, route, exposition, gate)

    async def health(request: Request) -> Response:
        gate.check_key(request.headers.get("authorization", ""))
        return _json(worker.told())

    async def metrics(request: Request) -> Response:
        gate.check_key(request.headers.get("authorization", ""))
        return Response(exposition.text(), media_type=CONTENT_TYPE_LATEST)

    for route, describe in openapi.ROUTES.items():
        app.add_api_route(route, answering(route), methods=[describe.method], **describe.for_fastapi())
    app.add_api_route("/health", _told(health, "/health", exposition, gate), methods=["GET"], **openapi.HEALTH)
    app.add_api_route("/metrics", _told(metrics, "/metrics", exposition, gate), methods=["GET"], **openapi.METRICS)
    add_ping(app, worker, settings, gate)
    app.add_exception_handler(HTTPException, _no_route)
    app.openapi = lambda: openapi.schema(  # type: ignore[method-assign]
        app, worker.names, needs_key=bool(settings.api_key)
    )
    return app


def make_health_app(worker: Worker, settings: Settings, gate: Gate) -> FastAPI:
    """The application of a health port of its own."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_ping(app, worker, settings, gate)
    return app


def add_ping(app: FastAPI, worker: Worker, settings: Settings, gate: Gate) -> None:
    """Add what a load balancer asks again and again; it needs no key and tells nothing."""

    async def ping() -> Response:
        hangs = 0 < settings.hang_s < worker.pass_s
        if gate.draining or worker.leaving or hangs or any(name in worker.health.verdict.reasons for name in UNWELL):
            return Response(status_code=503)
        return Response(status_code=200 if worker.ready else 204)

    for path in dict.fromkeys(("/ping", settings.health_check_path)):
        app.add_api_route(path, ping, methods=["GET"], **openapi.PING)


def _told(endpoint: Endpoint, route: str, exposition: Exposition, gate: Gate) -> Endpoint:
    """An endpoint whose errors are told in the format of its route, and whose answers are counted."""

    async def told(request: Request) -> Response:
        began_s = time.perf_counter()
        try:
            response = await endpoint(request)
        except PinpointError as error:
            response = refusal(error, route)
        except (ClientDisconnect, Gone):
            response = Response(status_code=499)  # nobody reads it
        except Exception as error:  # whatever it is, nobody is shown a traceback
            log.error("http route=%s status=error type=%s at=%s", route, type(error).__name__, place(error))
            response = refusal(internal_error(), route)
        took_s = time.perf_counter() - began_s
        exposition.requests.labels(route, str(response.status_code)).inc()
        exposition.seconds.labels(route).observe(took_s)
        if gate.draining:
            response.headers["connection"] = "close"  # whoever asks again should ask another
            await throw_away(request)
        identity = uuid.uuid4().hex  # each client looks for it under a name of its own
        response.headers["x-request-id"] = response.headers["x-typesafe-request-id"] = identity
        log.info("request=%s route=%s status=%d total_ms=%.1f", identity, route, response.status_code, took_s * 1e3)
        return response

    return told


def refusal(error: PinpointError, route: str) -> Response:
    """An error in the format of its route."""
    status = typesafe_status(error) if route == "/v1/systemone" else status_of(error)
    body: Any = error_envelope(error)
    if route == "/v1/systemone":
        body = typesafe_error(error)
    elif route.startswith("/v1/"):
        body = {"error": openai_error(error)}
    headers = {}
    if status in (429, 503):
        headers["retry-after"] = str(RETRY_AFTER_S)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return _json(body, status, headers)


async def _no_route(request: Request, error: Exception) -> Response:
    """A path that is not there, or another method."""
    assert isinstance(error, HTTPException)
    message = "there is no such route here" if error.status_code == 404 else str(error.detail)
    told = RequestError("unknown_route", f"{message}; there is {', '.join(openapi.PATHS)}")
    return _json({"error": openai_error(told, error.status_code)}, error.status_code, dict(error.headers or {}))


def _json(wire: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(wire, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    return Response(body, status, headers, media_type="application/json")
