"""Bytes of a model's weights, and of its kept keys and values, at each precision.

The precisions differ over the same tensors (all linear layers and fused experts; routers, norms, biases,
embeddings and head stay in 16 bits):

* `bf16`: 2 bytes an element.
* `int8`: 1 byte, and one float32 scale per output channel (engine/weights/int8.py).
* `fp8`: as int8 (engine/weights/fp8.py).
* `nf4`: half a byte; per block of 64 one scale in 8 bits; per 256 scales one more in float32; per matrix (of experts,
  each one's) an offset (engine/weights/nf4.py).

Torch-free.
"""

from __future__ import annotations

from math import ceil

from pinpoint.planning.activations import HALF, Precision
from pinpoint.planning.shape import Matrix, ModelShape

SCALE_BYTES = 4  # float32
NF4_BLOCK, NF4_GROUP = 64, 256  # bitsandbytes' defaults for weights and for the scales of double quantisation


def weight_bytes_of(shape: ModelShape, precision: Precision) -> int:
    """Bytes of all parameters and buffers."""
    # Rotary frequencies, float32, half a head's size, kept twice by transformers.
    buffers = 2 * 4 * (shape.head_size // 2)
    quantised = sum(_matrix_bytes(matrix, precision) * matrix.count for matrix in shape.matrices)
    return quantised + HALF * shape.kept_parameters + buffers


def kv_bytes_per_token(shape: ModelShape) -> int:
    """Keys and values of all layers, 16-bit."""
    return HALF * (shape.kv_channels or shape.kv_heads * (shape.head_size + shape.value_size) * shape.layers)


def _matrix_bytes(matrix: Matrix, precision: Precision) -> int:
    elements = matrix.tensor_elements
    if precision == "bf16":
        return HALF * elements
    if precision in ("int8", "fp8"):
        return elements + SCALE_BYTES * matrix.stack * matrix.outputs
    single = matrix.outputs * matrix.inputs
    blocks = ceil(single / NF4_BLOCK)
    return matrix.stack * (ceil(single / 2) + blocks + SCALE_BYTES * (ceil(blocks / NF4_GROUP) + 1))
