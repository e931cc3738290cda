"""A worker's output through a pipe whose reader the test can hold up or take away."""

from __future__ import annotations

import fcntl
import os
import select
import threading
from typing import IO

SMALLEST_BYTES = 4096  # that a pipe can be made to hold


class LogPipe:
    """Copies what the worker writes into its output file, from a thread, as long as it is told to read."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(self._writing, fcntl.F_SETPIPE_SZ, SMALLEST_BYTES)
        self._may_read = threading.Event()
        self._may_read.set()
        self._gone = threading.Event()
        self._lock = threading.Lock()

    def into(self, output: IO[bytes]) -> int:
        """The end that the worker gets."""
        self._output = output
        return self._writing

    def started(self) -> None:
        """The worker has its end."""
        os.close(self._writing)
        threading.Thread(target=self._copy, name="log", daemon=True).start()

    def stall(self) -> None:
        """Read no more."""
        self._may_read.clear()

    def resume(self) -> None:
        """Read on."""
        self._may_read.set()

    def leave(self) -> None:
        """Close the reader's end: whoever writes gets EPIPE."""
        with self._lock:
            self._gone.set()
            os.close(self._reading)

    def _copy(self) -> None:
        while not self._gone.is_set():
            self._may_read.wait()
            with self._lock:
                if self._gone.is_set() or not select.select([self._reading], [], [], 0)[0]:
                    data = None
                else:
                    data = os.read(self._reading, 65_536)
            if data == b"":
                return
            if data is None:
                self._gone.wait(0.01)  # not under the lock, so that `leave` gets it
                continue
            if self._output.closed:
                return
            self._output.write(data)
            self._output.flush()
