"""Weights that come by pinned buffers and a stream of their own are whole when the stream that asked uses them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pinpoint.engine.loading.ring import BLOCK_BYTES, THREADS, tensors_of

CUDA = torch.device("cuda", 0)
# Larger than all buffers together, a block to the byte, a byte more, and hardly anything.
SIZES = (3 * THREADS * BLOCK_BYTES, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * BLOCK_BYTES - 3, 17)
ROUNDS, ASKERS = 4, 4  # transformers asks from four threads


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of bytes that differ from block to block."""
    made = tmp_path_factory.mktemp("weights")
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"{place}.{size}": torch.randint(-128, 128, (size,), generator=generator, dtype=torch.int8)
        for place, size in enumerate((*SIZES, *SIZES[1:]))
    }
    save_file(tensors, made / "model.safetensors")
    return made


def test_what_is_read_is_whole_for_the_stream_that_asked(folder: Path) -> None:
    wanted = {name: tensor.to(CUDA) for name, tensor in load_file(folder / "model.safetensors").items()}
    for _ in range(ROUNDS):  # the allocator gives out what the round before let go, on the askers' streams
        with tensors_of(folder, CUDA) as tensors, ThreadPoolExecutor(ASKERS) as pool:
            assert tensors is not None

            def ask(name: str) -> tuple[str, Tensor, Tensor]:
                with torch.cuda.stream(torch.cuda.Stream(CUDA)):  # type: ignore[no-untyped-call]
                    # Work that is still writing to the memory that the tensor is likely to be given.
                    before = torch.zeros(wanted[name].shape, dtype=torch.int8, device=CUDA)
                    for _ in range(8):
                        before += 1
                    del before
                    read = tensors[name][...]
                    return name, read, read.clone()  # no wait in between

            found = list(pool.map(ask, tensors))
            torch.cuda.synchronize(CUDA)
            for name, read, used in found:
                assert torch.equal(read, wanted[name]), name
                assert torch.equal(used, wanted[name]), name
        del found, read, used
