"""How one document is set: dates, sums, letter case of labels, separators and arrangement, drawn once per document."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date

from .grammar import phrases

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def _ordinal(day: int) -> str:
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


_DATES: tuple[Callable[[date], str], ...] = (
    lambda d: f"{d.year}-{d.month:02}-{d.day:02}",
    lambda d: f"{d.year}-{d.month:02}-{d.day:02}",
    lambda d: f"{d.day:02}/{d.month:02}/{d.year}",
    lambda d: f"{d.month}/{d.day}/{d.year}",
    lambda d: f"{d.month:02}/{d.day:02}/{d.year % 100:02}",
    lambda d: f"{d.day:02}.{d.month:02}.{d.year}",
    lambda d: f"{d.day} {_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{_MONTHS[d.month - 1]} {d.day}, {d.year}",
    lambda d: f"{d.day:02}-{_MONTHS[d.month - 1][:3]}-{d.year % 100:02}",
    lambda d: f"{d.day:02}-{_MONTHS[d.month - 1][:3].upper()}-{d.year}",
    lambda d: f"{_MONTHS[d.month - 1][:3]} {d.day}, {d.year}",
    lambda d: f"{_ordinal(d.day)} {_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{d.year}/{d.month:02}/{d.day:02}",
    lambda d: f"{d.day:02}-{d.month:02}-{d.year}",
    lambda d: f"{d.year}-{d.month:02}-{d.day:02} 00:00:00",
)
_PERIODS: tuple[Callable[[date], str], ...] = (
    lambda d: f"{d.year}-{d.month:02}",
    lambda d: f"{_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{d.month:02}/{d.year}",
    lambda d: f"Q{(d.month + 2) // 3} {d.year}",
    lambda d: f"{_MONTHS[d.month - 1][:3]} {d.year % 100:02}",
    lambda d: f"week {d.isocalendar().week} {d.year}",
    lambda d: f"01/{d.month:02}/{d.year} - 28/{d.month:02}/{d.year}",
    lambda d: f"the month of {_MONTHS[d.month - 1]}",
    lambda d: f"{d.year}",
)
_CURRENCIES = phrases("""
USD $#; USD $#; GBP £#; EUR €#; EUR # €; INR Rs. #; JPY ¥#; CHF CHF #; SEK # kr; PLN # zł; BRL R$ #; AUD A$#
ZAR R #; AED AED #; NOK NOK #; EUR EUR #; USD US$ #; USD # USD; USD #; EUR #; GBP #
""")  # code and form of a sum, # standing for the number
_LABEL_CASES: tuple[Callable[[str], str], ...] = (
    str.title, str.title, str.title, str.capitalize, str.capitalize, str.upper, str.lower, lambda s: s,
    lambda s: s.title().replace(" ", ""), lambda s: s.replace(" ", "_").lower(),
)  # fmt: skip
SEPARATORS = (": ", ": ", ": ", ":", " ", " ", " - ", "\t", " : ", "  ", " = ", ":\n", " .... ", " | ", " # ")
_ARRANGEMENTS = ("lines", "lines", "lines", "lines", "pairs", "inline", "inline", "stacked", "columns", "grid")
_JOINTS = ("  ", " ", " | ", "; ", ", ", "    ", "\t", " / ")
_CELLS = ("  ", " ", "   ", "\t", " | ", ", ", ";", "    ")
_GAPS = ("\n", "\n", "\n\n", "\n\n", "\n---\n", "\n\n\n", "\n----------\n")
_BULLETS = ("- ", "* ", "• ", "", "", "o ", "– ")


class Style:
    """The typographic habits of one document."""

    def __init__(self, rng: random.Random) -> None:
        def one(count: int) -> int:
            return int(rng.random() * count)

        self._rng = rng
        self.date = _DATES[one(len(_DATES))]
        self.period = _PERIODS[one(len(_PERIODS))]
        self.currency, _, self._sum = _CURRENCIES[one(len(_CURRENCIES))].partition(" ")
        self._thousands, self._point = ((",", "."), ("", "."), (".", ","), (" ", ","), ("", "."))[one(5)]
        self._short = rng.random() < 0.15
        self._raw = rng.random() < 0.1
        self.signs_in_tables = rng.random() < 0.4
        self.label = _LABEL_CASES[one(len(_LABEL_CASES))]
        self.separator = SEPARATORS[one(len(SEPARATORS))]
        self.arrangement = _ARRANGEMENTS[one(len(_ARRANGEMENTS))]
        self.joint = _JOINTS[one(len(_JOINTS))]
        self.cell = _CELLS[one(len(_CELLS))]
        self.gap = _GAPS[one(len(_GAPS))]
        self.bullet = _BULLETS[one(len(_BULLETS))]
        self.numbered = rng.random() < 0.3
        self.product_case: Callable[[str], str] = (str.capitalize, str.title, str, str.upper, str.capitalize)[one(5)]
        self.heading: Callable[[str], str] = (str.upper, str.title, str.capitalize, str.title, str.capitalize)[one(5)]

    def amount(self, cents: int) -> str:
        """A sum without currency sign."""
        if self._raw:
            return f"{cents / 100}"
        whole, rest = divmod(abs(cents), 100)
        text = f"{whole:,}".replace(",", self._thousands) if whole > 999 else str(whole)
        if self._short:
            text += f"{self._point}{rest:02}".rstrip("0") if rest else ""
        else:
            text += f"{self._point}{rest:02}"
        return "-" + text if cents < 0 else text

    def money(self, cents: int) -> str:
        """A sum with its currency sign."""
        return self._sum.replace("#", self.amount(cents))

    def cell_money(self, cents: int) -> str:
        """A sum as it stands in a table, with or without sign."""
        return self.money(cents) if self.signs_in_tables else self.amount(cents)
