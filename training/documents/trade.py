"""Papers of buying and selling that share most of their fields: each must show, in title or fields, which one it is."""

from __future__ import annotations

from .blocks import either, fields, form, maybe, party, say
from .fields import BUYER_PO, COMMON, ORDER_HEADINGS, PEOPLE, REFERENCES, SHIP_TO, TERMS
from .plan import Plan
from .tables import items, totals

_SELLER = party("|||from|seller|supplier|issued by", "seller|company|supplier||from", "seller", 0.75)
_BUYER = party(
    "bill to|customer|sold to|client|to|invoice to|billed to", "customer|client|bill to|buyer||", "buyer", 0.85
)
_SHIP_TO = party("ship to|deliver to|delivery address|shipping address", "ship|ship to|delivery", "buyer", 0.3)
_HEADS = "products|items|order details|details|product details|line items|articles|goods"

_INVOICE_MARKS = fields("""
invoice no.|invoice number|invoice #|invoice id|inv. no|inv #|bill no.|tax invoice no|invoice ref = {docid}
invoice date|date of invoice|invoiced on|tax point|tax date|billing date = {date}
due date|payment due|payment due date|due by|pay by|amount due by|due = {due}
payment terms|terms = [payment [due |]within {nn} days[| of invoice date]|net {nn}, then {digit}% interest]
amount due|balance due|total due|please pay|amount payable|invoice total = {total}
bank details|pay to account|our bank|remit payment to|iban for payment = {iban}
amount paid|paid to date|deposit paid|prepaid = {small}
payment method|payment by|mode of payment = [bank transfer|cheque|wire|direct debit|credit card]
""")
_INVOICE_END = """
[Please|Kindly] [pay|remit|transfer|settle] [the amount due|{total}|this invoice|the total] [within {nn} days|by \
  {due}|before {due}|on receipt].
[Make|Please make] [all |]cheques payable to {seller}.
Payment [is due|due] [within {nn} days|by {due}|upon receipt of this invoice]. [Late payments incur interest of \
  {digit}% per month.|]
Please quote [the invoice number|invoice {docid}] [with|on] your [payment|transfer].
[Bank|Our bank] details: {coined} Bank, [IBAN|account|a/c no.] {iban}[, BIC {code}XX|].
Thank you for your [business|custom|prompt payment]!
[Goods|The goods] remain [our property|the property of {seller}] until paid [for |]in full.
[This is a computer generated invoice and needs no signature.|E. & O. E.|Reverse charge: VAT to be accounted for by \
  the recipient.]
We [delivered|supplied|carried out] the following [on|under] your [purchase order|order] [no. |]{orderid} [dated \
  {earlier}|of {earlier}] and [now invoice|invoice you for|charge] as below.
[The delivery note was {id}.|Goods dispatched with delivery note {id} on {earlier}.|Shipped via {coined} Express, \
  tracking {id}.]
"""
INVOICE = Plan(
    "[|||sales |tax |vat |commercial |final |proforma ]invoice[|||| no. {docid}| #{docid}| {docid}| - {seller}| "
    "for order {orderid}|s]",
    (
        _SELLER,
        _BUYER,
        maybe(0.4, _SHIP_TO),
        form(_INVOICE_MARKS, COMMON + BUYER_PO + TERMS + SHIP_TO[:2], 3, 10, ORDER_HEADINGS),
    ),
    (
        items("name quantity price", "number sku unit discount vat total total", 1, 7, 0.95, _HEADS),
        totals(
            "total due|amount due|balance due|invoice total|total|total|total payable|grand total|total "
            "price|total amount due|to pay"
        ),
        say(_INVOICE_END, 1, 3, 0.65, True),
    ),
)

_CREDIT_MARKS = fields("""
credit note no.|credit memo no|cn number|credit no.|credit note # = {docid}
reason for credit|credit reason|reason for return = {creditreason}
original invoice|against invoice|invoice credited|relates to invoice|original invoice no. = {orderid}
amount credited|total credit|credit amount|credited to your account|credit balance = {total}
return authorisation|rma no|goods returned on = {id}
""")
CREDIT = Plan(
    "credit [note|note|memo|advice][||| {docid}| no. {docid}]|[refund|sales return] credit|adjustment note - credit",
    (_SELLER, _BUYER, form(_CREDIT_MARKS, COMMON + BUYER_PO, 3, 8)),
    (
        say(
            """
        We have credited your account with {total} [for|because of|owing to] {creditreason}.
        This [credit note|credit] relates to [our |]invoice [no. |]{orderid} [of|dated] {earlier}.
        [The amount|This credit|The credited sum] will be [offset against your next invoice|refunded to your bank \
          account|deducted from future payments].
        Reason: {creditreason}. [Goods were received back on {earlier}.|No payment is required.]
        Please [deduct|set off] this amount [from|against] [invoice {orderid}|any outstanding balance].
        """,
            1,
            3,
            0.75,
            True,
        ),
        items(
            "name quantity price", "sku total vat number", 1, 4, 0.75, "items returned|credited items|returned goods"
        ),
        totals("total credit|amount credited|credit total|total refund|total credited", 0.8),
    ),
)

