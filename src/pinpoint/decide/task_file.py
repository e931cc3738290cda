"""The file of a taught task: small JSON that says what was fitted, on what, for which set-up, and what it achieved.

    Setup (the key) · examples, date · Fits → Calibration · Certificates · PredictionSets · Figures · Reference (drift)

A file holds numbers and the labels' names, never a document. It is bound to the set-up whose scores it was fitted on:
`mismatch` says in words what differs, and a file that does not fit is not used. Lists run parallel to `labels`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import pinpoint
from pinpoint.decide.calibration import MAX_HEAD_LABELS, MAX_STATE_QUESTIONS, Calibration
from pinpoint.engine.readings import STATE_FLOATS, ModelInfo
from pinpoint.errors import PinpointError

MAX_FILE_BYTES = 16_000_000  # a head of the most labels takes about 1 MB, one on the state a third of that
CONFIDENCE_BINS = 10
# With fewer labelled examples nobody knows whether a score is a probability: `confidence` stays null.
LEAST_EXAMPLES = 10

Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0)]


class FileModel(BaseModel):
    """No coercion, no unknown fields, no change afterwards."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Setup(FileModel):
    """What scores depend on beside the document: the key of the file. `engine` is the build and the kind of device."""

    model: str
    revision: str
    precision: str
    prompt_version: int
    labels_sha: str
    engine: str

    @classmethod
    def of(cls, info: ModelInfo, *, on_card: bool) -> Setup:
        """The set-up that answers now."""
        return cls(
            model=info.name,
            revision=info.revision,
            precision=info.precision,
            prompt_version=info.prompt_version,
            labels_sha=info.labels_sha,
            engine=f"pinpoint-{pinpoint.__version__} {'cuda' if on_card else 'cpu'}",
        )


class Fitted(FileModel):
    """The numbers of `Calibration`; `together` is the power of a set's probability (`decision.decide_multi`)."""

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    offsets: list[Finite] | None = None
    head: list[list[Finite]] | None = None
    state: list[Annotated[list[Finite], Field(min_length=STATE_FLOATS, max_length=STATE_FLOATS)]] | None = None
    together: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class Fit(FileModel):
    """One fit that was tried: kept or refused, and why; `gain` in nats a document, by cross-validation.

    `p_value` is of the paired one-sided test that it gains nothing. All four numbers are null where it was not tried.
    """

    name: str
    kept: bool
    reason: str
    nll_before: Finite | None = None
    nll_after: Finite | None = None
    gain: Finite | None = None
    p_value: Share | None = None


class Certificate(FileModel):
    """A promise: of answers whose confidence is at least `threshold`, at most `target_error` are wrong.

    A group of a tree is right where the right label is below it; a set of labels is right where none is missing and
    none too many.

    It holds for a fresh draw of documents like the examples, with probability `confidence_level` over the draw of the
    held-out part. `bound` is the upper bound of the error of what was accepted there.
    """

    target_error: Inside
    confidence_level: Inside
    threshold: Finite
    n_held_out: Count
    n_accepted: Count
    n_wrong: Count
    bound: Share

    @property
    def coverage(self) -> float:
        """Share of the held-out documents that were accepted."""
        return self.n_accepted / self.n_held_out


class RefusedCertificate(FileModel):
    """A promise that could not be made, and why; `needed` documents could carry it, where that is known."""

    target_error: Inside
    confidence_level: Inside
    reason: str
    needed: Count | None = None


class PredictionSets(FileModel):
    """Sets that hold the right label in at least 1 − `alpha` of documents: the best label, and every label with at
    least `least_probability`. `mean_size` is that on the held-out part.
    """

    alpha: Inside
    n_held_out: Count
    least_probability: Share
    mean_size: Annotated[float, Field(ge=1)]

    def members(self, probabilities: Sequence[float]) -> list[int]:
        """Positions of the labels in one document's set, the likeliest first; never empty."""
        order = sorted(range(len(probabilities)), key=lambda k: -probabilities[k])
        return [k for k in order if probabilities[k] >= self.least_probability] or order[:1]


class Scores(FileModel):
    """How good the probabilities were on documents that no fit had seen; `nll` in nats, `auroc` of right against
    wrong, null where all or none were right.
    """

    accuracy: Share
    nll: Finite
    ece: Share
    brier: Finite
    auroc: Share | None = None


class Figures(FileModel):
    """What the file achieved: on the held-out part where there is one, else by cross-validation."""

    how: Literal["held_out", "cross_validated"]
    n: Count
    before: Scores
    after: Scores


