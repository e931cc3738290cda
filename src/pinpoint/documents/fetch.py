"""A file behind an address, fetched without letting the address choose what the worker talks to.

Every name is resolved here, every address that it stands for has to be one of the open internet, and the connection is
made to the address that was looked at and to no other: a name that resolves differently a moment later changes nothing.
The same holds after every redirect, which is followed by hand. Proxies of the environment are not used, nothing that
identifies the worker is sent, and neither an error nor the log repeats an address: its query is often a credential.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from pinpoint.errors import DocumentError

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver
    from yarl import URL

MAX_URL_CHARS = 8_192  # a presigned address has up to two thousand
MAX_REDIRECTS = 5
MAX_HEADER_BYTES = 16_384
CHUNK_BYTES = 65_536
_PORTS = {"https": 443, "http": 80}
_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # an address of the old internet, for hosts that have only the new one
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.IGNORECASE)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file, what its server calls its type, and the last part of its address."""

    content: bytes
    mime: str
    name: str


@dataclass(frozen=True, slots=True)
class FetchRules:
    """From where files may be fetched, and what that may take.

    Attributes:
        hosts: names that are allowed, `*.name` for all below one; empty for none.
        allow_http: whether unencrypted connections are allowed too.
        allow_private: whether addresses of private networks are; for tests and closed installations.
        max_bytes: of a body, as sent and as inflated.
        deadline_s: from the first look-up to the last byte.
    """

    hosts: tuple[str, ...] = ()
    allow_http: bool = False
    allow_private: bool = False
    max_bytes: int = 20_000_000
    deadline_s: float = 30.0

    def allows(self, host: str) -> bool:
        """Whether a name is on the list."""
        host = host.rstrip(".").lower()
        return any(
            one in ("*", host) or (one.startswith("*.") and host.endswith(one[1:]) and len(host) > len(one) - 1)
            for one in self.hosts
        )


