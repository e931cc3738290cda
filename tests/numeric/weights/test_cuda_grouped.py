"""Which large products go to the kernel in CUDA, and that there is another way wherever it cannot be made."""

import ctypes
import fnmatch
import logging
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

import pinpoint
from pinpoint.engine.weights import cuda_grouped, triton_eight
from pinpoint.engine.weights.triton_eight import Rows

CARD = torch.device("cuda", 0)
GATE_UP = (8, 28_672, 4096)


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """What is asked once for each process is asked anew by each test."""
    kept = (cuda_grouped._card, cuda_grouped._kernel, cuda_grouped._say, cuda_grouped._nvrtc, cuda_grouped._driver)
    yield
    for one in (*kept, cuda_grouped._described):
        one.cache_clear()


def on_card(shape: tuple[int, ...], dtype: torch.dtype = torch.int8, address: int = 4096, rows: bool = True) -> Tensor:
    """What says that it is a tensor on a card; none is here."""
    there = SimpleNamespace(
        shape=shape, dtype=dtype, is_cuda=True, device=CARD, is_contiguous=lambda: rows, data_ptr=lambda: address
    )
    return cast(Tensor, there)


def card(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] = (9, 0)) -> None:
    monkeypatch.setattr(cuda_grouped, "_card", lambda device: (capability, 132))


@pytest.mark.parametrize(
    ("pairs", "weight", "dtype", "capability", "taken"),
    [
        (16_384, on_card(GATE_UP), torch.bfloat16, (9, 0), True),
        (16_384, on_card(GATE_UP, torch.float8_e4m3fn), torch.float16, (9, 0), True),
        (1024, on_card((1, 4096, 4096)), torch.bfloat16, (9, 0), True),
        # Another card, dtype or width.
        (16_384, on_card(GATE_UP), torch.bfloat16, (8, 9), False),
        (16_384, on_card(GATE_UP), torch.bfloat16, (10, 0), False),
        (16_384, on_card(GATE_UP), torch.float32, (9, 0), False),
        (16_384, on_card(GATE_UP, torch.bfloat16), torch.bfloat16, (9, 0), False),
        (16_384, on_card((8, 28_672, 384)), torch.bfloat16, (9, 0), False),
        (16_384, on_card((8, 28_672, 4104)), torch.bfloat16, (9, 0), False),
        (16_384, on_card((8, 28_664, 4096)), torch.bfloat16, (9, 0), False),
        # What the copy engine cannot read.
        (16_384, on_card(GATE_UP, address=4104), torch.bfloat16, (9, 0), False),
        (16_384, on_card(GATE_UP, rows=False), torch.bfloat16, (9, 0), False),
        # Few rows for each expert, and fewer tiles than would keep the card busy.
        (1024, on_card(GATE_UP), torch.bfloat16, (9, 0), False),
        (2048, on_card((1, 1024, 4096)), torch.bfloat16, (9, 0), False),
    ],
)  # fmt: skip
def test_large_products_on_hopper_are_taken(
    monkeypatch: pytest.MonkeyPatch, pairs: int, weight: Tensor, dtype: torch.dtype, capability: tuple[int, int],
    taken: bool,
) -> None:  # fmt: skip
    card(monkeypatch, capability)
    assert cuda_grouped.takes(pairs, weight, dtype) is taken


def test_nothing_on_a_cpu_is_taken() -> None:
    weight = torch.empty(GATE_UP, dtype=torch.int8, device="meta")
    assert not cuda_grouped.takes(16_384, weight, torch.bfloat16)


