"""Synthetic business documents of many kinds: what the model learns to recognise, written from scratch and noisy."""

from __future__ import annotations

import random

from . import accounts, care, correspondence, finance, legal, orders, people, publications, trade
from .kind import Kind
from .noise import add_noise

__all__ = ["KINDS", "Kind", "add_noise", "generate"]

KINDS: tuple[Kind, ...] = (
    trade.KINDS
    + orders.KINDS
    + accounts.KINDS
    + finance.KINDS
    + people.KINDS
    + legal.KINDS
    + care.KINDS
    + correspondence.KINDS
    + publications.KINDS
)


def generate(rng: random.Random, kind: Kind | None = None) -> tuple[Kind, str]:
    """A document of the kind, or of any kind, as text extraction would deliver it."""
    chosen = kind if kind is not None else KINDS[int(rng.random() * len(KINDS))]
    return chosen, add_noise(chosen.render(rng), rng)
