"""What a model's config.json says of its size: every weight matrix and every parameter, without loading anything.

The list of matrices is the one place that knows how each family is built; parameters and bytes by precision follow from
it. It mirrors transformers' own modelling files, where a mixture's experts are two fused tensors per layer, and routers
are bare parameters rather than linear layers.

Torch-free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pinpoint.errors import ModelError

MIXTURES = ("mixtral", "qwen2_moe", "qwen3_moe")
FAMILIES = ("llama", "mistral", *MIXTURES, "qwen2", "qwen3")
# Layers' query-key norms came with Qwen 3; its class also fixes the head size where the file names none.
_QK_NORM = ("qwen3", "qwen3_moe")
_QWEN3_HEAD_SIZE = 128


@dataclass(frozen=True, slots=True)
class Matrix:
    """A kind of weight matrix that 8 bits or NF4 would take.

    Attributes:
        outputs, inputs: of one product.
        stack: how many such matrices are fused into one tensor (experts), 1 for a linear layer.
        count: how many such tensors the whole model has.
    """

    name: str
    outputs: int
    inputs: int
    stack: int
    count: int

    @property
    def tensor_elements(self) -> int:
        """Elements of one tensor."""
        return self.stack * self.outputs * self.inputs


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes of a causal language model.

    Attributes:
        dense_width: of layers with one feed-forward network, 0 where every layer has experts.
        expert_layers: how many layers have experts.
        expert_width: of one expert.
        shared_width: of the expert that every token passes, 0 where there is none.
        sliding_window: tokens that a token sees at most, None where it sees all.
        positions: longest prompt that the model was made for, 0 where the file does not say.
    """

    name: str
    family: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    dense_width: int
    expert_layers: int
    experts: int
    experts_per_token: int
    expert_width: int
    shared_width: int
    tied_embeddings: bool
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool
    sliding_window: int | None
    positions: int

    @property
    def context_tokens(self) -> int:
        """Longest prompt that the worker reads: within the window, where there is one (as loading/load.py has it)."""
        return min(self.positions, self.sliding_window or self.positions)

    @property
    def query_width(self) -> int:
        """Channels of all query heads."""
        return self.heads * self.head_size

    @property
    def kv_width(self) -> int:
        """Channels of all key heads, or of all value heads."""
        return self.kv_heads * self.head_size

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """All that is quantised: linear layers and fused experts, but not routers, embeddings and head."""
        hidden, layers, dense_layers = self.hidden, self.layers, self.layers - self.expert_layers
        found = [
            Matrix("q_proj", self.query_width, hidden, 1, layers),
            Matrix("k_proj and v_proj", self.kv_width, hidden, 1, 2 * layers),
            Matrix("o_proj", hidden, self.query_width, 1, layers),
        ]
        if dense_layers:
            found.append(Matrix("gate_proj and up_proj", self.dense_width, hidden, 1, 2 * dense_layers))
            found.append(Matrix("down_proj", hidden, self.dense_width, 1, dense_layers))
        if self.expert_layers:
            found.append(
                Matrix("experts' gate_up_proj", 2 * self.expert_width, hidden, self.experts, self.expert_layers)
            )
            found.append(Matrix("experts' down_proj", hidden, self.expert_width, self.experts, self.expert_layers))
        if self.shared_width:
            found.append(Matrix("shared gate_proj and up_proj", self.shared_width, hidden, 1, 2 * self.expert_layers))
            found.append(Matrix("shared down_proj", hidden, self.shared_width, 1, self.expert_layers))
            found.append(Matrix("shared_expert_gate", 1, hidden, 1, self.expert_layers))
        return tuple(found)

    @property
    def matrix_parameters(self) -> int:
        """Parameters of all `matrices`."""
        return sum(matrix.tensor_elements * matrix.count for matrix in self.matrices)

    @property
    def kept_parameters(self) -> int:
        """Parameters that stay in 16 bits at every precision: embeddings, head, norms, routers, biases."""
        hidden, dense_layers = self.hidden, self.layers - self.expert_layers
        embeddings = self.vocabulary * hidden * (1 if self.tied_embeddings else 2)
        norms = (2 * self.layers + 1) * hidden + (2 * self.head_size * self.layers if self.family in _QK_NORM else 0)
        routers = self.experts * hidden * self.expert_layers
        attention_biases = self.qkv_bias * (self.query_width + 2 * self.kv_width) + self.output_bias * hidden
        mlp_biases = self.mlp_bias * (2 * self.dense_width + hidden) * dense_layers
        return embeddings + norms + routers + attention_biases * self.layers + mlp_biases

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.matrix_parameters + self.kept_parameters


