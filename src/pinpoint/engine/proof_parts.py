"""The stages of the proof at load, how far each may be from the plain way, and what is said where one is farther."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from pinpoint.engine.forward.forced import ATTENDED, EMBEDDING, LAYER, PROJECTED, STATES, TOKENS
from pinpoint.engine.weights.product_proof import EXPERTS, LINEAR

WEIGHTS = "weights as they are stored"
SCORES = "scores of the last hidden states"
FREE = "scores, layers left to themselves"
# Largest difference of each stage, as a share of its size; of scores, in log-probability. Measured on the 57 families
# of tests/numeric/forward/families.py: the worst was 4e-6 in float32; in bfloat16, whose step is 8e-3, 1.0e-2 before
# attention (norms are rounded once where transformers rounds twice), 5e-3 in it, 1.8e-2 behind it and 5e-3 at the end.
# Of Mixtral 8x7B at full size in int8 on an H200, 3e-3, 3e-3, 2e-3 and 0 (bench/results/gpu_proof.json).
# Of products by themselves, by rows and by channels: linear layers at most 5e-7 in float32 and 6.5e-3 in bfloat16,
# experts 6e-7 and 1.3e-2; on an H200, Mixtral in int8 5.7e-3 and 8.1e-3 (bench/results/gpu_proof.json). At its width
# the last 8 of 4,096 inputs left out are 0.1, one channel with its neighbour's scale 0.27, two experts swapped 1.3.
TOLERANCE: dict[torch.dtype, dict[str, float]] = {
    torch.float32: {WEIGHTS: 1e-3, LINEAR: 1e-4, EXPERTS: 1e-4}
    | dict.fromkeys((EMBEDDING, PROJECTED, ATTENDED, LAYER, STATES), 1e-4)
    | {TOKENS: 0, SCORES: 1e-3, FREE: 1e-3},
    torch.bfloat16: {
        WEIGHTS: 1e-3, LINEAR: 0.025, EXPERTS: 0.05, TOKENS: 0, EMBEDDING: 0.01, PROJECTED: 0.03, ATTENDED: 0.02,
        LAYER: 0.05, STATES: 0.02, SCORES: 0.75, FREE: 2.0,
    },
}  # fmt: skip
# Where states are rounded to 8 bits on their way into a product: a last bit turns a value next to a tie by up to an
# eighth of itself, rarely in float32, and in bfloat16 one in some tens. Measured on 54 of those families in fp8: in
# bfloat16 at most 0.076 before attention and 0.14 behind it, in float32 a layer that is led as without; scores of
# models left to themselves 0.63 (0.58 of the embedded model, in float32); experts by themselves 0.046 in bfloat16
# (0.034 at Mixtral's width; its rows on an H200 0.025).
TOLERANCE_OF_8_BITS = {EXPERTS: 0.12, PROJECTED: 0.12, LAYER: 0.2, FREE: 2.0}


@dataclass(frozen=True, slots=True)
class Part:
    """How far one stage was from the plain way, where it was farthest.

    Attributes:
        stage: one of `TOLERANCE`.
        company: of which pass, or which module or tensor.
        layer: from 0; None beside the layers.
        apart: a share of the stage's size, or a log-probability.
        tolerance: what it may be.
    """

    stage: str
    company: str
    layer: int | None
    apart: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether it is within its tolerance; what is no number is not."""
        return self.apart <= self.tolerance

    @property
    def share(self) -> float:
        """Of the tolerance; infinite where nothing is tolerated, or where it is no number."""
        if not self.holds:
            return self.apart / self.tolerance if self.tolerance and self.apart == self.apart else math.inf
        return self.apart / self.tolerance if self.tolerance else 0.0


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared.

    Attributes:
        parts: of each stage, that which is farthest apart.
        wrong: the first, in the order of computing, that is out of its tolerance.
        dtype: what was computed in.
        sequences, tokens: what was read the plain way.
        longest_tokens: of one prompt with a label.
        tensors, tensors_left_out: stored ones, of which rows were compared, and that could not be.
        products: of modules by themselves that were compared.
        weights_seconds, products_seconds: that these took.
        unreached: windows, and lengths at which frequencies change, that no prompt is longer than.
        seconds: that it took.
    """

    parts: tuple[Part, ...]
    wrong: Part | None
    dtype: str
    sequences: int
    tokens: int
    longest_tokens: int
    tensors: int
    tensors_left_out: int
    products: int
    weights_seconds: float
    products_seconds: float
    unreached: tuple[int, ...]
    seconds: float


def in_words(part: Part, dtype: str) -> str:
    """What is wrong, and what to do."""
    where = f" of layer {part.layer}" if part.layer is not None else ""
    if part.stage == WEIGHTS:
        return (
            f"{part.company} is not held as its file has it: {part.apart:.2g} of a row's largest value beyond what "
            "rounding explains; load the model again, and if it stays so report it"
        )
    if part.stage in (LINEAR, EXPERTS):
        return (
            f"{part.company} does not multiply as its weights say: {part.apart:.2g} of an output's size from their "
            f"product, of {part.tolerance:g} that rounding in {dtype} explains; use another precision, and report it"
        )
    if part.stage == TOKENS:
        apart = f"{part.apart:g} of its tokens are not in the places that they have in their prompts"
    else:
        of = "in log-probability" if part.stage in (SCORES, FREE) else "of its size"
        apart = (
            f"{part.stage}{where}: {part.apart:.2g} {of} from transformers' own forward pass, of {part.tolerance:g} "
            f"that rounding in {dtype} explains"
        )
    return f"what is scored is not what this model computes ({part.company}): {apart}; use another model, and report it"
