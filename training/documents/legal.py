"""Contracts, leases, secrecy agreements, court papers and warranties: clauses composed from many wordings."""

from __future__ import annotations

from .blocks import either, fields, form, listing, maybe, party, say, tell, under
from .fields import REFERENCES
from .plan import Plan, kind
from .tables import table

_BOILERPLATE = """
This [agreement|contract] [is|shall be] governed by the laws of {land}[, and the courts of {town} have jurisdiction|].
[Any amendment|Changes|Amendments] to this [agreement|contract] must be [made |]in writing[ and signed by both parties|].
[If any provision is invalid|Should a clause prove void], the [other|remaining] [provisions|clauses] [remain in force|are not affected].
[Neither party|No party] may [assign|transfer] [this agreement|its rights] without the [prior |]written consent of the other.
[Notices|All notices] [shall|must] be [given in writing|sent by registered mail] to the addresses [above|stated].
[Neither party is liable for|Force majeure:] delays caused by [events beyond its control|strike, war or natural disaster].
In witness whereof the parties have [signed|executed] this [agreement|contract] [on the date first written above|in two copies|in {town} on {date}].
Signed: [__________|{me}] for {seller} [__________|{you}] for {buyer}
"""
_PARTIES = """
This {deed} is [made|entered into|concluded] [on {date}|this {n}th day of {month} {year}|as of {date}] [between|by and between] {seller}[, of {address}|] [("{roleone}")|, hereinafter the {roleone},|] and {buyer}[, of {address}|] [("{roletwo}")|, hereinafter the {roletwo}|].
{deed} [between|dated {date} between] {seller} ({roleone}) and {buyer} ({roletwo}).
[The parties to this {deed} are|Parties:] {seller} (the {roleone}) and {buyer} (the {roletwo}).
"""


def _deed(deed: str, one: str, two: str) -> str:
    return _PARTIES.replace("{deed}", deed).replace("{roleone}", one).replace("{roletwo}", two)


CONTRACT = kind("contract", "legal", """
agreement|service agreement|legal agreement between parties|binding contract|employment or supply contract
""", """
sets out rights and duties that two parties agree on
clauses on services, term, payment, liability and termination
binding terms between a provider and a client or employee
signed arrangement for work or supply over time
""", Plan(
    "[service |consulting |employment |supply |purchase |maintenance |distribution |licence |framework |][agreement|contract][|| no. {docid}| between {seller} and {buyer}]|contract for {goods}",
    (tell((_deed("[agreement|contract|service agreement|supply contract]", "[Provider|Supplier|Contractor|Employer|Seller]", "[Client|Customer|Employee|Buyer|Distributor]"), """
        [Whereas|WHEREAS] the [Client|Customer] [wishes to obtain|requires] {service} and the [Provider|Supplier] is [able|willing] to [provide|supply] [them|it]; now therefore the parties agree as follows.
        The parties agree [as follows|on the following terms][:|.]
        """)),),
    (
        under("[terms|terms and conditions|the parties agree as follows|clauses|]", listing("""
        [Scope|Subject]: The [Provider|Contractor|Supplier] [shall|will|undertakes to] [provide|perform|deliver] {service}[ as described in Annex {digit}|].
        [Term|Duration]: This [agreement|contract] [begins|commences|takes effect] on {date} and [continues|remains in force] [until {expiry}|for {n} months|for an indefinite period].
        [Termination|Notice]: Either party may terminate [this agreement |]by [giving |]{n} [days'|weeks'|months'] [written |]notice.
        [Fees|Payment|Remuneration]: The [Client|Customer] [shall|will] pay [{money} per [month|hour|year]|a fee of {money}|the agreed fee] within {nn} days of [invoice|receipt of invoice].
        [Liability]: The liability of [the Provider|either party] is limited to [{big}|direct damage|the fees paid].
        Confidentiality: Both parties [shall keep|keep] [business secrets|confidential information] [secret|confidential].
        [Working hours|The Employee's working time] [are|is] {nn} hours per week; annual leave [is|amounts to] {nn} days.
        [Delivery]: The Supplier [shall deliver|delivers] against [written |]purchase orders [within {n} days|].
        [Intellectual property|Ownership]: All rights in [the results|deliverables] pass to the Client [on payment|upon full payment].
        [Warranty|Quality]: The [Provider|Supplier] warrants that [the services are performed with due care|the goods are free from defects].
        [Dispute resolution|Arbitration]: Disputes are [first |]submitted to [mediation|arbitration in {town}].
        """ + _BOILERPLATE, 3, 11), 0.5),
    ),
))  # fmt: skip

