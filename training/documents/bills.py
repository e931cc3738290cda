"""Invoices as market places and subscriptions set them out."""

from __future__ import annotations

from .blocks import line, maybe, rows_of, say
from .plan import Plan

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

PLANS = (_MARKET, _SERVICE)