def test_the_source_is_part_of_the_package() -> None:
    root = Path(pinpoint.__file__).parent
    settings = tomllib.loads((root.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["pinpoint"]
    source = str(cuda_grouped.SOURCE.relative_to(root))
    assert cuda_grouped.SOURCE.is_file()
    assert any(fnmatch.fnmatch(source, pattern) for pattern in patterns)


def test_the_numbers_are_those_of_the_source() -> None:
    source = cuda_grouped.SOURCE.read_text(encoding="utf-8")
    for name, value in (("ROWS", 128), ("COLS", 256), ("DEPTH", 128), ("STAGES", 4), ("CLUSTER", 2)):
        assert f"#define {name} {value}\n" in source
    sizes = cuda_grouped.ROWS, cuda_grouped.CHANNELS, cuda_grouped.INPUTS, cuda_grouped.STAGES, cuda_grouped.CLUSTER
    assert sizes == (128, 256, 128, 4, 2)
    assert f"__launch_bounds__({cuda_grouped.THREADS}, 1)" in source


@pytest.mark.parametrize("gated", [False, True])
def test_the_kernel_is_given_what_its_source_names(monkeypatch: pytest.MonkeyPatch, gated: bool) -> None:
    card(monkeypatch)
    driver = Driver()
    monkeypatch.setattr(cuda_grouped, "_driver", lambda: driver)
    monkeypatch.setattr(cuda_grouped, "_kernel", lambda *kind: kind)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=77))
    values, scales = torch.zeros(300, 512, dtype=torch.int8), torch.zeros(300)
    weight, scale = torch.zeros(2, 800, 512, dtype=torch.int8), torch.zeros(2, 800)
    starts = torch.tensor([0, 100, 300], dtype=torch.int32)
    out = cuda_grouped.product(values, scales, weight, scale, starts, torch.float16, gated)
    assert out is not None and out.shape == (300, 400 if gated else 800) and out.dtype == torch.float16
    assert driver.kernel == (weight.device, 1, int(gated), 1)
    assert driver.size == (132, 1, 1, 384, 1, 1, 197_632) and driver.stream == 77
    # Boxes are of 128 rows on both sides: a tile of weights is copied in two halves.
    assert driver.matrices == [
        (values.data_ptr(), [512, 300], [128, 128]),
        (weight.data_ptr(), [512, 1600], [128, 128]),
    ]
    signature = re.search(r"\ngrouped\((.*?)\)", cuda_grouped.SOURCE.read_text(encoding="utf-8"), re.DOTALL)
    assert signature is not None
    named = [one.split()[-1] for one in signature[1].split(",")]
    assert named[:2] == ["a_map", "b_map"]
    expected = {
        "x_scale": scales.data_ptr(), "w_scale": scale.data_ptr(), "starts": starts.data_ptr(), "out": out.data_ptr(),
        "pairs": 300, "experts": 2, "outputs": out.shape[1], "inputs": 512, "strips": 4,
    }  # fmt: skip
    assert named[2:] == list(expected)
    assert driver.given == list(expected.values())


class Driver:
    """The functions of CUDA's driver that a launch takes, which note what they are given."""

    def __init__(self) -> None:
        self.matrices: list[tuple[int, list[int], list[int]]] = []

    def cuTensorMapEncodeTiled(self, map: Any, kind: int, axes: int, start: Any, size: Any, *rest: Any) -> int:
        assert map.value % 64 == 0 and axes == 2 and list(rest[0]) == [size[0]]
        self.matrices.append((start.value, list(size), list(rest[1])))
        return 0

    def cuLaunchKernel(self, kernel: Any, *given: Any) -> int:
        self.kernel, self.size, self.stream = kernel, given[:7], given[7].value
        kinds = [ctypes.c_void_p] * 4 + [ctypes.c_int] * 5
        self.given = [kind.from_address(at).value for kind, at in zip(kinds, list(given[8])[2:], strict=True)]
        return 0


def refused(*given: object) -> Any:
    raise OSError("libcuda.so.1: cannot open shared object file")


def no_compiler() -> Any:
    raise cuda_grouped.Unmade("there is no NVRTC")