class Fetcher:
    """Fetches by rules. Belongs to no event loop: each fetch has a session of its own."""

    def __init__(
        self, rules: FetchRules, resolve: Resolve | None = None, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """Fetch nothing yet.

        Args:
            rules: what is allowed.
            resolve: from a name and a port to addresses; the system's, unless given.
            ssl_context: of encrypted connections; the system's trust, unless given.
        """
        self._rules = rules
        self._resolve = resolve or _system_addresses
        self._ssl = ssl_context

    async def file_at(self, url: str) -> Fetched:
        """The file behind an address.

        Raises:
            DocumentError: `url_not_allowed`, `url_address_refused`, `fetch_failed`, `fetch_timeout`, `file_too_large`.
        """
        try:
            async with asyncio.timeout(self._rules.deadline_s):
                for _ in range(MAX_REDIRECTS + 1):
                    found = await self._one(url)
                    if isinstance(found, Fetched):
                        return found
                    url = urljoin(url, found)
        except TimeoutError:
            raise DocumentError(
                "fetch_timeout", f"fetching the file takes more than {self._rules.deadline_s:g} s"
            ) from None
        raise DocumentError("fetch_failed", f"more than {MAX_REDIRECTS} redirects")

    async def _one(self, url: str) -> Fetched | str:
        """The file, or where the server says that it is."""
        import aiohttp

        host, port = self._checked(url)
        addresses = await self._addresses(host, port)
        connector = aiohttp.TCPConnector(
            resolver=_pinned(host, addresses), use_dns_cache=False, force_close=True, limit=1,
            ssl=self._ssl or True,
        )  # fmt: skip
        try:
            async with aiohttp.ClientSession(
                connector=connector, trust_env=False, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=MAX_HEADER_BYTES, max_field_size=MAX_HEADER_BYTES, read_bufsize=CHUNK_BYTES,
                timeout=aiohttp.ClientTimeout(total=None),
                headers={"User-Agent": "pinpoint", "Accept-Encoding": "identity", "Accept": "*/*"},
            ) as session, session.get(_encoded(url), allow_redirects=False) as response:  # fmt: skip
                if response.status in _REDIRECTS and "Location" in response.headers:
                    return response.headers["Location"]
                if response.status != 200:
                    raise DocumentError("fetch_failed", f"the server answered {response.status}")
                content = await self._body(response)
                return Fetched(content, response.headers.get("Content-Type", ""), _last_part(url))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Their own words have the address in them.
            raise DocumentError("fetch_failed", f"the file cannot be fetched ({type(error).__name__})") from None

    def _checked(self, url: str) -> tuple[str, int]:
        """Host and port of an address that may be asked.

        Raises:
            DocumentError: `url_not_allowed`.
        """
        if len(url) > MAX_URL_CHARS or not url.isprintable() or " " in url or "\\" in url:
            raise _not_allowed(f"an address is printable, without spaces, and has at most {MAX_URL_CHARS} characters")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _not_allowed("this is no address") from None
        schemes = ("https", "http") if self._rules.allow_http else ("https",)
        if parts.scheme not in schemes:
            raise _not_allowed(f"an address begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        if parts.username is not None or parts.password is not None or "@" in parts.netloc:
            raise _not_allowed("an address has no user and no password in it")
        host = (parts.hostname or "").rstrip(".")
        if not host or not (_HOST.fullmatch(host) or _is_address(host)):
            raise _not_allowed("this is no name of a host; write it in ASCII")
        if not self._rules.hosts:
            raise _not_allowed("no host is allowed here; the worker's PINPOINT_URL_ALLOWLIST names those that are")
        if not self._rules.allows(host):
            raise _not_allowed("this host is not in the worker's PINPOINT_URL_ALLOWLIST")
        if port is not None and port != _PORTS[parts.scheme] and not self._rules.allow_private:
            raise _not_allowed("only the usual port of its scheme is asked")
        return host, port or _PORTS[parts.scheme]

    async def _addresses(self, host: str, port: int) -> list[str]:
        """All that a name stands for, none of them inside.

        Raises:
            DocumentError: `url_address_refused`, `fetch_failed`.
        """
        try:
            found = [host] if _is_address(host) else list(await self._resolve(host, port))
        except OSError:
            found = []
        if not found:
            raise DocumentError("fetch_failed", "the name of the host stands for no address")
        if not self._rules.allow_private and not all(map(is_public, found)):
            raise DocumentError("url_address_refused", "the host is, or says it is, inside a private network")
        return found

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        most = self._rules.max_bytes
        length = response.content_length
        if length is not None and length > most:
            raise _too_large(most)
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise DocumentError("fetch_failed", "the server packs the file in a way that was not asked for")
        unpack = None if encoding in ("", "identity") else zlib.decompressobj(47)
        pieces, taken = list[bytes](), 0
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            piece = chunk
            if unpack is not None:
                try:
                    piece = unpack.decompress(chunk, most - taken + 1)
                except zlib.error:
                    raise DocumentError("fetch_failed", "the file is damaged on its way") from None
            taken += len(piece)
            if taken > most or (unpack is not None and unpack.unconsumed_tail):
                raise _too_large(most)
            pieces.append(piece)
        if unpack is not None and not unpack.eof:
            raise DocumentError("fetch_failed", "the file is cut short on its way")
        return b"".join(pieces)


def _pinned(host: str, addresses: Sequence[str]) -> AbstractResolver:
    """A resolver for one connection: it knows the addresses that were looked at, and asks nobody."""
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Pinned(AbstractResolver):
        async def resolve(
            self, name: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            if name.rstrip(".").lower() != host.lower():
                raise OSError("another host")
            return [
                ResolveResult(
                    hostname=name, host=address, port=port, proto=0, flags=socket.AI_NUMERICHOST,
                    family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                )
                for address in addresses
            ]  # fmt: skip

        async def close(self) -> None:
            return None

    return Pinned()


def is_public(address: str) -> bool:
    """Whether an address belongs to the open internet, and whatever address it carries inside does as well."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if found in _NAT64:
        return is_public(str(ipaddress.IPv4Address(found.packed[12:])))
    if "%" in address or not found.is_global or found.is_multicast or found.is_reserved or found.is_unspecified:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.is_site_local:
            return False
        inner = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
        return all(one is None or is_public(str(one)) for one in inner)
    return True


async def _system_addresses(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _encoded(url: str) -> URL:
    """The address as it came: a presigned one is signed over its very characters."""
    from yarl import URL as Address

    return Address(url, encoded=url.isascii())


def _last_part(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])[:200]


def _not_allowed(message: str) -> DocumentError:
    return DocumentError("url_not_allowed", message)


def _too_large(most: int) -> DocumentError:
    return DocumentError("file_too_large", f"more than {most} bytes")