_DEBIT_MARKS = fields("""
debit note no.|debit memo no|dn number|debit note # = {docid}
reason for debit|debit reason|charged because of = {debitreason}
amount debited|debited to your account|total debit|debit amount|we debit you = {total}
original invoice|against invoice|relates to invoice = {orderid}
""")
DEBIT = Plan(
    "debit [note|note|memo|advice][||| {docid}| no. {docid}]|notice of debit",
    (_SELLER, _BUYER, form(_DEBIT_MARKS, COMMON, 3, 8)),
    (
        say(
            """
        We have debited your account [with|by] {total} [for|because of|in respect of] {debitreason}.
        This debit [note|] [relates|refers] to invoice [no. |]{orderid} [of|dated] {earlier}.
        [Your|Please note that your] account has been [charged|debited] accordingly.
        Reason for [the |]debit: {debitreason}.
        Please [send|issue] [us |]a [matching |]credit note or [settle|add] the [difference|amount debited].
        """,
            1,
            3,
            0.75,
            True,
        ),
        items("name quantity price", "sku total vat number", 1, 4, 0.7),
        totals("total debit|amount debited|debit total|additional amount", 0.8),
    ),
)

_QUOTE_MARKS = fields("""
quote no.|quotation no.|quotation number|offer no.|estimate #|proposal no|quote ref = {docid}
valid until|quote valid until|offer expires|prices valid to|validity|valid for = \
  {later}|{later}|{later}|{later}|{nn} days|{nn} days
quoted by|estimated by|offer prepared by = {me}
your enquiry|enquiry date|rfq no.|your inquiry of = {id}|{earlier}|{id}|{earlier}
estimated cost|quoted price|estimated total|our price|offer total = {total}
lead time|delivery time|estimated lead time = {n} [days|weeks] [after|from] [receipt of |]order
""")
QUOTE = Plan(
    "[|sales |price |]quot[e|ation][||| no. {docid}| {docid}| for {buyer}]|[our |price |]offer|[cost "
    "|]estimate[| #{docid}]|pro-forma quotation",
    (
        _SELLER,
        party("quote for|to|prepared for|customer|prospect", "customer|client|prospect|", "buyer", 0.8),
        form(_QUOTE_MARKS, COMMON + TERMS, 3, 8),
    ),
    (
        say(
            """
        [Thank you for|With reference to|Further to|In reply to] your [enquiry|inquiry|request] of {earlier}, we are \
          pleased to [offer|quote] [as follows|the following|our best price].
        We [are pleased|would be happy] to [offer|quote] you the [items|goods|work] below.
        """,
            1,
            1,
            0.4,
            True,
        ),
        items("name price", "number sku quantity quantity unit discount total available", 1, 6, 0.9, _HEADS),
        totals("quoted total|estimated total|total|offer total|total price|total estimate", 0.65),
        say(
            """
        [This|The] [quotation|offer|quote|estimate] is valid [until {later}|for {nn} days[| from today]].
        Prices are [subject to change|not binding|exclusive of VAT|subject to final measurement].
        [To accept|If you wish to accept] this [quote|offer], [please sign and return it|send us your order|reply by \
          e-mail].
        We look forward to [receiving your order|hearing from you|your acceptance].
        [An invoice will follow after delivery.|Work starts within {n} days after you place the order.|A deposit of \
          {pct} is due with your order.]
        """,
            1,
            3,
            0.6,
            True,
        ),
    ),
)

_RECEIPT_MARKS = fields("""
receipt no.|receipt #|receipt|sales slip no|transaction no. = {docid}
cashier|served by|till operator|operator|you were served by = {first}
till|register|pos|terminal|terminal id|lane = {nn}
cash|cash tendered|tendered|amount tendered|cash paid = {small}
change|change due|change given|your change = {small}
card|visa|mastercard|paid by card|debit card|card no. = [****|xxxx xxxx xxxx |************]{digits4}
auth code|approval code|authorisation|aid = {id}
amount received|received with thanks|paid|payment received = {total}
received from|payer|paid by = {you}
store|branch|shop no. = {city}[| {nn}]
time = {time}
loyalty card|points earned|bonus points = {nnn}
""")
RECEIPT = Plan(
    "[|||sales |cash |payment |official |customer ]receipt[||| no. {docid}| #{docid}]|customer copy|[thank you "
    "for shopping at|welcome to] {seller}",
    (party("|||store|merchant", "store|shop|merchant", "seller", 0.85), form(_RECEIPT_MARKS, REFERENCES[3:4], 3, 8)),
    (
        items("name price", "quantity quantity sku vat total", 1, 8, 0.75),
        totals("total|total paid|amount paid|total|balance due 0.00 total", 0.85),
        maybe(0.6, form(_RECEIPT_MARKS, (), 1, 4)),
        say(
            """
        [Thank you|Thanks] for [shopping with us|your visit|your purchase|shopping at {seller}][!|.] [Please come \
          again|See you soon|Have a nice day|][!|.]
        [Please keep|Keep|Retain] this receipt [for your records|as proof of purchase|for exchange or refund].
        [Returns|Refunds|Exchanges] [accepted|possible] within {nn} days with [this |]receipt.
        Received with thanks [from {you} |]the sum of {total} [in cash|by card|by cheque no. {id}] [for|being \
          payment of] [invoice {orderid}|{product}|rent for {month}].
        [PAID|Paid in full|Card payment approved|Transaction approved|PIN verified|Contactless]. [No signature \
          required.|]
        """,
            1,
            3,
            0.7,
            True,
        ),
    ),
)

