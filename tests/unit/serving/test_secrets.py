"""No line holds a query, a password or a key, however a library words it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.serving.secrets import redactor, secrets_of, without_queries

ENV = {
    "RUNPOD_AI_API_KEY": "rpa_KEY0123456789\n",
    "RUNPOD_WEBHOOK_PING": "https://api.example/v2/ping/$RUNPOD_POD_ID?gpu=A100&token=0123456789abcdef%2Fxy",
    "HTTP_PROXY": "http://someone:proxy-password@127.0.0.1:9",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20collector-token, x-team=abc,x-key=otel-key-1",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-key=traces-key==",
    "SHORT_KEY": "abc",
    "PATH": "/usr/bin:/bin",
}


@pytest.mark.parametrize(
    "line",
    [
        "Retrying after ConnectTimeoutError(<HTTPConnection(port=9)>, 'timed out')': /v2/ping/w?gpu=x&token=hidden",
        "Max retries exceeded with url: http://h/v2/o'brien/w?token=hidden (Caused by ProxyError('…'))",
        "500, message='x', url=URL('http://a:1/v2/e/job-take/w?gpu=x&token=hidden')",
        '{"requestId": null, "message": "url=http://a/b?token=hidden", "level": "ERROR"}',
        "http://h/a?b=c)d'token=hidden",
        "see http://h/a?x=hidden, http://h/b?y=hidden; then go on",
        "proxy http://user:hidden@h:9/ refused",
        "Invalid header value: 'rpa_KEY0123456789\\n'",
        "Invalid URL 'https: //…' of 0123456789abcdef/xy and 0123456789abcdef%2Fxy",
        "someone's proxy-password",
        "401 for {'authorization': 'Bearer collector-token', 'x-key': 'otel-key-1'}",
        "authorization=Bearer%20collector-token, x-key=traces-key==",
    ],
)
def test_a_secret_is_in_no_line(line: str) -> None:
    written = redactor(ENV)(line)
    for secret in (
        "hidden",
        "rpa_KEY",
        "0123456789abcdef",
        "proxy-password",
        "collector-token",
        "otel-key",
        "traces-key",
    ):
        assert secret not in written, written


@pytest.mark.parametrize(
    "line", ["Jobs in queue: 4", "is it ok? yes", "either/or? yes", "http://h/a/b", "a//b", "(see /status?)", "", "?"]
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert redactor(ENV)(line) == line


def test_what_follows_an_address_stays() -> None:
    assert without_queries("url=URL('http://a/b?c=d'), next") == "url=URL('http://a/b?…'), next"
    assert without_queries("at http://a/b?c=d. Then") == "at http://a/b?… Then"


def test_which_values_are_secrets() -> None:
    assert secrets_of(ENV) == {
        "rpa_KEY0123456789", "0123456789abcdef/xy", "0123456789abcdef%2Fxy", "proxy-password",
        "Bearer%20collector-token", "Bearer%2520collector-token", "Bearer collector-token", "collector-token",
        "otel-key-1", "traces-key==", "traces-key%3D%3D",
    }  # fmt: skip
    assert secrets_of({"ODD": "http://[broken?a=0123456789abcdef0"}) == set()


@given(st.text())
def test_cutting_twice_changes_nothing_more(text: str) -> None:
    once = without_queries(text)
    assert without_queries(once) == once


def test_a_line_of_slashes_takes_linear_time() -> None:
    began_s = time.process_time()
    without_queries("/" * 2_000_000 + " " + "//" * 500_000 + "?" * 500_000)
    assert time.process_time() - began_s < 5  # quadratic time would be minutes
