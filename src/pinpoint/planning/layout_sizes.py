"""The sizes that a family's layout (`families.py`) makes of a configuration.

They mirror transformers' own modelling files, where a mixture's experts are two fused tensors per layer, and routers
are bare parameters rather than linear layers. Torch-free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pinpoint.errors import ModelError
from pinpoint.planning.families import Family, Layout
from pinpoint.planning.shape import Matrix, ModelShape


def shape_of_layout(config: Mapping[str, Any], name: str, family: str, known: Family, layout: Layout) -> ModelShape:
    """The shape of a model of a family whose layers are alike, by a configuration that has all `needed_fields`.

    Raises:
        ModelError: heads of less than one channel.
    """
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
    windowed = used and is_count(config.get("sliding_window"))
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


def needed_fields(config: Mapping[str, Any], family: str, layout: Layout) -> list[str]:
    """The fields of a configuration that have to be positive whole numbers."""
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


def is_count(value: object) -> bool:
    """Whether it is a positive whole number."""
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
