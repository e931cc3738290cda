"""Loading a model: one device, all of it, in the precision that was asked for, or a plain refusal.

    find it (checkpoints.sources) → read its configuration → settle the precision, plan it and refuse what does not fit
    → fetch the weights, where they are not here → compare the files' headers with the configuration → load

Nothing is on the device before the last step. A 16-bit checkpoint is quantised tensor by tensor as it streams in; one
that `pinpoint quantize` wrote is read as it is. Only safetensors, never code from the checkpoint.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from pinpoint.checkpoints.sources import Source, download, find_source, go_offline
from pinpoint.checkpoints.sources import embedded_folder as embedded_folder  # the benchmarks know it from here
from pinpoint.checkpoints.weight_files import read_headers, verify_checksums
from pinpoint.engine import gpu
from pinpoint.engine.forward import attention
from pinpoint.engine.loading import host_memory
from pinpoint.engine.loading.activations import set_activations
from pinpoint.engine.loading.architecture import check_architecture, check_quantisable
from pinpoint.engine.loading.calibration import keep_outliers
from pinpoint.engine.loading.checkpoint import FORMATS, empty_model, read_config, stored_precision
from pinpoint.engine.loading.finite import Sources, check_finite, sources_of
from pinpoint.engine.loading.layout import check_layout
from pinpoint.engine.loading.measure import shape_of
from pinpoint.engine.loading.pretrained import from_pretrained
from pinpoint.engine.readings import Laps
from pinpoint.engine.weights import experts, fp8, int8, nf4
from pinpoint.engine.weights.int8_product import kernels_work
from pinpoint.engine.weights.quantizer import format_of, is_fused_experts
from pinpoint.errors import ModelError
from pinpoint.planning.activations import Activations, Precision
from pinpoint.planning.cards import check_fp8
from pinpoint.planning.memory_plan import MemoryPlan
from pinpoint.planning.stored import check_stored, with_activations
from pinpoint.settings import Settings

log = logging.getLogger("pinpoint")

GB = 1e9
# Devices to which weights that are held as they are stored come by `ring`: a CPU computes from mapped files.
BY_RING: tuple[str, ...] = ("cuda",)
DEFAULT_CONTEXT_TOKENS = 2048  # for the rare configuration that does not name its own


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to compute, and what is known of it.

    Attributes:
        activations: what the inputs of products with 8-bit weights are held in.
        kept: modules whose inputs are not held in 8 bits although `activations` are, and by how much they would be off.
        context_tokens: longest prompt with label.
        plan: what the model takes of its GPU; None on a CPU, where nothing is planned.
        weight_bytes: of all parameters and buffers.
        seconds: that loading took.
        folder: of the checkpoint; None of a model that was made here.
    """

    model: PreTrainedModel
    tokenizer: Any
    device: torch.device
    compute_dtype: torch.dtype
    name: str
    revision: str
    precision: str
    context_tokens: int
    weight_bytes: int
    seconds: float
    plan: MemoryPlan | None = None
    activations: Activations = "compute"
    kept: Mapping[str, float] = field(default_factory=dict)
    folder: Path | None = None


def load(settings: Settings, laps: Laps | None = None) -> LoadedModel:
    """Load what `settings` names and log one line that says what came of it.

    Args:
        settings: of the worker.
        laps: is told where the time goes.

    Raises:
        ModelError: the checkpoint cannot be found, read, or held in that precision, or there is no GPU where one is
            needed.
        CapacityError: the model does not fit the GPU with its buffer; nothing was loaded.
    """
    began, laps = time.monotonic(), laps or Laps()
    device = choose_device(settings)
    for module in (attention, experts, fp8, int8, nf4):
        module.register()
    source = find_source(settings.model_name, settings.model_revision)
    if source.kind in ("cache", "volume"):
        go_offline()
    source = download(source, weights=False)
    config = read_config(_folder(source))
    check_architecture(config, source.name)
    precision, made = settle_precision(settings, config, source.name, device)
    laps.lap("plan")
    dtype = choose_dtype(settings, device, precision)
    source = download(source, weights=True)
    laps.lap("download")
    check_files(settings, config, _folder(source))
    check_quantisable(empty_model(config), precision, source.name)
    laps.lap("headers")
    model, tokenizer = from_pretrained(_folder(source), config, precision, device, dtype, device.type in BY_RING)
    laps.lap("weights")
    sources = partial(sources_of, folder=_folder(source), config=config, precision=precision)
    weight_bytes = check_placement(model, device, precision, sources)
    laps.lap("checks")
    set_activations(model, settings.activations)
    kept = keep_outliers(model, tokenizer) if settings.activations == "int8" else {}
    laps.lap("calibration")
    if device.type != "cuda":
        host_memory.keep_freed()
    elif precision in FORMATS and stored_precision(config) is None:
        gpu.release()  # what quantising took; from here on the device holds the weights alone
    else:  # without a look for rubbish, which took 0.25 s of 0.51 on the host of an H200
        torch.cuda.empty_cache()
    loaded = LoadedModel(
        model=model,
        tokenizer=tokenizer,
        device=device,
        compute_dtype=dtype,
        name=source.name,
        revision=source.revision,
        precision=precision,
        context_tokens=context_tokens(model.config),
        weight_bytes=weight_bytes,
        seconds=time.monotonic() - began,
        plan=made,
        activations=settings.activations,
        kept=kept,
        folder=_folder(source),
    )
    log.info(
        "loaded model=%s revision=%s from=%s precision=%s activations=%s compute=%s weights_gb=%.3f%s seconds=%.1f "
        "context_tokens=%d all tensors on %s",
        loaded.name, loaded.revision, source.kind, precision, loaded.activations, str(dtype).removeprefix("torch."),
        weight_bytes / GB, _device_memory(device), loaded.seconds, loaded.context_tokens, device,
    )  # fmt: skip
    return loaded


