"""Files on this machine by the names that people type: a file, a folder with all that is in it, a pattern."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import suppress

from pinpoint.errors import PinpointError


def stands_for_something(name: str) -> bool:
    """Whether there is a file or folder of this name, or a file like it."""
    with suppress(ValueError):  # a NUL in it
        return os.path.exists(name) or any(map(os.path.isfile, glob.iglob(name, recursive=True)))
    return False


def nothing(name: str) -> PinpointError:
    """What is told where it stands for nothing."""
    return PinpointError("unreadable_file", "no file of this name, and none in or like it", name)


def files(name: str) -> Iterator[str]:
    """The files that a name stands for, one by one in an order that is the same each time.

    Those whose name begins with a dot are left out of folders. No more of a folder than one level is in memory.

    Raises:
        PinpointError: `unreadable_file`, a folder.
    """
    if os.path.isdir(name):
        yield from _below(name)
    elif os.path.exists(name):
        yield name
    else:
        yield from (path for path in sorted(glob.iglob(name, recursive=True)) if os.path.isfile(path))


def _below(folder: str) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise PinpointError("unreadable_file", f"the folder cannot be read: {error.strerror}", folder) from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path)
        elif entry.is_file():
            yield entry.path
