"""Letters, memos, e-mails and complaints: prose whose form and purpose tell the kind."""

from __future__ import annotations

from .blocks import both, either, fields, form, line, listing, maybe, say, tell
from .plan import Plan

_CLOSE = line(
    "[Yours sincerely|Yours faithfully|Sincerely|Kind regards|Best regards|With kind regards|Respectfully "
    "yours],\n{me}[\n{jobtitle}|\n{seller}|]",
    "[Yours sincerely|Kind regards|Sincerely yours|Yours truly]\n\n{me}",
)

_FRIENDLY_CLOSE = line(
    "[Love|Lots of love|Yours|With love|Hugs|Take care|All the best|Warm wishes|Best "
    "wishes],\n[{myfirst}|{myfirst} and {first}|{me}]"
)

_LETTERHEAD = line(
    "{me}\n{address}\n\n{date}\n\n{you}\n{buyer}\n{address}",
    "{seller}\n{address}\n{town}, {date}",
    "{town}, {date}",
    "{buyer}\nattn. {you}\n{address}\n\n{date}",
)

_HELLO = line(
    "Dear {you},",
    "Dear [Sir or Madam|Sirs|Mr {last}|Ms {last}|Mrs {last}|Dr {last}|colleague|members],",
    "To whom it may concern,",
)

_FORMAL = tell(
    (
        """
[I am|We are] writing to [inform you|let you know|tell you] [about|of] {news}.
[Thank you for|With reference to|Further to|In reply to] your letter of {earlier} [about|concerning|regarding] \
  {subject}[, I would like to tell you that {progress}|].
[I should like to|I wish to|We would like to] [apply for|enquire about|draw your attention to|ask about] {subject}.
It is with [great pleasure|regret] that [I|we] [announce|inform you of] {news}.
[On behalf of {seller}|On behalf of the board], [I thank you|we thank you] for your [support|letter|interest] \
  [concerning|regarding] {subject}.
I [hereby|would like to] [resign from my position as {jobtitle}|recommend {they} for the post of {jobtitle}|cancel \
  my {membership}|accept your offer of the post of {jobtitle}].
""",
        """
As you [may |]know, {progress}.
{they} has [worked|been] with us [as {jobtitle} |]for {n} years [and has always been {goodtrait}|].
[After careful thought|For personal reasons|Following our meeting], [we|I] have decided to {action}.
[Our records show|We understand] that {progress}.
[Over the past years|During the last months], {seller} has [supported|invested in|worked on] {project}.
""",
        """
[I|We] would be [grateful|pleased] if you [could|would] {action}[ by {later}|].
[Could you please|Would you kindly] {action}?
[We are convinced|I am sure] that {project} will [benefit|interest] [you|our members|the town].
""",
        """
[Please find enclosed|I enclose|Enclosed you will find] [a copy of |]the {report}.
[A meeting|An appointment] [can be arranged|could take place] on {later} [at {time}|in {venue}].
[We hope|I trust] that [this is acceptable|you understand our position|the delay causes no inconvenience].
""",
        """
[If you have any questions|Should you need more information], [please |][call|contact|write to] [me|us] [on \
  {phone}|at {mail}].
[I look|We look] forward to [hearing from you|your reply|meeting you].
[Thank you|Many thanks] [in advance |]for your [time|help|understanding|attention].
""",
    )
)

_PERSONAL = tell(
    (
        """
[Thank you so much|Thanks a lot|Many thanks] for your [letter|card|parcel|lovely present|photos].
[How are you|How is everybody|I hope you are all well]? [It has been ages since we last met.|I have been meaning to \
  write for weeks.|]
[We arrived|I got back] [safely |][in {city}|from {city}] [last {weekday}|on {weekday}|two days ago].
""",
        """
[The weather|The food|Life here] is [wonderful|terrible|quite different|getting better], and [the children|the \
  neighbours|{first} and {first}] [love it|are well|send their love].
{first} [has started|has finished|is enjoying] [school|her new job as {jobtitle}|{hobby}|university in {city}].
[Grandma|Uncle {first}|My sister|Dad] [has been ill|is much better|turned {nn}|came to stay] [last week|since \
  {month}|and we had a party|].
I have [taken up|given up] {hobby} and [spend my weekends with|hardly have time for] {hobby}.
""",
        """
[Do you remember|I still think of] [our summer in {city}|that evening in {city}|{first}'s wedding]?
[Last {weekday}|Yesterday] we [went to|visited|saw] {sight}, which was [lovely|crowded|worth the trip].
[The garden|The house|The new flat] is [full of flowers|finally finished|still a mess].
""",
        """
[Please come|You must come|When will you come] and [visit|stay with|see] us [in {month}|soon|at Christmas][.|!]
[Write soon|Write back soon|Call me|Give my love to {first}][.|!]
I miss you [all |]and hope to see you [in {month}|soon].
""",
    )
)