def settle_precision(
    settings: Settings, config: Any, name: str, device: torch.device
) -> tuple[Precision, MemoryPlan | None]:
    """The precision that the weights will be held in and, on a GPU, its plan, with the allocator capped.

    A quantised checkpoint has its own. On a CPU nothing is planned, and "auto" is what a GPU would hold by default.

    Raises:
        ModelError: the checkpoint cannot be held in what was asked for, or the GPU cannot compute it.
        CapacityError: it does not fit.
    """
    stored = stored_precision(config)
    check_stored(stored, settings.precision, name)
    wanted = with_activations(settings.precision, stored, settings.activations)
    if wanted == "nf4" and find_spec("bitsandbytes") is None:
        raise ModelError(
            "precision_unsuitable",
            "nf4 is computed by bitsandbytes, which is not installed here; install what requirements.txt has of it, or "
            "set PINPOINT_PRECISION=int8",
            "PINPOINT_PRECISION",
        )
    if device.type != "cuda":
        return "int8" if wanted == "auto" else wanted, None
    if wanted == "fp8":
        check_fp8(wanted, torch.cuda.get_device_capability(device), torch.cuda.get_device_name(device))
        if not kernels_work():
            raise ModelError(
                "precision_unsuitable",
                "fp8 is computed by kernels that Triton compiles, and it finds no C compiler here; install gcc and "
                "libc6-dev, or set PINPOINT_PRECISION=int8",
                "PINPOINT_PRECISION",
            )
    shape = shape_of(config, name)
    gpu.check_kernel(settings, shape)
    free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    free_bytes += torch.cuda.memory_reserved(device)
    made = gpu.plan_or_refuse(settings, shape, total_bytes, free_bytes, wanted)
    gpu.enforce(made, device, total_bytes)
    return made.precision, made


def check_files(settings: Settings, config: Any, folder: Path) -> None:
    """Check what can be known of the weight files before one of them is loaded.

    Raises:
        ModelError: a file is missing or damaged, or they do not hold what the configuration needs.
    """
    check_layout(config, read_headers(folder))
    if settings.verify_checksums:
        began = time.monotonic()
        files = verify_checksums(folder)
        log.info("checksums: files=%d seconds=%.1f all as written", files, time.monotonic() - began)


def choose_device(settings: Settings) -> torch.device:
    """GPU 0 where there is one; the CPU for the embedded model, or where it was asked for.

    Raises:
        ModelError: a GPU is needed and there is none.
    """
    if settings.device == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if settings.device == "cuda" or settings.model_name:
        raise ModelError(
            "no_gpu",
            "this model needs a GPU and none is visible; run on a GPU worker, unset MODEL_NAME to use the embedded "
            "model, or set PINPOINT_DEVICE=cpu for a trial on the CPU",
            "PINPOINT_DEVICE",
        )
    return torch.device("cpu")


def choose_dtype(settings: Settings, device: torch.device, precision: Precision) -> torch.dtype:
    """What activations are computed in.

    Raises:
        ModelError: weights in bf16 are to be computed in float32, which would widen them all.
    """
    if precision == "bf16":
        if settings.compute_dtype == "float32":
            raise ModelError(
                "precision_unsuitable",
                "weights in bf16 compute in bfloat16; unset PINPOINT_COMPUTE_DTYPE, or set PINPOINT_PRECISION=int8",
                "PINPOINT_COMPUTE_DTYPE",
            )
        return torch.bfloat16
    if settings.compute_dtype != "auto":
        return torch.float32 if settings.compute_dtype == "float32" else torch.bfloat16
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def context_tokens(config: Any) -> int:
    """Longest prompt that the model is read with: its positions, those of its text model where it has several.

    Windows of its layers are computed as the model does, so they do not shorten it.
    """
    return int(getattr(config.get_text_config(), "max_position_embeddings", None) or DEFAULT_CONTEXT_TOKENS)


def check_placement(model: PreTrainedModel, device: torch.device, precision: Precision, sources: Sources) -> int:
    """Bytes of all parameters and buffers, after a check that each is on `device` and all experts in `precision`;
    `sources` tells what a parameter came of.

    Raises:
        ModelError: something lies elsewhere, on no device, or in another precision, or is not finite.
    """
    total = 0
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.device != device:
            raise ModelError(
                "misplaced_tensor", f"{name} is on {tensor.device}, not on {device}; nothing may be offloaded"
            )
        total += tensor.numel() * tensor.element_size()
    wanted = FORMATS[precision].quantizer.method if precision in FORMATS else None
    for name, module in model.named_modules():
        if is_fused_experts(module) and format_of(module) != wanted:
            raise ModelError("experts_not_quantised", f"the experts of {name} are not held in {precision}")
    for name, tensor in model.state_dict().items():
        check_finite(name, tensor, sources)
    return total


def _folder(source: Source) -> Path:
    assert source.folder is not None, "downloaded before it is read"
    return source.folder


def _device_memory(device: torch.device) -> str:
    """The device's share of the summary."""
    if device.type != "cuda":
        return ""
    allocated, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return f" allocated_gb={allocated / GB:.3f} reserved_gb={reserved / GB:.3f} free_gb={free_bytes / GB:.3f}"
