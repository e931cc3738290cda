"""Papers of finance: bank statements, company accounts, audits and taxes."""

from __future__ import annotations

from .blocks import fields, form, maybe, party, say, under
from .fields import REFERENCES
from .plan import Plan
from .tables import table

_BANK_MARKS = fields("""
opening balance|balance brought forward|previous balance|starting balance = {money}
closing balance|ending balance|new balance|balance carried forward = {money}
total deposits|total credits|money in|paid in = {money}
total withdrawals|total debits|money out|paid out = {money}
account number|account no.|iban|a/c no. = {iban}
sort code|branch|bic|routing no.|swift = {nn}-{nn}-{nn}|{city}|{code}XX|{nnn}{nnn}{nnn}|{code}XX
statement period|statement date|period|from - to = {earlier} - {date}
account holder|account name|customer = {you}
statement no.|sheet|statement number = {nn}
overdraft limit|interest rate|available balance = {money}|{digit}.{nn}%|{money}
""")
BANK = Plan(
    "[bank|account|current account|savings account|credit card|your|checking account] statement[|| no. {nn}| "
    "{period}]|statement of account[| {period}]|transaction history",
    (
        party("||", "bank|", "bankname", 0.7),
        party("|account holder|", "customer|account holder|", "you", 0.6),
        form(_BANK_MARKS, REFERENCES[6:8], 3, 8),
    ),
    (
        table(
            fields("""
        description|details|transaction|payment type and details|narrative|particulars = [card payment|direct \
          debit|standing order|transfer from|transfer to|atm withdrawal|cheque \
          {id}|salary|interest|fee|pos|bacs|refund] [{company}|{you}|{city}|{coined}|{person}]
        date|value date|booking date|post date = {earlier}
        balance|running balance|available = {money}
        debit|withdrawals|paid out|money out|payments = {small}
        credit|deposits|paid in|money in|receipts = {money}
        amount|amount {cur} = [-|-|+]{small}
        """),
            3,
            11,
            4,
            2,
        ),
        say(
            """
        [Please check|Check] this statement and [report|tell us about] [errors|any error] within {nn} days.
        [Interest|Credit interest|Overdraft interest] of {small} [was credited|was charged|has been applied].
        [Your deposits are protected|Deposits are covered] [by the deposit guarantee scheme|up to {big}].
        [Lost or stolen card|Lost card? Call|Report fraud on] {phone}.
        """,
            1,
            2,
            0.4,
            True,
        ),
    ),
)

_STATEMENT_ROWS = fields("""
item|account|description|line item|| in {cur} thousands = [revenue|cost of sales|gross profit|operating \
  expenses|depreciation|finance costs|profit before tax|income tax|net income|retained earnings|share capital|trade \
  receivables|trade payables|inventories|cash and cash equivalents|property, plant and equipment|goodwill|intangible \
  assets|long-term debt|deferred tax|total assets|total liabilities|total equity|provisions|other income]
{year}|current year|note|{year} {cur} = {big}
{lastyear}|prior year|previous year|comparative = {big}
change|variance|% = {pct}
""")
FINANCIAL = Plan(
    "[consolidated |][balance sheet|income statement|statement of profit and loss|cash flow statement|statement "
    "of financial position|annual accounts|profit and loss account][| as at {date}| {year}| for the year ended "
    "{date}]|financial statements {year}",
    (
        party("|||company", "company|entity|", "seller", 0.7),
        form(
            fields("""
        year ended|for the year ended|as at|balance sheet date|fiscal year|financial year = \
          {date}|{date}|{date}|{date}|{year}|{year}
        total assets|balance sheet total = {big}
        net income|net profit|profit for the year|net loss = {big}
        total equity|shareholders' equity|equity ratio = {big}|{big}|{pct}
        ebitda|operating profit|earnings per share = {big}
        currency|amounts in|figures in = {cur}[| thousands| millions]
        """),
            (),
            1,
            5,
        ),
    ),
    (
        table(_STATEMENT_ROWS, 5, 13, 2, 2),
        maybe(
            0.4,
            under(
                "[assets|equity and liabilities|cash flows from operating activities|notes]",
                table(_STATEMENT_ROWS, 3, 8, 2, 2),
            ),
        ),
        say(
            """
        [The accompanying notes|Notes {digit} to {nn}] [are an integral part|form part] of these financial statements.
        Revenue [rose|fell|increased|decreased] by {pct} to {big}, [driven by|owing to] [higher volumes|price \
          pressure|the acquisition of {company}|weak demand].
        [Inventories|Property and equipment] [are|is] [measured|stated] at [cost less depreciation|the lower of cost \
          and net realisable value].
        Approved by the board [of directors |]on {date} [and signed on its behalf by {they}|].
        [Basis of preparation: IFRS.|The company is a going concern.|Dividends of {big} were paid.]
        """,
            1,
            3,
            0.55,
            True,
        ),
    ),
)

