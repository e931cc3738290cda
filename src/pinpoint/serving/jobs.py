"""The same job again: computed once, answered as often as it is handed over.

A platform may hand over a job twice: to a worker that was slow, or after the post of its result was lost. Jobs are told
apart by id and by a digest of their input.

    in flight here           both wait for the one computation
    answered here, kept      the kept answer, as fresh values
    other input, same id     `conflict`

Only answers are kept, not errors: a caller who retries a failed job by its id wants it tried. What is kept is bounded
in bytes, the longest unused going first. The guard `results` keeps something else, bodies that the platform has not
accepted yet; an answer that it keeps is posted from there, and a second hand-over meanwhile is answered from here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pinpoint.errors import RequestError


def input_digest(raw: object) -> bytes:
    """A digest of a job's input that does not depend on the order of its keys; `raw` is a valid request."""
    return hashlib.sha256(json.dumps(raw, sort_keys=True).encode("ascii")).digest()


@dataclass(slots=True)
class _Flight:
    digest: bytes
    computation: asyncio.Task[bytes]
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class _Kept:
    digest: bytes
    answer: bytes


class JobLedger:
    """Jobs in flight and answers kept, by id. Belongs to one event loop.

    Attributes:
        bytes: of all kept answers.
    """

    def __init__(self, kept_bytes: int) -> None:
        self.bytes = 0
        self._limit_bytes = kept_bytes
        self._flights: dict[str, _Flight] = {}
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def holds(self, job_id: str) -> bool:
        """Whether this job is in flight or answered here."""
        return job_id in self._flights or job_id in self._kept

    async def answer(self, job_id: str, digest: bytes, compute: Callable[[], Awaitable[bytes]]) -> bytes:
        """The answer to a job, computed unless it is kept or being computed.

        A caller that is cancelled leaves; the computation goes on as long as one is left.

        Args:
            job_id: the platform's; an empty one is nobody's, and is computed.
            digest: of the input.
            compute: makes the serialised answer.

        Raises:
            RequestError: `conflict`; and whatever `compute` raises.
        """
        if not job_id:
            return await compute()
        kept = self._kept.get(job_id)
        if kept is not None:
            _check(kept.digest, digest)
            self._kept.move_to_end(job_id)
            return kept.answer
        flight = self._flights.get(job_id)
        if flight is None:
            computation = asyncio.create_task(self._compute(job_id, digest, compute))
            flight = self._flights[job_id] = _Flight(digest, computation)
        _check(flight.digest, digest)
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.computation)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.computation.done():
                self._flights.pop(job_id, None)  # from now on, it would be computed anew
                flight.computation.cancel()
                await asyncio.gather(flight.computation, return_exceptions=True)

    async def _compute(self, job_id: str, digest: bytes, compute: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            answer = await compute()
            self._keep(job_id, _Kept(digest, answer))
            return answer
        finally:
            flight = self._flights.get(job_id)
            if flight is not None and flight.computation is asyncio.current_task():
                del self._flights[job_id]

    def _keep(self, job_id: str, kept: _Kept) -> None:
        if len(kept.answer) > self._limit_bytes:
            return
        self._kept[job_id] = kept
        self.bytes += len(kept.answer)
        while self.bytes > self._limit_bytes:
            _, dropped = self._kept.popitem(last=False)
            self.bytes -= len(dropped.answer)


def _check(known: bytes, digest: bytes) -> None:
    if known != digest:
        raise RequestError(
            "conflict", "a job of this id, with another input, is here or was answered; send it under a new id", "id"
        )
