"""What the device is asked, told and forgiven: the plan made binding, memory read, running out of it survived."""

from __future__ import annotations

import gc
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from pinpoint.errors import CapacityError, DeviceError, OutOfMemory
from pinpoint.planning.activations import Precision
from pinpoint.planning.cards import GB
from pinpoint.planning.memory_plan import CUDA_CONTEXT_BYTES, MemoryPlan, choose_precision
from pinpoint.planning.memory_plan import plan as plan_memory
from pinpoint.planning.model_shapes import ModelShape
from pinpoint.planning.what_fits import alternatives
from pinpoint.settings import Settings

log = logging.getLogger("pinpoint")

ALTERNATIVES_NAMED = 4


def plan_or_refuse(
    settings: Settings,
    shape: ModelShape,
    total_bytes: int,
    free_bytes: int,
    precision: Precision | Literal["auto"] = "int8",
) -> MemoryPlan:
    """The plan of `shape` at `precision` on a card of `total_bytes`, of which `free_bytes` are free now.

    "auto" is the highest precision that fits the card.

    Raises:
        CapacityError: it does not fit the card, or others have taken what it needs; with the numbers and what fits.
    """
    max_bytes = None if settings.max_memory_gb is None else round(settings.max_memory_gb * GB)
    card = (total_bytes, round(settings.buffer_gb * GB), max_bytes, settings.max_concurrency)
    if precision == "auto":
        made = choose_precision(shape, *card)
        log.info("precision auto: %s is %s", made.precision, "the highest that fits" if made.fits else "the smallest")
    else:
        made = plan_memory(shape, precision, *card)
    if not made.fits:
        names = [f"{found.name} ({found.plan.shape.name}, {found.plan.precision})" for found in alternatives(made)]
        options = "; ".join(names[:ALTERNATIVES_NAMED]) or "nothing that is known"
        raise CapacityError(
            "does_not_fit",
            f"{made.verdict('GPU 0')}. What fits: {options}. `python -m pinpoint plan` shows the whole table",
            "MODEL_NAME",
        )
    lacking = made.planned_bytes + made.buffer_bytes - free_bytes
    if lacking > 0:
        raise CapacityError(
            "card_in_use",
            f"the plan takes {made.planned_bytes / GB:.1f} GB and keeps {made.buffer_bytes / GB:.1f} GB free, and only "
            f"{free_bytes / GB:.1f} of {total_bytes / GB:.1f} GB are free; end what else runs on GPU 0, or lower "
            "PINPOINT_MAX_MEMORY_GB",
            "PINPOINT_MAX_MEMORY_GB",
        )
    return made


def enforce(made: MemoryPlan, device: torch.device, total_bytes: int) -> None:
    """Cap the allocator, so that the buffer stays free whatever the plan overlooked."""
    fraction = (made.bound_bytes - CUDA_CONTEXT_BYTES) / total_bytes
    torch.cuda.set_per_process_memory_fraction(fraction, device)
    log.info(
        "memory plan: weights_gb=%.1f planned_gb=%.1f bound_gb=%.1f buffer_gb=%.1f token_budget=%d allocator_cap=%.3f",
        made.weight_bytes / GB, made.planned_bytes / GB, made.bound_bytes / GB, made.buffer_bytes / GB,
        made.token_budget, fraction,
    )  # fmt: skip


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
        traceback.clear_frames(error.__traceback__)
        out_of_memory = "the device ran out of memory"
    except torch.AcceleratorError as error:
        traceback.clear_frames(error.__traceback__)
        broken = type(error).__name__
    if out_of_memory:
        raise OutOfMemory("out_of_memory", out_of_memory)
    if broken:
        raise DeviceError("device_error", f"the device failed ({broken}) and the worker has to restart")


def release() -> None:
    """Give back what no tensor holds: after an allocation failed, before the next try."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