class Reference(FileModel):
    """How the examples looked, for a comparison with what comes later: shares of answers by label, the mean of
    `label_mass`, and shares of answers by tenths of confidence.
    """

    n: Count
    label_distribution: list[Share]
    mean_label_mass: Share
    confidence_histogram: Annotated[list[Share], Field(min_length=CONFIDENCE_BINS, max_length=CONFIDENCE_BINS)]


class TaskFile(FileModel):
    """A taught task.

    Attributes:
        task: the name of the question.
        kind: what it asks.
        labels: names in the order of the prompt; for yes and no those two.
        mask, prior, other: of the task while it was taught, by position; answers with others are not covered.
        sets: whether an answer is a set of labels (`multi_label`).
        back_off: of a tree, the option that its promises are for; None of a list.
        examples: how many labelled documents the fits had; `held_out` were kept apart for promises.
    """

    format: Literal[1] = 1
    setup: Setup
    task: str
    kind: Literal["choice", "yes_no", "score"]
    labels: Annotated[list[str], Field(min_length=1)]
    mask: list[Count] = []
    prior: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None
    other: Count | None = None
    sets: bool = False
    back_off: Share | None = None
    made: date
    examples: Count
    held_out: Count = 0
    fitted: Fitted = Fitted()
    fits: list[Fit] = []
    certificates: list[Certificate] = []
    refused_certificates: list[RefusedCertificate] = []
    prediction_sets: list[PredictionSets] = []
    figures: Figures | None = None
    reference: Reference | None = None

    @model_validator(mode="after")
    def _lengths(self) -> TaskFile:
        count, fitted = len(self.labels), self.fitted
        distribution = None if self.reference is None else self.reference.label_distribution
        lists = [fitted.offsets, self.prior, fitted.head, *(fitted.head or []), fitted.state, distribution]
        if any(one is not None and len(one) != count for one in lists):
            raise ValueError(f"a list is not as long as `labels`, which are {count}")
        if any(position >= count for position in (*self.mask, self.other or 0)) or len(set(self.mask)) == count:
            raise ValueError("`mask` or `other` names a label that is not there, or the mask all of them")
        if self.sets and self.back_off is not None:
            raise ValueError("`sets` goes with no `back_off`")
        if self.sets and fitted.state and count > MAX_STATE_QUESTIONS:
            raise ValueError(f"a head on the states of more than {MAX_STATE_QUESTIONS} labels of sets")
        if (fitted.head or fitted.state) and count > MAX_HEAD_LABELS:
            raise ValueError(f"a head of more than {MAX_HEAD_LABELS} labels")
        return self

    @property
    def fills_confidence(self) -> bool:
        """Whether enough labelled examples stand behind it for its probabilities to be called confidence."""
        return self.examples + self.held_out >= LEAST_EXAMPLES

    def calibration(self) -> Calibration:
        """What is applied to the log-probabilities of this task."""
        fitted = self.fitted
        return Calibration(
            len(self.labels),
            fitted.temperature,
            None if fitted.offsets is None else np.array(fitted.offsets),
            None if fitted.head is None else np.array(fitted.head),
            None if fitted.state is None else np.array(fitted.state),
            tuple(self.mask),
        )

    def mismatch(self, setup: Setup) -> str | None:
        """Return what differs between the set-up that it was taught with and another, or None where nothing does."""
        differ = [
            f"{name} is {getattr(setup, name)}, taught with {getattr(self.setup, name)}"
            for name in Setup.model_fields
            if getattr(setup, name) != getattr(self.setup, name)
        ]
        return "; ".join(differ) or None

    def check(self, setup: Setup) -> None:
        """Raise PinpointError `task_mismatch`, with all that differs, for a set-up that it was not taught with."""
        differs = self.mismatch(setup)
        if differs is not None:
            raise PinpointError("task_mismatch", f"the task file is for another set-up: {differs}; teach it anew")

    def save(self, path: Path) -> None:
        """Write it in one step: a worker that reads meanwhile sees the old file or the new one.

        Raises PinpointError `cannot_write`.
        """
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(self.model_dump_json(indent=1), encoding="utf-8")
            beside.replace(path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            raise PinpointError("cannot_write", f"the task file cannot be written: {error.strerror}", "out") from None

    @classmethod
    def load(cls, path: Path) -> TaskFile:
        """Read one.

        Raises PinpointError `invalid_task_file` with the name of the file and the first thing wrong with it.
        """
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise _invalid(path, f"larger than {MAX_FILE_BYTES} bytes")
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise _invalid(path, f"cannot be read: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise _invalid(path, f"{place}: {first['msg']}" if place else first["msg"]) from None


def _invalid(path: Path, what: str) -> PinpointError:
    return PinpointError("invalid_task_file", f"{path.name} is no task file that can be used: {what}")
