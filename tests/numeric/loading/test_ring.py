"""Weights that are read block by block are those that transformers' own reader gives, whatever the blocks."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pinpoint.checkpoints.weight_files import read_headers, stored_bytes
from pinpoint.engine.loading import load as loading
from pinpoint.engine.loading import ring
from pinpoint.engine.loading.load import embedded_folder
from pinpoint.engine.loading.ring import Ring, tensors_of
from pinpoint.errors import ModelError
from pinpoint.settings import Settings

CPU = torch.device("cpu")
TENSORS = {
    "a.weight": torch.arange(700, dtype=torch.float32).view(7, 100),
    "a.scale": torch.tensor(3.0),
    "b.weight": torch.arange(5000, dtype=torch.int64).to(torch.int8).view(50, 100),
    "c.weight": torch.linspace(-3, 3, 333).to(torch.bfloat16),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = sorted(TENSORS)
    shards = {"model-1.safetensors": names[:2], "model-2.safetensors": names[2:]}
    for file, inside in shards.items():
        save_file({name: TENSORS[name] for name in inside}, tmp_path / file, metadata={"format": "pt"})
    placed = {name: file for file, inside in shards.items() for name in inside}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return tmp_path


def test_stored_bytes_are_what_the_headers_say(folder: Path) -> None:
    found, headers = stored_bytes(folder), read_headers(folder)
    assert {(name, one.file, one.dtype, one.shape) for name, one in found.items()} == {
        (name, one.file, one.dtype, one.shape) for name, one in headers.items()
    }
    assert all(one.stop - one.start == TENSORS[name].nbytes for name, one in found.items())


@pytest.mark.parametrize("block", [64, 1000, 1 << 24])
@pytest.mark.parametrize("threads", [1, 5])
def test_tensors_are_read_as_they_were_written(
    folder: Path, block: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "BLOCK_BYTES", block)
    monkeypatch.setattr(ring, "THREADS", threads)
    with tensors_of(folder, CPU) as tensors:
        assert tensors is not None
        for name, later in tensors.items():
            wanted = TENSORS[name]
            assert later.get_shape() == list(wanted.shape)
            read = later[...]
            assert read.dtype == wanted.dtype
            assert torch.equal(read, wanted)
        assert torch.equal(tensors["a.weight"][2:4], TENSORS["a.weight"][2:4])
    held = [os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    assert not [name for name in held if name.startswith(str(folder))], "no file is left open"


def test_a_file_that_ends_early_is_an_error_and_no_tensor(folder: Path) -> None:
    reader = Ring(CPU, threads=2)
    stored = stored_bytes(folder)["c.weight"]
    beyond = replace(stored, stop=stored.stop + 10**6, shape=(333 + 5 * 10**5,))
    with pytest.raises(ModelError, match=f"{stored.file} ended before its tensors did") as found:
        reader.read(beyond)
    assert found.value.code == "shard_damaged"
    reader.close()


def test_a_header_that_cannot_be_read_any_more_is_said_with_its_file(folder: Path) -> None:
    file = folder / "model-1.safetensors"
    content = file.read_bytes()
    for header in (b"", content[:20], b"\xff" * 20, (2).to_bytes(8, "little") + b"[]"):
        file.write_bytes(header)
        with pytest.raises(ModelError, match="is cut short or damaged") as found:
            stored_bytes(folder)
        assert found.value.code == "shard_damaged"
        assert str(file) in str(found.value)
    file.unlink()
    with pytest.raises(ModelError, match=f"{file.name} is cut short or damaged .No such file"):
        stored_bytes(folder)


def spoil_shorter(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def spoil_written(file: Path) -> None:
    file.write_bytes(file.read_bytes())
    os.utime(file, ns=(0, 1))


def spoil_replaced(file: Path) -> None:
    other = file.with_suffix(".new")
    other.write_bytes(file.read_bytes())
    os.utime(other, ns=(0, file.stat().st_mtime_ns))
    other.replace(file)


def spoil_gone(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("spoil", "when", "said"),
    [
        (spoil_shorter, "opened", "ended before its tensors did"),
        (spoil_replaced, "opened", "was written or replaced"),
        (spoil_gone, "closed", "cannot be read .No such file"),
        (spoil_shorter, "read", "was written or replaced"),
        (spoil_written, "read", "was written or replaced"),
        (spoil_replaced, "read", "was written or replaced"),
        (spoil_gone, "read", "was written or replaced"),
    ],
)
def test_what_becomes_of_a_file_while_it_is_read_is_said_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None], when: str, said: str
) -> None:
    for each in embedded_folder().iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    file = tmp_path / "model.safetensors"
    opening, finishing, spoilt, alone = Ring._open, Ring.finish, list[int](), Lock()

    def once() -> None:
        with alone:  # the other threads wait until it is spoilt
            if not spoilt:
                spoil(file)
                spoilt.append(1)

    def opened(self: Ring, path: Path) -> Any:
        if when == "closed":
            once()
        found = opening(self, path)
        if when == "opened":
            once()
        return found

    def finished(self: Ring) -> None:
        if when == "read":
            once()
        finishing(self)

    monkeypatch.setattr(Ring, "_open", opened)
    monkeypatch.setattr(Ring, "finish", finished)
    monkeypatch.setattr(loading, "BY_RING", ("cpu",))
    with pytest.raises(ModelError, match=said) as found:
        loading.load(Settings(device="cpu", model_name=str(tmp_path)))
    assert found.value.code == "shard_damaged"
    assert str(file) in str(found.value)
    assert spoilt


def test_a_disk_that_fails_is_said_with_the_file_s_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: Any) -> int:
        raise OSError(5, "of the disk")

    monkeypatch.setattr(os, "preadv", fails)
    with (
        pytest.raises(ModelError, match=r"model-1.safetensors cannot be read \(Input/output error\)") as found,
        tensors_of(folder, CPU) as tensors,
    ):
        assert tensors is not None
        tensors["a.scale"][...]
    assert found.value.code == "shard_damaged"


def test_where_the_time_went_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pinpoint")
    with tensors_of(folder, CPU) as tensors:
        assert tensors is not None
        for later in tensors.values():
            later[...]
    (said,) = [record.getMessage() for record in caplog.records]
    told = dict(re.findall(r"(\w+)=([\d.]+)", said))
    assert said.startswith("weights read: ")
    assert told.keys() == {"gb", "seconds", "buffers_mb", "asked_s", "read_s", "wait_s", "send_s"}
    assert ring.BLOCK_BYTES // 10**6 <= int(told["buffers_mb"]) <= ring.THREADS * ring.BLOCK_BYTES // 10**6


def test_what_is_stored_in_another_way_is_left_to_transformers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ring.DTYPES, "BF16")
    with tensors_of(folder, CPU) as tensors:
        assert tensors is None
    monkeypatch.undo()
    with tensors_of(folder, CPU) as tensors:
        assert tensors is not None
    save_file({**{name: TENSORS[name] for name in ("a.weight", "a.scale")}, "none": torch.empty(0, 4)},
              folder / "model-1.safetensors")  # fmt: skip
    with tensors_of(folder, CPU) as tensors:
        assert tensors is None, "nothing to read"


def test_a_model_that_is_read_so_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = list[int]()
    plain = Ring.read

    def noting(self: Ring, stored: object) -> Tensor:
        reads.append(1)
        return plain(self, stored)  # type: ignore[arg-type]

    monkeypatch.setattr(Ring, "read", noting)
    usual = loading.load(Settings(device="cpu")).model
    assert not reads
    monkeypatch.setattr(loading, "BY_RING", ("cpu",))
    ours = loading.load(Settings(device="cpu")).model
    assert len(reads) == len(read_headers(embedded_folder()))
    assert type(ours) is type(usual)
    assert ours.config.to_dict() == usual.config.to_dict()
    mine, theirs = ours.state_dict(), usual.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) and mine[name].dtype == theirs[name].dtype for name in mine)
