"""The facts that templates may ask a case for: fresh ones drawn at every mention, stable ones kept for the document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from . import vocabulary as vocab
from .draws import Draws
from .grammar import phrases
from .places import COUNTRIES, STREETS

_ROLES = tuple(
    pair.split("/")
    for pair in phrases("""
    Provider/Client; Supplier/Customer; Contractor/Client; Employer/Employee; Seller/Buyer; Licensor/Licensee
    Consultant/Company; Company/Distributor; Party A/Party B; Lender/Borrower; Agent/Principal; Artist/Organiser
    """)
)


def _coined(case: Draws) -> str:
    name = case.pick(vocab.SYLLABLE_STARTS) + (case.pick(vocab.SYLLABLE_ENDS) if case.chance(0.9) else "")
    return name.capitalize()


def _person(case: Draws) -> str:
    first, last = case.pick(vocab.FIRST_NAMES), case.pick(vocab.LAST_NAMES)
    form = case.random()
    if form < 0.78:
        return f"{first} {last}"
    if form < 0.86:
        return f"{first[0]}. {last}"
    if form < 0.92:
        return f"{last}, {first}"
    return f"{case.fill('[Mr|Mrs|Ms|Dr|Mr.|Ms.]')} {first} {last}" if form < 0.97 else f"{first} {last[0]}. {last}"


def _address(case: Draws) -> str:
    street, town, _, _, _, country = case.address()
    return f"{street}, {town}, {country}" if case.chance(0.6) else f"{street}, {town}"


def _time(case: Draws) -> str:
    hour, minute = case.between(6, 21), case.pick(("00", "00", "15", "30", "30", "45", "05", "10", "20", "40", "50"))
    form = case.random()
    if form < 0.25:
        return f"{(hour - 1) % 12 + 1}:{minute} {'am' if hour < 12 else 'pm'}"
    if form < 0.35:
        return f"{(hour - 1) % 12 + 1}{'am' if hour < 12 else 'pm'}"
    return f"{hour}:{minute}" if form < 0.8 else f"{hour:02}.{minute}" if form < 0.9 else f"{hour}:{minute} h"


def _role(place: int) -> Callable[[Draws], str]:
    def role(case: Draws) -> str:
        one, two = case.pick(_ROLES)
        case.memo["roleone"], case.memo["roletwo"] = one, two
        return (one, two)[place]

    return role


def _mail(case: Draws) -> str:
    first, last = case.pick(vocab.FIRST_NAMES).lower(), case.pick(vocab.LAST_NAMES).lower().replace("'", "")
    box = case.pick((f"{first}.{last}", f"{first}", f"{first[0]}{last}", "info", "sales", "accounts", "office"))
    return f"{box}@{_coined(case).lower()}.{case.pick(('com', 'co.uk', 'de', 'org', 'net', 'fr', 'in', 'example'))}"


def _from_pool(pool: Sequence[str]) -> Callable[[Draws], str]:
    return lambda case: case.pick(pool)


_ACCOUNTS = ("LL## #### #### #### ####", "LL##LLLL##############", "##-##-## ########", "### ### ###")
_TAX_IDS = ("LL#########", "GB ### #### ##", "DE#########", "##-#######", "##LLLLL####L#L#")
_SKUS = ("##", "##", "###", "####", "LL-###", "LLL-####", "#####", "L##-##", "########")

FRESH: dict[str, Callable[[Draws], str]] = {
    "first": _from_pool(vocab.FIRST_NAMES),
    "last": _from_pool(vocab.LAST_NAMES),
    "ctrade": _from_pool(vocab.COMPANY_TRADES),
    "cend": _from_pool(vocab.COMPANY_ENDS),
    "cadj": _from_pool(vocab.COMPANY_ADJECTIVES),
    "cnoun": _from_pool(vocab.COMPANY_NOUNS),
    "street": _from_pool(STREETS),
    "coined": _coined,
    "person": _person,
    "company": lambda case: case.fill(case.pick(vocab.COMPANY_FORMS)),
    "city": lambda case: case.pick(case.pick(COUNTRIES).cities),
    "country": lambda case: case.fill(case.pick(COUNTRIES).name),
    "address": _address,
    "house": lambda case: str(case.between(1, 260)),
    "ordinal": lambda case: f"{case.between(4, 99)}th",
    "id": lambda case: case.identifier(),
    "code": lambda case: case.digits(case.pick(("LLLLL", "LLLL", "L###", "LL##", "####", "#####", "C-####", "LLL##"))),
    "digits4": lambda case: case.digits("####"),
    "phone": lambda case: case.phone(),
    "mail": _mail,
    "web": lambda case: f"www.{_coined(case).lower()}.{case.pick(('com', 'co.uk', 'net', 'org', 'de', 'com.au'))}",
    "iban": lambda case: case.digits(case.pick(_ACCOUNTS)),
    "vatid": lambda case: case.digits(case.pick(_TAX_IDS)),
    "sku": lambda case: case.digits(case.pick(_SKUS)),
    "product": lambda case: case.product(),
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
    "time": _time,
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

STABLE: dict[str, Callable[[Draws], str]] = {
    "roleone": _role(0),
    "roletwo": _role(1),
    "seller": FRESH["company"],
    "buyer": FRESH["company"],
    "third": FRESH["company"],
    "me": _person,
    "you": _person,
    "they": _person,
    "town": FRESH["city"],
    "land": FRESH["country"],
    "goods": lambda case: case.product(),
    "docid": lambda case: case.identifier(),
    "orderid": lambda case: case.identifier(),
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
