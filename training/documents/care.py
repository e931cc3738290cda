"""Forms and records about persons: claims, loans, health, surveys."""

from __future__ import annotations

from .blocks import fields, form, listing, maybe, party, say, tell, under
from .fields import REFERENCES
from .plan import Plan, kind
from .tables import table

CLAIM = kind("insurance claim", "insurance", """
claim form|notice of loss|claim for damages under a policy|accident report to an insurer
""", """
a policyholder reports a loss and asks the insurer to pay
describes an accident, theft or damage and the sum claimed
form with policy number, date of loss and what happened
request for compensation under an insurance
""", Plan(
    "[motor|home|travel|health|property|accident|] [insurance claim|claim form|claim report|insurance claim form]|notice of [loss|claim]|claim no. {docid}|accident report form",
    (party("|insurer|to", "insurer|", "seller", 0.4), form(fields("""
        claim no.|claim number|claim reference = {docid}
        date of loss|date of accident|date of incident|loss date = {earlier}
        amount claimed|estimated loss|claim amount|cost of repair = {money}
        policy no.|policy number = {account}
        claimant|policyholder|insured|name of claimant = {you}
        place of loss|location of accident|where did it happen = {address}
        police report no.|reported to police|crime ref = {id}
        type of claim|cause of loss|type of loss = {peril}
        """), REFERENCES[3:4], 3, 8)),
    (
        under("[description of the incident|what happened|details of loss|circumstances|]", say("""
        [On|In the evening of|On the morning of] {earlier} [my|the insured] [car|house|luggage|bicycle|shop|phone|roof] [at|in|near] {city} was [damaged|stolen|destroyed] [by|through] {peril}.
        [The other driver|A third party|Our neighbour|A delivery van], {person}, [caused|was responsible for] the [accident|damage].
        [I|We] [hereby |]claim [compensation of |]{money} [under|from] [my|our] policy [no. |]{account}.
        [Damaged|Lost|Stolen] items: {product}[, {product}|] worth {money}.
        [The police|Fire brigade|A doctor] [was|were] called[, report {id}|]. [Witness|Witnesses]: {person}[, {phone}|].
        [Photos|Receipts|A repair estimate|A medical report] [are|is] [attached|enclosed].
        I declare that [the above|this statement] is [true|complete and true] [and understand that false claims are punishable|].
        """, 1, 5, 1.0, True)),
    ),
))  # fmt: skip

LOAN = kind("loan application", "finance", """
credit application|mortgage application|request for a loan|application for credit
""", """
a person or firm asks a bank to lend money
states income, employment, purpose and amount wanted
form for borrowing with term and collateral
applicant's financial details for a credit decision
""", Plan(
    "[personal|business|mortgage|student|car|home|small business|] [loan|credit] application[| form| no. {docid}]|application for [a loan|credit|a mortgage]",
    (party("|lender|bank", "bank|lender", "bankname", 0.4), form(fields("""
        loan amount|amount requested|credit requested|amount of loan = {big}
        purpose of loan|loan purpose|reason for loan = [buying a house|new car|debt consolidation|working capital|home improvement|machinery|studies]
        repayment term|loan term|term in months|repayment period = {nn} months
        applicant|name of applicant|borrower = {you}
        monthly income|gross annual income|net income|salary = {money}
        employer|occupation|employment status = {company}|{jobtitle}|self-employed
        monthly expenses|other debts|existing loans|rent or mortgage = {small}
        collateral|security offered|guarantor = {person}|{product}|property at {address}
        date of birth|dob = {born}
        credit score|years at address|dependants = {n}
        """), REFERENCES[3:4], 4, 10)),
    (
        maybe(0.5, form(fields("""
        interest rate|desired rate = {digit}.{nn}%
        co-applicant|joint applicant = {person}
        account for repayment|bank account = {iban}
        address|home address|current address = {address}
        phone|mobile = {phone}
        assets|savings|property value = {big}
        """), (), 2, 5)),
        say("""
        I [hereby |]apply for a loan of {big} [to be repaid|repayable] [over|in] {nn} [months|monthly instalments].
        I [authorise|allow] the [bank|lender] to [obtain a credit report|verify my income and employment].
        [The loan|The money] will be used [for|to finance] [a new kitchen|the purchase of {product}|the expansion of our shop|tuition fees|a flat in {city}].
        I [certify|declare] that the information [given|in this application] is [true|correct] and complete.
        Signature of applicant: {you} date {date}
        """, 1, 3, 0.7, True),
    ),
))  # fmt: skip

