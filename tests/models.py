"""Small models that tests make: random weights, real loading code."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3MoeConfig,
)

from pinpoint.engine.loading.load import LoadedModel, load
from pinpoint.settings import Settings
from tests.fakes import chatml_tokenizer, mixtral_tokenizer

__all__ = ["chatml_tokenizer", "configurations", "embedded", "load_cpu", "mixtral_tokenizer", "save_random"]

SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
}


def configurations(vocab_size: int) -> dict[str, PreTrainedConfig]:
    """One small configuration of each family that the worker is tested on."""
    common = {**SMALL, "vocab_size": vocab_size, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0}
    return {
        "mixtral": MixtralConfig(**common, num_local_experts=4),
        "mistral": MistralConfig(**common, sliding_window=512),
        "llama": LlamaConfig(**common),
        "qwen2": Qwen2Config(**common),
        "qwen3_moe": Qwen3MoeConfig(**common, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=48),
    }


def save_random(config: PreTrainedConfig, tokenizer: Any, folder: Path, seed: int = 0) -> Path:
    """A 16-bit checkpoint of random weights, larger than the usual start so that the scores are far apart."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3.0)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def load_cpu(folder: Path | str = "", **settings: Any) -> LoadedModel:
    """Load a folder, or the embedded model, on the CPU."""
    return load(Settings(model_name=str(folder), device="cpu", **settings))


@cache
def embedded() -> LoadedModel:
    """The embedded model, loaded once for all tests."""
    return load_cpu()
