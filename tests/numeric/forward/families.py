"""Small random models of many architectures, by name: what `test_families.py` compares with transformers' own forward.

Each has what its family does otherwise than Llama switched on, and a window, where it has one, that is shorter than the
prompts of the test.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from pinpoint.engine.loading.checkpoint import auto_class

VOCABULARY = 640
WINDOW = 12
COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256,
    "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
MIXTURE: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LOCAL_AND_GLOBAL = ["sliding_attention", "full_attention", "sliding_attention"]
LOCAL: dict[str, Any] = {"sliding_window": WINDOW, "layer_types": LOCAL_AND_GLOBAL}
LATENT: dict[str, Any] = {
    "kv_lora_rank": 16, "q_lora_rank": 24, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 12,
    "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
    "first_k_dense_replace": 1, "n_group": 2, "topk_group": 1, "num_key_value_heads": 4, "head_dim": 8,
}  # fmt: skip
# Up to so many tokens a prompt is read with the first set of frequencies.
SHORT_TOKENS = 24


def longrope(head_size: int) -> dict[str, Any]:
    """Two sets of frequencies, as Phi's."""
    half = head_size // 2
    return {
        "rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": SHORT_TOKENS,
        "factor": 256 / SHORT_TOKENS, "short_factor": [1.0 + step / 4 for step in range(half)],
        "long_factor": [4.0 + 3 * step for step in range(half)],
    }  # fmt: skip


