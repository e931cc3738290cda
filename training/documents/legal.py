"""Contracts, leases, secrecy agreements and court papers: clauses composed from many wordings."""

from __future__ import annotations

from .blocks import either, fields, form, listing, maybe, say, tell, under
from .plan import Plan

_BOILERPLATE = """
This [agreement|contract] [is|shall be] governed by the laws of {land}[, and the courts of {town} have jurisdiction|].
[Any amendment|Changes|Amendments] to this [agreement|contract] must be [made |]in writing[ and signed by both \
  parties|].
[If any provision is invalid|Should a clause prove void], the [other|remaining] [provisions|clauses] [remain in \
  force|are not affected].
[Neither party|No party] may [assign|transfer] [this agreement|its rights] without the [prior |]written consent of \
  the other.
[Notices|All notices] [shall|must] be [given in writing|sent by registered mail] to the addresses [above|stated].
[Neither party is liable for|Force majeure:] delays caused by [events beyond its control|strike, war or natural \
  disaster].
[Costs|Each party bears its own costs|Taxes]: [as provided by law|stamp duty is shared equally|to be agreed in writing].
[This document|The agreement] [contains|constitutes] the [entire|whole] understanding of the parties[ and replaces \
  all earlier talks|].
[The annexes|Schedule {digit}|Annex {digit}] [form part|forms part] of this agreement.
"""

_SIGNED = say(
    """
In witness whereof the parties have [signed|executed] this [agreement|document] [on the date first written above|in \
  two copies|in {town} on {date}].
Signed: [__________|{me}] for {seller} [__________|{you}] for {buyer}
[Place, date|Date]: {town}, {date} [Signature|Signatures]: [____________|{me}, {you}|........... ...........]
""",
    1,
    2,
    0.6,
)

_PARTIES = """
This {deed} is [made|entered into|concluded] [on {date}|this {n}th day of {month} {year}|as of {date}] [between|by \
  and between] {seller}[, of {address}|] [("{roleone}")|, hereinafter the {roleone},|] and {buyer}[, of {address}|] \
  [("{roletwo}")|, hereinafter the {roletwo}|].
{deed} [between|dated {date} between] {seller} ({roleone}) and {buyer} ({roletwo}).
[The parties to this {deed} are|Parties:] {seller} (the {roleone}) and {buyer} (the {roletwo}).
"""


def _deed(deed: str, one: str = "{roleone}", two: str = "{roletwo}") -> str:
    return _PARTIES.replace("{deed}", deed).replace("{roleone}", one).replace("{roletwo}", two)


CONTRACT = Plan(
    "[service |consulting |employment |supply |purchase |maintenance |distribution |licence |framework "
    "|][agreement|contract][|| no. {docid}| between {seller} and {buyer}]|contract for {goods}",
    (
        tell(
            (
                _deed("[agreement|contract|service agreement|supply contract]"),
                """
        [Whereas|WHEREAS] the {roletwo} [wishes to obtain|requires] {service} and the {roleone} is [able|willing] to \
          [provide|supply] [them|it]; now therefore the parties agree as follows.
        The parties agree [as follows|on the following terms][:|.]
        """,
            )
        ),
    ),
    (
        under(
            "[terms|terms and conditions|the parties agree as follows|clauses|]",
            listing(
                """
        [Scope|Subject]: The {roleone} [shall|will|undertakes to] [provide|perform|deliver] {service}[ as described \
          in Annex {digit}|].
        [Term|Duration]: This [agreement|contract] [begins|commences|takes effect] on {date} and [continues|remains \
          in force] [until {expiry}|for {n} months|for an indefinite period].
        [Termination|Notice]: Either party may terminate [this agreement |]by [giving |]{n} [days'|weeks'|months'] \
          [written |]notice.
        [Fees|Payment|Remuneration]: The {roletwo} [shall|will] pay [{money} per [month|hour|year]|a fee of \
          {money}|the agreed fee] within {nn} days of [invoice|receipt of invoice].
        [Liability]: The liability of [the {roleone}|either party] is limited to [{big}|direct damage|the fees paid].
        Confidentiality: Both parties [shall keep|keep] [business secrets|confidential information] \
          [secret|confidential].
        [Working hours are|The working time is|Hours of service:] {nn} hours per week; annual leave [is|amounts to] \
          {nn} days.
        [Delivery]: The {roleone} [shall deliver|delivers] against [written |]purchase orders [within {n} days|].
        [Intellectual property|Ownership]: All rights in [the results|deliverables] pass to the {roletwo} [on \
          payment|upon full payment].
        [Warranty|Quality]: The {roleone} warrants that [the services are performed with due care|the goods are free \
          from defects].
        [Dispute resolution|Arbitration]: Disputes are [first |]submitted to [mediation|arbitration in {town}].
        """
                + _BOILERPLATE,
                4,
                13,
            ),
            0.5,
        ),
        _SIGNED,
    ),
)

