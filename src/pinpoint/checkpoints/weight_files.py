"""The files of a checkpoint: which there are, whether each is whole, and their checksums. Torch-free.

A checkpoint is a folder with `config.json` and either `model.safetensors` or shards listed by
`model.safetensors.index.json`. One that `pinpoint quantize` wrote also has `SHA256SUMS`, in the format that the program
`sha256sum` checks on any machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError, safe_open

from pinpoint.errors import ModelError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
CHECKSUMS_FILE = "SHA256SUMS"
# Any of these sets of files makes a tokenizer.
TOKENIZER_FILES = (
    ("tokenizer.json",), ("tokenizer.model",), ("tekken.json",), ("spiece.model",), ("sentencepiece.bpe.model",),
    ("vocab.json", "merges.txt"), ("vocab.txt",),
)  # fmt: skip
_READ_BYTES = 1 << 24
_MOST_HEADER_BYTES = 100_000_000  # that safetensors itself reads
# Hashing lets go of the interpreter, so that a few threads keep up with a fast disk.
_HASHING_THREADS = 4

Progress = Callable[[int], None]  # takes the bytes done since the last call


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies and what its header says of it; `dtype` in safetensors' words, such as "BF16"."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """Where a tensor's bytes lie in its file, from `start` to `stop`."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def shard_names(folder: Path) -> list[str]:
    """The names of the weight files, whether they are there or not; found in the order of the index.

    Raises:
        ModelError: there is neither a weight file nor an index of some, or the index cannot be read.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return [WEIGHTS_FILE]
    if (folder / INDEX_FILE).is_file():
        return sorted(set(_index(folder).values()))
    other = sorted(path.name for path in folder.glob("*") if path.suffix in (".bin", ".pt", ".pth", ".gguf"))
    hint = f"; {other[0]} is of another kind, which may run code or is read otherwise" if other else ""
    raise ModelError(
        "no_safetensors",
        f"{folder} holds neither {WEIGHTS_FILE} nor {INDEX_FILE}{hint}; only safetensors are loaded",
        "MODEL_NAME",
    )


def missing_files(folder: Path) -> list[str]:
    """What the checkpoint still lacks, by name; empty where it is complete. Nothing is opened but the index."""
    if not (folder / CONFIG_FILE).is_file():
        return [CONFIG_FILE]
    lacking = [] if has_tokenizer(folder) else [TOKENIZER_FILES[0][0]]
    try:
        return [name for name in shard_names(folder) if not (folder / name).is_file()] + lacking
    except ModelError:
        return [WEIGHTS_FILE, *lacking]


def has_tokenizer(folder: Path) -> bool:
    """Whether the files of some kind of tokenizer are there."""
    return any(all((folder / name).is_file() for name in names) for names in TOKENIZER_FILES)


def read_headers(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of the checkpoint by name, read from the files' headers.

    Raises:
        ModelError: a file is missing, cut short or damaged, lacks a tensor that the index says it holds, or holds one
            that another file has with other values.
    """
    names = shard_names(folder)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            "shard_missing",
            f"{len(missing)} of {len(names)} weight files are missing, the first is {folder / missing[0]}; "
            "fetch the checkpoint again",
            "MODEL_NAME",
        )
    placed = _index(folder, whole=True) if names != [WEIGHTS_FILE] else {}
    found: dict[str, StoredTensor] = {}
    for name in names:
        path = folder / name
        try:
            with safe_open(path, framework="numpy") as opened:
                keys = set(opened.keys())
                parts = {key: opened.get_slice(key) for key in keys}
                held = {key: StoredTensor(path, one.get_dtype(), tuple(one.get_shape())) for key, one in parts.items()}
        except (SafetensorError, OSError, ValueError) as error:
            raise _damaged(path, str(error).splitlines()[0]) from None
        lacking = sorted(key for key, file in placed.items() if file == name and key not in keys)
        if lacking:
            raise ModelError(
                "shard_damaged",
                f"{path} does not hold {lacking[0]}, which {INDEX_FILE} says it does; fetch the checkpoint again",
                "MODEL_NAME",
            )
        for first in sorted({found[key].file for key in held.keys() & found.keys()}):
            _check_alike(first, path)
        found |= held
    return found


def stored_bytes(folder: Path) -> dict[str, StoredBytes]:
    """Every tensor of a checkpoint whose headers were read without a complaint, by name.

    Source: the format of safetensors, eight bytes of the header's length, then JSON, then the tensors' bytes.

    Raises:
        ModelError: a file cannot be read any more.
    """
    found: dict[str, StoredBytes] = {}
    for name in shard_names(folder):
        found |= _bytes_of(folder / name)
    return found


