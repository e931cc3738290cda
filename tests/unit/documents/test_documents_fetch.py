"""Documents from addresses: what is asked, what is believed, and what is never reached."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from pinpoint.documents.fetch import Fetched, Fetcher, FetchRules, is_public
from pinpoint.errors import DocumentError

SECRET = "X-Amz-Signature=do-not-repeat-me"
OPEN = FetchRules(hosts=("files.example.com", "*.below.example.com"))
LOCAL = replace(OPEN, allow_http=True, allow_private=True, deadline_s=5.0, max_bytes=1_000_000)

Answer = Callable[[bytes, socket.socket], None]


class Server:
    """Answers each request with the next of its answers, and keeps what it was asked."""

    def __init__(self, *answers: bytes | Answer) -> None:
        self.asked = list[bytes]()
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            try:
                asked = b""
                while b"\r\n\r\n" not in asked and not asked.startswith(b"\x16"):
                    if not (piece := connection.recv(65536)):
                        return
                    asked += piece
                self.asked.append(asked)
                answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
                if callable(answer):
                    answer(asked, connection)
                else:
                    connection.sendall(answer)
            except OSError:
                return

    def url(self, path: str = "/a/invoice%207.pdf") -> str:
        return f"http://files.example.com:{self.port}{path}?{SECRET}"

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = list[Server]()

    def start(*answers: bytes | Answer) -> Server:
        servers.append(Server(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def moved(to: str) -> bytes:
    return answer(b"", f"Location: {to}", status="302 Found")


async def local(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def resolving(*rounds: Sequence[str]) -> tuple[Callable[[str, int], object], list[str]]:
    """A resolver that answers differently each time it is asked, and keeps for what."""
    asked = list[str]()

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return rounds[min(len(asked), len(rounds)) - 1]

    return resolve, asked


def fetch(url: str, rules: FetchRules = LOCAL, resolve: object = local, **more: object) -> Fetched:
    return asyncio.run(Fetcher(rules, resolve, **more).file_at(url))  # type: ignore[arg-type]


def refused(url: str, rules: FetchRules = LOCAL, resolve: object = local) -> str:
    with pytest.raises(DocumentError) as caught:
        fetch(url, rules, resolve)
    assert SECRET not in caught.value.wire() and "example.com" not in caught.value.wire()
    return caught.value.code


def test_documents_url_is_fetched_as_it_was_signed(
    serve: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(answer(b"%PDF", "Content-Type: application/pdf", "Set-Cookie: a=b"))
    with caplog.at_level(logging.DEBUG):
        found = fetch(server.url("/a%2Fb/invoice%207.pdf"))
    assert found == Fetched(b"%PDF", "application/pdf", "invoice 7.pdf")
    head, *lines = server.asked[0].decode().split("\r\n")
    assert head == f"GET /a%2Fb/invoice%207.pdf?{SECRET} HTTP/1.1"
    assert {line.partition(":")[0] for line in lines if line} <= {
        "Host", "User-Agent", "Accept-Encoding", "Accept", "Connection",
    }  # fmt: skip
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example.com/a", "ftp://files.example.com/a", "file:///etc/passwd", "data:text/plain,hello",
        "javascript:alert(1)", "//files.example.com/a", "files.example.com/a", "https:///a", "https://", "",
        "https://user:password@files.example.com/a", "https://user@files.example.com/a", "https://@files.example.com/",
        "https://files.example.com@evil.example/", "https://evil.example/", "https://files.example.com.evil.example/",
        "https://xfiles.example.com/", "https://below.example.com/", "https://evilbelow.example.com/",
        "https://files.example.com:8443/a", "https://files.example.com:99999/", "https://files.example.com:x/",
        "https://files.example.com /a", "https://files.example.com\\@evil.example/", "https://files.example.com/\n",
        "https://[::1]/", "https://127.0.0.1/", "https://169.254.169.254/latest/", "https://[::1", "https://ﬁles.example.com/",
        "https://files.example.com/" + "a" * 9_000, "https://\u2024.example.com/",
    ],
)  # fmt: skip
def test_documents_url_that_may_not_be_asked(url: str) -> None:
    resolve, asked = resolving(["93.184.216.34"])
    assert refused(url, OPEN, resolve) == "url_not_allowed"
    assert asked == []


def test_documents_url_without_a_list_is_not_asked() -> None:
    assert refused("https://files.example.com/a", FetchRules()) == "url_not_allowed"
    assert OPEN.allows("FILES.example.com.") and OPEN.allows("a.b.below.example.com")
    assert FetchRules(hosts=("*",)).allows("anything.example")


INSIDE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "255.255.255.255", "224.0.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0",
    "fec0::1", "fc00::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::a00:1",
    "2002:a9fe:a9fe::", "2002:7f00:1::", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2001:0:a9fe:a9fe::1",
    "2001:0:5ef5:79fd:0:0:80ff:fffe", "not an address", "", "0x7f.1", "2130706433",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_documents_url_that_leads_inside_is_not_asked(address: str) -> None:
    assert not is_public(address)
    for found in ([address], ["93.184.216.34", address]):
        resolve, _ = resolving(found)
        assert refused("https://files.example.com/a", OPEN, resolve) == "url_address_refused"


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::808:808"]
)
def test_documents_url_that_leads_outside(address: str) -> None:
    assert is_public(address)


def test_documents_url_of_an_address_on_the_list_is_held_to_the_same() -> None:
    rules = replace(OPEN, hosts=("169.254.169.254", "::1", "*"))
    assert refused("https://169.254.169.254/latest/", rules) == "url_address_refused"
    assert refused("https://[::1]/", rules) == "url_address_refused"
    resolve, _ = resolving(["127.0.0.1"])
    assert refused("https://2130706433/", rules, resolve) == "url_address_refused"


def test_documents_url_is_asked_of_the_address_that_was_looked_at(serve: Callable[..., Server]) -> None:
    """A name that leads elsewhere a moment later leads nowhere: it is resolved once for a connection."""
    inside, outside = serve(answer(b"inside")), serve(answer(b"outside"))
    resolve, asked = resolving(["127.0.0.1"], ["127.0.0.2"])
    assert fetch(outside.url(), resolve=resolve).content == b"outside"
    assert len(asked) == 1 and inside.asked == []


def test_documents_url_redirect_is_held_to_the_same(serve: Callable[..., Server]) -> None:
    target = serve(answer(b"there"))
    assert fetch(serve(moved(target.url())).url()).content == b"there"
    assert fetch(serve(moved("/elsewhere"), answer(b"here")).url()).content == b"here"
    for to in ("https://evil.example/", "file:///etc/passwd", "http://user:x@files.example.com/", "//evil.example/"):
        assert refused(serve(moved(to)).url()) == "url_not_allowed"
    again = serve(moved("/again"))
    assert refused(again.url()) == "fetch_failed"
    assert len(again.asked) == 6


def test_documents_url_redirect_to_a_private_address_is_not_followed(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(moved("http://files.example.com/latest/meta-data/"))
    seen = list[str]()

    def public_at_first(address: str) -> bool:
        seen.append(address)
        return len(seen) == 1

    monkeypatch.setattr("pinpoint.documents.fetch.is_public", public_at_first)
    monkeypatch.setattr("pinpoint.documents.fetch._PORTS", {"http": server.port, "https": 443})
    resolve, _ = resolving(["127.0.0.1"], ["169.254.169.254"])
    rules = replace(LOCAL, allow_private=False)
    assert refused(server.url(), rules, resolve) == "url_address_refused"
    assert seen == ["127.0.0.1", "169.254.169.254"] and len(server.asked) == 1


def drip(asked: bytes, connection: socket.socket) -> None:
    import time

    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.1)


def drip_headers(asked: bytes, connection: socket.socket) -> None:
    import time

    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(100):
        connection.sendall(b"X-%d: y\r\n" % number)
        time.sleep(0.1)


def silence(asked: bytes, connection: socket.socket) -> None:
    import time

    time.sleep(5)


@pytest.mark.parametrize("slow", [drip, drip_headers, silence])
def test_documents_url_slow_answers_end_at_the_deadline(serve: Callable[..., Server], slow: Answer) -> None:
    assert refused(serve(slow).url(), replace(LOCAL, deadline_s=0.6)) == "fetch_timeout"


def test_documents_url_slow_names_end_at_the_deadline() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    assert refused("https://files.example.com/", replace(OPEN, deadline_s=0.2), never) == "fetch_timeout"


def endless(asked: bytes, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")


BOMB = gzip.compress(bytes(50_000_000))


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (answer(b"x", length=10**12), "file_too_large"),
        (answer(b"x", length=100), "fetch_failed"),
        (answer(b"hello and more", length=5), "fetch_failed"),
        (answer(bytes(1_000_001)), "file_too_large"),
        (endless, "file_too_large"),
        (answer(BOMB, "Content-Encoding: gzip"), "file_too_large"),
        (answer(BOMB[:-20], "Content-Encoding: gzip"), "file_too_large"),
        (answer(gzip.compress(b"hello world", mtime=0)[:-6], "Content-Encoding: gzip"), "fetch_failed"),
        (answer(b"not gzip", "Content-Encoding: gzip"), "fetch_failed"),
        (answer(b"x", "Content-Encoding: br"), "fetch_failed"),
        (answer(b"x", status="403 Forbidden"), "fetch_failed"),
        (answer(b"x", status="206 Partial Content"), "fetch_failed"),
        (answer(b"x", status="302 Found"), "fetch_failed"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "fetch_failed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx", "fetch_failed"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "fetch_failed"),
        (b"", "fetch_failed"),
    ],
)
def test_documents_url_answers_that_lie(serve: Callable[..., Server], said: bytes | Answer, code: str) -> None:
    assert refused(serve(said).url()) == code


def test_documents_url_packed_bodies_are_unpacked(serve: Callable[..., Server]) -> None:
    body = b"words " * 100_000
    for name, packed in (("gzip", gzip.compress(body, mtime=0)), ("deflate", zlib.compress(body))):
        assert fetch(serve(answer(packed, f"Content-Encoding: {name}")).url()).content == body


def test_documents_url_uses_no_proxy(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = serve(answer(b"from the proxy")), serve(answer(b"from the server"))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert fetch(server.url()).content == b"from the server"
    assert proxy.asked == []


def test_documents_url_needs_a_certificate_that_is_trusted(serve: Callable[..., Server]) -> None:
    server = serve(answer(b"plain"))
    url = server.url().replace("http://", "https://")
    assert refused(url) == "fetch_failed"


def test_documents_url_host_that_is_not_there() -> None:
    async def nobody(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    assert refused("https://files.example.com/", OPEN, nobody) == "fetch_failed"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert refused(f"http://files.example.com:{port}/") == "fetch_failed"
