"""Which parts of a document moved its answer: each is left out, and what is left is read as a document of its own.

What a document without a passage shares with the whole one, it shares in the forest: all before the passage. So it
costs what lies behind it, and the question. A document's paragraphs are merged until all readings together cost no more
than `MOST_TIMES` what the document alone does; pages that are read apart cost nothing more, since an answer is the sum
of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pinpoint.api.answer import Answer, Evidence
from pinpoint.decide.evidence import log_odds, log_odds_in_tree
from pinpoint.documents.paragraphs import Run, paragraphs
from pinpoint.pipeline.answers import weighted
from pinpoint.pipeline.engine_protocol import Scores
from pinpoint.pipeline.second_reading import first_reading
from pinpoint.pipeline.trees import TreeScores
from pinpoint.pipeline.units import Measured
from pinpoint.prompting.long_document import Fitted
from pinpoint.prompting.prompt import Question
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.taxonomy import Task

MOST_PASSAGES = 20
MOST_TIMES = 2.2  # with what they share laid in more and shorter runs, a document of 20 paragraphs stays below 4 in all
MOST_TOLD = 10
NO_EVIDENCE_OF_CUT = (
    "no evidence: the document was cut, and without a part of it others would be read; with `long_document` 'pages' "
    "there is evidence by page"
)


@dataclass(frozen=True, slots=True)
class Passage:
    """Paragraphs behind one another, which are left out together."""

    runs: tuple[Run, ...]

    @property
    def chars(self) -> int:
        """Of all of it."""
        return sum(run.end - run.start for run in self.runs)

    def left_out(self, pages: Sequence[str]) -> tuple[str, ...]:
        """The pages without it."""
        left = list(pages)
        for run in reversed(self.runs):
            left[run.page] = left[run.page][: run.start] + left[run.page][run.end :]
        return tuple(left)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A document without each of its passages, as the model reads it.

    Attributes:
        passages: what is left out of each reading.
        parts: token ids of each.
        shared: tokens that each shares with the whole document from its beginning, the line before it included.
    """

    passages: tuple[Passage, ...] = ()
    parts: tuple[tuple[int, ...], ...] = ()
    shared: tuple[int, ...] = ()

    @property
    def tokens(self) -> int:
        """Of all readings."""
        return sum(map(len, self.parts))

    def cuts(self, most: int | None = None) -> list[int]:
        """Where the document is cut into spans so that its readings share them, or those cuts up to one of them."""
        return sorted({cut for cut in self.shared if most is None or cut <= most})


def passages(
    pages: Sequence[str], document_tokens: int, task: Task, questions: Sequence[Question], prompts: PromptBuilder
) -> tuple[Passage, ...]:
    """What is left out in turn, in reading order: a function of the document and the task alone.

    Args:
        pages: that are read.
        document_tokens: of them.
        task: what is asked.
        questions: its tokens; those of a tree are all asked.
        prompts: that lay it.
    """
    found = [run for number, page in enumerate(pages) for run in paragraphs(page, number)]
    each = [
        prompts.ending_tokens
        + len(question.trie.tokens)
        + (question.length if prompts.document_first(task, question, document_tokens) else 0)
        for question in questions
    ]
    # Of what many documents share nothing is counted, and of a tree one question: a document may take no more alone.
    asked, alone = sum(each), document_tokens + each[0]
    for count in range(min(MOST_PASSAGES, len(found)), 1, -1):
        merged = merged_to(found, count)
        behind = len(merged) * asked + document_tokens * _chars_behind(merged)
        if behind <= MOST_TIMES * alone or count == 2:
            return merged if len(merged) > 1 else ()
    return ()


def merged_to(runs: Sequence[Run], count: int) -> tuple[Passage, ...]:
    """At most so many passages, about equally long: each paragraph goes where its middle lies."""
    whole = sum(run.end - run.start for run in runs)
    groups: dict[int, list[Run]] = {}
    before = 0
    for run in runs:
        chars = run.end - run.start
        groups.setdefault(min(count - 1, (2 * before + chars) * count // (2 * whole)), []).append(run)
        before += chars
    return tuple(Passage(tuple(group)) for group in groups.values())


def _chars_behind(merged: Sequence[Passage]) -> float:
    """Over all passages, the shares of the document that lie behind each."""
    whole = sum(passage.chars for passage in merged)
    behind, total = whole, 0
    for passage in merged:
        behind -= passage.chars
        total += behind
    return total / whole


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two runs have in common from their beginning."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def by_passage(task: Task, answer: Answer, whole: Scores, left_out: LeftOut, without: Sequence[Scores]) -> Answer:
    """The answer with what each passage did for it.

    Args:
        task: what was asked.
        answer: to it.
        whole: what was measured of the document.
        left_out: its readings.
        without: what was measured of them.
    """
    changes = _changes(task, answer, first_reading(whole), without)
    return _told(answer, zip(changes, (passage.runs for passage in left_out.passages), strict=True))


def by_page(task: Task, answer: Answer, fitted: Fitted, measured: Sequence[Measured], pages: Sequence[str]) -> Answer:
    """The answer with what each page did for it, where pages are read apart.

    Args:
        task: what was asked; one question.
        answer: to it.
        fitted: the parts of the pages.
        measured: of the parts.
        pages: the texts of all pages.
    """
    scores = [first_reading(one.scores) for one in measured]
    numbers = list(dict.fromkeys(fitted.pages))
    if len(numbers) < 2:
        return _told(answer, ())
    without = list[Scores]()
    for page in numbers:
        chosen = [index for index, of in enumerate(fitted.pages) if of != page]
        tokens = sum(len(fitted.parts[index]) for index in chosen)
        weights = [len(fitted.parts[index]) / tokens for index in chosen]
        without.append(weighted([[scores[index]] for index in chosen], weights)[0])
    whole = weighted([[one] for one in scores], [len(part) / fitted.tokens for part in fitted.parts])[0]
    changes = _changes(task, answer, whole, without)
    return _told(answer, zip(changes, ((Run(page, 0, len(pages[page])),) for page in numbers), strict=True))


def _changes(task: Task, answer: Answer, whole: Scores, without: Sequence[Scores]) -> list[float]:
    """Log-odds that the best label lost by each."""
    best = answer.labels[0]
    before = _odds(task, whole, best)
    return [before - _odds(task, one, best) for one in without]


def _odds(task: Task, scores: Scores, best: str) -> float:
    if isinstance(scores, TreeScores):
        return log_odds_in_tree(scores.decision, scores.asked, best)
    return log_odds(scores.log_probs, task, best)


def _told(answer: Answer, found: Iterable[tuple[float, tuple[Run, ...]]]) -> Answer:
    """The answer with the strongest of what was found; of equals, the first of the document."""
    ranked = sorted(found, key=lambda one: -abs(one[0]))[:MOST_TOLD]
    return replace(
        answer,
        evidence=tuple(
            Evidence(runs[0].page, runs[0].start, runs[-1].page, runs[-1].end, change) for change, runs in ranked
        ),
    )
