"""Files on this machine by the names that people type: a file, a folder with all that is in it, a pattern."""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

from pinpoint.errors import PinpointError

ANY_DEPTH = "**"
STANDARD_INPUT = "-"


def stands_for_something(name: str) -> bool:
    """Whether there is a file or folder of this name, or a file like it."""
    with suppress(ValueError):  # a NUL in it
        return os.path.exists(name) or next(_like(name), None) is not None
    return False


def nothing(name: str) -> PinpointError:
    """What is told where it stands for nothing."""
    if name == STANDARD_INPUT:
        # Sources are read again by a run that goes on, and at the end of one that lost jobs.
        return PinpointError("unreadable_file", "standard input is not read: put it into a file, and name that", name)
    return PinpointError("unreadable_file", "no file of this name, and none in or like it", name)


def files(name: str) -> Iterator[str]:
    """The files that a name stands for, one by one in an order that is the same each time.

    Of folders those whose name begins with a dot are left out, links to other folders, and links that lead nowhere.
    What cannot be looked at in a folder, a folder or a file, comes by its own name, so that whoever reads it tells of
    it. No more of a folder than one level is in memory.

    Raises:
        PinpointError: `unreadable_file`, the folder that is named.
    """
    if os.path.isdir(name):
        try:
            os.scandir(name).close()
        except OSError as error:
            raise PinpointError("unreadable_file", f"the folder cannot be read: {error.strerror}", name) from None
        yield from _below(name)
    elif os.path.exists(name):
        yield name
    else:
        yield from _like(name)


def spelled_alike(names: Sequence[str]) -> list[str]:
    """The names, with what lies in a folder among them spelled as that folder is: a file has one name in one run."""
    places = [os.path.abspath(name) for name in names]
    first = dict(zip(reversed(places), reversed(names), strict=True))  # how a place was spelled first
    alike = list[str]()
    for name, place in zip(names, places, strict=True):
        around = next(folder for folder in _from_the_top(place) if folder in first)
        inside = os.path.relpath(place, around)
        kept = first[around] == name
        alike.append(name if kept else first[around] if inside == os.curdir else os.path.join(first[around], inside))
    return alike


def _from_the_top(place: str) -> list[str]:
    """The folders around a place, the outermost before the others, and itself."""
    around = [place]
    while (outer := os.path.dirname(around[-1])) != around[-1]:
        around.append(outer)
    return around[::-1]


def _below(folder: str) -> Iterator[str]:
    levels = list[Iterator[os.DirEntry[str]]]()
    deeper: str | None = folder
    while deeper is not None or levels:
        if deeper is not None:
            try:
                with os.scandir(deeper) as found:
                    levels.append(iter(sorted(found, key=lambda entry: entry.name)))
            except OSError:
                yield deeper
            deeper = None
            continue
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
        elif not entry.name.startswith("."):
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
                is_file = not is_folder and entry.is_file()
            except OSError as error:
                is_folder, is_file = False, error.errno != errno.ELOOP  # a link to itself
            if is_folder:
                deeper = entry.path
            elif is_file:
                yield entry.path


def _like(pattern: str) -> Iterator[str]:
    """The files that a pattern stands for; `**` follows no links, or a link to a folder above would have no end."""
    parts = pattern.split(os.sep)
    if ANY_DEPTH not in parts:
        yield from (path for path in sorted(glob.iglob(pattern)) if os.path.isfile(path))
        return
    first = parts.index(ANY_DEPTH)
    base, rest = os.sep.join(parts[:first]), parts[first:]
    if not base and pattern.startswith(os.sep):
        base = os.sep
    for folder in sorted(glob.iglob(base)) if base else [os.curdir]:
        for path in _below(folder) if os.path.isdir(folder) else ():
            inside = os.path.relpath(path, folder)
            if _matches(inside.split(os.sep), rest):
                yield path if base else inside


def _matches(names: Sequence[str], parts: Sequence[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == ANY_DEPTH:
        return any(_matches(names[skip:], parts[1:] or ["*"]) for skip in range(len(names)))
    return bool(names) and fnmatch.fnmatchcase(names[0], parts[0]) and _matches(names[1:], parts[1:])
