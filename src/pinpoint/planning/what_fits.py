"""What would fit: other precisions and smaller known models on the same card, and the cards on which the model fits.

Only plans that fit are offered, each with its plan, so that nothing is recommended that would be refused. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pinpoint.checkpoints.sources import EMBEDDED_NAME
from pinpoint.planning.activations import Precision
from pinpoint.planning.cards import CARDS, Card, computes
from pinpoint.planning.known_models import known_shapes
from pinpoint.planning.memory_plan import PRECISIONS, MemoryPlan, plan
from pinpoint.planning.shape import ModelShape


@dataclass(frozen=True, slots=True)
class Alternative:
    """Something that fits.

    Attributes:
        kind: what differs from the plan that was asked for.
        name: the precision, the model or the card.
        pool: RunPod's pool id of a card, else empty.
    """

    kind: Literal["precision", "model", "card"]
    name: str
    pool: str
    plan: MemoryPlan


def alternatives(asked: MemoryPlan) -> list[Alternative]:
    """What fits instead of `asked`, with its buffer, bound and concurrency: precisions, then models, then cards."""
    found: list[Alternative] = []
    for precision in PRECISIONS:
        if precision != asked.precision and precision in asked.shape.precisions:
            found.append(Alternative("precision", precision, "", _replan(asked, precision=precision)))
    smaller = [
        shape
        for name, shape in known_shapes().items()
        # The embedded model is for trying out; it is no answer to the question which model to serve.
        if shape.parameters < asked.shape.parameters
        and asked.precision in shape.precisions
        and name not in (EMBEDDED_NAME, asked.shape.name)
    ]
    for shape in sorted(smaller, key=lambda shape: -shape.parameters):
        found.append(Alternative("model", shape.name, "", _replan(asked, shape=shape)))
    found += [
        Alternative("card", card.name, card.pool, _replan(asked, card=card))
        for card in CARDS
        if computes(card, asked.precision)
    ]
    return [alternative for alternative in found if alternative.plan.fits]


def _replan(
    asked: MemoryPlan, *, shape: ModelShape | None = None, precision: Precision | None = None, card: Card | None = None
) -> MemoryPlan:
    return plan(
        shape or asked.shape,
        precision or asked.precision,
        card.total_bytes if card else asked.card_bytes,
        asked.buffer_bytes,
        asked.max_bytes,
        asked.concurrency,
        driver_bytes=card.driver_bytes if card else asked.driver_bytes,
        prompt_tokens=asked.prompt_tokens,
        store_bytes=asked.store_limit_bytes,
        activations=asked.activations,
    )
