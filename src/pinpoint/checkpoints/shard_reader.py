"""A weight file that is read block by block into memory that is given, by many threads. Torch-free.

What the page cache holds is copied from there. What it does not hold may be read past it, with O_DIRECT, where the
file system takes that: a disk then sees few large reads, and nothing is copied twice. Such reads begin and end at
multiples of a page and want memory that does too, so blocks are cut so (`blocks_of`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pinpoint.errors import ModelError

PAGE = 4096  # of the page cache; O_DIRECT wants multiples of 512 bytes or of this, by the disk


class Block(NamedTuple):
    """A part of a file that is read at once.

    Attributes:
        offset: in the file, a multiple of a page.
        size: of what is read there.
        skip: bytes of it before those that are wanted.
    """

    offset: int
    size: int
    skip: int


def blocks_of(start: int, stop: int, most: int) -> Iterator[Block]:
    """The bytes from `start` to `stop` in blocks that end at multiples of `most`, which is one of a page."""
    while start < stop:
        offset, end = start // PAGE * PAGE, min(stop, (start // most + 1) * most)
        yield Block(offset, end - offset, start - offset)
        start = end


class ShardReader:
    """A weight file, open.

    Attributes:
        path: of the file.
        direct: what the page cache does not hold is read past it.
    """

    def __init__(self, path: Path, *, direct: bool = False) -> None:
        """Open it.

        Raises:
            ModelError: it cannot be opened.
        """
        self.path, self.direct = path, False
        try:
            self._file = self._past_cache = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise self._unreadable(error) from None
        self._state = _state(os.fstat(self._file))
        if direct:
            try:
                self._past_cache = os.open(path, os.O_RDONLY | os.O_DIRECT)
                self.direct = True
            except OSError:  # the file system has no such way
                pass

    def read(self, block: Block, into: memoryview) -> None:
        """The bytes of a block, to the beginning of `into`, which is at a page and holds whole ones. Any thread.

        Raises:
            ModelError: the file ends before, or the disk does not give it.
        """
        try:
            done = self._held(block, into) if self.direct else 0
            while done < block.size:
                more = self._more(block, done, into)
                if not more:
                    raise ModelError(
                        "shard_damaged",
                        f"{self.path} ended before its tensors did, while it was read; fetch it again",
                        "MODEL_NAME",
                    )
                done += more
        except OSError as error:
            raise self._unreadable(error) from None

    def check_unchanged(self) -> None:
        """Refuse what was read if the file was written or replaced meanwhile.

        Raises:
            ModelError: it was.
        """
        try:
            same = _state(os.stat(self.path)) == self._state
        except OSError:
            same = False
        if not same:
            raise ModelError(
                "shard_damaged",
                f"{self.path} was written or replaced while it was read; start again when it is whole",
                "MODEL_NAME",
            )

    def close(self) -> None:
        """Let go of the file; nothing is being read."""
        for file in {self._file, self._past_cache}:
            os.close(file)

    def _held(self, block: Block, into: memoryview) -> int:
        """What the page cache has of the beginning of a block, whole pages of it; the disk is not waited for."""
        try:
            found = os.preadv(self._file, [into[: block.size]], block.offset, os.RWF_NOWAIT)
        except OSError:  # it has nothing, or cannot be asked
            return 0
        return found if found == block.size else found // PAGE * PAGE

    def _more(self, block: Block, done: int, into: memoryview) -> int:
        if self.direct:
            whole = -(-block.size // PAGE) * PAGE
            try:
                return os.preadv(self._past_cache, [into[done:whole]], block.offset + done)
            except OSError:  # opened so, and yet not read so; if it is the disk, that is found out now
                self.direct = False
        return os.preadv(self._file, [into[done : block.size]], block.offset + done)

    def _unreadable(self, error: OSError) -> ModelError:
        return ModelError(
            "shard_damaged",
            f"{self.path} cannot be read ({os.strerror(error.errno) if error.errno else type(error).__name__}); "
            "look at the disk, or fetch it again",
            "MODEL_NAME",
        )


def _state(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
