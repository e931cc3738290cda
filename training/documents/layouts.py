"""Invoices, receipts, mails and letters as tills, web shops, service companies and mail programs set them out.

The plans of `trade` and `correspondence` compose papers from labelled fields. Here are the layouts in which such papers
reach a mail room: till slips that call themselves invoices, invoices of market places and subscriptions, mails with the
headers of their protocol.
"""

from __future__ import annotations

from datetime import timedelta

from .blocks import Block, both, either, line, maybe, say
from .case import Case
from .plan import Plan

SHARE = 0.4  # of the documents of these kinds


def rows_of(*templates: str) -> Block:
    """Lines whose cells, between `;;`, stand apart as the document's style has it: in columns, or behind bars."""

    def block(case: Case) -> str:
        joint = case.memo.setdefault("joint", case.pick((" | ", " | ", "  ", " ", "    ", "\t")))
        filled = (case.fill(template) for template in templates)
        return "\n".join(joint.join(part.strip() for part in text.split(";;")) for text in filled if text.strip())

    return block


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
    "RECEIPT|** RECEIPT **|Cash Memo|GUEST CHECK|Receipt|TAX INVOICE (RECEIPT)|CUSTOMER COPY]"
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

_MARKET = Plan(
    "[Retail Invoice|Tax Invoice|Retail Invoices/Bill|TAX INVOICE|Invoice|Tax Invoice/Bill of Supply|Invoice for your "
    "order]",
    (),
    (
        line("[Invoice No|Invoice Number|Invoice #|Bill no.][: | : # |:]{docid}"),
        maybe(0.8, line("[Sold By|Seller|Ship from|Dispatched by][: | : ]{seller}, {address}")),
        rows_of(
            "[Order ID|Order Number|Order No.]: {orderid};;[Billing Address|Bill To];;[Shipping Address|Ship To|"
            "Deliver to]",
            "[Order Date]: {earlier};;{you};;{you}",
            "[Invoice Date]: {date};;{address};;{address}",
            "[VAT/TIN|GSTIN|PAN|VAT|Tax ID]: {vatid};;[Phone|Tel]: {phone};;[Phone|Tel]: {phone}",
        ),
        rows_of(
            "[Product|Description|Item];;[Title|SKU|Code];;[Qty|Quantity];;[Price|Unit price];;[Tax(%)|Tax "
            "rate];;[Tax];;[Total|Total amount]",
            "{product};;{code};;{digit};;{small};;{pct};;{small};;{small}",
            "[{product};;{code};;{digit};;{small};;{pct};;{small};;{small}|]",
            "[Shipping|Delivery|Gift wrap|Discount|];;{digit};;{small};;0.00",
            "[Total|Grand Total|TOTAL];;{digit};;{small};;{total}",
        ),
        maybe(
            0.7,
            say(
                """
        [Keep this invoice and the box for warranty|Contact {seller} at {phone} or www.{coined}.com/help].
        [All values are in {cur}|Whether tax is payable under reverse charge: No|Declaration: the goods sold are for \
          end use and not for resale].
        [Regd. office|Registered address]: {address}. [E. & O.E.|Authorised signatory|This is a computer generated \
          invoice].
        [Returns|Return policy]: [at {coined} we try to deliver perfectly|items may be returned within {n} days].
        """,
                1,
                3,
            ),
        ),
    ),
    untitled=0.1,
    ordered=True,
)
_SERVICE = Plan(
    "{seller} [Invoice|Invoice|Tax Invoice|Billing Statement and Invoice]|[Invoice|INVOICE]|Invoice Summary",
    (
        line("[Account number|Customer number|Account ID][: |:\n]{id}"),
        line("[Bill to [Address|]|Billed to|Invoice to|Customer]:\n[ATTN: {you}\n|]{buyer}\n{address}"),
    ),
    (
        maybe(
            0.5,
            line(
                "[Email or talk to us|Questions? Contact us] about your [account|bill|subscription|plan], visit {web}"
            ),
        ),
        rows_of(
            "[Invoice Number|Invoice No.|Invoice ID]:;;{docid}",
            "[Invoice Date|Date of issue|Issued]:;;{date}",
            "[TOTAL AMOUNT DUE ON {due}|Amount due|Total due|Balance due|Due {due}];;{total}",
        ),
        maybe(
            0.8,
            line(
                "This invoice is for the [billing|service|subscription] period {earlier} - {date}",
                "[Billing|Service] period: {period}",
                "[Usage|Subscription|Services] {earlier} to {date}",
            ),
        ),
        maybe(
            0.4,
            say(
                """
        [Greetings from|Thank you for choosing] {seller}[, we're writing to provide you with an electronic invoice|].
        [Your card ending in {digits4} will be charged|Payment will be collected by direct debit] [on {due}|shortly].
        Additional information [regarding|about] your bill is available [online|on your account page].
        """,
                1,
                2,
            ),
        ),
        rows_of(
            "[Summary|Description|Charges|Detail];;[Amount|Total|]",
            "[Monthly plan|Service charges|Hosting {period}|{n} users x standard|Data transfer|Consulting, {n} h|"
            "Support];;{small}",
            "[Storage|Additional users|Compute|Domain renewal|Travel|Licences|Calls and texts|];;{small}",
            "[Credits|Discount|Charges];;{small}",
            "[Tax|VAT|GST][ *|];;{small}",
            "[Total for this invoice|Total|Total due|Invoice total];;{total}",
        ),
        maybe(
            0.6,
            line(
                "* [May include estimated taxes|VAT is charged where it applies]. ** This is not a VAT receipt.",
                "[Please pay|Pay by transfer to] {iban} [quoting|with reference] {docid}",
                "{seller}, {address}. [Registered in|Tax number] {vatid}",
            ),
        ),
    ),
    untitled=0.25,
)


