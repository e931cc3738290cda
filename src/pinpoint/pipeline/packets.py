"""Packets: several documents behind one another in one file, cut where a page begins another one.

Each page but the first is asked one question more: whether it begins a document or goes on with the one before. Asked
about is the end of the page before and the beginning of this one, since that is where they join. It is scored in the
same passes as the labels; `decide/segments.py` puts both together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pinpoint.decide.segments import Cut, cut
from pinpoint.documents.text import is_blank
from pinpoint.pipeline.units import Measured
from pinpoint.prompting.long_document import Fitted
from pinpoint.prompting.taxonomy import Label, Task

# No caller's task is called so: names have no control characters.
BOUNDARY = Task(
    "\0boundary",
    (Label("begins", "a new document"), Label("goes on", "the same document")),
    instructions=(
        "Below is the end of one page of a file, a line of dashes, and the beginning of the next page. Does the next "
        "page begin a new document, or does it go on with the same document?"
    ),
)
TAIL_CHARS, HEAD_CHARS = 200, 300
# Of a page of fewer characters less is shown in proportion, or asking where it joins would cost as much as reading it;
# no less than the last and the first lines.
ORDINARY_CHARS, LEAST_SHARE = 850, 0.3
JOINT = "\n----------\n"


def joints(pages: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Each page that has one before it, with what is asked about it; blank pages are passed over."""
    before: str | None = None
    for number, text in enumerate(pages):
        if is_blank(text):
            continue
        if before is not None:
            share = min(1.0, max(LEAST_SHARE, len(text) / ORDINARY_CHARS))
            tail, head = round(share * TAIL_CHARS), round(share * HEAD_CHARS)
            yield number, before.rstrip()[-tail:] + JOINT + text.lstrip()[:head]
        before = text


def cut_of(
    task: Task | None, fitted: Fitted, measured: Sequence[Measured], joined: Fitted, boundaries: Sequence[Measured]
) -> tuple[list[int], Cut]:
    """Pages that can be read, and the best cut of them.

    Args:
        task: a choice whose labels are evidence; None where no task is one.
        fitted: its parts.
        measured: of its parts.
        joined: the parts that `BOUNDARY` was asked about.
        boundaries: what was measured of them.
    """
    pages = sorted(set(fitted.pages))
    rows = {page: [0.0] for page in pages}
    if task is not None:
        offered = [k for k, label in enumerate(task.labels) if label.id not in task.mask]
        tokens = {page: 0 for page in pages}
        for page, part in zip(fitted.pages, fitted.parts, strict=True):
            tokens[page] += len(part)
        rows = {page: [0.0] * len(offered) for page in pages}
        for page, part, one in zip(fitted.pages, fitted.parts, measured, strict=True):
            weight = len(part) / tokens[page]
            for place, k in enumerate(offered):
                rows[page][place] += weight * one.scores.log_probs[k]
    odds = {page: 0.0 for page in pages[1:]}
    for page, one in zip(joined.pages, boundaries, strict=True):
        begins, goes_on = one.scores.log_probs
        if page in odds and math.isfinite(begins) and math.isfinite(goes_on):
            odds[page] = begins - goes_on
    return pages, cut([rows[page] for page in pages], [odds[page] for page in pages[1:]])


def of_pages(fitted: Fitted, measured: Sequence[Measured], each: int, pages: range) -> tuple[Fitted, list[Measured]]:
    """The parts of some pages, and what was measured of them, `each` a part."""
    chosen = [index for index, page in enumerate(fitted.pages) if page in pages]
    part = Fitted(
        tuple(fitted.parts[index] for index in chosen), tuple(fitted.pages[index] for index in chosen), fitted.dropped
    )
    return part, [one for index in chosen for one in measured[index * each : (index + 1) * each]]
