"""What a fit minimises, document by document: `pinpoint.evaluate.fits` does it with arrays and gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

FLOOR = 20.0


def objective(
    scores: Sequence[Sequence[float]],
    right: Sequence[int],
    temperature: float,
    offsets: Sequence[float],
    head: Sequence[Sequence[float]] | None,
    spreads: tuple[float, float, float],
) -> float:
    """Negative log-likelihood of all documents and the penalties, in nats; `spreads` are σ, τ and ω."""
    total = math.log(temperature) ** 2 / (2 * spreads[0] ** 2)
    total += sum(b**2 for b in offsets) / (2 * spreads[1] ** 2)
    total += sum(w**2 for row in head or [] for w in row) / (2 * spreads[2] ** 2)
    for s, answer in zip(scores, right, strict=True):
        z = [
            s[k] / temperature
            + offsets[k]
            + (sum(w * max(one, -FLOOR) for w, one in zip(head[k], s, strict=True)) if head else 0.0)
            for k in range(len(s))
        ]
        most = max(z)
        whole = most + math.log(sum(math.exp(one - most) for one in z))
        rival = max((k for k in range(len(s)) if k != answer), key=lambda k: s[k])
        total -= (z[answer] - whole) + (z[rival] - whole) / len(right)
    return total
