"""The guards' inner parts, without a platform: cutting a batch, keeping results, noticing a changed SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.serving import sdk_guards
from pinpoint.serving.sdk_guards.probe import Target, differences
from pinpoint.serving.sdk_guards.taken_jobs import Refused, answerable_id, elements, find_id, read_jobs
from pinpoint.serving.secrets import without_queries
from tests.worker.processes import ROOT

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
UNREADABLE_TEXTS = ["1" * 5000, "[" * 5000 + "]" * 5000, "}", "nul", "\udc80"]
UNREADABLE = st.sampled_from(range(len(UNREADABLE_TEXTS)))  # drawn by number: the longest cannot be shown


@given(st.lists(JSON | st.tuples(UNREADABLE), min_size=1), st.booleans())
def test_a_list_is_cut_into_its_elements(values: list[Any], spaced: bool) -> None:
    texts = [UNREADABLE_TEXTS[value[0]] if isinstance(value, tuple) else json.dumps(value) for value in values]
    cut = list(elements("[" + (" , " if spaced else ",").join(texts) + "]"))
    assert [text.strip() for text in cut] == texts


@given(st.binary())
def test_no_body_can_make_reading_fail(body: bytes) -> None:
    read_jobs(body)
    read_jobs(b"[" + body)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.randoms())
def test_good_jobs_are_all_that_is_left(goods: list[bool], chance: Any) -> None:
    bad = [b'{"id": "bad", "input": %s}' % (b"1" * 5000), b"{}", b"7", b'{"id": "\xff", "input": 1}', b'{"id": "x"}',
           b'{"id": [], "input": 1}']  # fmt: skip
    parts = [b'{"id": "%d", "input": {}}' % n if good else chance.choice(bad) for n, good in enumerate(goods)]
    jobs, refused = read_jobs(b"[" + b",".join(parts) + b"]")
    assert [job["id"] for job in jobs] == [str(n) for n, good in enumerate(goods) if good]
    assert len(jobs) + len(refused) == len(goods)


def test_the_id_of_an_unreadable_job_is_found_at_its_top_level_alone() -> None:
    huge = "1" * 5000
    assert find_id(f'{{"input": {{"id": "inner", "n": {huge}}}, "id": "outer"}}') == "outer"
    assert find_id(f'{{"input": {{"id": "inner", "n": {huge}}}}}') is None
    assert find_id(f'{{"webhook": "id", "id": 5, "n": {huge}}}') == "5"
    assert find_id(f'{{"n": {huge}, "id": 7.5 }}') == "7.5"
    assert find_id(f'{{"id": {huge}, "n": 1}}') is None
    assert find_id(f'{{"id": [5], "n": {huge}}}') is None
    assert read_jobs(f'{{"id": "single", "input": {huge}}}'.encode())[1] == [
        Refused("single", "invalid_json: the job is not JSON that can be read")
    ]


def test_an_endless_string_is_read_in_linear_time() -> None:
    began_s = time.process_time()
    jobs, refused = read_jobs(b'[{"id": "first", "input": 1}, {"id": "cut", "input": "' + b'\\"' * 500_000 + b"\\")
    assert ([job["id"] for job in jobs], [bad.id for bad in refused]) == (["first"], ["cut"])
    assert time.process_time() - began_s < 1


@pytest.mark.parametrize(
    ("job_id", "named"),
    [(7, "7"), (-1, "-1"), (0, "0"), (7.5, "7.5"), ("a\u00a0b", "a\u00a0b"), (" a", " a"), ("a b", "a b"),
     ("\u2003", "\u2003"), ("a/../b", "a/../b"), ("%2e", "%2e"), ("ключ", "ключ"), ("x" * 256, "x" * 256)],
)  # fmt: skip
def test_a_job_whose_id_can_be_quoted_is_run(job_id: object, named: str) -> None:
    assert answerable_id(job_id) == named
    jobs, refused = read_jobs(json.dumps({"id": job_id, "input": 1}).encode())
    assert ([job["id"] for job in jobs], refused) == ([named], [])


@pytest.mark.parametrize("job_id", ["a\nb", "a\x00", "a\u2028b", "\x7f", "a\tb", "x" * 257, "x" * 2000])
def test_one_that_cannot_be_run_is_told_so(job_id: str) -> None:
    jobs, (bad,) = read_jobs(json.dumps({"id": job_id, "input": 1}).encode())
    assert (jobs, bad.id) == ([], job_id)
    assert bad.error.startswith("invalid_id: the job's id has ")


@pytest.mark.parametrize(
    ("job_id", "why"),
    [("", "empty"), (".", "dots alone"), ("..", "dots alone"), ("a\ud800", "no Unicode text"),
     ("x" * 2001, "2001 characters"), (None, "null"), (["a"], "a list"), ({"a": 1}, "an object"),
     (True, "true or false"), (int("9" * 2001), "a number of too many digits")],
)  # fmt: skip
def test_one_that_nobody_can_be_told_of_is_said_in_the_log(job_id: object, why: str) -> None:
    jobs, (bad,) = read_jobs(json.dumps({"id": job_id, "input": 1}).encode())
    assert (jobs, bad) == ([], Refused(None, f"a taken job has an id that no answer can name: {why}"))


@given(JSON)
def test_any_id_is_run_or_refused(job_id: Any) -> None:
    jobs, refused = read_jobs(json.dumps([{"id": job_id, "input": 1}, {"id": "good", "input": 1}]).encode())
    assert len(jobs) + len(refused) == 2 and jobs[-1]["id"] == "good"
    assert all(isinstance(job["id"], str) for job in jobs)


@pytest.mark.parametrize("body", [b"", b" ", b"null", b"[]", b"\n[ ]"])
def test_no_job_is_no_complaint(body: bytes) -> None:
    assert read_jobs(body) == ([], [])


def test_a_changed_or_missing_function_is_noticed() -> None:
    assert differences((Target("rp_http", "send_result", "0" * 16),))[0].endswith(f"not {'0' * 16}")
    assert differences((Target("rp_http", "no_such", "0" * 16),)) == ["rp_http.no_such is gone"]
    assert differences((Target("no_such", "x", "0" * 16),)) == ["no_such.x is gone"]
    assert differences((Target("rp_http", "JOB_DONE_URL", "0" * 16),)) == [
        "rp_http.JOB_DONE_URL has no source to compare"
    ]


CHANGED = """
import logging, runpod
from runpod.serverless.modules import rp_http, rp_scale
logging.basicConfig(format="%(message)s")
async def _handle_result(session, job_data, job, url_template, log_message, is_stream=False): pass
rp_http._handle_result = _handle_result
kept = rp_scale.get_job
from pinpoint.serving import sdk_guards
from pinpoint.settings import Settings
print(*sdk_guards.install(Settings(hang_s=0)))
assert rp_http._handle_result is _handle_result and rp_scale.get_job is not kept
assert sdk_guards.install(Settings()) == ["log", "ping", "take", "drain", "slots"]
assert not sdk_guards.request_replacement("x")
"""


def test_a_guard_whose_function_changed_steps_aside_and_says_so() -> None:
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "RUNPOD_LOG_LEVEL": "INFO"}
    done = subprocess.run([sys.executable, "-"], input=CHANGED, env=env, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "log ping take drain slots"  # replacement stands on results
    assert "sdk guard results (SDK 1.12.0) steps aside: rp_http._handle_result" in done.stderr
    assert "sdk guard watchdog (SDK 1.12.0) steps aside: hang_s is 0" in done.stderr


def test_without_installation_nothing_happens() -> None:
    with sdk_guards.forward():
        assert sdk_guards.replacement_reason() is None
    assert not sdk_guards.request_replacement("nobody listens")


def test_neither_the_sdk_nor_torch_is_imported_with_the_guards() -> None:
    code = "import sys, pinpoint.serving.sdk_guards; assert not {'torch', 'runpod', 'aiohttp'} & set(sys.modules)"
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=60)


@pytest.mark.parametrize(
    ("message", "written"),
    [
        ("500, url=URL('http://a:1/v2/e/job-take/w?gpu=x&key=secret')", "500, url=URL('http://a:1/v2/e/job-take/w?…')"),
        (
            "retries exceeded with url: /v2/ping/w?key=secret (Caused by …)",
            "retries exceeded with url: /v2/ping/w?… (Caused by …)",
        ),
        ("Jobs in queue: 4", "Jobs in queue: 4"),
    ],
)
def test_an_address_in_a_line_ends_before_its_query(message: str, written: str) -> None:
    assert without_queries(message) == written
