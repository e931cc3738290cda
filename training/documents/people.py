"""Papers of working life: pay, hours, careers and vacancies."""

from __future__ import annotations

from .blocks import either, fields, form, listing, maybe, party, say, tell, under
from .fields import REFERENCES
from .plan import Plan
from .tables import table

PAYSLIP = Plan(
    "pay[slip| slip| stub| advice|roll statement][|| {period}| for {period}]|[salary|wage] [slip|statement][| "
    "{period}]|earnings statement|payslip for {month}",
    (
        party("employer|company||", "employer|company", "seller", 0.6),
        form(
            fields("""
        net pay|net salary|take home pay|net wages|amount paid to bank = {money}
        gross pay|gross salary|gross wages|total earnings = {money}
        total deductions|deductions|total deduction = {money}
        employee|employee name|name = {you}
        employee no.|employee id|staff no.|payroll no = {id}
        pay period|salary month|pay date|period ending = {period}|{month}|{date}|{date}
        tax code|ni number|social security no.|pan = {vatid}
        department|designation|position = {department}|{jobtitle}|{jobtitle}
        hours worked|days worked|paid days = {nnn}|{n}|{n}
        """),
            REFERENCES[3:4],
            4,
            10,
        ),
    ),
    (
        table(
            fields("""
        description|earnings|pay element|component|earnings and deductions = [basic pay|basic \
          salary|overtime|bonus|house rent allowance|shift allowance|income tax|paye|pension|national \
          insurance|health insurance|provident fund|union dues|commission|holiday pay|student loan|meal \
          allowance|social security]
        amount|this period|current|{cur} = {money}
        year to date|ytd|cumulative = {money}
        hours|units|days = {hours}|{nn}
        rate = {small}
        deductions|deduction = {small}
        """),
            3,
            9,
            2,
            2,
        ),
        say(
            """
        [Your salary|Net pay] [has been|was|will be] [transferred|paid] to [your bank account|account {iban}] on {date}.
        [Remaining leave|Leave balance|Holiday entitlement left]: {n} days. [Sick leave taken: {digit} days.|]
        [This payslip is confidential.|Keep this payslip; no duplicates are issued.|Queries to payroll: {mail}.]
        """,
            1,
            2,
            0.5,
            True,
        ),
    ),
)

TIMESHEET = Plan(
    "[weekly|monthly|employee|project|] time[sheet| sheet| record|card][|| {period}| week ending {date}]|[record "
    "of hours|hours worked|attendance record]",
    (
        form(
            fields("""
        total hours|hours this week|hours worked|weekly total = {nn}[.5|.0|]
        week ending|week commencing|week no.|period = {date}|{date}|{n}|{period}
        overtime hours|overtime|regular hours = {n}|{n}|{nn}
        employee|worker|name|consultant = {you}
        supervisor|approved by|manager|line manager = {they}
        project|client|job = {project}|{buyer}|{project}
        """),
            REFERENCES[6:7],
            3,
            6,
        ),
        maybe(0.25, party("agency|client|employer", "client|employer", "seller", 0.7)),
    ),
    (
        table(
            fields("""
        day|date|weekday = {weekday}|{earlier}|{weekday}
        hours|total|hrs|hours worked|daily total = {hours}
        start|in|time in|clock in|from = [07|08|09|06]:[00|30|15]
        end|out|time out|finish|to = [15|16|17|18]:[00|30|45]
        break|lunch|pause = [30 min|0:30|45|1h|0.5]
        project|task|activity|job|description = [{task}|{project}]
        overtime|ot = [0|0|1|2|1.5]
        """),
            3,
            7,
            4,
            2,
        ),
        say(
            """
        I [certify|confirm] that the hours [above|stated] are [correct|a true record].
        [Employee|Worker] signature [________|{you}] [supervisor|manager] signature [________|{they}]
        [Sick on|Public holiday on|Leave taken on|Worked from home on] {weekday}. [Overtime approved by {they}.|]
        [Return|Submit] to [payroll|{mail}] by {weekday} {time}.
        """,
            1,
            2,
            0.55,
            True,
        ),
    ),
)

_JOB = """
{someyear} - [present|{year}|{someyear}] {jobtitle}, {company}, {city}
{jobtitle} at {company} ({someyear}-{year}): {achievement}
{company}, {city} - {jobtitle}, {month} {someyear} to [date|{month} {year}]. {achievement}.
{achievement}
"""

