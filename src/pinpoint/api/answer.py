"""The answer to one task about one document, and what may stand in it, as the wire has them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

SCORE_DECIMALS = 6

Decision = Literal["accept", "review", "abstain"]


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """The answer that one page, or a part of a long page, would have had alone; `page` counts from 0."""

    page: int
    tokens: int
    label: str | None
    score: float

    def to_wire(self) -> dict[str, object]:
        """Return one member of an answer's `pages`."""
        return {**asdict(self), "score": round(self.score, SCORE_DECIMALS)}


@dataclass(frozen=True, slots=True)
class Promise:
    """Of answers whose confidence is at least the threshold, at most `target_error` are wrong, this surely."""

    target_error: float
    confidence_level: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Characters of the document, and the log-odds that the answer lost without them; below zero it gained.

    They run from `start` on `page` to `end` on `end_page`, pages from 0, and count in the pages' clean text.
    """

    page: int
    start: int
    end_page: int
    end: int
    change: float

    def to_wire(self) -> dict[str, object]:
        """Return one member of an answer's `evidence`; `end_page` is there where it is another one."""
        wire: dict[str, object] = {"page": self.page, "start": self.start, "end": self.end}
        if self.end_page != self.page:
            wire["end_page"] = self.end_page
        return {**wire, "change": round(self.change, SCORE_DECIMALS)}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one task about one document; `labels`, `scores` and `log_probs` are parallel, best first.

    `label` is None when the decision is to abstain. `log_probs`, kept for `return_raw`, are what the engine measured,
    before prior and calibration (log-odds of yes with multi_label). `bounded_labels` says how many scores are upper
    bounds that round to zero; `explanation`, `pages` and `evidence` are there where they were asked for.

    `calibration` names the task file that made the scores. `certified` is there where an error rate was asked for, with
    the promise that covers it, where there is one, and why the answer is not covered, where it is not.
    `prediction_set` is there where one was asked for, and empty where none is known.

    `order_spread` is there where the labels were read in two orders: the share of the scores that the order moves.

    Of a tree, `path` leads from the top to `label`, which is a group where the answer is `backed_off`; there,
    `bounded_labels` have an equal part of what their group has.

    Of a set of labels, `chosen` are its members, best first, and where it was taught `set_probability`, no part of the
    wire but as `confidence`, is how likely it is that they are all of the right ones and no other.

    `state` is no part of the wire: what a model made of the document, for those who teach (`Options.states`); of a set
    of labels for one label's question after the other.

    A task of yes or no has a `probability` of yes; a score has the `distribution` over its levels, in their order, and
    the level that is `expected`, counted from 0.
    """

    label: str | None
    score: float
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    margin: float
    label_mass: float
    confidence: float | None = None
    decision: Decision = "accept"
    reasons: tuple[str, ...] = ()
    log_probs: tuple[float, ...] | None = None
    bounded_labels: int = 0
    explanation: str | None = None
    pages: tuple[PageAnswer, ...] = ()
    probability: float | None = None
    expected: float | None = None
    distribution: tuple[float, ...] = ()
    order_spread: float | None = None
    calibration: str | None = None
    certified: bool | None = None
    certified_why: str | None = None
    certificate: Promise | None = None
    prediction_set: tuple[str, ...] | None = None
    evidence: tuple[Evidence, ...] | None = None
    path: tuple[str, ...] = ()
    path_scores: tuple[float, ...] = ()
    backed_off: bool = False
    chosen: tuple[str, ...] | None = None
    set_probability: float | None = None
    state: tuple[float, ...] = ()

    def to_wire(self) -> dict[str, object]:
        """Return the value of one member of `answers`; those behind `reasons` are there where they say something."""
        wire: dict[str, object] = {
            "label": self.label,
            "score": round(self.score, SCORE_DECIMALS),
            "labels": list(self.labels),
            "scores": round_scores(self.scores),
            "margin": round(self.margin, SCORE_DECIMALS),
            "label_mass": round(self.label_mass, SCORE_DECIMALS),
            "confidence": None if self.confidence is None else round(self.confidence, SCORE_DECIMALS),
            "decision": self.decision,
            "reasons": list(self.reasons),
        }
        if self.log_probs is not None:
            # JSON has no infinity: a label that the model rules out has null.
            wire["log_probs"] = [round(s, SCORE_DECIMALS) if math.isfinite(s) else None for s in self.log_probs]
        if self.bounded_labels:
            wire["bounded_labels"] = self.bounded_labels
        if self.path:
            wire |= {
                "path": list(self.path),
                "path_scores": round_scores(self.path_scores),
                "backed_off": self.backed_off,
            }
        if self.chosen is not None:
            wire["chosen"] = list(self.chosen)
        if self.calibration is not None:
            wire["calibration"] = self.calibration
        if self.certified is not None:
            wire |= {"certified": self.certified, "certified_why": self.certified_why}
            wire["certificate"] = None if self.certificate is None else asdict(self.certificate)
        if self.prediction_set is not None:
            wire["prediction_set"] = list(self.prediction_set) or None
        if self.order_spread is not None:
            wire["order_spread"] = round(self.order_spread, SCORE_DECIMALS)
        if self.explanation is not None:
            wire["explanation"] = encodable(self.explanation)
        if self.probability is not None:
            wire["probability"] = round(self.probability, SCORE_DECIMALS)
        if self.expected is not None:
            wire["expected"] = round(self.expected, SCORE_DECIMALS)
            wire["distribution"] = round_scores(self.distribution)
        if self.pages:
            wire["pages"] = [page.to_wire() for page in self.pages]
        if self.evidence is not None:
            wire["evidence"] = [one.to_wire() for one in self.evidence]
        return wire


def round_scores(scores: Iterable[float]) -> list[float]:
    """Return scores as the wire has them."""
    return [round(score, SCORE_DECIMALS) for score in scores]


def encodable(text: str) -> str:
    """Text that UTF-8 can hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