MEDICAL = kind("medical report", "health", """
clinical report|patient record|doctor's report|discharge summary|medical findings
""", """
a doctor describes a patient's history, findings and diagnosis
results of an examination and the recommended treatment
clinical summary of symptoms, tests and therapy
hospital record of a patient's illness and course
""", Plan(
    "[medical|clinical|radiology|laboratory|pathology|consultation] report|discharge [summary|letter]|[patient record|medical history|examination findings]",
    (party("||clinic", "clinic|hospital", "clinic", 0.5), form(fields("""
        diagnosis|primary diagnosis|impression|assessment = {disease}
        symptoms|chief complaint|presenting complaint|reason for visit = {symptom}, {symptom}
        blood pressure|bp|temperature|pulse = 1{nn}/{nn}|3{digit}.{digit}|{nn} bpm
        patient|patient name|name of patient = {you}
        date of birth|dob|age = {born}|{nn}
        patient id|mrn|hospital no.|nhs number = {id}
        admitted|admission date|date of examination = {earlier}
        physician|attending physician|referring doctor|consultant = Dr {me}
        allergies|medication on admission = {drug}|none known
        """), (), 3, 8)),
    (
        under("[history|clinical history|findings|summary|examination|]", tell(("""
        The patient[, a {nn}-year-old [man|woman]|] [presented|was seen|was admitted] with {symptom}[, {symptom}|] [and|as well as] {symptom} [for {n} days|since {month}|of sudden onset].
        [Thank you for referring|I saw] {you}, who [complains of|reports|suffers from] {symptom} and {symptom}.
        """, """
        [There is a history of|Past medical history includes|Known] {disease}[ and {disease}|]. [No known allergies.|Non-smoker.|Family history unremarkable.|]
        """, """
        On examination, the {bodypart} was [tender|swollen|normal|unremarkable|enlarged][; heart and lungs clear|; no fever|].
        {exam} [showed|revealed|was consistent with|excluded] {disease}[ of the {bodypart}|].
        """, """
        [Laboratory values|Blood tests]: haemoglobin {decimal}, [CRP|creatinine|glucose|white cells] {decimal} [(elevated)|(normal)|].
        {exam} of the {bodypart}: [no abnormality|mild changes|no fracture|small effusion].
        """, """
        [Diagnosis|Impression|Conclusion]: {disease}[, suspected {disease}|].
        The findings [suggest|are in keeping with|confirm] {disease}.
        """, """
        [Treatment with|Started on|We recommend|He was given|She received] {drug} {dose}[ and {therapy}|].
        [Follow-up|Review|Check-up] in {n} weeks[ with the family doctor|; repeat {exam}|].
        """)), 0.6),
    ),
))  # fmt: skip

PRESCRIPTION = kind("prescription", "health", """
drug prescription|Rx|doctor's prescription|medication order
""", """
a doctor orders medicine for a patient with dose and duration
tells the pharmacy which drug to dispense
medicine, strength and how often to take it
gives the patient the right to get medication
""", Plan(
    "[prescription|prescription|medical prescription|Rx|medication prescription][| no. {docid}]|prescription for {you}",
    (party("||prescriber", "clinic|practice", "clinic", 0.7), form(fields("""
        rx|medication|medicine prescribed|drug = {drug} {dose}
        dosage|directions|sig|instructions = {dosing}
        refills|repeats|repeat = {digit}|none
        dispense|quantity to dispense|disp = {nn} [tablets|capsules|ml|sachets]
        patient|patient name|name = {you}
        date of birth|dob|age = {born}|{nn}
        prescriber|doctor|physician = Dr {me}
        licence no.|dea no.|gmc no.|reg. no. = {id}
        diagnosis = {disease}
        """), REFERENCES[3:4], 3, 8)),
    (
        listing("""
        {drug} {dose} - {dosing}
        [Rx|R/|] {drug} {dose}, {dosing}[, {nn} tablets|]
        {drug} {dose} {nn} [tabs|caps|tablets] sig: {dosing}
        """, 1, 4, 0.9, True),
        say("""
        [Dispense as written.|Generic substitution permitted.|No substitution.] [Refills|Repeats]: {digit}.
        [Take|To be taken] [with food|before meals|at bedtime|with plenty of water]. [Avoid alcohol.|May cause drowsiness.|]
        [Valid|This prescription is valid] for {nn} days. [Signed|Signature of prescriber] Dr {me}
        Return if [{symptom} persists|{symptom} gets worse]. [Next appointment {later}.|]
        """, 1, 2, 0.7, True),
    ),
))  # fmt: skip

