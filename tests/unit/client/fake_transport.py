"""A transport that answers as cheap workers do, or as its script says."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from pinpoint.client.transport import Accepted, Answered
from pinpoint.errors import JobError, PinpointError, RequestError
from tests.worker.cheap_workers import answer


class FakeTransport:
    """Keeps what it was asked; an error of the script is raised in place of an answer."""

    def __init__(self, script: Iterable[PinpointError | None] = (), max_bytes: int = 10_000_000) -> None:
        self.max_bytes = max_bytes
        self.at_once = 8
        self.on_busy: Callable[[], None] = lambda: None
        self.script = deque(script)
        self.asked: list[list[dict[str, Any]]] = []

    async def answer(self, request: bytes, accepted: Accepted) -> Answered:
        value = json.loads(request)
        self.asked.append(value["documents"])
        assert len(request) <= self.max_bytes
        error = self.script.popleft() if self.script else None
        if error is not None:
            raise error
        told = answer(value)
        assert told is not None
        if "error" in told:
            code, _, rest = told["error"].partition(": ")
            raise RequestError(code, rest.partition(" (")[0], rest.partition(" (")[2].rstrip(")"))
        accepted(f"job-{len(self.asked)}")
        return Answered(told["output"], 0.5)

    async def check(self) -> dict[str, Any]:
        return {}

    async def collect(self, job_id: str) -> Answered:
        raise JobError("job_forgotten", job_id)

    async def close(self) -> None:
        pass

    @property
    def sizes(self) -> list[int]:
        return [len(documents) for documents in self.asked]
