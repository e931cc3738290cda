"""Weight files into the page cache while Python still imports: the disk has nothing else to do for seconds.

A few threads read the files block by block, in the order in which they are loaded, and throw away what they read: the
system keeps it, and whoever maps or reads the files later finds it in memory. Plain reads, and no advice to the kernel:
`posix_fadvise` and `readahead` take no more than a small window a call, and nothing at all on some network volumes.
Torch-free, so that it begins before torch comes in.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pinpoint.checkpoints.sources import find_source
from pinpoint.checkpoints.weight_files import shard_names
from pinpoint.errors import ModelError

log = logging.getLogger("pinpoint")

THREADS = 4
BLOCK_BYTES = 1 << 24
# Less is read in no time when it is loaded.
LEAST_BYTES = 1 << 26
# Of the memory that is free: what does not fit would push out what was read before it.
SHARE_OF_MEMORY = 0.7


class ReadAhead:
    """Reads files, from now on, until they end or it is stopped.

    Attributes:
        bytes: read so far.
        seconds: that it read for, once it has ended.
    """

    def __init__(self, files: Sequence[Path], most_bytes: int, threads: int = THREADS) -> None:
        self.bytes = 0
        self.seconds = 0.0
        self._blocks = _blocks(files, most_bytes)
        self._lock, self._stopped, self._began = threading.Lock(), False, time.monotonic()
        self._threads = [
            threading.Thread(target=self._read, name=f"read-ahead-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no further block; what was read stays in memory for as long as the system likes."""
        self._stopped = True

    def join(self) -> None:
        """Wait until no block is being read."""
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        buffer = bytearray(BLOCK_BYTES)
        file, opened = None, -1
        try:
            while not self._stopped:
                with self._lock:
                    block = next(self._blocks, None)
                if block is None:
                    break
                if block[0] != file:
                    if opened >= 0:
                        os.close(opened)
                    file, opened = block[0], os.open(block[0], os.O_RDONLY)
                read = os.preadv(opened, [buffer], block[1])
                with self._lock:
                    self.bytes += read
                    self.seconds = time.monotonic() - self._began
        except OSError as error:  # whoever loads the file says what is wrong with it
            log.warning("reading ahead ended type=%s errno=%s", type(error).__name__, error.errno)
        finally:
            if opened >= 0:
                os.close(opened)


def begin(model_name: str, revision: str, most_bytes: int) -> ReadAhead | None:
    """Begin to read a model's weights; None where it is not on this machine, or small.

    Args:
        model_name: as for `find_source`.
        revision: as for `find_source`.
        most_bytes: free memory.
    """
    try:
        source = find_source(model_name, revision)
        files = [] if source.folder is None else [source.folder / name for name in shard_names(source.folder)]
        size = sum(file.stat().st_size for file in files)
    except (ModelError, OSError):  # the load says what is wrong
        return None
    return ReadAhead(files, int(most_bytes * SHARE_OF_MEMORY)) if size >= LEAST_BYTES else None


def _blocks(files: Sequence[Path], most_bytes: int) -> Iterator[tuple[Path, int]]:
    """Files and offsets, as many as `most_bytes` are."""
    for file in files:
        size = file.stat().st_size
        for offset in range(0, size, BLOCK_BYTES):
            if most_bytes <= 0:
                return
            yield file, offset
            most_bytes -= min(BLOCK_BYTES, size - offset)
