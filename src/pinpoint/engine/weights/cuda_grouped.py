"""Products of many 8-bit rows with 8-bit weights on Hopper: `grouped.cu`, made by NVRTC, which torch brings.

Triton 3.6 makes an integer product on Hopper of instructions that are 128 channels wide; `grouped.cu` takes 256 at a
time, and loads tiles by a warp of its own while two groups of warps multiply. At the sizes of Mixtral 8x7B that is 1.3
to 1.4 times as fast in int8, 1.03 to 1.2 times in E4M3, of which Triton takes 256 channels too. The bits are those of
`triton_eight`, which calls this where `takes` says so, and computes the product itself wherever it cannot be made: no
NVRTC, another card, a driver that refuses. That is logged once.

A kernel is compiled on its first use, about 2 s, and kept in Triton's cache directory. Launches go through the driver
(CUDA driver API, `cuTensorMapEncodeTiled` and `cuLaunchKernel`) on torch's stream, wait for nothing, and can be
recorded in a graph: what the copy engine is told of a matrix is part of the launch.

Axes: P rows, E experts, O output channels, I input channels, F width.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import sys
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger("pinpoint")

SOURCE = Path(__file__).with_name("grouped.cu")
# Tiles of rows and channels, input channels at a time and how many tiles are on their way: as in the source.
ROWS, CHANNELS, INPUTS, STAGES = 128, 256, 128, 4
THREADS = 384
CLUSTER = 2  # blocks that share a tile of weights
SHARED_BYTES = STAGES * (ROWS + CHANNELS) * INPUTS + 1024  # the tiles begin at a multiple of 1,024
# Of fewer inputs it is not tried.
LEAST_INPUTS = STAGES * INPUTS
# Rows of an expert on average above which it is used, and tiles for each multiprocessor from which on. 1,024 rows to
# 4,096 channels are 0.97, on an H200 1.18 times as fast as by Triton's kernel in int8, 1.10 in E4M3; 2,048 to 1,024 are
# 0.48, and slower.
LEAST_ROWS, LEAST_TILES = 128, 0.9
OUTPUTS = {torch.bfloat16: 0, torch.float16: 1}
WEIGHTS = {torch.float8_e4m3fn: 0, torch.int8: 1}


class _Given(ctypes.Structure):
    """What the kernel is given behind the two matrices, in its order."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x_scale", "w_scale", "starts", "out")),
        *((name, ctypes.c_int) for name in ("pairs", "experts", "outputs", "inputs", "strips")),
    )


_OFFSETS = [getattr(_Given, name).offset for name, *_ in _Given._fields_]
_Pointers = ctypes.c_void_p * (2 + len(_OFFSETS))


class Unmade(Exception):
    """The compiler or the driver refused; the reason in words."""


