"""Guard `results`: a result is posted until it is accepted.

The SDK tries a server error three times and drops the result after one 400, 429, reset or time-out; a redirect it
follows as a GET, and takes the page that it ends at for acceptance; what cannot be serialised it drops without posting
at all, and the caller waits until its own time is up. Here (`post.py` says what acceptance is):

    anything but a 2xx                     again, with growing and jittered pauses, until `post_deadline_s`
    400 for half a minute                  the request is at fault: the caller gets a short error instead, if that is
                                           accepted; a 400 that names the job as gone ends it
    not serialisable, not JSON (NaN)       an error instead
    deadline over                          kept, and tried on (`kept_posts.py`)

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
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from pinpoint.serving.sdk_guards.kept_posts import KeptPosts
from pinpoint.serving.sdk_guards.kept_results import KeptResults, Result
from pinpoint.serving.sdk_guards.pace import Pace
from pinpoint.serving.sdk_guards.post import Reply, post
from pinpoint.serving.sdk_guards.probe import Target
from pinpoint.serving.watch.log_words import printable

log = logging.getLogger("pinpoint.sdk")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 15.0
REFUSALS = 4  # 400s in a row, and …
REFUSED_S = 30.0  # … for so long, before it is believed that the request is at fault

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
        # Says whether this result is to carry `stopPod`; set by the guard `replacement`, asked before each result.
        self.before_final: BeforeFinal | None = None
        self.kept = KeptResults(kept_bytes)
        self.kept_posts = KeptPosts(self.kept, self._attempt)
        self.waiting: set[str] = set()  # jobs whose result was not accepted at its first attempt
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

    def unaccepted(self) -> list[str]:
        """Jobs whose result is not accepted yet, though it was tried."""
        return [*self.waiting, *(result.job_id for result in self.kept.results)]

    async def _deliver_final(self, session: Any, result: Result) -> None:
        verdict = await self._deliver(session, result)
        if verdict == "refused":
            body = _error_body("result_refused: the platform refused this result; it may be too large")
            reply = await self._attempt(session, Result(result.job_id, result.url, body))
            # Where a short error is refused as well, it is not this result that is at fault.
            verdict = "accepted" if reply.accepted else "late"
        if verdict == "late":
            self.kept_posts.keep(session, result)
            return
        self.kept.drop(result.job_id)  # of an earlier delivery of the same job
        if verdict == "accepted":
            self.kept_posts.accepting()

    async def _deliver(self, session: Any, result: Result) -> str:
        """Post until `accepted`, `refused` or `gone` for good, or `late`."""
        pace = Pace(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        now = asyncio.get_running_loop().time  # in which a pause of the process takes no time
        began_s = now()
        refusals, refused_since_s = 0, began_s
        try:
            for attempt in itertools.count(1):
                reply = await self._attempt(session, result)
                if reply.accepted:
                    return "accepted"
                self.waiting.add(result.job_id)
                now_s = now()
                if reply.status == 400:
                    refused_since_s = refused_since_s if refusals else now_s
                    refusals += 1
                else:
                    refusals = 0
                pause_s = pace.next_s() * random.uniform(0.5, 1.0)
                verdict = None
                unsure_s = refused_since_s + min(REFUSED_S, self._deadline_s / 2) - now_s
                if refusals and unsure_s > 0:
                    # Not past the moment from which on it is believed, or the deadline might come first.
                    pause_s = min(pause_s, max(unsure_s, FIRST_PAUSE_S))
                if refusals >= REFUSALS and (reply.gone or unsure_s <= 0):
                    verdict = "gone" if reply.gone else "refused"
                elif now_s + pause_s > began_s + self._deadline_s:
                    verdict = "late"
                log.log(
                    logging.ERROR if verdict else logging.WARNING,
                    "job=%s status=%s at=post attempt=%d outcome=%s bytes=%d",
                    printable(result.job_id), verdict or "again", attempt, reply.what, len(result.body),
                )  # fmt: skip
                if verdict:
                    return verdict
                await asyncio.sleep(pause_s)
            raise AssertionError("unreachable: the loop above has no end of its own")
        finally:
            self.waiting.discard(result.job_id)

    async def _attempt(self, session: Any, result: Result) -> Reply:
        return await post(session, result, self._attempt_s)


def _error_body(error: str) -> bytes:
    return json.dumps({"error": error}).encode()


def _serialised(job_id: str, data: dict[str, Any]) -> bytes:
    """Strict JSON in UTF-8; an error in its place where the handler returned what has none."""
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        log.error("job=%s status=error code=internal at=serialise type=%s", printable(job_id), type(error).__name__)
        return _error_body("internal: the worker's result could not be written as JSON")