_ASK = """
How [satisfied|happy] are you with [our|the] {asked}? [1 2 3 4 5|very satisfied / satisfied / dissatisfied|very poor to excellent]
[How likely are you to|Would you] recommend [us|{seller}|our {product}] to [a friend|others]? [0-10|yes / no|]
How often do you [use|visit|buy] [our {asked}|{seller}|{product}]? [daily / weekly / monthly / never|]
[Which|What] [of the following |][features|products|services] [do you use|matter most to you]? [tick all that apply|]
[Please rate|Rate] [the|our] {asked}: [poor fair good excellent|1 = bad, 5 = very good|_ _ _ _ _]
[Your age|Age group]: [18-24 / 25-34 / 35-50 / over 50|under 20, 20-40, over 40]
[What could we improve|Any other comments|What did you like best|Other suggestions]? [________________|]
[I feel|You feel] [valued at work|well informed|treated fairly]: [strongly agree / agree / disagree|yes / partly / no]
[How did you hear about us|Where did you learn of {seller}]? [internet / friends / advertisement / other|]
[Was|Were] [the {asked}|our staff|your questions] [helpful|friendly|answered to your satisfaction]? [yes no|yes / no / don't know|]
[Gender|Occupation|Household size|Postcode]: [______|]
"""
SURVEY = kind("survey form", "feedback", """
questionnaire|feedback form|opinion poll form|customer satisfaction survey
""", """
asks people to rate or answer questions for research
questions with answer scales to be ticked by respondents
collects opinions of customers, staff or visitors
form with boxes from strongly agree to strongly disagree
""", Plan(
    "[customer satisfaction |employee |visitor |patient |market research |course |][survey|questionnaire|feedback form|survey form][|| {year}]|your opinion [counts|matters]|tell us what you think|we value your feedback",
    (say("""
        [Thank you for taking part|Thank you for your time]. [This survey|The questionnaire] takes [about |]{n} minutes[ and is anonymous|].
        [Please tick|Please circle|Mark] one [box|answer|number] per question.
        [We would like to know|Help us to learn] [what you think of|how you see] [our {asked}|{seller}].
        All answers are [confidential|anonymous|treated confidentially]. [Return the form by {later}.|Win a {product}!|]
        """, 1, 3, 0.85),),
    (
        listing(_ASK, 4, 10),
        maybe(0.4, say("[Thank you for your answers|Thank you for completing this questionnaire][!|.] [Please return it to {mail}.|Drop it in the box at reception.|]", 1, 1)),
    ),
))  # fmt: skip

ITINERARY = kind("itinerary", "travel", """
booking confirmation|travel plan|trip schedule|reservation confirmation|e-ticket
""", """
travel plan with flights, hotels and times
confirms a reservation of a room, flight or tour
who travels when and where, with booking code
day by day schedule of a trip
""", Plan(
    "[travel |flight |trip |tour |your |]itinerary[|| for {you}| {docid}]|[booking|reservation|hotel booking|flight] confirmation[| {docid}]|e-ticket [receipt and |]itinerary|your trip to {town}",
    (party("||", "agency|hotel", "seller", 0.4), form(fields("""
        booking reference|confirmation code|reservation no.|pnr|booking no. = {docid}
        check-in|arrival|arrival date = {later}[ {time}|]
        check-out|departure|departure date|return = {later}[ {time}|]
        passenger|guest|traveller|guest name = {you}
        flight|flight no.|train = {code}
        room|room type|seat|class = [double|single|twin|suite|{nn}A|economy|business|sea view]
        nights|number of guests|adults = {digit}
        hotel|accommodation|airline = {coined} [Hotel|Inn|Airways|Resort]
        total price|total fare|room rate = {money}
        """), (), 3, 8)),
    (
        under("[flights|your journey|schedule|programme|details|day by day|]", listing("""
        Day {digit}: {city} - {city}[, {sight}|]. [Overnight at {coined} Hotel.|Breakfast included.|]
        {later} {time} [depart|dep.|leave] {city} [{code} |][arrive|arr.] {city} {time}
        Flight {code} {city} to {city}, {later}, departs {time}, arrives {time}[, seat {nn}C|]
        {time} [transfer|pick-up|check-in] at [{city} airport|{coined} Hotel|the station]
        [Check-in|Check in] {later}, [check-out|check out] {later}, {coined} Hotel, {city}, {digit} nights
        [Visit to|Guided tour of|Excursion to] {sight}[ with lunch|, {time}|]
        [Rental car|Train {code}|Ferry] from {city} [to {city}|at {time}]
        """, 2, 8, 0.95, True), 0.6),
        say("""
        [Your booking is confirmed|Thank you for booking with us|We confirm your reservation][!|.] [Have a pleasant trip.|We look forward to your stay.|Bon voyage!|]
        [Free cancellation|Cancellation is free] until {later}. [Breakfast is included.|City tax is payable on site.|]
        [Please be at|Arrive at] the [airport|gate|station] [at least |]{nn} minutes before departure. [Bring a valid passport.|Baggage allowance {nn} kg.|]
        """, 1, 3, 0.75, True),
    ),
))  # fmt: skip

KINDS = (CLAIM, LOAN, MEDICAL, PRESCRIPTION, SURVEY, ITINERARY)
