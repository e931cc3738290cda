"""What a model's config.json says of its size: every weight matrix and every parameter, without loading anything.

The list of matrices is the one place that knows how each family is built; parameters, bytes by precision and the
activations' terms all follow from it. It mirrors transformers' own modelling files, where a mixture's experts are two fused
tensors per layer, and routers are bare parameters rather than linear layers.

Torch-free. Axes: H hidden, A query width (heads x head size), G key or value width, F feed-forward width, E experts, V vocabulary.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pinpoint.errors import ModelError

EMBEDDED_NAME = "pinpoint-embedded"
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
        dense_width: F of layers with one feed-forward network, 0 where every layer has experts.
        expert_layers: how many layers have experts.
        shared_width: F of the expert that every token passes, 0 where there is none.
        sliding_window: tokens that a token sees at most; told to people, it makes no plan smaller.
        context_tokens: longest prompt, 0 where the file does not say.
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
    context_tokens: int

    @property
    def query_width(self) -> int:
        """A."""
        return self.heads * self.head_size

    @property
    def kv_width(self) -> int:
        """G."""
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
            found.append(Matrix("experts' gate_up_proj", 2 * self.expert_width, hidden, self.experts, self.expert_layers))
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
    wrong = [field for field in needed if not _is_count(config.get(field))]
    if family not in FAMILIES:
        lacks = f"; its config.json also lacks {', '.join(wrong)}" if wrong else ""
        raise ModelError(
            "unsupported_family", f"{name}: model_type {family!r} is not one of {', '.join(FAMILIES)}{lacks}", "MODEL_NAME"
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
    own_window = family in ("mistral", "mixtral") or config.get("use_sliding_window", False)
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
        sliding_window=config.get("sliding_window") if own_window else None,
        context_tokens=config.get("max_position_embeddings") or 0,
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _dense_layers(config: Mapping[str, Any], family: str) -> int:
    """How many layers of a mixture have no experts (Qwen's `mlp_only_layers` and `decoder_sparse_step`)."""
    if family == "mixtral":
        return 0
    only, step = config.get("mlp_only_layers") or [], config.get("decoder_sparse_step") or 1
    return sum(layer in only or (layer + 1) % step != 0 for layer in range(config["num_hidden_layers"]))


def _config(family: str, sizes: str, **more: Any) -> dict[str, Any]:
    fields = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size")
    fields = (*fields, "vocab_size", "max_position_embeddings")
    return {"model_type": family, **dict(zip(fields, map(int, sizes.split()), strict=True)), **more}


# The sizes in each model's config.json on the Hub: hidden, layers, heads, KV heads, width, vocabulary, context.
_PUBLISHED: dict[str, dict[str, Any]] = {
    "mistralai/Mixtral-8x7B-Instruct-v0.1": _config(
        "mixtral", "4096 32 32 8 14336 32000 32768", num_local_experts=8, num_experts_per_tok=2
    ),
    "mistralai/Mistral-7B-Instruct-v0.2": _config("mistral", "4096 32 32 8 14336 32000 32768"),
    "mistralai/Mistral-7B-Instruct-v0.3": _config("mistral", "4096 32 32 8 14336 32768 32768"),
    "meta-llama/Llama-3.1-8B-Instruct": _config("llama", "4096 32 32 8 14336 128256 131072"),
    "Qwen/Qwen2.5-7B-Instruct": _config("qwen2", "3584 28 28 4 18944 152064 32768"),
    "Qwen/Qwen2.5-14B-Instruct": _config("qwen2", "5120 48 40 8 13824 152064 32768"),
}


def known_shapes() -> dict[str, ModelShape]:
    """The models that need neither network nor folder, by name; the embedded one when it is installed."""
    shapes = {name: shape_from_config(config, name) for name, config in _PUBLISHED.items()}
    embedded = Path(str(resources.files("pinpoint") / "embedded"))
    if (embedded / "config.json").is_file():
        shapes[EMBEDDED_NAME] = _shape_of_folder(embedded, EMBEDDED_NAME)
    return shapes


def find_shape(model: str) -> ModelShape:
    """The shape of a known model (its name, with or without the owner) or of a folder that holds a config.json.

    Raises:
        ModelError: it is neither; or the file cannot be read, or is not of a supported family.
    """
    shapes = known_shapes()
    by_name = {key: shape for name, shape in shapes.items() for key in (name.lower(), name.lower().split("/")[-1])}
    if model.lower() in by_name:
        return by_name[model.lower()]
    folder = Path(model)
    if (folder / "config.json").is_file():
        return _shape_of_folder(folder, model)
    near = difflib.get_close_matches(model.lower(), by_name, n=1, cutoff=0.7)
    hint = f"did you mean {by_name[near[0]].name}? " if near else ""
    raise ModelError(
        "unknown_model",
        f"{model!r} is neither a known model nor a folder with a config.json; {hint}known: {', '.join(shapes)}. "
        "For any other, download its config.json alone and give the folder that holds it",
        "MODEL_NAME",
    )


def _shape_of_folder(folder: Path, name: str) -> ModelShape:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError("model_unreadable", f"cannot read {folder / 'config.json'}: {error}", "MODEL_NAME") from None
    if not isinstance(config, dict):
        raise ModelError("model_unreadable", f"{folder / 'config.json'} does not hold an object", "MODEL_NAME")
    return shape_from_config(config, name)
