"""The case behind one document: who trades with whom, when, in which currency, written in which style.

A document is only believable when its parts agree, so every fact that may appear twice is drawn once per case and kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import TypeVar

from . import vocabulary as vocab
from .grammar import expand, parse
from .lexicon import KEPT, LEXICON
from .products import TRADES, Trade
from .style import Style

T = TypeVar("T")
_FIRST_DAY = date(1994, 1, 3)
_DAYS = 11500
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


class Case:
    """All random facts of one document, drawn when first asked for."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.random = rng.random
        self.memo: dict[str, str] = {}
        self.today = _FIRST_DAY + timedelta(days=int(self.random() * _DAYS))
        self.style = Style(rng)
        draw = self.random()
        self.size = 0.12 if draw < 0.15 else 0.35 + 0.4 * self.random() if draw < 0.8 else 0.75 + 0.25 * self.random()
        self.titled = True
        self.sparse = self.random() < 0.2
        self.services = True
        self.cents = 0
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
        text = self.fill(template)
        return text[:1].upper() + text[1:]

    def slot(self, name: str) -> str:
        """The text of a slot: kept facts stay the same, others are drawn anew, then the lexicon is asked."""
        kept = self.memo.get(name)
        if kept is not None:
            return kept
        fresh = FRESH.get(name)
        if fresh is not None:
            return fresh(self)
        stable = STABLE.get(name)
        if stable is not None:
            text = self.memo[name] = stable(self)
            return text
        text = self.fill(self.pick(LEXICON[name]))
        if name in KEPT:
            self.memo[name] = text
        return text

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
        country = self.pick(vocab.COUNTRIES)
        parts = {"city": self.pick(country.cities), "region": self.pick(country.regions)}
        parts["postal"] = self.digits(self.fill(country.postal))
        resolve = self.slot
        town = expand(parse(country.town_line), lambda name: parts.get(name) or resolve(name), self.random)
        return self.fill(country.streets), town, parts["city"], parts["region"], parts["postal"], self.fill(country.name)

    def phone(self) -> str:
        """A telephone number in one of many shapes."""
        shape = self.pick(_PHONES)
        return self.digits(shape.replace("+", self.pick(vocab.COUNTRIES).dial) if shape[0] == "+" else shape)


_IDS = (
    "#####", "1####", "####", "######", "#######", "########", "L-####", "LL-#####", "LLL####", "LL######", "##-####",
    "20##-####", "20##/###", "#####-##", "LL/##/###", "###-###-###", "L####L", "0000####", "##########", "LLL-##-####",
)
_PHONES = (
    "(###) ###-####", "###-###-####", "+ ## ### ####", "+ (0)## ### ## ##", "0## #### ####", "0###/#####", "(0#) ####-####",
    "+-##-#######", "0##-### ## ##", "+#########", "0#### ######", "##.##.##.##",
)  # fmt: skip


def _coined(case: Case) -> str:
    name = case.pick(vocab.SYLLABLE_STARTS) + (case.pick(vocab.SYLLABLE_ENDS) if case.chance(0.9) else "")
    return name.capitalize()


def _person(case: Case) -> str:
    first, last = case.pick(vocab.FIRST_NAMES), case.pick(vocab.LAST_NAMES)
    form = case.random()
    if form < 0.78:
        return f"{first} {last}"
    if form < 0.86:
        return f"{first[0]}. {last}"
    if form < 0.92:
        return f"{last}, {first}"
    return f"{case.fill('[Mr|Mrs|Ms|Dr|Mr.|Ms.]')} {first} {last}" if form < 0.97 else f"{first} {last[0]}. {last}"


def _address(case: Case) -> str:
    street, town, _, _, _, country = case.address()
    return f"{street}, {town}, {country}" if case.chance(0.6) else f"{street}, {town}"


def _mail(case: Case) -> str:
    first, last = case.pick(vocab.FIRST_NAMES).lower(), case.pick(vocab.LAST_NAMES).lower().replace("'", "")
    box = case.pick((f"{first}.{last}", f"{first}", f"{first[0]}{last}", "info", "sales", "accounts", "office"))
    return f"{box}@{_coined(case).lower()}.{case.pick(('com', 'co.uk', 'de', 'org', 'net', 'fr', 'in', 'example'))}"


def _from_pool(pool: Sequence[str]) -> Callable[[Case], str]:
    return lambda case: case.pick(pool)


