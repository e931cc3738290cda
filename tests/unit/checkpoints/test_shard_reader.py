"""A weight file read in blocks gives its bytes, in whatever pieces the system gives them, or an error with its name."""

import errno
import fcntl
import mmap
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.checkpoints.shard_reader import PAGE, Block, ShardReader, blocks_of
from pinpoint.errors import ModelError

CONTENT = bytes(range(251)) * 400  # some 24 pages and a half, none like another


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "model.safetensors"
    made.write_bytes(CONTENT)
    return made


def past_cache(file: int) -> bool:
    return bool(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_DIRECT)


def aligned(size: int) -> memoryview:
    return memoryview(mmap.mmap(-1, size))


def read(reader: ShardReader, start: int, stop: int, most: int) -> bytes:
    found, into = bytearray(), aligned(most)
    for block in blocks_of(start, stop, most):
        into[:] = bytes(most)  # nothing of the block before
        reader.read(block, into)
        found += into[block.skip : block.size]
    return bytes(found)


@given(start=st.integers(0, 10 * PAGE), size=st.integers(0, 10 * PAGE), most=st.integers(1, 5))
def test_blocks_are_all_of_the_bytes_once_and_fit_a_buffer(start: int, size: int, most: int) -> None:
    most *= PAGE
    blocks = list(blocks_of(start, start + size, most))
    places = [range(block.offset + block.skip, block.offset + block.size) for block in blocks]
    assert [place for part in places for place in part] == list(range(start, start + size))
    assert all(block.offset % PAGE == 0 and 0 < block.size <= most and 0 <= block.skip < PAGE for block in blocks)


@given(
    start=st.integers(0, len(CONTENT)), size=st.integers(0, len(CONTENT)), most=st.integers(1, 5),
    way=st.sampled_from(["cache", "direct", "pieces", "pieces past the cache", "nothing held", "refused"]),
    seed=st.randoms(use_true_random=False),
)  # fmt: skip
def test_what_is_read_is_what_the_file_holds(start: int, size: int, most: int, way: str, seed: object) -> None:
    """`plain` is the twin: the file's own bytes, sliced."""
    plain = CONTENT[start : start + size]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "one.safetensors"
        path.write_bytes(CONTENT)
        patch.setattr(os, "preadv", Reads(way, path, seed))
        reader = ShardReader(path, direct=way not in ("cache", "pieces"))
        assert read(reader, start, start + len(plain), most * PAGE) == plain
        reader.close()


class Reads:
    """`os.preadv` as systems have it: in pieces, from the page cache or not, past it or not at all."""

    def __init__(self, way: str, path: Path, random: object) -> None:
        self.way, self.random, self.plain = way, random, os.preadv
        self.content = path.read_bytes()

    def __call__(self, file: int, buffers: Sequence[memoryview], offset: int, flags: int = 0) -> int:
        (buffer,) = buffers
        if flags & os.RWF_NOWAIT:
            if self.way == "nothing held":
                raise BlockingIOError(errno.EAGAIN, "not in memory")
            held = self.random.randrange(len(buffer) + 1)  # type: ignore[attr-defined]
            if self.way == "pieces past the cache" and held:
                return self.plain(file, [buffer[:held]], offset)
            return 0 if self.way == "refused" else self.plain(file, [buffer], offset)
        if self.way == "refused" and past_cache(file):
            raise OSError(errno.EINVAL, "not so")
        if self.way == "pieces":
            return self.plain(file, [buffer[: self.random.randrange(1, len(buffer) + 1)]], offset)  # type: ignore[attr-defined]
        return self.plain(file, [buffer], offset)


def test_past_the_page_cache_is_read_what_it_does_not_hold(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ShardReader(file, direct=True)
    if not reader.direct:
        pytest.skip("no O_DIRECT on this file system")
    asked = list[tuple[bool, int]]()
    plain = os.preadv

    def noting(opened: int, buffers: Sequence[memoryview], offset: int, flags: int = 0) -> int:
        if flags:
            return plain(opened, [buffers[0][: PAGE + 5]], offset)  # of the second page some bytes
        asked.append((past_cache(opened), offset))
        return plain(opened, buffers, offset)

    monkeypatch.setattr(os, "preadv", noting)
    assert read(reader, 10, 3 * PAGE, 4 * PAGE) == CONTENT[10 : 3 * PAGE]
    assert asked == [(True, PAGE)], "from the first page that is not held as a whole"
    reader.close()


def test_a_file_that_ends_early_or_is_not_given_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, into = ShardReader(file), aligned(PAGE)
    beyond = Block(-(-len(CONTENT) // PAGE) * PAGE, PAGE, 0)
    with pytest.raises(ModelError, match=f"{re.escape(str(file))} ended before") as found:
        reader.read(beyond, into)
    assert found.value.code == "shard_damaged"

    def fails(*given: object) -> int:
        raise OSError(errno.EIO, "of the disk")

    monkeypatch.setattr(os, "preadv", fails)
    with pytest.raises(ModelError, match=f"{re.escape(str(file))} cannot be read .Input/output error") as found:
        reader.read(Block(0, PAGE, 0), into)
    assert found.value.code == "shard_damaged"
    reader.close()
    file.unlink()
    with pytest.raises(ModelError, match="No such file") as found:
        ShardReader(file)
    assert found.value.code == "shard_damaged"


@pytest.mark.parametrize("change", ["replaced", "written", "shorter", "gone"])
def test_a_file_that_changes_while_it_is_read_is_refused(file: Path, change: str) -> None:
    reader = ShardReader(file)
    reader.check_unchanged()
    if change == "replaced":
        other = file.with_suffix(".new")
        other.write_bytes(CONTENT)
        os.utime(other, ns=(0, file.stat().st_mtime_ns))
        other.replace(file)
    elif change == "written":
        file.write_bytes(CONTENT)
        os.utime(file, ns=(0, 1))
    elif change == "shorter":
        times = file.stat()
        os.truncate(file, PAGE)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    else:
        file.unlink()
    with pytest.raises(ModelError, match=f"{re.escape(str(file))} was written or replaced") as found:
        reader.check_unchanged()
    assert found.value.code == "shard_damaged"
    reader.close()


def test_no_file_is_left_open(file: Path) -> None:
    for direct in (False, True):
        ShardReader(file, direct=direct).close()
    held = [os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    assert str(file) not in held


def test_where_a_file_system_has_no_such_way_the_page_cache_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.open

    def opened(path: Path, flags: int) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "not so")
        return plain(path, flags)

    monkeypatch.setattr(os, "open", opened)
    reader = ShardReader(file, direct=True)
    assert not reader.direct
    assert read(reader, 0, len(CONTENT), 4 * PAGE) == CONTENT
    reader.close()
