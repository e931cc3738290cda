"""Who is let in: a key, a bound on requests and bytes in flight, and nobody new once the server drains."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pinpoint.errors import CapacityError, RequestError

BODIES_IN_FLIGHT = 4  # times the limit of one: what all of them may take


class Gate:
    """Counts what is in flight. Belongs to one event loop.

    Attributes:
        draining: whether nobody new is let in.
        in_flight: requests that were let in and are not answered.
    """

    def __init__(self, api_key: str, max_requests: int, max_body_bytes: int) -> None:
        self.draining = False
        self.in_flight = 0
        self._key = api_key.encode("utf-8")
        self._max_requests = max_requests
        self._max_bytes = BODIES_IN_FLIGHT * max_body_bytes
        self._bytes = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def check_key(self, authorization: str) -> None:
        """Compare a bearer token in constant time. Raises RequestError `invalid_api_key`."""
        if not self._key:
            return
        scheme, _, token = authorization.partition(" ")
        given = token.strip().encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._key) or scheme.lower() != "bearer":
            raise RequestError(
                "invalid_api_key", "send the key of this server as a bearer token: authorization: Bearer KEY"
            )

    @contextmanager
    def admit(self) -> Iterator[Callable[[int], None]]:
        """A request in flight; gives what is told how many bytes of its body are held.

        Raises:
            CapacityError: `overloaded`, or `draining`.
        """
        if self.draining:
            raise CapacityError("draining", "this server is about to end; send the request to another, or again later")
        if self.in_flight >= self._max_requests:
            raise CapacityError(
                "overloaded",
                f"{self.in_flight} requests are in flight; send it again later, add workers, or raise "
                "PINPOINT_MAX_HTTP_REQUESTS",
            )
        held = 0

        def holds(size_bytes: int) -> None:
            nonlocal held
            self._bytes += size_bytes - held
            held = size_bytes
            if self._bytes > self._max_bytes:
                raise CapacityError("overloaded", "the bodies of requests in flight are too large; send it again later")

        self.in_flight += 1
        self._empty.clear()
        try:
            yield holds
        finally:
            self._bytes -= held
            self.in_flight -= 1
            if not self.in_flight:
                self._empty.set()

    async def emptied(self, within_s: float) -> bool:
        """Wait until nothing is in flight, so long at most; whether it is so."""
        try:
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