LEASE = kind("lease", "legal", """
rental agreement|tenancy agreement|lease contract|residential lease|letting agreement
""", """
a landlord lets premises to a tenant for rent
terms for renting a flat, house, office or vehicle
sets rent, deposit, term and duties of tenant and owner
gives the right to use property in return for periodic payments
""", Plan(
    "[residential |commercial |][lease|tenancy agreement|rental agreement|lease agreement|lease contract][|| for {address}]|apartment lease|house rental contract|vehicle lease",
    (tell((_deed("[lease|tenancy agreement|rental agreement]", "[Landlord|Lessor]", "[Tenant|Lessee]").replace("{buyer}", "{you}"), """
        The [Landlord|Lessor|Owner] [lets|leases|rents out] to the [Tenant|Lessee] the [flat|apartment|house|office|premises|shop|warehouse] [at|situated at] {address}.
        """)), maybe(0.35, form(fields("""
        monthly rent|rent|rent per month = {money}
        security deposit|deposit|bond = {money}
        landlord|lessor = {me}
        tenant|lessee|occupant = {you}
        lease start|commencement date|move-in date = {later}
        lease term|term|duration = {n} [months|years]
        premises|property|address of premises = {address}
        """), (), 2, 5))),
    (
        listing("""
        [Term|Period]: The [lease|tenancy] [starts|begins|commences] on {later} and [runs|lasts] for {n} [months|years].
        Rent: The [Tenant|Lessee] [shall pay|pays] [a monthly rent of |]{money} [per month |][in advance|on the first day of each month].
        Deposit: A [security |]deposit of {money} [is payable on signing|will be returned within {nn} days after moving out].
        [Utilities|Service charges]: [Water, gas and electricity|Heating and water] are [paid by the Tenant|included in the rent].
        [Repairs|Maintenance]: The [Landlord|Lessor] keeps the [roof|structure|heating] in [good |]repair; the Tenant [pays for minor repairs|keeps the premises clean].
        The [Tenant|Lessee] may not [sublet|keep pets|smoke in|alter] the [premises|property] without [the Landlord's |]consent.
        [The premises|The flat] consist[s|] of {digit} rooms, kitchen, bathroom [and balcony|and cellar|and a parking space].
        [Notice|Termination]: [Either party may end the tenancy|The lease may be ended] with {n} months' notice.
        On [leaving|termination], the Tenant [returns all keys|leaves the premises clean and undamaged].
        [The Landlord|The Lessor] may [enter|inspect] the premises after {nn} hours' notice.
        """ + "\n".join(_BOILERPLATE.splitlines()[1:4]) + "\nSigned: {me} (Landlord), {you} (Tenant)", 4, 10),
    ),
))  # fmt: skip

