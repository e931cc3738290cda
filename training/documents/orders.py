"""Papers that order goods and confirm it; they share their fields with invoices and must stay apart."""

from __future__ import annotations

from .blocks import fields, form, maybe, party, say
from .fields import BUYER_PO, COMMON, ORDER_HEADINGS, PLACES, SHIP_TO, TERMS
from .plan import Plan
from .tables import items, totals

_HEADS = "products|items|order details|details|product details|line items|articles|goods"

_PO_MARKS = fields("""
purchase order no.|po number|po no.|po #|purchase order id|purchase order|our order no.|p.o. number = {docid}
vendor|vendor name|supplier|supplier name|ordered from|order to = {seller}
buyer|ordered by|purchaser|purchasing agent|buyer name|requisitioner|requested by = {you}
authorised by|approved by|authorized signature|approval = {they}
required by|deliver by|delivery required|date required|need by date|delivery required by = {later}
invoice to|send invoice to|bill to = {buyer}, {address}
vendor no.|supplier id|vendor code|supplier no. = {code}
requisition no.|requisition|purchase request|budget code = {id}
""")

PURCHASE_ORDER = Plan(
    "[|||our |blanket |standard ]purchase order[|s||| no. {docid}| #{docid}| {docid}| to {seller}| - "
    "{buyer}]|P.O.[| {docid}]|order to supplier|purchase order form",
    (
        party("vendor|supplier|to|seller|order to", "vendor|supplier|seller", "seller", 0.6),
        party("|||buyer|ordered by|bill to|customer|purchaser", "buyer|customer|company|ordering party|", "buyer", 0.7),
        maybe(0.35, party("ship to|deliver to|delivery address", "ship to|delivery", "third", 0.7)),
        form(_PO_MARKS, COMMON + TERMS + PLACES + SHIP_TO[:2], 3, 9, ORDER_HEADINGS),
    ),
    (
        say(
            """
        Please [supply|deliver|send us|provide] the following [goods|items|materials|articles] [by {later}|at the \
          prices stated|on the terms below][:|.]
        We [hereby order|would like to order|order|herewith place an order for] the [items|goods|following items] \
          [listed |]below[:|.]
        """,
            1,
            1,
            0.3,
            True,
        ),
        items("name quantity price", "number sku unit total total discount", 1, 7, 0.95, _HEADS),
        totals("order total|total order value|total|po total|total|estimated total|total price|grand total"),
        say(
            """
        Please [quote|state|show] [our|this] [order number|PO number|purchase order number] on all \
          [invoices|delivery notes and invoices|correspondence].
        Please [confirm|acknowledge] [receipt of |]this [order|purchase order] [within {n} days|by return|by e-mail \
          to {mail}].
        [Goods|Deliveries] will [only |]be accepted [on weekdays until {time}|with a delivery note|at gate {digit}].
        [Payment|We pay] {nn} days after [receipt of goods and invoice|delivery].
        [Deliver|Delivery required|Goods are needed] [by|no later than] {later}.
        Authorised [signature|by|for {buyer}]: {they}[, purchasing|, head of procurement|].
        Ref. your [quotation|offer] [no. |]{id} of {earlier}.
        """,
            1,
            3,
            0.55,
            True,
        ),
    ),
)

_CONFIRM_MARKS = fields("""
order confirmation no.|confirmation no.|acknowledgement no|sales order no.|confirmation number|so no. = {docid}
expected delivery|estimated delivery|estimated ship date|confirmed delivery date|promised date|expected dispatch = \
  {later}
order received|order received on|we received your order on = {earlier}
order status|status = [confirmed|accepted|in process|scheduled|being prepared]
confirmed by|order accepted by|order entered by = {me}
""")

CONFIRMATION = Plan(
    "[sales |][order|order|sales order] [confirmation|acknowledgement|confirmation|acknowledgment][|| {docid}| "
    "no. {docid}]|we confirm your order|your order is confirmed|order confirmed",
    (
        party("|||from|seller", "seller|company|", "seller", 0.7),
        party("customer|sold to|to|bill to|your details", "customer|buyer|", "buyer", 0.8),
        form(_CONFIRM_MARKS, COMMON + BUYER_PO + TERMS + SHIP_TO, 3, 8, ORDER_HEADINGS),
    ),
    (
        say(
            """
        [Thank you for your order|Many thanks for your order|We thank you for your order][| of {earlier}| no. \
          {orderid}], which we [confirm|accept|are pleased to confirm] [as follows|on the terms below|].
        We [hereby |]confirm [receipt of |]your [purchase order|order] [no. |]{orderid} [dated|of] {earlier}.
        Your order [has been received and is being processed|is confirmed|has been accepted and scheduled].
        [Great news|Hello {yourfirst}|Dear {you}|Good news], your order [{orderid} |]is confirmed[!|.]
        """,
            1,
            2,
            0.75,
            True,
        ),
        items("name quantity price", "number sku unit total discount", 1, 6, 0.9, _HEADS),
        totals("order total|total|total value of order|order value|total to be invoiced"),
        say(
            """
        [We expect to|We will|Our warehouse will] [ship|dispatch|deliver] [your order|the goods] [on|by|around] {later}.
        [You will receive|We will send you] [an invoice|a shipping notice with tracking number|an e-mail] [when|as \
          soon as] the goods [leave our warehouse|are dispatched].
        Please check [this confirmation|all details] and [tell us|inform us] of any [error|deviation] within {n} \
          [days|hours].
        Our [general|standard] terms and conditions [of sale |]apply.
        """,
            1,
            3,
            0.65,
            True,
        ),
    ),
)

PLANS: dict[str, Plan] = {
    "purchase order": PURCHASE_ORDER,
    "sales order confirmation": CONFIRMATION,
}
