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


def apply_odds(
    log_odds: Sequence[float],
    temperature: float,
    offsets: Sequence[float] | None,
    head: Sequence[Sequence[float]] | None,
    state: Sequence[Sequence[float]] | None = None,
    seen_states: Sequence[Sequence[float]] = (),
) -> list[float]:
    """Log-odds of yes after temperature, offsets and both heads; each label has a state of its own."""
    seen = [min(max(one, -FLOOR), FLOOR) for one in log_odds]
    return [
        log_odds[k] / temperature
        + (offsets[k] if offsets else 0.0)
        + (math.fsum(weight * one for weight, one in zip(head[k], seen, strict=True)) if head else 0.0)
        + (math.fsum(weight * one for weight, one in zip(state[k], seen_states[k], strict=True)) if state else 0.0)
        for k in range(len(log_odds))
    ]
