"""How many tokens a pass takes where nobody has said: what is tried at the start, and what is taken of it.

A larger pass keeps the products busier, and everyone in it waits for all of it. So the usual budget is what passes
have unless a larger one is clearly faster here. Only those are tried that cost nobody anything: the plan has room for
such a pass, prompts as long as before are read beside it, and the cache of reasons stays as large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pinpoint.planning.memory_plan import MemoryPlan

LARGER_BUDGETS = (16_384, 32_768)
# The share by which a larger pass must be faster, by the token, than the one before it.
LEAST_GAIN = 0.03
# Of all timed passes together. A card on which a larger pass would take longer than is left has enough of the usual.
MOST_S = 3.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What was taken, and by what.

    Attributes:
        tokens: of a pass at most.
        by: the operator's setting, the memory plan, measurement, or nothing but what is usual.
        rates: tokens a second of what was tried, by budget.
        seconds: that it took to find out.
    """

    tokens: int
    by: str
    rates: Mapping[int, float] = field(default_factory=dict)
    seconds: float = 0.0

    def told(self) -> dict[str, Any]:
        """For health: plain values."""
        rates = {str(tokens): round(rate) for tokens, rate in self.rates.items()}
        return {"tokens": self.tokens, "by": self.by, **({"tokens_per_s": rates} if rates else {})}


def larger_budgets(made: MemoryPlan, usual: int, read_tokens: int) -> list[int]:
    """Budgets beyond `usual` that cost nobody anything, ascending.

    Args:
        made: what the worker takes of its card.
        usual: what passes have otherwise.
        read_tokens: the longest prompt that is read beside those.
    """
    reasons = made.kept_reason_places(usual)
    return [
        tokens
        for tokens in LARGER_BUDGETS
        if usual < tokens <= made.token_budget
        and made.read_tokens(tokens) >= read_tokens
        and made.kept_reason_places(tokens) == reasons
    ]


def fastest(
    usual: int, larger: Sequence[int], seconds_of: Callable[[int], tuple[int, float] | None], most_s: float = MOST_S
) -> tuple[int, dict[int, float]]:
    """The budget after which a larger one gains too little, and the tokens a second of those that were timed.

    Args:
        usual: the first to be timed.
        larger: further ones, ascending.
        seconds_of: times a pass of about so many tokens: how many it had, and seconds; None where it did not fit.
        most_s: no pass is begun that by the one before would end later.
    """
    rates: dict[int, float] = {}
    taken, spent_s = usual, 0.0
    for tokens in (usual, *larger):
        if rates and spent_s + tokens / rates[taken] > most_s:
            break
        if (timed := seconds_of(tokens)) is None:
            break
        rates[tokens] = timed[0] / timed[1]
        spent_s += timed[1]
        if tokens != usual and rates[tokens] < (1 + LEAST_GAIN) * rates[taken]:
            break
        taken = tokens
    return taken, rates
