"""A calibration written out, label by label: what `pinpoint.decide.calibration` computes with arrays."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

FLOOR = 20.0


def apply(
    log_probs: Sequence[float],
    temperature: float,
    offsets: Sequence[float] | None,
    head: Sequence[Sequence[float]] | None,
    masked: Collection[int],
    state: Sequence[Sequence[float]] | None = None,
    seen_state: Sequence[float] = (),
) -> list[float]:
    """Log-probabilities after temperature, offsets and both heads, over the labels that are not masked."""
    offered = [k for k in range(len(log_probs)) if k not in masked and log_probs[k] > -math.inf]
    if not offered:
        return [-math.inf] * len(log_probs)
    most = max(log_probs[k] for k in offered)
    seen = [-FLOOR if k in masked else max(log_probs[k] - most, -FLOOR) for k in range(len(log_probs))]
    strengths = {
        k: (log_probs[k] - most) / temperature
        + (offsets[k] if offsets else 0.0)
        + (math.fsum(weight * one for weight, one in zip(head[k], seen, strict=True)) if head else 0.0)
        + (math.fsum(weight * one for weight, one in zip(state[k], seen_state, strict=True)) if state else 0.0)
        for k in offered
    }
    largest = max(strengths.values())
    total = largest + math.log(math.fsum(math.exp(strength - largest) for strength in strengths.values()))
    return [strengths[k] - total if k in strengths else -math.inf for k in range(len(log_probs))]
