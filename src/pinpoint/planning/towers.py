"""What stands beside the text model of a model that reads images: it is loaded and counted, and never used.

By the configuration of each family's own modelling file in transformers 5.23. Torch-free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Linear(NamedTuple):
    """Linear layers of one size."""

    name: str
    outputs: int
    inputs: int
    number: int


class Tower(NamedTuple):
    """All linear layers, and the number of all other parameters."""

    linears: tuple[Linear, ...]
    others: int


def tower_of(config: Mapping[str, Any], hidden: int) -> Tower | None:
    """What a model has beside its text model of this hidden size; None where that is not known.

    Raises:
        KeyError, TypeError: the configuration lacks a size, or it is no number.
    """
    vision = config.get("vision_config")
    make = _TOWERS.get(str(config.get("model_type")))
    if make is None or config.get("audio_config") is not None:
        return None
    if vision is None:
        return Tower((), 0) if config.get("model_type") == "gemma4" else None
    if not isinstance(vision, Mapping):
        return None
    try:
        return make(vision, hidden)
    except ZeroDivisionError:  # patches of no size
        return None


def _siglip(vision: Mapping[str, Any], text: int) -> Tower:
    """Gemma 3: SigLIP, and a projection that is a bare parameter."""
    hidden, width, layers = vision["hidden_size"], vision["intermediate_size"], vision["num_hidden_layers"]
    image, patch = vision["image_size"], vision["patch_size"]
    pools = vision.get("vision_use_head", True)
    linears = (
        Linear("vision q_proj, k_proj, v_proj and out_proj", hidden, hidden, 4 * layers),
        Linear("vision fc1", width, hidden, layers + pools),
        Linear("vision fc2", hidden, width, layers + pools),
    )
    biases = 4 * hidden + width + hidden
    others = (biases + 4 * hidden) * layers + 2 * hidden  # with both norms of a layer, and the last
    others += (vision.get("num_channels", 3) * patch**2 + 1) * hidden + (image // patch) ** 2 * hidden
    if pools:  # a query, its attention, a norm and the feed-forward's biases
        others += hidden + 4 * (hidden + 1) * hidden + 2 * hidden + width + hidden
    return Tower(linears, others + hidden * text + hidden)


def _gemma4(vision: Mapping[str, Any], text: int) -> Tower:
    """Gemma 4: gated layers with norms of heads, and a table of places in two directions."""
    hidden, width, layers = vision["hidden_size"], vision["intermediate_size"], vision["num_hidden_layers"]
    size = vision["head_dim"]
    query, key = vision["num_attention_heads"] * size, vision["num_key_value_heads"] * size
    linears = (
        Linear("vision q_proj", query, hidden, layers),
        Linear("vision k_proj and v_proj", key, hidden, 2 * layers),
        Linear("vision o_proj", hidden, query, layers),
        Linear("vision gate_proj and up_proj", width, hidden, 2 * layers),
        Linear("vision down_proj", hidden, width, layers),
        Linear("vision input_proj", hidden, 3 * vision["patch_size"] ** 2, 1),
        Linear("embedding_projection", text, hidden, 1),
    )
    return Tower(linears, (4 * hidden + 2 * size) * layers + 2 * vision["position_embedding_size"] * hidden)


_TOWERS: Mapping[str, Callable[[Mapping[str, Any], int], Tower]] = {"gemma3": _siglip, "gemma4": _gemma4}
