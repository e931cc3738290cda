"""The fields that all papers of one sale share: which order, of when, for whom, through whom.

Any of them stands on an invoice as well as on a shipping order, so none of them tells the kind. They are added to the
documents of a sale at random, before or behind what the kind itself writes, so that a model does not take the word
"order" or a customer's address for a sign of one kind.
"""

from __future__ import annotations

import random

from .style import SEPARATORS
from .vocabulary import COMPANY_NOUNS, FIRST_NAMES, LAST_NAMES

KINDS_OF_A_SALE = frozenset(
    (
        "invoice",
        "receipt",
        "credit note",
        "quote",
        "purchase order",
        "sales order confirmation",
        "shipping order",
        "delivery note",
        "packing list",
        "payment reminder",
    )
)
SHARE = 0.45

_ORDER = ("order", "order id", "order no.", "order number", "order ref", "sales order", "reference", "document id")
_DATE = ("order date", "ordered", "date of order", "date", "entered on")
_CUSTOMER = ("customer id", "customer no.", "client code", "account", "customer code", "buyer id")
_HEADS = ("order details", "customer details", "details", "employee details", "general", "order information", "client")
_PEOPLE = ("contact", "contact name", "employee name", "sales rep", "handled by", "clerk", "customer name", "seller")
_PLACES = ("city", "region", "postal code", "country", "address", "phone", "fax", "e-mail")


def with_references(text: str, rng: random.Random) -> str:
    """`text` with some of the shared fields at its head, behind its first line, or at its end."""
    separator = rng.choice(SEPARATORS)
    fields = [
        (rng.choice(_ORDER), _code(rng)),
        (rng.choice(_DATE), f"{rng.randint(1995, 2025)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"),
        (rng.choice(_CUSTOMER), rng.choice(LAST_NAMES)[:5].upper()),
        (rng.choice(_PEOPLE), f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"),
        *((place, _value(rng)) for place in rng.sample(_PLACES, rng.randint(0, 5))),
    ]
    kept = [field for field in fields if rng.random() < 0.7]
    if rng.random() < 0.3:
        rng.shuffle(kept)
    lines = [f"{name}{separator}{value}" for name, value in kept]
    if rng.random() < 0.5:
        lines.insert(0, rng.choice(_HEADS))
    block = rng.choice(("\n", "\n", "  ", " ")).join(lines)
    head, _, rest = text.partition("\n")
    return rng.choice((f"{block}\n{text}", f"{head}\n{block}\n{rest}", f"{head}\n{block}\n{rest}", f"{text}\n{block}"))


def _code(rng: random.Random) -> str:
    return rng.choice(("", "", "#", "SO-", "A")) + str(rng.randint(100, 999_999))


def _value(rng: random.Random) -> str:
    number = rng.randint(1, 99_999)
    return rng.choice(
        (rng.choice(COMPANY_NOUNS), rng.choice(LAST_NAMES), str(number), f"{number} {rng.choice('ABCXYZ')}")
    )
