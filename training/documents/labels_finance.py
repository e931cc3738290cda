"""The wordings of the labels: names and descriptions of bills, payments, accounts and reports."""

from __future__ import annotations

from .kind import Label
from .kind import label as _label

FINANCE: tuple[Label, ...] = (
    _label(
        "bill",
        "order-to-cash",
        """
        utility bill; telephone bill; electricity bill; consumption bill; water or gas bill; telecom bill
        monthly utility charge; energy bill; phone bill; household bill; internet bill
        """,
        """
        periodic charge from a utility or telecom provider for consumption
        shows meter readings, usage and the amount to pay for a billing period
        monthly account for electricity, water, gas, internet or phone
        the household is charged for energy used or calls made
        a provider asks a household to pay for the month's use
        consumption and fees for a service such as power or mobile phone
        regular charge for a subscription service with account number
        """,
    ),
    _label(
        "payment reminder",
        "order-to-cash",
        """
        dunning letter; overdue notice; reminder of an unpaid invoice; late payment notice; demand for overdue payment
        past due notice; dunning notice; overdue payment letter; collection notice; reminder to pay
        """,
        """
        reminds a customer that an earlier invoice is still unpaid
        asks again for money whose due date has passed
        warns of late fees or collection unless the debt is settled
        lists overdue sums and sets a last deadline
        tells the debtor that payment is late
        request to settle an old invoice at last
        follow-up to an invoice that nobody paid in time
        """,
    ),
    _label(
        "remittance advice",
        "order-to-cash",
        """
        payment advice; remittance slip; notice of payment sent; payment notification to a supplier; remittance note
        proof of transfer for supplier; payment remittance; payer's payment slip
        """,
        """
        a payer tells the payee which invoices a payment settles
        announces that a transfer or cheque has been sent
        lists invoices paid and amounts remitted
        sent along with a payment so that the supplier can book it
        customer informs supplier that its bills have been paid
        explains what a payment is for
        breakdown of a payment by invoice number
        """,
    ),
    _label(
        "sales report",
        "stock-and-sales",
        """
        sales analysis; revenue report; sales figures by product; turnover report; sales performance summary
        report on sales; sales statistics; sales overview; revenue summary
        """,
        """
        shows how much was sold by product, region or salesperson
        revenue compared with target or the previous period
        summary of sales performance for managers
        turnover figures of a month or quarter with growth rates
        tells management what was sold and how much came in
        statistics on turnover by area, product or seller
        compares achieved sales to goals
        """,
    ),
    _label(
        "expense report",
        "hr",
        """
        expense claim; travel expense report; reimbursement request; employee expenses statement; expenses form
        claim for travel costs; business trip expense statement; staff expense claim; out-of-pocket expenses
        """,
        """
        an employee asks for reimbursement of travel and other costs
        lists business expenses with dates, categories and receipts
        claim for hotel, mileage and meals paid on a business trip
        to be approved so that costs are paid back to staff
        staff member's spending on a trip to be refunded
        table of costs paid by an employee for the company
        """,
    ),
    _label(
        "bank statement",
        "finance",
        """
        account statement; statement of account from a bank; current account statement; list of bank transactions
        credit card statement; statement of bank account; account activity; transaction statement; bank account summary
        """,
        """
        lists deposits and withdrawals of a bank account with running balance
        the bank shows movements between opening and closing balance
        monthly overview of transactions on an account
        records money going in and out of a customer's account
        list of account transactions from the bank
        shows payments, receipts and balances of an account holder
        """,
    ),
    _label(
        "financial statement",
        "finance",
        """
        balance sheet; income statement; profit and loss account; annual accounts; cash flow statement
        statement of financial position; annual financial report; company accounts; P&L; year-end accounts
        """,
        """
        shows a company's assets, liabilities, income or cash flows for a period
        annual figures on profit, equity and debt
        summary of the financial position at year end
        accounts with revenue, expenses and net result compared with last year
        statement of earnings, assets and debts of a business
        accounting figures published by a firm for the year
        table of balance sheet or profit and loss items
        """,
    ),
    _label(
        "audit report",
        "finance",
        """
        auditor's report; audit opinion; internal audit findings; independent auditor's statement
        inspection and compliance audit; audit findings; report of the auditors; external audit report
        control review report
        """,
        """
        an auditor gives an opinion on accounts or controls
        findings, risks and recommendations after examining records
        independent examination of whether books are true and fair
        states nonconformities and corrective actions found at a company
        outcome of an audit with opinion or recommendations
        reviewer reports on how well controls or accounts hold up
        """,
    ),
    _label(
        "tax form",
        "finance",
        """
        tax return; tax declaration; income tax form; VAT return; tax assessment; fiscal declaration; tax document
        tax filing; fiscal form; revenue office form
        """,
        """
        declares income or sales to the tax authority
        form with taxable amount, allowances and tax payable
        filled in yearly or quarterly for the revenue office
        computes the tax owed or refunded for a period
        taxpayer reports earnings and deductions to the state
        official tax computation with boxes or lines to fill
        """,
    ),
)
