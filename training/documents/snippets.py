"""What people type to try a classifier out: a line or two of a paper that tell its kind."""

from __future__ import annotations

import random

from .case import Case

SHARE = 0.06  # of the documents of these kinds
SNIPPETS: dict[str, tuple[str, ...]] = {
    "invoice": (
        "[Total due|Amount due|Balance due|Please pay|Total amount due][:|] {total}[ by {due}|. Due {due}|]",
        "Invoice [no. |number |#|]{docid}[. |, |\n][Total|Total due|Amount due|Amount payable][:|] {total}[.|]",
        "[Please pay|Kindly remit|Payable within {nn} days:] {total} [to|into account] {iban}[, reference {docid}|].",
        "[We charge|For our work we charge|For goods supplied]: {product}, {total}. [Due {due}|Net {nn} days].",
        "Bill to {buyer}. {digit} x {product}. [Total|Amount due] {total}[, payable by {due}|].",
    ),
    "receipt": (
        "[Paid|PAID|Paid in cash|Paid by card|Received with thanks][:|] {total}[ on {date}|]. [Thank you!|]",
        "[Cash|CASH] {total} [Change|CHANGE] {small}[. Thank you, come again|]",
        "{product} {small}\nTOTAL {total}\n[VISA|CASH|CARD] {total}[\nTHANK YOU|]",
        "[Payment received|Your payment has been received]: {total}[, {date}|]. [Receipt {docid}|Keep this receipt].",
    ),
    "purchase order": (
        "[Purchase order|PO] {orderid}: [please deliver|please supply|we order] {nn} x {product}[ by {due}|].",
        "We [would like to order|hereby order] {nn} {product} at {small} each[, delivery to {town}|].",
    ),
    "quote": (
        "We [are pleased to offer|can offer|quote] {product} at {money}[ each|]. [Valid|Open] until {later}.",
        "Quotation {docid}: {money} for {product}, [valid {nn} days|prices firm until {later}].",
    ),
    "delivery note": ("Delivered: {nn} x {product}. [Received in good order|Signature of receiver]: ________",),
    "contract": (
        "[This agreement is made|This contract is concluded] between {seller} and {buyer}[ on {date}|].",
        "The parties agree [as follows|that {seller} shall supply {product}]. [Signed|Term]: {date}.",
    ),
    "payment reminder": (
        "[Our records show that|As we see,] invoice {docid} [is still unpaid|is overdue]. Please pay {total}.",
        "[Second|Final|Friendly] reminder: {total} was due on {earlier}.",
    ),
    "credit note": ("[We credit|Credit of] {total} [for|against] [invoice {docid}|returned goods|{product}].",),
    "complaint letter": (
        "[I am very unhappy|I want to complain]: {product} [arrived broken|never arrived|does not work].",
        "[This is unacceptable|I am disappointed]. [I want my money back|I expect a refund] for {product}.",
    ),
    "payslip": (
        "[Gross pay|Basic salary] {money}, [tax|deductions] {small}, [net pay|take-home pay] {total}, {month}",
    ),
    "résumé": (
        "{person}, {jobtitle}. [Worked at|Experience]: {seller}, {someyear}-{year}. [Skills|Languages]: {skill}.",
    ),
    "job posting": (
        "[We are looking for|We are hiring|Wanted:] a {jobtitle} in {city}. Apply [by {later}|at {mail}].",
    ),
    "meeting minutes": (
        "[Present|Attendees]: {person}, {person}. [Decided|Resolved]: {action}. Next meeting {later}.",
    ),
    "email": ("From: {mail}\nTo: {mail}\nSubject: {subject}\n\n[Hi|Hello] {yourfirst}, {progress}.",),
    "product review": ("{stars} [Great|Terrible|Nice|Poor] {product}, {pro}[, but {con}|]. [Would buy again|Avoid].",),
    "support ticket": ("[Ticket|Incident] {id}: {techissue}. [Please help|Priority: high|Reported by {person}].",),
    "recipe": ("[Mix|Stir|Add] {ingredient} and {ingredient}, [bake|cook|simmer] for {nn} minutes.",),
    "bank statement": (
        "[Opening balance|Balance brought forward] {money}, [closing balance|balance] {total}, {period}",
    ),
}


def snippet(rng: random.Random, kind: str) -> str:
    """A line or two of a paper of the kind."""
    case = Case(rng)
    return case.fill(rng.choice(SNIPPETS[kind]))
