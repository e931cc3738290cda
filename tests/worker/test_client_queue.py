"""The client against the emulated platform and a server: what is answered, and what is told when nothing is."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from aiohttp import web

from pinpoint.client import (
    AccessError,
    AsyncPinpoint,
    DocumentError,
    JobError,
    NotFoundError,
    Pinpoint,
    PinpointError,
    RequestError,
    Retries,
    UnavailableError,
)
from pinpoint.client.jobs import JOB_TRIES
from pinpoint.client.server import ServerTransport
from pinpoint.errors import ModelError
from tests.worker.cheap_workers import CheapWorkers, answer
from tests.worker.emulator import API_KEY, ENDPOINT, Platform

LABELS = ["invoice", "receipt"]
QUICK = Retries(tries=4, first_s=0.001)
SECRET = "canary of a document"


@pytest.fixture
def workers(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> CheapWorkers:
    platform.endpoint, platform.key = ENDPOINT, API_KEY
    monkeypatch.setenv("RUNPOD_ENDPOINT_BASE_URL", platform.base_url)
    monkeypatch.setenv("RUNPOD_API_KEY", API_KEY)
    return CheapWorkers(platform, ("w1", "w2", "w3"))


@pytest.fixture
def client(workers: CheapWorkers) -> Iterator[Pinpoint]:
    with Pinpoint(endpoint=ENDPOINT, retries=QUICK, timeout_s=20) as made:
        yield made


def test_client_answers_are_typed_and_in_order(client: Pinpoint, platform: Platform) -> None:
    texts = [f"{label} {number}" for number in range(50) for label in LABELS]
    results = client.classify([*texts, "refuse pdf_encrypted"], LABELS, threshold=0.5)
    assert results.labels == [*LABELS * 50, None] and [one.id for one in results] == [str(n) for n in range(101)]
    assert results.jobs == 4 and results.model["name"] == "cheap" and results.prompt_tokens > 100
    first, last = results[0], results[-1]
    assert (first.label, first.score, first.decision, first.answer.labels) == (
        "invoice",
        0.9,
        "accept",
        ("invoice", "receipt"),
    )
    assert results.refused == (last,) and last.error is not None and last.error.code == "pdf_encrypted"
    with pytest.raises(DocumentError):
        _ = last.label
    assert platform.ledger.calls["runsync"] == 4


def test_client_takes_one_text_a_file_and_documents_of_the_contract(client: Pinpoint, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("receipt")
    assert client.classify("a receipt", LABELS)[0].label == "receipt"
    results = client.classify([tmp_path / "a.txt", {"id": "mine", "text": "receipt"}], LABELS)
    assert [one.id for one in results] == [str(tmp_path / "a.txt"), "mine"]
    assert len(client.classify([], LABELS)) == 0
    wrong: Any
    for wrong in ([{"text": "a", "url": "https://x"}], [{}], [{"text": {1}}], [7]):
        with pytest.raises(RequestError):
            client.classify(wrong, LABELS)
    with pytest.raises(DocumentError):
        client.classify(tmp_path / "none.txt", LABELS)
    with pytest.raises(RequestError):
        client.classify("a", "invoice,receipt")
    for unsayable in (float("nan"), {1}):
        with pytest.raises(RequestError) as raised:
            client.classify("a", LABELS, threshold=unsayable)
        assert raised.value.code == "wrong_type"


async def test_client_of_an_event_loop_answers_the_same(workers: CheapWorkers) -> None:
    async with AsyncPinpoint(endpoint=ENDPOINT, retries=QUICK) as client:
        assert (await client.classify(["a receipt"], LABELS)).labels == ["receipt"]


def test_client_goes_on_asking_where_runsync_gives_up(
    client: Pinpoint, platform: Platform, workers: CheapWorkers
) -> None:
    platform.sync_s, workers.service_s = 0.05, 0.3
    assert client.classify("a receipt", LABELS).labels == ["receipt"]
    assert platform.ledger.calls["status"] >= 1


def test_client_passes_over_429_5xx_and_a_broken_connection(client: Pinpoint, platform: Platform) -> None:
    platform.faults.calls.extend([429, "reset", 503])
    assert client.classify("a receipt", LABELS).labels == ["receipt"]
    assert platform.ledger.calls["runsync"] == 4


def test_client_waits_as_long_as_it_is_told(
    client: Pinpoint, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[float | None]()

    def wait_s(self: Retries, failed: int, told_s: float | None = None) -> float:
        told.append(told_s)
        return 0.0

    monkeypatch.setattr(Retries, "wait_s", wait_s)
    platform.faults.retry_after = "12"
    platform.faults.calls.extend([429, 500])
    client.classify("a receipt", LABELS)
    assert told == [12.0, 12.0]


def expect(kind: type[PinpointError], code: str, call: Callable[[], object]) -> None:
    with pytest.raises(kind) as raised:
        call()
    assert raised.value.code == code
    assert SECRET not in str(raised.value) and API_KEY not in str(raised.value)


def test_client_errors_are_of_a_kind_each(
    client: Pinpoint, platform: Platform, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    with Pinpoint(endpoint=ENDPOINT, api_key="wrong") as other:
        expect(AccessError, "invalid_api_key", lambda: other.classify(SECRET, LABELS))
    with Pinpoint(endpoint="nosuch") as other:
        expect(NotFoundError, "unknown_endpoint", lambda: other.classify(SECRET, LABELS))
    expect(NotFoundError, "unknown_endpoint", lambda: Pinpoint(endpoint="https://x/y"))
    for address in ("localhost:8000", "http://[::1", "http://localhost:port"):
        expect(NotFoundError, "unknown_endpoint", lambda address=address: Pinpoint(url=address))  # type: ignore[misc]
    for way in ({"endpoint": ENDPOINT}, {"url": "http://localhost:9"}):
        for key in ("two\nlines", "ключ"):
            expect(AccessError, "invalid_api_key", lambda way=way, key=key: Pinpoint(api_key=key, **way))  # type: ignore[misc]
    expect(RequestError, "conflicting_fields", lambda: Pinpoint(endpoint="a", url="http://localhost:1"))
    with Pinpoint(url="http://localhost:9", retries=QUICK) as other:
        expect(UnavailableError, "unreachable", lambda: other.classify(SECRET, LABELS))
    platform.faults.calls.extend([429] * 4)
    expect(UnavailableError, "rate_limited", lambda: client.classify(SECRET, LABELS))
    platform.faults.calls.extend([502] * 4)
    expect(UnavailableError, "service_failed", lambda: client.classify(SECRET, LABELS))
    expect(RequestError, "duplicate_label", lambda: client.classify("stop duplicate_label", LABELS))
    expect(ModelError, "no_gpu", lambda: client.classify("stop no_gpu", LABELS))
    monkeypatch.delenv("RUNPOD_API_KEY")
    expect(AccessError, "invalid_api_key", lambda: Pinpoint(endpoint=ENDPOINT))
    assert SECRET not in caplog.text and API_KEY not in caplog.text


def test_client_gives_up_after_its_own_timeout(platform: Platform, workers: CheapWorkers) -> None:
    platform.sync_s, workers.service_s = 0.01, 30.0
    with Pinpoint(endpoint=ENDPOINT, timeout_s=0.3) as client:
        expect(UnavailableError, "client_timeout", lambda: client.classify(SECRET, LABELS))


@pytest.mark.parametrize(("timeout_s", "wait_ms"), [(0.3, "1000"), (20, "20000"), (600, "90000")])
def test_client_asks_runsync_to_wait_no_longer_than_itself(
    platform: Platform, workers: CheapWorkers, timeout_s: float, wait_ms: str
) -> None:
    with Pinpoint(endpoint=ENDPOINT, timeout_s=timeout_s) as client:
        client.classify("a receipt", LABELS)
    assert platform.sync_asked_ms == [wait_ms]


def test_client_that_is_closed_ends_the_calls_of_other_threads(platform: Platform, workers: CheapWorkers) -> None:
    platform.sync_s, workers.service_s = 0.01, 2.0
    client = Pinpoint(endpoint=ENDPOINT)
    ended = SimpleQueue[str]()

    def ask() -> None:
        try:
            client.classify("a receipt", LABELS)
        except CancelledError:
            ended.put("cancelled")

    threading.Thread(target=ask, daemon=True).start()  # a pool would wait for a call that hangs
    platform.ledger.wait(lambda own: own.jobs, 5, "a job")
    client.close()
    assert ended.get(timeout=5) == "cancelled"
    workers.service_s = 0.0
    assert client.classify("a receipt", LABELS).labels == ["receipt"], "and it begins anew"
    client.close()


def test_client_that_cannot_close_its_connections_ends_its_thread(client: Pinpoint) -> None:
    close = client._inner.close

    async def broken() -> None:
        await close()
        raise OSError("no")

    client.classify("a receipt", LABELS)
    client._inner.close = broken  # type: ignore[method-assign]
    with pytest.raises(OSError):
        client.close()
    assert "pinpoint-client" not in [thread.name for thread in threading.enumerate()]


def test_client_of_a_job_that_somebody_cancels_or_that_the_platform_forgets(
    client: Pinpoint, platform: Platform, workers: CheapWorkers
) -> None:
    platform.sync_s, workers.service_s = 0.01, 0.3
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(client.classify, "a receipt", LABELS)
        platform.ledger.wait(lambda own: own.jobs, 5, "a job")
        platform.cancel("job-00001")
        expect(JobError, "job_cancelled", asked.result)
    workers.service_s, platform.keeps_s = 0.05, -1.0
    expect(JobError, "job_forgotten", lambda: client.classify(SECRET, LABELS))
    assert platform.ledger.calls["runsync"] == 1 + JOB_TRIES


async def test_client_of_the_sdk_has_the_traps_for_which_it_is_not_used(
    client_sdk: Any, endpoint: Any, platform: Platform, workers: CheapWorkers
) -> None:
    """docs/client.md names them; should one be gone, its reason is."""
    failing = {"labels": LABELS, "documents": [{"text": "stop internal"}]}
    assert endpoint.run_sync(failing) is None, "a job that failed, and nothing says so"
    async with client_sdk.http_client.AsyncClientSession() as session:
        job = await client_sdk.AsyncioEndpoint(ENDPOINT, session).run(failing)
        platform.faults.calls.append(429)
        with pytest.raises(KeyError):  # the status of an answer is not looked at
            await job.status()
        with pytest.raises(TimeoutError):  # it waits no time at all by default
            await job.output()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_client_that_was_used_before_a_fork_answers_after_it(client: Pinpoint) -> None:
    """As in workers of a web server: the thread of the client's loop is the parent's alone."""
    client.classify("a receipt", LABELS)
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(30)
        try:
            os.write(writes, str(client.classify(["a receipt", "an invoice"], LABELS).labels).encode())
        finally:
            os._exit(0)
    os.close(writes)
    os.waitpid(child, 0)
    with open(reads) as told:
        assert told.read() == "['receipt', 'invoice']"
    assert client.classify("an invoice", LABELS).labels == ["invoice"]


def test_client_of_one_event_loop_answers_in_the_next(workers: CheapWorkers) -> None:
    client = AsyncPinpoint(endpoint=ENDPOINT)

    async def ask() -> list[str | None]:
        labels = (await client.classify(["a receipt"] * 40, LABELS)).labels
        rest = client.transport.rest  # type: ignore[attr-defined]
        await rest._session.connector.close()  # which would be told as left open; the session stays
        return labels

    async def close() -> None:
        await client.close()

    for _ in range(2):
        assert asyncio.run(ask()) == ["receipt"] * 40
    asyncio.run(close())


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"timeout_s": 0}, "out_of_range"),
        ({"timeout_s": float("nan")}, "out_of_range"),
        ({"timeout_s": "600"}, "wrong_type"),
        ({"parallel": 0}, "out_of_range"),
        ({"parallel": 1.5}, "wrong_type"),
        ({"job_documents": -1}, "out_of_range"),
        ({"job_documents": True}, "wrong_type"),
        ({"endpoint": 7}, "wrong_type"),
        ({"api_key": b"key"}, "wrong_type"),
        ({"retries": 3}, "wrong_type"),
    ],
)
def test_client_says_which_of_its_own_values_cannot_be(given: dict[str, Any], code: str) -> None:
    expect(RequestError, code, lambda: Pinpoint(**{"endpoint": ENDPOINT, "api_key": "k", **given}))


def test_client_says_what_documents_and_retries_cannot_be(client: Pinpoint) -> None:
    for documents in (None, 5, b"bytes", [b"bytes"], [None]):
        expect(RequestError, "wrong_type", lambda documents=documents: client.classify(documents, LABELS))  # type: ignore[misc]
    expect(RequestError, "out_of_range", lambda: Retries(tries=0))
    expect(RequestError, "out_of_range", lambda: Retries(first_s=float("nan")))
    assert [one.id for one in client.classify([{"text": "a receipt", "id": None}, "a receipt"], LABELS)] == ["0", "1"]


def test_client_that_nobody_closes_leaves_nothing_open(workers: CheapWorkers) -> None:
    client = Pinpoint(endpoint=ENDPOINT)
    client.classify("a" * 2_000_000, LABELS)  # a body of which aiohttp warns where it is handed over as one piece
    del client
    gc.collect()  # an open connection would fail the test here
    assert "pinpoint-client" not in [thread.name for thread in threading.enumerate()]


def test_client_of_a_server_asks_its_own_contract(client: Pinpoint) -> None:
    """One that answers, one that wants a key, one that is somebody else's."""
    with serving() as url:
        with Pinpoint(url=url, api_key="right", retries=QUICK) as own:
            assert own.classify(["a receipt", "refuse needs_ocr"], LABELS).labels == ["receipt", None]
            expect(RequestError, "duplicate_label", lambda: own.classify("stop duplicate_label", LABELS))
        with Pinpoint(url=url, retries=QUICK) as own:
            expect(AccessError, "invalid_api_key", lambda: own.classify(SECRET, LABELS))
        with Pinpoint(url=f"{url}/strange", api_key="right", retries=QUICK) as own:
            expect(JobError, "answer_unreadable", lambda: own.classify([SECRET] * 3, LABELS))
        with Pinpoint(url=f"{url}/elsewhere", api_key="right", retries=QUICK) as own:
            expect(NotFoundError, "unknown_endpoint", lambda: own.classify(SECRET, LABELS))


