"""Standard output and error as streams that cannot hold up the worker, lose a job or tell a secret.

A log pipe that nobody reads fills up, and whoever writes to it then stands: the event loop in the middle of the SDK's
log, with taken jobs in its hands. So on the platform everything that is printed or logged goes, line by line, into a
bounded queue, and a thread of its own writes it. What does not fit is counted, dropped, and said as soon as there is
room again; a stream whose reader has gone is let go.

    install(queued=True)      # before logging is set up
    flush()                   # before `os._exit`; a normal end does it by itself
    urgent("leaving: …")      # from signal handlers and for a process that hangs: no queue, no lock, no waiting

Both streams are UTF-8, whatever the locale: an id or an answer that ASCII cannot say is no reason to lose a job. Every
line goes through `secrets`. In a local run standard output is the answer and is left alone, but for its encoding.
"""

from __future__ import annotations

import atexit
import errno
import io
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from pinpoint.serving.secrets import redactor

QUEUE_BYTES = 1_000_000  # of each stream: some 5,000 lines
WRITE_BYTES = 65_536  # at once: what a pipe holds
LINE_CHARS = 16_384  # a line that has not ended by then is written as it is
FLUSH_S = 1.0  # of an end that waits for lines; containers are commonly given 10 s
FULL_S = 1.0  # between tries on a disk that is full
GONE = frozenset({errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN})

_queues: list[LineQueue] = []
_urgent_fd: int | None = None


class LineQueue:
    """Lines for one file descriptor, written by a thread. Any thread may put; a signal handler too."""

    def __init__(self, fd: int, name: str, limit_bytes: int = QUEUE_BYTES) -> None:
        self.dropped = 0  # since it was last said
        self.gone = False  # whether its reader is
        self.on_gone: Callable[[str], None] = lambda line: None
        self._fd = fd
        self._name = name
        self._limit_bytes = limit_bytes
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)  # threads do not live on in a child

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._bytes = 0  # of lines that are not yet written
        self._thread: threading.Thread | None = None

    def put(self, line: bytes) -> None:
        """Have a line written some time soon. Never waits."""
        with self._changed:
            if self.gone:
                return
            if self._bytes + len(line) > self._limit_bytes:
                self.dropped += 1
                return
            self._append(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"lines-{self._name}", daemon=True)
                self._thread.start()

    def wait_written(self, timeout_s: float) -> bool:
        """Whether everything is written, after at most this long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._bytes or self.gone, timeout_s)

    def _append(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)
        self._changed.notify_all()

    def _run(self) -> None:
        while not self.gone:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                lines = [self._lines.popleft()]
                while self._lines and sum(map(len, lines)) + len(self._lines[0]) <= WRITE_BYTES:
                    lines.append(self._lines.popleft())
            written = self._write(b"".join(lines))
            with self._changed:
                self._bytes -= sum(map(len, lines))
                self.dropped += 0 if written else len(lines)
                if self.dropped and self._bytes < self._limit_bytes // 2:
                    said, self.dropped = self.dropped, 0
                    self._append(f"log: {said} lines to {self._name} were dropped, nobody read them\n".encode())
                self._changed.notify_all()

    def _write(self, data: bytes) -> bool:
        """Write all of it, however long that takes; False where it cannot be written."""
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:  # somebody has made it so
                select.select([], [self._fd], [], FULL_S)
            except OSError as error:
                if error.errno in GONE:
                    self.gone = True
                    self.on_gone(f"log: {self._name} has been closed by its reader and is let go\n")
                else:
                    time.sleep(FULL_S)  # a full disk: no event tells when it is not
                return False
        return True


class LineStream(io.TextIOBase):
    """Text that is written → whole lines without secrets, in UTF-8. Never raises for what it is given to write."""

    def __init__(self, put: Callable[[bytes], None], fd: int, clean: Callable[[str], str]) -> None:
        self._put = put
        self._fd = fd
        self._clean = clean
        self._open = threading.local()  # a thread's line that has not ended: two of them never mix
        self.buffer = _Bytes(self)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Always UTF-8."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """What becomes of half a character."""
        return "backslashreplace"

    def write(self, text: str) -> int:
        """Take text; a line goes out as soon as it ends."""
        pending: str = getattr(self._open, "text", "") + text
        whole, newline, rest = pending.rpartition("\n")
        if len(rest) > LINE_CHARS:
            whole, newline, rest = pending, "", ""
        self._open.text = rest
        if whole or newline:
            self._out(whole + newline)
        return len(text)

    def flush(self) -> None:
        """Let a line go that has not ended. Waits for nothing."""
        pending, self._open.text = getattr(self._open, "text", ""), ""
        if pending:
            self._out(pending)

    def _out(self, text: str) -> None:
        self._put(self._clean(text).encode("utf-8", "backslashreplace"))

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """Whether somebody watches."""
        return os.isatty(self._fd)

    def fileno(self) -> int:
        """Of what lies below; who writes there may have to wait."""
        return self._fd

    def reconfigure(self, **options: object) -> None:
        """As text streams have it; there is nothing to choose."""


class _Bytes(io.RawIOBase):
    """For those who write bytes to a text stream's buffer."""

    def __init__(self, stream: LineStream) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._stream.write(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()


def install(queued: bool) -> None:
    """Put the streams in place, once per process.

    Args:
        queued: on the platform. Otherwise somebody reads: lines are written at once, and standard output is untouched.
    """
    global _urgent_fd
    if _urgent_fd is not None:
        return
    _open_closed()
    _urgent_fd = _reopened(2)
    clean = redactor(os.environ)
    if not queued:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
        sys.stderr = LineStream(_write_error, 2, clean)
        return
    out, err = LineQueue(1, "stdout"), LineQueue(2, "stderr")
    out.on_gone = lambda line: err.put(line.encode())
    err.on_gone = lambda line: out.put(line.encode())
    _queues.extend((out, err))
    sys.stdout, sys.stderr = LineStream(out.put, 1, clean), LineStream(err.put, 2, clean)
    atexit.register(flush)


def flush(bound_s: float = FLUSH_S) -> None:
    """Wait until all lines are written, but no longer than this."""
    until_s = time.monotonic() + bound_s
    for queue in _queues:
        queue.wait_written(max(0.0, until_s - time.monotonic()))


def urgent(line: str) -> None:
    """Write a line past the queue, or lose it: for a process that leaves or hangs. No lock is taken."""
    data = f"{line}\n".encode("utf-8", "backslashreplace")
    try:
        os.write(urgent_fd(), data)
    except OSError:
        return


def urgent_fd() -> int:
    """Where standard error goes, by a descriptor on which writing never waits (where the system has one)."""
    return 2 if _urgent_fd is None else _urgent_fd


def _write_error(data: bytes) -> None:
    while data:
        try:
            data = data[os.write(2, data) :]
        except BlockingIOError:
            select.select([], [2], [])
        except OSError:  # nobody is left to tell
            return


def _open_closed() -> None:
    """A stream that was closed from the start swallows: its number must not become some connection's."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _reopened(fd: int) -> int:
    """The same file behind a description of its own, so that making it non-blocking concerns nobody else."""
    if stat.S_ISREG(os.fstat(fd).st_mode):  # writing there does not wait for a reader; two descriptions would overwrite
        return fd
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # a socket has no second description; other systems have no /proc
        return fd
