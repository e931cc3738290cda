"""Synthetic business documents of many kinds: what the model learns to recognise, written from scratch and noisy."""

from __future__ import annotations

import random
from functools import partial

from . import (
    accounts,
    care,
    correspondence,
    feedback,
    finance,
    instructions,
    insurance,
    legal,
    meetings,
    news,
    orders,
    people,
    publications,
    records,
    shipping,
    trade,
)
from .case import Case
from .kind import Kind, Label
from .labels_finance import FINANCE
from .labels_records import RECORDS
from .labels_texts import TEXTS
from .labels_trade import TRADE
from .labels_work import WORK
from .layouts import LAYOUTS
from .layouts import SHARE as LAYOUT_SHARE
from .noise import add_noise
from .plan import Plan
from .references import KINDS_OF_A_SALE, SHARE, with_references

__all__ = ["KINDS", "Kind", "add_noise", "generate", "write"]

_LABELS: tuple[Label, ...] = TRADE + FINANCE + WORK + TEXTS + RECORDS
_PLANS: dict[str, Plan] = {
    **trade.PLANS,
    **orders.PLANS,
    **shipping.PLANS,
    **accounts.PLANS,
    **finance.PLANS,
    **people.PLANS,
    **meetings.PLANS,
    **legal.PLANS,
    **insurance.PLANS,
    **care.PLANS,
    **correspondence.PLANS,
    **feedback.PLANS,
    **publications.PLANS,
    **news.PLANS,
    **instructions.PLANS,
    **records.PLANS,
}


def _plan(key: str, rng: random.Random) -> Plan:
    others = LAYOUTS.get(key)
    return _PLANS[key] if others is None or rng.random() >= LAYOUT_SHARE else rng.choice(others)


def _written(key: str, rng: random.Random) -> str:
    return _plan(key, rng)(rng)


KINDS: tuple[Kind, ...] = tuple(
    Kind(label.key, label.family, label.names, label.descriptions, partial(_written, label.key)) for label in _LABELS
)


def write(kind: Kind, case: Case, rounds: int = 1) -> str:
    """A document of the kind about a case, undamaged; the more rounds, the longer."""
    return _plan(kind.key, case.rng).write(case, rounds)


def generate(rng: random.Random, kind: Kind | None = None) -> tuple[Kind, str]:
    """A document of the kind, or of any kind, as text extraction would deliver it."""
    chosen = kind if kind is not None else KINDS[int(rng.random() * len(KINDS))]
    text = chosen.render(rng)
    if chosen.key in KINDS_OF_A_SALE and rng.random() < SHARE:
        text = with_references(text, rng)
    return chosen, add_noise(text, rng)
