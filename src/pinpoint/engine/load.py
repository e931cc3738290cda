"""Loading a model: one device, all of it, in 8 bits, or a plain refusal.

`MODEL_NAME` is a name on the Hub or a folder; unset means the embedded model. A 16-bit checkpoint is quantised tensor
by tensor as it streams in; a checkpoint that `pinpoint` quantised before is read as it is. Only safetensors, never
code from the checkpoint.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel

from pinpoint.engine import attention, experts, gpu, int8
from pinpoint.engine.memory_plan import MemoryPlan
from pinpoint.engine.model_shapes import shape_from_config
from pinpoint.errors import ModelError
from pinpoint.settings import Settings

log = logging.getLogger("pinpoint")

EMBEDDED_NAME = "pinpoint-embedded"
GB = 1e9
DEFAULT_CONTEXT_TOKENS = 2048  # for the rare configuration that does not name its own


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to compute, and what is known of it.

    Attributes:
        context_tokens: longest prompt with label.
        plan: what the model takes of its GPU; None on a CPU, where nothing is planned.
        weight_bytes: of all parameters and buffers.
        seconds: that loading took.
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


def load(settings: Settings) -> LoadedModel:
    """Load what `settings` names and log one line that says what came of it.

    Raises:
        ModelError: the checkpoint cannot be found, read, or held in 8 bits, or there is no GPU where one is needed.
        CapacityError: the model does not fit the GPU with its buffer; nothing was loaded.
    """
    began = time.monotonic()
    device = choose_device(settings)
    dtype = choose_dtype(settings, device)
    embedded = not settings.model_name
    source = str(embedded_folder()) if embedded else settings.model_name
    revision = None if embedded or Path(source).is_dir() else settings.model_revision
    for module in (attention, experts, int8):
        module.register()
    made = _plan(settings, source, revision, device) if device.type == "cuda" else None
    model, tokenizer = _from_pretrained(source, revision, device, dtype)
    weight_bytes = check_placement(model, device)
    loaded = LoadedModel(
        model=model,
        tokenizer=tokenizer,
        device=device,
        compute_dtype=dtype,
        name=EMBEDDED_NAME if embedded else settings.model_name,
        revision="embedded" if embedded else (getattr(model.config, "_commit_hash", None) or revision or "local"),
        precision="int8",
        context_tokens=context_tokens(model.config),
        weight_bytes=weight_bytes,
        seconds=time.monotonic() - began,
        plan=made,
    )
    log.info(
        "loaded model=%s revision=%s precision=%s compute=%s weights_gb=%.3f device=%s seconds=%.1f context_tokens=%d",
        loaded.name, loaded.revision, loaded.precision, str(dtype).removeprefix("torch."), weight_bytes / GB, device,
        loaded.seconds, loaded.context_tokens,
    )  # fmt: skip
    return loaded


def embedded_folder() -> Path:
    """Where the embedded model's checkpoint lies."""
    return Path(str(resources.files("pinpoint") / "embedded"))


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


def choose_dtype(settings: Settings, device: torch.device) -> torch.dtype:
    """What activations are computed in."""
    if settings.compute_dtype != "auto":
        return torch.float32 if settings.compute_dtype == "float32" else torch.bfloat16
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def context_tokens(config: Any) -> int:
    """Longest prompt that the model is read with: its positions, or its sliding window where that is shorter.

    Within the window, windowed and full attention are the same, so one rule of who sees whom serves all models. A
    longer document is treated as one beyond the context.
    """
    positions = int(getattr(config, "max_position_embeddings", None) or DEFAULT_CONTEXT_TOKENS)
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    if window is not None and window < positions:
        log.info("context_tokens=%d, the sliding window; the model's positions would be %d", window, positions)
        return int(window)
    return positions


def check_placement(model: PreTrainedModel, device: torch.device) -> int:
    """Bytes of all parameters and buffers, after a check that each is on `device` and each expert weight in 8 bits.

    Raises:
        ModelError: something lies elsewhere, on no device, or in another precision.
    """
    total = 0
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.device != device:
            raise ModelError(
                "misplaced_tensor", f"{name} is on {tensor.device}, not on {device}; nothing may be offloaded"
            )
        total += tensor.numel() * tensor.element_size()
    for name, module in model.named_modules():
        for weight in int8.EXPERT_WEIGHTS:
            tensor = getattr(module, weight, None)
            if isinstance(tensor, torch.Tensor) and tensor.ndim == 3 and tensor.dtype != torch.int8:
                raise ModelError("experts_not_int8", f"{name}.{weight} is {tensor.dtype}, not int8")
    return total


def _plan(settings: Settings, source: str, revision: str | None, device: torch.device) -> MemoryPlan:
    """Plan the model on the device, refuse what does not fit, and cap the allocator."""
    config = _configuration(source, revision)
    free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    made = gpu.plan_or_refuse(settings, shape_from_config(config.to_dict(), source), total_bytes, free_bytes)
    gpu.enforce(made, device, total_bytes)
    return made


def _configuration(source: str, revision: str | None) -> Any:
    try:
        return AutoConfig.from_pretrained(source, trust_remote_code=False, **_where(revision))
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(error) from None


def _where(revision: str | None) -> dict[str, Any]:
    return {"revision": revision} if revision else {"local_files_only": True}


def _unreadable(error: Exception) -> ModelError:
    # The first line says what is wrong; the rest of the Hub's messages is advice for other uses.
    lines = str(error).strip().splitlines()
    return ModelError(
        "model_unreadable", f"cannot load the model: {lines[0] if lines else type(error).__name__}", "MODEL_NAME"
    )


def _from_pretrained(
    source: str, revision: str | None, device: torch.device, dtype: torch.dtype
) -> tuple[PreTrainedModel, Any]:
    config, where = _configuration(source, revision), _where(revision)
    quantised = getattr(config, "quantization_config", None)
    if quantised and quantised.get("quant_method") != int8.METHOD:
        raise ModelError(
            "quantised_elsewhere",
            f"the checkpoint is already quantised ({quantised.get('quant_method')}); use its 16-bit original",
            "MODEL_NAME",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **where)
        model, report = AutoModelForCausalLM.from_pretrained(
            source,
            config=config,
            dtype=dtype,
            device_map={"": device},
            attn_implementation=attention.SPANS,
            quantization_config=None if quantised else int8.Int8Config(),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **where,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise _unreadable(error) from None
    wrong = {kind: sorted(report[kind]) for kind in ("missing_keys", "mismatched_keys") if report.get(kind)}
    if wrong:
        kind, names = next(iter(wrong.items()))
        raise ModelError(
            "checkpoint_incomplete",
            f"{len(names)} tensors of the checkpoint are {kind.removesuffix('_keys')}, the first is {names[0]}; "
            "fetch it again",
            "MODEL_NAME",
        )
    if any(int8.is_int8_experts(module) for module in model.modules()):
        model.set_experts_implementation(experts.NAME)
    # What a checkpoint says of sampling would leak into every call of `generate`.
    model.generation_config = GenerationConfig()
    return model.eval().requires_grad_(False), tokenizer
