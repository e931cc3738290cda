"""Writing a quantised checkpoint while its source streams by: never the 16-bit model in memory, never half a file.

Groups of tensors (see `checkpoint.py`) are read, quantised and collected until a weight file is full; the most
that is held is one such file and one group. A file is written under another name, flushed, hashed and only then gets
its own; the journal lists those that are done. Started again after whatever ended it, a run keeps the files whose
checksums still hold and goes on. `config.json` comes last: a folder without it is no checkpoint to anybody.

The bytes depend on the source, the precision and the size of files alone.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pinpoint.checkpoints.weight_files import (
    CHECKSUMS_FILE,
    CONFIG_FILE,
    INDEX_FILE,
    Progress,
    checksums_text,
    sha256_of,
)
from pinpoint.engine.loading.finite import check_finite
from pinpoint.engine.loading.quantize_job import JOURNAL_FILE, Job, Shard
from pinpoint.errors import CapacityError, ModelError

PARTIAL_SUFFIX = ".partial"
_READABLE = 0o644
# What makes tokens of text; copied byte for byte. Sampling defaults are left behind: nothing is sampled.
_COPIED = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.jinja", "*.model")


@dataclass(frozen=True, slots=True)
class Written:
    """What a run left behind.

    Attributes:
        shards: weight files.
        kept_shards: how many of them an earlier run had finished.
        weight_bytes: of all tensors.
    """

    shards: int
    kept_shards: int
    weight_bytes: int
    seconds: float


def write(job: Job, progress: Progress | None = None) -> Written:
    """Write the checkpoint, going on where an earlier run of the same job ended.

    Args:
        job: from `prepare`.
        progress: is told bytes of tensors as they are quantised or found finished.

    Raises:
        ModelError: a weight is damaged, or a file cannot be read or written.
        CapacityError: the disk is full. What is finished stays, and the next run goes on from it.
    """
    began, tell = time.monotonic(), progress or (lambda done: None)
    folder = job.destination
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if job.replace and not (folder / JOURNAL_FILE).exists():
            _discard(folder)
        with ExitStack() as stack:
            shards = job.shards(_reader(job, stack))
            finished = _finished(job, shards)
            _check_room(job, shards, finished)
            _write_journal(job, shards, finished)
            digests = dict(finished)
            for shard in shards:
                if shard.name in finished:
                    tell(shard.tensor_bytes)
                    continue
                digests[shard.name] = _write_shard(job, shard, tell)
                _write_journal(job, shards, digests)
        _write_small_files(job, shards, digests)
        (folder / JOURNAL_FILE).unlink()
    except OSError as error:
        raise _unwritable(folder, error) from None
    return Written(len(shards), len(finished), job.weight_bytes, time.monotonic() - began)


def _discard(folder: Path) -> None:
    """Remove a checkpoint that is to be replaced: its configuration first, so that what is left is none."""
    for path in [*(folder / name for name in (CONFIG_FILE, INDEX_FILE, CHECKSUMS_FILE)), *folder.glob("*.safetensors")]:
        path.unlink(missing_ok=True)


def _reader(job: Job, stack: ExitStack) -> Callable[[str], Tensor]:
    """Reads a stored tensor by name; files are opened once and closed with the stack."""
    opened: dict[Path, Any] = {}

    def read(key: str) -> Tensor:
        path = job.headers[key].file
        if path not in opened:
            opened[path] = stack.enter_context(safe_open(path, framework="pt"))
        tensor: Tensor = opened[path].get_tensor(key)
        return tensor

    return read


def _finished(job: Job, shards: list[Shard]) -> dict[str, str]:
    """The digests of the files that an earlier run of the same job finished and that are still as it left them.

    What another job left unfinished is removed: its files would be taken for this one's.
    """
    try:
        journal = json.loads((job.destination / JOURNAL_FILE).read_text(encoding="utf-8"))
        same = journal["job"] == job.fingerprint(shards)
        planned, recorded = list(journal["shards"]), dict(journal["finished"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    if not same:
        for name in [CONFIG_FILE, INDEX_FILE, *planned]:
            (job.destination / Path(name).name).unlink(missing_ok=True)
        return {}
    return {
        shard.name: recorded[shard.name]
        for shard in shards
        if shard.name in recorded
        and (job.destination / shard.name).is_file()
        and sha256_of(job.destination / shard.name) == recorded[shard.name]
    }


def _check_room(job: Job, shards: list[Shard], finished: dict[str, str]) -> None:
    """Refuse at once what the disk cannot take."""
    needed = sum(shard.tensor_bytes for shard in shards if shard.name not in finished)
    free = shutil.disk_usage(job.destination).free
    if needed > free:
        raise CapacityError(
            "disk_full",
            f"{job.destination} has {free / 1e9:.3f} GB free and {needed / 1e9:.3f} GB are still to be written; make "
            "room, or choose another folder",
            "DESTINATION",
        )


def _write_shard(job: Job, shard: Shard, tell: Progress) -> str:
    """Quantise the groups of a weight file and write it; returns its SHA-256."""
    tensors: dict[str, Tensor] = {}
    for group in shard.groups:
        try:
            converted = group.convert(job.model, job.quantizer)
        except (RuntimeError, ValueError, SafetensorError) as error:
            raise ModelError(
                "shard_damaged",
                f"{group.target} cannot be read from {job.headers[group.keys[0]].file} "
                f"({str(error).splitlines()[0]}); fetch it again",
                "SOURCE",
            ) from None
        parts = job.parts(group)
        stored = {key: job.headers[key] for key in group.keys}
        sources = {name: stored for name in parts}
        for name in parts:
            tensors[name] = converted[name].to(job.expected[name].dtype).contiguous()
            check_finite(name, tensors[name], sources.__getitem__)
            tell(tensors[name].nbytes)
    try:
        return _replace(job.destination / shard.name, lambda path: save_file(tensors, path, metadata={"format": "pt"}))
    except SafetensorError as error:
        raise _unwritable(job.destination, error) from None


def _write_small_files(job: Job, shards: list[Shard], digests: dict[str, str]) -> None:
    """Everything but the weights, `config.json` last."""
    folder = job.destination
    if len(shards) > 1:
        placed = {name: shard.name for shard in shards for name in job.names(shard)}
        index = {"metadata": {"total_size": job.weight_bytes}, "weight_map": placed}
        digests[INDEX_FILE] = _write_text(folder / INDEX_FILE, json.dumps(index, indent=2, sort_keys=True) + "\n")
    for path in sorted({path for pattern in _COPIED for path in job.source.glob(pattern) if path.is_file()}):
        digests[path.name] = _write_bytes(folder / path.name, path.read_bytes())
    # Complete but for its name before the checksums are, and in its place after them.
    config = folder / (CONFIG_FILE + PARTIAL_SUFFIX)
    digests[CONFIG_FILE] = _write_text(config, job.config_text())
    _write_text(folder / CHECKSUMS_FILE, checksums_text(digests))
    os.replace(config, folder / CONFIG_FILE)


def _write_journal(job: Job, shards: list[Shard], finished: dict[str, str]) -> None:
    journal = {"job": job.fingerprint(shards), "shards": [shard.name for shard in shards], "finished": finished}
    _write_text(job.destination / JOURNAL_FILE, json.dumps(journal, indent=2) + "\n")


def _write_text(path: Path, text: str) -> str:
    return _write_bytes(path, text.encode("utf-8"))


def _write_bytes(path: Path, content: bytes) -> str:
    return _replace(path, lambda partial: partial.write_bytes(content))


def _replace(path: Path, fill: Callable[[Path], object]) -> str:
    """Have a file filled under another name and give it its own once it is whole; returns its SHA-256."""
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        fill(partial)
        partial.chmod(_READABLE)  # safetensors lets its owner alone read it, and a worker may be somebody else
        _flush(partial)
        digest = sha256_of(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return digest


def _flush(path: Path) -> None:
    """Wait until the file is on the disk, and not only on its way: the journal must not know more than the disk."""
    with path.open("rb+") as opened:
        os.fsync(opened.fileno())


def _unwritable(folder: Path, error: Exception) -> ModelError | CapacityError:
    # safetensors reports the system's error in words alone.
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
        return CapacityError(
            "disk_full",
            f"the disk of {folder} is full; what is finished stays: make room and run the same command again",
            "DESTINATION",
        )
    return ModelError("cannot_write", f"cannot write to {folder}: {str(error).splitlines()[0]}", "DESTINATION")
