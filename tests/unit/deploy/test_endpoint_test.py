"""The Hub's tests against a stand-in for the platform."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deploy import endpoint_test


class Platform:
    """Answers `/runsync` with what a test sets, then `/status` as finished."""

    def __init__(self) -> None:
        self.first: dict[str, Any] = {"id": "1", "status": "COMPLETED", "output": {"results": []}}
        self.then: dict[str, Any] = {}
        self.status = 200
        self.seen: list[tuple[str, str | None]] = []
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.answer(platform.first)

            def do_GET(self) -> None:
                self.answer(platform.then)

            def answer(self, body: dict[str, Any]) -> None:
                platform.seen.append((self.path, self.headers["authorization"]))
                self.send_response(platform.status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.api = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.setattr("deploy.endpoint_test.time.sleep", lambda _: None)
    one = Platform()
    yield one
    one.server.shutdown()
    one.server.server_close()


def test_answers_are_ok(platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    assert endpoint_test.main("abc", "k", platform.api) == 0
    assert capsys.readouterr().out.splitlines()[0] == "one_document: ok"
    assert set(platform.seen) == {("/abc/runsync", "Bearer k")}


def test_a_worker_that_starts_is_waited_for(platform: Platform) -> None:
    platform.first, platform.then = {"id": "7", "status": "IN_QUEUE"}, platform.first
    assert endpoint_test.main("abc", "k", platform.api) == 0
    assert ("/abc/status/7", "Bearer k") in platform.seen


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"status": "FAILED", "error": "no_documents: x"}, 200, "FAILED: no_documents: x"),
        ({"status": "COMPLETED", "output": {"error": "model_error: y"}}, 200, "COMPLETED: model_error: y"),
        ({"status": "COMPLETED"}, 200, "COMPLETED: no output"),
        ({}, 401, "HTTP 401"),
    ],
)
def test_what_fails_is_said(
    platform: Platform, capsys: pytest.CaptureFixture[str], body: dict[str, Any], status: int, said: str
) -> None:
    platform.first, platform.status = body, status
    assert endpoint_test.main("abc", "k", platform.api) == 1
    assert capsys.readouterr().out.splitlines()[0] == f"one_document: {said}"