NDA = kind("non-disclosure agreement", "legal", """
NDA|confidentiality agreement|secrecy agreement|confidential disclosure agreement
""", """
parties promise to keep each other's information secret
forbids revealing confidential information to others
protects business secrets shared during talks
obligations of secrecy between discloser and recipient
""", Plan(
    "[mutual |unilateral |][non-disclosure agreement|confidentiality agreement|NDA|secrecy agreement|confidential disclosure agreement]",
    (tell((_deed("[agreement|non-disclosure agreement|confidentiality undertaking]", "[Disclosing Party|Discloser]", "[Receiving Party|Recipient]"), """
        The parties [wish to|intend to] [discuss|explore|evaluate] {project} and [for this purpose |]will [disclose|exchange] confidential information.
        In connection with {project}, the [Discloser|Disclosing Party] may [share|reveal] [information that is not public|trade secrets].
        """)),),
    (
        listing("""
        ["Confidential Information"|Confidential information] means [all|any] [technical, commercial or financial |]information [disclosed|made available] [orally, in writing or in any other form|by one party to the other].
        The [Recipient|Receiving Party] shall [keep|hold] the [confidential information|information] [secret|in strict confidence] and [not disclose it to third parties|use it only for the stated purpose].
        [The obligations do not apply to|Excluded is] information that is [publicly known|already known to the Recipient|independently developed].
        [This duty of secrecy|The obligation of confidentiality] [lasts|continues] for {n} years after [signing|the end of this agreement].
        [On request|At the end of the talks], the [Recipient|Receiving Party] [shall return or destroy|returns or destroys] all [documents|copies|confidential material].
        [Employees and advisers|Only employees] who need to know [may have access|may receive the information] [and must be bound by the same duty|].
        For [each|every] breach, [a penalty of {big} is due|damages may be claimed|an injunction may be sought].
        [No licence|No right] [under any patent |]is granted by [the disclosure|this agreement].
        """ + _BOILERPLATE, 3, 9),
    ),
))  # fmt: skip

COURT = kind("court order", "legal", """
legal notice|judgment|summons|notice of court proceedings|judicial decision|writ
""", """
a court or lawyer gives binding notice of a decision or claim
orders a party to do or stop something, or to appear
names plaintiff, defendant, case number and ruling
official legal decision or announcement of proceedings
""", Plan(
    "[order|court order|judgment|summons|notice of hearing|interim injunction|legal notice|decree][|| in case no. {docid}]|in the [district|high|county|supreme|municipal] court of {town}|public legal notice",
    (form(fields("""
        case no.|case number|docket no.|claim no.|file no. = {docid}
        plaintiff|claimant|petitioner|applicant = {seller}|{me}
        defendant|respondent = {buyer}|{you}
        judge|before|presiding judge|magistrate = [Hon. |Judge |Justice ]{they}
        court|in the = [district|high|county|supreme|magistrates'] court of {town}
        hearing date|date of hearing|date of order = {day}
        """), (), 2, 6), either(say("{seller}, [plaintiff|claimant], [v.|versus|against] {you}, [defendant|respondent]", 1, 1), say("IN THE [DISTRICT|HIGH|COUNTY] COURT OF {town}", 1, 1))),
    (
        say("""
        [Upon hearing|Having heard|After hearing] [counsel for the parties|the claimant and the defendant|evidence on {earlier}], [it is ordered|the court orders|it is hereby ordered] that [the defendant|{you}] [pay|shall pay] {money} [with interest and costs|to the claimant within {nn} days].
        [You are hereby summoned|The defendant is summoned] to appear [before this court |]on {later} at {time} [in courtroom {n}|].
        The [motion|application|appeal|claim] [for summary judgment|for an injunction|of the respondent|] is [granted|denied|dismissed|allowed in part].
        [Notice is hereby given|Take notice] that [a petition|proceedings|an application] [has been|have been|was] filed [against|by] {third} [concerning|regarding] {legalmatter}.
        [The respondent|The defendant] is [restrained|enjoined|prohibited] from [entering {address}|selling the goods|contacting the petitioner|disposing of assets] [until further order|].
        The [claimant|plaintiff] alleges [breach of contract|negligence|non-payment|infringement] [in respect of|arising from] {legalmatter}.
        [Failure to|If you fail to] [appear|comply|respond within {nn} days], [judgment may be entered against you|you may be held in contempt of court].
        [The court finds|It is found] that the [contract of {earlier} was breached|evidence is insufficient|lease was validly terminated].
        [Creditors|Any person with an interest] [must|should] [lodge|file] [claims|objections] [with the registrar |]by {later}.
        Costs [in the cause|are awarded to the claimant|are reserved]. [So ordered.|Given under my hand and the seal of the court.|]
        """, 2, 6, 1.0, True),
    ),
))  # fmt: skip

