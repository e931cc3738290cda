"""What brings a request to a model and its answer back. One class each: queue, HTTP server, this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

Accepted = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer.

    Attributes:
        output: the response of docs/api.md.
        worker_s: how long a worker was busy with it, where the platform says so.
    """

    output: dict[str, Any] = field(repr=False)
    worker_s: float | None = None


class Transport(Protocol):
    """A way to a model.

    Attributes:
        max_bytes: of one request.
        at_once: jobs in flight that are of use; more are no faster.
        on_busy: called whenever the service says 429.
    """

    max_bytes: int
    at_once: int
    on_busy: Callable[[], None]

    async def answer(self, request: bytes, accepted: Accepted) -> Answered:
        """The answer to a request; `accepted` is told the id of its job, once there is one that outlives this process.

        Raises:
            PinpointError: the job was refused, or ended without an answer.
        """
        ...

    async def check(self) -> dict[str, Any]:
        """See whether anything can be asked at all; what an endpoint says of its health. Raises ClientError."""
        ...

    async def collect(self, job_id: str) -> Answered:
        """The answer to a job that was accepted before. Raises as `answer` does."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
