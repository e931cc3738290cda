"""What one forward pass holds on the device at its widest moments, in bytes per token of the packed row.

A pass keeps keys and values of its layers only where they are wanted later, which `memory_plan` adds for all of its
row; beside them its peak is that of a single layer or of the logits. Each *stage* is one such moment: bytes that do not
depend on the row, and bytes per token of it. The peak of a row is the widest stage.
The terms follow the Python of `scoring.score`, `attention.span_attention` on CUDA, `experts.int8_experts`, `Int8Linear`
and transformers' decoder layers name by name, since a tensor lives for as long as a name holds it; whoever changes
those changes the terms here. `tests/numeric/test_memory_plan_bytes.py` measures all but attention, which is another on
CUDA.

A product holds its 16-bit result alone: the scales of 8 bits are applied in place; and, until it is there, the 16-bit
copy of its matrix, which so has stages of its own. One expert is counted with every
token of the row, which a batch of like documents can come near; `even_routing` gives the figure for tokens spread
evenly, above which a measured pass should lie.

Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pinpoint.planning.shape import ModelShape

Precision = Literal["bf16", "int8", "fp8", "nf4"]
# What the inputs of products with int8 weights are held in: what all is computed in, or 8 bits.
Activations = Literal["compute", "int8"]

HALF = 2  # bytes of bfloat16
FLOAT = 4  # bytes of float32
INDEX = 8  # bytes of int64
# Of a span whose ancestors' keys are gathered, how many times its own tokens that are, itself included, at most
# (`engine/forward/runs.py`).
GATHERED = 5
# Rows of float32 logits held at a time: 64 MB for Mixtral's 32,000 tokens, 300 MB for the widest vocabularies in use.
LOGIT_ROWS = 512
# Places that a reason's cache has beside the prompt: a label and its opening, and the reason (`forward/generate.py`).
ANSWER_TOKENS = 256
# Lengths that small passes are recorded at on CUDA (`engine/forward/recorded.py`).
RECORDED_LENGTHS = (256, 512, 768, 1024, 1280, 1536, 2048)
# Rows that an expert has, on average, up to which all experts of a layer are multiplied at once
# (`engine/weights/triton_grouped.py` has the measurements).
GROUPED_ROWS = 512


@dataclass(frozen=True, slots=True)
class Stage:
    """One moment of a pass.

    Attributes:
        fixed_bytes: whatever the row.
        token_bytes: per token of the row.
        seen_token_bytes: per token that was read before and that the row sees, beyond those in `fixed_bytes`.
    """

    name: str
    fixed_bytes: int
    token_bytes: int
    seen_token_bytes: int = 0

    def peak_bytes(self, tokens: int, seen_tokens: int = 0) -> int:
        """Held at that moment for a row of `tokens` that sees `seen_tokens` of a document read before."""
        return self.fixed_bytes + self.token_bytes * tokens + self.seen_token_bytes * seen_tokens


def stages(
    shape: ModelShape,
    precision: Precision,
    kept_tokens: int = 0,
    *,
    activations: Activations = "compute",
    even_routing: bool = False,
) -> list[Stage]:
    """The moments of a pass over a row that sees `kept_tokens` of kept prefixes.

    With 8-bit activations those without are there as well: layers may be kept from them.
    """
    in_8_bits = precision == "fp8" or activations == "int8"
    found = _attention(shape, precision, kept_tokens, in_8_bits)
    if shape.dense_width:
        found += _dense("feed-forward", shape.dense_width, shape, precision, in_8_bits)
    if shape.shared_width:
        found += _dense("shared expert", shape.shared_width, shape, precision, in_8_bits)
    if shape.expert_layers:
        if precision != "fp8":
            found += _experts(shape, precision, even_routing)
        if precision == "int8":
            found.append(_grouped_experts(shape))
        if precision == "fp8" or (precision == "int8" and activations == "int8"):
            found.append(_experts_in_8_bits(shape))
    return [*found, _logits(shape)]


def recorded_bytes(shape: ModelShape, precision: Precision, activations: Activations = "compute") -> int:
    """What stays on the device of passes that are recorded: what they hold but for attention, and buffers around it.

    0 where none are. Experts in bf16 and NF4 wait for the device; those in int8 with 16-bit states keep it busy as it
    is: 962 tokens of Mixtral 8x7B took 94 ms recorded and 93 not, with 8-bit states 45 and 69.
    """
    in_8_bits = precision == "fp8" or activations == "int8"
    if shape.expert_layers and not in_8_bits:
        return 0
    widths = {"feed-forward": shape.dense_width, "shared expert": shape.shared_width}
    found = [
        stage for name, width in widths.items() if width for stage in _dense(name, width, shape, precision, in_8_bits)
    ]
    if shape.expert_layers:
        found.append(_experts_in_8_bits(shape))
    tokens = RECORDED_LENGTHS[-1]
    buffers = HALF * (2 * shape.query_width + 2 * shape.kv_width + shape.hidden) * tokens
    return buffers + max(stage.peak_bytes(tokens) for stage in found)


def explanation(shape: ModelShape, precision: Precision, kept_tokens: int = 0) -> Stage:
    """A reason being written about one prompt, all of the row and `kept_tokens`, beside what the pass has kept.

    The prompt's keys and values once more, in a cache that has room for the answer and the reason; and in each layer
    in turn these for as many heads as there are queries, since transformers repeats them where there is a mask.
    """
    widest = max(_cast(precision, matrix.outputs, matrix.inputs) for matrix in shape.matrices)
    kept = shape.kv_channels or 2 * shape.kv_width * shape.layers
    token_bytes = HALF * (kept + 2 * max(shape.query_width, shape.kv_width)) + INDEX + 1
    return Stage("explanation", token_bytes * (ANSWER_TOKENS + kept_tokens) + widest, token_bytes, token_bytes)


def _cast(precision: Precision, outputs: int, inputs: int) -> int:
    """The 16-bit copy that a product makes of its matrix (one expert's, not the stack), where it makes one."""
    return 0 if precision in ("bf16", "fp8") else HALF * outputs * inputs


def _row(shape: ModelShape) -> int:
    """Lives through the pass: token and position ids, cosines and sines, the embeddings' output, the layer's input."""
    return 2 * INDEX + 2 * HALF * shape.head_size + 2 * HALF * shape.hidden


def _normed(shape: ModelShape, in_8_bits: bool) -> int:
    """A layer's normed input, with its 8 bits and their scale where products read these (`weights/shared_rows.py`)."""
    return HALF * shape.hidden + (shape.hidden + FLOAT if in_8_bits else 0)


def _attention(shape: ModelShape, precision: Precision, kept_tokens: int, in_8_bits: bool) -> list[Stage]:
    query, kv, hidden = shape.query_width, shape.kv_width, shape.hidden
    held = _row(shape) + _normed(shape, in_8_bits)
    projected = HALF * query + 2 * HALF * kv  # q, k, v after rotation
    # q, k, v once more in the kernel's order, what comes out, keys and values gathered, log-sum-exps in two orders.
    attending = projected + HALF * query + GATHERED * 2 * HALF * kv + 2 * FLOAT * shape.heads
    output = HALF * query + HALF * hidden
    # The kept keys and values stand before the row's own: joined, in the kernel's order, and gathered.
    kept = 3 * 2 * HALF * kv
    cast = _cast(precision, query, hidden)
    return [
        Stage("attention", kept * kept_tokens, held + projected + attending, kept),
        Stage("projections", kept * kept_tokens + cast, held + max(HALF * query, projected + output), kept),
    ]


def _dense(name: str, width: int, shape: ModelShape, precision: Precision, in_8_bits: bool) -> list[Stage]:
    hidden = shape.hidden
    held = _row(shape) + HALF * hidden + _normed(shape, in_8_bits)  # and the residual after attention
    rising = 2 * HALF * width  # the activated gate while the other half is computed
    meeting = 3 * HALF * width  # both, and their product
    falling = HALF * width + HALF * hidden
    return [
        Stage(name, 0, held + meeting),
        Stage(f"{name}, products", _cast(precision, width, hidden), held + max(rising, falling)),
    ]


def _experts(shape: ModelShape, precision: Precision, even_routing: bool) -> list[Stage]:
    width, hidden, chosen = shape.expert_width, shape.hidden, shape.experts_per_token
    if precision == "bf16":  # transformers multiplies all rows of all experts at once, and mixes them later
        gating = 4 * HALF * width  # gate and up, the opened gate, and the gated
        return [Stage("experts", 0, _held_by_experts(shape) + (gating - HALF * hidden + INDEX) * chosen)]
    share = chosen / shape.experts if even_routing else 1.0
    held = _held_by_experts(shape)
    wide = 2 * HALF * width  # gate and up of one expert's tokens
    gating = wide + HALF * width
    last = 2 * INDEX * chosen + HALF * hidden  # the weighted sum, back in the tokens' order
    return [
        Stage("experts", 0, held + int(max(share * gating, last))),
        Stage("experts, products", _cast(precision, 2 * width, hidden), held + int(share * wide)),
    ]


def _grouped_experts(shape: ModelShape) -> Stage:
    """All experts at once, in passes of few tokens: what lies between their products, counted for the most tokens."""
    tokens = GROUPED_ROWS * shape.experts // shape.experts_per_token
    between = 3 * HALF * shape.expert_width * shape.experts_per_token  # gate and up, and the gated
    return Stage("experts, grouped", between * tokens, _held_by_experts(shape))


def _experts_in_8_bits(shape: ModelShape) -> Stage:
    """All experts over all tokens (`engine/weights/triton_eight.py`), as the last product is computed.

    Sorted states and gated ones in 8 bits, each row with its scale, the gated and what comes of them in 16. A gate of
    another kind than Mixtral's is not computed inside of the product: of shapes that are measured, none is known.
    """
    chosen, hidden, width = shape.experts_per_token, shape.hidden, shape.expert_width
    beside = _held_by_experts(shape) - (INDEX + 2 * HALF * hidden) * chosen
    gated = (4 * HALF if shape.measured else HALF + 1) * width
    pair = FLOAT + hidden + FLOAT + gated + FLOAT + HALF * hidden
    return Stage("experts, in 8 bits", 0, beside + pair * chosen + HALF * hidden)


def _held_by_experts(shape: ModelShape) -> int:
    """Per token, what there is beside one product of the experts."""
    chosen, hidden = shape.experts_per_token, shape.hidden
    held = _row(shape) + 2 * HALF * hidden
    held += HALF * hidden if shape.shared_width else 0  # the shared expert's output waits
    held += HALF * shape.experts + (INDEX + FLOAT) * chosen  # router logits, choices, their weights
    held += INDEX * chosen + FLOAT  # what counting them takes: 20 bytes measured on an H200
    return held + (INDEX + 2 * HALF * hidden) * chosen  # the order, the sorted states, the mixed ones


def _logits(shape: ModelShape) -> Stage:
    # The last hidden states, and at most as many rows of them gathered. A slice of logits: the last one in float32 (or
    # the temporary of its log-sum-exp) while the next one is there in 16 bits and in float32.
    return Stage("logits", LOGIT_ROWS * shape.vocabulary * (2 * FLOAT + HALF), 2 * HALF * shape.hidden + 2 * INDEX)
