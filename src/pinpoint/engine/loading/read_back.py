"""What is loaded against the checkpoint's own bytes: some rows of its tensors, read once more from their files.

The loader maps files, renames, fuses, quantises and copies. Here a tensor's place in its file comes from the file's
header, rows of it are read from there, and compared with the same rows of the loaded weight, widened by the format's
definition (`weights/plainly.py`): a tensor of another layer, experts in another order, another channel's scale, a
transposed matrix are all noticed. Of what a row may differ:

* where it is held as stored, or cast: nothing;
* int8: half a step, 1/254 of the row's largest value;
* fp8: a 16th of a value, half a step below the smallest normal one; of the row's largest value nothing;
* nf4: what is left to the nearest of the levels, and the rounding of the block's largest value.

Of a checkpoint that is quantised already, the stored parts are compared with those that are held, to the bit.

Looked at are all tensors that come to be one weight by themselves, and experts that are stored one by one, of each
layer some. What transformers makes of several stored tensors in other ways is left out, and counted.

Axes: n rows or elements looked at, O output channels, I input channels, E experts.
"""

from __future__ import annotations

import math
import os
import random
import re
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

from pinpoint.checkpoints.weight_files import StoredBytes, stored_bytes
from pinpoint.engine.loading.ring import DTYPES
from pinpoint.engine.weights import fp8, int8, nf4, plainly
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS, WEIGHT, format_of
from pinpoint.errors import ModelError
from pinpoint.planning.weight_bytes import NF4_BLOCK

