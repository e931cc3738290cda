"""The server around the formats: keys, limits, overload, clients that leave, and its end; on an engine of hashes."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import typesafe_sdk as typesafe
import zstandard

from tests.collector import ONLY_AT_THE_END, Collector
from tests.http.running import Server, start

KEY = "a key of two words"
HEADERS = {"authorization": f"Bearer {KEY}"}
LIMIT_BYTES = 200_000
FAKE = str(Path(__file__).parent / "fake_server.py")
NUMBERS = count(1)
JSON = {"content-type": "application/json"}


def question(text: str = "x") -> dict[str, Any]:
    return {"model": "pinpoint", "input": text, "questions": [{"type": "predicate", "instructions": "Is it?"}]}


def state(text: str = "x") -> dict[str, Any]:
    return {"model": "pinpoint", "state": text, "questions": {"q": {"type": "noul", "instructions": "Is it?"}}}


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Of the server's traces and metrics."""
    with closing(Collector()) as one:
        yield one


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Server]:
    """With a key, little room, a health port of its own, and a model that loads until it is told not to."""
    loaded = tmp_path_factory.mktemp("loading") / "loaded"
    holds = tmp_path_factory.mktemp("holds")
    with start(
        FAKE, log=tmp_path_factory.mktemp("guarded") / "log", ports=2,
        PINPOINT_API_KEY=KEY, PINPOINT_MAX_HTTP_REQUESTS="2", PINPOINT_MAX_BODY_BYTES=str(LIMIT_BYTES),
        PINPOINT_BODY_S="0.7", PINPOINT_JOB_DEADLINE_S="8", MODEL_REVISION=str(loaded),
        HOLDS=str(holds), PORT_HEALTH=str(free_port()), HEALTH_CHECK_PATH="/healthz",
        **collector.env, **ONLY_AT_THE_END,
    ) as running:  # fmt: skip
        assert running.url.startswith("http://0.0.0.0:"), "with a key it listens everywhere"
        running.urls = [url.replace("0.0.0.0", "127.0.0.1") for url in running.urls]
        places = [f"{url}{path}" for url in running.urls for path in ("/ping", "/healthz")]
        assert [httpx.get(place).status_code for place in places] == [204] * 4
        running.holds = holds
        loaded.touch()
        running.wait_until_ready()
        assert [httpx.get(place).status_code for place in places] == [200] * 4
        yield running


@pytest.fixture(scope="module")
def http(guarded: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=guarded.url, headers=HEADERS, timeout=30) as client:
        yield client


