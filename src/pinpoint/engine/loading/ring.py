"""Weight files onto a GPU: read in parallel into pinned buffers, and copied from there on a stream of their own.

transformers maps the files and copies each tensor as it comes, from memory that the driver copies once more to send it.
Here threads read blocks of a tensor, each into a pinned buffer of its own, and while one's is on its way to the device
the others fill theirs. transformers is given the tensors by name, to be read as it asks for them. The buffers take
`THREADS` · `BLOCK_BYTES` of the host's memory, 192 MiB, which torch keeps.

A file that ends too early, that is not given, or that is written or replaced while it is read is refused by its name.

Used for checkpoints that are held as they are stored; one that is quantised on its way in is bound by that.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pinpoint.checkpoints.weight_files import StoredBytes, stored_bytes
from pinpoint.errors import ModelError

log = logging.getLogger("pinpoint")

THREADS = 12
BLOCK_BYTES = 1 << 24
# As safetensors calls them; what is not here is left to its own reader.
DTYPES = {
    "BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64, "I8": torch.int8,
    "U8": torch.uint8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
}  # fmt: skip


class Opened(NamedTuple):
    """A weight file, and what it was when it was opened."""

    path: Path
    descriptor: int
    state: tuple[int, ...]

    def check_unchanged(self) -> None:
        """Refuse what was read of a file that is another by now.

        Raises:
            ModelError: it was written, replaced or removed.
        """
        try:
            same = _state(os.stat(self.path)) == self.state
        except OSError:
            same = False
        if not same:
            raise _damaged(self.path, "was written or replaced while it was read; start again when it is whole")


class Buffer:
    """Pinned memory that is read into and copied from.

    Attributes:
        seconds: that waiting for its last copy, reading and asking for copies took.
    """

    def __init__(self, device: torch.device, stream: Any) -> None:
        self.seconds = {"wait": 0.0, "read": 0.0, "send": 0.0}
        self.host = torch.empty(BLOCK_BYTES, dtype=torch.uint8, pin_memory=device.type == "cuda")
        self._view = self.host.numpy().data
        self._stream = stream
        self._event = None if stream is None else torch.cuda.Event()  # type: ignore[no-untyped-call]

    def carry(self, file: Opened, offset: int, target: Tensor) -> None:
        """Read from a file what `target` [bytes] holds, when the last copy is through, and ask for its copy there.

        Raises:
            ModelError: the file ends before, or is not given.
        """
        at = [time.perf_counter()]
        if self._event is not None:
            self._event.synchronize()
        at.append(time.perf_counter())
        self._fill(file, offset, len(target))
        at.append(time.perf_counter())
        self._send(target)
        at.append(time.perf_counter())
        for part, (begun, ended) in zip(self.seconds, pairwise(at), strict=True):
            self.seconds[part] += ended - begun

    def _fill(self, file: Opened, offset: int, size: int) -> None:
        done = 0
        while done < size:
            try:
                read = os.preadv(file.descriptor, [self._view[done:size]], offset + done)
            except OSError as error:
                raise _unreadable(file.path, error) from None
            if not read:
                raise _damaged(file.path, "ended before its tensors did, while it was read; fetch it again")
            done += read

    def _send(self, target: Tensor) -> None:
        if self._event is None:
            target.copy_(self.host[: len(target)])
            return
        with torch.cuda.stream(self._stream):
            target.copy_(self.host[: len(target)], non_blocking=True)
            self._event.record(self._stream)


class Ring:
    """Threads with buffers, and the files that they read.

    Attributes:
        bytes: that were sent.
    """

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        self.bytes = 0
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._pool = ThreadPoolExecutor(threads or THREADS, thread_name_prefix="weights")
        self._own = threading.local()
        self._buffers, self._asked_s, self._began = list[Buffer](), 0.0, time.perf_counter()
        self._lock = threading.Lock()
        self._files: dict[Path, Opened] = {}

    def read(self, stored: StoredBytes) -> Tensor:
        """A tensor on the device, whole once the current stream has come to it. Any thread.

        Raises:
            ModelError: it cannot be read.
        """
        began, size = time.perf_counter(), stored.stop - stored.start
        flat = torch.empty(size, dtype=torch.uint8, device=self._device)
        if self._stream is not None:  # the memory may have been another tensor's a moment ago
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        file = self._open(stored.file)
        sent = [
            self._pool.submit(self._carry, file, stored.start + at, flat[at : at + BLOCK_BYTES])
            for at in range(0, size, BLOCK_BYTES)
        ]
        for block in sent:
            block.result()
        if self._stream is not None:  # for all copies that were asked for so far, this tensor's among them
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
        with self._lock:
            self.bytes += size
            self._asked_s += time.perf_counter() - began
        return flat.view(DTYPES[stored.dtype]).view(stored.shape)

    def finish(self) -> None:
        """When all was read: look whether the files are what they were, and say where the time went.

        Raises:
            ModelError: a file was changed while it was read.
        """
        seconds = time.perf_counter() - self._began
        for file in self._files.values():
            file.check_unchanged()
        parts = ("read", "wait", "send")
        spent = " ".join(f"{part}_s={sum(one.seconds[part] for one in self._buffers):.2f}" for part in parts)
        log.info(
            "weights read: gb=%.3f seconds=%.2f buffers_mb=%d; askers' asked_s=%.2f; threads' %s",
            self.bytes / 1e9, seconds, len(self._buffers) * BLOCK_BYTES / 1e6, self._asked_s, spent,
        )  # fmt: skip

    def close(self) -> None:
        """Wait for what is on its way, and let go of buffers and files."""
        self._pool.shutdown(cancel_futures=True)
        if self._stream is not None:
            self._stream.synchronize()
        for file in self._files.values():
            os.close(file.descriptor)
        self._files.clear()

    def _carry(self, file: Opened, offset: int, target: Tensor) -> None:
        own = vars(self._own)
        if "buffer" not in own:
            own["buffer"] = Buffer(self._device, self._stream)
            with self._lock:
                self._buffers.append(own["buffer"])
        own["buffer"].carry(file, offset, target)

    def _open(self, path: Path) -> Opened:
        with self._lock:
            if path not in self._files:
                try:
                    descriptor = os.open(path, os.O_RDONLY)
                except OSError as error:
                    raise _unreadable(path, error) from None
                self._files[path] = Opened(path, descriptor, _state(os.fstat(descriptor)))
            return self._files[path]


class Later:
    """A stored tensor that is read when it is asked for, with what transformers asks of one."""

    def __init__(self, stored: StoredBytes, read: Callable[[StoredBytes], Tensor]) -> None:
        self._stored, self._read = stored, read

    def __getitem__(self, which: Any) -> Tensor:
        tensor = self._read(self._stored)
        return tensor if which is Ellipsis else tensor[which]

    def get_shape(self) -> list[int]:
        """Of the whole."""
        return list(self._stored.shape)

    def get_dtype(self) -> str:
        """In safetensors' words."""
        return self._stored.dtype


@contextmanager
def tensors_of(folder: Path, device: torch.device) -> Iterator[Mapping[str, Later] | None]:
    """All stored tensors of a checkpoint by name, for as long as the block lasts; None where one is of a kind that is
    not read here.
    """
    found = stored_bytes(folder)
    if any(one.dtype not in DTYPES or not math.prod(one.shape) for one in found.values()):
        yield None
        return
    ring = Ring(device)
    try:
        yield {name: Later(one, ring.read) for name, one in found.items()}
        ring.finish()
    finally:
        ring.close()


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _unreadable(path: Path, error: OSError) -> ModelError:
    why = os.strerror(error.errno) if error.errno else type(error).__name__
    return _damaged(path, f"cannot be read ({why}); look at the disk, or fetch it again")


def _damaged(path: Path, what: str) -> ModelError:
    return ModelError("shard_damaged", f"{path} {what}", "MODEL_NAME")
