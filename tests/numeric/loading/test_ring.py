"""Weights that are read block by block are those that safetensors' own reader gives, whatever blocks, threads, order
and delays; and what goes wrong on the way is said with the file's name.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import modeling_utils

from pinpoint.checkpoints.shard_reader import PAGE, ShardReader
from pinpoint.checkpoints.weight_files import read_headers, stored_bytes
from pinpoint.engine.forward import norms
from pinpoint.engine.loading import load as loading
from pinpoint.engine.loading import pretrained, ring
from pinpoint.engine.loading.load import embedded_folder
from pinpoint.engine.loading.ring import Copies, Ring, tensors_of
from pinpoint.errors import ModelError
from pinpoint.settings import Settings

CPU = torch.device("cpu")
TENSORS = {
    "a.weight": torch.arange(700, dtype=torch.float32).view(7, 100),
    "a.scale": torch.tensor(3.0),
    "b.weight": torch.arange(50000, dtype=torch.int64).to(torch.int8).view(500, 100),
    "c.weight": torch.linspace(-3, 3, 333).to(torch.bfloat16),
}


def write(folder: Path, tensors: dict[str, Tensor], files: int = 2) -> Path:
    names = sorted(tensors)
    placed = {name: f"model-{number * files // len(names)}.safetensors" for number, name in enumerate(names)}
    for file in set(placed.values()):
        inside = {name: tensors[name] for name in names if placed[name] == file}
        save_file(inside, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, TENSORS)


@pytest.fixture
def by_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "BY_RING", ("cpu",))


def plainly(folder: Path) -> dict[str, Tensor]:
    """The twin: safetensors' own reader."""
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