@pytest.mark.parametrize(
    ("missing", "instead", "said"),
    [("_nvrtc", no_compiler, "there is no NVRTC"), ("_driver", refused, "libcuda.so.1: cannot open")],
)
def test_without_compiler_or_driver_tritons_kernel_is_used_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, missing: str, instead: Callable[..., Any],
    said: str,
) -> None:  # fmt: skip
    card(monkeypatch)
    monkeypatch.setattr(cuda_grouped, "_kept", lambda options: cuda_grouped._nvrtc() and b"image")
    monkeypatch.setattr(cuda_grouped, "_nvrtc", lambda: True)
    monkeypatch.setattr(cuda_grouped, missing, instead)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    launched: list[str] = []
    monkeypatch.setattr(triton_eight, "_kernels", lambda: launching(launched))
    monkeypatch.setattr(triton_eight, "tiles_for", lambda pairs, weight: triton_eight.Tiles(128, 256, 128, 8, 3))
    weight, scale = on_card((1, 16_384, 512)), torch.empty(1, 16_384)
    monkeypatch.setattr(torch, "empty", lambda *shape, **rest: shape)
    rows = Rows(torch.zeros(4096, 512, dtype=torch.int8), torch.zeros(4096))
    for gated, shape in ((False, (4096, 16_384)), (True, (4096, 8192)), (False, (4096, 16_384))):
        made = triton_eight.product(rows, weight, scale, None, torch.bfloat16, gated=gated)
        assert made == shape
    assert launched == ["product_kernel"] * 3
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1 and said in warnings[0] and "Triton's are used" in warnings[0]


def test_a_kernel_is_compiled_once_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))
    compiler = Compiler()
    monkeypatch.setattr(cuda_grouped, "_nvrtc", lambda: compiler)
    first = cuda_grouped._kept(("-DGATED=0",))
    assert cuda_grouped._kept(("-DGATED=0",)) == first == b"--gpu-architecture=sm_90a -DGATED=0"
    assert cuda_grouped._kept(("-DGATED=1",)) != first
    assert compiler.sources == [cuda_grouped.SOURCE.read_bytes()] * 2
    monkeypatch.setenv("TRITON_CACHE_DIR", "/dev/null/nowhere")
    assert cuda_grouped._kept(("-DGATED=0",)) == first, "what cannot be kept is made anew"


def test_what_the_compiler_says_is_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cuda_grouped, "_nvrtc", lambda: Compiler(b"no such architecture"))
    with pytest.raises(cuda_grouped.Unmade, match="NVRTC: no such architecture"):
        cuda_grouped._kept(())
    assert not list(tmp_path.iterdir())


def launching(launched: list[str]) -> Any:
    class Kernels:
        def __getattr__(self, name: str) -> Any:
            return {(n,): (lambda *given, **size: launched.append(name)) for n in range(1 << 14)}

    return Kernels()


class Compiler:
    """NVRTC's functions, with the options for machine code."""

    def __init__(self, wrong: bytes = b"") -> None:
        self.wrong, self.sources, self.made = wrong, list[bytes](), b""

    def nvrtcVersion(self, major: Any, minor: Any) -> int:
        major._obj.value, minor._obj.value = 13, 0
        return 0

    def nvrtcCreateProgram(self, program: Any, source: bytes, *rest: object) -> int:
        self.sources.append(source)
        return 0

    def nvrtcCompileProgram(self, program: Any, count: int, options: Any) -> int:
        self.made = b" ".join(options)
        return 6 if self.wrong else 0

    def nvrtcGetProgramLogSize(self, program: Any, size: Any) -> int:
        size._obj.value = len(self.wrong) + 1
        return 0

    def nvrtcGetProgramLog(self, program: Any, text: Any) -> int:
        text.value = self.wrong
        return 0

    def nvrtcGetCUBINSize(self, program: Any, size: Any) -> int:
        size._obj.value = len(self.made)
        return 0

    def nvrtcGetCUBIN(self, program: Any, image: Any) -> int:
        ctypes.memmove(image, self.made, len(self.made))
        return 0

    def nvrtcDestroyProgram(self, program: Any) -> int:
        return 0