def shape_from_config(config: Mapping[str, Any], name: str) -> ModelShape:
    """The shape that a config.json describes.

    Raises:
        ModelError: the family is not one of `FAMILIES`, or fields are missing or not numbers; the message names them.
    """
    family = config.get("model_type")
    mixture = family in MIXTURES
    experts_field = "num_local_experts" if "num_local_experts" in config or family == "mixtral" else "num_experts"
    needed = ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size"]
    # Only Llama's class takes a missing number of key-value heads to mean "as many as query heads".
    needed += [] if family == "llama" else ["num_key_value_heads"]
    needed += [experts_field, "num_experts_per_tok"] if mixture else []
    needed += ["moe_intermediate_size"] if mixture and family != "mixtral" else []
    needed += ["shared_expert_intermediate_size"] if family == "qwen2_moe" else []
    optional = ("num_key_value_heads", "head_dim", "max_position_embeddings", "decoder_sparse_step")
    needed += [field for field in optional if config.get(field) is not None and field not in needed]
    wrong = [field for field in needed if not _is_count(config.get(field))]
    if family not in FAMILIES:
        lacks = f"; its config.json also lacks {', '.join(wrong)}" if wrong else ""
        raise ModelError(
            "unsupported_family",
            f"{name}: model_type {family!r} is not one of {', '.join(FAMILIES)}{lacks}",
            "MODEL_NAME",
        )
    if wrong:
        raise ModelError(
            "config_incomplete",
            f"{name}: config.json has no positive whole number under {', '.join(wrong)}, which {family} needs",
            "MODEL_NAME",
        )
    layers, heads, hidden = config["num_hidden_layers"], config["num_attention_heads"], config["hidden_size"]
    dense_layers = _dense_layers(config, family) if mixture else layers
    attention_bias = bool(config.get("attention_bias", False)) and family in ("llama", *_QK_NORM)
    # Qwen's files name a window even where it is not used, or 0.
    windowed = config.get("use_sliding_window", family in ("mistral", "mixtral")) and _is_count(
        config.get("sliding_window")
    )
    return ModelShape(
        name=name,
        family=family,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_size=config.get("head_dim") or (_QWEN3_HEAD_SIZE if family == "qwen3" else hidden // heads),
        vocabulary=config["vocab_size"],
        dense_width=config["intermediate_size"] if dense_layers else 0,
        expert_layers=layers - dense_layers,
        experts=config[experts_field] if mixture else 0,
        experts_per_token=config["num_experts_per_tok"] if mixture else 0,
        expert_width=(config.get("moe_intermediate_size") or config["intermediate_size"]) if mixture else 0,
        shared_width=config["shared_expert_intermediate_size"] if family == "qwen2_moe" else 0,
        tied_embeddings=bool(config.get("tie_word_embeddings", False)),
        qkv_bias=family == "qwen2" or (family == "qwen2_moe" and config.get("qkv_bias", True)) or attention_bias,
        output_bias=attention_bias,
        mlp_bias=family == "llama" and bool(config.get("mlp_bias", False)),
        sliding_window=config["sliding_window"] if windowed else None,
        positions=config.get("max_position_embeddings") or 0,
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _dense_layers(config: Mapping[str, Any], family: str) -> int:
    """How many layers of a mixture have no experts (Qwen's `mlp_only_layers` and `decoder_sparse_step`)."""
    if family == "mixtral":
        return 0
    only, step = config.get("mlp_only_layers"), config.get("decoder_sparse_step") or 1
    only = only if isinstance(only, list) else []
    return sum(layer in only or (layer + 1) % step != 0 for layer in range(config["num_hidden_layers"]))
