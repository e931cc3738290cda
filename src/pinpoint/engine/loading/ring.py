"""Weight files onto a GPU: read in parallel into pinned buffers, and copied from there on a stream of their own.

transformers maps the files and copies each tensor as it comes, from memory that the driver copies once more to send it.
Here threads read blocks of a tensor, each into one of two pinned buffers of its own, and while one is on its way to the
device the other is filled. transformers is given the tensors by name, to be read as it asks for them.

Used for checkpoints that are held as they are stored; one that is quantised on its way in is bound by that.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pinpoint.checkpoints.weight_files import StoredBytes, stored_bytes

THREADS = 8
BLOCK_BYTES = 1 << 24
# As safetensors calls them; what is not here is left to its own reader.
DTYPES = {
    "BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64, "I8": torch.int8,
    "U8": torch.uint8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
}  # fmt: skip


class Buffer:
    """Pinned memory that is read into and copied from; `wait` returns when the last copy is through."""

    def __init__(self, device: torch.device, stream: Any) -> None:
        self.host = torch.empty(BLOCK_BYTES, dtype=torch.uint8, pin_memory=device.type == "cuda")
        self._view = self.host.numpy().data
        self._stream = stream
        self._event = None if stream is None else torch.cuda.Event()  # type: ignore[no-untyped-call]

    def fill(self, descriptor: int, offset: int, size: int) -> None:
        """Read `size` bytes of a file, when the last copy is through.

        Raises:
            OSError: the file ends before.
        """
        if self._event is not None:
            self._event.synchronize()
        done = 0
        while done < size:
            read = os.preadv(descriptor, [self._view[done:size]], offset + done)
            if not read:
                raise OSError("a weight file ends before its tensors do")
            done += read

    def send(self, target: Tensor) -> Any:
        """Begin to copy the beginning to `target` [bytes]; what the reader of it has to wait for."""
        if self._event is None:
            target.copy_(self.host[: len(target)])
            return None
        with torch.cuda.stream(self._stream):
            target.copy_(self.host[: len(target)], non_blocking=True)
            self._event.record(self._stream)
        # The buffer's own event is recorded again by its next copy, maybe before anybody waits for this one.
        return self._stream.record_event()


class Ring:
    """Threads with buffers, and the files that they read.

    Attributes:
        bytes: that were sent.
    """

    def __init__(self, device: torch.device, threads: int = THREADS) -> None:
        self.bytes = 0
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="weights")
        self._own = threading.local()
        self._lock = threading.Lock()
        self._files: dict[Path, int] = {}

    def read(self, stored: StoredBytes) -> Tensor:
        """A tensor on the device, whole once the current stream has come to it. Any thread.

        Raises:
            OSError: it cannot be read.
        """
        size = stored.stop - stored.start
        flat = torch.empty(size, dtype=torch.uint8, device=self._device)
        if self._stream is not None:  # the memory may have been another tensor's a moment ago
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        file = self._open(stored.file)
        sent = [
            self._pool.submit(self._send, file, stored.start + at, flat[at : at + BLOCK_BYTES])
            for at in range(0, size, BLOCK_BYTES)
        ]
        for block in sent:
            event = block.result()
            if event is not None:
                torch.cuda.current_stream(self._device).wait_event(event)
        with self._lock:
            self.bytes += size
        return flat.view(DTYPES[stored.dtype]).view(stored.shape)

    def close(self) -> None:
        """Wait for what is on its way, and let go of buffers and files."""
        self._pool.shutdown()
        if self._stream is not None:
            self._stream.synchronize()
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def _send(self, descriptor: int, offset: int, target: Tensor) -> Any:
        own = vars(self._own)
        if "buffers" not in own:
            own["buffers"] = [Buffer(self._device, self._stream) for _ in range(2 if self._stream else 1)]
        buffer = own["buffers"].pop(0)
        own["buffers"].append(buffer)
        buffer.fill(descriptor, offset, len(target))
        return buffer.send(target)

    def _open(self, file: Path) -> int:
        with self._lock:
            if file not in self._files:
                self._files[file] = os.open(file, os.O_RDONLY)
            return self._files[file]


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
    finally:
        ring.close()