class LateCopies(Copies):
    """A device that copies when it likes, one copy after the other, as a card does; its memory is the CPU's."""

    buffers = 2

    def __init__(self, seed: int) -> None:
        self.pinned, self._random = list[int](), random.Random(seed)
        self._queue = SimpleQueue[Callable[[], Any] | None]()
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def pin(self, host: Tensor) -> bool:
        self.pinned.append(host.data_ptr())
        return True

    def unpin(self, host: Tensor) -> None:
        self.pinned.remove(host.data_ptr())

    def event(self) -> Any:
        through = threading.Event()
        through.set()
        return through

    def send(self, host: Tensor, target: Tensor, event: Any) -> None:
        event.clear()

        def copy() -> None:
            time.sleep(self._random.choice((0, 0, 1e-4)))
            target.copy_(host)
            event.set()

        self._queue.put(copy)

    def wait(self, event: Any) -> None:
        event.wait()

    def lead(self) -> None:
        through = threading.Event()
        self._queue.put(through.set)
        through.wait()

    def end(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _copy(self) -> None:
        while (copy := self._queue.get()) is not None:
            copy()


def test_stored_bytes_are_what_the_headers_say(folder: Path) -> None:
    found, headers = stored_bytes(folder), read_headers(folder)
    assert {(name, one.file, one.dtype, one.shape) for name, one in found.items()} == {
        (name, one.file, one.dtype, one.shape) for name, one in headers.items()
    }
    assert all(one.stop - one.start == TENSORS[name].nbytes for name, one in found.items())


def test_a_header_that_cannot_be_read_any_more_is_said_with_its_file(folder: Path) -> None:
    file = folder / "model-0.safetensors"
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


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 30 tensors of all sizes around a page and a block."""
    generator = torch.Generator().manual_seed(0)
    sizes = [1, 3, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, 5 * PAGE - 7, 9 * PAGE + 2]
    made = {
        f"layers.{layer}.{number}": torch.randint(0, 256, (size,), generator=generator).to(torch.uint8)
        for layer in range(4)
        for number, size in enumerate(sizes)
    }
    return write(tmp_path_factory.mktemp("many"), made, files=3)


@settings(max_examples=40)
@given(
    block=st.sampled_from([PAGE, 2 * PAGE, 5 * PAGE]), threads=st.integers(1, 5),
    ahead=st.sampled_from([0, 6 * PAGE, 1 << 30]), seed=st.integers(0, 1000), late=st.booleans(),
    direct=st.booleans(), askers=st.integers(1, 4),
)  # fmt: skip
def test_tensors_are_read_as_they_were_written(
    many: Path, block: int, threads: int, ahead: int, seed: int, late: bool, direct: bool, askers: int
) -> None:
    copies = LateCopies(seed) if late else Copies()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"BLOCK_BYTES": block, "THREADS": threads, "AHEAD_BYTES": ahead, "DIRECT": direct}.items():
            patch.setattr(ring, name, value)
        reader, wanted = Ring(stored_bytes(many), CPU, copies), plainly(many)
        asked = random.Random(seed).sample(sorted(wanted), random.Random(seed).randint(1, len(wanted)))
        found = dict[str, Tensor]()

        def ask() -> None:
            while asked:
                name = asked.pop()
                found[name] = reader.take(name)

        threads_of_askers = [threading.Thread(target=ask) for _ in range(askers)]
        for thread in threads_of_askers:
            thread.start()
        for thread in threads_of_askers:
            thread.join()
        reader.finish()
        reader.close()
    assert found and all(torch.equal(found[name], wanted[name]) for name in found)
    assert not isinstance(copies, LateCopies) or not copies.pinned, "all memory is given back"


def test_shapes_and_dtypes_are_the_stored_ones(folder: Path) -> None:
    with tensors_of(folder, CPU) as tensors:
        assert tensors is not None
        for name, later in tensors.items():
            wanted = TENSORS[name]
            assert later.get_shape() == list(wanted.shape)
            read = later[...]
            assert read.dtype == wanted.dtype
            assert torch.equal(read, wanted)
        assert torch.equal(tensors["a.weight"][2:4], TENSORS["a.weight"][2:4]), "asked for once more"
    held = [os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    assert not [name for name in held if name.startswith(str(folder))], "no file is left open"


def test_what_is_ahead_is_bounded_and_what_is_asked_for_comes_all_the_same(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "AHEAD_BYTES", 2 * PAGE)
    begun, plain = list[int](), Ring._begin

    def noting(self: Ring, stored: Any) -> Any:
        begun.append(stored.stop - stored.start)
        return plain(self, stored)

    monkeypatch.setattr(Ring, "_begin", noting)
    reader = Ring(stored_bytes(many), CPU)
    assert sum(begun[:-1]) < 2 * PAGE <= sum(begun), "one more than fits, and no further"
    assert torch.equal(reader.take("layers.3.7"), plainly(many)["layers.3.7"]), "the last of all"
    reader.close()


def test_where_no_room_is_left_ahead_tensors_are_read_when_they_are_asked_for(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, tries = Ring._begin, list[int]()

    def full(self: Ring, stored: Any) -> Any:
        tries.append(1)
        if len(tries) == 3:
            raise torch.OutOfMemoryError("no room for the third")
        return plain(self, stored)

    monkeypatch.setattr(Ring, "_begin", full)
    wanted = plainly(many)
    reader = Ring(stored_bytes(many), CPU)
    assert len(tries) == 3
    assert all(torch.equal(reader.take(name), wanted[name]) for name in wanted)
    reader.close()


def test_what_is_stored_in_another_way_is_left_to_transformers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ring.DTYPES, "BF16")
    with tensors_of(folder, CPU) as tensors:
        assert tensors is None
    monkeypatch.undo()
    with tensors_of(folder, CPU) as tensors:
        assert tensors is not None
    write(folder, {**TENSORS, "none": torch.empty(0, 4)})
    with tensors_of(folder, CPU) as tensors:
        assert tensors is None, "nothing to read"


def test_the_interpreter_s_interval_is_as_before(folder: Path) -> None:
    before = sys.getswitchinterval()
    with tensors_of(folder, CPU):
        assert sys.getswitchinterval() == pytest.approx(ring.SWITCH_S)
    assert sys.getswitchinterval() == before
    with pytest.raises(RuntimeError, match="of a caller"), tensors_of(folder, CPU):
        raise RuntimeError("of a caller")
    assert sys.getswitchinterval() == before


def copied(folder: Path) -> Path:
    for file in embedded_folder().iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder / "model.safetensors"


def spoil_shorter(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def spoil_header(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"\xff" * 8)


def spoil_replaced(file: Path) -> None:
    other = file.with_suffix(".new")
    other.write_bytes(file.read_bytes())
    other.replace(file)


def spoil_gone(file: Path) -> None:
    file.unlink()


@contextmanager
def spoilt(folder: Path, spoil: Callable[[Path], None], when: str) -> Iterator[None]:
    """Something becomes of the file: once its header was read, once it is open, or once its tensors were taken."""
    with pytest.MonkeyPatch.context() as patch:
        if when == "header":
            plain = loading.check_files

            def checked(*given: Any) -> Any:
                found = plain(*given)
                spoil(folder / "model.safetensors")
                return found

            patch.setattr(loading, "check_files", checked)
        elif when == "open":
            opened = ShardReader.__init__

            def spoiling(self: ShardReader, *given: Any, **named: Any) -> None:
                opened(self, *given, **named)
                spoil(folder / "model.safetensors")

            patch.setattr(ShardReader, "__init__", spoiling)
        else:
            taken = norms.fuse

            def fused(*given: Any) -> None:
                taken(*given)
                spoil(folder / "model.safetensors")

            patch.setattr(norms, "fuse", fused)
        yield


@pytest.mark.parametrize(
    ("spoil", "when", "said"),
    [
        (spoil_shorter, "header", "ended before its tensors did"),
        (spoil_header, "header", "is cut short or damaged"),
        (spoil_shorter, "open", "ended before its tensors did"),
        (spoil_shorter, "taken", "was written or replaced"),
        (spoil_replaced, "open", "was written or replaced"),
        (spoil_replaced, "taken", "was written or replaced"),
        (spoil_gone, "taken", "was written or replaced"),
    ],
)
@pytest.mark.usefixtures("by_ring")
def test_what_becomes_of_a_file_while_it_is_read_is_said_with_its_name(
    tmp_path: Path, spoil: Callable[[Path], None], when: str, said: str
) -> None:
    file = copied(tmp_path)
    with spoilt(tmp_path, spoil, when), pytest.raises(ModelError, match=said) as found:
        loading.load(Settings(device="cpu", model_name=str(tmp_path)))
    assert found.value.code == "shard_damaged"
    assert str(file) in str(found.value)


@pytest.mark.usefixtures("by_ring")
def test_a_disk_that_fails_is_said_with_the_file_s_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, plain, reads = copied(tmp_path), os.preadv, list[int]()

    def fails(*given: Any) -> int:
        reads.append(1)
        if len(reads) == 20:
            raise OSError(5, "of the disk")
        return plain(*given)

    monkeypatch.setattr(ring, "BLOCK_BYTES", 1 << 16)
    monkeypatch.setattr(os, "preadv", fails)
    with pytest.raises(ModelError, match=r"cannot be read \(Input/output error\)") as found:
        loading.load(Settings(device="cpu", model_name=str(tmp_path)))
    assert found.value.code == "shard_damaged"
    assert str(file) in str(found.value)


def test_a_model_that_is_read_so_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, plain = list[str](), Ring.take

    def noting(self: Ring, name: str) -> Tensor:
        taken.append(name)
        return plain(self, name)

    monkeypatch.setattr(Ring, "take", noting)
    usual = loading.load(Settings(device="cpu")).model
    assert not taken
    monkeypatch.setattr(loading, "BY_RING", ("cpu",))
    ours = loading.load(Settings(device="cpu")).model
    assert sorted(taken) == sorted(read_headers(embedded_folder()))
    assert type(ours) is type(usual)
    assert ours.config.to_dict() == usual.config.to_dict()
    mine, theirs = ours.state_dict(), usual.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) and mine[name].dtype == theirs[name].dtype for name in mine)


def test_transformers_takes_no_memory_in_advance_where_tensors_are_there() -> None:
    usual = modeling_utils.caching_allocator_warmup
    assert usual.__code__.co_argcount == 3, "the function of transformers that is put aside"
    with pretrained.no_reserve(unless=True):
        assert modeling_utils.caching_allocator_warmup is usual
    with pretrained.no_reserve(unless=False):
        assert modeling_utils.caching_allocator_warmup(None, {}, None) is None
        assert modeling_utils.caching_allocator_warmup is not usual
    assert modeling_utils.caching_allocator_warmup is usual