LEASE = Plan(
    "[residential |commercial |][lease|tenancy agreement|rental agreement|lease agreement|lease contract][|| for "
    "{address}]|apartment lease|house rental contract|vehicle lease",
    (
        tell(
            (
                _deed("[lease|tenancy agreement|rental agreement]", "[Landlord|Lessor]", "[Tenant|Lessee]").replace(
                    "{buyer}", "{you}"
                ),
                """
        The [Landlord|Lessor|Owner] [lets|leases|rents out] to the [Tenant|Lessee] the \
          [flat|apartment|house|office|premises|shop|warehouse] [at|situated at] {address}.
        """,
            )
        ),
        maybe(
            0.35,
            form(
                fields("""
        monthly rent|rent|rent per month = {money}
        security deposit|deposit|bond = {money}
        landlord|lessor = {me}
        tenant|lessee|occupant = {you}
        lease start|commencement date|move-in date = {later}
        lease term|term|duration = {n} [months|years]
        premises|property|address of premises = {address}
        """),
                (),
                2,
                5,
            ),
        ),
    ),
    (
        listing(
            """
        [Term|Period]: The [lease|tenancy] [starts|begins|commences] on {later} and [runs|lasts] for {n} [months|years].
        Rent: The [Tenant|Lessee] [shall pay|pays] [a monthly rent of |]{money} [per month |][in advance|on the \
          first day of each month].
        Deposit: A [security |]deposit of {money} [is payable on signing|will be returned within {nn} days after \
          moving out].
        [Utilities|Service charges]: [Water, gas and electricity|Heating and water] are [paid by the Tenant|included \
          in the rent].
        [Repairs|Maintenance]: The [Landlord|Lessor] keeps the [roof|structure|heating] in [good |]repair; the \
          Tenant [pays for minor repairs|keeps the premises clean].
        The [Tenant|Lessee] may not [sublet|keep pets|smoke in|alter] the [premises|property] without [the \
          Landlord's |]consent.
        [The premises|The flat] consist[s|] of {digit} rooms, kitchen, bathroom [and balcony|and cellar|and a \
          parking space].
        [Notice|Termination]: [Either party may end the tenancy|The lease may be ended] with {n} months' notice.
        On [leaving|termination], the Tenant [returns all keys|leaves the premises clean and undamaged].
        [The Landlord|The Lessor] may [enter|inspect] the premises after {nn} hours' notice.
        """
            + "\n".join(_BOILERPLATE.splitlines()[1:4]),
            4,
            11,
        ),
        maybe(0.5, say("Signed: [{me}|_________] (Landlord), [{you}|_________] (Tenant)[, {date}|]", 1, 1)),
    ),
)

