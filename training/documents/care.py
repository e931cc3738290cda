"""Forms and records about persons: health, loans and journeys."""

from __future__ import annotations

from .blocks import fields, form, listing, maybe, party, say, tell, under
from .fields import REFERENCES
from .plan import Plan

LOAN = Plan(
    "[personal|business|mortgage|student|car|home|small business|] [loan|credit] application[| form| no. "
    "{docid}]|application for [a loan|credit|a mortgage]",
    (
        party("|lender|bank", "bank|lender", "bankname", 0.4),
        form(
            fields("""
        loan amount|amount requested|credit requested|amount of loan = {big}
        purpose of loan|loan purpose|reason for loan = [buying a house|new car|debt consolidation|working \
          capital|home improvement|machinery|studies]
        repayment term|loan term|term in months|repayment period = {nn} months
        applicant|name of applicant|borrower = {you}
        monthly income|gross annual income|net income|salary = {money}
        employer|occupation|employment status = {company}|{jobtitle}|[self-employed|employed|retired]
        monthly expenses|other debts|existing loans|rent or mortgage = {small}
        collateral|security offered|guarantor = {product}|property at {address}|{person}
        date of birth|dob = {born}
        credit score|years at address|dependants = {n}
        """),
            REFERENCES[3:4],
            4,
            10,
        ),
    ),
    (
        maybe(
            0.5,
            form(
                fields("""
        interest rate|desired rate = {digit}.{nn}%
        co-applicant|joint applicant = {person}
        account for repayment|bank account = {iban}
        address|home address|current address = {address}
        phone|mobile = {phone}
        assets|savings|property value = {big}
        monthly instalment|instalment = {small}
        time with employer|employed since = {n} years|{started}
        """),
                (),
                3,
                7,
            ),
        ),
        say(
            """
        I [hereby |]apply for a loan of {big} [to be repaid|repayable] [over|in] {nn} [months|monthly instalments].
        I [authorise|allow] the [bank|lender] to [obtain a credit report|verify my income and employment].
        [The loan|The money] will be used [for|to finance] [a new kitchen|the purchase of {product}|the expansion of \
          our shop|tuition fees|a flat in {city}].
        I [certify|declare] that the information [given|in this application] is [true|correct] and complete.
        Signature of applicant: {you} date {date}
        [Have you ever been|Has the applicant been] [declared bankrupt|refused credit|in arrears]? [no|yes|yes / no]
        [Please attach|Enclose|Documents required]: [proof of income|last {n} payslips|tax returns|bank statements|a \
          copy of your passport][ and a business plan|].
        [Monthly income|Household income] {money}, [rent|mortgage] {small}, [other loans|car finance] {small}.
        [The bank|The lender|For bank use only: the officer] [will decide|decides|recommends approval] [within {n} \
          days|subject to valuation|on the basis of this form].
        [The loan is secured by|As security I offer] [a mortgage on {address}|{product}|a guarantee of {person}].
        """,
            2,
            7,
            0.85,
            True,
        ),
    ),
)

MEDICAL = Plan(
    "[medical|clinical|radiology|laboratory|pathology|consultation] report|discharge [summary|letter]|[patient "
    "record|medical history|examination findings]",
    (
        party("||clinic", "clinic|hospital", "clinic", 0.5),
        form(
            fields("""
        diagnosis|primary diagnosis|impression|assessment = {disease}
        symptoms|chief complaint|presenting complaint|reason for visit = {symptom}, {symptom}
        blood pressure|bp|temperature|pulse = 1{nn}/{nn}|1{nn}/{nn}|3{digit}.{digit}|{nn} bpm
        patient|patient name|name of patient = {you}
        date of birth|dob|age = {born}|{born}|{nn}
        patient id|mrn|hospital no.|nhs number = {id}
        admitted|admission date|date of examination = {earlier}
        physician|attending physician|referring doctor|consultant = Dr {me}
        allergies|medication on admission = none known|{drug}
        """),
            (),
            3,
            8,
        ),
    ),
    (
        under(
            "[history|clinical history|findings|summary|examination|]",
            tell(
                (
                    """
        The patient[, a {nn}-year-old [man|woman]|] [presented|was seen|was admitted] with {symptom}[, {symptom}|] \
          [and|as well as] {symptom} [for {n} days|since {month}|of sudden onset].
        [Thank you for referring|I saw] {you}, who [complains of|reports|suffers from] {symptom} and {symptom}.
        """,
                    """
        [There is a history of|Past medical history includes|Known] {disease}[ and {disease}|]. [No known \
          allergies.|Non-smoker.|Family history unremarkable.|]
        """,
                    """
        On examination, the {bodypart} was [tender|swollen|normal|unremarkable|enlarged][; heart and lungs clear|; \
          no fever|].
        {exam} [showed|revealed|was consistent with|excluded] {disease}[ of the {bodypart}|].
        """,
                    """
        [Laboratory values|Blood tests]: haemoglobin {decimal}, [CRP|creatinine|glucose|white cells] {decimal} \
          [(elevated)|(normal)|].
        {exam} of the {bodypart}: [no abnormality|mild changes|no fracture|small effusion].
        """,
                    """
        [Diagnosis|Impression|Conclusion]: {disease}[, suspected {disease}|].
        The findings [suggest|are in keeping with|confirm] {disease}.
        """,
                    """
        [Treatment with|Started on|We recommend|He was given|She received] {drug} {dose}[ and {therapy}|].
        [Follow-up|Review|Check-up] in {n} weeks[ with the family doctor|; repeat {exam}|].
        """,
                )
            ),
            0.6,
        ),
    ),
)