AUDIT = Plan(
    "[independent |internal |][auditor's report|audit report|audit findings][|| to the [members|shareholders] of "
    "{seller}]|report of the independent auditors|internal audit - {department}",
    (
        party("|to|addressee|auditee", "auditee|client|", "seller", 0.5),
        form(
            fields("""
        audit period|period audited|audit date|fieldwork = {period}
        lead auditor|auditor|audit team = {me}
        audit opinion|overall rating|opinion|conclusion = [unqualified|qualified|satisfactory|needs improvement|adverse]
        audit scope|area audited|scope = {department}
        findings|number of findings|major nonconformities = {digit} [high|major|minor]
        """),
            REFERENCES[1:4],
            1,
            5,
        ),
    ),
    (
        say(
            """
        We have audited the [accompanying |][financial statements|accounts|books] of {seller} [for the year ended|as \
          at] {date}.
        In our opinion, the [financial statements|accounts] give a true and fair view of the [financial \
          position|state of affairs] [of the company|] [as at {date}|].
        We [conducted|carried out] our audit in accordance with [International Standards on Auditing|generally \
          accepted auditing standards|ISO 9001 requirements].
        [Management is|The directors are] responsible for [the preparation of the accounts|internal \
          control|preventing fraud].
        We [believe|consider] that the audit evidence [we have obtained |]is sufficient and appropriate [to provide \
          a basis for our opinion|].
        [The objective|The purpose] of [this|the] audit was to [assess|review|test] the controls over {audited}.
        """,
            2,
            4,
            1.0,
        ),
        under(
            "[findings|observations|basis for opinion|key audit matters|recommendations]",
            say(
                """
        [Finding|Observation|Nonconformity] {digit}: {audited} [is not documented|lacks approval|is not reviewed \
          regularly|was incomplete in {n} of {nn} samples].
        We [recommend|advise] that {department} [introduce|strengthen|document] [controls|a review] over {audited}[ \
          by {later}|].
        [Risk|Rating]: [high|medium|low]. Management response: [accepted|agreed, due {later}|partly agreed].
        [We tested|A sample of] {nn} [transactions|invoices|purchase orders|expense claims|stock items] [and found \
          {n} exceptions|was examined].
        """,
                1,
                4,
            ),
            0.7,
        ),
    ),
)

TAX = Plan(
    "[income tax|VAT|corporation tax|sales tax|withholding tax|property tax|individual income tax] "
    "[return|return|declaration|form][| {year}]|form {nnn}[-|]L[| {year}]|tax assessment notice {year}",
    (
        party("taxpayer|filer|name and address|", "taxpayer|", "you", 0.7),
        form(
            fields("""
        taxable income|adjusted gross income|taxable profit|net taxable amount = {money}
        tax payable|tax due|total tax|income tax due|net vat due = {money}
        tax year|assessment year|return period|tax period = {year}|{lastyear}/{year}|{period}|{period}
        tax identification number|tin|taxpayer id|utr|social security number|ssn = {vatid}
        filing status|marital status|tax class = [single|married filing jointly|head of household|class {digit}]
        tax office|revenue office|inspector of taxes = {city}
        """),
            REFERENCES[1:2] + REFERENCES[3:4],
            3,
            8,
        ),
    ),
    (
        table(
            fields("""
        line|box|field = {nn}|{digit}[a|b|c|]
        description|| details = [wages and salaries|interest income|dividends|rental income|deductions|personal \
          allowance|output vat|input vat|charitable gifts|tax withheld|capital gains|self-employment income|pension \
          contributions|child credit|total sales excluding vat|tax refund|business expenses]
        amount|{cur}|total = {money}
        """),
            3,
            10,
            3,
            3,
        ),
        say(
            """
        [Under penalties of perjury,|] I declare that [this return is|the information given is] [true, correct and \
          complete|correct to the best of my knowledge].
        [Attach|Enclose] [form {nn}|your wage statement|all certificates] [here|to this return]. [Do not write in \
          this space.|For official use only.]
        [File|Send|Submit] this [form|return] [to the tax office |]by {due}. [Penalties apply for late filing.|]
        [Enter|Add] [the amount|lines] {n} [from|to] [line|schedule] {nn}. If [zero or less|negative], enter 0.
        [You will receive a refund of|You owe] {money}. [Pay by {due}.|]
        Taxpayer's signature: {you} [date|on] {date}
        """,
            1,
            4,
            0.7,
            True,
        ),
    ),
)

PLANS: dict[str, Plan] = {
    "bank statement": BANK,
    "financial statement": FINANCIAL,
    "audit report": AUDIT,
    "tax form": TAX,
}
