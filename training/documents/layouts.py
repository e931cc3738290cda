"""Invoices, receipts, mails and letters as tills, web shops, service companies and mail programs set them out.

The plans of `trade` and `correspondence` compose papers from labelled fields. Here are the layouts in which such papers
reach a mail room: till slips that call themselves invoices, invoices of market places and subscriptions, mails with the
headers of their protocol.
"""

from __future__ import annotations

from . import bills, mails, slips
from .plan import Plan

SHARE = 0.5  # of the documents of these kinds
LAYOUTS: dict[str, tuple[Plan, ...]] = {
    "receipt": slips.PLANS,
    "invoice": bills.PLANS,
    "email": mails.MAILS,
    "letter": mails.LETTERS,
}
