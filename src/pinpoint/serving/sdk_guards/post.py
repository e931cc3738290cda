"""One attempt to post a result, and what the platform said to it.

Only a 2xx answer to the POST itself is acceptance, and it is one as soon as its head is there: a body that hangs or
does not inflate takes nothing back. A redirect with another method (301, 302, 303) accepts nothing: followed as a GET
it ends at a page that says 200 to anybody. 307 and 308 mean the same POST once more elsewhere, and are followed on the
same host, never from https to http: a result is not handed to strangers.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from pinpoint.serving.sdk_guards.kept_results import Result

HEADERS = {"charset": "utf-8", "Content-Type": "application/x-www-form-urlencoded"}  # as the SDK posts its JSON
PASSING = frozenset({408, 425, 429})  # client errors that are about the moment, not the request
SAME_METHOD = frozenset({307, 308})
MOST_HOPS = 3
WORDS_S = 1.0  # for the body of an answer, which nothing depends on but whether a job is gone
WORDS_BYTES = 4096
_GONE = re.compile(r"\bjob\b[^.]{0,80}\b(not found|does(n't| not) exist|no longer exists|is gone|has expired)\b", re.I)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of an attempt: an HTTP status, or the name of what went wrong."""

    status: int | None
    what: str
    gone: bool = False  # a 400 that names the job as gone: nobody waits for this result any more

    @property
    def accepted(self) -> bool:
        """Whether the platform has the result."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether the request was found at fault, which says nothing about the platform's health."""
        return self.status is not None and 400 <= self.status < 500 and self.status not in PASSING


async def post(session: Any, result: Result, attempt_s: float) -> Reply:
    """Post once; redirects that keep the method count as the same attempt. Raises nothing but a cancellation."""
    url = result.url
    for _ in range(1 + MOST_HOPS):
        reply, location = await _post_to(session, url, result, attempt_s)
        onward = _onward(url, location) if reply.status in SAME_METHOD and location else None
        if onward is None:
            return reply
        url = onward
    return reply


async def _post_to(session: Any, url: str, result: Result, attempt_s: float) -> tuple[Reply, str | None]:
    from aiohttp import ClientTimeout

    reply: Reply | None = None
    location = None
    try:
        # The time-out of the session's own ends with the body; this one holds for closing as well.
        async with (
            asyncio.timeout(attempt_s + WORDS_S),
            session.post(
                url,
                data=result.body,
                headers={**HEADERS, "X-Request-ID": _header_safe(result.job_id)},
                timeout=ClientTimeout(attempt_s),
                allow_redirects=False,
            ) as response,
        ):
            status = int(response.status)
            reply = Reply(status, str(status))
            location = response.headers.get("Location")
            words = await _words(response)
            reply = Reply(status, str(status), gone=status == 400 and _GONE.search(words) is not None)
    except Exception as error:  # whatever it is, the result is not lost by it
        reply = reply or Reply(None, type(error).__name__)
    return reply, location


async def _words(response: Any) -> str:
    """The beginning of a body. Read to its end, where that is near, it leaves the connection fit for the next post."""
    body = b""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(WORDS_S):
            while len(body) < WORDS_BYTES and (chunk := await response.content.read(WORDS_BYTES)):
                body += chunk
    return body.decode("utf-8", "replace")


def _onward(url: str, location: str) -> str | None:
    """Where a redirect leads, if it may be followed."""
    try:
        onward = urljoin(url, location)
        here, there = urlsplit(url), urlsplit(onward)
    except ValueError:
        return None
    schemes = {"https"} if here.scheme == "https" else {"http", "https"}
    return onward if there.scheme in schemes and there.hostname and there.hostname == here.hostname else None


def _header_safe(job_id: str) -> str:
    return job_id if job_id.isprintable() else quote(job_id, safe="")
