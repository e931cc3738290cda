"""JSON over HTTP with tries: what a passing failure is, how long is waited, and what is told of it.

Neither a key nor a body is ever in an error or a log line. Redirects are not followed: the key goes to one host.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pinpoint.client.retries import Retries, retry_after_s
from pinpoint.errors import AccessError, PinpointError, UnavailableError

if TYPE_CHECKING:
    import aiohttp

CONNECT_S = 15.0
LOOK_S = 30.0  # for a call without a body: what it asks for is there, or is not
MAX_ANSWER_BYTES = 64_000_000  # three times what the platform sends
CONNECTIONS = 128
FEW_TRIES = 3  # where a wrong address or a quiet service should be told soon
# Passing: asked again. 409 of the platform is a conflict with itself; 520 to 530 are a proxy's.
TOO_MANY = 429
PASSING = frozenset((408, 409, 425, TOO_MANY, 500, 502, 503, 504, *range(520, 531)))


class Refused(Exception):
    """An answer that is neither good nor passing; each transport knows what it means."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body

    def told(self) -> Any:
        """The body as JSON, or None."""
        return _parsed(self.body)


class Rest:
    """Calls of one host."""

    def __init__(
        self, base: str, key: str, retries: Retries, timeout_s: float, service: str, busy: Callable[[], None],
        is_final: Callable[[int, bytes], bool] = lambda status, body: False,
    ) -> None:  # fmt: skip
        """Connects nothing yet.

        Args:
            service: what error messages call it.
            timeout_s: for one try.
            busy: called at each 429.
            is_final: whether an answer of a status in PASSING, by its body, is about the job and not about the service.
        """
        self._busy = busy
        self._is_final = is_final
        self._base = base.rstrip("/")
        self._key = key
        self._retries = retries
        self._timeout_s = timeout_s
        self._service = service
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        tries: int | None = None,
    ) -> Any:
        """The JSON that is answered.

        Raises:
            AccessError: 401 or 403.
            UnavailableError: no good answer after all tries.
            Refused: another 4xx, or what `is_final` says of.
        """
        most = self._retries.tries if tries is None else tries
        proxy = _proxy(self._base, self._service)  # one that is not spoken here will not be at another try either
        for failed in range(1, most + 1):
            told_s = None
            try:
                status, headers, answer = await self._once(method, path, body, params, proxy)
            except UnavailableError as error:
                failure: PinpointError = error.with_traceback(None)
            else:
                if status < 300:
                    value = _parsed(answer)
                    if value is not None:
                        return value
                    failure = UnavailableError("service_failed", f"{self._service} answered {status} without JSON")
                elif status in (401, 403):
                    raise self._no_access(status)
                elif status not in PASSING or self._is_final(status, answer):
                    raise Refused(status, answer)
                else:
                    failure = self._passing(status)
                    told_s = retry_after_s(headers.get("Retry-After"))
                    if status == TOO_MANY:
                        self._busy()
            if failed < most:
                await asyncio.sleep(self._retries.wait_s(failed, told_s))
        raise failure

    async def reach(self, path: str) -> None:
        """See whether anybody answers, whatever it is. Raises UnavailableError."""
        proxy = _proxy(self._base, self._service)
        for failed in range(1, FEW_TRIES + 1):
            try:
                await self._once("GET", path, None, None, proxy)
                return
            except UnavailableError:
                if failed == FEW_TRIES:
                    raise
            await asyncio.sleep(self._retries.wait_s(failed))

    async def _once(
        self, method: str, path: str, body: bytes | None, params: Mapping[str, str] | None, proxy: str | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        import aiohttp

        headers = {} if body is None else {"content-type": "application/json"}
        # Not the bytes themselves: a large body is then written in pieces, and the loop does other things in between.
        data = None if body is None else io.BytesIO(body)
        timeout_s = self._timeout_s if body else min(self._timeout_s, LOOK_S)
        try:
            async with self._opened().request(
                method,
                self._base + path,
                data=data,
                params=params,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S),
                proxy=proxy,  # not `trust_env`, which would also send what ~/.netrc has for the host, and not our key
            ) as response:
                read = bytearray()
                async for piece in response.content.iter_any():
                    read += piece
                    if len(read) > MAX_ANSWER_BYTES:
                        raise UnavailableError("service_failed", f"{self._service} answers without an end")
                return response.status, response.headers, bytes(read)
        except TimeoutError:
            raise UnavailableError("unreachable", f"{self._service} did not answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            by = f" by the proxy {urlsplit(proxy).hostname}" if proxy else ""
            raise UnavailableError("unreachable", f"{self._service} is not reached{by}: {_why(error)}") from None

    def _opened(self) -> aiohttp.ClientSession:
        """The session, made in the loop that uses it; what an earlier loop left open went with it."""
        loop = asyncio.get_running_loop()
        if self._session is not None and self._loop is not loop:
            self._session.detach()
            self._session = None
        if self._session is None:
            import aiohttp

            self._loop = loop

            headers = {"accept": "application/json"}
            if self._key:
                headers["authorization"] = f"Bearer {self._key}"
            self._session = aiohttp.ClientSession(
                headers=headers,
                connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            )
        return self._session

    def _no_access(self, status: int) -> AccessError:
        given = "the key that was sent is not taken" if self._key else "it wants a key, and none was given"
        return AccessError("invalid_api_key", f"{self._service} answered {status}: {given}")

    def _passing(self, status: int) -> UnavailableError:
        if status == TOO_MANY:
            return UnavailableError(
                "rate_limited", f"{self._service} answered 429 to every try; ask for less at a time"
            )
        return UnavailableError("service_failed", f"{self._service} answered {status} to every try")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _proxy(url: str, service: str) -> str | None:
    """The proxy that the environment names for an address (HTTPS_PROXY, NO_PROXY, …); none for this machine.

    Raises:
        UnavailableError: it is of a kind that is not spoken here, SOCKS for one.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    heard = proxy_bypass(host) or proxy_bypass(parts.netloc.rpartition("@")[2])  # which has the port, as it may
    if host == "localhost" or host.startswith("127.") or host == "::1" or heard:
        return None
    known = getproxies()
    proxy = known.get(parts.scheme) or known.get("all")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy and not proxy.lower().startswith(("http://", "https://")):
        raise UnavailableError("unreachable", f"{service} is not reached: a proxy that is not HTTP is not spoken here")
    return proxy or None


def check_key(key: str) -> None:
    """Raises AccessError for a key that no header can hold; a line break in it would end the header."""
    if not key.isprintable() or not key.isascii():
        raise AccessError("invalid_api_key", "the key has characters that no key has")


def _why(error: Exception) -> str:
    """What the system says, in its own words; where several addresses were tried it says too much."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return "no connection" if isinstance(error, OSError) else type(error).__name__


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
