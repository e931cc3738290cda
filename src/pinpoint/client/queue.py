"""The endpoint's queue on RunPod: a job is left there, and asked about until it has ended.

RunPod's own client is not used: importing it takes 2 s, its asynchronous half reads answers without a look at their
status (a 429 becomes a KeyError) and waits 0 s by default, its synchronous half gives a job that failed as None, and
sends a body of 10 MB within 10 s or not at all.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

from pinpoint.client.rest import FEW_TRIES, Refused, Rest, check_key
from pinpoint.client.retries import Retries
from pinpoint.client.told import job_error
from pinpoint.client.transport import Accepted, Answered
from pinpoint.errors import AccessError, JobError, NotFoundError, PinpointError, RequestError, UnavailableError

BASE_URL = "https://api.runpod.ai/v2"
BASE_VARIABLE = "RUNPOD_ENDPOINT_BASE_URL"  # the SDK's own
KEY_VARIABLE = "RUNPOD_API_KEY"
MAX_RUN_BYTES = 10_000_000  # /run; 20 MB of /runsync are no use, since a job may have to be left
TRY_S = 120.0  # one call; a body of 10 MB in a slow network
SYNC_WAIT_S = 90.0  # /runsync answers by then, whatever became of the job
FIRST_LOOK_S, LOOK_GROWTH, LONGEST_LOOK_S = 0.1, 1.5, 2.0
AT_ONCE = 100  # of the 200 that /run takes at the same time; a long queue makes RunPod start workers
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT")


class QueueTransport:
    """A queue-based endpoint.

    Attributes:
        endpoint: its id.
    """

    def __init__(
        self,
        endpoint: str,
        api_key: str | None = None,
        retries: Retries | None = None,
        timeout_s: float | None = None,
        *,
        wait: bool = False,
    ) -> None:
        """`wait` asks by `/runsync`, which saves a call where jobs are short; `timeout_s` is for one job.

        Raises:
            AccessError: there is no key.
            NotFoundError: the id cannot be one.
        """
        key = (os.environ.get(KEY_VARIABLE, "") if api_key is None else api_key).strip()
        if not key:
            raise AccessError("invalid_api_key", f"no key: set {KEY_VARIABLE}, or give api_key")
        check_key(key)
        if not endpoint.replace("-", "").replace("_", "").isalnum():
            raise NotFoundError("unknown_endpoint", "an endpoint's id has letters and digits; it is no address")
        self.endpoint = endpoint
        self.max_bytes = MAX_RUN_BYTES
        self.at_once = AT_ONCE
        base = os.environ.get(BASE_VARIABLE) or BASE_URL
        self.on_busy: Callable[[], None] = lambda: None
        self.rest = Rest(
            f"{base.rstrip('/')}/{endpoint}", key, retries or Retries(), TRY_S, f"endpoint {endpoint}",
            lambda: self.on_busy(),
        )  # fmt: skip
        self._timeout_s = timeout_s
        self._wait = wait

    async def answer(self, request: bytes, accepted: Accepted) -> Answered:
        """Leave a job in the queue, and wait for its answer."""
        body = b'{"input":' + request + b"}"
        began_s = time.monotonic()
        if self._wait:
            wait_s = SYNC_WAIT_S if self._timeout_s is None else min(SYNC_WAIT_S, max(1.0, self._timeout_s))
            state = await self.call("POST", "/runsync", body, {"wait": f"{wait_s * 1e3:.0f}"})
        else:
            state = await self.call("POST", "/run", body)
        job_id = state.get("id")
        if not isinstance(job_id, str) or not job_id:
            raise JobError("answer_unreadable", "the platform took a job and gave it no id")
        accepted(job_id)
        return await self._ended(job_id, state, began_s)

    async def collect(self, job_id: str) -> Answered:
        """The answer to a job that is in the queue, in work or done. Raises JobError `job_forgotten`."""
        return await self._ended(job_id, {}, time.monotonic())

    async def cancel(self, job_id: str) -> None:
        """End a job, as far as it has not ended by itself."""
        await self.call("POST", f"/cancel/{job_id}", b"")

    async def health(self) -> dict[str, Any]:
        """Counts of `jobs` and `workers`; few tries."""
        return await self.call("GET", "/health", tries=FEW_TRIES)

    async def check(self) -> dict[str, Any]:
        """Say soon that nothing can be asked; the endpoint's health. Raises ClientError."""
        return await self.health()

    async def close(self) -> None:
        """Close the connections."""
        await self.rest.close()

    async def call(
        self, method: str, path: str, body: bytes | None = None, params: dict[str, str] | None = None,
        tries: int | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """One call of the endpoint's own; the object that is answered.

        Raises:
            NotFoundError: there is no such endpoint, or no such thing of it.
            ClientError: whatever else is wrong.
        """
        try:
            value = await self.rest.call(method, path, body, params, tries)
        except Refused as refused:
            raise self._refusal(refused.status) from None
        if not isinstance(value, dict):
            raise UnavailableError("service_failed", f"endpoint {self.endpoint} answered no object")
        return value

    def _refusal(self, status: int) -> PinpointError:
        if status == 404:
            return NotFoundError(
                "unknown_endpoint", f"there is no endpoint {self.endpoint}, or not for this key; see RunPod's console"
            )
        if status == 413:
            return RequestError("too_large", "the platform answered 413: send fewer documents at a time", "documents")
        return UnavailableError("service_failed", f"endpoint {self.endpoint} answered {status} to a call")

    async def _ended(self, job_id: str, state: dict[str, Any], began_s: float) -> Answered:
        """What a job was answered; looked at again and again, less and less often."""
        look_s = FIRST_LOOK_S
        while state.get("status") not in ENDED:
            left_s = float("inf") if self._timeout_s is None else began_s + self._timeout_s - time.monotonic()
            if left_s <= 0:
                raise UnavailableError("client_timeout", f"job {job_id} was not answered within {self._timeout_s:g} s")
            if state:
                await asyncio.sleep(min(look_s, left_s))
                look_s = min(look_s * LOOK_GROWTH, LONGEST_LOOK_S)
            try:
                state = await self.call("GET", f"/status/{job_id}")
            except NotFoundError:
                raise JobError("job_forgotten", f"the platform does not know job {job_id} any more") from None
        return _answered(state)


def _answered(state: dict[str, Any]) -> Answered:
    """The answer in the state of a job that has ended. Raises PinpointError."""
    output, told = state.get("output"), state.get("error")
    if state["status"] == "CANCELLED":
        raise JobError("job_cancelled", "somebody cancelled the job")
    if state["status"] == "TIMED_OUT":
        raise JobError("job_failed", "it ran past its executionTimeout, or waited past its ttl")
    if told or state["status"] == "FAILED":
        raise job_error(told)
    if isinstance(output, dict) and isinstance(output.get("error"), str):
        raise job_error(output["error"])
    if not isinstance(output, dict):
        raise JobError("job_failed", "the job ended without an answer")
    ran_ms = state.get("executionTime")
    return Answered(output, ran_ms / 1e3 if isinstance(ran_ms, int | float) else None)
