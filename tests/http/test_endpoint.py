"""`python handler.py` with PINPOINT_ENDPOINT=http is the HTTP server; with a test input, or without it, it is not."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from pinpoint.serving import signals, start
from pinpoint.serving.http import server
from pinpoint.settings import Settings


class Served(Exception):
    pass


class Refused(Exception):
    pass


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def serve(settings: Settings) -> None:
        assert settings.port == 8123
        raise Served

    def read_call(*_: object) -> None:
        raise Refused

    monkeypatch.setenv("PORT", "8123")
    monkeypatch.setattr(server, "serve", serve)
    monkeypatch.setattr(start, "read_call", read_call)
    monkeypatch.setattr(start, "configure_logging", lambda _: None)
    monkeypatch.setattr(signals, "leave_on", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["handler.py"])
    return lambda: start.start(start.Entry())


def test_an_endpoint_behind_a_load_balancer_serves(
    started: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINPOINT_ENDPOINT", "http")
    with pytest.raises(Served):
        started()


@pytest.mark.parametrize(("endpoint", "words"), [("queue", []), ("", []), ("http", ["--test_input", "job.json"])])
def test_everything_else_goes_the_sdks_way(
    started: Callable[[], None], monkeypatch: pytest.MonkeyPatch, endpoint: str, words: list[str]
) -> None:
    monkeypatch.setenv("PINPOINT_ENDPOINT", endpoint)
    monkeypatch.setattr(sys, "argv", ["handler.py", *words])
    with pytest.raises(Refused):
        started()


def test_another_kind_of_endpoint_is_refused(started: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINPOINT_ENDPOINT", "lambda")
    with pytest.raises(SystemExit, match=r"invalid_setting: .*\(PINPOINT_ENDPOINT\)"):
        started()
