"""The one response shape of the wire contract, from plain values; strict JSON under the platform's size limit.

Rounding happens here and only here: scores to 6 decimals, times to 0.1 ms, memory to 0.001 GB (of 10^9 bytes).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pinpoint.api.answer import SCORE_DECIMALS, Answer, encodable, round_scores
from pinpoint.documents.text import FileFacts
from pinpoint.engine.readings import Memory, ModelInfo
from pinpoint.errors import CapacityError, InternalError, PinpointError

MAX_RESPONSE_BYTES = 10_000_000  # the platform's limit for /run; beyond it a result is dropped without a word
TIME_DECIMALS = 1
GB_DECIMALS = 3
BYTES_PER_GB = 10**9
_OF_ALL_INPUTS = ("pages", "tokens", "tokens_dropped", "extractor")


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
    return {"error": encodable(error.wire())}


def error_to_wire(error: PinpointError) -> dict[str, object]:
    """Return the error of one document."""
    return {
        "code": error.code,
        "message": encodable(error.message),
        "field": None if error.field is None else encodable(error.field),
    }


def check_wire(wire: object, max_bytes: int = MAX_RESPONSE_BYTES) -> bytes:
    """Return the JSON that the platform's SDK will post.

    Raises InternalError `not_serialisable` for what strict JSON in UTF-8 cannot hold, which the SDK would post broken
    or not at all, and CapacityError `response_too_large` over the limit.
    """
    try:
        answer = json.dumps(wire, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InternalError("not_serialisable", f"the response is not JSON ({type(error).__name__})") from None
    if len(answer) > max_bytes:
        raise response_too_large(str(len(answer)), max_bytes)
    return answer


def response_too_large(size: str, max_bytes: int) -> CapacityError:
    """What is told of an answer of `size` bytes that cannot be sent."""
    return CapacityError(
        "response_too_large",
        f"the response has {size} bytes, at most {max_bytes}; send fewer documents, or set `options.top_k`",
        "options.top_k",
    )
