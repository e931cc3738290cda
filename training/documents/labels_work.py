"""The wordings of the labels: names and descriptions of papers of working life, law and insurance."""

from __future__ import annotations

from .kind import Label
from .kind import label as _label

WORK: tuple[Label, ...] = (
    _label(
        "payslip",
        "hr",
        """
        pay stub; salary slip; wage slip; pay statement; paycheck stub; salary statement; wage statement; earnings slip
        payroll slip; monthly salary slip
        """,
        """
        shows an employee's gross pay, deductions and net pay
        what a worker earned in a period and what was withheld
        monthly statement of wages with tax and insurance contributions
        issued by the payroll office to each employee
        tells an employee how the salary was calculated
        breakdown of a salary into pay, tax and deductions
        """,
    ),
    _label(
        "timesheet",
        "hr",
        """
        time sheet; record of hours worked; work time record; weekly hours log; attendance record; hours worked report
        time log; working hours form; time card
        """,
        """
        records the hours an employee worked on each day or project
        start, end and break times per day of a week
        signed list of working hours used for pay or billing
        tracks time spent on tasks by a worker
        hours per day listed for an employee
        overview of working time to be approved by a supervisor
        """,
    ),
    _label(
        "résumé",
        "hr",
        """
        resume; CV; curriculum vitae; applicant's career summary; candidate profile; job applicant's CV
        professional profile; work history; application CV
        """,
        """
        a person's education, work experience and skills for applying to jobs
        career history of a job seeker
        summary of qualifications of a candidate
        lists employers, degrees, languages and abilities of one person
        presents someone's professional background
        personal details, jobs held and education of an applicant
        """,
    ),
    _label(
        "job posting",
        "hr",
        """
        job advertisement; vacancy notice; job offer announcement; recruitment ad; position opening; job description
        job ad; vacancy; help wanted ad; career opportunity; open position
        """,
        """
        an employer looks for people to fill a position
        describes duties, requirements and benefits of an open role
        invites candidates to apply for work
        advert for a vacancy with salary and deadline
        company describes a job it wants to fill
        seeks applicants and says what they should bring
        """,
    ),
    _label(
        "meeting minutes",
        "meetings",
        """
        minutes of a meeting; meeting notes; record of proceedings; protocol of a session; board minutes; minutes
        record of a meeting; meeting summary; committee minutes
        """,
        """
        records what was discussed and decided at a meeting
        who attended, what was resolved and who does what
        written account of a past session with action items
        notes on discussions, votes and next steps
        summary of a meeting with those present and resolutions
        notes taken by a secretary during a meeting
        """,
    ),
    _label(
        "agenda",
        "meetings",
        """
        meeting agenda; order of business; programme of a meeting; invitation with agenda; list of topics to discuss
        schedule of a meeting; meeting plan; list of agenda items; conference programme
        """,
        """
        lists topics planned for a coming meeting with times
        programme of an upcoming session or conference
        what will be discussed, in which order and by whom
        sent before a meeting so that people can prepare
        numbered points planned for a meeting
        timetable of an event still to take place
        """,
    ),
    _label(
        "contract",
        "legal",
        """
        agreement; service agreement; legal agreement between parties; binding contract; employment or supply contract
        contractual agreement; deed of agreement; terms of agreement; signed contract
        """,
        """
        sets out rights and duties that two parties agree on
        clauses on services, term, payment, liability and termination
        binding terms between a provider and a client or employee
        signed arrangement for work or supply over time
        two sides bind themselves to mutual obligations
        legal text with numbered clauses signed by both sides
        """,
    ),
    _label(
        "lease",
        "legal",
        """
        rental agreement; tenancy agreement; lease contract; residential lease; letting agreement; rent contract
        lease agreement; property rental contract; tenancy contract
        """,
        """
        a landlord lets premises to a tenant for rent
        terms for renting a flat, house, office or vehicle
        sets rent, deposit, term and duties of tenant and owner
        gives the right to use property in return for periodic payments
        agreement about renting out premises
        says who rents what, for how long and at which rent
        """,
    ),
    _label(
        "non-disclosure agreement",
        "legal",
        """
        NDA; confidentiality agreement; secrecy agreement; confidential disclosure agreement
        confidentiality undertaking; confidentiality contract; non-disclosure contract; mutual NDA
        """,
        """
        parties promise to keep each other's information secret
        forbids revealing confidential information to others
        protects business secrets shared during talks
        obligations of secrecy between discloser and recipient
        contract about keeping shared information private
        legal promise of secrecy between companies
        """,
    ),
    _label(
        "court order",
        "legal",
        """
        legal notice; judgment; summons; notice of court proceedings; judicial decision; writ; court document
        court ruling; court notice; judge's order; legal proceedings document
        """,
        """
        a court or lawyer gives binding notice of a decision or claim
        orders a party to do or stop something, or to appear
        names plaintiff, defendant, case number and ruling
        official legal decision or announcement of proceedings
        document from a court in a case between parties
        judge decides on a claim or sets a hearing
        """,
    ),
    _label(
        "warranty certificate",
        "legal",
        """
        guarantee certificate; warranty card; product guarantee; manufacturer's warranty; warranty document; guarantee
        warranty terms; repair guarantee
        """,
        """
        promises free repair or replacement of a product for some time
        manufacturer's guarantee with serial number and conditions
        certifies cover against defects from the date of purchase
        tells the buyer what is covered if the product fails
        states how long the maker will repair faults for free
        conditions under which a product is replaced or repaired
        """,
    ),
    _label(
        "insurance policy",
        "insurance",
        """
        insurance certificate; policy schedule; certificate of insurance; cover document of an insurer
        insurance contract; policy document; proof of insurance cover; terms of insurance
        """,
        """
        an insurer promises cover against risks for a premium
        sets insured sums, excess, exclusions and period of cover
        terms of protection for a home, car, life or business
        schedule of what is insured and what it costs
        describes risks covered and the premium to be paid
        contract by which an insurance company covers losses
        """,
    ),
    _label(
        "insurance claim",
        "insurance",
        """
        claim form; notice of loss; claim for damages under a policy; accident report to an insurer
        claim to an insurance company; damage report; loss report; insurance loss notice; accident claim
        """,
        """
        a policyholder reports a loss and asks the insurer to pay
        describes an accident, theft or damage and the sum claimed
        form with policy number, date of loss and what happened
        request for compensation under an insurance
        customer tells the insurance company about damage suffered
        asks an insurance company for money after an incident
        """,
    ),
    _label(
        "loan application",
        "finance",
        """
        credit application; mortgage application; request for a loan; application for credit; borrowing request
        mortgage request; application form for a bank loan; lending application
        """,
        """
        a person or firm asks a bank to lend money
        states income, employment, purpose and amount wanted
        form for borrowing with term and collateral
        applicant's financial details for a credit decision
        someone wants to borrow money and gives personal finances
        bank form asking for credit with amount and purpose
        """,
    ),
    _label(
        "medical report",
        "health",
        """
        clinical report; patient record; doctor's report; discharge summary; medical findings; clinical letter
        health record; diagnosis report; hospital report; clinical note
        """,
        """
        a doctor describes a patient's history, findings and diagnosis
        results of an examination and the recommended treatment
        clinical summary of symptoms, tests and therapy
        hospital record of a patient's illness and course
        what a doctor found out about a patient
        documents illness, examination and treatment of a person
        """,
    ),
)
