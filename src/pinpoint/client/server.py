"""An HTTP server: `python -m pinpoint serve`, or a load-balancing endpoint of RunPod."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from pinpoint.client.fates import IN_PARTS
from pinpoint.client.queue import KEY_VARIABLE
from pinpoint.client.rest import Refused, Rest, check_key
from pinpoint.client.retries import Retries
from pinpoint.client.told import job_error
from pinpoint.client.transport import Accepted, Answered
from pinpoint.errors import InternalError, JobError, NotFoundError, PinpointError

SERVER_KEY_VARIABLE = "PINPOINT_API_KEY"
RUNPOD_HOST = ".api.runpod.ai"  # the RunPod key goes nowhere else
ROUTE = "/classify"
MAX_BODY_BYTES = 28_000_000  # the load balancer's 30 MB and the server's own, less some room
TRY_S = 330.0  # what a load balancer gives a request
AT_ONCE = 32


class ServerTransport:
    """A server of the contract in docs/api.md."""

    def __init__(
        self, url: str, api_key: str | None = None, retries: Retries | None = None, timeout_s: float | None = None
    ) -> None:
        """`url` is the server's address without a path; `timeout_s` is for one try.

        Raises:
            NotFoundError: it is no address.
            AccessError: the key cannot be one.
        """
        secure, host = _host(url)
        if api_key is None:
            api_key = os.environ.get(SERVER_KEY_VARIABLE, "")
            if not api_key and secure and host.endswith(RUNPOD_HOST):
                api_key = os.environ.get(KEY_VARIABLE, "")
        api_key = api_key.strip()
        check_key(api_key)
        self.max_bytes = MAX_BODY_BYTES
        self.at_once = AT_ONCE
        self.on_busy: Callable[[], None] = lambda: None
        self.rest = Rest(
            url, api_key, retries or Retries(), timeout_s or TRY_S, f"the server at {host}",
            lambda: self.on_busy(), _is_final,
        )  # fmt: skip

    async def answer(self, request: bytes, accepted: Accepted) -> Answered:
        """Send a request."""
        try:
            output = await self.rest.call("POST", ROUTE, request)
        except Refused as refused:
            raise _refusal(refused) from None
        if not isinstance(output, dict):
            raise JobError("answer_unreadable", "the server answered no object; is it Pinpoint's?")
        return Answered(output)

    async def check(self) -> dict[str, Any]:
        """Say soon that nobody listens there. Raises UnavailableError."""
        await self.rest.reach("/ping")
        return {}

    async def collect(self, job_id: str) -> Answered:
        """A server has no jobs. Raises JobError `job_forgotten`."""
        raise JobError("job_forgotten", "a server keeps no jobs")

    async def close(self) -> None:
        """Close the connections."""
        await self.rest.close()


def _host(url: str) -> tuple[bool, str]:
    """Whether it is https, and the host. Raises NotFoundError."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # read only when it is asked for
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.username:
        raise NotFoundError("unknown_endpoint", "the address of a server is http://HOST:PORT or https://HOST")
    return parts.scheme == "https", host


def _is_final(status: int, body: bytes) -> bool:
    """Whether a 5xx is about the job: sent again whole it would fail again; jobs.py cuts it."""
    error = _told(Refused(status, body))
    return isinstance(error, InternalError) or (error is not None and error.code in IN_PARTS)


def _told(refused: Refused) -> PinpointError | None:
    told = refused.told()
    error = told.get("error") if isinstance(told, dict) else None
    return job_error(error) if isinstance(error, str) else None


def _refusal(refused: Refused) -> PinpointError:
    error = _told(refused)
    if error is not None:
        return error
    if refused.status == 404:
        return NotFoundError("unknown_endpoint", f"what answers there has no route {ROUTE}; is it Pinpoint's server?")
    return JobError("answer_unreadable", f"the server answered {refused.status}, and not as Pinpoint's does")