class Hold:
    """A document that is computed for as long as this is held."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / str(next(NUMBERS))
        self.text = f"hold {self._file.name}"

    def end(self) -> None:
        self._file.touch()

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()


def busy(guarded: Server, count: int, hold: Hold, pool: ThreadPoolExecutor) -> list[Future[httpx.Response]]:
    """Requests in flight, once they are."""
    futures = [
        pool.submit(httpx.post, f"{guarded.url}/v1/decisions", json=question(hold.text), headers=HEADERS, timeout=60)
        for _ in range(count)
    ]
    guarded.wait_for(lambda: in_flight(guarded) >= count)
    return futures


@pytest.fixture
def hold(guarded: Server) -> Iterator[Hold]:
    with Hold(guarded.holds) as held:
        yield held


def in_flight(guarded: Server) -> int:
    """As the server counts: none of its watchers is counted."""
    text = httpx.get(f"{guarded.url}/metrics", headers=HEADERS).text
    return int(
        float(next(line.split()[1] for line in text.splitlines() if line.startswith("pinpoint_http_in_flight ")))
    )


def test_the_port_of_health_answers_nothing_else(guarded: Server) -> None:
    assert httpx.post(f"{guarded.urls[1]}/v1/decisions", json=question()).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"authorization": ""}, {"authorization": KEY}, {"authorization": "Bearer"}, {"authorization": "Bearer x"},
        {"authorization": f"Basic {KEY}"}, {"authorization": f"Bearer {KEY}x"}, {"authorization": f"Bearer {KEY[:-1]}"},
        {"authorization": b"Bearer \xff\xfe"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/systemone", "/classify", "/v1/models", "/health", "/metrics"])
def test_without_the_key_nothing_is_answered(guarded: Server, path: str, headers: dict[str, Any]) -> None:
    method = "GET" if path in ("/v1/models", "/health", "/metrics") else "POST"
    answer = httpx.request(method, guarded.url + path, headers=headers, content=b"{}" if method == "POST" else None)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert KEY not in answer.text and "bearer token" in answer.text


def test_the_clients_raise_their_own_errors_for_a_wrong_key(guarded: Server) -> None:
    with openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as raised:
            client.decisions.create(**question())
        assert raised.value.code == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
    once = typesafe.RetryPolicy(max_retries=0)
    with (
        typesafe.TypeSafeClient(base_url=guarded.url, api_key="wrong", retry=once) as client,
        pytest.raises(typesafe.TypeSafeAuthenticationError, match="bearer token"),
    ):
        client.system_one("x", {"q": typesafe.Noul(instructions="Is it?")})


DEEP = b'{"model":"pinpoint","input":' + b"[" * 100_000 + b"]" * 100_000 + b',"questions":[]}'
BODIES: list[tuple[str, dict[str, str], bytes, int, str]] = [
    ("nothing", JSON, b"", 400, "invalid_json"),
    ("no JSON", JSON, b"what?", 400, "invalid_json"),
    ("cut", JSON, json.dumps(question()).encode()[:-9], 400, "invalid_json"),
    ("no UTF-8", JSON, b'{"input": "\xff"}', 400, "invalid_json"),
    ("a long number", JSON, b'{"model": ' + b"9" * 5000 + b"}", 400, "invalid_json"),
    ("too deep to read", JSON, DEEP[: LIMIT_BYTES // 2], 400, "invalid_json"),
    ("too deep", JSON, b'{"model": ' + b"[" * 60 + b"]" * 60 + b"}", 400, "too_large"),
    ("NaN", JSON, b'{"model": NaN}', 400, "invalid_value"),
    ("1e999", JSON, b'{"model": 1e999}', 400, "invalid_value"),
    ("half a character", JSON, json.dumps(question("\ud800")).encode(), 400, "invalid_unicode"),
    ("a list", JSON, b"[]", 400, "invalid_type"),
    ("null", JSON, b"null", 400, "missing_required_parameter"),
    ("another kind", {"content-type": "text/plain"}, b"{}", 415, "not_json"),
    ("a form", {"content-type": "application/x-www-form-urlencoded"}, b"a=b", 415, "not_json"),
    ("too large", JSON, b'"' + b"x" * LIMIT_BYTES + b'"', 413, "body_too_large"),
    ("far too large", JSON, b'"' + b"x" * LIMIT_BYTES * 20 + b'"', 413, "body_too_large"),
    ("packed in another way", {**JSON, "content-encoding": "br"}, b"{}", 415, "not_json"),
    ("no gzip", {**JSON, "content-encoding": "gzip"}, b"{}", 400, "invalid_json"),
    ("no zstd", {**JSON, "content-encoding": "zstd"}, b"{}", 400, "invalid_json"),
    ("a bomb of gzip", {**JSON, "content-encoding": "gzip"}, gzip.compress(b" " * 10**8), 413, "body_too_large"),
    ("a bomb of zstd", {**JSON, "content-encoding": "zstd"}, zstandard.compress(b" " * 10**8), 413, "body_too_large"),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "body", "status", "code"), [row[1:] for row in BODIES], ids=[r[0] for r in BODIES])
def test_a_body_that_cannot_be_read_is_refused(
    http: httpx.Client, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    answer = http.post("/v1/decisions", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    systemone = http.post("/v1/systemone", content=body, headers=headers)
    assert systemone.status_code == (422 if status == 400 else status)
    assert systemone.json()["detail"]
    classify = http.post("/classify", content=body, headers=headers)
    assert classify.status_code == status and isinstance(classify.json()["error"], str)
    # And nothing of it is left behind.
    assert http.post("/v1/decisions", json=question()).status_code == 200


def test_bodies_may_be_packed(http: httpx.Client) -> None:
    plain = http.post("/v1/decisions", json=question("x " * 5000)).json()
    packed = json.dumps(question("x " * 5000)).encode()
    for encoding, body in (("gzip", gzip.compress(packed)), ("zstd", zstandard.compress(packed)), ("identity", packed)):
        answer = http.post("/v1/decisions", content=body, headers={**JSON, "content-encoding": encoding})
        assert answer.json() == plain


def test_a_body_in_pieces_is_read_and_one_that_is_too_slow_is_refused(http: httpx.Client) -> None:
    body = json.dumps(question()).encode()

    def pieces(rest_s: float) -> Iterator[bytes]:
        for start_ in range(0, len(body), 40):
            time.sleep(rest_s)
            yield body[start_ : start_ + 40]

    assert http.post("/v1/decisions", content=pieces(0.01), headers=JSON).status_code == 200
    slow = http.post("/v1/decisions", content=pieces(0.6), headers=JSON)
    assert (slow.status_code, slow.json()["error"]["code"]) == (408, "body_too_slow")


def test_a_body_that_is_cut_takes_its_place_with_it(guarded: Server, http: httpx.Client) -> None:
    host, port = guarded.url.removeprefix("http://").split(":")
    for _ in range(3):
        with closing(socket.create_connection((host, int(port)))) as client:
            head = f"POST /v1/decisions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 900\r\n"
            client.sendall(head.encode() + b'content-type: application/json\r\n\r\n{"model"')
    guarded.wait_for(lambda: in_flight(guarded) == 0)
    assert http.post("/v1/decisions", json=question()).status_code == 200


def test_one_request_too_many_is_told_when_to_come_back(guarded: Server, http: httpx.Client, hold: Hold) -> None:
    with ThreadPoolExecutor(2) as pool, hold:
        running = busy(guarded, 2, hold, pool)
        answer = http.post("/v1/decisions", json=question())
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert answer.json()["error"] | {"message": ""} == {
            "message": "", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded",
        }  # fmt: skip
        with (
            openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=KEY, max_retries=0) as client,
            pytest.raises(openai.RateLimitError),
        ):
            client.decisions.create(**question())
        systemone = http.post("/v1/systemone", json=state())
        assert (systemone.status_code, systemone.headers["retry-after"]) == (429, "1")
        assert httpx.get(f"{guarded.url}/ping").status_code == 200, "whoever watches is let in"
        hold.end()
        assert [future.result().status_code for future in running] == [200, 200]


def test_clients_that_leave_give_up_their_places(guarded: Server, http: httpx.Client, hold: Hold) -> None:
    host, port = guarded.url.removeprefix("http://").split(":")
    body = json.dumps(question(hold.text)).encode()
    head = f"POST /v1/decisions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n"
    with ExitStack() as leaving:
        for _ in range(2):
            client = leaving.enter_context(closing(socket.create_connection((host, int(port)))))
            client.sendall(head.encode() + b"content-type: application/json\r\n\r\n" + body)
        guarded.wait_for(lambda: in_flight(guarded) == 2)
    guarded.wait_for(lambda: in_flight(guarded) == 0)  # though what they asked for is still being computed
    # Not at their deadline either: nobody was answered.
    assert guarded.log.read_text().count("route=/v1/decisions status=499") >= 2
    hold.end()
    assert http.post("/v1/decisions", json=question()).status_code == 200


def test_a_request_past_its_deadline_is_told_so(http: httpx.Client, hold: Hold) -> None:
    answer = http.post("/v1/decisions", json=question(hold.text))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "deadline_exceeded")


def test_a_fault_of_ours_is_told_without_a_word_of_the_document(guarded: Server, http: httpx.Client) -> None:
    for path, body in (("/v1/decisions", question("fail")), ("/v1/systemone", state("fail"))):
        answer = http.post(path, json=body)
        assert answer.status_code == 500
        assert "secret" not in answer.text and "Traceback" not in answer.text
    with (
        openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=KEY, max_retries=0) as client,
        pytest.raises(openai.InternalServerError) as raised,
    ):
        client.decisions.create(**question("fail"))
    assert raised.value.code == "server_error"
    assert "secret" not in guarded.log.read_text()


def test_a_route_or_a_method_that_is_not_there_is_told(http: httpx.Client) -> None:
    missing = http.post("/v1/chat/completions", json={})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_route")
    assert "/v1/decisions" in missing.json()["error"]["message"]
    method = http.get("/v1/decisions")
    assert (method.status_code, method.headers["allow"]) == (405, "POST")


def test_what_is_watched_holds_what_happened(http: httpx.Client) -> None:
    http.post("/v1/decisions", json=question())
    text = http.get("/metrics").text
    assert 'pinpoint_http_requests_total{route="/v1/decisions",status="200"}' in text
    assert 'pinpoint_jobs_total{result="answered"}' in text
    assert "pinpoint_http_request_seconds_bucket" in text
    health = http.get("/health").json()
    assert health["jobs"]["answered"] > 0 and "tokens_computed" not in health["batches"]


def test_no_document_and_no_key_is_in_the_log(guarded: Server, http: httpx.Client) -> None:
    http.post("/v1/decisions", json=question("Quetzalcoatlus"))
    http.post("/v1/decisions", json={**question(), "Quetzalcoatlus": 1})
    identity = http.post("/v1/systemone", json=state()).headers["x-typesafe-request-id"]
    log = guarded.log.read_text()
    assert "status=ok" in log and "status=error" in log
    assert f"request={identity} route=/v1/systemone status=200" in log
    assert "Quetzalcoatlus" not in log and KEY not in log


def test_sigterm_answers_what_is_in_flight_and_refuses_what_comes(
    guarded: Server, http: httpx.Client, hold: Hold, collector: Collector
) -> None:
    assert not collector.bodies
    with ThreadPoolExecutor(2) as pool, hold:
        running = busy(guarded, 1, hold, pool)
        guarded.process.send_signal(signal.SIGTERM)
        guarded.wait_for(lambda: httpx.get(f"{guarded.url}/ping").status_code == 503)
        assert httpx.get(f"{guarded.urls[1]}/healthz").status_code == 503
        answer = http.post("/v1/decisions", json=question())
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining")
        assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")
        # A body that comes later than the answer is known: who is still sending hears it all the same.
        host, port = guarded.url.removeprefix("http://").split(":")
        with closing(socket.create_connection((host, int(port)))) as client:
            client.sendall(b"POST /v1/decisions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
            time.sleep(0.1)
            client.sendall(b"x" * 1_000_000)
            assert client.recv(100).startswith(b"HTTP/1.1 401")  # it brings no key
        hold.end()
        (last,) = (future.result() for future in running)
        assert (last.status_code, last.headers["connection"]) == (200, "close")
    assert guarded.process.wait(20) == 0
    assert "ended in_flight=0" in guarded.log.read_text()
    # The last job's too: it ended after SIGTERM.
    assert "job" in {span.name for span in collector.spans()} and collector.counted()["pinpoint.jobs"]


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        log = tmp_path / "log"
        words = ("-m", "pinpoint", "serve", "--port", str(taken.getsockname()[1]))
        with pytest.raises(AssertionError, match=r"invalid_setting: cannot listen on 127"), start(*words, log=log):
            pass
        assert len(log.read_text().splitlines()) == 1