NDA = Plan(
    "[mutual |unilateral |][non-disclosure agreement|confidentiality agreement|NDA|secrecy "
    "agreement|confidential disclosure agreement]",
    (
        tell(
            (
                _deed(
                    "[agreement|non-disclosure agreement|confidentiality undertaking]",
                    "[Disclosing Party|Discloser]",
                    "[Receiving Party|Recipient]",
                ),
                """
        The parties [wish to|intend to] [discuss|explore|evaluate] {project} and [for this purpose |]will \
          [disclose|exchange] confidential information.
        In connection with {project}, the [Discloser|Disclosing Party] may [share|reveal] [information that is not \
          public|trade secrets].
        """,
            )
        ),
    ),
    (
        listing(
            """
        ["Confidential Information"|Confidential information] means [all|any] [technical, commercial or financial \
          |]information [disclosed|made available] [orally, in writing or in any other form|by one party to the other].
        The [Recipient|Receiving Party] shall [keep|hold] the [confidential information|information] [secret|in \
          strict confidence] and [not disclose it to third parties|use it only for the stated purpose].
        [The obligations do not apply to|Excluded is] information that is [publicly known|already known to the \
          Recipient|independently developed].
        [This duty of secrecy|The obligation of confidentiality] [lasts|continues] for {n} years after [signing|the \
          end of this agreement].
        [On request|At the end of the talks], the [Recipient|Receiving Party] [shall return or destroy|returns or \
          destroys] all [documents|copies|confidential material].
        [Employees and advisers|Only employees] who need to know [may have access|may receive the information] [and \
          must be bound by the same duty|].
        For [each|every] breach, [a penalty of {big} is due|damages may be claimed|an injunction may be sought].
        [No licence|No right] [under any patent |]is granted by [the disclosure|this agreement].
        """
            + _BOILERPLATE,
            3,
            9,
        ),
        _SIGNED,
    ),
)

COURT = Plan(
    "[order|court order|judgment|summons|notice of hearing|interim injunction|legal notice|decree][|| in case "
    "no. {docid}]|in the [district|high|county|supreme|municipal] court of {town}|public legal notice",
    (
        form(
            fields("""
        case no.|case number|docket no.|claim no.|file no. = {docid}
        plaintiff|claimant|petitioner|applicant = {seller}|{me}
        defendant|respondent = {buyer}|{you}
        judge|before|presiding judge|magistrate = [Hon. |Judge |Justice ]{they}
        court|in the = [district|high|county|supreme|magistrates'] court of {town}
        hearing date|date of hearing|date of order = {day}
        """),
            (),
            2,
            6,
        ),
        either(
            say("{seller}, [plaintiff|claimant], [v.|versus|against] {you}, [defendant|respondent]", 1, 1),
            say("IN THE [DISTRICT|HIGH|COUNTY] COURT OF {town}", 1, 1),
        ),
    ),
    (
        say(
            """
        [Upon hearing|Having heard|After hearing] [counsel for the parties|the claimant and the defendant|evidence \
          on {earlier}], [it is ordered|the court orders|it is hereby ordered] that [the defendant|{you}] [pay|shall \
          pay] {money} [with interest and costs|to the claimant within {nn} days].
        [You are hereby summoned|The defendant is summoned] to appear [before this court |]on {later} at {time} [in \
          courtroom {n}|].
        The [motion|application|appeal|claim] [for summary judgment|for an injunction|of the respondent|] is \
          [granted|denied|dismissed|allowed in part].
        [Notice is hereby given|Take notice] that [a petition|proceedings|an application] [has been|have been|was] \
          filed [against|by] {third} [concerning|regarding] {legalmatter}.
        [The respondent|The defendant] is [restrained|enjoined|prohibited] from [entering {address}|selling the \
          goods|contacting the petitioner|disposing of assets] [until further order|].
        The [claimant|plaintiff] alleges [breach of contract|negligence|non-payment|infringement] [in respect \
          of|arising from] {legalmatter}.
        [Failure to|If you fail to] [appear|comply|respond within {nn} days], [judgment may be entered against \
          you|you may be held in contempt of court].
        [The court finds|It is found] that the [contract of {earlier} was breached|evidence is insufficient|lease \
          was validly terminated].
        [Creditors|Any person with an interest] [must|should] [lodge|file] [claims|objections] [with the registrar \
          |]by {later}.
        Costs [in the cause|are awarded to the claimant|are reserved]. [So ordered.|Given under my hand and the seal \
          of the court.|]
        [It is further ordered that|The court further directs that] [each party bears its own costs|the parties \
          exchange documents by {later}|the hearing is adjourned to {later}|a copy be served on {third}].
        [The facts are as follows|The background is this]: [on {earlier} the parties concluded a contract for \
          {goods}|the defendant failed to pay {money}|the claimant suffered damage through {peril}].
        [Leave to appeal|Permission to appeal] is [refused|granted]. [Any appeal must be lodged within {nn} days.|]
        """,
            3,
            9,
            1.0,
            True,
        ),
    ),
)

PLANS: dict[str, Plan] = {
    "contract": CONTRACT,
    "lease": LEASE,
    "non-disclosure agreement": NDA,
    "court order": COURT,
}
