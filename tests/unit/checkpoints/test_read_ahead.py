"""Weights are read ahead of their load: all of them, in order, and no more than memory has room for."""

import json
import logging
import os
from pathlib import Path

import pytest

from pinpoint.checkpoints import read_ahead
from pinpoint.checkpoints.read_ahead import ReadAhead, begin

BLOCK = 1 << 12


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "BLOCK_BYTES", BLOCK)
    monkeypatch.setattr(read_ahead, "LEAST_BYTES", 3 * BLOCK)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Name and offset of each block that is read."""
    seen, plain = list[tuple[str, int]](), os.preadv

    def noting(descriptor: int, buffers: list[bytearray], offset: int) -> int:
        seen.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")).name, offset))
        return plain(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", noting)
    return seen


def checkpoint(folder: Path, sizes: dict[str, int]) -> Path:
    folder.mkdir()
    for name, size in sizes.items():
        (folder / name).write_bytes(b"x" * size)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {name: name for name in sizes}}))
    return folder


SIZES = {"model-1.safetensors": 2 * BLOCK + 5, "model-2.safetensors": 3 * BLOCK}


def test_every_block_is_read_once_in_the_order_of_the_files(tmp_path: Path, reads: list[tuple[str, int]]) -> None:
    folder = checkpoint(tmp_path / "model", SIZES)
    ahead = ReadAhead([folder / name for name in SIZES], 10**9, threads=1)
    ahead.join()
    assert reads == [(name, offset) for name, size in SIZES.items() for offset in range(0, size, BLOCK)]
    assert ahead.bytes == sum(SIZES.values())
    held = [os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    assert not [name for name in held if name.startswith(str(folder))], "no file is left open"


def test_several_threads_share_the_blocks(tmp_path: Path, reads: list[tuple[str, int]]) -> None:
    folder = checkpoint(tmp_path / "model", SIZES)
    ahead = ReadAhead([folder / name for name in SIZES], 10**9)
    ahead.join()
    assert sorted(reads) == [(name, offset) for name, size in SIZES.items() for offset in range(0, size, BLOCK)]


def test_no_more_is_read_than_memory_has_room_for(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", SIZES)
    ahead = begin(str(folder), "main", most_bytes=4 * BLOCK)
    assert ahead is not None
    ahead.join()
    assert 2 * BLOCK < ahead.bytes <= 4 * BLOCK * read_ahead.SHARE_OF_MEMORY + BLOCK


def test_what_is_not_here_or_small_is_not_read(tmp_path: Path) -> None:
    assert begin("no/such-model", "main", 10**9) is None
    assert begin("../odd name", "main", 10**9) is None
    assert begin(str(checkpoint(tmp_path / "tiny", {"model-1.safetensors": BLOCK})), "main", 10**9) is None
    lacking = checkpoint(tmp_path / "lacking", SIZES)
    (lacking / "model-2.safetensors").unlink()
    assert begin(str(lacking), "main", 10**9) is None


def test_a_file_that_goes_away_ends_it_with_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = checkpoint(tmp_path / "model", SIZES)
    ahead = ReadAhead([], 10**9, threads=1)
    ahead.join()
    ahead._blocks = iter([(folder / "gone.safetensors", 0)])
    with caplog.at_level(logging.WARNING, "pinpoint"):
        ahead._read()
    assert "reading ahead ended type=FileNotFoundError" in caplog.text


def test_nothing_more_is_begun_once_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, plain = checkpoint(tmp_path / "model", SIZES), os.preadv
    made = list[ReadAhead]()

    def stopping(descriptor: int, buffers: list[bytearray], offset: int) -> int:
        made[0].stop()
        return plain(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", stopping)
    ahead = ReadAhead([], 10**9, threads=1)
    ahead.join()
    made.append(ahead)
    ahead._blocks = read_ahead._blocks([folder / name for name in SIZES], 10**9)
    ahead._read()
    assert ahead.bytes == BLOCK