LETTER = Plan(
    "[subject|re|concerning]: {subject}|[letter|letter to {you}|letter of {recommendation}|open letter|cover "
    "letter]|re: {subject}",
    (),
    (
        either(
            both(maybe(0.85, _LETTERHEAD), maybe(0.3, line("[Subject|Re|Ref.]: {subject}")), _HELLO, _FORMAL, _CLOSE),
            both(maybe(0.85, _LETTERHEAD), maybe(0.3, line("[Subject|Re|Ref.]: {subject}")), _HELLO, _FORMAL, _CLOSE),
            both(
                maybe(0.4, line("{town}, {date}", "{weekday}, {date}")),
                line("[Dear|My dear|Dearest|Hello] {yourfirst},"),
                _PERSONAL,
                _FRIENDLY_CLOSE,
            ),
        ),
    ),
    untitled=0.8,
    ordered=True,
)

_COMPLAINT = tell(
    (
        """
I am writing to [complain|express my dissatisfaction|make a complaint] about {fault}.
I [wish|would like|want] to [make a formal complaint|complain strongly] about {fault}.
[I am very unhappy with|I was shocked by|We are extremely disappointed with] {fault}.
[On {earlier}|Last {weekday}] I [bought|ordered|received] [a|your] {product} from [you|your shop in {city}], and [I \
  am very disappointed|it is a complaint I now have to make].
""",
        """
[When|As soon as] [it arrived|I opened the box|I switched it on], [it was broken|it did not work|parts were \
  missing|it was the wrong colour].
[I waited|We waited] {n} [hours|days|weeks] and [nobody came|no one answered|got no apology].
[Your staff|The assistant|{person} at your counter] [was rude|refused to help|told me to wait|promised to call back \
  but never did].
[This is not|This is hardly] the first time: [already in {month}|in {month}] I [wrote to you|complained] about {fault}.
""",
        """
[Despite|In spite of] {n} [calls|e-mails|letters], [nothing has been done|I have received no answer|the problem is \
  not solved].
[I have paid {money}|The invoice of {money} was paid at once] and [expect better|this is unacceptable].
[The advertisement|Your website|The contract] [promised|says] [something quite different|delivery within {n} \
  days|full satisfaction].
""",
        """
I [demand|ask for|expect|request] [a full refund|a replacement|compensation of {money}|an apology|my money back] \
  [within {nn} days|by {later}|immediately|].
[Please|I expect you to] [send me a replacement|refund the price|collect the goods|explain how this could happen] \
  [without delay|by {later}|].
""",
        """
[Otherwise|If I do not hear from you|Failing that], I [will|shall] [contact a consumer organisation|take legal \
  advice|cancel my contract|tell the press].
[Copies of the receipt and photos are enclosed.|I enclose a copy of the invoice.|Order number {orderid}.]
""",
    )
)

COMPLAINT = Plan(
    "[complaint|complaint about {product}|formal complaint|letter of complaint|re: complaint - order "
    "{orderid}|customer complaint]",
    (),
    (
        maybe(0.6, _LETTERHEAD),
        either(_HELLO, _HELLO, line("To the manager of {seller}")),
        _COMPLAINT,
        maybe(0.85, _CLOSE),
    ),
    untitled=0.5,
    ordered=True,
)

_MEMO_FIELDS = fields("""
to|distribution|for = [all staff|all employees|{department} team|department heads|all managers|{you}, {department}]
from = {me}[, {department}|, {jobtitle}|]
subject|re|concerning|topic = {news}|{subject}
date = {date}
cc|copy = {person}
""")

