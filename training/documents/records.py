"""Papers of courts, offices and faculties that fill pages: transcripts, statistics, lists of spending, articles."""

from __future__ import annotations

from .blocks import Block, both, line, maybe, say, tell
from .case import Case
from .plan import Plan
from .publications import ABSTRACT

_HEADS = "Total|Male|Female|Urban|Rural|Permit|Cars|Lorries|Long|Short|*Other|Admin|Public|Private|New|Used|Births"
_MORE_HEADS = "Deaths|Arrivals|Departures|Rate|Change %|Index|Number|Share|Pupils|Beds|Claims|Farms|Licences|Totals"


def _grid(low: int, high: int) -> Block:
    """Rows of places or years, each with a number in every column."""

    def block(case: Case) -> str:
        cell = case.memo.setdefault("joint", case.pick((" | ", " | ", "  ", " ", "\t")))
        columns, most = case.between(2, 14), 10 ** case.between(2, 6)
        heads = [case.fill(f"[{_HEADS}|{_MORE_HEADS}]") for _ in range(columns)]
        yearly = case.chance(0.3)
        first = case.fill("[Year|Period|Quarter]" if yearly else "[State|Region|County|Country|Territory|City|Area]")
        rows = [cell.join([first, *heads])]
        for at in range(case.between(low, high)):
            name = str(1980 + at) if yearly else case.fill("[{city}|{country}|{city}]")
            rows.append(cell.join([name, *(f"{case.between(0, most):,}" for _ in range(columns))]))
        if case.chance(0.6):
            total = case.fill("[Total|Totals|All regions|United Kingdom|Whole country|Sum]")
            rows.append(cell.join([total, *(f"{case.between(most, most * 20):,}" for _ in range(columns))]))
        return "\n".join(rows)

    return block


def _spent(low: int, high: int) -> Block:
    """Who was paid how much for what, as an office publishes it."""

    def block(case: Case) -> str:
        cell = case.memo.setdefault("joint", case.pick((" | ", " | ", "  ", " ", "\t")))
        upper = case.chance(0.6)
        rows = [
            case.fill("[DOCUMENT NO.|Ref.|Voucher][ ;;|;;]DATE;;PAYEE[ NAME|];;[OBLIGATION|DESCRIPTION];;AMOUNT[ ($)|]")
        ]
        mark = case.digits("LLL")
        for _ in range(case.between(low, high)):
            if case.chance(0.3):
                text = "{last}, {first};;[director|legislative assistant|clerk|press officer|intern];;{nn},{nnn}.{nn}"
            else:
                text = (
                    f"{mark}{{nnnn}};;[{{date}}|{{earlier}}];;[{{company}}|{{person}}|{{company}}];;"
                    "[staff transportation|per diem|office supplies|travel|printing|postage|rent|consulting|"
                    "training|airfare|equipment|grant|{service}];;{n},{nnn}.{nn}"
                )
            rows.append(case.fill(text))
        text = "\n".join(rows).replace(";;", cell)
        return text.upper() if upper else text

    return block


def _turns(low: int, high: int) -> Block:
    """What was said, speaker by speaker, with the numbers of the lines now and then."""

    def block(case: Case) -> str:
        names = [case.slot("last").upper() for _ in range(2)]
        court = case.memo.setdefault("court", case.pick(("y", "y", "n"))) == "y"
        who: tuple[str, ...] = (
            f"MR. {names[0]}:",
            f"MS. {names[1]}:",
            "THE COURT:",
            "THE WITNESS:",
            "Q.",
            "A.",
            "JUSTICE {last}:",
        )
        if not court:
            who = (f"{names[0].title()}:", f"{names[1].title()}:", "Interviewer:", "Moderator:", "[{time}] {person}:")
        said = (
            "[May it please the court|Thank you, Your Honour|I object|No, sir|Yes|Correct|I do not recall that].",
            "[Did you see|Were you present at|Can you tell us about] {place} on {weekday}?",
            "I was at {place} [until|from] {time}, [and then I left|as I said before|with {person}].",
            "[The question is whether|Our position is that] the [statute|lower court|contract|agency] [applies|erred].",
            "[Well|So|Right|I think], {progressq}. [And what happened then|Could you explain that]?",
            "[You may answer|Please go on|Sustained|Overruled|We will hear argument next in No. {nn}-{nnnn}].",
            "[Let me ask about|I want to turn to] {legalmatter}. [Is that your signature|Who signed it]?",
        )
        lines = [
            case.fill(case.pick(who))
            + " "
            + " ".join(case.sentence(case.pick(said)) for _ in range(case.between(1, 3)))
            for _ in range(case.between(low, high))
        ]
        return "\n".join(lines)

    return block


