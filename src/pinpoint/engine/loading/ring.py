"""Weight files onto a GPU: read by many threads into pinned buffers, and copied from there on a stream of their own.

transformers maps the files and copies each tensor as it comes, from memory that the driver copies once more to send it.
Here reading begins before transformers is asked for a model, in the order in which it will ask for tensors: threads
read blocks of them, each into one of two pinned buffers of its own, and while one is on its way to the device the other
is filled. What is asked for is there already, or is read next.

On the device at most `AHEAD_BYTES`, and one tensor more, are there that were not asked for yet. The buffers take
`THREADS` · 2 · `BLOCK_BYTES` of the host's memory, 256 MiB, and give it back in the end.

Used for checkpoints that are held as they are stored; one that is quantised on its way in is bound by that.
"""

from __future__ import annotations

import logging
import math
import mmap
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers.core_model_loading import dot_natural_key

from pinpoint.checkpoints.shard_reader import Block, ShardReader, blocks_of
from pinpoint.checkpoints.weight_files import StoredBytes, stored_bytes

log = logging.getLogger("pinpoint")

THREADS = 16
BLOCK_BYTES = 1 << 23
AHEAD_BYTES = 1 << 32
# What is not in the page cache is read past it.
DIRECT = False
# After so many seconds a thread that has read its block is given the interpreter, where another computes. By default
# it waits 5 ms, in which it could have read as much again.
SWITCH_S = 2e-4
# As safetensors calls them; what is not here is left to its own reader.
DTYPES = {
    "BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64, "I8": torch.int8,
    "U8": torch.uint8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
}  # fmt: skip


class Copies:
    """Copies to a CPU's memory: made when they are asked for. Of a GPU, see `CopiesToGpu`."""

    buffers = 1  # that a thread needs in order not to wait for them

    def pin(self, host: Tensor) -> bool:
        """Prepare host memory to be copied from; whether it has to be given back."""
        return False

    def unpin(self, host: Tensor) -> None:
        """Give it back; nothing is being copied from it."""

    def event(self) -> Any:
        """What is handed to `send` and `wait`, one for each buffer."""
        return None

    def send(self, host: Tensor, target: Tensor, event: Any) -> None:
        """Begin to copy."""
        target.copy_(host)

    def wait(self, event: Any) -> None:
        """Wait for the last copy that was begun with this event."""

    def follow(self) -> None:
        """No copy that is begun from now on comes before what was asked of the device until now."""

    def lead(self) -> None:
        """Nothing that is asked of the device from now on comes before the copies that were begun until now."""

    def end(self) -> None:
        """Wait for all copies."""


