"""The one call of transformers' loader: what is asked of it, what it may not do, and what its errors mean."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, GenerationConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from pinpoint.checkpoints.weight_files import TOKENIZER_FILES
from pinpoint.engine import gpu
from pinpoint.engine.forward import attention, norms, rotary
from pinpoint.engine.loading.architecture import check_tokenizer, unsupported_family
from pinpoint.engine.loading.checkpoint import FORMATS, auto_class, model_class, stored_precision, unreadable
from pinpoint.engine.loading.layout import incomplete
from pinpoint.engine.loading.ring import tensors_of
from pinpoint.engine.loading.tokenizer_file import warn_of_other_tokens
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS, format_of, is_fused_experts
from pinpoint.errors import CapacityError, PinpointError
from pinpoint.planning.activations import Precision
from pinpoint.planning.families import OWN_ATTENTION

GROUPED_BYTES = 16


def tokenizer_file(folder: Path) -> Path:
    """The file that the tokenizer is made of, for a message."""
    names = [name for names in TOKENIZER_FILES for name in names if (folder / name).is_file()]
    return folder / names[0] if names else folder


@contextmanager
def progress_for_people() -> Iterator[None]:
    """Show transformers' progress bar on a terminal, and none in a log."""
    quiet = transformers_logging.is_progress_bar_enabled() and not sys.stderr.isatty()
    if quiet:
        transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if quiet:
            transformers_logging.enable_progress_bar()


def from_pretrained(
    folder: Path, config: Any, precision: Precision, device: torch.device, dtype: torch.dtype, by_ring: bool
) -> tuple[PreTrainedModel, Any]:
    """The model and its tokenizer, all of it on `device`, as transformers loads them.

    Args:
        folder: holds the checkpoint.
        config: the checkpoint's.
        precision: of the weights; quantised as they stream in where the checkpoint holds them in 16 bits.
        device: of every parameter and buffer.
        dtype: what activations, and weights that are not quantised, are held in.
        by_ring: weights that are held as they are stored are read by `ring`.

    Raises:
        ModelError: something cannot be read or is missing.
        CapacityError: the device ran out of memory.
    """
    stream = precision in FORMATS and stored_precision(config) is None
    full = False
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # a tokenizer's own library raises plain ones
        raise unreadable(error, tokenizer_file(folder)) from None
    check_tokenizer(config, tokenizer, folder.name)
    warn_of_other_tokens(folder, tokenizer)
    try:
        with progress_for_people(), nullcontext() if stream or not by_ring else tensors_of(folder, device) as tensors:
            kind, source = (auto_class(config), folder) if tensors is None else (model_class(config), None)
            model, report = kind.from_pretrained(
                source,
                state_dict=tensors,
                config=config,
                dtype=dtype,
                device_map={"": device},
                attn_implementation=attention.SPANS,
                quantization_config=FORMATS[precision].config() if stream else None,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except PinpointError:
        raise
    except torch.OutOfMemoryError:
        full = True  # raised below, where the exception no longer holds what was loaded
    except Exception as error:  # what a class finds wrong with its configuration or its files, it says in its own way
        if attention.SPANS in str(error):  # it has ways of attending of its own, and looks them up by name
            raise unsupported_family(folder.name, config, OWN_ATTENTION) from None
        raise unreadable(error) from None
    if full:
        gpu.release()
        raise CapacityError(
            "does_not_fit",
            f"the device ran out of memory while {precision} weights were loaded, which the plan did not foresee; "
            "lower PINPOINT_MAX_MEMORY_GB, or end what else runs on GPU 0",
            "PINPOINT_MAX_MEMORY_GB",
        )
    model.config._name_or_path = str(folder)
    if missing := sorted(report["missing_keys"]):
        raise incomplete(missing, folder)
    if any(format_of(module) is not None and hasattr(module, EXPERT_WEIGHTS[0]) for module in model.modules()):
        model.set_experts_implementation(FORMATS[precision].experts)
    elif any(is_fused_experts(module) and not _takes_groups(module) for module in model.modules()):
        model.set_experts_implementation("eager")
    norms.fuse(model)
    rotary.fuse(model)
    # What a checkpoint says of sampling would leak into every call of `generate`.
    model.generation_config = GenerationConfig()
    return model.eval().requires_grad_(False), tokenizer


def _takes_groups(experts: Any) -> bool:
    """Whether torch's product of groups takes the rows of these weights: it wants whole pieces of 16 bytes."""
    weights = (getattr(experts, name) for name in EXPERT_WEIGHTS)
    return all(weight.shape[-1] * weight.element_size() % GROUPED_BYTES == 0 for weight in weights)
