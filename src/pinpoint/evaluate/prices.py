"""What a second of a machine costs."""

from __future__ import annotations

# USD a second of a busy worker: RunPod's documentation of serverless prices, August 2026.
PRICES = {"4090": 0.00031, "A100": 0.00076, "RTX PRO 6000": 0.00111, "H100": 0.00116, "H200": 0.00155}


def price_of(text: str) -> float | None:
    """The price of a card of the table by its name, or the number that the text is; None for neither."""
    by_name = {name.casefold(): price for name, price in PRICES.items()}
    if text.strip().casefold() in by_name:
        return by_name[text.strip().casefold()]
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
