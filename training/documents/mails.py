"""Mails with the headers of their protocol, and letters of offices."""

from __future__ import annotations

from datetime import timedelta

from .blocks import line, maybe, rows_of, say
from .case import Case
from .plan import Plan


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

MAILS = (_RAW_MAIL,)
LETTERS = (_OFFICE_LETTER,)
