"""Jobs at an HTTP server that fails: what is about the job is told to who cuts it, what passes is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from pinpoint.client import Retries, rest
from pinpoint.client.documents import Document, Question
from pinpoint.client.jobs import JOB_TRIES, Gathered, Jobs
from pinpoint.client.limiter import Limiter
from pinpoint.client.server import ServerTransport
from pinpoint.errors import CapacityError, InternalError, PinpointError, UnavailableError
from tests.worker.cheap_workers import answer

TRIES = 14  # as of a bulk run
Failure = Callable[[list[str], int], tuple[int, str] | None]


class Server:
    """Answers as cheap workers do, but where `failure` has a status and an error for these texts and this call."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        self.sizes: list[int] = []

    async def classify(self, request: web.Request) -> web.Response:
        value = await request.json()
        texts = [one["text"] for one in value["documents"]]
        self.sizes.append(len(texts))
        failure = self.failure(texts, len(self.sizes))
        if failure is not None:
            return web.json_response({"error": failure[1]}, status=failure[0])
        told = answer(value)
        assert told is not None
        return web.json_response(told["output"])


@asynccontextmanager
async def served(failure: Failure) -> AsyncIterator[tuple[Server, ServerTransport]]:
    server, app = Server(failure), web.Application()
    app.router.add_post("/classify", server.classify)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        transport = ServerTransport(f"http://127.0.0.1:{runner.addresses[0][1]}", "", Retries(TRIES, first_s=0.0))
        yield server, transport
        await transport.close()
    finally:
        await runner.cleanup()


async def test_a_call_that_only_looks_waits_less_for_a_service_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "LOOK_S", 0.05)
    held = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    asks = rest.Rest(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "", Retries(1), 0.5, "it", lambda: None)
    try:
        for body, waited in ((None, "0.05 s"), (b"", "0.05 s"), (b"{}", "0.5 s")):
            with pytest.raises(UnavailableError, match=f"it did not answer within {waited}"):
                await asks.call("POST", "/x", body)
    finally:
        held.set()
        await asks.close()
        server.close()


async def codes(transport: ServerTransport, texts: list[str]) -> list[str | None]:
    """What each document's error is, if it has one."""
    given = [Document.of(text, {"text": text}) for text in texts]
    jobs, gathered = Jobs(transport, Question.of(["invoice", "receipt"]), Limiter(1), Retries(first_s=0.0)), Gathered()
    await jobs.run(given, gathered)
    wires: list[dict[str, Any]] = [one.results[0] for one in gathered.in_order(given)]
    return [wire["error"]["code"] if "error" in wire else None for wire in wires]


@pytest.mark.parametrize("code", ["internal", "poison_job"])
async def test_a_text_that_fails_the_server_is_found_and_its_neighbours_are_answered(code: str) -> None:
    def failure(texts: list[str], call: int) -> tuple[int, str] | None:
        return (500, f"{code}: it failed") if "bad" in texts else None

    async with served(failure) as (server, transport):
        assert await codes(transport, ["receipt", "an invoice", "bad", "a receipt"]) == [None, None, code, None]
        # Three tries whole, as a half and alone, and not 14 of each.
        assert sorted(server.sizes) == sorted([4] * JOB_TRIES + [2] * JOB_TRIES + [2] + [1] * JOB_TRIES + [1])


async def test_a_job_past_its_time_is_cut_in_halves_at_once() -> None:
    def failure(texts: list[str], call: int) -> tuple[int, str] | None:
        return (503, "deadline_exceeded: 60 s have passed") if len(texts) > 1 else None

    async with served(failure) as (server, transport):
        assert await codes(transport, ["receipt", "invoice"]) == [None, None]
        assert server.sizes == [2, 1, 1]


@pytest.mark.parametrize(
    ("status", "error"),
    [(503, "overloaded: busy"), (503, "draining: it ends"), (503, "model_not_found: no such model"), (502, "<html>")],
)
async def test_what_is_about_the_server_passes_in_the_call_s_own_tries(status: int, error: str) -> None:
    async with served(lambda texts, call: (status, error) if call < TRIES else None) as (server, transport):
        assert await codes(transport, ["receipt"]) == [None]
        assert server.sizes == [1] * TRIES


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (500, "internal: it failed", InternalError),
        (503, "deadline_exceeded: 60 s have passed", CapacityError),
        (503, "draining: it ends", UnavailableError),
    ],
)
async def test_a_final_failure_keeps_its_code(status: int, error: str, kind: type[PinpointError]) -> None:
    async with served(lambda texts, call: (status, error)) as (server, transport):
        with pytest.raises(kind):
            await transport.answer(b'{"documents":[{"text":"a"}]}', lambda job: None)
        assert len(server.sizes) == (TRIES if kind is UnavailableError else 1)
