"""What quantising a checkpoint comes to: its source checked, its files planned, and how to tell it from other jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel
from transformers.core_model_loading import dot_natural_key

from pinpoint.checkpoints.weight_files import CONFIG_FILE, INDEX_FILE, WEIGHTS_FILE, StoredTensor, read_headers
from pinpoint.engine.loading.architecture import check_architecture, check_quantisable
from pinpoint.engine.loading.checkpoint import (
    FORMATS,
    Group,
    empty_model,
    expected_parameters,
    groups_of,
    read_config,
    stored_precision,
)
from pinpoint.engine.loading.layout import check_layout
from pinpoint.engine.weights.quantizer import WeightQuantizer, part_name
from pinpoint.errors import ModelError
from pinpoint.planning.activations import Precision

JOURNAL_FILE = "quantize.journal"
# Most bytes of a weight file, as transformers has it. A file is held in memory until it is full.
SHARD_BYTES = 5_000_000_000
_RUNTIME_FIELDS = ("_name_or_path", "_attn_implementation", "_experts_implementation")


@dataclass(frozen=True, slots=True)
class Shard:
    """A weight file to be: what goes into it and how large that is."""

    name: str
    groups: tuple[Group, ...]
    tensor_bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """A checked source and what is to be made of it.

    Attributes:
        replace: a checkpoint in the destination gives way.
        model: with quantised parameters of no memory.
        expected: what the checkpoint is to hold, by name.
        shard_bytes: of a weight file at most.
    """

    source: Path
    destination: Path
    precision: Precision
    replace: bool
    config: Any
    headers: dict[str, StoredTensor]
    model: PreTrainedModel
    quantizer: WeightQuantizer
    expected: dict[str, Tensor]
    shard_bytes: int

    @property
    def weight_bytes(self) -> int:
        """Of all tensors to be written."""
        return sum(tensor.nbytes for tensor in self.expected.values())

    def parts(self, group: Group) -> list[str]:
        """The names of what comes of a group."""
        if not self.quantizer.param_needs_quantization(self.model, group.target):
            return [group.target]
        return [part_name(group.target, suffix) for suffix in self.quantizer.suffixes]

    def names(self, shard: Shard) -> list[str]:
        """The names of all tensors of a shard."""
        return [name for group in shard.groups for name in self.parts(group)]

    def shards(self, read: Callable[[str], Tensor]) -> list[Shard]:
        """All groups in the model's order, filled into files of at most `shard_bytes`, or of one group.

        Args:
            read: gives a stored tensor by name, when its group is converted.
        """
        groups = groups_of(self.model, self.headers, read, self.quantizer)
        filled: list[tuple[list[Group], int]] = []
        for group in sorted(groups, key=lambda group: dot_natural_key(group.target)):
            if group.target not in self.expected:
                continue  # tied to another
            size = sum(self.expected[name].nbytes for name in self.parts(group))
            if not filled or filled[-1][1] + size > self.shard_bytes:
                filled.append(([], 0))
            members, before = filled[-1]
            filled[-1] = ([*members, group], before + size)
        count = len(filled)
        names = [f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]
        return [
            Shard(name, tuple(groups), tensor_bytes)
            for name, (groups, tensor_bytes) in zip(names if count > 1 else [WEIGHTS_FILE], filled, strict=True)
        ]

    def config_text(self) -> str:
        """The configuration to be written: the same for the same source wherever it lay and whatever computed it."""
        config = self.config.to_dict() | {
            "quantization_config": FORMATS[self.precision].config().to_dict(),
            "dtype": "bfloat16",
        }
        for name in _RUNTIME_FIELDS:
            config.pop(name, None)
        return json.dumps(config, indent=2, sort_keys=True) + "\n"

    def fingerprint(self, shards: list[Shard]) -> str:
        """Tells this job from any other: the source's files as they are now, and what is made of them."""
        files = sorted({header.file for header in self.headers.values()})
        stated = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        plan = [(shard.name, self.names(shard)) for shard in shards]
        return hashlib.sha256(json.dumps([self.precision, stated, self.config_text(), plan]).encode()).hexdigest()


def prepare(
    source: Path, destination: Path, precision: Precision, shard_bytes: int = SHARD_BYTES, *, replace: bool = False
) -> Job:
    """Check that the source can be quantised and the destination be written to. Writes nothing.

    Raises:
        ModelError: the source is missing, damaged, not in 16 bits, or of a kind that no worker would load or that
            cannot be quantised; or the destination holds a checkpoint that is not to be replaced.
    """
    if not source.is_dir():
        raise ModelError("model_not_found", f"there is no folder {source}", "SOURCE")
    config = read_config(source)
    if (stored := stored_precision(config)) is not None:
        raise ModelError("already_quantised", f"{source} is already quantised to {stored}; use its original", "SOURCE")
    check_architecture(config, str(source))
    if destination.exists() and source.resolve() == destination.resolve():
        raise ModelError("destination_in_use", "the source cannot be its own destination", "DESTINATION")
    strange = [destination / CONFIG_FILE, destination / INDEX_FILE, *destination.glob("*.safetensors")]
    found = [path.name for path in strange if path.exists()]
    if found and not replace and not (destination / JOURNAL_FILE).exists():
        raise ModelError(
            "destination_in_use",
            f"{destination} already holds {found[0]}; choose another folder, or replace it with --overwrite",
            "DESTINATION",
        )
    headers = read_headers(source)
    check_layout(config, headers)
    check_quantisable(empty_model(config), precision, str(source))
    form = FORMATS[precision]
    quantizer = form.quantizer(form.config(), pre_quantized=False)
    model = empty_model(config, quantizer)
    expected = expected_parameters(model)
    return Job(source, destination, precision, replace, config, headers, model, quantizer, expected, shard_bytes)