def _mail_headers(case: Case) -> str:
    day = case.today + timedelta(days=case.between(-3, 3))
    clock = f"{case.between(0, 23):02}:{case.between(0, 59):02}:{case.between(0, 59):02}"
    zone = case.pick(("+0000", "+0200", "-0700", "-0500", "+0530", "+0900", "GMT", "-0000 (UTC)"))
    sender, receiver = case.slot("mail"), case.slot("mail")
    rows = [
        ("From", case.pick((f"{case.slot('me')} <{sender}>", sender, f'"{case.slot("me")}" <{sender}>'))),
        ("To", case.pick((f"{case.slot('you')} <{receiver}>", receiver, f"{receiver}, {case.slot('mail')}"))),
        ("Date", f"{day:%a, %d %b %Y} {clock} {zone}"),
        (
            "Subject",
            case.fill(
                "[Re: |Fwd: |RE: |FW: |AW: |||||][{subject}|{progress}|{project}|{issue}|test|photos|{report}|hello]"
            ),
        ),
    ]
    if case.chance(0.2):
        rows.insert(2, ("Cc", case.slot("mail")))
    if case.chance(0.15):
        rows.insert(0, ("Message-ID", f"<{case.slot('id')}@{case.slot('coined').lower()}.com>"))
    if case.chance(0.1):
        rows.append(("Reply-To", sender))
    return "\n".join(f"{name}: {value}" for name, value in rows)


_RAW_MAIL = Plan(
    "mail",
    (),
    (
        _mail_headers,
        line(""),
        maybe(0.5, line("[Hi|Hello|Dear|Hey] [{yourfirst}|all|team|there|Sir/Madam][,|!|]\n", "{yourfirst},\n")),
        say(
            """
        [Just attaching|I am attaching|Attached is|Here is|See attached] [the file|another file|a test|the \
          {report}|the photos|the {report} for {period}][, let me know if it opens|].
        [This is|Here is] [a test|the first part|a short note|the message that I mentioned][ of an attachment|].
        {progress}. [Could you|Can you|Please] {action}[ by {weekday}|]?
        [I want to see|I am trying to find out|Does anybody know] what [is going wrong here|the message looks like|to \
          do about {issue}].
        [Did you get my last mail|Any news about {project}|Are you free on {weekday}]?
        [We will|I will] {action} [next week|tomorrow|on {weekday}]. [Let me know what you think.|]
        Thanks for [the quick answer|your help with {project}|your mail], {progress}.
        """,
            1,
            4,
        ),
        maybe(
            0.3, line("\n[On {date}, {you} wrote:|> {person} wrote:]\n> {progress}\n> [Could you {action}?|{issue}]")
        ),
        maybe(0.3, say("[I agree|Not sure|Good idea|Sounds good to me], [let us {action}|but {progress}].", 1, 1)),
        line(
            "\n- {first}",
            "\n[Thanks|Best|Cheers|Regards],\n{myfirst}",
            "\n-- \n{me}\nhttp://{web}/",
            "\n{myfirst}",
            "\n-- \n{me}, {jobtitle}\n{seller} | {phone} | {web}",
            "",
            "\nSent from my [phone|mobile|iPad]",
        ),
    ),
    untitled=1.0,
    ordered=True,
)
_OFFICE_LETTER = Plan(
    "letter",
    (),
    (
        line("{seller}\n{address}\n[Tel|Phone][: |. ]{phone}[ - {web}|]", "{seller} - {address}"),
        line("{you}\n{buyer}\n{address}"),
        rows_of(
            "[Your ref.|Your reference|Your letter of];;[Our ref.|Our reference];;[Extension|Phone];;[Date]",
            "{id};;{id};;{nnn};;{date}",
        ),
        maybe(0.7, line("[Subject: |Re: |Re. ||]{subject}")),
        line("Dear [Mr|Ms|Mrs|Dr] {last},", "Dear {you},", "Dear [Sir or Madam|Customer|Client|Member|Shareholder],"),
        say(
            """
        [Thank you for|We refer to|Further to] your [letter|call|message] of {earlier}[ about {subject}|].
        We are [pleased|sorry] to [inform|tell] you [of|about] {news}.
        As [agreed|discussed|you may know], {progress}.
        We would [therefore |]ask you to {action} by {later}.
        [Our|Your] [branch|office|contract|account] in {city} [will move|is affected|remains unchanged] [from {later}|].
        [From|As of] {later}, [our terms|our opening hours|the contact person for your account] will change.
        [Please find enclosed|Enclosed is] the {report}.
        """,
            2,
            5,
        ),
        say(
            "[Please call|Do not hesitate to contact] [me|us] [on {phone}|at {mail}] [if you have any questions|].",
            1,
            1,
            0.7,
        ),
        line(
            "[Yours sincerely|Yours faithfully|Kind regards|With kind regards],\n[{seller}\n|"
            "]{me}\n{jobtitle}[\nEncl.|\nEnclosures: {digit}|]"
        ),
        maybe(
            0.4,
            line(
                "{seller}, [Chairman|Managing director|Directors]: {person}, {person}. [Bank|Account] {iban}. [VAT|"
                "Reg.] {vatid}"
            ),
        ),
    ),
    untitled=1.0,
    ordered=True,
)

LAYOUTS: dict[str, tuple[Plan, ...]] = {
    "receipt": (_TILL, _TILL, _TILL, _FUEL, _PAID),
    "invoice": (_MARKET, _SERVICE),
    "email": (_RAW_MAIL,),
    "letter": (_OFFICE_LETTER,),
}
