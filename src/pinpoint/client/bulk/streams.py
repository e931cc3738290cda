"""Tables as streams of bytes: opened, unpacked by their ending, and cut into lines of a bounded length."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from pinpoint.client.bulk import remote
from pinpoint.errors import PinpointError

LONGEST_LINE = 100_000_000  # bytes; far more than any way to a model takes, and it has to fit into memory
PACKED = (".gz", ".bz2", ".xz")
WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00")  # beginnings of UTF-16 and UTF-32


def unpacked_name(source: str) -> str:
    """A source's name in lower case, without the ending that says how it is packed."""
    name = source.lower()
    return next((name.removesuffix(ending) for ending in PACKED if name.endswith(ending)), name)


@contextmanager
def opened(source: str) -> Iterator[IO[bytes]]:
    """A table's bytes, unpacked as they are read.

    Raises:
        PinpointError: `unreadable_file`, also while it is read: it ends too soon, is damaged, or goes away.
    """
    try:
        with remote.opened(source) if remote.is_remote(source) else open(source, "rb") as file:
            yield _unpacked(source.lower(), file)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        why = "it ends too soon" if isinstance(error, EOFError) else "it is damaged"
        raise PinpointError("unreadable_file", f"cannot be unpacked: {why}", source) from None
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        raise PinpointError("unreadable_file", f"cannot be read: {why}", source) from None


def _unpacked(name: str, file: IO[bytes]) -> IO[bytes]:
    if name.endswith(".gz"):
        return cast("IO[bytes]", gzip.open(file, "rb"))
    if name.endswith(".bz2"):
        return bz2.open(file, "rb")
    if name.endswith(".xz"):
        return lzma.open(file, "rb")
    return file


def lines(source: str, stream: IO[bytes]) -> Iterator[bytes | None]:
    """The lines; None in the place of one that is too long to be kept.

    Raises:
        PinpointError: `invalid_encoding`, UTF-16.
    """
    first = True
    while line := stream.readline(LONGEST_LINE + 1):
        if first and line.startswith(WIDE):
            raise not_utf8(source)
        first = False
        if len(line) <= LONGEST_LINE:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(LONGEST_LINE)
        yield None


def not_utf8(source: str) -> PinpointError:
    """What is told of a table in another encoding."""
    return PinpointError("invalid_encoding", "the table is not UTF-8; save it as such", source)
