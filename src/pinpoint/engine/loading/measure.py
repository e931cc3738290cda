"""The sizes of a model whose family has no layout, read off the model that transformers builds, with no memory for it.

Matrices and parameters are exact. What a pass holds is bounded from above by the widest layers of each kind, whatever
their order; the warm-up says what it really took.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from pinpoint.engine.loading.checkpoint import empty_model
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS, is_fused_experts
from pinpoint.errors import ModelError
from pinpoint.planning.families import EXACT
from pinpoint.planning.model_shapes import as_stored, shape_from_config
from pinpoint.planning.shape import ALL_PRECISIONS, Matrix, ModelShape

NOT_PLANNED = "not_planned"


def shape_of(config: Any, name: str) -> ModelShape:
    """The shape of a model by its configuration: by its family's layout, or else measured.

    Raises:
        ModelError: the family is refused, or its configuration is incomplete.
    """
    try:
        return shape_from_config(config.to_dict(), name)
    except ModelError as error:
        if error.code != NOT_PLANNED:
            raise
    return as_stored(measured_shape(empty_model(config), name), config.to_dict())


def measured_shape(model: PreTrainedModel, name: str) -> ModelShape:
    """The shape of a model that is built, its parameters on any device or none."""
    config: Any = model.config.get_text_config()
    matrices = _matrices(model)
    every = sum(parameter.numel() for parameter in model.parameters())
    heads = int(config.num_attention_heads)
    head_size, value_size, kv_heads = _heads(config, heads)
    experts = [matrix for matrix in matrices if matrix.stack > 1]
    # No layer is wider than the widest matrix that is no expert's.
    widest = max((max(m.outputs, m.inputs) for m in matrices if m.stack == 1), default=int(config.hidden_size))
    family = str(model.config.model_type)
    return ModelShape(
        name=name,
        family=family,
        hidden=int(config.hidden_size),
        layers=int(config.num_hidden_layers),
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        value_size=value_size,
        vocabulary=int(config.vocab_size),
        dense_width=widest,
        expert_layers=max((matrix.count for matrix in experts), default=0),
        experts=max((matrix.stack for matrix in experts), default=0),
        experts_per_token=_chosen(config) if experts else 0,
        expert_width=max((max(m.outputs, m.inputs) for m in experts), default=0),
        shared_width=0,
        tied_embeddings=bool(getattr(model.config, "tie_word_embeddings", False)),
        matrices=matrices,
        kept_parameters=every - sum(matrix.tensor_elements * matrix.count for matrix in matrices),
        sliding_window=_largest(config, "sliding_window") or None,
        positions=int(getattr(config, "max_position_embeddings", None) or 0),
        precisions=EXACT[family].precisions if family in EXACT else ALL_PRECISIONS,
        measured=True,
    )


def _matrices(model: PreTrainedModel) -> tuple[Matrix, ...]:
    """What fewer bits would take, equal ones together; of a model without any, its largest tensor as a matrix."""
    head, found = model.get_output_embeddings(), Counter[tuple[str, int, int, int]]()
    for name, module in model.named_modules():
        if type(module) is nn.Linear and module is not head:
            found[name.rpartition(".")[2], module.out_features, module.in_features, 1] += 1
        elif is_fused_experts(module):
            for weight in EXPERT_WEIGHTS:
                stack, outputs, inputs = getattr(module, weight).shape
                found[f"experts' {weight}", outputs, inputs, stack] += 1
    if not found:
        largest = max((p for p in model.parameters() if p.ndim == 2), key=lambda p: p.numel())
        found[next(n for n, p in model.named_parameters() if p is largest), *largest.shape, 1] += 1
    return tuple(
        Matrix(name, outputs, inputs, stack, count) for (name, outputs, inputs, stack), count in sorted(found.items())
    )


def _heads(config: Any, heads: int) -> tuple[int, int, int]:
    """Size of a query's and key's head, that of a value's, and heads of keys: the widest of any layer."""
    sizes = [_largest(config, field) for field in ("head_dim", "global_head_dim", "qk_head_dim")]
    latent = (getattr(config, "qk_nope_head_dim", None) or 0) + (getattr(config, "qk_rope_head_dim", None) or 0)
    head_size = latent or max(sizes) or int(config.hidden_size) // heads
    kv_heads = heads if latent else _largest(config, "num_key_value_heads") or heads
    return head_size, int(getattr(config, "v_head_dim", None) or head_size), kv_heads


def _largest(config: Any, field: str) -> int:
    """A number of the configuration, the largest of any layer where each has its own; 0 where none is said."""
    layers = [config.per_layer_config[number] for number in range(int(config.num_hidden_layers))]
    return max(int(getattr(layer, field, None) or 0) for layer in layers)


def _chosen(config: Any) -> int:
    fields = ("num_experts_per_tok", "moe_k", "moe_topk", "top_k_experts", "num_experts_per_token")
    return max((int(getattr(config, field, None) or 0) for field in fields), default=0) or 1
