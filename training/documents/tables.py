"""Line items and other tables: columns drawn at random, set by row, by column, by cell or as labelled values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .blocks import Block, Field, arrange
from .case import Case


@dataclass(slots=True)
class Item:
    """One line: what it is, how many, at which price in cents."""

    number: int
    name: str
    sku: str
    quantity: int
    unit: str
    price: int
    discount: int

    @property
    def total(self) -> int:
        """The price of the whole line in cents."""
        return self.quantity * self.price * (100 - self.discount) // 100


_QUANTITIES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, 30, 40, 50, 60, 100)
_DISCOUNTS = (0, 0, 0, 0, 5, 10, 15, 20, 25)


def _draw_item(case: Case, number: int) -> Item:
    low, high = case.trade.prices
    price = low + int((high - low) * case.random() ** 3)
    price -= price % case.pick((1, 5, 10, 50, 100))
    return Item(
        number,
        case.product(),
        case.slot("sku"),
        case.pick(_QUANTITIES),
        case.pick(case.trade.units),
        max(price, 5),
        case.pick(_DISCOUNTS),
    )


@dataclass(frozen=True, slots=True)
class Column:
    """A column: synonyms of its heading and the cell of an item."""

    label: str
    cell: Callable[[Case, Item], str]


def _number(low: int, high: int) -> Callable[[Case, Item], str]:
    return lambda case, item: str(low + int((high - low) * case.random() ** 2))


def _filled(template: str) -> Callable[[Case, Item], str]:
    return lambda case, item: case.fill(template)


COLUMNS: dict[str, Column] = {
    "number": Column("no.|#|line|pos|pos.|item no.|line no|s/n|sr. no.", lambda case, item: str(item.number)),
    "name": Column(
        "product|product name|description|item|article|goods|description of goods|item description|particulars|"
        "product description|details|designation|name of product|material",
        lambda case, item: item.name,
    ),
    "sku": Column(
        "product id|item code|sku|code|art. no.|article no|part no.|product code|item no|ref|stock "
        "code|catalogue no|mat. no",
        lambda case, item: item.sku,
    ),
    "quantity": Column(
        "quantity|qty|qty.|quantity|amount|units|no. of units|pcs|number|count|q-ty",
        lambda case, item: str(item.quantity),
    ),
    "unit": Column("unit|uom|unit of measure|u/m|per|pack|quantity per unit", lambda case, item: item.unit),
    "price": Column(
        "unit price|price|unit cost|rate|price each|price per unit|price/unit|cost|net price|unit price ({cur})|each",
        lambda case, item: case.style.cell_money(item.price),
    ),
    "discount": Column(
        "discount|disc.|disc %|rebate|less", lambda case, item: f"{item.discount}%" if item.discount else "0"
    ),
    "vat": Column("vat|tax|vat %|tax rate|gst|vat rate|sales tax", _filled("[0|5|7|19|20|21|23|10|18][%|%|]")),
    "total": Column(
        "total|amount|line total|total price|net amount|extended price|sum|value|subtotal|amount ({cur})|line "
        "amount|net",
        lambda case, item: case.style.cell_money(item.total),
    ),
    "ordered": Column("ordered|qty ordered|quantity ordered|order qty", lambda case, item: str(item.quantity)),
    "delivered": Column(
        "delivered|qty delivered|quantity delivered|supplied|this delivery|qty received|received",
        lambda case, item: str(item.quantity),
    ),
    "shipped": Column(
        "shipped|qty shipped|quantity shipped|ship qty|qty to ship", lambda case, item: str(item.quantity)
    ),
    "backorder": Column("backorder|back order|outstanding|to follow|b/o|balance|remaining", _number(0, 6)),
    "weight": Column("weight|net weight|weight (kg)|kg|gross wt|wt", _filled("{weight}|{decimal}")),
    "carton": Column(
        "carton no.|ctn|box no|package|case no.|pallet|ctns|no. of packages|parcel",
        _filled("{digit}|{digit}-{n}|{digit} of {n}|PLT {digit}"),
    ),
    "dimensions": Column(
        "dimensions|measurement|dims|size (cm)|cbm|l x w x h", _filled("{nn} x {nn} x {nn}|{nn}x{nn}x{nn} cm|{decimal}")
    ),
    "stock": Column(
        "units in stock|in stock|on hand|stock on hand|qty on hand|stock level|current stock|quantity on "
        "hand|stock|available|balance|"
        "closing stock|stock qty|available stock|physical stock",
        _number(0, 400),
    ),
    "sold": Column(
        "units sold|sold|qty sold|sales (units)|quantity sold|issued|units out|outgoing|issues", _number(0, 300)
    ),
    "reorder": Column(
        "reorder level|reorder point|min stock|minimum|min. level|safety stock|min qty|par level",
        _filled("[0|5|10|15|20|25|30|50]"),
    ),
    "onorder": Column(
        "units on order|on order|incoming|expected|in transit|qty on order", _filled("[0|0|0|10|20|40|60|100]")
    ),
    "opening": Column("opening stock|opening|opening balance|stock at start|brought forward", _number(0, 400)),
    "counted": Column("counted|physical count|count|actual|stock take", _number(0, 400)),
    "variance": Column("variance|difference|+/-|discrepancy", _filled("[0|0|-1|2|-3|1|-12|5]")),
    "bin": Column(
        "bin|location|shelf|warehouse|aisle|bin location|rack|whse",
        _filled("[A|B|C|D]-{nn}|{digit}-{nn}|WH{digit}|R{digit}/{n}|[main|north|south]"),
    ),
    "value": Column(
        "stock value|value|inventory value|total value|value ({cur})|valuation",
        lambda case, item: case.style.cell_money(item.total),
    ),
    "listprice": Column(
        "list price|retail price|price|rrp|unit price|price per unit|trade price|wholesale price|price excl. "
        "vat|your price|net price",
        lambda case, item: case.style.cell_money(item.price),
    ),
    "bulkprice": Column(
        "price from {nn} units|{nn}+|bulk price|dealer price|per {nn}|price per case|quantity price",
        lambda case, item: case.style.cell_money(item.price * 9 // 10),
    ),
    "minimum": Column("min. order|moq|minimum order|minimum quantity|sold in", _filled("[1|5|10|12|24|50|100]")),
    "available": Column(
        "availability|lead time|stock status", _filled("[in stock|{n} days|on request|{digit} weeks|ex stock]")
    ),
    "origin": Column("country of origin|origin|coo|made in", _filled("{country}")),
    "hscode": Column(
        "hs code|tariff code|commodity code|hts no.|tariff no.",
        lambda case, item: case.digits(case.pick(("####.##", "########", "####.##.##"))),
    ),
    "revenue": Column(
        "revenue|sales|turnover|net sales|sales value|sales amount|gross sales",
        lambda case, item: case.money(20000, 9000000),
    ),
    "growth": Column("growth|change|vs last year|% change|yoy|vs prior period|trend", _filled("[+|-|]{pct}")),
    "target": Column("target|budget|plan|quota|goal", lambda case, item: case.money(20000, 9000000)),
    "category": Column("category|group|product group|family|category name", _filled("{category}")),
}


def _columns(case: Case, needed: str, optional: str) -> list[Column]:
    names = needed.split()
    extra = [name for name in optional.split() if case.random() < 0.4]
    for name in extra:
        names.insert(case.between(0, len(names)), name)
    if case.random() < 0.25:
        case.rng.shuffle(names)
    if case.size < 0.2 and len(names) > 4:
        names = [name for name in names if name in needed.split()]
    return [COLUMNS[name] for name in names]


def lay_out(case: Case, labels: list[str], rows: list[list[str]], how: float) -> str:
    """A table of strings in one of many arrangements, which ``how`` between 0 and 1 picks."""
    style = case.style
    labels = [style.label(label) for label in labels]
    cell = style.cell
    if how < 0.45:
        return "\n".join(cell.join(row) for row in [labels, *rows])
    if how < 0.55:
        widths = [max(len(text) for text in column) + 2 for column in zip(labels, *rows, strict=True)]
        return "\n".join(
            "".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in [labels, *rows]
        )
    if how < 0.78:
        inner = case.pick(("\n", "\n", style.joint, " "))
        outer = case.pick(("\n", "\n\n", "\n---\n", "\n----------\n"))
        separator = style.separator
        return outer.join(
            inner.join(label + separator + text for label, text in zip(labels, row, strict=True)) for row in rows
        )
    if how < 0.86:
        return "\n".join("\n".join(row) for row in [labels, *rows])
    if how < 0.94:
        return "\n".join(
            cell.join(column) if case.random() < 0.3 else "\n".join(column)
            for column in zip(labels, *rows, strict=True)
        )
    return "\n".join(cell.join(row) for row in rows)


def _by_category(case: Case, labels: list[str], rows: list[list[str]], how: float) -> str:
    """The table in groups, each below the name of its category."""
    style = case.style
    word = style.label(case.fill("category|category|category|group|section|department|product group"))
    parts: list[str] = []
    plain = case.random() < 0.35
    for name in case.some(case.trade.categories, 2, 4):
        if not rows:
            break
        count = case.between(1, 4)
        head = style.heading(name) if plain else word + style.separator + name
        parts.append(head + "\n" + lay_out(case, labels, rows[:count], how))
        rows = rows[count:]
    return case.pick(("\n", "\n\n")).join(parts)


def items(
    needed: str,
    optional: str = "",
    low: int = 1,
    high: int = 7,
    chance: float = 1.0,
    heads: str = "",
    grouped: bool = False,
) -> Block:
    """A table of goods with the needed columns and some of the optional ones, sometimes split by category."""

    def block(case: Case) -> str:
        if case.random() > chance and case.titled:
            return ""
        columns = _columns(case, needed, optional)
        labels = [case.fill(column.label) for column in columns]
        goods = [_draw_item(case, number) for number in range(1, case.scaled(low, high) + 1)]
        case.cents = sum(item.total for item in goods)
        rows = [[column.cell(case, item) for column in columns] for item in goods]
        how = case.random()
        if grouped and len(rows) > 2 and COLUMNS["category"] not in columns and case.random() < 0.5:
            return _by_category(case, labels, rows, how)
        text = lay_out(case, labels, rows, how)
        if heads and case.random() < 0.45:
            text = case.style.heading(case.fill(heads)) + case.pick(("\n", ":\n", " ---- \n", ":\n\n")) + text
        return text

    return block


def table(columns: tuple[Field, ...], low: int = 2, high: int = 7, least: int = 3, keys: int = 1) -> Block:
    """A table whose cells are templates; the first ``keys`` columns are always there, at least ``least`` in all."""

    def block(case: Case) -> str:
        chosen = [*columns[:keys], *case.some(columns[keys:], max(0, least - keys), len(columns) - keys)]
        if case.random() < 0.6:
            chosen.sort(key=columns.index)
        drawn = [column.draw(case) for column in chosen]
        rows = {
            cells[0]: cells
            for _ in range(case.scaled(low, high))
            if (cells := [case.fill(value) for _, value in drawn])
        }
        return lay_out(case, [label for label, _ in drawn], list(rows.values()), case.random())

    return block


_DEFAULT_TOTAL = "total|total|grand total|total amount|total price|sum total|total {cur}|total ({cur})|total incl. vat"


def totals(total: str = _DEFAULT_TOTAL, chance: float = 0.85) -> Block:
    """The sums below a table: subtotal, discount, tax and carriage as it happens, then the kind's own total."""

    def block(case: Case) -> str:
        if case.random() > chance:
            return ""
        cents, money = case.cents or case.between(300, 900000), case.style.money
        pairs: list[tuple[str, str]] = []
        if case.random() < 0.45:
            pairs.append(
                (case.fill("subtotal|sub total|net total|goods total|net amount|total excl. vat"), money(cents))
            )
        if case.random() < 0.15:
            off = cents // case.pick((10, 20, 50))
            pairs.append((case.fill("discount|less discount|rebate"), money(-off)))
            cents -= off
        if case.random() < 0.45:
            rate = case.pick((5, 7, 10, 18, 19, 20, 21, 23))
            tax = cents * rate // 100
            pairs.append(
                (case.fill(f"vat|tax|vat {rate}%|sales tax|gst {rate}%|tax ({rate}%)|vat @ {rate}%"), money(tax))
            )
            cents += tax
        if case.random() < 0.25:
            carriage = case.between(300, 9000)
            pairs.append(
                (case.fill("shipping|freight|carriage|delivery charge|postage & packing|handling"), money(carriage))
            )
            cents += carriage
        case.memo["total"] = money(cents)
        pairs.append((case.fill(total), money(cents)))
        return arrange(case, pairs)

    return block
