"""What text extraction does to a document: stub until complete."""

from __future__ import annotations

import random


def add_noise(text: str, rng: random.Random) -> str:
    """The text as extraction might deliver it."""
    return text.lower() if rng.random() < 0.3 else text
