"""Small models and tokenizers that tests make: random weights, real loading code."""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3MoeConfig,
)

from pinpoint.engine.load import LoadedModel, load
from pinpoint.settings import Settings

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MIXTRAL_CHAT = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ ' [INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)
SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
}


def chatml_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with Qwen's chat format, whose answer follows a line break and no space."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = Path(__file__).read_text(encoding="utf-8") + " invoice receipt purchase order gas bill" * 20
    tokenizer.train_from_iterator([corpus], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = CHATML
    return fast


def mixtral_tokenizer(folder: Path) -> Any:
    """The real 32,000-token Mixtral tokenizer, out of the package that its makers publish."""
    source = resources.files("mistral_common") / "data" / "tokenizer.model.v1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(source.read_bytes())
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}', encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = MIXTRAL_CHAT
    return tokenizer


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