_TRANSCRIPT = Plan(
    "[Official - Subject to Final Review\n|][TRANSCRIPT OF PROCEEDINGS|Hearing transcript|DEPOSITION OF {person}|"
    "Interview transcript|Verbatim record|Transcript of the hearing|Oral argument|Transcript|Minutes of evidence]",
    (
        line(
            "IN THE [DISTRICT|HIGH|COUNTY|SUPREME|CIRCUIT] COURT OF [{land}|{city}]\n{person}, [Plaintiff|Petitioner|"
            "Appellant]\nv. [No.|Case No.|Docket] {nn}-{nnnn}\n{person}, [Defendant|Respondent]",
            "{city}, {weekday}, {date}",
            "[Present|Speakers|Participants]: {person}, {person}",
        ),
    ),
    (
        maybe(
            0.5,
            line(
                "The [above-entitled matter|hearing|case] came on for [oral argument|trial|hearing] before [the court|"
                "Judge {last}] at {time}.",
                "[Recorded|Held|Taken] at {venue}, [on|] {date}[, beginning at {time}|]",
            ),
        ),
        maybe(
            0.4,
            line("APPEARANCES:\n{person}, ESQ., {city}; on behalf of the [Petitioner|Plaintiff].\n{person}, ESQ."),
        ),
        _turns(3, 16),
        maybe(0.3, line("{coined} Reporting Company", "Certified by {person}, court reporter", "(End of transcript)")),
    ),
)  # fmt: skip
_STATISTICS = Plan(
    "[{city}|{land}|National|Regional|{field}] [statistics|background checks|census|data table|figures] [{month} - "
    "|]{someyear}|Table {digit}: [population|employment|traffic|crime|tourism|harvest|energy] [by region|by year]|"
    "[Population|Labour force|Accidents|School|Hospital|Crime|Energy] statistics",
    (),
    (
        _grid(6, 40),
        maybe(
            0.6,
            say(
                """
        [Source|Data]: [national statistics office|census of {someyear}|survey of {nnnn} households|{university}].
        [Note|DISCLAIMER]: [these statistics represent|figures are] [the number of|rounded to] [cases|thousands].
        [Based on varying|Owing to different] [laws|definitions], [columns cannot be compared|totals may not add up].
        * [provisional|estimated|revised|includes unknown]. [Not seasonally adjusted.|]
        """,
                1,
                2,
            ),
        ),
    ),
    untitled=0.1,
    ordered=True,
)  # fmt: skip
_SPENDING = Plan(
    "[Report of expenditures|Statement of disbursements|Expenditure report|Quarterly expenditures|Schedule of "
    "payments|Spending over {nnn}|Payments to suppliers|Campaign expenditures|Disbursements of the {department}]",
    (
        line(
            "[Office of|Senator|Department|Committee on] {last}[, {period}|]",
            "[Period|Reporting period|Quarter]: {period}",
            "[Funding year|Fiscal year] {year}",
        ),
    ),
    (
        _spent(5, 30),
        maybe(
            0.5,
            line(
                "[TOTAL EXPENDITURES|Total disbursed|Net payroll expenses|Total this page|Organization totals] {total}",
                "[Balance of appropriation|Unexpended balance|Authorisation] {money}",
            ),
        ),
    ),
    untitled=0.4,
)  # fmt: skip
_SECTIONS = tuple(
    both(
        line(f"[{at}|{at}.|] [{head}]" if at < 9 else f"[{head}]"),
        tell(
            (
                """
        {sciobject} [plays a central role in|is poorly understood in|has been studied in] {field} [{digit}|[{nn}]|].
        [Following|As in|Unlike] {last} et al. ({someyear}), we [use|apply|consider] {method}.
        [Let|Suppose that|Assume] [x|n|the sample] [be|is] [given|fixed|drawn from {sciobject}].
        """,
                """
        [Figure {digit}|Table {digit}] [shows|reports|compares] {sciobject}[ for {nnn} samples|]. {finding}.
        We [measured|estimated|computed] {sciobject} with {method} [({nn} runs)|on {nnnn} samples|]. {finding}.
        """,
                """
        [However|Moreover|In contrast|Hence], {finding}.
        This [suggests|implies|confirms] that {finding}, [see Section {digit}|as {last} and {last} ({someyear}) found].
        """,
            )
        ),
    )
    for at, head in enumerate(
        ("Introduction|Background", "Related work|Previous work|Theory", "Methods|Materials and methods|Model|Data",
         "Results|Experiments|Evaluation", "Discussion|Conclusions|Concluding remarks"), 1
    )
)  # fmt: skip


def _cited(case: Case) -> str:
    source = "{last}, [A|M|J|K]. ({someyear}). {papertitle}. [Journal of|Annals of|Proc.] {field}, {nn}."
    rows = [f"{at}. {case.fill(source)}" for at in range(1, case.between(3, 9))]
    return "\n".join([case.pick(("References", "REFERENCES", "Bibliography", "Literature")), *rows])


_ARTICLE = Plan(
    "{papertitle}",
    (),
    (
        line("{person}[, {person}][ and {person}|]\n{university}[\n{mail}|]", "{person}\n{date}", "{person}, {person}"),
        maybe(0.7, both(line("[Abstract|ABSTRACT|Summary]"), *ABSTRACT.body[:1])),
        *_SECTIONS[:1],
        *(maybe(0.75, section) for section in _SECTIONS[1:]),
        maybe(0.3, both(line("Table {digit}: {sciobject}[ by region|]"), _grid(3, 8))),
        maybe(0.6, _cited),
    ),
    untitled=0.1,
    ordered=True,
)  # fmt: skip

PLANS: dict[str, Plan] = {
    "transcript": _TRANSCRIPT,
    "statistics table": _STATISTICS,
    "expenditure report": _SPENDING,
    "scientific article": _ARTICLE,
}
