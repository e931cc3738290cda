"""Whether a checkpoint holds what its configuration needs: each tensor once, of the right shape and dtype, no other.

Known from headers alone. What is refused here would otherwise be read in the order of its names, or left out without a
word: a parameter under two names, experts with a gap in their numbers, a tensor that has no place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.core_model_loading import WeightConverter, dot_natural_key

from pinpoint.checkpoints.weight_files import StoredTensor
from pinpoint.engine.loading.checkpoint import (
    FORMATS,
    Group,
    empty_model,
    expected_parameters,
    groups_of,
    stored_precision,
)
from pinpoint.errors import ModelError

# What a weight may be stored in for it to be read as 16 bits, and what else a quantised checkpoint holds.
_FLOATS = ("BF16", "F16", "F32")
_STORED = {torch.int8: "I8", torch.uint8: "U8", torch.float32: "F32", torch.float8_e4m3fn: "F8_E4M3"}
# What tells a stored expert from its neighbours.
_EXPERT = re.compile(r"(?<=experts\.)\d+(?=\.)")
# Constants that older versions of transformers wrote beside the weights: rotary frequencies and causal masks.
LEFTOVERS = (r"rotary_emb\.inv_freq$", r"\.attn(ention)?\.(masked_)?bias$", r"position_ids$")


def check_layout(config: Any, headers: Mapping[str, StoredTensor]) -> None:
    """Compare what a checkpoint holds with what its configuration needs, shape by shape, without reading weights.

    Raises:
        ModelError: a tensor is missing, or has another shape or dtype; the message names it.
    """
    precision = stored_precision(config)
    quantizer = None
    if precision is not None:
        quantizer = FORMATS[precision].quantizer(FORMATS[precision].config(), pre_quantized=True)
    model = empty_model(config, quantizer)
    expected, parameters = expected_parameters(model), model.state_dict()
    groups = groups_of(model, headers, lambda key: torch.empty(headers[key].shape, device="meta"), quantizer)
    made: set[str] = set()
    for group in groups:
        first = headers[group.keys[0]]
        _check_members(group, headers)
        # A quantised part is stored as it is held; all else in one of the usual floats.
        held = _STORED.get(parameters[group.target].dtype) if precision else None
        allowed = (held,) if held else _FLOATS
        for key in group.keys:
            if headers[key].dtype not in allowed:
                raise ModelError(
                    "checkpoint_unsuitable",
                    f"{key} in {headers[key].file} is stored as {headers[key].dtype}, not as {' or '.join(allowed)}; "
                    "use the model's 16-bit original",
                    "MODEL_NAME",
                )
        try:
            converted = group.convert(model, None)
        except (RuntimeError, ValueError, KeyError) as error:
            raise _wrong(f"{group.target} cannot be made of its {len(group.keys)} parts ({error})", first) from None
        for name, tensor in converted.items():
            if name in expected and tensor.shape != expected[name].shape:
                shapes = f"{list(tensor.shape)} where its configuration needs {list(expected[name].shape)}"
                raise _wrong(f"{name} has the shape {shapes}", first)
        made |= converted.keys()
    unused = _unused(model, headers.keys() - {key for group in groups for key in group.keys})
    if unused:
        raise ModelError(
            "checkpoint_unsuitable",
            f"{len(unused)} tensors of the checkpoint have no place in a {type(model).__name__}, the first is "
            f"{unused[0]} in {headers[unused[0]].file}; they would change nothing of its answers, so this is not the "
            "model that the checkpoint was made for",
            "MODEL_NAME",
        )
    missing = sorted(expected.keys() - made, key=dot_natural_key)
    if missing:
        raise incomplete(missing, next((header.file.parent for header in headers.values()), None))


def _check_members(group: Group, headers: Mapping[str, StoredTensor]) -> None:
    """Refuse a parameter that is stored under two names, and experts whose numbers have gaps: they are taken in order.

    Raises:
        ModelError: it names the tensors and a file.
    """
    converted = isinstance(group.transform, WeightConverter)
    numbers = dict[str, list[int]]()
    for key in group.keys:
        number = _EXPERT.search(key) if converted else None
        name = _EXPERT.sub("*", key, count=1) if number else key
        numbers.setdefault(name, []).append(int(number[0]) if number else 0)
    for name, found in numbers.items():
        if sorted(found) != list(range(len(found))):
            gap = min(set(range(len(found) + 1)) - set(found))
            said = f"of {name} there is no number {gap}, and there are {len(found)} up to {max(found)}"
            raise _wrong(said, headers[group.keys[0]])
    names, parts = list(numbers), group.transform.source_patterns if converted else group.keys[:1]
    if len(names) > len(set(parts) & group.transform.collected_tensors.keys()):
        raise _wrong(f"{names[0]} and {names[-1]} are both {group.target}", headers[group.keys[-1]])


def incomplete(missing: Sequence[str], folder: Path | None) -> ModelError:
    """Of tensors that no weight file brings, the first of them told, and where the files are, if there is one."""
    where = f" in {folder}" if folder else ""
    return ModelError(
        "checkpoint_incomplete",
        f"{len(missing)} tensors of the checkpoint{where} are missing, the first is {missing[0]}; fetch it again",
        "MODEL_NAME",
    )


def _unused(model: PreTrainedModel, keys: Iterable[str]) -> list[str]:
    """Those of `keys` that say something: not what the model's authors, or old versions of them, leave there."""
    ignored = [*LEFTOVERS, *(getattr(model, "_keys_to_ignore_on_load_unexpected", None) or ())]
    return sorted((key for key in keys if not any(re.search(each, key) for each in ignored)), key=dot_natural_key)


def _wrong(what: str, stored: StoredTensor) -> ModelError:
    return ModelError("checkpoint_unsuitable", f"{what}; see {stored.file}, or fetch it again", "MODEL_NAME")
