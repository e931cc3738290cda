"""What a model's config.json says of its size: every weight matrix and every parameter, without loading anything.

The list of matrices is made here, of the family's layout (`families.py`); parameters and bytes by precision follow from
it. It mirrors transformers' own modelling files, where a mixture's experts are two fused tensors per layer, and routers
are bare parameters rather than linear layers.

Torch-free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pinpoint.errors import ModelError
from pinpoint.planning import gemma4
from pinpoint.planning.families import ALL, FAMILIES, PLANNED, Family, Layout, text_config, why_refused
from pinpoint.planning.towers import Tower, tower_of


@dataclass(frozen=True, slots=True)
class Matrix:
    """A kind of weight matrix that fewer bits would take.

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
        value_size: of a head's value; a head's query and key are of `head_size`.
        dense_width: of the widest feed-forward network that is no expert, 0 where every layer has experts.
        expert_layers: how many layers have experts.
        expert_width: of one expert.
        shared_width: of the expert that every token passes, 0 where there is none.
        matrices: all that is quantised: linear layers and fused experts, but not routers, embeddings and head.
        kept_parameters: those that stay in 16 bits at every precision: embeddings, head, norms, routers, biases.
        sliding_window: tokens that a token sees at most in some layers or all, None where it sees all.
        positions: longest prompt that the model was made for, 0 where the file does not say.
        precisions: what the weights can be held in.
        measured: the sizes were read off the model that transformers builds, not off a layout.
        kv_channels: of keys and values of one token in all layers; 0 where the layers are alike.
    """

    name: str
    family: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    value_size: int
    vocabulary: int
    dense_width: int
    expert_layers: int
    experts: int
    experts_per_token: int
    expert_width: int
    shared_width: int
    tied_embeddings: bool
    matrices: tuple[Matrix, ...]
    kept_parameters: int
    sliding_window: int | None
    positions: int
    precisions: tuple[str, ...] = ALL
    measured: bool = False
    kv_channels: int = 0

    @property
    def context_tokens(self) -> int:
        """Longest prompt that the worker reads."""
        return self.positions

    @property
    def query_width(self) -> int:
        """Channels of all query heads."""
        return self.heads * self.head_size

    @property
    def kv_width(self) -> int:
        """Channels of all key heads, or of all value heads where these are wider."""
        return self.kv_heads * max(self.head_size, self.value_size)

    @property
    def matrix_parameters(self) -> int:
        """Parameters of all `matrices`."""
        return sum(matrix.tensor_elements * matrix.count for matrix in self.matrices)

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.matrix_parameters + self.kept_parameters


def check_family(config: Mapping[str, Any], name: str) -> None:
    """Refuse what is known not to be scored exactly, on any device.

    Raises:
        ModelError: with the reason in words.
    """
    if why := why_refused(config):
        family = FAMILIES.get(str(config.get("model_type")))
        called = family.name if family else f"model_type {config.get('model_type')!r}"
        raise ModelError(
            "unsupported_family", f"{name} ({called}) cannot be scored: {why}; use another model", "MODEL_NAME"
        )


def check_precision(shape: ModelShape, precision: str) -> None:
    """Refuse a precision that the model's weights cannot be held in; "auto" is any.

    Raises:
        ModelError: with those that it can be held in.
    """
    if precision not in (*shape.precisions, "auto"):
        raise ModelError(
            "precision_unsuitable",
            f"{shape.name} cannot be held in {precision}; set PINPOINT_PRECISION to {' or '.join(shape.precisions)}",
            "PINPOINT_PRECISION",
        )


def shape_from_config(config: Mapping[str, Any], name: str) -> ModelShape:
    """The shape that a config.json describes.

    Raises:
        ModelError: the family is refused, or cannot be planned from a configuration alone (`not_planned`); or fields
            are missing or not numbers; the message names them.
    """
    check_family(config, name)
    outer, config = config, text_config(config)
    whole = str(outer.get("model_type"))
    family = whole if outer is config else FAMILIES[whole].text if whole in FAMILIES else ""
    known = FAMILIES.get(family)
    layout = known.layout if known else None
    tower = Tower((), 0) if outer is config else _tower(outer, config)
    if layout is None or known is None or tower is None:
        raise ModelError(
            "not_planned",
            f"{name}: a model of model_type {outer.get('model_type')!r} is measured while it is loaded; from a "
            f"configuration alone these are planned: {', '.join(PLANNED)}{_lacks(config)}",
            "MODEL_NAME",
        )
    if outer is not config and isinstance(outer.get("tie_word_embeddings"), bool):
        config = {**config, "tie_word_embeddings": outer["tie_word_embeddings"]}
    config = {**layout.usual, **config}
    wrong = [field for field in _needed(config, family, layout) if not _is_count(config.get(field))]
    if wrong:
        raise ModelError(
            "config_incomplete",
            f"{name}: config.json has no positive whole number under {', '.join(wrong)}, which {family} needs",
            "MODEL_NAME",
        )
    shape = (_gemma4 if family == "gemma4_text" else _shape)(config, name, family, known, layout)
    seeing = tuple(Matrix(each.name, each.outputs, each.inputs, 1, each.number) for each in tower.linears)
    return replace(
        shape, family=whole, matrices=shape.matrices + seeing, kept_parameters=shape.kept_parameters + tower.others
    )


def _tower(outer: Mapping[str, Any], text: Mapping[str, Any]) -> Tower | None:
    try:
        return tower_of(outer, text["hidden_size"])
    except (KeyError, TypeError):
        return None


def _gemma4(config: Mapping[str, Any], name: str, family: str, known: Family, layout: Layout) -> ModelShape:
    sizes, tied = gemma4.sizes_of(config), bool(config.get("tie_word_embeddings"))
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
        precisions=known.precisions,
        kv_channels=sizes.kv_channels,
    )


def _shape(config: Mapping[str, Any], name: str, family: str, known: Family, layout: Layout) -> ModelShape:
    layers, heads, hidden = config["num_hidden_layers"], config["num_attention_heads"], config["hidden_size"]
    dense_layers = _dense_layers(config, layout)
    kv_heads = heads if layout.latent else config.get("num_key_value_heads") or heads
    head_size = config.get("head_dim") or layout.head_size or hidden // heads
    if head_size < 1:
        raise ModelError(
            "config_incomplete",
            f"{name}: config.json has a hidden_size of {hidden} for {heads} attention heads, less than one each",
            "MODEL_NAME",
        )
    value_size = head_size
    if layout.latent:
        head_size, value_size = config["qk_nope_head_dim"] + config["qk_rope_head_dim"], config["v_head_dim"]
    expert_width = config[layout.expert_width] if layout.experts else 0
    shared_width = config[layout.shared_width] if layout.shared_width else 0
    if layout.shared_count:
        shared_width = expert_width * (config.get(layout.shared_count) or 0)
    sizes = _Sizes(
        config, layout, hidden, layers, dense_layers, heads, kv_heads, head_size, value_size,
        config["intermediate_size"], config[_experts_field(config, layout)] if layout.experts else 0, expert_width,
        shared_width,
    )  # fmt: skip
    tied = bool(config.get("tie_word_embeddings", layout.tied))
    # Qwen's files name a window even where it is not used, or 0.
    used = layout.window and config.get(
        "use_sliding_window", family not in ("qwen2", "qwen3", "qwen2_moe", "qwen3_moe")
    )
    windowed = used and _is_count(config.get("sliding_window"))
    return ModelShape(
        name=name,
        family=family,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        value_size=value_size,
        vocabulary=config["vocab_size"],
        dense_width=config["intermediate_size"] if dense_layers else 0,
        expert_layers=layers - dense_layers,
        experts=sizes.experts,
        experts_per_token=config[layout.per_token] if layout.experts else 0,
        expert_width=expert_width,
        shared_width=shared_width,
        tied_embeddings=tied,
        matrices=tuple(sizes.matrices()),
        kept_parameters=config["vocab_size"] * hidden * (1 if tied else 2) + sizes.small_parameters(),
        sliding_window=config["sliding_window"] if windowed else None,
        positions=config.get("max_position_embeddings") or 0,
        precisions=known.precisions,
    )


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The numbers that a layout turns into matrices and parameters."""

    config: Mapping[str, Any]
    layout: Layout
    hidden: int
    layers: int
    dense_layers: int
    heads: int
    kv_heads: int
    head_size: int
    value_size: int
    width: int
    experts: int
    expert_width: int
    shared_width: int

    def matrices(self) -> Iterator[Matrix]:
        """Kinds of matrices, in the order of a layer."""
        hidden, layers, fused = self.hidden, self.layers, self.layout.fused
        query, key, value = (
            self.heads * self.head_size, self.kv_heads * self.head_size, self.kv_heads * self.value_size
        )  # fmt: skip
        if self.layout.latent:
            yield from self._latent(query)
        elif "qkv" in fused:
            yield Matrix("qkv_proj", query + key + value, hidden, 1, layers)
        else:
            yield Matrix("q_proj", query, hidden, 1, layers)
            yield Matrix("k_proj and v_proj", key, hidden, 1, 2 * layers)
        yield Matrix("o_proj", hidden, self.heads * self.value_size, 1, layers)
        if dense := self.dense_layers:
            if "gate_up" in fused:
                yield Matrix("gate_up_proj", 2 * self.width, hidden, 1, dense)
            else:
                name = "gate_proj and up_proj" if self.layout.gated else "up_proj"
                yield Matrix(name, self.width, hidden, 1, dense * (2 if self.layout.gated else 1))
            yield Matrix("down_proj", hidden, self.width, 1, dense)
        if mixed := layers - self.dense_layers:
            yield Matrix("experts' gate_up_proj", 2 * self.expert_width, hidden, self.experts, mixed)
            yield Matrix("experts' down_proj", hidden, self.expert_width, self.experts, mixed)
            if self.shared_width:
                yield Matrix("shared gate_proj and up_proj", self.shared_width, hidden, 1, 2 * mixed)
                yield Matrix("shared down_proj", hidden, self.shared_width, 1, mixed)
                if self.layout.shared_gate:
                    yield Matrix("shared_expert_gate", 1, hidden, 1, mixed)

    def _latent(self, query: int) -> Iterator[Matrix]:
        config, layers, rank = self.config, self.layers, self.config["kv_lora_rank"]
        if first := config.get("q_lora_rank"):
            yield Matrix("q_a_proj", first, self.hidden, 1, layers)
            yield Matrix("q_b_proj", query, first, 1, layers)
        else:
            yield Matrix("q_proj", query, self.hidden, 1, layers)
        yield Matrix("kv_a_proj_with_mqa", rank + config["qk_rope_head_dim"], self.hidden, 1, layers)
        yield Matrix("kv_b_proj", self.heads * (config["qk_nope_head_dim"] + self.value_size), rank, 1, layers)

    def small_parameters(self) -> int:
        """Norms, routers, biases and sinks of all layers, and the last norm."""
        layout, hidden, mixed = self.layout, self.hidden, self.layers - self.dense_layers
        query, key = self.heads * self.head_size, self.kv_heads * self.head_size
        norms = (layout.layer_norms * self.layers + layout.final_norm) * hidden
        head_norms = {"": 0, "head": 2 * self.head_size, "width": query + key, "heads": query + key}[layout.head_norms]
        if layout.head_norms_field and not self.config.get(layout.head_norms_field, False):
            head_norms = 0
        attention = head_norms + self._has(layout.output_bias) * hidden + layout.sinks * self.heads
        if layout.latent:
            first = self.config.get("q_lora_rank") or 0
            rank, biased = self.config["kv_lora_rank"], self._has(layout.qkv_bias)
            attention += first + rank  # norms
            attention += biased * (first + rank + self.config["qk_rope_head_dim"])
        else:
            attention += self._has(layout.qkv_bias) * (query + 2 * key)
        mlp = self._has(layout.mlp_bias) * ((2 if layout.gated else 1) * self.width + hidden) * self.dense_layers
        routers = self.experts * hidden * mixed
        if layout.expert_bias:
            routers += (self.experts + self.experts * (2 * self.expert_width + hidden)) * mixed
        return norms * (2 if layout.norm_bias else 1) + attention * self.layers + mlp + routers

    def _has(self, what: bool | str) -> bool:
        return what if isinstance(what, bool) else bool(self.config.get(what, False))


