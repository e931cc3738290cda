"""A Mixtral of random 8-bit weights, made on the device: bytes and seconds need no download, and no 16-bit copy."""

from __future__ import annotations

import time
from math import sqrt
from typing import Any

import torch
import typer
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, MixtralConfig, PreTrainedModel
from transformers.quantizers.quantizers_utils import get_module_from_name

from pinpoint.engine import gpu
from pinpoint.engine.forward import attention, norms, rotary
from pinpoint.engine.loading.load import LoadedModel, context_tokens, embedded_folder
from pinpoint.engine.weights import experts, int8
from pinpoint.planning.memory_plan import MemoryPlan
from pinpoint.planning.model_shapes import shape_from_config
from pinpoint.settings import Settings

# Standard deviation of whole numbers from −127 to 127, all equally likely.
INTEGER_DEVIATION = sqrt((255**2 - 1) / 12)


def need_gpu() -> None:
    """End with 2 and a line where there is none to measure."""
    if not torch.cuda.is_available():
        typer.echo("no GPU is visible: nothing was measured")
        raise typer.Exit(2)


def mixtral_8x7b(layers: int = 32) -> MixtralConfig:
    """The published sizes, with fewer layers where asked."""
    return MixtralConfig(
        vocab_size=32000, hidden_size=4096, intermediate_size=14336, num_hidden_layers=layers, num_attention_heads=32,
        num_key_value_heads=8, num_local_experts=8, num_experts_per_tok=2, max_position_embeddings=32768,
        sliding_window=None,
    )  # fmt: skip


def random_model(config: Any, device: torch.device, dtype: torch.dtype = torch.bfloat16, seed: int = 0) -> Any:
    """The model as the loader leaves it, its weights random and such that activations neither fade nor grow."""
    for module in (attention, experts, int8):
        module.register()
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention.SPANS)
    int8.Int8Quantizer(int8.Int8Config())._process_model_before_weight_loading(model)
    generator = torch.Generator(device).manual_seed(seed)
    for name, parameter in list(model.named_parameters()):
        owner, leaf = get_module_from_name(model, name)
        tensor = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
        setattr(owner, leaf, nn.Parameter(_fill(tensor, owner, leaf, generator), requires_grad=False))
    # Rotary frequencies are no parameters and are not in a checkpoint either.
    with torch.device(device):
        model.model.rotary_emb = type(model.model.rotary_emb)(config)
    model.set_experts_implementation(experts.NAME)
    model.config.quantization_config = int8.Int8Config()
    if device.type == "cuda":
        norms.fuse(model)
        rotary.fuse(model)
    return model.eval().requires_grad_(False)


def _fill(tensor: torch.Tensor, owner: nn.Module, leaf: str, generator: torch.Generator) -> torch.Tensor:
    if tensor.dtype == torch.int8:
        return tensor.random_(-127, 128, generator=generator)
    if leaf.endswith("scale"):
        weight = getattr(owner, leaf.removesuffix("_scale") if leaf != "scale" else "weight")
        step = 1 / (INTEGER_DEVIATION * sqrt(weight.shape[-1]))
        return tensor.uniform_(0.5 * step, 1.5 * step, generator=generator)
    if tensor.ndim == 1:
        return tensor.fill_(1)
    deviation = 1.0 if isinstance(owner, nn.Embedding) else 1 / sqrt(tensor.shape[-1])
    return tensor.normal_(0, deviation, generator=generator)


def plan_and_make(layers: int, settings: Settings, config: Any = None) -> LoadedModel:
    """Plan the model on GPU 0 and cap the allocator as the loader does, then make it there."""
    began = time.monotonic()
    device = torch.device("cuda", 0)
    config = config or mixtral_8x7b(layers)
    free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    plan = gpu.plan_or_refuse(settings, shape_from_config(config.to_dict(), "random Mixtral"), total_bytes, free_bytes)
    gpu.enforce(plan, device, total_bytes)
    return as_loaded(random_model(config, device), device, plan, time.monotonic() - began)


def as_loaded(model: PreTrainedModel, device: torch.device, plan: MemoryPlan | None, seconds: float) -> LoadedModel:
    """A model with the embedded model's tokenizer, whose ids every larger vocabulary has."""
    return LoadedModel(
        model=model,
        tokenizer=AutoTokenizer.from_pretrained(str(embedded_folder()), local_files_only=True),
        device=device,
        compute_dtype=torch.bfloat16,
        name="random",
        revision="none",
        precision="int8",
        context_tokens=context_tokens(model.config),
        weight_bytes=sum(t.numel() * t.element_size() for t in [*model.parameters(), *model.buffers()]),
        seconds=seconds,
        plan=plan,
    )
