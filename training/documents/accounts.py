"""Papers of money: utility bills, reminders, remittances, sales and expenses."""

from __future__ import annotations

from .blocks import either, fields, form, maybe, party, say
from .fields import PEOPLE, REFERENCES
from .plan import Plan
from .tables import items, table

_BILL_MARKS = fields("""
meter reading|current reading|previous reading|meter no.|present meter reading = {nnnn}[{digit}| kWh| m3|]
usage|consumption|units used|energy used|data used|kwh used = {nnn} [kWh|m3|GB|units|minutes|therms]
standing charge|line rental|service charge|basic fee|monthly plan = {small}
billing period|period|bill period|period covered = {earlier} [to|-|until] {date}
supply address|service address|premises|mobile number = {address}|{address}|{address}|{phone}
tariff|plan|rate plan|tariff name = [Standard|Green|Fixed|Night saver|Family|Unlimited|Economy] [{nn}|Plus|Tariff|Plan|]
account number|customer account|account no. = {account}
amount due|total amount due|please pay|new balance|total now due = {total}
pay by|due date|direct debit on|payment will be collected on = {due}
previous balance|last bill|balance brought forward = {small}
""")
BILL = Plan(
    "[your |][electricity|gas|water|energy|telephone|mobile|internet|broadband|utility|phone|] bill[|| for "
    "{period}]|[{seller} ]monthly statement of charges",
    (
        party("||", "provider|supplier|", "seller", 0.6),
        party("|customer|account holder|bill to", "customer|account holder|", "you", 0.7),
        form(_BILL_MARKS, REFERENCES[1:4] + PEOPLE[4:6], 4, 11),
    ),
    (
        maybe(
            0.55,
            table(
                fields("""
        charge|description|service|item = [day units|night units|energy charge|line rental|calls to \
          mobiles|roaming|data {n} GB|water supply|sewerage|standing charge|gas units|network charge|equipment \
          rental|late fee|climate levy]
        units|usage|quantity|kwh = {nnn}|{decimal}
        rate|price per unit|unit rate = 0.{nnn}|{decimal}p
        amount|cost|charge = {small}
        """),
                2,
                6,
                2,
            ),
        ),
        say(
            """
        Your [electricity|gas|water|data] [use|usage|consumption] was {pct} [lower|higher] than [in the same period \
          last year|last month].
        [We will collect|We'll take] {total} by direct debit on [or after |]{due}.
        This bill is based on [an estimated|your own|an actual] [meter |]reading. [To give us a reading, call {phone}.|]
        [If you are moving house|If you have a power cut|To change your tariff|For faults], [call|ring] {phone} or \
          visit {web}.
        You could save {small} a year by [switching to our {coined} tariff|paying by direct debit|going paperless].
        Please pay {total} by {due} [at any post office|online|using the slip below].
        """,
            1,
            3,
            0.65,
            True,
        ),
    ),
)

_REMINDER_MARKS = fields("""
overdue amount|amount overdue|outstanding amount|overdue balance|past due = {total}
days overdue|days late|overdue since|overdue by = {nn}|{nn} days|{earlier}|{nn} days
reminder no.|reminder level|dunning level|notice = [1|2|3|first|second|final] [reminder|notice|]
original due date|was due on|due since = {earlier}
late fee|reminder fee|default interest|late payment charge = {small}
unpaid invoice|open invoice|invoice no.|outstanding invoice = {docid}
""")
REMINDER = Plan(
    "[|first |second |final |friendly ][payment |]reminder|overdue [notice|account]|[final|past due] "
    "notice|[reminder:|] [unpaid invoice|outstanding payment|account overdue]|demand for payment",
    (
        party("||from", "creditor||", "seller", 0.6),
        party("|to|customer", "customer|", "buyer", 0.7),
        form(_REMINDER_MARKS, REFERENCES[1:4] + PEOPLE[:4], 2, 8),
    ),
    (
        say(
            """
        [According to|On checking|Looking through] our [records|books], [the invoice|invoice {docid}|the sum] \
          [below|of {earlier}|over {total}] [is still|remains] [unpaid|outstanding|open].
        [We have not yet received|We are still waiting for|We are missing] your payment of {total}[, which was due \
          on {earlier}|].
        [It may have escaped your notice|Perhaps you have overlooked|We would like to remind you] that invoice \
          {docid} [fell|was] due on {earlier}.
        Despite our [reminder|letter] of {earlier}, [the amount|your account] [is still|remains] overdue.
        """,
            1,
            2,
            0.95,
            True,
        ),
        maybe(
            0.3,
            table(
                fields("""
        invoice|invoice no.|document = {id}
        invoice date|date = {earlier}
        due date|was due = {earlier}
        outstanding|open amount|overdue = {money}
        days|days overdue = {nn}
        """),
                1,
                4,
                3,
            ),
        ),
        say(
            """
        Please [pay|settle|transfer] the [outstanding|overdue] [amount|sum] [by {due}|within {n} days|without delay].
        [If you have already paid|Should you have paid in the meantime], please [disregard|ignore] this \
          [letter|reminder|notice].
        [Otherwise|If we do not hear from you|Failing payment] we [will|shall] [hand the matter to a collection \
          agency|charge interest of {digit}% per month|take legal action|stop deliveries].
        [A copy of the invoice is enclosed.|Goods were delivered on {earlier}.|Contact {they} on {phone} if there is \
          a dispute.]
        """,
            1,
            3,
            0.85,
        ),
    ),
)