FRESH: dict[str, Callable[[Case], str]] = {
    "first": _from_pool(vocab.FIRST_NAMES),
    "last": _from_pool(vocab.LAST_NAMES),
    "ctrade": _from_pool(vocab.COMPANY_TRADES),
    "cend": _from_pool(vocab.COMPANY_ENDS),
    "cadj": _from_pool(vocab.COMPANY_ADJECTIVES),
    "cnoun": _from_pool(vocab.COMPANY_NOUNS),
    "street": _from_pool(vocab.STREETS),
    "coined": _coined,
    "person": _person,
    "company": lambda case: case.fill(case.pick(vocab.COMPANY_FORMS)),
    "city": lambda case: case.pick(case.pick(vocab.COUNTRIES).cities),
    "country": lambda case: case.fill(case.pick(vocab.COUNTRIES).name),
    "address": _address,
    "house": lambda case: str(case.between(1, 260)),
    "ordinal": lambda case: f"{case.between(4, 99)}th",
    "id": Case.identifier,
    "code": lambda case: case.digits(case.pick(("LLLLL", "LLLL", "L###", "LL##", "####", "#####", "C-####", "LLL##"))),
    "digits4": lambda case: case.digits("####"),
    "phone": Case.phone,
    "mail": _mail,
    "web": lambda case: f"www.{_coined(case).lower()}.{case.pick(('com', 'co.uk', 'net', 'org', 'de', 'com.au'))}",
    "iban": lambda case: case.digits(case.pick(("LL## #### #### #### ####", "LL##LLLL##############", "##-##-## ########", "### ### ###"))),
    "vatid": lambda case: case.digits(case.pick(("LL#########", "GB ### #### ##", "DE#########", "##-#######", "##LLLLL####L#L#"))),
    "sku": lambda case: case.digits(case.pick(("##", "###", "####", "LL-###", "LLL-####", "#####", "L##-##", "########"))),
    "product": Case.product,
    "category": lambda case: case.pick(case.trade.categories),
    "digit": lambda case: str(case.between(1, 9)),
    "n": lambda case: str(case.between(2, 20)),
    "nn": lambda case: str(case.between(11, 99)),
    "nnn": lambda case: str(case.between(100, 999)),
    "nnnn": lambda case: str(case.between(1000, 9999)),
    "qty": lambda case: str(case.between(1, 120)),
    "decimal": lambda case: f"{case.random() * 100:.{case.between(1, 2)}f}",
    "pct": lambda case: f"{case.between(1, 60)}%" if case.chance(0.6) else f"{case.random() * 30:.1f}%",
    "money": lambda case: case.money(1500, 900000),
    "small": lambda case: case.money(100, 15000),
    "big": lambda case: case.money(500000, 90000000),
    "weight": lambda case: f"{case.random() * 900 + 1:.{case.between(0, 2)}f} {case.pick(('kg', 'kgs', 'lbs', 'KG'))}",
    "hours": lambda case: case.pick(("7.5", "8", "8.0", "6", "4", "7", "7:30", "9", "3.5", "10")),
    "time": lambda case: case.fill("{hour}:[00|15|30|45|05|10|20|40|50][|| am| pm| h]"),
    "hour": lambda case: str(case.between(6, 22)),
    "day": lambda case: case.day(-60, 60),
    "earlier": lambda case: case.day(-50, -1),
    "later": lambda case: case.day(3, 60),
    "expiry": lambda case: case.day(180, 1800),
    "started": lambda case: case.day(-2500, -100),
    "born": lambda case: case.day(-28000, -7000),
    "someyear": lambda case: str(case.today.year - case.between(0, 15)),
    "lastyear": lambda case: str(case.today.year - 1),
    "month": lambda case: (case.today + timedelta(days=case.between(-120, 120))).strftime("%B"),
    "weekday": lambda case: case.pick(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")),
}  # fmt: skip

STABLE: dict[str, Callable[[Case], str]] = {
    "seller": FRESH["company"],
    "buyer": FRESH["company"],
    "third": FRESH["company"],
    "me": _person,
    "you": _person,
    "they": _person,
    "town": FRESH["city"],
    "land": FRESH["country"],
    "goods": Case.product,
    "docid": Case.identifier,
    "orderid": Case.identifier,
    "account": FRESH["id"],
    "date": lambda case: case.style.date(case.today),
    "due": lambda case: case.day(7, 60),
    "year": lambda case: str(case.today.year),
    "period": lambda case: case.style.period(case.today),
    "total": lambda case: case.money(2000, 2000000),
    "cur": lambda case: case.style.currency,
    "myfirst": FRESH["first"],
    "yourfirst": FRESH["first"],
}
