"""Receipts as tills, petrol stations and offices print them, with the sum, what was paid, and the change."""

from __future__ import annotations

from .blocks import Block, both, either, line, maybe, rows_of, say
from .case import Case
from .plan import Plan


def _sum(case: Case, cents: int) -> str:
    sign = case.memo.setdefault("sign", case.pick(("", "", "$", "RM ", "Rs ", "£", "€", "S$")))
    return f"{sign}{cents / 100:.2f}"


def till_items(priced: str, low: int, high: int) -> Block:
    """Goods as a till prints them, one or two lines each, with the sum, what was paid, and the change."""

    def block(case: Case) -> str:
        cell = case.memo.setdefault("joint", case.pick((" | ", " ", "  ", "   ")))
        head = case.fill(priced)
        lines = [cell.join(head.split(";;"))] if head and case.chance(0.6) else []
        total, two_lines, coded = 0, case.chance(0.4), case.chance(0.3)
        count = case.between(low, high)
        for _ in range(count):
            quantity, price = case.pick((1, 1, 1, 1, 2, 3)), case.between(80, 6000)
            total += quantity * price
            name = case.product()
            name = name.upper() if case.memo.setdefault("upper", case.pick(("y", "n"))) == "y" else name
            code = case.digits(case.pick(("#############", "######", "LL##"))) + " " if coded else ""
            amount = _sum(case, quantity * price) + case.memo.setdefault("code", case.pick(("", "", " A", " T", " SR")))
            if two_lines:
                unit = case.fill(f"{quantity} [x|X|@|PC|EA] {price / 100:.2f}")
                lines += [code + name, unit + cell + amount]
            else:
                lines.append(f"{code}{name}{cell}{quantity}{cell}{amount}")
        return "\n".join([*lines, *_paid(case, total, count, cell)])

    return block