WARRANTY = kind("warranty certificate", "legal", """
guarantee certificate|warranty card|product guarantee|manufacturer's warranty
""", """
promises free repair or replacement of a product for some time
manufacturer's guarantee with serial number and conditions
certifies cover against defects from the date of purchase
tells the buyer what is covered if the product fails
""", Plan(
    "[limited |manufacturer's |{n}-year |][warranty|guarantee] [certificate|card|certificate|statement]|[warranty|guarantee]|certificate of warranty",
    (party("|manufacturer|dealer", "manufacturer|dealer", "seller", 0.5), form(fields("""
        warranty period|guarantee period|period of cover|warranty expires = {n} [months|years]|{expiry}
        serial no.|serial number|s/n = {docid}
        date of purchase|purchase date|bought on = {earlier}
        product|model|article|appliance = {goods}
        dealer's stamp|dealer|sold by|retailer = {third}
        customer|owner|purchaser = {you}
        """), (), 2, 6)),
    (
        say("""
        [We guarantee|{seller} warrants|This certificate guarantees] that [this product|the {goods}] [is|will be] free from defects in [material|materials] and workmanship for [a period of |]{n} [months|years] from [the date of |]purchase.
        [During the warranty period|Within this time] [we will|{seller} will] repair or replace [defective parts|the product] free of charge.
        [This warranty|The guarantee] does not cover [normal wear and tear|misuse|accidental damage|batteries|improper installation][, {misuse}|].
        [To claim|To make a claim|For service], [return the product|contact {phone}|send the item] with [the receipt|proof of purchase|this card] [to your dealer|].
        [The warranty|Cover] [is void|lapses] if [the seal is broken|the product is repaired by unauthorised persons|the serial number is removed].
        Your statutory rights are not affected[ by this guarantee|].
        """, 1, 5, 1.0, True),
    ),
))  # fmt: skip

_POLICY_FIELDS = fields("""
policy no.|policy number|certificate of insurance no. = {docid}
sum insured|cover limit|insured amount|limit of indemnity = {big}
premium|annual premium|monthly premium|premium due = {money}
policyholder|insured|name of insured|policy owner = {you}
period of insurance|policy period|cover from - to = {date} - {expiry}
excess|deductible = {small}
insurer|underwriter = {coined} [Insurance|Mutual|Assurance]
insured property|risk address|insured vehicle = {address}
""")
POLICY = kind("insurance policy", "insurance", """
insurance certificate|policy schedule|certificate of insurance|cover document of an insurer
""", """
an insurer promises cover against risks for a premium
sets insured sums, excess, exclusions and period of cover
terms of protection for a home, car, life or business
schedule of what is insured and what it costs
""", Plan(
    "[home|motor|life|travel|health|liability|contents|] insurance [policy|policy schedule|certificate][| {docid}]|certificate of [motor |]insurance|policy schedule|schedule of cover",
    (party("||insurer", "insurer|", "seller", 0.4), form(_POLICY_FIELDS, REFERENCES[3:4], 3, 8)),
    (
        maybe(0.35, table(fields("""
        cover|section|benefit|risk = [fire|theft|water damage|third party liability|accidental damage|legal expenses|medical expenses|baggage|storm|glass breakage|hospital cash]
        sum insured|limit|cover up to = {big}
        excess|deductible = {small}
        premium = {small}
        """), 2, 6, 2)),
        say("""
        [We will|The insurer will|The company agrees to] [indemnify|pay|compensate] [you|the insured] for [loss|damage|loss of or damage to the property] caused by {peril}[, {peril}|] or {peril}.
        [This policy|Cover] does not [include|cover|extend to] [damage caused by |]{peril}[, wear and tear|, war|, wilful acts].
        [The policyholder|You] must [report|notify] any [loss|claim] within {n} days [of the event|].
        [The policy|Cover] [renews|is renewed] automatically [each year|on {expiry}] unless cancelled [in writing|with {nn} days' notice].
        The premium of {money} is [payable|due] [annually|monthly|in advance]. [Cover ends if the premium is not paid.|]
        [You may cancel|Cooling-off period: you can cancel] within {nn} days of receiving [this policy|these documents].
        """, 1, 4, 0.85, True),
    ),
))  # fmt: skip

KINDS = (CONTRACT, LEASE, NDA, COURT, WARRANTY, POLICY)
