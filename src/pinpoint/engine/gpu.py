"""What the device is asked, told and forgiven: the plan made binding, memory read, running out of it survived."""

from __future__ import annotations

import gc
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from pinpoint.errors import CapacityError, DeviceError, ModelError, OutOfMemory, PinpointError
from pinpoint.planning.activations import Precision
from pinpoint.planning.cards import GB
from pinpoint.planning.memory_plan import CUDA_CONTEXT_BYTES, MemoryPlan, choose_precision
from pinpoint.planning.memory_plan import plan as plan_memory
from pinpoint.planning.plan_words import verdict
from pinpoint.planning.shape import ModelShape, check_precision
from pinpoint.planning.what_fits import alternatives
from pinpoint.settings import Settings

log = logging.getLogger("pinpoint")

ALTERNATIVES_NAMED = 4
# What torch's variable-length kernel takes of a head. Heads that are too large for it are computed block by block.
KERNEL_HEAD_STEP = 8


def plan_or_refuse(
    settings: Settings,
    shape: ModelShape,
    total_bytes: int,
    free_bytes: int,
    precision: Precision | Literal["auto"] = "int8",
) -> MemoryPlan:
    """The plan of `shape` at `precision` on a card of `total_bytes`, as the device itself reports them.

    "auto" is the highest precision that fits the card.

    Args:
        free_bytes: free now, what this process's allocator has reserved included. What is neither free nor this
            process's CUDA context is held by others, and no part of the plan.

    Raises:
        CapacityError: it does not fit the card, or others have taken what it needs; with the numbers and what fits.
    """
    check_precision(shape, precision)
    max_bytes = None if settings.max_memory_gb is None else round(settings.max_memory_gb * GB)
    card = (total_bytes, round(settings.buffer_gb * GB), max_bytes, settings.max_concurrency)
    store_bytes, activations = settings.prefix_store_bytes, settings.activations
    if precision == "auto":
        made = choose_precision(shape, *card, store_bytes=store_bytes, activations=activations)
        log.info("precision auto: %s is %s", made.precision, "the highest that fits" if made.fits else "the smallest")
    else:
        made = plan_memory(shape, precision, *card, store_bytes=store_bytes, activations=activations)
    if not made.fits:
        names = [f"{found.name} ({found.plan.shape.name}, {found.plan.precision})" for found in alternatives(made)]
        options = "; ".join(names[:ALTERNATIVES_NAMED]) or "nothing that is known"
        raise CapacityError(
            "does_not_fit",
            f"{verdict(made, 'GPU 0')}. What fits: {options}. `python -m pinpoint plan` shows the whole table",
            "MODEL_NAME",
        )
    # The context of this process is a part of the plan, and `free_bytes` has lost what it takes so far.
    others_bytes = max(0, total_bytes - free_bytes - CUDA_CONTEXT_BYTES)
    beside = plan_memory(
        shape, made.precision, *card, store_bytes=store_bytes, others_bytes=others_bytes, activations=activations
    )
    tokens = min(settings.usual_budget, made.token_budget)
    if (needed_bytes := made.needed_bytes(tokens)) > beside.bound_bytes:
        raise CapacityError(
            "card_in_use",
            f"passes of {tokens:,} tokens take {needed_bytes / GB:.1f} GB and {made.buffer_bytes / GB:.1f} GB are to "
            f"stay free, and only {free_bytes / GB:.1f} of {total_bytes / GB:.1f} GB are free; end what else runs on "
            "GPU 0, or lower PINPOINT_TOKEN_BUDGET",
            "PINPOINT_MAX_MEMORY_GB",
        )
    return beside


def check_kernel(settings: Settings, shape: ModelShape) -> None:
    """Refuse what attention on CUDA cannot compute, before anything is loaded for it.

    Raises:
        ModelError: float32 was asked for, or the model's heads are of a size that the kernel does not take.
    """
    if settings.compute_dtype == "float32":
        raise ModelError(
            "precision_unsuitable",
            "attention on a GPU computes in bfloat16; unset PINPOINT_COMPUTE_DTYPE, or set PINPOINT_DEVICE=cpu for a "
            "trial in float32",
            "PINPOINT_COMPUTE_DTYPE",
        )
    if shape.head_size % KERNEL_HEAD_STEP:
        raise ModelError(
            "unsupported_head_size",
            f"{shape.name} has heads of {shape.head_size} channels, and attention on a GPU takes multiples of "
            f"{KERNEL_HEAD_STEP}; use another model",
            "MODEL_NAME",
        )


def enforce(made: MemoryPlan, device: torch.device, total_bytes: int) -> None:
    """Cap the allocator, so that the buffer stays free whatever the plan overlooked and whoever else is on the card."""
    fraction = (made.bound_bytes - CUDA_CONTEXT_BYTES) / total_bytes
    torch.cuda.set_per_process_memory_fraction(fraction, device)
    log.info(
        "memory plan: weights_gb=%.1f planned_gb=%.1f bound_gb=%.1f buffer_gb=%.1f others_gb=%.1f token_budget=%d "
        "allocator_cap=%.3f",
        made.weight_bytes / GB, made.planned_bytes / GB, made.bound_bytes / GB, made.buffer_bytes / GB,
        made.others_bytes / GB, made.token_budget, fraction,
    )  # fmt: skip


@contextmanager
def failures_refused(refusal: Callable[[Exception], ModelError]) -> Iterator[None]:
    """Whatever goes wrong within the block is the model's and becomes a refusal, unless the device failed."""
    try:
        yield
    except (PinpointError, torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except Exception as error:
        raise refusal(error) from None


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn the device's errors into ours.

    The error that comes out carries no frame of the pass and so none of its tensors: an exception that is kept, by a
    future say, would keep them alive.

    Raises:
        OutOfMemory: an allocation failed; the device itself is fine.
        DeviceError: any other error of the device; only a restart helps.
    """
    out_of_memory = broken = None
    try:
        yield
    except torch.OutOfMemoryError as error:
        _let_go(error)
        out_of_memory = "the device ran out of memory"
    except torch.AcceleratorError as error:
        _let_go(error)
        broken = type(error).__name__
    if out_of_memory:
        raise OutOfMemory("out_of_memory", out_of_memory)
    if broken:
        raise DeviceError("device_error", f"the device failed ({broken}) and the worker has to restart")


def _let_go(error: BaseException) -> None:
    """Clear the frames that an error holds, and the way to them: it stays the context of the one that we raise."""
    traceback.clear_frames(error.__traceback__)
    error.__traceback__ = None


def release() -> None:
    """Give back what no tensor holds: after an allocation failed, before the next try."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
