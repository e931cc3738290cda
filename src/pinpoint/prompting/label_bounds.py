"""Which labels of a long list need their score computed, and which are settled by a bound.

A label's score is a sum of log-probabilities, none above zero, so the log-probability of its first token alone bounds
it from above, and that costs nothing: all first tokens are read from one row. A label stays uncomputed when

* all uncomputed labels together cannot move the sum over all labels by more than `EPSILON` of it, and
* none of them can be among the best `best`.

Labels that are settled so are reported with their bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

# Half a unit of the wire's sixth decimal: what is bounded would have been rounded to the same score.
EPSILON = 5e-7
# After so many rounds everything left is computed: bounds that are this far from the truth will not get better.
MOST_ROUNDS = 3


def undecided(bounds: Sequence[float], exact: Mapping[int, float], best: int, rounds: int) -> list[int]:
    """The labels to compute next; empty when the rest is settled.

    Args:
        bounds: [L] upper bounds of the labels' log-probabilities.
        exact: those already computed.
        best: how many of the best labels must be exact.
        rounds: how many rounds were computed before.
    """
    left = sorted((k for k in range(len(bounds)) if k not in exact), key=lambda k: -bounds[k])
    if not left:
        return []
    if rounds >= MOST_ROUNDS:
        return left
    # Before anything is known, the bounds themselves stand in for the scores; the next round checks against real ones.
    scores = list(exact.values()) if exact else [bounds[k] for k in left]
    # Relative to the largest, so that nothing underflows where all labels are far out of reach.
    most = max(scores)
    allowed = EPSILON * math.fsum(_share(score, most) for score in scores)
    rank = sorted(scores, reverse=True)[best - 1] if len(scores) >= best else -math.inf
    rest = math.fsum(_share(bounds[k], most) for k in left)
    chosen = []
    for k in left:
        if rest <= allowed and bounds[k] < rank:
            break
        chosen.append(k)
        rest -= _share(bounds[k], most)
    return chosen


def _share(value: float, most: float) -> float:
    """exp(value − most), without overflow where a bound is far above all that was computed."""
    return math.exp(min(value - most, 700.0)) if most > -math.inf else 1.0
