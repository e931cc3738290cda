"""Files of object stores by fsspec: `s3://bucket/prefix`, `gs://…`, and whatever else has a driver installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from pinpoint.errors import PinpointError

EXTRA = "pip install 'pinpoint[bulk]'"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file.

    Attributes:
        name: with its scheme.
        size_bytes: asks the store.
    """

    name: str
    size_bytes: Callable[[], int]
    read: Callable[[], bytes]


def is_remote(source: str) -> bool:
    """Whether a source is an address."""
    return _SCHEME.match(source) is not None


def check() -> None:
    """Raises PinpointError where fsspec is not there."""
    try:
        import fsspec  # noqa: F401
    except ImportError:
        raise PinpointError("missing_extra", f"object stores are read with fsspec: {EXTRA}") from None


def files(source: str) -> Iterator[RemoteFile]:
    """The files at or below an address, by name; one folder of them in memory at a time.

    Raises:
        PinpointError: there are none, or the store cannot be read.
    """
    system, path = _opened(source)
    found = False
    try:
        if system.isfile(path):
            yield _file(system, path)
            return
        for folder, _, names in system.walk(path):
            for name in sorted(names):
                if name and not name.startswith("."):
                    found = True
                    yield _file(system, f"{folder}/{name}" if folder else name)
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from None
    if not found:
        raise PinpointError("unreadable_file", "no file at or below this address", source)


def opened(source: str) -> IO[bytes]:
    """One file of a store, to be read from its beginning. Raises PinpointError."""
    system, path = _opened(source)
    try:
        stream: IO[bytes] = system.open(path, "rb")
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from None
    return stream


def _opened(source: str) -> tuple[Any, str]:
    check()
    import fsspec.core

    try:
        system, path = fsspec.core.url_to_fs(source)
    except ImportError as error:
        raise PinpointError(
            "missing_extra", f"{error}: the driver of this store, beside what {EXTRA} brings", source
        ) from None
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from None
    return system, str(path)


def _file(system: Any, path: str) -> RemoteFile:
    return RemoteFile(
        system.unstrip_protocol(path), lambda: int(system.info(path)["size"] or 0), lambda: bytes(system.cat_file(path))
    )


def _unreadable(source: str, error: Exception) -> PinpointError:
    why = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return PinpointError("unreadable_file", f"the store cannot be read: {why}", source)
