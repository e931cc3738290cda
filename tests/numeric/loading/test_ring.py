"""Weights that are read block by block are those that transformers' own reader gives, whatever the blocks."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pinpoint.checkpoints.weight_files import read_headers, stored_bytes
from pinpoint.engine.loading import load as loading
from pinpoint.engine.loading import ring
from pinpoint.engine.loading.load import embedded_folder
from pinpoint.engine.loading.ring import Ring, tensors_of
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
    with pytest.raises(OSError, match="ends before"):
        reader.read(beyond)
    reader.close()


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
