"""Values that are no numbers, or infinite: whether a weight has any, and in which file it came by them.

No sound weight leads to one, in any precision. A whole model is looked at when it is loaded; the files are looked at
once more only where something was found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pinpoint.checkpoints.weight_files import StoredTensor, read_headers
from pinpoint.engine.loading.checkpoint import FORMATS, empty_model, groups_of, stored_precision
from pinpoint.engine.weights.quantizer import part_name
from pinpoint.errors import ModelError
from pinpoint.planning.activations import Precision

# The stored tensors, by name, that a parameter came of.
Sources = Callable[[str], Mapping[str, StoredTensor]]


def check_finite(name: str, tensor: Tensor, sources: Sources = lambda name: {}) -> None:
    """Refuse a part of a weight that no sound weight leads to.

    Args:
        name: of the parameter.
        tensor: what is held of it.
        sources: what it came of; asked only to say where the damage is.

    Raises:
        ModelError: it holds a value that is not finite.
    """
    if not tensor.numel() or is_finite(tensor):
        return
    damaged = [f"{key} in {stored.file}," for key, stored in sources(name).items() if not _reads_finite(key, stored)]
    at_fault = damaged[0] if damaged else "a weight"
    raise ModelError(
        "weight_not_finite",
        f"{name} comes of {at_fault} with values that are not finite; the checkpoint is damaged, fetch it again",
        "MODEL_NAME",
    )


def is_finite(tensor: Tensor) -> bool:
    """Whether all of it is; found without a copy of it."""
    if tensor.dtype == torch.float8_e4m3fn:
        # It has no infinity, and NaN are the bytes 127 and 255: the largest there is with a sign, and without.
        return bool((tensor.view(torch.int8).amax() < 127) & (tensor.view(torch.uint8).amax() < 255))
    # The two ends of a tensor are not finite where any of it is not.
    return not tensor.is_floating_point() or bool(torch.stack(tensor.aminmax()).isfinite().all())


def sources_of(name: str, folder: Path, config: Any, precision: Precision) -> dict[str, StoredTensor]:
    """The stored tensors of a checkpoint that a parameter, or a part of one, came of when it was loaded.

    Args:
        name: of the parameter, as the loaded model has it.
        folder: of the checkpoint.
        config: the checkpoint's.
        precision: that it was loaded in.

    Raises:
        ModelError: the files cannot be read any more.
    """
    quantizer = None
    if precision in FORMATS:
        form = FORMATS[precision]
        quantizer = form.quantizer(form.config(), pre_quantized=stored_precision(config) is not None)
    headers, suffixes = read_headers(folder), ("",) if quantizer is None else quantizer.suffixes
    groups = groups_of(empty_model(config, quantizer), headers, lambda key: torch.empty(0), quantizer)
    return {
        key: headers[key]
        for group in groups
        if name == group.target or name in [part_name(group.target, suffix) for suffix in suffixes]
        for key in group.keys
    }


def _reads_finite(key: str, stored: StoredTensor) -> bool:
    try:
        with safe_open(stored.file, framework="pt") as opened:
            tensor = opened.get_tensor(key)
    except (OSError, SafetensorError):
        return True
    return not tensor.numel() or is_finite(tensor)
