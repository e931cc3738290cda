"""The one response shape of the wire contract, from plain values; strict JSON under the platform's size limit.

Rounding happens here and only here: scores to 6 decimals, times to 0.1 ms, memory to 0.001 GB (of 10^9 bytes).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from pinpoint.documents.text import FileFacts
from pinpoint.engine.readings import Memory, ModelInfo
from pinpoint.errors import CapacityError, InternalError, PinpointError

MAX_RESPONSE_BYTES = 10_000_000  # the platform's limit for /run; beyond it a result is dropped without a word
SCORE_DECIMALS = 6
TIME_DECIMALS = 1
GB_DECIMALS = 3
BYTES_PER_GB = 10**9
_OF_ALL_INPUTS = ("pages", "tokens", "tokens_dropped", "extractor")

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
            wire["explanation"] = _encodable(self.explanation)
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


@dataclass(frozen=True, slots=True)
class DocumentInput:
    """What the model was shown of a document; `file` where it came as one."""

    pages: int
    tokens: int
    tokens_dropped: int
    extractor: str
    file: FileFacts | None = None

    def to_wire(self) -> dict[str, object]:
        """Return the value of `input`; what only files have is there for files alone."""
        wire: dict[str, object] = {name: getattr(self, name) for name in _OF_ALL_INPUTS}
        if self.file is not None:
            wire |= {"type": self.file.type, "text_source": list(self.file.text_source)}
            if self.file.ocr_confidence:
                wire["ocr_confidence"] = list(self.file.ocr_confidence)
            if self.file.attachment:
                wire["attachment"] = self.file.attachment
        return wire


@dataclass(frozen=True, slots=True)
class Segment:
    """One document of a packet: its first and last page, from 0, and how likely it begins there."""

    pages: tuple[int, int]
    boundary: float
    answers: Mapping[str, Answer]

    def to_wire(self) -> dict[str, object]:
        """Return one member of a result's `segments`."""
        return {
            "pages": list(self.pages),
            "boundary": round(self.boundary, SCORE_DECIMALS),
            "answers": {name: answer.to_wire() for name, answer in self.answers.items()},
        }


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """A document that was answered; `answers` by the name of the task.

    `segments` and `boundaries`, of each page how likely it begins a document, are there where a file was split.
    """

    id: str
    answers: Mapping[str, Answer]
    input: DocumentInput
    warnings: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    boundaries: tuple[float, ...] = ()

    def to_wire(self) -> dict[str, object]:
        """Return one member of `results`."""
        wire: dict[str, object] = {
            "id": self.id,
            "status": "ok",
            "answers": {name: answer.to_wire() for name, answer in self.answers.items()},
            "input": self.input.to_wire(),
            "warnings": list(self.warnings),
        }
        if self.segments:
            wire["segments"] = [segment.to_wire() for segment in self.segments]
            wire["boundaries"] = round_scores(self.boundaries)
        return wire


@dataclass(frozen=True, slots=True)
class DocumentFailure:
    """A document that could not be answered, and why."""

    id: str
    error: PinpointError

    def to_wire(self) -> dict[str, object]:
        """Return one member of `results`."""
        return {"id": self.id, "status": "error", "error": error_to_wire(self.error)}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of the whole job; `cached_tokens` of the prompt were not computed again.

    What was kept for the caller's own next request is told in the formats that have a place for it.
    """

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int = 0
    cache_write_tokens: int = 0

    def to_wire(self) -> dict[str, int]:
        """Return the value of `usage`."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
        }


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the job's time went; the total has more in it than its parts."""

    queue_ms: float
    tokenize_ms: float
    forward_ms: float
    total_ms: float
    read_ms: float | None = None

    def to_wire(self) -> dict[str, object]:
        """Return the value of `timing`; `read_ms` is there where there were files to read."""
        return {name: round(value, TIME_DECIMALS) for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a job."""

    results: tuple[DocumentResult | DocumentFailure, ...]
    usage: Usage
    timing: Timing
    memory: Memory
    model: ModelInfo

    def to_wire(self) -> dict[str, object]:
        """Return a fresh value of `output`: the SDK changes the object that it is given."""
        return {
            "results": [result.to_wire() for result in self.results],
            "usage": self.usage.to_wire(),
            "timing": self.timing.to_wire(),
            "memory": memory_to_wire(self.memory),
            "model": asdict(self.model),
        }


def memory_to_wire(memory: Memory) -> dict[str, float]:
    """Return the value of `memory`, in GB."""
    return {
        name.replace("_bytes", "_gb"): round(value / BYTES_PER_GB, GB_DECIMALS)
        for name, value in asdict(memory).items()
    }


def error_envelope(error: PinpointError) -> dict[str, object]:
    """Return what fails a whole job: a string, since the platform shows a job with any other error as completed."""
    return {"error": _encodable(error.wire())}


def error_to_wire(error: PinpointError) -> dict[str, object]:
    """Return the error of one document."""
    return {
        "code": error.code,
        "message": _encodable(error.message),
        "field": None if error.field is None else _encodable(error.field),
    }


def round_scores(scores: Iterable[float]) -> list[float]:
    """Return scores as the wire has them."""
    return [round(score, SCORE_DECIMALS) for score in scores]


def check_wire(wire: object, max_bytes: int = MAX_RESPONSE_BYTES) -> int:
    """Return the size in bytes of the JSON that the platform's SDK will post.

    Raises InternalError `not_serialisable` for what strict JSON in UTF-8 cannot hold, which the SDK would post broken
    or not at all, and CapacityError `response_too_large` over the limit.
    """
    try:
        size_bytes = len(json.dumps(wire, ensure_ascii=False, allow_nan=False).encode("utf-8"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InternalError("not_serialisable", f"the response is not JSON ({type(error).__name__})") from None
    if size_bytes > max_bytes:
        raise response_too_large(str(size_bytes), max_bytes)
    return size_bytes


def response_too_large(size: str, max_bytes: int) -> CapacityError:
    """What is told of an answer of `size` bytes that cannot be sent."""
    return CapacityError(
        "response_too_large",
        f"the response has {size} bytes, at most {max_bytes}; send fewer documents, or set `options.top_k`",
        "options.top_k",
    )


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
