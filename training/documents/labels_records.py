"""The wordings of the labels: names and descriptions of transcripts, statistics, spending and articles."""

from __future__ import annotations

from .kind import Label
from .kind import label as _label

RECORDS: tuple[Label, ...] = (
    _label(
        "transcript",
        "legal",
        """
        court transcript; hearing transcript; transcript of proceedings; verbatim record; deposition transcript
        interview transcript; record of testimony; oral argument transcript; court transcript
        """,
        """
        records word for word what was said in court or in an interview
        speakers and what each of them said, line by line
        testimony of witnesses with questions and answers
        shows who appeared in a hearing and what was argued
        the spoken words of a trial, deposition or debate written down
        """,
    ),
    _label(
        "statistics table",
        "stock-and-sales",
        """
        statistical table; table of statistics; data table; official statistics; census table; table of figures
        statistics; statistical report; table of data by region
        """,
        """
        shows counts by region or year in many columns
        official numbers of people, cases or events for places and periods
        rows of places with figures in each column
        tabulates census or survey data
        lists how many there were in each state, county or year
        """,
    ),
    _label(
        "expenditure report",
        "finance",
        """
        report of expenditures; spending report; statement of disbursements; list of payments by an office
        disbursement report; public spending list; expenditures; report on spending; schedule of payments
        """,
        """
        lists what an office or campaign spent, on whom and for what
        payees, purposes and amounts of public money paid out
        shows salaries and expenses that a department paid in a quarter
        publishes payments of a public body to staff and suppliers
        disbursements with document number, payee and amount
        """,
    ),
    _label(
        "scientific article",
        "publication",
        """
        research paper; scientific paper; academic paper; journal article; research article; academic article
        conference paper; scholarly article; paper with abstract and references
        """,
        """
        reports research in sections with methods, results and references
        a full paper by scientists, from abstract to bibliography
        presents a study with introduction, experiments and discussion
        authors of a university describe what they investigated and found
        scholarly text with figures, tables and citations
        """,
    ),
)