def _paid(case: Case, total: int, count: int, cell: str) -> list[str]:
    def said(label: str, cents: int) -> str:
        return case.fill(label) + case.memo.setdefault("colon", case.pick((":", " :", ""))) + cell + _sum(case, cents)

    lines = [said("[sub total|subtotal|SUB-TOTAL|Sub Total|Total Sales (Incl GST)]", total)] if case.chance(0.5) else []
    if case.chance(0.5):
        rate = case.pick((5, 6, 7, 10, 19, 20))
        tax = said(f"[GST|VAT|TAX|Service Tax|SST|Sales tax] [@ |]{rate}%", total * rate // (100 + rate))
        lines.insert(case.between(0, len(lines)), tax)
    due = total
    if case.chance(0.3):
        due = round(total / 5) * 5
        lines.append(said("[Rounding|Rounding Adj|Rounding Adjustment|ROUND OFF]", due - total))
    lines.append(said("[TOTAL|Total|GRAND TOTAL|Total Due|Amount Due|Net Total|Total (Rounded)|TO PAY|Total Amt]", due))
    if case.chance(0.62):
        cash = -(-due // 500) * 500
        lines += [
            said("[CASH|Cash|Cash Tendered|Tender|Paid|Cash Received]", cash),
            said("[CHANGE|Change|Change Due|Your Change|CHG]", cash - due),
        ]
    else:
        lines += [
            said("[VISA|MasterCard|Debit Card|CARD|Credit Card|EFTPOS|Contactless|AMEX|E-WALLET]", due),
            *([case.fill("[Card No|CARD|PAN][:| |. ][****|XXXX XXXX XXXX |************]{digits4}")] * case.chance(0.5)),
            *([case.fill("[APPROVAL CODE|Auth Code|Appr. No][: | ]{nnnn}{nn}")] * case.chance(0.5)),
        ]
    if case.chance(0.3):
        lines.append(case.fill(f"[Total Qty|Items|Item Count|No. of items|TOTAL ITEMS][: | ]{count}"))
    if case.chance(0.25):
        lines += [case.fill("[GST Summary|Tax summary|VAT analysis] [Amount|Net] Tax"), f"S 6% {total / 106:.2f}"]
    if case.chance(0.15):
        lines.append(case.fill("[Points|Points Earned|Points this visit|Member points][: | ]{nn}"))
    return lines


def _clock(case: Case) -> str:
    stamp = case.style.date(case.today).removesuffix(" 00:00:00")
    return f"{stamp} {case.between(7, 23):02}:{case.between(0, 59):02}" + case.pick(("", f":{case.between(0, 59):02}"))


_SHOP_HEAD = both(
    maybe(0.15, line("{person}", "{nn}", "COPY", "{nnnn}")),
    line(
        "{seller}\n[({id})|Co. Reg. No. {id}|{id}|Reg No: {id}|]\n{address}[\n{address}|]",
        "{coined} [MART|STORE|SUPERMARKET|CAFE|PHARMACY|HARDWARE|BAKERY|Trading|Enterprise|Stationery|BISTRO|FASHION]\n"
        "[Branch|Store|Outlet][: | ]{town}\n{address}",
        "[Welcome to |]{seller}\n{address}",
    ),
    maybe(0.7, line("[TEL|Tel|Phone|T|Telephone][: |:| ]{phone}[ FAX: {phone}|]")),
    maybe(0.55, line("[GST REG NO|GST No|GST ID|VAT Reg No|TIN|Tax No|ABN|VAT No.][: |:| ]{vatid}")),
)
_SLIP_TITLE = line(
    "[CASH BILL|Cash Sale|RECEIPT|TAX INVOICE|SIMPLIFIED TAX INVOICE|INVOICE|Sales Receipt|CASH RECEIPT|OFFICIAL "
    "RECEIPT|** RECEIPT **|Cash Memo|GUEST CHECK|Receipt|TAX INVOICE (RECEIPT)|CUSTOMER COPY]",
    "[INVOICE|TAX INVOICE|Tax Invoice|INVOICE|CASH INVOICE|Invoice|Sales Invoice|RETAIL INVOICE]",
)


def _slip_facts(case: Case) -> str:
    labelled = [
        case.fill(
            "[Receipt No|Receipt #|Bill No|Doc No|Invoice No|INV|Trans No|Slip No|Document No|Check][: |:| ]{docid}"
        ),
        case.fill("[Date|DATE|][: |:| ]") + _clock(case),
    ]
    labelled += [
        case.fill(text)
        for text in (
            "[Cashier|CASHIER|Served by|Operator|Server|User|Salesperson][: |:| ]{first}",
            "[Counter|Till|POS|Terminal|Station|REG|POS No][: |:| # ]{nn}",
            "[Table|TABLE NO|Tbl][: |:| ]{nn}",
            "[Pax|Covers|Guests][: |:| ]{digit}",
            "[Member|Customer|Member Card][: |:| ][{first}|CASH|{nnnn}|]",
            "[Pump|PUMP #|Nozzle][: | ]{digit}",
            "[TOKEN NO|Queue No|Order|Ticket][: | ]{digit}[, STATION ID: A{digit}|, PID: POS|]",
            "[PRINT BY|Printed by|Print time][: | ][root|admin|{first}|{time}]",
        )
        if case.chance(0.3)
    ]
    if case.chance(0.4):
        case.rng.shuffle(labelled)
    return case.pick(("\n", "\n", "  ", " | ")).join(labelled)


_SLIP_END = both(
    say(
        """
    [THANK YOU|Thank you|Thank You For Shopping|Thanks for your support|THANK YOU FOR YOUR VISIT][!|. |] [PLEASE COME \
      AGAIN|Please come again|See you again|Have a nice day|]
    [GOODS SOLD ARE NOT RETURNABLE|Goods sold are not refundable or exchangeable|No refund without receipt|Exchange \
      within {n} days with this receipt|Keep this receipt for warranty]
    [This is a computer generated receipt|No signature required|Price includes GST|Prices include tax]
    [Tell us about your visit at|Follow us at|Order online:] www.{coined}.com
    """,
        1,
        3,
        0.9,
    ),
    maybe(0.15, _slip_facts),
)
_TILL_HEAD = "[ITEM|DESCRIPTION|Description|CODE/DESC|Item];;[QTY|Qty];;[AMOUNT|PRICE|Amt|RM|TOTAL|U.Price Amt]"
_TILL = Plan(
    "receipt",
    (),
    (_SHOP_HEAD, _SLIP_TITLE, _slip_facts, till_items(_TILL_HEAD, 1, 9), _SLIP_END),
    untitled=1.0,
    ordered=True,
)
_FUEL = Plan(
    "receipt",
    (),
    (
        _SHOP_HEAD,
        either(_SLIP_TITLE, line(">>>> [RECEIPT|Receipt|Card Sale] >>>>")),
        _slip_facts,
        rows_of(
            "{decimal} [litre|L|ltr|gal];;[Pump #|PUMP|Pump] {digit}",
            "[Unleaded|Diesel|Super|Petrol 95|Premium|E10|V-Max];;{small}[ A|]",
            "{decimal} [/|per] [litre|L]",
            "[Total|TOTAL|Amount];;{small}",
            "[VISA|Cash|Fleet Card|Mastercard];;{small}",
        ),
        maybe(0.5, rows_of("{nn}.00% [GST|VAT] A;;{small}", "[Total Gross|Net] A;;{small}")),
        maybe(0.5, line("[Loyalty|Fleet|Bonus] Card {nnnn} {nnnn}\n[Points Awarded|Points][: | ]{nn}")),
        _SLIP_END,
    ),
    untitled=1.0,
    ordered=True,
)
_PAID = Plan(
    "[PAYMENT RECEIPT|Payment Receipt|Receipt of payment|Official Receipt|Booking receipt|Donation receipt|Fee "
    "Receipt]",
    (),
    (
        rows_of("[Guest|Customer|Member|Student|Payer|Donor|Tenant] [Name|]: {you};;[Date|Paid on]: {date}"),
        maybe(
            0.6,
            rows_of(
                "[Booking ID|Receipt No|Transaction ID|Reference];;[Payment Mode|Method|Paid by]",
                "{docid};;[Cash|Card|UPI|Bank transfer|PayFast]",
            ),
        ),
        rows_of(
            "[DESCRIPTION|Description|Particulars];;[RATE|Rate|Qty];;[AMOUNT|Amount]",
            "[Room Charges|Tuition fee|Membership {year}|Ticket {city}|Rent {month}|{product}|Donation|"
            "Deposit];;{small} x {n};;{money}",
            "[Grand Total|Total|Amount received];;{total}",
            "[Payment received by {seller}|Received with thanks|Paid through {coined}|Amount paid];;{total}",
            "[Balance|Balance due|Outstanding];;[0|0.00|Nil|Rs 0]",
        ),
        maybe(
            0.6,
            say(
                """
        [Please note|Note]: [the amount is inclusive of all taxes|this receipt is valid subject to realisation|ask at \
          the desk for the invoice].
        [This is an electronic receipt|Computer generated receipt], [no signature is required|keep it for your records].
        Thank you for [your payment|staying with us|your generous gift|paying on time].
        """,
                1,
                2,
            ),
        ),
        maybe(0.4, line("{seller}\n{address}\n[GSTIN|VAT|Reg. No.] {vatid}")),
    ),
    untitled=0.1,
    ordered=True,
)

PLANS = (_TILL, _TILL, _TILL, _FUEL, _PAID)
