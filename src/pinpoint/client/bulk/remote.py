"""Files of object stores by fsspec: `s3://bucket/prefix`, `gs://…`, and whatever else has a driver installed."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from pinpoint.client.bulk import paths
from pinpoint.errors import PinpointError

EXTRA = "pip install -r requirements-bulk.txt"
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
    """The files at or below an address, or like it where it is a pattern, by name; one folder in memory at a time.

    Raises:
        PinpointError: there are none, or the store cannot be read.
    """
    system, path = _opened(source)
    found = False
    with _told(source):
        for one in _paths(system, path):
            found = True
            yield _file(system, one)
    if not found:
        raise PinpointError("unreadable_file", "no file at or below this address", source)


def _paths(system: Any, path: str) -> Iterator[str]:
    if "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)):
        yield from paths.files(path)  # which knows links
    elif system.isfile(path):
        yield path
    elif any(one in path for one in "*?["):
        yield from (one for one in sorted(system.glob(path)) if system.isfile(one))
    else:
        yield from _below(system, path)


def _below(system: Any, path: str) -> Iterator[str]:
    """Files below a folder. Not by fsspec's `walk`, for which a folder that cannot be listed has no files."""
    folders = [path]
    while folders:
        folder = folders.pop()
        try:
            listed = system.ls(folder, detail=True)
        except FileNotFoundError:  # gone, or never there
            continue
        here = folder.rstrip("/")
        kinds = {one["name"].rstrip("/"): one["type"] for one in listed}
        kinds.pop(here, None)  # some stores list a folder in itself
        shown = sorted(name for name in kinds if not name.rpartition("/")[2].startswith("."))
        yield from (name for name in shown if kinds[name] != "directory")
        # A folder without a name, as in `a//b`, is none that can be listed: drivers take its name for that of `a`.
        if any(one["type"] == "directory" and one["name"] == f"{here}/" for one in listed):
            inside = (name for name in system.find(folder) if name.startswith(f"{here}//"))
            yield from sorted(name for name in inside if "/." not in name[len(here) :])
        folders += [name for name in reversed(shown) if kinds[name] == "directory"]


def opened(source: str) -> IO[bytes]:
    """One file of a store, to be read from its beginning. Raises PinpointError."""
    system, path = _opened(source)
    with _told(source):
        stream: IO[bytes] = system.open(path, "rb")
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
    except ValueError:
        raise PinpointError("unreadable_file", "no store that fsspec knows, or no address of it", source) from None
    except Exception as error:
        raise _unreadable(source, error) from None
    return system, str(path)


def _file(system: Any, path: str) -> RemoteFile:
    def size_bytes() -> int:
        with _told(path, OSError):
            return int(system.info(path)["size"] or 0)

    def read() -> bytes:
        with _told(path, OSError):
            return bytes(system.cat_file(path))

    return RemoteFile(system.unstrip_protocol(path), size_bytes, read)


@contextmanager
def _told(source: str, kind: type[Exception] = PinpointError) -> Iterator[None]:
    """What a driver raises, which is anything at all, as an error of ours, or of one file."""
    try:
        yield
    except PinpointError:
        raise
    except Exception as error:
        raise (_unreadable(source, error) if kind is PinpointError else OSError(errno.EIO, _why(error))) from None


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _unreadable(source: str, error: Exception) -> PinpointError:
    return PinpointError("unreadable_file", f"the store cannot be read: {_why(error)}", source)