def _needed(config: Mapping[str, Any], family: str, layout: Layout) -> list[str]:
    """The fields that have to be positive whole numbers."""
    if family == "gemma4_text":
        mixed = ["num_experts", "top_k_experts", "moe_intermediate_size"] if config.get("enable_moe_block") else []
        return [*gemma4.NEEDED, "sliding_window", *mixed]
    needed = ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size"]
    # Only Llama's class takes a missing number of key-value heads to mean "as many as query heads".
    needed += [] if family == "llama" or layout.latent else ["num_key_value_heads"]
    needed += ["kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"] if layout.latent else []
    if layout.experts:
        needed += [_experts_field(config, layout), layout.per_token]
        needed += [layout.expert_width] if layout.expert_width not in needed else []
        needed += [layout.shared_width] if layout.shared_width else []
    optional = (
        "num_key_value_heads", "head_dim", "max_position_embeddings", "decoder_sparse_step", "q_lora_rank",
        layout.dense_first, layout.shared_count,
    )  # fmt: skip
    needed += [field for field in optional if field and config.get(field) not in (None, 0) and field not in needed]
    return needed + [field for field in ("head_dim",) if config.get(field) == 0]


def _experts_field(config: Mapping[str, Any], layout: Layout) -> str:
    """transformers takes either name for some families."""
    other = "num_local_experts" if layout.experts == "num_experts" else layout.experts
    return other if other in config else layout.experts


def _lacks(config: Mapping[str, Any]) -> str:
    usual = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    wrong = [field for field in usual if not _is_count(config.get(field))]
    return f"; its config.json also lacks {', '.join(wrong)}" if wrong else ""


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _dense_layers(config: Mapping[str, Any], layout: Layout) -> int:
    """How many layers have no experts (Qwen's `mlp_only_layers` and `decoder_sparse_step`, DeepSeek's first few)."""
    layers: int = config["num_hidden_layers"]
    if not layout.experts:
        return layers
    if layout.dense_first:
        return min(layers, config.get(layout.dense_first) or 0)
    if layout.experts != "num_experts" or layout.expert_width == "intermediate_size":
        return 0
    only, step = config.get("mlp_only_layers"), config.get("decoder_sparse_step") or 1
    only = only if isinstance(only, list) else []
    return sum(layer in only or (layer + 1) % step != 0 for layer in range(layers))