def takes(pairs: int, weight: Tensor, dtype: torch.dtype) -> bool:
    """Whether this is the way for so many rows in all, weights [E, O, I] and results of `dtype`."""
    experts, outputs, inputs = weight.shape
    if not weight.is_cuda or weight.dtype not in WEIGHTS or dtype not in OUTPUTS or inputs < LEAST_INPUTS:
        return False
    # The copy engine takes rows of a multiple of 16 bytes, and 8 results of 2 bytes are stored at a time.
    if inputs % 16 or outputs % 16 or not weight.is_contiguous() or weight.data_ptr() % 16:
        return False
    capability, processors = _card(weight.device)
    tiles = -(-pairs // ROWS) * -(-outputs // CHANNELS)
    return capability == (9, 0) and pairs > LEAST_ROWS * experts and tiles >= LEAST_TILES * processors


def product(
    values: Tensor, scales: Tensor, weight: Tensor, scale: Tensor, starts: Tensor | None, dtype: torch.dtype,
    gated: bool,
) -> Tensor | None:  # fmt: skip
    """What `triton_eight.product` makes, to the bit; None where it cannot be made here.

    Args:
        values, scales: quantised rows [P, I], sorted by expert, and float32 [P].
        weight: [E, O, I] that `takes` says yes to.
        scale: float32 [E, O].
        starts: int32 [E + 1], where the rows of each expert begin, and P; None for one expert.
        dtype: of the result.
        gated: whether O is 2F, and the result silu(gate) · up.

    Returns:
        [P, O], or [P, F].
    """
    kernel = _kernel(weight.device, WEIGHTS[weight.dtype], int(gated), OUTPUTS[dtype])
    if kernel is None:
        return None
    experts, outputs, inputs = weight.shape
    outputs, wide = (outputs // 2, CHANNELS // 2) if gated else (outputs, CHANNELS)
    out = torch.empty(len(values), outputs, dtype=dtype, device=weight.device)
    given = _Given(
        scales.data_ptr(), scale.data_ptr(), 0 if starts is None else starts.data_ptr(), out.data_ptr(), len(values),
        experts, outputs, inputs, -(-outputs // wide),
    )  # fmt: skip
    first = ctypes.addressof(given)
    blocks = _card(weight.device)[1] // CLUSTER * CLUSTER  # each walks over its share of the tiles
    try:
        rows = _described(values.data_ptr(), len(values), inputs, ROWS)
        matrix = _described(weight.data_ptr(), weight.numel() // inputs, inputs, CHANNELS // 2)
        pointers = _Pointers(rows.address, matrix.address, *[first + offset for offset in _OFFSETS])
        with torch.cuda.device(weight.device):
            stream = ctypes.c_void_p(torch.cuda.current_stream(weight.device).cuda_stream)
            _call("cuLaunchKernel", kernel, blocks, 1, 1, THREADS, 1, 1, SHARED_BYTES, stream, pointers, None)
    except Unmade as error:
        _say(str(error))
        return None
    return out


@cache
def _card(device: torch.device) -> tuple[tuple[int, int], int]:
    """Compute capability and multiprocessors."""
    found = torch.cuda.get_device_properties(device)
    return (found.major, found.minor), found.multi_processor_count


@cache
def _kernel(device: torch.device, whole: int, gated: int, half: int) -> Any | None:
    """The kernel of one kind, loaded; None where that fails, whatever the reason: there is another way."""
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    try:
        image = compiled(whole, gated, half)
        with torch.cuda.device(device):
            _call("cuModuleLoadData", ctypes.byref(module), image)
            _call("cuModuleGetFunction", ctypes.byref(function), module, b"grouped")
            most = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            _call("cuFuncSetAttribute", function, most, SHARED_BYTES)
    except (Unmade, OSError, AttributeError) as error:
        _say(str(error).strip().split("\n")[0][:200])
        return None
    return function


@cache
def _say(why: str) -> None:
    log.warning("no kernel for large 8-bit products (%s); Triton's are used", why)


def compiled(whole: int, gated: int, half: int) -> bytes:
    """The kernel of one kind as machine code, from Triton's cache directory where it has been compiled before; no card
    is needed.

    Raises:
        Unmade, OSError, AttributeError: there is no NVRTC, or it refuses.
    """
    kinds = {"WHOLE": whole, "GATED": gated, "HALF_OUT": half}
    return _kept(tuple(f"-D{name}={value}" for name, value in kinds.items()))


def _kept(options: tuple[str, ...]) -> bytes:
    nvrtc, source = _nvrtc(), SOURCE.read_text(encoding="utf-8")
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    digest = hashlib.sha256("\0".join((source, *options, f"{major.value}.{minor.value}")).encode()).hexdigest()
    folder = Path(os.environ.get("TRITON_CACHE_DIR") or Path.home() / ".triton" / "cache")
    kept = folder / f"pinpoint-grouped-{digest[:32]}.cubin"
    if kept.is_file():
        return kept.read_bytes()
    made = _compiled(nvrtc, source, options)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_bytes(made)
        part.replace(kept)
    except OSError as error:
        log.info("a compiled kernel is not kept: %s", error.strerror)
    return made


def _compiled(nvrtc: Any, source: str, options: tuple[str, ...]) -> bytes:
    """Machine code for Hopper (NVIDIA's NVRTC user guide, "Basic usage")."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    # Instructions of one architecture alone, as wgmma is, need the `a`.
    wanted = [b"--gpu-architecture=sm_90a", *(option.encode() for option in options)]
    if nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"grouped.cu", 0, None, None):
        raise Unmade("NVRTC does not start")
    try:
        if nvrtc.nvrtcCompileProgram(program, len(wanted), (ctypes.c_char_p * len(wanted))(*wanted)):
            nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            text = ctypes.create_string_buffer(size.value)
            nvrtc.nvrtcGetProgramLog(program, text)
            raise Unmade(f"NVRTC: {text.value.decode(errors='replace')}")
        nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
        image = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetCUBIN(program, image)
        return image.raw
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


@cache
def _nvrtc() -> Any:
    """NVRTC as torch's wheels bring it, else the system's."""
    roots = [Path(entry) / "nvidia" for entry in sys.path if entry]
    brought = [file for root in roots if root.is_dir() for file in sorted(root.glob("*/lib/libnvrtc.so.*"))]
    for name in (*(str(file) for file in brought if "alt" not in file.name), "libnvrtc.so.13", "libnvrtc.so.12"):
        try:
            for beside in Path(name).parent.glob("libnvrtc-builtins.so.*") if "/" in name else ():
                ctypes.CDLL(str(beside))  # NVRTC opens it by its name alone
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise Unmade("there is no NVRTC")


@cache
def _driver() -> Any:
    return ctypes.CDLL("libcuda.so.1")


def _call(name: str, *args: Any) -> None:
    """A function of the driver.

    Raises:
        Unmade: it answers with an error.
    """
    code = getattr(_driver(), name)(*args)
    if code:
        text = ctypes.c_char_p()
        _driver().cuGetErrorString(code, ctypes.byref(text))
        raise Unmade(f"{name}: {(text.value or b'unknown').decode()}")


class _Described:
    """What the copy engine is told of a matrix: 128 bytes at a multiple of 64 (`CUtensorMap`)."""

    def __init__(self) -> None:
        self._room = ctypes.create_string_buffer(192)
        self.address = (ctypes.addressof(self._room) + 63) & ~63


@lru_cache(maxsize=4096)
def _described(address: int, rows: int, inputs: int, box: int) -> _Described:
    """A matrix of bytes [rows, inputs], copied in boxes of `box` rows and 128 bytes, swizzled by 128 bytes.

    It says where something is and nothing of what stands there, so it stays true whatever is put there next. Behind
    the matrix the copy engine reads zeros.
    """
    made = _Described()
    of_bytes, plain, swizzled, wide, zeros = 0, 0, 3, 3, 0  # UINT8, INTERLEAVE_NONE, SWIZZLE_128B, L2_256B, NONE
    _call(
        "cuTensorMapEncodeTiled", ctypes.c_void_p(made.address), of_bytes, 2, ctypes.c_void_p(address),
        (ctypes.c_uint64 * 2)(inputs, rows), (ctypes.c_uint64 * 1)(inputs), (ctypes.c_uint32 * 2)(INPUTS, box),
        (ctypes.c_uint32 * 2)(1, 1), plain, swizzled, wide, zeros,
    )  # fmt: skip
    return made
