"""The draws behind one document: chances, dates, amounts, numbers and addresses, in one style.

`facts` are made of these, and `case.Case` keeps the facts of one document.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import TypeVar

from .grammar import expand, parse, phrases
from .places import COUNTRIES
from .products import TRADES, Trade
from .style import Style

T = TypeVar("T")
_FIRST_DAY = date(1994, 1, 3)
_DAYS = 11500
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


class Draws(ABC):
    """What a case draws from: its chances, its style and date, and texts of the shapes that facts have."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.random: Callable[[], float] = rng.random
        self.memo: dict[str, str] = {}
        self.today: date = _FIRST_DAY + timedelta(days=int(self.random() * _DAYS))
        self.style: Style = Style(rng)
        draw = self.random()
        self.size = 0.12 if draw < 0.12 else 0.45 + 0.45 * self.random() if draw < 0.7 else 0.9 + 0.6 * self.random()
        self.titled = True
        self.sparse = self.random() < 0.2
        self.services = True
        self.cents: int = 0
        self._trade: Trade | None = None

    # -- draws ---------------------------------------------------------------------------------------------------

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[int(self.random() * len(options))]

    def chance(self, probability: float) -> bool:
        """True with the probability."""
        return self.random() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.random() * (high - low + 1))

    def some(self, options: Sequence[T], low: int, high: int) -> list[T]:
        """A sample without repetition of low to high options, in random order."""
        count = min(len(options), self.between(low, high))
        return self.rng.sample(options, count) if count else []

    def scaled(self, low: int, high: int) -> int:
        """A count from low to high that grows with the size of the document."""
        return max(low, min(high, int(low + (high - low + 1) * self.size * (0.5 + self.random()) / 1.1)))

    # -- text ----------------------------------------------------------------------------------------------------

    def fill(self, template: str) -> str:
        """The template with its choices drawn and its slots filled."""
        return expand(parse(template), self.slot, self.random)

    def sentence(self, template: str) -> str:
        """The filled template with a capital first letter."""
        text = self.fill(template).replace("  ", " ").replace(" .", ".").replace(" ,", ",")
        return text[:1].upper() + text[1:]

    @abstractmethod
    def slot(self, name: str) -> str:
        """The text of a slot."""

    # -- facts ---------------------------------------------------------------------------------------------------

    @property
    def trade(self) -> Trade:
        """The line of business of this case."""
        if self._trade is None:
            self._trade = self.pick(TRADES) if self.services else self.pick(TRADES[:-1])
        return self._trade

    def product(self) -> str:
        """The name of one product of the case's trade."""
        trade = self.trade
        name = self.pick(trade.nouns)
        if self.random() < 0.75:
            name = self.fill(self.pick(trade.before)) + " " + name
        if self.random() < 0.4:
            name += " " + self.fill(self.pick(trade.after))
        return self.style.product_case(name)

    def day(self, low: int, high: int) -> str:
        """A date low to high days from the date of the document, in its date style."""
        return self.style.date(self.today + timedelta(days=self.between(low, high)))

    def digits(self, pattern: str) -> str:
        """The pattern with # replaced by digits and L by letters."""
        draw = self.random
        return "".join(
            str(int(draw() * 10)) if c == "#" else _LETTERS[int(draw() * 23)] if c == "L" else c for c in pattern
        )

    def identifier(self) -> str:
        """A reference number in one of many shapes."""
        return self.digits(self.pick(_IDS))

    def money(self, low: int, high: int) -> str:
        """An amount between two sums in cents, low ones more often."""
        return self.style.money(low + int((high - low) * self.random() ** 2))

    def address(self) -> tuple[str, str, str, str, str, str]:
        """Street, town line, city, region, postal code and country of one address, which agree with each other."""
        country = self.pick(COUNTRIES)
        parts = {"city": self.pick(country.cities), "region": self.pick(country.regions)}
        parts["postal"] = self.digits(self.fill(country.postal))
        resolve = self.slot
        town = expand(parse(country.town_line), lambda name: parts.get(name) or resolve(name), self.random)
        return (
            self.fill(country.streets),
            town,
            parts["city"],
            parts["region"],
            parts["postal"],
            self.fill(country.name),
        )

    def phone(self) -> str:
        """A telephone number in one of many shapes."""
        shape = self.pick(_PHONES)
        return self.digits(shape.replace("+", self.pick(COUNTRIES).dial) if shape[0] == "+" else shape)


_IDS = (
    "#####",
    "1####",
    "####",
    "######",
    "#######",
    "########",
    "L-####",
    "LL-#####",
    "LLL####",
    "LL######",
    "##-####",
    "20##-####",
    "20##/###",
    "#####-##",
    "LL/##/###",
    "###-###-###",
    "L####L",
    "0000####",
    "##########",
    "LLL-##-####",
)
_PHONES = phrases("""
(###) ###-####; ###-###-####; + ## ### ####; + (0)## ### ## ##; 0## #### ####; 0###/#####; (0#) ####-####; +-##-#######
0##-### ## ##; +#########; 0#### ######; ##.##.##.##
""")