class CopiesToGpu(Copies):
    """On a stream of their own, from memory that the device reads by itself."""

    buffers = 2

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def pin(self, host: Tensor) -> bool:
        """As above; where the driver refuses, copies are slower."""
        cudart = _cudart()
        if cudart.cudaHostRegister(host.data_ptr(), host.nbytes, 0) == cudart.cudaError.success:
            return True
        with suppress(RuntimeError):  # the refusal is told once more, to whoever launches next
            torch.zeros(1, device=self._device)
        return False

    def unpin(self, host: Tensor) -> None:
        """As above."""
        _cudart().cudaHostUnregister(host.data_ptr())

    def event(self) -> Any:
        """As above."""
        return torch.cuda.Event()  # type: ignore[no-untyped-call]

    def send(self, host: Tensor, target: Tensor, event: Any) -> None:
        """As above."""
        with torch.cuda.stream(self._stream):
            target.copy_(host, non_blocking=True)
            event.record(self._stream)

    def wait(self, event: Any) -> None:
        """As above."""
        event.synchronize()

    def follow(self) -> None:
        """As above."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))

    def lead(self) -> None:
        """As above."""
        torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def end(self) -> None:
        """As above."""
        self._stream.synchronize()


class Buffer:
    """Memory that is read into and copied from.

    Attributes:
        seconds: that pinning it, waiting for its last copy, reading and sending took.
    """

    def __init__(self, copies: Copies) -> None:
        began = time.perf_counter()
        memory = mmap.mmap(-1, BLOCK_BYTES)  # at a page
        with suppress(AttributeError, OSError):  # pinned by 2 MiB at a time, where the system has such pages
            memory.madvise(mmap.MADV_HUGEPAGE)
        self._view, self._host = memoryview(memory), torch.frombuffer(memory, dtype=torch.uint8)
        self._copies, self._pinned, self._event = copies, copies.pin(self._host), copies.event()
        self.seconds = {"pin": time.perf_counter() - began, "wait": 0.0, "read": 0.0, "send": 0.0}

    def carry(self, file: ShardReader, block: Block, target: Tensor) -> None:
        """Read a block, once the last copy is through, and begin to copy it to `target` [bytes].

        Raises:
            ModelError: it cannot be read.
        """
        at = [time.perf_counter()]
        self._copies.wait(self._event)
        at.append(time.perf_counter())
        file.read(block, self._view)
        at.append(time.perf_counter())
        self._copies.send(self._host[block.skip : block.size], target, self._event)
        at.append(time.perf_counter())
        for part, (begun, ended) in zip(("wait", "read", "send"), pairwise(at), strict=True):
            self.seconds[part] += ended - begun

    def close(self) -> None:
        """Give the memory back; nothing is being copied from it."""
        if self._pinned:
            self._copies.unpin(self._host)


class Begun(NamedTuple):
    """A tensor that is being read: its bytes on the device, and its blocks."""

    flat: Tensor
    blocks: list[Future[None]]


class Ring:
    """Stored tensors on their way to the device."""

    def __init__(self, stored: Mapping[str, StoredBytes], device: torch.device, copies: Copies | None = None) -> None:
        """Begin to read.

        Args:
            stored: by name.
            device: where they go.
            copies: to it.

        Raises:
            ModelError: a file cannot be opened.
        """
        self._stored, self._device, self._clock = stored, device, time.perf_counter()
        self._copies = copies or (CopiesToGpu(device) if device.type == "cuda" else Copies())
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="weights")
        self._own, self._buffers = threading.local(), list[Buffer]()
        self._lock = threading.Lock()
        self._order = iter(sorted(stored, key=dot_natural_key))
        self._begun, self._taken = dict[str, Begun](), set[str]()
        self._ahead_bytes, self._asked_s = 0, 0.0
        self._files: dict[Path, ShardReader] = {}
        try:
            for file in sorted({one.file for one in stored.values()}):
                self._files[file] = ShardReader(file, direct=DIRECT)
            self._reserve()
            with self._lock:
                self._read_on()
        except BaseException:
            self.close()
            raise

    def take(self, name: str) -> Tensor:
        """A tensor on the device, whole once the current stream has come to it. Any thread.

        Raises:
            ModelError: it cannot be read.
        """
        began, stored = time.perf_counter(), self._stored[name]
        with self._lock:
            found = self._begun.pop(name, None)
            if found is None:
                found = self._begin(stored)
            else:
                self._ahead_bytes -= len(found.flat)
            self._taken.add(name)
            self._read_on()
        for block in found.blocks:
            block.result()
        self._copies.lead()
        with self._lock:
            self._asked_s += time.perf_counter() - began
        return found.flat.view(DTYPES[stored.dtype]).view(stored.shape)

    def finish(self) -> None:
        """When all was taken: look whether it is what the files hold, and say where the time went.

        Raises:
            ModelError: a file was changed while it was read.
        """
        seconds = time.perf_counter() - self._clock
        for file in self._files.values():
            file.check_unchanged()
        size = sum(self._stored[name].stop - self._stored[name].start for name in self._taken)
        parts = ("pin", "read", "wait", "send")
        spent = {part: sum(buffer.seconds[part] for buffer in self._buffers) for part in parts}
        log.info(
            "weights read: gb=%.3f seconds=%.3f asked_s=%.3f threads=%d pinned_mb=%d past_page_cache=%s; threads' %s",
            size / 1e9, seconds, self._asked_s, THREADS, len(self._buffers) * BLOCK_BYTES / 1e6,
            any(file.direct for file in self._files.values()),
            " ".join(f"{part}_s={taken:.3f}" for part, taken in spent.items()),
        )  # fmt: skip

    def close(self) -> None:
        """Read no further, wait for what is on its way, and let go of buffers and files."""
        self._pool.shutdown(cancel_futures=True)
        self._copies.end()
        for buffer in self._buffers:
            buffer.close()
        for file in self._files.values():
            file.close()
        self._buffers.clear()
        self._files.clear()
        self._begun.clear()

    def _read_on(self) -> None:
        """Begin what will be asked for next, as far as may be ahead; under the lock."""
        while self._ahead_bytes < AHEAD_BYTES:
            name = next((each for each in self._order if each not in self._taken), None)
            if name is None:
                return
            try:
                begun = self._begin(self._stored[name])
            except torch.OutOfMemoryError:  # there may be room for it when it is asked for
                self._order = iter(())
                return
            self._begun[name] = begun
            self._ahead_bytes += len(begun.flat)

    def _begin(self, stored: StoredBytes) -> Begun:
        flat = torch.empty(stored.stop - stored.start, dtype=torch.uint8, device=self._device)
        self._copies.follow()  # the memory may have been another tensor's a moment ago
        blocks, at = list[Future[None]](), 0
        for block in blocks_of(stored.start, stored.stop, BLOCK_BYTES):
            size = block.size - block.skip
            blocks.append(self._pool.submit(self._carry, self._files[stored.file], block, flat[at : at + size]))
            at += size
        return Begun(flat, blocks)

    def _carry(self, file: ShardReader, block: Block, target: Tensor) -> None:
        own = vars(self._own)
        if "buffers" not in own:
            own["buffers"] = []
        if len(own["buffers"]) < self._copies.buffers:
            buffer = Buffer(self._copies)
            with self._lock:
                self._buffers.append(buffer)
        else:
            buffer = own["buffers"].pop(0)
        own["buffers"].append(buffer)
        buffer.carry(file, block, target)

    def _reserve(self) -> None:
        """Have the allocator take what all tensors need at once: pieces of it cost nothing."""
        if self._device.type == "cuda":
            size = sum(one.stop - one.start for one in self._stored.values())
            with suppress(torch.OutOfMemoryError):  # where it is wider than it will be held
                torch.empty(size, dtype=torch.uint8, device=self._device)


class Later:
    """A stored tensor that is taken when it is asked for, with what transformers asks of one."""

    def __init__(self, ring: Ring, name: str, stored: StoredBytes) -> None:
        self._ring, self._name, self._stored = ring, name, stored

    def __getitem__(self, which: Any) -> Tensor:
        tensor = self._ring.take(self._name)
        return tensor if which is Ellipsis else tensor[which]

    def get_shape(self) -> list[int]:
        """Of the whole."""
        return list(self._stored.shape)

    def get_dtype(self) -> str:
        """In safetensors' words."""
        return self._stored.dtype


@contextmanager
def tensors_of(folder: Path, device: torch.device) -> Iterator[Mapping[str, Later] | None]:
    """All stored tensors of a checkpoint by name, being read for as long as the block lasts; None where one is of a
    kind that is not read here.

    Raises:
        ModelError: a file cannot be read, or was changed meanwhile.
    """
    found = stored_bytes(folder)
    if any(one.dtype not in DTYPES or not math.prod(one.shape) for one in found.values()):
        yield None
        return
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        ring = Ring(found, device)
        try:
            yield {name: Later(ring, name, one) for name, one in found.items()}
            ring.finish()
        finally:
            ring.close()
    finally:
        sys.setswitchinterval(usual)


def _cudart() -> Any:
    return torch.cuda.cudart()  # type: ignore[no-untyped-call]