RESUME = Plan(
    "curriculum vitae|résumé|CV|resume|curriculum vitae of {me}|{me}|{me} - {jobtitle}",
    (
        form(
            fields("""
        nationality|citizenship|marital status = {country}|{country}|[single|married]
        date of birth|born = {born}
        linkedin|portfolio|website = {web}
        name = {me}
        address = {address}
        email|e-mail = {mail}
        phone|mobile|tel = {phone}
        """),
            (),
            2,
            5,
        ),
        under(
            "[profile|summary|objective|about me|personal statement]",
            say(
                """
        [Experienced|Motivated|Reliable|Versatile|Results-driven] {jobtitle} with [over |]{n} years [of experience \
          |]in {industry}.
        [Seeking|Looking for] a [position|role] as {jobtitle} [in {industry}|where I can use my {skill} skills].
        [Skilled|Strong|Competent] in {skill}, {skill} and {skill}.
        I am [a team player|hard-working|used to working under pressure] and [enjoy|have a passion for] {skill}.
        """,
                1,
                3,
                0.8,
            ),
        ),
    ),
    (
        under(
            "[work experience|professional experience|employment history|career|experience]",
            listing(_JOB, 1, 5, 1.0, True),
            0.9,
        ),
        under(
            "[education|education and training|qualifications|academic background]",
            listing(
                """
        {degree}, {university}, {someyear}
        {someyear} {degree} ([{university}|{city}])
        {degree} - {university} - grade: [distinction|2:1|3.{n}|first class|good]
        """,
                1,
                3,
                0.9,
                True,
            ),
            0.9,
        ),
        under(
            "[skills|key skills|competences|languages|additional skills]",
            listing(
                """
        {skill}; {skill}, {skill}
        {skill}
        [English|German|Spanish|French|Mandarin|Hindi|Arabic|Portuguese] ([native|fluent|basic|B2|C1])
        driving licence [class B|]
        """,
                1,
                5,
                0.85,
                True,
            ),
            0.9,
        ),
        maybe(
            0.4,
            under(
                "[interests|hobbies|references|volunteering]",
                either(
                    listing("{hobby}\n{hobby} and {hobby}", 1, 3, 1.0, True),
                    say(
                        """
        References [are |]available [up|]on request.
        {person}, {jobtitle}, {company}, {phone}
        """,
                        1,
                        1,
                    ),
                ),
                0.9,
            ),
        ),
    ),
)

JOB_POSTING = Plan(
    "[we are hiring|job vacancy|vacancy|now hiring|join our team|job opening|position available][|: "
    "{wanted}]|{wanted}|{wanted} ([m/f/d|full-time|part-time|remote])|job description: {wanted}",
    (
        maybe(
            0.5,
            form(
                fields("""
        job title|position|role|vacancy = {wanted}
        salary|pay|compensation = {money} [per year|p.a.|per month|depending on experience]
        apply by|closing date|application deadline = {later}
        location|place of work = {town}
        contract|employment type|hours = [permanent|full-time|part-time|fixed-term, {n} months|{nn} hours per week]
        department|reports to = {department}|head of {department}
        job ref|reference = {id}
        """),
                (),
                2,
                5,
            ),
        ),
        tell(
            (
                """
        {seller} [is looking for|is seeking|is hiring|needs|wishes to recruit] [a|an experienced|a motivated|an \
          enthusiastic] {wanted} [to join our {department} team|in {town}|with immediate effect|for our {department} \
          department].
        Are you [an experienced|a passionate|a reliable] {wanted}? [Then join {seller}!|We want to hear from \
          you.|Come and work with us in {town}.]
        [Our client|A leading company in {industry}|A growing family firm] in {town} has an [opening|exciting \
          opportunity] for a {wanted}.
        """,
                """
        You will be responsible for {duty}.
        [In this role|As a {wanted}] you will [mainly |]take care of {duty} and {duty}.
        """,
            )
        ),
    ),
    (
        under(
            "[your tasks|responsibilities|duties|what you will do|main duties]",
            listing("{duty}\n{duty} and {duty}\n{duty} together with {department}", 2, 5, 0.85, True),
            0.9,
        ),
        under(
            "[requirements|your profile|what you bring|qualifications|who you are]",
            listing(
                """
        [at least|minimum|over] {n} years of experience [in {industry}|as {jobtitle}|]
        [degree|qualification|training] in {industry} or [similar|equivalent]
        [good|excellent|sound] knowledge of {skill}
        {skill} [and|,] {skill}
        [fluent|good] [English|German|Spanish|French], [spoken and written|both spoken and written|a second language \
          is a plus]
        [driving licence|willingness to travel|shift work|own car] [required|an advantage]
        """,
                2,
                5,
                0.85,
            ),
            0.9,
        ),
        say(
            """
        We offer {benefit}, {benefit} and {benefit}.
        [Please send|Send|E-mail] your [CV|application|résumé and cover letter] to {mail} [by {later}|stating your \
          salary expectations|].
        [Apply|Applications] [online at {web}|by {later}|to {they}, {department}].
        [The salary is|We pay] {money} [per year|a month|plus bonus].
        {seller} is an equal opportunity employer.
        """,
            1,
            4,
            0.9,
            True,
        ),
    ),
)

PLANS: dict[str, Plan] = {
    "payslip": PAYSLIP,
    "timesheet": TIMESHEET,
    "résumé": RESUME,
    "job posting": JOB_POSTING,
}
