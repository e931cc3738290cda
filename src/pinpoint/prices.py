"""What a second of a worker costs, for estimates."""

from __future__ import annotations

from pinpoint.errors import PinpointError

# $ a second of a busy worker, by RunPod's price list of August 2026, flex workers; a newer price is given as a number.
PRICES = {"RTX 4090": 0.00031, "A100": 0.00076, "RTX PRO 6000": 0.00111, "H100": 0.00116, "H200": 0.00155}


def price_of(words: str) -> float:
    """$ a second of one worker: a number, or the name of a card of `PRICES` or a part of it, such as "4090".

    Raises:
        PinpointError: `unknown_card`.
    """
    cards = [price for name, price in PRICES.items() if words.strip() in name.split()]
    if len(cards) == 1:  # "4090" is a card before it is a number
        return cards[0]
    asked = _plain(words)
    try:
        price = float(words)
    except ValueError:
        found = [value for name, value in PRICES.items() if asked and (asked in _plain(name) or _plain(name) in asked)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(PRICES)
        raise PinpointError(
            "unknown_card", f"a number, or one of {known}: $ a second of one worker", "--price"
        ) from None
    if not 0 <= price < 1:
        raise PinpointError("unknown_card", "the price of a worker is $ a second, such as 0.00116", "--price")
    return price


def _plain(words: str) -> str:
    return "".join(character for character in words.lower() if character.isalnum())