MEMO = Plan(
    "memo[|||randum]|internal [memo|memorandum|note|circular]|office memorandum|MEMORANDUM TO ALL STAFF|staff notice",
    (form(_MEMO_FIELDS, (), 3, 5),),
    (
        tell(
            (
                """
        [Please note|Please be advised|This is to inform all staff|All staff are reminded] that [from {later}|as of \
          {later}|starting {weekday}] {rule}.
        [I am pleased to announce|We announce with pleasure|Effective {later}, note] {news}.
        [There has been|We have noticed] [an increase in|a lot of confusion about|repeated questions about] {issue}.
        [The office|The canteen|The car park|The {department} department] will be [closed|moved|renovated] [on \
          {later}|from {weekday} to {weekday}].
        """,
                """
        [This applies to|The change affects] [all employees|{department} and {department}|temporary staff as well].
        The reason is {issue}. {progress}.
        [Managers|Team leaders|Heads of department] [must|should|are asked to] {action}[ by {later}|].
        """,
                """
        [All employees|Everyone|Staff] [must|should|are requested to] {action}[ before {later}|].
        [Please|Kindly] {action} [and inform your teams|].
        """,
                """
        [Questions|Any questions] should be [directed|addressed] to {person} [in {department}|, ext. {nnn}].
        [Thank you for your cooperation.|Your cooperation is appreciated.|Failure to comply may lead to disciplinary \
          action.]
        """,
            )
        ),
        maybe(0.2, listing("{rule}", 2, 4, 1.0, True)),
        maybe(0.3, line("{me}", "{me}\n{jobtitle}", "[cc|file]: {department}")),
    ),
    untitled=0.15,
)

_MAIL_FIELDS = fields("""
from|sender = {me} <{mail}>|{mail}
to|recipient = {mail}|{you} <{mail}>
subject|subject line = [re: |fw: |fwd: |]{subject}
sent|date|received = {date} {time}
cc|bcc = {mail}
attachments|attached = [{report}|scan|photo|minutes].[pdf|docx|xlsx]
""")

EMAIL = Plan(
    "[email|e-mail message|original message|forwarded message|----- original message -----|new message|inbox]",
    (form(_MAIL_FIELDS, (), 4, 6),),
    (
        line(
            "[Hi|Hello|Dear|Hey|Good morning|Morning] [{yourfirst}|all|team|everyone|{you}],",
            "[Hi|Hello] {yourfirst} [-|!]",
            "{yourfirst},",
        ),
        tell(
            (
                """
        [Just a quick note|Quick update|Just to let you know]: {progress}.
        [Thanks for|Thank you for] [your mail|getting back to me|the call this morning|the {report}].
        [Attached|Please find attached|Here] is the {report}[ you asked for| for {period}|].
        [Could you|Can you|Would you mind if we] {action}[ by {weekday}| today|]?
        [I'm running late|I'm out of office|I am working from home] [on {weekday}|until {later}|today], [so {person} \
          will take over|please call {phone}|sorry].
        [Hope you had a good weekend|Hope all is well|Hope you are well]. [I wanted to ask about {subject}.|Any news \
          on {project}?]
        """,
                """
        {progress}, [so|and] we [should|need to|might] {action}.
        [I spoke to|I talked to|Heard from] {person} [about {project}|yesterday|at {company}], [who says|and it \
          seems] {progress}.
        [There is a problem with|I'm worried about|Not sure about] {issue}.
        [Are you free|Do you have time|Shall we meet] on {weekday} at {time}[ in {venue}|]?
        """,
                """
        [Let me know|Tell me] [what you think|if that works|if you need anything else|by {weekday}].
        [Shall I|Should we] {action} or [wait|leave it]?
        [Don't forget|Please remember] to {action}.
        """,
            )
        ),
        line(
            "[Thanks|Best|Cheers|Regards|Best regards|Kind regards|BR|Thx|See you],\n{myfirst}",
            "[Thanks|Best regards],\n{me}\n{seller}\n{phone}",
            "{myfirst}",
            "Sent from my [phone|mobile|tablet]",
        ),
        maybe(
            0.2,
            say(
                "[On {earlier} {you} wrote:|-----Original Message----- From: {mail}] [could you {action}?|any "
                "news about {project}?|please see below.]",
                1,
                1,
            ),
        ),
    ),
    untitled=0.7,
    ordered=True,
)

PLANS: dict[str, Plan] = {
    "letter": LETTER,
    "complaint letter": COMPLAINT,
    "memo": MEMO,
    "email": EMAIL,
}