_PRICE_MARKS = fields("""
prices effective from|price list valid from|effective date|valid as of|prices as of = {date}
price list no.|price list|list no.|edition|catalogue|tariff = [{code}|{year}/{digit}]
prices valid until|valid to|list expires = {later}
customer group|price group|price level|dealer category = [A|B|C|retail|wholesale|dealers|export]
minimum order value|minimum order|small order surcharge = {small}
""")
PRICE_LIST = Plan(
    "[|retail |wholesale |trade |export |dealer |our ]price list[|| {year}| valid from {date}| - "
    "{category}]|[list of |current ]prices|rate card[| {year}]|price catalogue|tariff {year}",
    (party("|||", "company|supplier|", "seller", 0.6), form(_PRICE_MARKS, REFERENCES[6:8] + PEOPLE[4:6], 1, 5)),
    (
        items(
            "name listprice",
            "sku unit bulkprice minimum available category",
            3,
            11,
            1.0,
            "{category}|our range|products",
            True,
        ),
        say(
            """
        All prices [are |][in {cur}|excl. VAT|ex works|per unit][ and| and are|,] subject to change without notice.
        Prices [are |]valid [from|as of] {date} [until further notice|until {later}|]. [All earlier price lists \
          cease to be valid.|]
        [Minimum order|Minimum order value] {small}. [Free delivery from {money}.|Carriage extra below {small}.]
        [Quantity|Volume] discounts [on request|from {nn} units: {pct}]. [Place your order at {mail} or {phone}.|]
        """,
            1,
            3,
            0.7,
            True,
        ),
    ),
    services=False,
)

_STOCK_MARKS = fields("""
stock as of|inventory date|stock date|as at|stock count date|on hand as of|stock position at = {date}
warehouse|stock location|store|depot|storage location = [{city}|WH{digit}|main warehouse|{city} depot]
total units in stock|total on hand|total stock|items in stock|stock quantity = {nnnn}
items below reorder level|to be reordered|low stock items|out of stock items = {n}
stock value|inventory value|total stock value|value of stock = {big}
counted by|stock keeper|warehouse manager|storekeeper|checked by = {me}
stock turnover|days of supply|inventory turns = {decimal}
""")
_STOCK_TABLE = either(
    items(
        "name stock",
        "sku price sold reorder onorder bin value category unit",
        2,
        10,
        1.0,
        "category[|:] {category}|{category}|stock by item|inventory",
        True,
    ),
    items("name sold stock price", "category sku", 2, 10, 1.0, "category[|:] {category}|{category}", True),
    items("sku name opening sold stock", "bin reorder value", 2, 8, grouped=True),
    items("name stock counted variance", "sku bin value unit", 2, 8, 1.0, "count sheet|{category}"),
    items("name stock reorder", "onorder sku bin price", 2, 9, grouped=True),
)
STOCK = Plan(
    "[stock|inventory|stock|stock level|warehouse|inventory status|stock on hand|stock movement|stock valuation] "
    "[report|report|list|status|summary|overview]"
    "[||| for {period}| {period}| as of {date}| - {city}]|stock[-| ]take {period}|stock on hand[| "
    "{date}]|[monthly|weekly] [stock|inventory] report",
    (party("|||", "company|", "seller", 0.3), form(_STOCK_MARKS, REFERENCES[1:2] + REFERENCES[3:4] + PEOPLE[:1], 1, 5)),
    (
        _STOCK_TABLE,
        maybe(0.45, _STOCK_TABLE),
        maybe(0.3, form(_STOCK_MARKS, (), 1, 3)),
        say(
            """
        Items [marked *|in red|listed above] are [below the reorder level|out of stock|running low][ and must be \
          reordered|].
        [The stock|Inventory|Stock] of {product} is [below the minimum|sufficient for {n} weeks|too high|exhausted].
        {product} [sold|moved] {nnn} units [in|during] {period}[, {nnn} remain on hand| leaving {nnn} in stock].
        Stock was counted on {date} by {me}; [no discrepancies were found|{n} differences were booked|a recount is \
          planned].
        Total stock value [amounts to|is|:] {big}.
        [A purchase order for {nnn} units has been placed.|Next delivery of {product} expected {later}.|Units \
          already invoiced are excluded.]
        """,
            1,
            3,
            0.45,
            True,
        ),
    ),
    services=False,
)

PLANS: dict[str, Plan] = {
    "invoice": INVOICE,
    "credit note": CREDIT,
    "debit note": DEBIT,
    "quote": QUOTE,
    "receipt": RECEIPT,
    "price list": PRICE_LIST,
    "stock report": STOCK,
}
