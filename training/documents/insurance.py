"""Cover and its cases: policies, claims and product warranties."""

from __future__ import annotations

from .blocks import fields, form, maybe, party, say, under
from .fields import REFERENCES
from .plan import Plan
from .tables import table

WARRANTY = Plan(
    "[limited |manufacturer's |{n}-year |][warranty|guarantee] "
    "[certificate|card|certificate|statement]|[warranty|guarantee]|certificate of warranty",
    (
        party("|manufacturer|dealer", "manufacturer|dealer", "seller", 0.5),
        form(
            fields("""
        warranty period|guarantee period|period of cover|warranty expires = {n} [months|years]|{expiry}
        serial no.|serial number|s/n = {docid}
        date of purchase|purchase date|bought on = {earlier}
        product|model|article|appliance = {goods}
        dealer's stamp|dealer|sold by|retailer = {third}
        customer|owner|purchaser = {you}
        """),
            (),
            2,
            6,
        ),
    ),
    (
        say(
            """
        [We guarantee|{seller} warrants|This certificate guarantees] that [this product|the {goods}] [is|will be] \
          free from defects in [material|materials] and workmanship for [a period of |]{n} [months|years] from [the \
          date of |]purchase.
        [During the warranty period|Within this time] [we will|{seller} will] repair or replace [defective parts|the \
          product] free of charge.
        [This warranty|The guarantee] does not cover [normal wear and tear|misuse|accidental \
          damage|batteries|improper installation][, {misuse}|].
        [To claim|To make a claim|For service], [return the product|contact {phone}|send the item] with [the \
          receipt|proof of purchase|this card] [to your dealer|].
        [The warranty|Cover] [is void|lapses] if [the seal is broken|the product is repaired by unauthorised \
          persons|the serial number is removed].
        Your statutory rights are not affected[ by this guarantee|].
        [Register|Please register] [your {goods}|your product|this warranty] [at {web}|within {nn} days|by post] to \
          [extend|activate] [the cover|the guarantee].
        [The cost of|Expenses for] [transport|labour|postage] [is|are] [borne by the customer|included for the first \
          {n} months|not covered].
        [Liability|Our liability] is limited to [the purchase price|repair or replacement]; [we are not liable \
          for|this excludes] consequential [loss|damage].
        This [warranty|guarantee] is [not transferable|valid in {country} only|given to the first owner only|valid \
          worldwide].
        """,
            2,
            8,
            1.0,
            True,
        ),
    ),
)

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

POLICY = Plan(
    "[home|motor|life|travel|health|liability|contents|] insurance [policy|policy schedule|certificate][| "
    "{docid}]|certificate of [motor |]insurance|policy schedule|schedule of cover",
    (party("||insurer", "insurer|", "seller", 0.4), form(_POLICY_FIELDS, REFERENCES[3:4], 4, 10)),
    (
        maybe(
            0.35,
            table(
                fields("""
        cover|section|benefit|risk = [fire|theft|water damage|third party liability|accidental damage|legal \
          expenses|medical expenses|baggage|storm|glass breakage|hospital cash]
        sum insured|limit|cover up to = {big}
        excess|deductible = {small}
        premium = {small}
        """),
                2,
                6,
                2,
            ),
        ),
        say(
            """
        [We will|The insurer will|The company agrees to] [indemnify|pay|compensate] [you|the insured] for \
          [loss|damage|loss of or damage to the property] caused by {peril}[, {peril}|] or {peril}.
        [This policy|Cover] does not [include|cover|extend to] [damage caused by |]{peril}[, wear and tear|, war|, \
          wilful acts].
        [The policyholder|You] must [report|notify] any [loss|claim] within {n} days [of the event|].
        [The policy|Cover] [renews|is renewed] automatically [each year|on {expiry}] unless cancelled [in \
          writing|with {nn} days' notice].
        The premium of {money} is [payable|due] [annually|monthly|in advance]. [Cover ends if the premium is not paid.|]
        [You may cancel|Cooling-off period: you can cancel] within {nn} days of receiving [this policy|these documents].
        [Definitions|In this policy]: "[insured event|loss]" means {peril}[, {peril}|] [occurring|that occurs] \
          during the period of [insurance|cover].
        [In the event of a claim|If you need to claim], [call|ring] {phone} and quote policy {docid}.
        [The insured|You] must [take reasonable care|keep the property in good repair|lock all doors|install a smoke \
          alarm].
        [Under-insurance|If the sum insured is too low], [the claim is reduced in proportion|we pay only a share]. \
          [The excess of {small} applies to each claim.|]
        [Optional|Additional] cover: {peril}, {peril} [- included|- not taken|- premium {small}].
        """,
            2,
            8,
            0.95,
            True,
        ),
    ),
)

CLAIM = Plan(
    "[motor|home|travel|health|property|accident|] [insurance claim|claim form|claim report|insurance claim "
    "form]|notice of [loss|claim]|claim no. {docid}|accident report form",
    (
        party("|insurer|to", "insurer|", "seller", 0.4),
        form(
            fields("""
        claim no.|claim number|claim reference = {docid}
        date of loss|date of accident|date of incident|loss date = {earlier}
        amount claimed|estimated loss|claim amount|cost of repair = {money}
        policy no.|policy number = {account}
        claimant|policyholder|insured|name of claimant = {you}
        place of loss|location of accident|where did it happen = {address}
        police report no.|reported to police|crime ref = {id}
        type of claim|cause of loss|type of loss = {peril}
        """),
            REFERENCES[3:4],
            4,
            10,
        ),
    ),
    (
        under(
            "[description of the incident|what happened|details of loss|circumstances|]",
            say(
                """
        [On|In the evening of|On the morning of] {earlier} [my|the insured] \
          [car|house|luggage|bicycle|shop|phone|roof] [at|in|near] {city} was [damaged|stolen|destroyed] \
          [by|through] {peril}.
        [The other driver|A third party|Our neighbour|A delivery van], {person}, [caused|was responsible for] the \
          [accident|damage].
        [I|We] [hereby |]claim [compensation of |]{money} [under|from] [my|our] policy [no. |]{account}.
        [Damaged|Lost|Stolen] items: {product}[, {product}|] worth {money}.
        [The police|Fire brigade|A doctor] [was|were] called[, report {id}|]. [Witness|Witnesses]: {person}[, {phone}|].
        [Photos|Receipts|A repair estimate|A medical report] [are|is] [attached|enclosed].
        I declare that [the above|this statement] is [true|complete and true] [and understand that false claims are \
          punishable|].
        [I was driving|We were] [on the {street} Road|home|on holiday in {country}|at work] when [it \
          happened|{peril} occurred|a lorry pulled out].
        [The repair|The damage] has been [estimated|valued] at {money} by {company}[, quote attached|].
        [Nobody|One person] was [hurt|injured][: {symptom}|]. [I reported the loss on {earlier}.|The locks have been \
          changed.|]
        [Please pay|Payment should be made] to [my account {iban}|the garage directly|the claimant].
        [Have you claimed before|Other insurance|Is the property repaired]? [yes|no][, in {someyear}|].
        """,
                2,
                9,
                1.0,
                True,
            ),
        ),
    ),
)

PLANS: dict[str, Plan] = {
    "warranty certificate": WARRANTY,
    "insurance policy": POLICY,
    "insurance claim": CLAIM,
}