PRESCRIPTION = Plan(
    "[prescription|prescription|medical prescription|Rx|medication prescription][| no. {docid}]|prescription for {you}",
    (
        party("||prescriber", "clinic|practice", "clinic", 0.7),
        form(
            fields("""
        rx|medication|medicine prescribed|drug = {drug} {dose}
        dosage|directions|sig|instructions = {dosing}
        refills|repeats|repeat = {digit}|none
        dispense|quantity to dispense|disp = {nn} [tablets|capsules|ml|sachets]
        patient|patient name|name = {you}
        date of birth|dob|age = {born}|{born}|{nn}
        prescriber|doctor|physician = Dr {me}
        licence no.|dea no.|gmc no.|reg. no. = {id}
        diagnosis = {disease}
        """),
            REFERENCES[3:4],
            3,
            8,
        ),
    ),
    (
        listing(
            """
        {drug} {dose} - {dosing}
        [Rx|R/|] {drug} {dose}, {dosing}[, {nn} tablets|]
        {drug} {dose} {nn} [tabs|caps|tablets] sig: {dosing}
        """,
            1,
            5,
            0.9,
            True,
        ),
        say(
            """
        [Dispense as written.|Generic substitution permitted.|No substitution.] [Refills|Repeats]: {digit}.
        [Take|To be taken] [with food|before meals|at bedtime|with plenty of water]. [Avoid alcohol.|May cause \
          drowsiness.|]
        [Valid|This prescription is valid] for {nn} days. [Signed|Signature of prescriber] Dr {me}
        Return if [{symptom} persists|{symptom} gets worse]. [Next appointment {later}.|]
        """,
            1,
            2,
            0.7,
            True,
        ),
    ),
)

ITINERARY = Plan(
    "[travel |flight |trip |tour |your |]itinerary[|| for {you}| {docid}]|[booking|reservation|hotel "
    "booking|flight] confirmation[| {docid}]|e-ticket [receipt and |]itinerary|your trip to {town}",
    (
        party("||", "agency|hotel", "seller", 0.4),
        form(
            fields("""
        booking reference|confirmation code|reservation no.|pnr|booking no. = {docid}
        check-in|arrival|arrival date = {later}[ {time}|]
        check-out|departure|departure date|return = {later}[ {time}|]
        passenger|guest|traveller|guest name = {you}
        flight|flight no.|train = {code}
        room|room type|seat|class = {nnn}|[double|single|twin|suite|sea view]|{nn}[A|C|F]|[economy|business|first]
        nights|number of guests|adults = {digit}
        hotel|accommodation|airline = {coined} [Hotel|Inn|Resort]|{coined} [Inn|Guesthouse]|{coined} [Air|Airways]
        total price|total fare|room rate = {money}
        """),
            (),
            3,
            8,
        ),
    ),
    (
        under(
            "[flights|your journey|schedule|programme|details|day by day|]",
            listing(
                """
        Day {digit}: {city} - {city}[, {sight}|]. [Overnight at {coined} Hotel.|Breakfast included.|]
        {later} {time} [depart|dep.|leave] {city} [{code} |][arrive|arr.] {city} {time}
        Flight {code} {city} to {city}, {later}, departs {time}, arrives {time}[, seat {nn}C|]
        {time} [transfer|pick-up|check-in] at [{city} airport|{coined} Hotel|the station]
        [Check-in|Check in] {later}, [check-out|check out] {later}, {coined} Hotel, {city}, {digit} nights
        [Visit to|Guided tour of|Excursion to] {sight}[ with lunch|, {time}|]
        [Rental car|Train {code}|Ferry] from {city} [to {city}|at {time}]
        """,
                2,
                8,
                0.95,
                True,
            ),
            0.6,
        ),
        say(
            """
        [Your booking is confirmed|Thank you for booking with us|We confirm your reservation][!|.] [Have a pleasant \
          trip.|We look forward to your stay.|Bon voyage!|]
        [Free cancellation|Cancellation is free] until {later}. [Breakfast is included.|City tax is payable on site.|]
        [Please be at|Arrive at] the [airport|gate|station] [at least |]{nn} minutes before departure. [Bring a \
          valid passport.|Baggage allowance {nn} kg.|]
        """,
            1,
            3,
            0.75,
            True,
        ),
    ),
)

PLANS: dict[str, Plan] = {
    "loan application": LOAN,
    "medical report": MEDICAL,
    "prescription": PRESCRIPTION,
    "itinerary": ITINERARY,
}