ROWS = 2  # of a matrix
EXPERTS = 8  # of a layer
# Of numbers that are held as they are stored; a row that is quantised is read as a whole.
MOST_NUMBERS = 1 << 14
BLOCKS = 64  # of nf4
# On a network volume a read waits some milliseconds.
THREADS = 16
# More than a format's rounding explains; what is computed in float32 on both sides rounds in its last bits.
SLACK = 1.01
# Largest distance from the middle between two of the 256 levels that nf4 rounds its blocks' largest values to.
NF4_NESTED = 0.0071
_FLOATS = ("BF16", "F16", "F32")
_EXPERT = re.compile(r"experts\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What was compared.

    Attributes:
        tensors: stored ones that were looked at.
        left_out: that became part of the model in ways that are not retraced.
        farthest: the name of the stored tensor that differs most; empty where none does.
        apart: by how much more than rounding explains, as a share of the row's largest value; infinite where nothing
            may differ.
        seconds: that it took.
    """

    tensors: int
    left_out: int
    farthest: str
    apart: float
    seconds: float


class Piece(NamedTuple):
    """A stored tensor that is a parameter, or one expert's part of one.

    Attributes:
        key: its name in the file.
        target: the parameter's name.
        expert: its number, where the stored tensor is one expert's; None of a whole parameter.
        first: which row of the expert's matrix the stored tensor's first is.
    """

    key: str
    stored: StoredBytes
    target: str
    expert: int | None
    first: int


class Look(NamedTuple):
    """Some numbers of a stored tensor, one after the other, and where the parameter has them.

    Attributes:
        start, length: in the stored tensor.
        expert: whose they are, where the parameter holds several; None of others.
        place: of the first in the matrix, or the parameter, row after row.
    """

    piece: Piece
    start: int
    length: int
    expert: int | None
    place: int


@torch.inference_mode()
def compare(model: PreTrainedModel, folder: Path) -> ReadBack:
    """Look at the tensors of a checkpoint and at what was loaded of them.

    Raises:
        ModelError: a file cannot be read any more.
    """
    try:
        return _compare(model, folder)
    except OSError as error:
        raise ModelError(
            "shard_damaged",
            f"the weight files of {folder} cannot be read once more, to compare them with what was loaded "
            f"({type(error).__name__}); fetch them again",
            "MODEL_NAME",
        ) from None


def _compare(model: PreTrainedModel, folder: Path) -> ReadBack:
    began = time.monotonic()
    found, left_out = pieces(model, stored_bytes(folder))
    farthest, worst = "", 0.0
    with ExitStack() as stack:
        paths = {piece.stored.file for piece in found}
        files = {path: stack.enter_context(path.open("rb")).fileno() for path in paths}
        pool = stack.enter_context(ThreadPoolExecutor(THREADS, thread_name_prefix="read-back"))
        looks = [look for piece in found for look in looks_of(model, piece)]
        stored = pool.map(lambda look: _read(files[look.piece.stored.file], look), looks)
        for look, numbers in zip(looks, stored, strict=True):
            apart = apart_of(model, look, numbers)
            if not apart <= worst:
                farthest, worst = look.piece.key, apart
    return ReadBack(len({look.piece.key for look in looks}), left_out, farthest, worst, time.monotonic() - began)


def pieces(model: PreTrainedModel, stored: Mapping[str, StoredBytes]) -> tuple[list[Piece], int]:
    """What of a checkpoint is looked at, and how many stored tensors are left out.

    Names are translated by transformers' tables, once for all experts of a layer.
    """
    parameters = model.state_dict()
    transforms = get_model_conversion_mapping(model)
    renamings = [entry for entry in transforms if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in transforms if isinstance(entry, WeightConverter)]
    by_pattern = {pattern: entry for entry in converters for pattern in entry.source_patterns}
    renamed: dict[str, tuple[str, str | None]] = {}
    found, left_out = list[Piece](), 0
    for key, one in _some_experts(stored):
        alike = _EXPERT.sub("experts.0.", key)
        if alike not in renamed:
            renamed[alike] = rename_source_key(alike, renamings, converters, model.base_model_prefix, parameters)
        target, pattern = renamed[alike]
        if key in parameters and (target not in parameters or pattern is None):
            target, pattern = key, None
        if target not in parameters or target in model.all_tied_weights_keys:
            continue  # not used, or another tensor stands for it
        piece = _piece(key, one, target, pattern and by_pattern[pattern].source_patterns, pattern)
        if pattern is not None and not _stacks(by_pattern[pattern]):
            left_out += 1
        elif _fits(model, piece):
            found.append(piece)
        else:
            left_out += 1
    return found, left_out


def looks_of(model: PreTrainedModel, piece: Piece) -> Iterator[Look]:
    """Where a piece is looked at: always at the same places of a tensor of that name."""
    module, name = _owner(model, piece.target)
    shape, seed = piece.stored.shape, zlib.crc32(piece.key.encode())
    if not _quantised_on_the_way(module, name, piece.stored):
        width = shape[-1] if shape else 1
        count = min(width, MOST_NUMBERS)
        padding = getattr(module, "padding_idx", None)  # some families make zeros of its row, whatever a file has
        for start in _spread(math.prod(shape) // count, ROWS, seed):
            if padding is not None and start * count // width == padding:
                start = (start + 1) % (math.prod(shape) // count)
            yield Look(piece, start * count, count, piece.expert, start * count + piece.first * width)
        return
    outputs, inputs = shape[-2:]
    numbers = outputs * inputs
    whole = len(shape) == 3  # all experts in one
    for expert in _spread(shape[0], EXPERTS, seed) if whole else (piece.expert,):
        before = (expert or 0) * numbers if whole else 0
        if format_of(module) == nf4.METHOD:
            blocks = min(BLOCKS, numbers // NF4_BLOCK)
            for start in _spread(numbers // NF4_BLOCK // blocks, ROWS, seed):
                at = start * blocks * NF4_BLOCK
                yield Look(piece, before + at, blocks * NF4_BLOCK, expert, at + piece.first * inputs)
        else:
            for row in _spread(outputs, ROWS, seed):
                yield Look(piece, before + row * inputs, inputs, expert, (row + piece.first) * inputs)


def apart_of(model: PreTrainedModel, look: Look, stored: Tensor) -> float:
    """By how much more than rounding explains the parameter differs from `stored` [n], as `ReadBack.apart` has it."""
    module, name = _owner(model, look.piece.target)
    if not _quantised_on_the_way(module, name, look.piece.stored):
        held = getattr(module, name)
        held = held if look.expert is None else held[look.expert]
        held = held.reshape(-1)[look.place : look.place + look.length].cpu()
        wanted = stored.to(held.dtype)
        bits = torch.uint8  # of a value that is no number, too
        return 0.0 if torch.equal(held.contiguous().view(bits), wanted.contiguous().view(bits)) else math.inf
    wanted = stored.to(torch.bfloat16).float()
    largest = wanted.abs().max()
    if format_of(module) == nf4.METHOD:
        held, allowed = _nf4(module, name, look, wanted)
    else:
        row = look.place // len(wanted)
        held = plainly.widened(module, name, slice(row, row + 1), look.expert)[0].cpu()
        if format_of(module) == fp8.METHOD:
            step = largest / fp8.LARGEST * 2.0**-10  # half of the distance between the smallest values
            allowed = torch.maximum(wanted.abs() / 16, step).where(wanted.abs() < largest, torch.zeros(()))
        else:
            allowed = (largest / int8.LEVELS / 2).expand_as(wanted)
    beyond = (held - wanted).abs() - SLACK * allowed
    return float((beyond.clamp_min(0) / largest.clamp_min(1e-30)).nan_to_num(nan=math.inf).max())


def _nf4(module: Any, name: str, look: Look, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Of whole blocks: what is held, and what may be between it and what is wanted."""
    numbers = torch.arange(look.place, look.place + look.length)
    held, nested = plainly.numbers_of_nf4(module, name, numbers, look.expert)
    largest = wanted.view(-1, NF4_BLOCK).abs().amax(dim=1, keepdim=True).expand(-1, NF4_BLOCK).reshape(-1)
    levels = torch.tensor(plainly.NF4_LEVELS) * largest.unsqueeze(-1)
    nearest = (levels - wanted.unsqueeze(-1)).abs().amin(dim=-1)
    return held.cpu(), nearest + NF4_NESTED * nested.cpu() + 1e-5 * largest


def _some_experts(stored: Mapping[str, StoredBytes]) -> Iterator[tuple[str, StoredBytes]]:
    """All stored tensors, but of experts that are stored one by one so many of each layer."""
    of_layer: dict[str, int] = {}
    for key in stored:
        if match := _EXPERT.search(key):
            layer = key[: match.start()]
            of_layer[layer] = max(of_layer.get(layer, 0), int(match[1]) + 1)
    wanted = {layer: set(_spread(count, EXPERTS, zlib.crc32(layer.encode()))) for layer, count in of_layer.items()}
    for key, one in stored.items():
        match = _EXPERT.search(key)
        if match is None or int(match[1]) in wanted[key[: match.start()]]:
            yield key, one


def _piece(key: str, stored: StoredBytes, target: str, patterns: Sequence[str] | None, pattern: str | None) -> Piece:
    match = _EXPERT.search(key)
    if patterns is None or pattern is None or match is None:
        return Piece(key, stored, target, None, 0)
    return Piece(key, stored, target, int(match[1]), list(patterns).index(pattern) * stored.shape[0])


def _stacks(converter: WeightConverter) -> bool:
    """Whether it lays single experts beside each other, their parts one below the other."""
    operations = [(type(each).__name__, getattr(each, "dim", None)) for each in converter.operations]
    return len(converter.target_patterns) == 1 and operations in (
        [("MergeModulelist", 0)], [("MergeModulelist", 0), ("Concatenate", 1)],
    )  # fmt: skip


def _fits(model: PreTrainedModel, piece: Piece) -> bool:
    """Whether the stored tensor has the shape of what it is said to be."""
    module, name = _owner(model, piece.target)
    stored, held = piece.stored.shape, tuple(getattr(module, name).shape)
    if not math.prod(stored):
        return False
    if _quantised_on_the_way(module, name, piece.stored):
        outputs, inputs = plainly.size(module, name)
        held = (outputs, inputs) if name == WEIGHT else (held[0], outputs, inputs)
        if format_of(module) == nf4.METHOD and (outputs * inputs < NF4_BLOCK or piece.first * inputs % NF4_BLOCK):
            return False
    if piece.expert is None:
        return stored == held
    return (
        len(stored) == 2 and len(held) == 3 and piece.expert < held[0] and stored[1] == held[2]
        and piece.first + stored[0] <= held[1]
    )  # fmt: skip


def _owner(model: PreTrainedModel, target: str) -> tuple[Any, str]:
    owner, _, name = target.rpartition(".")
    return model.get_submodule(owner), name


def _quantised_on_the_way(module: Any, name: str, stored: StoredBytes) -> bool:
    return stored.dtype in _FLOATS and format_of(module) is not None and name in (WEIGHT, *EXPERT_WEIGHTS)


def _spread(count: int, most: int, seed: int) -> list[int]:
    """So many of `count` numbers at most, ascending: the first, the last and others, by the seed."""
    if count <= most:
        return list(range(count))
    some = random.Random(seed).sample(range(1, count - 1), most - 2) if most > 2 else []
    return sorted([0, *some, count - 1])


def _read(file: int, look: Look) -> Tensor:
    dtype = DTYPES[look.piece.stored.dtype]
    size = look.length * dtype.itemsize
    read = os.pread(file, size, look.piece.stored.start + look.start * dtype.itemsize)
    if len(read) != size:
        raise OSError("a weight file ends before its tensors do")
    return torch.frombuffer(bytearray(read), dtype=dtype)
