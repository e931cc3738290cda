"""Reading processes: files are read in them, never here, and what happens to one is the matter of its file.

    file ── a process that waits ── its answer
                  │
                  ├── no answer in time ──── ended, replaced: `file_timeout`
                  ├── ended by itself ────── replaced: `parser_failed`
                  └── an answer that is none replaced: `parser_failed`

A pool keeps its processes from one file to the next, so that a small file costs milliseconds, and replaces each after
some hundred files or where it has grown. What a process may not do is in `confine`; what it may take, in `FileLimits`.
The environment of the worker, with its keys, is not handed on, and neither are its open files.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Literal

import psutil

from pinpoint.documents.extracted import Extracted, Untrusted, from_frame
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.reading_process import SIZES
from pinpoint.errors import DocumentError

log = logging.getLogger("pinpoint")

FILES_EACH = 200  # then a process is replaced, whatever its libraries have kept
GROWN_BYTES = {
    "read": 600_000_000,
    "recognise": 2_500_000_000,
    "show": 600_000_000,
}  # resident, after which one is replaced as well
START_S = 60.0  # that a process may take until it is ready: on a machine that is busy loading a model
_HEAD_BYTES = 1_000_000  # of JSON around the text
_START = "import sys; sys.path[:0] = {path!r}; from pinpoint.documents.reading_process import main; main({task!r})"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Task = Literal["read", "recognise", "show"]


class _Gone(Exception):
    """The process ended, or what it says is no answer."""


class _Late(Exception):
    """The process gave no answer in time."""


class _Reader:
    """One reading process."""

    def __init__(self, task: Task, limits: FileLimits) -> None:
        self.files = 0
        self.in_force: tuple[str, ...] = ()
        ours, theirs = socket.socketpair()
        self._pipe = ours
        environment = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        environment |= {"LANG": "C.UTF-8", **dict.fromkeys(_THREADS, "1")}
        program = _START.format(path=[path for path in sys.path if path], task=task)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", program],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, close_fds=True,
                start_new_session=True, cwd="/",
            )  # fmt: skip
        finally:
            theirs.close()
        memory = limits.ocr_memory_bytes if task == "recognise" else limits.memory_bytes
        try:
            head, _ = self.exchange(json.dumps({"memory_bytes": memory}).encode(), b"", START_S, _HEAD_BYTES)
            told = json.loads(head)
            self.in_force = tuple(str(name)[:20] for name in told["in_force"])
        except (_Gone, _Late, ValueError, KeyError, TypeError):
            self.end()
            raise _Gone from None

    def exchange(self, head: bytes, body: bytes, seconds: float, most_bytes: int) -> tuple[bytes, bytes]:
        """What it answers within so many seconds, of at most so many bytes."""
        ends_s = time.monotonic() + seconds
        try:
            for piece in (SIZES.pack(len(head), len(body)), head, body):
                self._send(piece, ends_s)
            head_bytes, body_bytes = SIZES.unpack(self._receive(SIZES.size, ends_s))
            if head_bytes + body_bytes > most_bytes:
                raise _Gone
            return self._receive(head_bytes, ends_s), self._receive(body_bytes, ends_s)
        except TimeoutError:
            raise _Late from None
        except OSError:
            raise _Gone from None

    def interrupt(self) -> None:
        """End the process; whoever waits for its answer is told at once, and puts its remains away."""
        self._process.kill()
        with suppress(OSError):
            self._pipe.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """End the process and put its remains away."""
        self.interrupt()
        self._pipe.close()
        self._process.wait()

    def resident_bytes(self) -> int:
        """What it has in memory; 0 where it is gone."""
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def _send(self, piece: bytes, ends_s: float) -> None:
        view = memoryview(piece)
        while view:
            self._pipe.settimeout(max(0.001, ends_s - time.monotonic()))
            view = view[self._pipe.send(view) :]

    def _receive(self, size: int, ends_s: float) -> bytes:
        pieces, left = list[bytes](), size
        while left:
            if (rest_s := ends_s - time.monotonic()) <= 0:
                raise TimeoutError
            self._pipe.settimeout(rest_s)
            piece = self._pipe.recv(min(left, 1 << 20))
            if not piece:
                raise _Gone
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)


@dataclass(slots=True)
class _Call:
    """One file on its way; `abandoned` once nobody waits for it any more."""

    reader: _Reader | None = None
    abandoned: bool = False


class Pool:
    """Reading processes for one task. `call` is for an event loop; the rest happens in threads of the pool's own."""

    def __init__(self, task: Task, size: int, limits: FileLimits) -> None:
        """Start nothing yet: a worker that is sent no files has no such process."""
        self.task: Task = task
        self.size = size
        self._limits = limits
        self._threads = ThreadPoolExecutor(max_workers=size, thread_name_prefix=f"files-{task}")
        self._idle = deque[_Reader]()
        self._lock = threading.Lock()
        self._closed = False
        self._told = False

    async def call(self, asked: Mapping[str, object], content: bytes, seconds: float) -> Extracted:
        """What a reading process answers.

        Args:
            asked: of it, beside the task and the limits.
            content: the file.
            seconds: in which it has to answer, from when it is given the file.

        Raises:
            DocumentError: the file cannot be read, its reader died of it, or there is no reader.
        """
        call = _Call()
        head = json.dumps({**asked, "task": self.task, "limits": asdict(self._limits)}).encode("ascii")
        done = self._threads.submit(self._exchange, call, head, content, seconds)
        try:
            return await asyncio.wrap_future(done)
        except asyncio.CancelledError:
            with self._lock:
                call.abandoned = True
                if call.reader is not None:
                    call.reader.interrupt()
            raise

    def close(self) -> None:
        """End all processes that wait; one that is reading ends with its file."""
        with self._lock:
            self._closed = True
            idle, self._idle = list(self._idle), deque()
        for reader in idle:
            reader.end()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _exchange(self, call: _Call, head: bytes, content: bytes, seconds: float) -> Extracted:
        reader = self._take()
        with self._lock:
            call.reader = reader
            if call.abandoned:
                reader.interrupt()
        kept = False
        try:
            answer = reader.exchange(head, content, seconds, self._limits.output_bytes + _HEAD_BYTES)
            extracted = from_frame(*answer, max_pages=self._limits.max_pages)
            kept = True
            return extracted
        except DocumentError:
            kept = True
            raise
        except _Late:
            raise DocumentError("file_timeout", f"reading the file takes more than {seconds:g} s") from None
        except (_Gone, Untrusted):
            raise DocumentError(
                "parser_failed",
                "reading the file ended the process that read it: the file is damaged or hostile, or needs more than "
                "a file may take",
            ) from None
        finally:
            with self._lock:
                call.reader = None
                kept = kept and not call.abandoned
            self._put_back(reader, kept)

    def _take(self) -> _Reader:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        try:
            reader = _Reader(self.task, self._limits)
        except (_Gone, OSError) as error:
            log.error("files: a reading process does not start type=%s", type(error).__name__)
            raise DocumentError("readers_unavailable", "no process could be started to read the file") from None
        if not self._told:
            self._told = True
            log.info("files: %s processes confined by %s", self.task, ",".join(reader.in_force))
        return reader

    def _put_back(self, reader: _Reader, kept: bool) -> None:
        reader.files += 1
        if kept and reader.files < FILES_EACH and reader.resident_bytes() < GROWN_BYTES[self.task]:
            with self._lock:
                if not self._closed:
                    self._idle.append(reader)
                    return
        reader.end()
