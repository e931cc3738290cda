"""Guard `results`: a result is posted until it is accepted.

The SDK tries a server error three times and drops the result after one 400, 429, reset or time-out; what cannot be
serialised it drops without posting at all, and the caller waits until its own time is up. Here:

    429, 408, 425, 5xx, reset, time-out    again, with growing and jittered pauses, until `post_deadline_s`
    other 4xx                              a few times, for a 400 can pass; then the caller gets a short error instead
    not serialisable, not JSON (NaN)       an error instead
    deadline over                          kept, and posted after the next result that is accepted

The wait holds the job's slot: a worker that cannot answer should not take more, and its pings still name the job.
Progress is tried once: late progress would overtake the result. An id is quoted in the URL, so that `../x` posts to its
own job and nowhere else.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from pinpoint.serving.sdk_guards.kept_results import KeptResults, Result
from pinpoint.serving.sdk_guards.probe import Target

log = logging.getLogger("pinpoint.sdk")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 15.0
REFUSALS = 4  # answers of the kind "the request is at fault" before it is believed
PASSING = frozenset({408, 425, 429})  # client errors that are about the moment, not the request
HEADERS = {"charset": "utf-8", "Content-Type": "application/x-www-form-urlencoded"}  # as the SDK posts its JSON

BeforeFinal = Callable[[dict[str, Any], bool], Awaitable[bool]]


class ResultsGuard:
    """Replaces the SDK's posting of results, chunks and progress."""

    name = "results"
    targets = (
        Target("rp_http", "_handle_result", "ce88ccb812bcc41f"),
        Target("rp_http", "_transmit", "fc9d60458af96c8a"),
        Target("rp_http", "send_result", "686712f850136708"),
        Target("rp_http", "stream_result", "7964e8422e9fc698"),
    )

    def __init__(self, attempt_s: float, deadline_s: float, kept_bytes: int) -> None:
        self.kept = KeptResults(kept_bytes)
        # Says whether this result is to carry `stopPod`; set by the guard `replacement`, asked before each result.
        self.before_final: BeforeFinal | None = None
        self._attempt_s = attempt_s
        self._deadline_s = deadline_s

    def apply(self) -> None:
        """Replace the one function that everything posted goes through."""
        from runpod.serverless.modules import rp_http

        rp_http._handle_result = self.handle_result

    async def handle_result(
        self,
        session: Any,
        job_data: dict[str, Any],
        job: dict[str, Any],
        url_template: str,
        log_message: str,
        is_stream: bool = False,
    ) -> None:
        """Post what the SDK wants posted."""
        from runpod.serverless.modules import rp_http

        job_id = str(job["id"])
        url = url_template.replace("$ID", quote(job_id, safe="")) + f"&isStream={'true' if is_stream else 'false'}"
        if job_data.get("status") == "IN_PROGRESS":
            await self._attempt(session, Result(job_id, url, _serialised(job_id, job_data)))
            return
        if url_template != rp_http.JOB_DONE_URL:
            await self._deliver(session, Result(job_id, url, _serialised(job_id, job_data)))
            return
        data = dict(job_data)
        asked = bool(data.pop("stopPod", False))
        if self.before_final is not None:
            asked = await self.before_final(job, asked)
        if asked:
            data["stopPod"] = True
        await self._deliver_final(session, Result(job_id, url, _serialised(job_id, data)))

    async def _deliver_final(self, session: Any, result: Result) -> None:
        verdict = await self._deliver(session, result)
        if verdict == "late":
            self.kept.put(result)
        elif verdict == "refused":
            body = _error_body("result_refused: the platform refused this result; it may be too large")
            await self._attempt(session, Result(result.job_id, result.url, body))
        else:
            await self._deliver_kept(session)

    async def _deliver_kept(self, session: Any) -> None:
        """The platform accepts again: one attempt for each result that was given up, until one fails."""
        for _ in range(len(self.kept)):
            result = self.kept.take_oldest()
            if result is None:
                return
            outcome = await self._attempt(session, result)
            if not _accepted(outcome):
                self.kept.put(result)
                return
            log.info("job=%s status=posted at=kept bytes=%d", result.job_id, len(result.body))

    async def _deliver(self, session: Any, result: Result) -> str:
        """Post until `accepted`, `refused` for good, or `late`."""
        until_s = time.monotonic() + self._deadline_s
        refusals = 0
        for attempt in itertools.count():
            outcome = await self._attempt(session, result)
            if _accepted(outcome):
                return "accepted"
            if isinstance(outcome, int) and 400 <= outcome < 500 and outcome not in PASSING:
                refusals += 1
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(attempt, 10)) * random.uniform(0.5, 1.0)
            verdict = None
            if refusals >= REFUSALS:
                verdict = "refused"
            elif time.monotonic() + pause_s > until_s:
                verdict = "late"
            log.log(
                logging.ERROR if verdict else logging.WARNING,
                "job=%s status=%s at=post attempt=%d outcome=%s bytes=%d",
                result.job_id, verdict or "again", attempt + 1, outcome, len(result.body),
            )  # fmt: skip
            if verdict:
                return verdict
            await asyncio.sleep(pause_s)
        raise AssertionError("unreachable: the loop above has no end of its own")

    async def _attempt(self, session: Any, result: Result) -> int | str:
        """One post: the HTTP status, or the name of what went wrong."""
        from aiohttp import ClientError, ClientTimeout

        try:
            async with session.post(
                result.url,
                data=result.body,
                headers={**HEADERS, "X-Request-ID": result.job_id},
                timeout=ClientTimeout(self._attempt_s),
            ) as response:
                await response.read()
                return int(response.status)
        except (ClientError, TimeoutError, OSError) as error:
            return type(error).__name__


def _accepted(outcome: int | str) -> bool:
    return isinstance(outcome, int) and 200 <= outcome < 300


def _error_body(error: str) -> bytes:
    return json.dumps({"error": error}).encode()


def _serialised(job_id: str, data: dict[str, Any]) -> bytes:
    """Strict JSON in UTF-8; an error in its place where the handler returned what has none."""
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        log.error("job=%s status=error code=internal at=serialise type=%s", job_id, type(error).__name__)
        return _error_body("internal: the worker's result could not be written as JSON")
