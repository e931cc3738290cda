"""The client goes through the proxy that the environment names, with its key, and tells where it cannot."""

from __future__ import annotations

import asyncio

import pytest

from pinpoint.client.rest import Rest
from pinpoint.client.retries import Retries
from pinpoint.errors import UnavailableError

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def asked(base: str, port_of: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The heads that a proxy was sent, which the variable names."""
    heads = list[str]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    monkeypatch.setenv(port_of, f"http://user:word@127.0.0.1:{server.sockets[0].getsockname()[1]}")
    rest = Rest(base, "key", Retries(tries=1), 5.0, "it", lambda: None)
    async with server:
        try:
            assert await rest.call("GET", "/x") == {}
        finally:
            await rest.close()
    return heads


def test_a_call_goes_through_the_proxy_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    [head] = asyncio.run(asked("http://pinpoint.invalid/v2", "HTTP_PROXY", monkeypatch))
    assert head.startswith("GET http://pinpoint.invalid/v2/x ") and "authorization: bearer key" in head.lower()
    assert "proxy-authorization: basic" in head.lower()


@pytest.mark.parametrize(
    ("base", "env", "told"),
    [
        ("http://pinpoint.invalid", {"NO_PROXY": "invalid", "HTTP_PROXY": "127.0.0.1:9"}, "it is not reached: "),
        (
            "http://pinpoint.invalid:8000",
            {"NO_PROXY": "other:80, pinpoint.invalid:8000", "HTTP_PROXY": "127.0.0.1:9"},
            "it is not reached: ",
        ),
        ("https://pinpoint.invalid", {"HTTPS_PROXY": "127.0.0.1:9"}, "it is not reached by the proxy 127.0.0.1: "),
        ("https://pinpoint.invalid", {"ALL_PROXY": "socks5://127.0.0.1:9"}, "it is not reached: a proxy that is not"),
        ("http://127.0.0.1:9", {"HTTP_PROXY": "http://127.0.0.1:9"}, "it is not reached: "),
    ],
)
def test_no_proxy_is_heard_and_one_that_cannot_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch, base: str, env: dict[str, str], told: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    rest = Rest(base, "key", Retries(tries=1), 5.0, "it", lambda: None)

    async def call() -> None:
        try:
            await rest.call("GET", "/x")
        finally:
            await rest.close()

    with pytest.raises(UnavailableError) as raised:
        asyncio.run(call())
    assert raised.value.message.startswith(told) and "key" not in raised.value.message


def test_a_proxy_that_is_not_spoken_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setattr(asyncio, "sleep", None)  # no wait between tries
    rest = Rest("https://pinpoint.invalid", "key", Retries(tries=8), 5.0, "it", lambda: None)
    for call in (rest.call("GET", "/x"), rest.reach("/ping")):
        with pytest.raises(UnavailableError):
            asyncio.run(call)