_REMIT_MARKS = fields("""
remittance no.|remittance advice no|payment reference|payment ref|transfer ref = {docid}
payment date|date paid|value date|paid on = {date}
amount paid|payment amount|total paid|amount remitted|net payment = {total}
cheque no.|check number|eft no.|bacs ref = {id}
paid to|payee|beneficiary|vendor paid = {seller}
paid from|payer|remitter|paid by = {buyer}
""")
REMITTANCE = Plan(
    "remittance [advice|advice|slip|notice]|payment [advice|notification]|[advice|notice] of payment",
    (
        party("||from|payer", "payer|", "buyer", 0.7),
        party("to|payee|supplier|beneficiary", "payee|supplier|vendor", "seller", 0.8),
        form(_REMIT_MARKS, REFERENCES[1:4] + REFERENCES[5:7], 3, 7),
    ),
    (
        say(
            """
        [We have today|Today we have|We have] [paid|transferred|remitted] [{total}|the sum of {total}|the amount \
          below] to your [account|bank account {iban}].
        [This payment|The transfer|The enclosed cheque] [covers|settles] the [following|listed] invoices[, less \
          discount of {small}|].
        [Please|Kindly] [credit|apply] [this payment|the amount] to [our account|the invoices listed].
        [If you have questions about this payment|For queries], [contact|write to] {mail}.
        """,
            1,
            3,
            0.75,
            True,
        ),
        maybe(
            0.85,
            table(
                fields("""
        invoice no.|your invoice|document no.|invoice ref = {id}
        amount paid|paid|payment|amount remitted = {money}
        invoice date|date = {earlier}
        invoice amount|gross|gross amount = {money}
        discount|discount taken|deduction = {small}
        """),
                1,
                6,
                2,
                2,
            ),
        ),
    ),
)

SALES_REPORT = Plan(
    "[monthly|quarterly|annual|weekly|regional|] sales [report|report|summary|analysis|performance|by "
    "category|by region][|| {period}| for {period}]|turnover report {period}|revenue by [product|region|customer]",
    (
        party("||", "company|", "seller", 0.3),
        form(
            fields("""
        total sales|total revenue|net sales|gross sales|turnover = {big}
        growth|change vs last year|sales growth|vs previous period = [+|-|]{pct}
        sales target|target achieved|target|quota attainment = {big}|{pct}|{big}|{pct}
        best seller|top product|top seller = {product}
        region|territory|sales area = {city}|[North|South|East|West]
        salesperson|sales manager|prepared by = {me}
        orders|number of orders|average order value = {nnn}|{nnn}|{money}
        """),
            REFERENCES[3:4],
            2,
            6,
        ),
    ),
    (
        either(
            items(
                "name revenue", "category sold growth target sku", 2, 9, 1.0, "top products|sales by product|{category}"
            ),
            table(
                fields("""
            region|salesperson|customer|month|country|sales rep = {city}|{person}|{company}|{month}|{country}|{person}
            sales|revenue|turnover|net sales = {big}
            target|budget|last year = {big}
            growth|change|variance = [-|]{pct}
            orders|units sold|deals|customers = {nnn}
            """),
                3,
                8,
                3,
                2,
            ),
        ),
        say(
            """
        [Sales|Revenue|Turnover] [of {product}|in {city}|] [rose|fell|grew|dropped|increased] by {pct} \
          [against|compared with|versus] [last month|the same period last year|plan].
        {person} [closed|won] [the largest deal|{n} new accounts] [with {company}|worth {big}].
        {product} [was our best seller|sold {nnn} units|underperformed|missed its target].
        [We expect|The forecast for next quarter is] sales of {big}.
        [Stock shortages|Late deliveries|A competitor's promotion|The holiday season] [held back|boosted|affected] \
          sales [in {city}|of {product}|].
        """,
            1,
            4,
            0.6,
            True,
        ),
    ),
)

EXPENSE = Plan(
    "[travel |business |employee |]expense[s|] [report|claim|report|statement]|reimbursement "
    "[request|form|claim]|travel expenses {person}",
    (
        form(
            fields("""
        total reimbursement|amount to be reimbursed|due to employee|reimbursable total|total expenses = {money}
        purpose of trip|business purpose|reason for travel|purpose = [visit to|training in|trade fair in|meeting \
          with] [{city}|{company}]
        mileage|miles driven|km driven = {nnn} [km|miles] @ 0.{nn}
        employee|name|claimant|submitted by|traveller = {me}
        advance paid|cash advance|less advance = {small}
        approved by|manager|authorised by = {they}
        trip dates|travel dates|from / to|expense period = {earlier} - {date}
        department|cost centre = {department}
        """),
            REFERENCES[3:4],
            3,
            8,
        ),
    ),
    (
        table(
            fields("""
        category|expense type|type|expense = [hotel|taxi|train ticket|flight|meals|parking|mileage|client \
          dinner|fuel|telephone|conference fee|car rental|per diem|tolls|visa]
        amount|cost|total|{cur} = {small}
        date|date incurred = {earlier}
        description|details|merchant|vendor = [{city}|{company}|lunch with {person}|airport transfer|{coined} Hotel]
        receipt|receipt attached|receipt no = [yes|no|{n}]
        paid by|payment = [own card|cash|company card]
        """),
            2,
            8,
            3,
            2,
        ),
        say(
            """
        I [certify|confirm] that [these expenses|the above costs] were incurred [on company business|for business \
          purposes only].
        [Please reimburse|Kindly transfer] the [total|amount] to my [usual|bank] account [{iban}|].
        [Receipts|Original receipts] are attached[ for all items over {small}|].
        [Approved|Checked] by {they} [on {date}|]. [Submit by the 5th of the month.|]
        """,
            1,
            3,
            0.6,
            True,
        ),
    ),
)

PLANS: dict[str, Plan] = {
    "bill": BILL,
    "payment reminder": REMINDER,
    "remittance advice": REMITTANCE,
    "sales report": SALES_REPORT,
    "expense report": EXPENSE,
}
