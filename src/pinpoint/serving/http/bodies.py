"""Reading the body of a request: within limits of size and time, unpacked, as JSON."""

from __future__ import annotations

import asyncio
import io
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import zstandard
from starlette.requests import ClientDisconnect, Request

from pinpoint.errors import CapacityError, RequestError

# A client that is answered before it has sent everything may see a broken connection and no answer. So what is too
# large is read to its end and thrown away, within these many times the limit.
THROWN_AWAY = 4
# The same of a request that is refused unread, before its connection is closed: RunPod takes 30 MB at most.
LEFT_BYTES, LEFT_S = 32_000_000, 1.0
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
LARGEST_WINDOW = 2**23  # bytes, of zstd: what every decoder is asked to have
LARGE_BYTES = 65_536  # some 0.5 ms to read


async def read_json(request: Request, max_bytes: int, body_s: float, grows: Callable[[int], None]) -> Any:
    """Return the JSON of a request's body.

    Args:
        request: not read yet.
        max_bytes: of the body, packed and unpacked.
        body_s: how long it may take to arrive.
        grows: told of every piece that is held; may raise to refuse more.

    Raises:
        RequestError: too large, too slow, not JSON by its own word or by the look of it, or packed in another way.
    """
    body, arrived = bytearray(), 0
    refused: RequestError | CapacityError | None = None
    unpack: Callable[[bytes, bytearray], None] | None = None
    try:
        unpack = _unpacker(request.headers.get("content-encoding", ""), max_bytes)
        _check_type(request.headers.get("content-type", ""), request.url.path)
    except RequestError as error:
        refused = error.with_traceback(None)
    try:
        async with asyncio.timeout(body_s):
            async for piece in request.stream():
                arrived += len(piece)
                if arrived > max_bytes * THROWN_AWAY:
                    break
                if refused is None and unpack is not None:
                    try:
                        unpack(piece, body)
                        grows(len(body))
                    except (RequestError, CapacityError) as error:
                        refused = error.with_traceback(None)
                        body.clear()
    except TimeoutError:
        raise RequestError("body_too_slow", f"the body did not arrive within {body_s:g} s") from None
    if refused is not None or arrived > max_bytes:
        raise refused or too_large(max_bytes)
    return await parse(bytes(body))


async def throw_away(request: Request) -> None:
    """Read what is left of a body, within a bound of size and time: a socket that is closed before tells its client of
    a broken connection, and not what was answered.
    """
    arrived = 0
    # Of a body that was read before there is nothing left, which is told as a RuntimeError.
    with suppress(TimeoutError, RuntimeError, ClientDisconnect):
        async with asyncio.timeout(LEFT_S):
            async for piece in request.stream():
                arrived += len(piece)
                if arrived > LEFT_BYTES:
                    return


def too_large(max_bytes: int) -> RequestError:
    """What is told of a body over the limit."""
    return RequestError("body_too_large", f"the body has more than {max_bytes} bytes; send several requests")


async def parse(body: bytes) -> Any:
    """Return the JSON in a body; a large one is read in a thread. Raises RequestError."""
    if len(body) > LARGE_BYTES:
        return await asyncio.to_thread(_parse, body)
    return _parse(body)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        message = f"the body is not JSON: {error.msg}, line {error.lineno}, column {error.colno}"
    except UnicodeDecodeError:
        message = "the body is not JSON: JSON is UTF-8"
    except (ValueError, RecursionError):
        message = "the body has numbers too long or brackets too deep to read"
    raise RequestError("invalid_json", message)


def _check_type(content_type: str, path: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data" and path.endswith("/systemone"):  # how its client sends images
        raise RequestError("not_supported", "this model reads text only; images and other assets need one that sees")
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise RequestError("not_json", "send JSON, and say so: content-type: application/json")


def _unpacker(encoding: str, max_bytes: int) -> Callable[[bytes, bytearray], None]:
    """What adds a piece to the body, unpacked, up to the limit."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):

        def plain(piece: bytes, body: bytearray) -> None:
            if len(body) + len(piece) > max_bytes:
                raise too_large(max_bytes)
            body += piece

        return plain
    if encoding == "gzip":
        packed = zlib.decompressobj(_GZIP_WINDOW)

        def gunzip(piece: bytes, body: bytearray) -> None:
            try:
                body += packed.decompress(piece, max_bytes + 1 - len(body))
            except zlib.error:
                raise RequestError("invalid_json", "the body is not gzip, as it says it is") from None
            if len(body) > max_bytes or packed.unconsumed_tail:
                raise too_large(max_bytes)

        return gunzip
    if encoding == "zstd":
        return _zstd(max_bytes)
    raise RequestError("not_json", "send the body as it is, or packed with gzip or zstd")


def _zstd(max_bytes: int) -> Callable[[bytes, bytearray], None]:
    """The client of TypeSafe packs with it where it can. A frame that needs a large window is refused."""
    out = _Bounded(max_bytes)
    writer = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).stream_writer(out, write_size=65_536)

    def unpack(piece: bytes, body: bytearray) -> None:
        out.body = body
        try:
            writer.write(piece)
        except zstandard.ZstdError:
            raise RequestError("invalid_json", "the body is not zstd, as it says it is") from None

    return unpack


class _Bounded(io.BytesIO):
    """A file that a decompressor writes to, no more than the limit."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self.body = bytearray()
        self._max_bytes = max_bytes

    def write(self, piece: Any) -> int:
        """Take a piece."""
        if len(self.body) + len(piece) > self._max_bytes:
            raise too_large(self._max_bytes)
        self.body += piece
        return len(piece)