def test_client_gives_a_server_no_key_that_is_not_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNPOD_API_KEY", "platform")
    monkeypatch.delenv("PINPOINT_API_KEY", raising=False)
    keys = {
        url: ServerTransport(url).rest._key
        for url in ("http://x.api.runpod.ai", "https://x.api.runpod.ai", "https://api.runpod.ai.evil.org")
    }
    assert list(keys.values()) == ["", "platform", ""]
    monkeypatch.setenv("PINPOINT_API_KEY", "own")
    assert ServerTransport("https://x.api.runpod.ai").rest._key == "own"


@contextmanager
def serving() -> Iterator[str]:
    """A server of our own contract, without a model."""

    async def classify(request: web.Request) -> web.Response:
        if request.headers.get("authorization") != "Bearer right":
            return web.json_response({"error": "invalid_api_key: no"}, status=401)
        told = answer(await request.json()) or {}
        return web.json_response(told.get("output", told), status=400 if "error" in told else 200)

    async def strange(request: web.Request) -> web.Response:
        return web.Response(text="Unsupported method", status=501)

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/classify", classify)
        app.router.add_post("/strange/classify", strange)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.put(runner.addresses[0][1])
        await asyncio.to_thread(ends.wait)
        await runner.cleanup()

    ready, ends = SimpleQueue[int](), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield f"http://127.0.0.1:{ready.get(timeout=10)}"
    finally:
        ends.set()
        thread.join()
