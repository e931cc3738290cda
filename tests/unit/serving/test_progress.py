"""Progress of large jobs: rarely, never late, never in the way of the job."""

import asyncio
from typing import Any

import pytest

from pinpoint.serving.progress import PROGRESS_DOCUMENTS, PROGRESS_S, Progress
from tests.fake_clock import run

JOB = {"id": "1", "input": {"text": "canary7391"}}


class Platform:
    """What was sent, when it began and when it ended."""

    def __init__(self, takes_s: float = 0.0, error: Exception | None = None) -> None:
        self.sent: list[tuple[dict[str, Any], dict[str, int]]] = []
        self.ended_s: list[float] = []
        self._takes_s = takes_s
        self._error = error

    async def send(self, job: dict[str, Any], figures: dict[str, int]) -> None:
        self.sent.append((job, figures))
        await asyncio.sleep(self._takes_s)
        if self._error is not None:
            raise self._error
        self.ended_s.append(asyncio.get_running_loop().time())


async def advance(platform: Platform, documents: int, every_s: float, times: int) -> float:
    """A job that is told of progress at this pace; when it ended."""
    loop = asyncio.get_running_loop()
    async with Progress(JOB, documents, platform.send, loop.time) as progress:
        for n in range(times):
            await asyncio.sleep(every_s)
            progress.documents_done(n + 1)
        await asyncio.sleep(0)
    ended_s = loop.time()
    await asyncio.sleep(1000)
    return ended_s


def test_updates_are_apart_and_say_numbers_alone() -> None:
    platform = Platform()
    run(advance(platform, PROGRESS_DOCUMENTS, every_s=PROGRESS_S / 4, times=16))
    assert [figures for _, figures in platform.sent] == [
        {"documents_done": n, "documents": PROGRESS_DOCUMENTS} for n in (4, 8, 12, 16)
    ]
    assert all(job == {"id": "1"} for job, _ in platform.sent)


def test_a_small_job_sends_nothing_and_so_does_one_off_the_platform() -> None:
    platform = Platform()
    run(advance(platform, PROGRESS_DOCUMENTS - 1, every_s=PROGRESS_S, times=5))
    assert platform.sent == []

    async def local() -> None:
        async with Progress(JOB, 1000) as progress:
            await asyncio.sleep(10 * PROGRESS_S)
            progress.documents_done(1)

    run(local())


def test_one_update_is_on_its_way_at_a_time_and_none_after_the_job() -> None:
    platform = Platform(takes_s=2.5 * PROGRESS_S)
    ended_s = run(advance(platform, 1000, every_s=PROGRESS_S, times=5))
    assert len(platform.sent) == 2
    assert len(platform.ended_s) == 1 and platform.ended_s[0] <= ended_s


def test_an_update_that_fails_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    platform = Platform(error=OSError("canary7391"))
    run(advance(platform, 1000, every_s=PROGRESS_S, times=2))
    assert len(platform.sent) == 2
    assert "OSError" in caplog.text and "canary7391" not in caplog.text
