"""The sizes of a model: every weight matrix and every parameter, whoever says them. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pinpoint.errors import ModelError

ALL_PRECISIONS = ("bf16", "int8", "fp8", "nf4")


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
        stored: what a quantised checkpoint holds them in, and no other can; None of one in 16 bits.
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
    precisions: tuple[str, ...] = ALL_PRECISIONS
    measured: bool = False
    kv_channels: int = 0
    stored: Literal["bf16", "int8", "fp8", "nf4"] | None = None

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