# Of each: transformers' model type, and what is set besides `COMMON`.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama, dynamic frequencies": (
        "llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}},
    ),
    "llama, longrope": ("llama", {"rope_parameters": longrope(8)}),
    "mistral": ("mistral", {"sliding_window": WINDOW}),
    "ministral": ("ministral", LOCAL),
    "mixtral": ("mixtral", {"num_local_experts": 4}),
    "mixtral, window": ("mixtral", {"num_local_experts": 4, "sliding_window": WINDOW}),
    "qwen2": ("qwen2", {}),
    "qwen2, window": ("qwen2", {"use_sliding_window": True, "max_window_layers": 1, "sliding_window": WINDOW}),
    "qwen2_moe": ("qwen2_moe", {**MIXTURE, "shared_expert_intermediate_size": 16}),
    "qwen3": ("qwen3", {}),
    "qwen3_moe": ("qwen3_moe", MIXTURE),
    "gemma": ("gemma", {}),
    "gemma2": ("gemma2", {**LOCAL, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}),
    "gemma3 text": ("gemma3_text", LOCAL),
    "gemma4 text": (
        "gemma4_text", {**LOCAL, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCABULARY},
    ),
    "gemma4 text, shared keys": (
        "gemma4_text", {"sliding_window": WINDOW, "num_hidden_layers": 4, "num_kv_shared_layers": 2,
                        "layer_types": ["sliding_attention", "full_attention"] * 2, "use_double_wide_mlp": True,
                        "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCABULARY},
    ),
    "gpt_oss": ("gpt_oss", {**LOCAL, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "phi": ("phi", {}),
    "phi3": ("phi3", {"sliding_window": WINDOW}),
    "phi3, longrope": (
        "phi3", {"rope_parameters": longrope(8), "original_max_position_embeddings": SHORT_TOKENS},
    ),
    "phimoe": (
        "phimoe", {"num_local_experts": 4, "rope_parameters": {**longrope(8), "short_mscale": 1.1, "long_mscale": 1.4}},
    ),
    "olmo": ("olmo", {}),
    "olmo2": ("olmo2", {}),
    "olmo3": ("olmo3", LOCAL),
    "olmoe": ("olmoe", {"num_experts": 4, "num_experts_per_tok": 2}),
    "granite": ("granite", {"logits_scaling": 8.0, "attention_multiplier": 0.2, "residual_multiplier": 0.5}),
    "granitemoe": ("granitemoe", {"num_local_experts": 4, "num_experts_per_tok": 2, "logits_scaling": 4.0}),
    "granite_swa": ("granite_swa", LOCAL),
    "cohere": ("cohere", {"logit_scale": 0.25}),
    "cohere2": ("cohere2", {**LOCAL, "logit_scale": 0.25}),
    "glm": ("glm", {}),
    "glm4": ("glm4", {}),
    "glm4_moe": (
        "glm4_moe", {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2,
                     "moe_intermediate_size": 16, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
    ),
    "smollm3": ("smollm3", {}),
    "seed_oss": ("seed_oss", {}),
    "ernie4_5": ("ernie4_5", {}),
    "ernie4_5_moe": (
        "ernie4_5_moe", {"moe_num_experts": 4, "moe_k": 2, "moe_num_shared_experts": 1, "moe_intermediate_size": 16,
                         "moe_layer_start_index": 1},
    ),
    "deepseek_v2": ("deepseek_v2", {**LATENT, "topk_method": "greedy"}),
    "deepseek_v3": ("deepseek_v3", LATENT),
    "mimo_v2_flash": (
        "mimo_v2_flash", {**LOCAL, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    ),
    "stablelm": ("stablelm", {}),
    "nemotron": ("nemotron", {}),
    "starcoder2": ("starcoder2", {"sliding_window": WINDOW}),
    "exaone4": ("exaone4", LOCAL),
    "hunyuan_v1_dense": ("hunyuan_v1_dense", {}),
    "arcee": ("arcee", {}),
    "apertus": ("apertus", {}),
    "nanochat": ("nanochat", {"final_logit_softcapping": 3.0}),
    "dots1": (
        "dots1", {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
                  "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1, **LOCAL},
    ),
    "minimax_m2": ("minimax_m2", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "helium": ("helium", {}),
    "gpt_neox": ("gpt_neox", {}),
    "bitnet": ("bitnet", {}),
    "vaultgemma": ("vaultgemma", {**LOCAL, "attn_logit_softcapping": 2.0}),
    "llama4 text": (
        "llama4_text", {"attention_chunk_size": WINDOW, "num_local_experts": 4, "num_experts_per_tok": 1,
                        "layer_types": ["chunked_attention", "full_attention", "chunked_attention"]},
    ),
    "minimax": ("minimax", {"num_local_experts": 4}),
    "doge": ("doge", {}),
    "qwen3_next": ("qwen3_next", MIXTURE),
    "jetmoe": ("jetmoe", {"kv_channels": 8, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "gpt2": ("gpt2", {}),
    "opt": ("opt", {}),
    "bloom": ("bloom", {}),
    "lfm2": ("lfm2", {"layer_types": ["conv", "full_attention", "conv"]}),
    "recurrent_gemma": ("recurrent_gemma", {}),
    "jamba": ("jamba", {}),
}  # fmt: skip


# Text models within models that read images, too: the outer model type, the text's, and what is set of it.
VISION: dict[str, Any] = {
    "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 8,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip
NESTED: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma3": ("gemma3_text", LOCAL),
    "mistral3": ("mistral", {}),
    "qwen2_5_vl": (
        "qwen2_5_vl_text",
        {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}},
    ),
}


def nested_configuration(outer: str) -> PreTrainedConfig:
    """The small configuration of one of `NESTED`, as it is shipped."""
    model_type, options = NESTED[outer]
    text = {**COMMON, **options, "model_type": model_type}
    return AutoConfig.for_model(outer, text_config=text, vision_config=VISION, mm_tokens_per_image=4)


def configuration(family: str) -> PreTrainedConfig:
    """The small configuration of one of `FAMILIES`."""
    model_type, options = FAMILIES[family]
    return AutoConfig.for_model(model_type, **{**COMMON, **options})


def random_model(config: PreTrainedConfig, seed: int = 0) -> PreTrainedModel:
    """A float32 model whose scores are far apart, with no parameter of the usual start: each has a say."""
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    model = auto_class(config).from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if "sink" in name:
                parameter.copy_(2 + noise)
            elif parameter.ndim > 1:
                parameter.copy_(noise * 0.6 * parameter.shape[-1] ** -0.5 * 2)
            else:
                parameter.add_(0.2 * noise)
    return model.requires_grad_(False)
