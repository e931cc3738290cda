"""A small configuration of each family that is planned, with whatever adds or moves parameters."""

from typing import Any

from transformers.models.auto.configuration_auto import CONFIG_MAPPING

SMALL: dict[str, Any] = {
    "vocab_size": 1009,
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_NUM: dict[str, Any] = {"num_experts": 6, "num_experts_per_tok": 2}
_LOCAL: dict[str, Any] = {"num_local_experts": 6, "num_experts_per_tok": 2}
_ROUTED: dict[str, Any] = {
    "n_routed_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 40, "first_k_dense_replace": 1,
    "n_group": 1, "topk_group": 1,
}  # fmt: skip
_LATENT: dict[str, Any] = {
    **_ROUTED, "q_lora_rank": 24, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 12,
    "num_key_value_heads": 6,
}  # fmt: skip
_WINDOW = {"sliding_window": 64}
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "llama": [{}, {"attention_bias": True, "mlp_bias": True}, {"tie_word_embeddings": True}],
    "mistral": [{}, {"head_dim": 24, "sliding_window": 64}],
    "ministral": [{"head_dim": 24, **_WINDOW}],
    "ministral3": [{}, {"head_dim": 24}],
    "mixtral": [_LOCAL],
    "qwen2": [{}, {"tie_word_embeddings": True, "use_sliding_window": True, **_WINDOW}],
    "qwen3": [{}, {"attention_bias": True}],
    "qwen2_moe": [{**_NUM, "moe_intermediate_size": 40, "shared_expert_intermediate_size": 56}],
    "qwen3_moe": [{**_NUM, "moe_intermediate_size": 40}, {**_NUM, "moe_intermediate_size": 40, "mlp_only_layers": [1]}],
    "gemma": [{"head_dim": 24}],
    "gemma2": [{"head_dim": 24, **_WINDOW}, {"attention_bias": True, "tie_word_embeddings": False}],
    "gemma3_text": [{"head_dim": 24, **_WINDOW}],
    "gemma4_text": [
        {"head_dim": 24, "global_head_dim": 40, "vocab_size_per_layer_input": 77, **_WINDOW},
        {
            "head_dim": 24,
            "global_head_dim": 40,
            "num_global_key_value_heads": 1,
            "attention_k_eq_v": True,
            "hidden_size_per_layer_input": 0,
            "enable_moe_block": True,
            "num_experts": 6,
            "top_k_experts": 2,
            "moe_intermediate_size": 40,
            "attention_bias": True,
            "tie_word_embeddings": False,
            **_WINDOW,
        },
        {
            "num_kv_shared_layers": 2,
            "use_double_wide_mlp": True,
            "hidden_size_per_layer_input": 16,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            **_WINDOW,
        },
    ],
    "gpt_oss": [{**_LOCAL, "head_dim": 24, **_WINDOW}],
    "phi3": [{}, {**_WINDOW}],
    "olmo": [{}, {"attention_bias": True}],
    "olmo2": [{}, {"attention_bias": True}],
    "olmo3": [_WINDOW],
    "olmoe": [_NUM],
    "granite": [{}, {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}],
    "granitemoe": [_LOCAL],
    "cohere": [{}, {"use_qk_norm": True, "attention_bias": True}],
    "cohere2": [{"head_dim": 24, **_WINDOW}],
    "glm": [{"head_dim": 24}, {"attention_bias": False}],
    "glm4": [{"head_dim": 24}, {"attention_bias": False}],
    "glm4_moe": [_ROUTED, {**_ROUTED, "use_qk_norm": True, "n_shared_experts": 2, "attention_bias": True}],
    "smollm3": [{}, {"mlp_bias": True, "attention_bias": True}],
    "seed_oss": [{}, {"attention_out_bias": True, "mlp_bias": True, "attention_bias": False}],
    "ernie4_5": [{}, {"use_bias": True, "head_dim": 24}],
    "deepseek_v3": [_LATENT, {**_LATENT, "q_lora_rank": None}, {**_LATENT, "attention_bias": True}],
}


def config_of(family: str, variant: int = 0, **more: Any) -> Any:
    """The configuration as transformers makes it."""
    return CONFIG_MAPPING[family](**{**SMALL, **VARIANTS[family][variant], **more})
