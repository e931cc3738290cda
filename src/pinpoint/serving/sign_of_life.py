"""Whether the worker that wrote a marker still lives, told from a file that it holds and renews.

    locked by somebody                                     it lives, were it frozen
    not locked, written on this kernel and this volume     it is dead: the kernel lets go of a dead process's locks
    not locked, written elsewhere                          locks may not reach that far: watch whether the file changes

No clock is compared: hosts disagree about the time, and a dead worker of a host that is ahead would live for ever. What
changes while one looks is alive.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import uuid
from pathlib import Path
from typing import Literal

SUFFIX = ".life"
_BOOT = Path("/proc/sys/kernel/random/boot_id")

Verdict = Literal["alive", "dead", "unknown"]


class SignOfLife:
    """The file of this worker. All methods in one thread."""

    def __init__(self, folder: Path) -> None:
        self.owner = uuid.uuid4().hex
        self._folder = folder
        self._fd: int | None = None
        self._beats = 0
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._let_go)  # a child must not hold what its parent's death releases

    def show(self) -> None:
        """Be sure that the file is there and locked."""
        if self._fd is not None and os.fstat(self._fd).st_nlink:
            return
        self._let_go()
        path = self._folder / (self.owner + SUFFIX)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(OSError):  # a volume without locks: then only the beats tell
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._fd = fd
        self.beat()

    def beat(self) -> None:
        """Change the file."""
        if self._fd is None:
            return
        self._beats += 1
        told = json.dumps({"place": place(self._folder), "beats": self._beats}).encode()
        os.pwrite(self._fd, told.ljust(256), 0)

    def end(self) -> None:
        """Take the file away: nothing of this worker is left that it could tell of."""
        with contextlib.suppress(OSError):
            os.unlink(self._folder / (self.owner + SUFFIX))
        self._let_go()

    def _let_go(self) -> None:
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = None


def look(folder: Path, owner: str) -> tuple[Verdict, bytes]:
    """Whether a worker lives, and what its file holds, to be compared with a later look."""
    try:
        fd = os.open(folder / (owner + SUFFIX), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return "dead", b""
    try:
        told = os.pread(fd, 4096, 0)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return "alive", told
        except OSError:
            return "unknown", told
        return ("dead" if _place_of(told) == place(folder) else "unknown"), told
    finally:
        os.close(fd)


def place(folder: Path) -> str:
    """This kernel and this mounted volume: within it, locks are certain."""
    try:
        boot = _BOOT.read_text().strip()
    except OSError:
        boot = uuid.uuid4().hex  # nobody else's
    return f"{boot}/{os.stat(folder).st_dev}"


def _place_of(told: bytes) -> str | None:
    try:
        value = json.loads(told)
    except ValueError:
        return None
    return value.get("place") if isinstance(value, dict) else None
