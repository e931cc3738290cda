"""The models whose sizes are known without a network, and how a user's words are matched to one or to a folder.

Torch-free.
"""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import Any

from pinpoint.checkpoints.sources import EMBEDDED_NAME, embedded_folder, find_source
from pinpoint.errors import ModelError
from pinpoint.planning.model_shapes import shape_from_config
from pinpoint.planning.shape import ModelShape


def _config(family: str, sizes: str, **more: Any) -> dict[str, Any]:
    hidden, layers, heads, kv_heads, width, vocabulary, positions = map(int, sizes.split())
    return {
        "model_type": family,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": width,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        **more,
    }


# The sizes in each model's config.json on the Hub: hidden, layers, heads, KV heads, width, vocabulary, context.
PUBLISHED: dict[str, dict[str, Any]] = {
    "mistralai/Mixtral-8x7B-Instruct-v0.1": _config(
        "mixtral", "4096 32 32 8 14336 32000 32768", num_local_experts=8, num_experts_per_tok=2
    ),
    "mistralai/Mistral-7B-Instruct-v0.2": _config("mistral", "4096 32 32 8 14336 32000 32768"),
    "mistralai/Mistral-7B-Instruct-v0.3": _config("mistral", "4096 32 32 8 14336 32768 32768"),
    "meta-llama/Llama-3.1-8B-Instruct": _config("llama", "4096 32 32 8 14336 128256 131072"),
    "Qwen/Qwen2.5-7B-Instruct": _config("qwen2", "3584 28 28 4 18944 152064 32768"),
    "Qwen/Qwen2.5-14B-Instruct": _config("qwen2", "5120 48 40 8 13824 152064 32768"),
    "Qwen/Qwen3-4B": _config("qwen3", "2560 36 32 8 9728 151936 40960", head_dim=128, tie_word_embeddings=True),
    "Qwen/Qwen3-8B": _config("qwen3", "4096 36 32 8 12288 151936 40960", head_dim=128),
    "Qwen/Qwen3-14B": _config("qwen3", "5120 40 40 8 17408 151936 40960", head_dim=128),
    "Qwen/Qwen3-32B": _config("qwen3", "5120 64 64 8 25600 151936 40960", head_dim=128),
    "Qwen/Qwen3-30B-A3B": _config(
        "qwen3_moe",
        "2048 48 32 4 6144 151936 40960",
        head_dim=128,
        num_experts=128,
        num_experts_per_tok=8,
        moe_intermediate_size=768,
    ),
    "mistralai/Mistral-Small-24B-Instruct-2501": _config("mistral", "5120 40 32 8 32768 131072 32768", head_dim=128),
    "zai-org/GLM-4-9B-0414": _config("glm4", "4096 40 32 2 13696 151552 32768", head_dim=128, attention_bias=True),
    "HuggingFaceTB/SmolLM3-3B": _config("smollm3", "2048 36 16 4 11008 128256 65536", tie_word_embeddings=True),
    "microsoft/phi-4": _config("phi3", "5120 40 40 10 17920 100352 16384"),
}


def _shipped(model_type: str, text: dict[str, Any], vision: dict[str, Any]) -> dict[str, Any]:
    return {"model_type": model_type, "text_config": text, "vision_config": vision}


_SIGLIP = {
    "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
    "num_attention_heads": 16, "image_size": 896, "patch_size": 14, "vision_use_head": False,
}  # fmt: skip
_GEMMA4_VISION = {
    "model_type": "gemma4_vision", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
    "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 72, "patch_size": 16,
    "position_embedding_size": 10240,
}  # fmt: skip
_GEMMA4_TEXT = {
    "head_dim": 256, "global_head_dim": 512, "attention_k_eq_v": True, "hidden_size_per_layer_input": 0,
    "sliding_window": 1024,
}  # fmt: skip
PUBLISHED |= {
    "google/gemma-3-4b-it": _shipped(
        "gemma3", _config("gemma3_text", "2560 34 8 4 10240 262208 131072", head_dim=256, sliding_window=1024), _SIGLIP
    ),
    "google/gemma-3-12b-it": _shipped(
        "gemma3", _config("gemma3_text", "3840 48 16 8 15360 262208 131072", head_dim=256, sliding_window=1024), _SIGLIP
    ),
    "google/gemma-3-27b-it": _shipped(
        "gemma3", _config("gemma3_text", "5376 62 32 16 21504 262208 131072", head_dim=128, sliding_window=1024),
        _SIGLIP,
    ),
    "google/gemma-4-26B-A4B-it": _shipped(
        "gemma4",
        _config(
            "gemma4_text", "2816 30 16 8 2112 262144 262144", num_global_key_value_heads=2, enable_moe_block=True,
            num_experts=128, top_k_experts=8, moe_intermediate_size=704, **_GEMMA4_TEXT,
        ),
        _GEMMA4_VISION,
    ),
    "google/gemma-4-31B-it": _shipped(
        "gemma4",
        _config("gemma4_text", "5376 60 32 16 21504 262144 262144", num_global_key_value_heads=4, **_GEMMA4_TEXT),
        _GEMMA4_VISION,
    ),
}  # fmt: skip


def known_shapes() -> dict[str, ModelShape]:
    """The models that need neither network nor folder, by name; the embedded one when it is installed."""
    shapes = {name: shape_from_config(config, name) for name, config in PUBLISHED.items()}
    embedded = embedded_folder()
    if (embedded / "config.json").is_file():
        shapes[EMBEDDED_NAME] = _shape_of_folder(embedded, EMBEDDED_NAME)
    return shapes


def find_shape(model: str) -> ModelShape:
    """The shape of a known model (its name, with or without the owner), of a folder that holds a config.json, or of a
    model that is cached on this machine.

    Raises:
        ModelError: it is neither; or the file cannot be read, or is not of a supported family.
    """
    shapes = known_shapes()
    by_name = {key: shape for name, shape in shapes.items() for key in (name.lower(), name.lower().split("/")[-1])}
    if model.lower() in by_name:
        return by_name[model.lower()]
    folder = Path(model).parent if Path(model).name == "config.json" else Path(model)
    if os.path.isfile(folder / "config.json"):  # unlike Path's own, it takes any string for an answer
        return _shape_of_folder(folder, model)
    if (cached := _found_here(model)) is not None:
        return _shape_of_folder(cached, model)
    near = difflib.get_close_matches(model.lower(), by_name, n=1, cutoff=0.7)
    hint = f"did you mean {by_name[near[0]].name}? " if near else ""
    raise ModelError(
        "unknown_model",
        f"{model!r} is neither a known model nor a folder with a config.json; {hint}known: {', '.join(shapes)}. "
        "For any other, download its config.json alone and give the folder that holds it",
        "MODEL_NAME",
    )


def _found_here(model: str) -> Path | None:
    try:
        return find_source(model).folder if model else None  # no name would be the embedded model
    except ModelError:
        return None


def _shape_of_folder(folder: Path, name: str) -> ModelShape:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError("model_unreadable", f"cannot read {folder / 'config.json'}: {error}", "MODEL_NAME") from None
    if not isinstance(config, dict):
        raise ModelError("model_unreadable", f"{folder / 'config.json'} does not hold an object", "MODEL_NAME")
    return shape_from_config(config, name)
