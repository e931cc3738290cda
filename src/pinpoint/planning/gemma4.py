"""Gemma 4's text model, whose layers are not all of one size, by its configuration.

Local layers have heads of one size and global ones of another; the last few may take their keys and values from layers
before them; small models have embeddings for each layer, large ones experts beside the feed-forward part. As in
transformers 5.23. Torch-free.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pinpoint.errors import ModelError
from pinpoint.planning.shape import Matrix, ModelShape

# What transformers takes a field for that a file leaves out.
USUAL: Mapping[str, Any] = {
    "head_dim": 256, "global_head_dim": 512, "hidden_size_per_layer_input": 256, "num_kv_shared_layers": 0,
    "sliding_window": 512, "tie_word_embeddings": True,
}  # fmt: skip
NEEDED = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
)  # fmt: skip
# What may be left out, and makes the layers where it is there.
OF_LAYERS = (
    "head_dim", "global_head_dim", "hidden_size_per_layer_input", "num_kv_shared_layers", "layer_types",
    "per_layer_config",
)  # fmt: skip
FAMILY = "gemma4_text"
PATTERN = 6  # every so many layers one is global, where the file does not say
Size = tuple[str, int, int, int]  # name, outputs, inputs, how many in one tensor


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's attention: size of its heads, heads of keys, and whether it makes keys and values itself."""

    size: int
    kv_heads: int
    has_keys: bool
    has_values: bool


@dataclass(frozen=True, slots=True)
class Sizes:
    """All sizes of the text model.

    Attributes:
        matrices: how many there are of each kind.
        others: all other parameters but embeddings and head.
        kv_channels: of keys and values that one token has in all layers.
        widest: the widest of a layer's keys, or values.
        width: the widest feed-forward part.
    """

    layers: tuple[Layer, ...]
    matrices: Counter[Size]
    others: int
    kv_channels: int
    widest: int
    width: int


def needed_fields(config: Mapping[str, Any]) -> list[str]:
    """The fields of a configuration that have to be positive whole numbers."""
    mixed = ["num_experts", "top_k_experts", "moe_intermediate_size"] if config.get("enable_moe_block") else []
    return [*NEEDED, "sliding_window", *mixed]


def shape_of(config: Mapping[str, Any], name: str, family: str, precisions: tuple[str, ...]) -> ModelShape:
    """The shape of a text model, by a configuration that has all `needed_fields`.

    Raises:
        ModelError: another field is of a kind that makes no sizes.
    """
    try:
        sizes = sizes_of(config)
    except (TypeError, ValueError, AttributeError, KeyError):
        raise ModelError(
            "config_incomplete",
            f"{name}: config.json has no sizes of {family}'s layers under {', '.join(OF_LAYERS)}",
            "MODEL_NAME",
        ) from None
    tied = bool(config.get("tie_word_embeddings"))
    size = max(layer.size for layer in sizes.layers)
    mixed = bool(config.get("enable_moe_block"))
    return ModelShape(
        name=name,
        family=family,
        hidden=config["hidden_size"],
        layers=len(sizes.layers),
        heads=config["num_attention_heads"],
        kv_heads=-(-sizes.widest // size),
        head_size=size,
        value_size=size,
        vocabulary=config["vocab_size"],
        dense_width=sizes.width,
        expert_layers=len(sizes.layers) if mixed else 0,
        experts=config["num_experts"] if mixed else 0,
        experts_per_token=config["top_k_experts"] if mixed else 0,
        expert_width=config["moe_intermediate_size"] if mixed else 0,
        shared_width=0,
        tied_embeddings=tied,
        matrices=tuple(Matrix(*kind, count) for kind, count in sizes.matrices.items()),
        kept_parameters=config["vocab_size"] * config["hidden_size"] * (1 if tied else 2) + sizes.others,
        sliding_window=config["sliding_window"],
        positions=config.get("max_position_embeddings") or 0,
        precisions=precisions,
        kv_channels=sizes.kv_channels,
    )


def sizes_of(given: Mapping[str, Any]) -> Sizes:
    """The sizes that a configuration describes, which has all of `NEEDED`."""
    config = {**USUAL, **given}
    layers = tuple(_layers(config))
    hidden, width, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    small, experts = config["hidden_size_per_layer_input"], config.get("num_experts") or 0
    mixed, biased = bool(config.get("enable_moe_block")), bool(config.get("attention_bias"))
    double = 2 if config.get("use_double_wide_mlp") else 1
    matrices = Counter[Size]()
    others = hidden
    for layer in layers:
        query, key = heads * layer.size, layer.kv_heads * layer.size
        wide = width * (1 if layer.has_keys else double)
        matrices["q_proj", query, hidden, 1] += 1
        if layer.has_keys:
            matrices["k_proj and v_proj", key, hidden, 1] += 1 + layer.has_values
        matrices["o_proj", hidden, query, 1] += 1
        matrices["gate_proj and up_proj", wide, hidden, 1] += 2
        matrices["down_proj", hidden, wide, 1] += 1
        others += 4 * hidden + layer.size * (1 + layer.has_keys)
        others += biased * (query + hidden + key * (layer.has_keys + layer.has_values))
        if small:
            matrices["per_layer_input_gate", small, hidden, 1] += 1
            matrices["per_layer_projection", hidden, small, 1] += 1
            others += hidden
        if mixed:
            expert = config["moe_intermediate_size"]
            matrices["router", experts, hidden, 1] += 1
            matrices["experts' gate_up_proj", 2 * expert, hidden, experts] += 1
            matrices["experts' down_proj", hidden, expert, experts] += 1
            others += 4 * hidden + experts
    if small:
        matrices["per_layer_model_projection", len(layers) * small, hidden, 1] += 1
        others += small + config.get("vocab_size_per_layer_input", 262_144) * len(layers) * small
    own = [layer.kv_heads * layer.size for layer in layers if layer.has_keys]
    reuses = any(not layer.has_keys for layer in layers)
    return Sizes(layers, matrices, others, 2 * sum(own), max(own), width * (double if reuses else 1))


def _layers(config: Mapping[str, Any]) -> Iterator[Layer]:
    count = config["num_hidden_layers"]
    kinds = config.get("layer_types") or [
        "full_attention" if (number + 1) % PATTERN == 0 else "sliding_attention" for number in range(count)
    ]
    kinds = [*kinds[:-1], "full_attention"]  # the last always is
    if len(kinds) != count:
        raise ValueError(f"{len(kinds)} kinds of {count} layers")
    own: Mapping[str, Any] = config.get("per_layer_config") or {}
    equal = bool(config.get("attention_k_eq_v"))
    for number, kind in enumerate(kinds):
        everywhere = kind == "full_attention"
        size = config["global_head_dim"] if everywhere else config["head_dim"]
        heads = (config.get("num_global_key_value_heads") if everywhere and equal else None) or config[
            "num_key_value_heads"
        ]
        if "per_layer_config" in config:  # what transformers makes of these fields, and writes in their place
            said = own.get(str(number)) or {}
            size = said.get("head_dim", config["head_dim"])
            heads = said.get("num_key_value_heads", config["num_key_value_heads"])
        has_keys = number < count - config["num_kv_shared_layers"]
        yield Layer(size, heads, has_keys, has_keys and not (everywhere and equal))
