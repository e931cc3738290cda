"""What a document was answered, typed; the plain values of the wire are kept beside (`wire`).

Fields that a newer worker adds are in `wire` and nowhere else: nothing here fails on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from pinpoint.client.told import document_error
from pinpoint.errors import DocumentError, JobError, PinpointError


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question about one document; docs/api.md says what the fields mean.

    Attributes:
        label: id of the best label; None when the decision is to abstain.
        labels, scores: parallel, best first.
        confidence: None where the worker has no calibration for the question.
        wire: the answer as it came, with what is there only where it says something.
    """

    label: str | None
    score: float
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    margin: float
    label_mass: float
    confidence: float | None
    decision: str
    reasons: tuple[str, ...]
    wire: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, wire: Mapping[str, Any]) -> Answer:
        """Read one member of `answers`."""
        return cls(
            label=None if wire["label"] is None else _words(wire["label"]),
            score=_number(wire["score"]),
            labels=tuple(_words(one) for one in wire["labels"]),
            scores=tuple(_number(one) for one in wire["scores"]),
            margin=_number(wire["margin"]),
            label_mass=_number(wire["label_mass"]),
            confidence=None if wire.get("confidence") is None else _number(wire["confidence"]),
            decision=_words(wire["decision"]),
            reasons=tuple(_words(one) for one in wire.get("reasons", ())),
            wire=wire,
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one document: `answers` by question, or an `error`.

    Attributes:
        id: the document's own; its place in the list where it has none.
        pages, tokens: what the model was shown of it; 0 where it was refused.
    """

    id: str
    answers: Mapping[str, Answer]
    error: DocumentError | None
    warnings: tuple[str, ...] = ()
    pages: int = 0
    tokens: int = 0
    wire: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, wire: Mapping[str, Any]) -> Result:
        """Read one member of `results`. Raises JobError `answer_unreadable`."""
        try:
            _words(wire["status"])
            if "error" in wire:
                _words(wire["error"]["code"]), _words(wire["error"]["message"])
                return cls(str(wire["id"]), {}, document_error(wire["error"]), wire=wire)
            read = wire["input"]
            _words(read.get("type", ""))
            if "segments" in wire:
                _check_segments(wire["segments"])
            return cls(
                id=str(wire["id"]),
                answers={name: Answer.of(answer) for name, answer in wire["answers"].items()},
                error=None,
                warnings=tuple(_words(one) for one in wire["warnings"]),
                pages=_count(read["pages"]),
                tokens=_count(read["tokens"]),
                wire=wire,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise unreadable() from None

    @property
    def ok(self) -> bool:
        """Whether it was answered."""
        return self.error is None

    @property
    def answer(self) -> Answer:
        """The answer to the only question.

        Raises:
            DocumentError: the document was refused.
            KeyError: there are several questions; `answers` has them by name.
        """
        if self.error is not None:
            raise self.error
        if len(self.answers) != 1:
            raise KeyError(f"{len(self.answers)} questions: {', '.join(self.answers)}")
        return next(iter(self.answers.values()))

    @property
    def label(self) -> str | None:
        """The label of the only answer; raises as `answer` does."""
        return self.answer.label

    @property
    def score(self) -> float:
        """The score of the only answer; raises as `answer` does."""
        return self.answer.score

    @property
    def decision(self) -> str:
        """The decision of the only answer; raises as `answer` does."""
        return self.answer.decision


@dataclass(frozen=True, slots=True)
class Results(Sequence[Result]):
    """The documents in the order in which they were given; attachments that are documents follow their mail.

    Attributes:
        prompt_tokens, cached_tokens: of all jobs together; the latter of the former were not computed again.
        model: what answered, as the last job told it.
        jobs: how many it took.
    """

    documents: tuple[Result, ...]
    prompt_tokens: int = 0
    cached_tokens: int = 0
    model: Mapping[str, Any] = field(default_factory=dict)
    jobs: int = 0

    def __len__(self) -> int:
        return len(self.documents)

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Result, ...]: ...

    def __getitem__(self, index: int | slice) -> Result | tuple[Result, ...]:
        return self.documents[index]

    def __iter__(self) -> Iterator[Result]:
        return iter(self.documents)

    @property
    def labels(self) -> list[str | None]:
        """The label of each document; None where it has none, or was refused."""
        return [one.label if one.ok else None for one in self.documents]

    @property
    def refused(self) -> tuple[Result, ...]:
        """Documents with an error."""
        return tuple(one for one in self.documents if not one.ok)


# What is written and counted of an answer is of the contract's types, or the answer cannot be read.


def _words(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def _check_segments(segments: Any) -> None:
    if not isinstance(segments, list) or not segments:
        raise TypeError
    for segment in segments:
        first, last = segment["pages"]
        _count(first), _count(last)
        for answer in segment["answers"].values():
            Answer.of(answer)


def unreadable() -> PinpointError:
    """What is told of an answer in another contract."""
    return JobError(
        "answer_unreadable", "the answer is not in Pinpoint's contract; see whether the endpoint runs Pinpoint"
    )
