"""The slow twin of `pinpoint.pipeline.evidence`: each reduced document is a job of its own, and the change is read off
its answer. Where the labels are read in two orders, the first reading is what counts.

It knows nothing of spans, of tokens or of what is shared: it cuts characters out of pages and sends what is left.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from pinpoint.api.answer import Answer, Evidence
from pinpoint.api.request import Request
from pinpoint.api.response import DocumentResult, Response
from pinpoint.documents.text import Document
from pinpoint.prompting.taxonomy import Task


def without(pages: Sequence[str], found: Evidence) -> tuple[str, ...]:
    """The pages without these characters."""
    left = list(pages)
    for page in range(found.page, found.end_page + 1):
        start = found.start if page == found.page else 0
        end = found.end if page == found.end_page else len(left[page])
        left[page] = left[page][:start] + left[page][end:]
    return tuple(left)


def log_odds(answer: Answer, label: str) -> float:
    """Of a label, by the scores of all labels."""
    scores = dict(zip(answer.labels, answer.scores, strict=True))
    return math.log(scores.pop(label) / math.fsum(scores.values()))


def changes(asked: Request, told: Response, ask: Callable[[Request], Response]) -> list[tuple[float, float]]:
    """For each piece of evidence in a response, what it says and what a job without the passage says."""
    pairs = list[tuple[float, float]]()
    for document, result in zip(asked.documents, told.results, strict=True):
        assert isinstance(document, Document) and isinstance(result, DocumentResult)
        for task in asked.tasks:
            alone = replace(
                asked, documents=(document,), tasks=(task,),
                options=replace(asked.options, evidence=False, second_reading=False, deterministic=True),
            )  # fmt: skip
            whole = _answer(ask(alone), task)
            for found in result.answers[task.name].evidence or ():
                reduced = replace(document, pages=without(document.pages, found))
                left = _answer(ask(replace(alone, documents=(reduced,))), task)
                best = result.answers[task.name].labels[0]
                pairs.append((found.change, log_odds(whole, best) - log_odds(left, best)))
    return pairs


def _answer(response: Response, task: Task) -> Answer:
    (result,) = response.results
    assert isinstance(result, DocumentResult)
    return result.answers[task.name]
