"""8-bit activations, one number at a time: what `engine/weights/int8_activations.py` and the kernels have to compute.

Integers are Python's, so no sum of them can be wrong; every other operation is numpy's on single float32 numbers.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy import float32
from torch import Tensor

LEVELS = float32(127)


def quantise(x: list[float32]) -> tuple[list[int], float32]:
    """A row → its integers and its scale; a row with a number that is not finite has a scale that is not."""
    if not all(np.isfinite(value) for value in x):
        return [0] * len(x), float32("nan")
    largest = max(abs(value) for value in x)
    with np.errstate(divide="ignore", over="ignore"):
        step = LEVELS / largest
    if np.isinf(step):
        step = float32(0)
    return [int(np.rint(value * step)) for value in x], largest / LEVELS


def product(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """x [N, I] times int8 [O, I] with float32 scales [O] → [N, O], in the dtype of x."""
    out = torch.empty(len(x), len(weight), dtype=torch.float32)
    for row, values in enumerate(x.float().numpy()):
        q, row_scale = quantise(list(values))
        for channel, (integers, channel_scale) in enumerate(zip(weight.tolist(), scale.numpy(), strict=True)):
            total = sum(one * other for one, other in zip(q, integers, strict=True))
            with np.errstate(over="ignore"):  # beyond float32 it is infinite, as any product
                out[row, channel] = float(float32(total) * row_scale * channel_scale)
    return out.to(x.dtype)


def silu_gate(wide: Tensor) -> Tensor:
    """Mixtral's, wide [N, 2F] → [N, F], in float32 from what the product was rounded to, rounded once."""
    opening, up = wide.float().chunk(2, dim=-1)
    return (opening / (1 + torch.exp(-opening)) * up).to(wide.dtype)


def mixed(
    states: Tensor, chosen: Tensor, weights: Tensor, up: tuple[Tensor, Tensor], down: tuple[Tensor, Tensor],
    gate: Callable[[Tensor], Tensor] = silu_gate,
) -> Tensor:  # fmt: skip
    """Experts, one token and one choice at a time.

    Args:
        states: [T, H].
        chosen, weights: [T, K].
        up: int8 [E, 2F, H] and scales [E, 2F].
        down: int8 [E, H, F] and scales [E, H].
        gate: of a wide row.

    Returns:
        float32 [T, H], the outputs rounded to the dtype of the states before they are summed.
    """
    out = torch.zeros(states.shape, dtype=torch.float32)
    for token in range(len(states)):
        for expert, weight in zip(chosen[token].tolist(), weights[token].tolist(), strict=True):
            wide = product(states[token : token + 1], up[0][expert], up[1][expert])
            out[token] += weight * product(gate(wide), down[0][expert], down[1][expert])[0].float()
    return out