def _bytes_of(path: Path) -> dict[str, StoredBytes]:
    """The tensors of one file."""
    try:
        with path.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if length > _MOST_HEADER_BYTES:
                raise ValueError("a header of such length")
            header = json.loads(opened.read(length))
        found: dict[str, StoredBytes] = {}
        for key, value in header.items():
            if key != "__metadata__":
                start, stop = (8 + length + offset for offset in value["data_offsets"])
                found[key] = StoredBytes(path, value["dtype"], tuple(value["shape"]), start, stop)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else "its header"
        raise _damaged(path, why) from None
    return found


def _check_alike(first: Path, second: Path) -> None:
    """Refuse a tensor that two files have with different values: which is read would be a matter of their order.

    Raises:
        ModelError: it names both.
    """
    mine, theirs = _bytes_of(first), _bytes_of(second)
    with first.open("rb") as one, second.open("rb") as other:
        for key in sorted(mine.keys() & theirs.keys()):
            if not _are_alike(mine[key], one, theirs[key], other):
                raise ModelError(
                    "shard_damaged",
                    f"{first} and {second} both hold {key}, with different values; fetch the checkpoint again, into an "
                    "empty folder",
                    "MODEL_NAME",
                )


def _are_alike(mine: StoredBytes, one: BinaryIO, theirs: StoredBytes, other: BinaryIO) -> bool:
    """Whether two tensors in two open files are the same."""
    if (mine.dtype, mine.shape) != (theirs.dtype, theirs.shape):
        return False
    one.seek(mine.start)
    other.seek(theirs.start)
    left, same = mine.stop - mine.start, True
    while same and left:
        size = min(left, _READ_BYTES)
        same, left = one.read(size) == other.read(size), left - size
    return same


def sha256_of(path: Path, progress: Progress | None = None) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while block := opened.read(_READ_BYTES):
            digest.update(block)
            if progress:
                progress(len(block))
    return digest.hexdigest()


def checksums_text(digests: Mapping[str, str]) -> str:
    """The text of a checksums file for `digests` by file name."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def read_checksums(folder: Path) -> dict[str, str]:
    """The digests that were written beside the checkpoint, by file name.

    Raises:
        ModelError: there are none, or the file is not in `sha256sum`'s format.
    """
    path = folder / CHECKSUMS_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        digests = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except FileNotFoundError:
        raise ModelError(
            "no_checksums",
            f"{folder} has no {CHECKSUMS_FILE}, so there is nothing to compare with; `pinpoint quantize` writes one",
            "PINPOINT_VERIFY_CHECKSUMS",
        ) from None
    except (OSError, ValueError):
        raise ModelError("checksums_damaged", f"{path} is not a list of checksums", "MODEL_NAME") from None
    return digests


def verify_checksums(folder: Path, progress: Progress | None = None) -> int:
    """Compare every file that has a checksum with it; returns their number.

    Raises:
        ModelError: a file is missing or has other bytes; or there are no checksums.
    """
    digests = read_checksums(folder)
    missing = [name for name in digests if not (folder / name).is_file()]
    if missing:
        raise ModelError("shard_missing", f"{folder / missing[0]} is missing; write or fetch it again", "MODEL_NAME")
    with ThreadPoolExecutor(_HASHING_THREADS) as pool:
        actual = dict(zip(digests, pool.map(lambda name: sha256_of(folder / name, progress), digests), strict=True))
    wrong = [name for name in digests if actual[name] != digests[name]]
    if wrong:
        raise ModelError(
            "checksum_mismatch",
            f"{len(wrong)} of {len(digests)} files have other bytes than {CHECKSUMS_FILE} says, the first is "
            f"{folder / wrong[0]}; write or fetch it again",
            "MODEL_NAME",
        )
    return len(digests)


def _damaged(path: Path, why: str | None) -> ModelError:
    return ModelError("shard_damaged", f"{path} is cut short or damaged ({why}); fetch it again", "MODEL_NAME")


def _index(folder: Path, *, whole: bool = False) -> dict[str, str]:
    """Each tensor's file; with `whole`, of an index that has all that transformers asks of one."""
    path = folder / INDEX_FILE
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        placed = None if whole and not isinstance(index["metadata"], dict) else index["weight_map"]
    except (OSError, ValueError, KeyError, TypeError):
        placed = None
    # A name is of a file in this folder: what an index says must not reach outside of it.
    if (
        not isinstance(placed, dict)
        or not placed
        or any(
            not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors")
            for name in placed.values()
        )
    ):
        raise ModelError("index_damaged", f"{path} is not an index of safetensors files; fetch it again", "MODEL_NAME")
    return placed
