"""Posting, keeping and pacing without a platform: what is accepted, what is kept, what is said when it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.serving.sdk_guards import kept_posts
from pinpoint.serving.sdk_guards.drain import DrainGuard
from pinpoint.serving.sdk_guards.kept_results import KeptResults, Result
from pinpoint.serving.sdk_guards.pace import Pace
from pinpoint.serving.sdk_guards.post import Reply, post
from pinpoint.serving.sdk_guards.results import ResultsGuard
from pinpoint.serving.sdk_guards.runtime import Runtime
from pinpoint.serving.watch.log_words import printable

URL = "http://127.0.0.1/done/$ID?x=1"
FORGING = "a\u00a0status=lost\njob=b"


class FakeSession:
    """Answers posts with the statuses told, then 200; a status with a place is a redirect, an error is raised."""

    def __init__(self, *answers: int | tuple[int, str] | tuple[int, bytes] | Exception) -> None:
        self.answers = list(answers)
        self.posted: list[tuple[str, bytes]] = []
        self.urls: list[str] = []

    @asynccontextmanager
    async def post(self, url: str, data: bytes, headers: dict[str, str], **options: Any) -> Any:
        assert options["allow_redirects"] is False
        self.urls.append(url)
        self.posted.append((headers["X-Request-ID"], data))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        status, more = answer if isinstance(answer, tuple) else (answer, b"")
        left = [more] if isinstance(more, bytes) else []

        async def read(size: int) -> bytes:
            return left.pop()[:size] if left else b""

        location = {"Location": more} if isinstance(more, str) else {}
        yield SimpleNamespace(status=status, headers=location, content=SimpleNamespace(read=read))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE_S", "LONGEST_PAUSE_S", "LAST_S", "LAST_PAUSE_S"):
        monkeypatch.setattr(kept_posts, name, 0.02)


def a_result(job_id: str) -> Result:
    return Result(job_id, URL.replace("$ID", job_id), job_id.encode())


async def deliver(guard: ResultsGuard, session: FakeSession, *job_ids: str) -> None:
    for job_id in job_ids:
        await guard._deliver_final(session, a_result(job_id))


async def until_sent(guard: ResultsGuard) -> None:
    async with asyncio.timeout(5):
        while len(guard.kept):
            await asyncio.sleep(0.01)


# One attempt


@pytest.mark.parametrize(
    "status", [*range(100, 600, 7), 204, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 409, 413]
)
async def test_only_2xx_is_acceptance(status: int) -> None:
    assert (await post(FakeSession(status), a_result("a"), 1)).accepted == (200 <= status < 300)


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_with_another_method_is_not_followed(status: int) -> None:
    session = FakeSession((status, "/landing"))
    reply = await post(session, a_result("a"), 1)
    assert (reply.accepted, session.urls) == (False, [URL.replace("$ID", "a")])


@pytest.mark.parametrize(
    ("place", "followed"),
    [("/elsewhere?x=2", True), ("http://127.0.0.1:81/done", True), ("https://127.0.0.1/done", True),
     ("http://localhost/done", False), ("//evil.example/done", False), ("ftp://127.0.0.1/done", False),
     ("http://[", False)],
)  # fmt: skip
@pytest.mark.parametrize("status", [307, 308])
async def test_the_same_post_elsewhere_on_the_host_is_made(status: int, place: str, followed: bool) -> None:
    session = FakeSession((status, place))
    reply = await post(session, a_result("a"), 1)
    assert (reply.accepted, len(session.urls)) == ((True, 2) if followed else (False, 1))


async def test_it_is_not_led_in_circles_or_from_https_to_http() -> None:
    circle = FakeSession(*[(307, "/again")] * 50)
    assert not (await post(circle, a_result("a"), 1)).accepted and len(circle.urls) < 10
    down = FakeSession((307, "http://127.0.0.1/done"))
    assert not (await post(down, Result("a", "https://127.0.0.1/done", b""), 1)).accepted and len(down.urls) == 1


@pytest.mark.parametrize("error", [OverflowError(), RuntimeError("Session is closed"), TimeoutError(), ValueError("x")])
async def test_whatever_is_raised_is_an_outcome(error: Exception) -> None:
    assert await post(FakeSession(error), a_result("a"), 1) == Reply(None, type(error).__name__)


# A result's way


async def test_a_result_given_up_is_posted_when_another_is_accepted(quick: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(kept_posts, "FIRST_PAUSE_S", 60.0)
    monkeypatch.setattr(kept_posts, "LONGEST_PAUSE_S", 60.0)
    guard, session = ResultsGuard(attempt_s=1, deadline_s=0, kept_bytes=100), FakeSession(503, 503)
    await deliver(guard, session, "a", "b")
    assert (len(guard.kept), guard.kept.bytes, guard.unaccepted()) == (2, 2, ["a", "b"])
    await deliver(guard, session, "c")
    await until_sent(guard)
    assert [name for name, _ in session.posted] == ["a", "b", "c", "a", "b"]
    assert (guard.kept.bytes, guard.unaccepted()) == (0, [])


async def test_it_is_posted_by_the_timer_though_nothing_else_happens(quick: None) -> None:
    guard, session = ResultsGuard(attempt_s=1, deadline_s=0, kept_bytes=100), FakeSession(503, 503, 404, 200, 302)
    await deliver(guard, session, "a", "b")
    await until_sent(guard)
    # a fails, b fails; a is refused, which says nothing about b; then a again, twice.
    assert [name for name, _ in session.posted] == ["a", "b", "a", "b", "a", "a"]


async def test_a_job_that_was_answered_otherwise_is_not_posted_once_more(quick: None) -> None:
    guard, session = ResultsGuard(attempt_s=1, deadline_s=0, kept_bytes=100), FakeSession(503)
    await deliver(guard, session, "a", "a")
    await asyncio.sleep(0.1)
    assert [name for name, _ in session.posted] == ["a", "a"] and not len(guard.kept)


async def test_the_end_tries_all_and_says_what_is_lost(quick: None, caplog: pytest.LogCaptureFixture) -> None:
    guard, session = ResultsGuard(attempt_s=1, deadline_s=0, kept_bytes=100), FakeSession(503, 503, 503)
    await deliver(guard, session, "a", "b", FORGING)
    session.answers = [503, 200, 503, *[503] * 1000]
    await guard.kept_posts.finish()
    assert not len(guard.kept)
    lost = [line for line in caplog.messages if " status=lost" in line]
    assert sorted(line.split()[0] for line in lost) == ["job=a", f"job={printable(FORGING)}"]
    assert all(line.endswith("why=worker_ends") for line in lost)


async def test_a_400_that_names_the_job_as_gone_ends_it(quick: None) -> None:
    words = b'{"error": "job a does not exist"}'
    guard, session = ResultsGuard(attempt_s=1, deadline_s=60, kept_bytes=100), FakeSession(*[(400, words)] * 9)
    await deliver(guard, session, "a")
    assert (len(session.posted), len(guard.kept)) == (4, 0)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413])
async def test_a_4xx_is_tried_until_the_deadline_and_kept(status: int) -> None:
    guard, session = ResultsGuard(attempt_s=1, deadline_s=1.0, kept_bytes=100), FakeSession(*[status] * 99)
    await deliver(guard, session, "a")
    assert {body for _, body in session.posted} <= {b"a", b'{"error": "result_refused: the platform refused this '
                                                    b'result; it may be too large"}'}  # fmt: skip
    assert [result.body for result in guard.kept.results] == [b"a"]


@pytest.mark.parametrize("job_id", [FORGING, "a status=ok", "a\x1b[31mb\u2028c"])
async def test_no_id_can_forge_a_word_or_a_line(job_id: str, quick: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    guard, session = ResultsGuard(attempt_s=1, deadline_s=0.3, kept_bytes=3), FakeSession(*[503] * 5)
    await deliver(guard, session, job_id)
    KeptResults(0).put(a_result(job_id))
    assert len(caplog.records) >= 2
    for record in caplog.records:
        line = record.getMessage()
        assert line.isprintable() and "\u00a0" not in line
        assert [word.partition("=")[0] for word in line.split()].count("status") == 1
        assert [word.partition("=")[0] for word in line.split()].count("job") == 1


# What is kept


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.binary(max_size=9))), st.integers(0, 20))
def test_kept_results_never_exceed_their_bound(puts: list[tuple[str, bytes]], limit_bytes: int) -> None:
    kept = KeptResults(limit_bytes)
    for job_id, body in puts:
        kept.put(Result(job_id, "", body))
        assert kept.bytes == sum(len(result.body) for result in kept.results) <= limit_bytes
    for result in kept.results:
        assert kept.holds(result)
        kept.drop(result.job_id)
    assert kept.bytes == 0 == len(kept)


def test_what_is_too_old_is_given_up_and_said(caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptResults(100, kept_for_s=-1.0)
    kept.put(a_result("a"))
    kept.lose_old()
    assert not len(kept) and caplog.messages == ["job=a status=lost at=post bytes=1 why=too_old"]


# Pauses


@given(st.floats(1e-3, 10), st.floats(1, 1000), st.integers(1, 2000))
def test_pauses_grow_to_their_longest_and_begin_anew(first_s: float, factor: float, count: int) -> None:
    pace = Pace(first_s, first_s * factor)
    pauses = [pace.next_s() for _ in range(count)]
    assert pauses == sorted(pauses) and pauses[0] == first_s and pauses[-1] <= first_s * factor
    pace.reset()
    assert pace.next_s() == first_s


@pytest.fixture
def stops() -> Iterator[tuple[DrainGuard, dict[str, Any]]]:
    runtime = Runtime()
    jobs: dict[str, Any] = {}
    runtime.scaler = SimpleNamespace(jobs_tasks=jobs)
    yield DrainGuard(1.0, runtime, lambda: False), jobs


async def test_stop_polls_rest_unless_they_stop_something(stops: tuple[DrainGuard, dict[str, Any]]) -> None:
    drain, jobs = stops
    answers: list[list[str]] = []

    async def poll(session: Any) -> list[str]:
        return answers.pop(0)

    rests = []
    task = asyncio.get_running_loop().create_task(asyncio.sleep(60))
    script: list[tuple[list[str], dict[str, Any]]] = [
        (["x"], {}), (["x"], {}), (["a"], {"a": task}), (["a"], {"a": task}), ([], {}),
    ]  # fmt: skip
    for answer, known in script:
        answers.append(list(answer))
        jobs.clear()
        jobs.update(known)
        drain._rest_s = 0.0
        assert await drain._stops(poll, None) == list(answer)
        rests.append(drain._rest_s)
    task.cancel()
    assert rests == [0.1, 0.2, 0.0, 0.1, 0.0]
