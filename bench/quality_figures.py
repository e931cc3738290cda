"""What precisions do to answers: figures of kept scores, each beside those of 16 bits on the same questions.

Intervals are of 95 %, by bootstrap over documents: both questions of a document are drawn together, and both sides of a
difference are of the same draw. That of a share of equal labels is an exact one, since a bootstrap has no width where
all are equal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.report import RESULTS
from pinpoint.checkpoints.sources import embedded_folder
from pinpoint.evaluate.metrics import Interval, ece, ece_floor, interval, of_share, resamples

REFERENCE = "bf16"
EMBEDDED = "embedded"
PRECISIONS = ("bf16", "int8", "int8+int8", "int8+int8 flagged", "fp8", "nf4", "float32")
# A layer whose middle output is off by more than this with inputs of 8 bits is flagged; the bound of loading.
FLAGGED_ERROR = 0.05
KEPT = RESULTS / "quality"
CARD = KEPT / "card"  # of the same kept of a GPU, on more documents
ANSWERS = "answers.json"
# The rule of docs/quality.md: a default is changed only where no more than this changes.
MOST_NLL, LEAST_SAME = 0.005, 0.995


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of one precision to questions, in one order for all precisions of a model.

    Attributes:
        shares: the probability of each label, by question.
        truth: [n] the right label.
        groups: [n] number of the document.
        mass: [n] what the model wanted to say inside the list.
    """

    shares: list[NDArray[np.float64]]
    truth: NDArray[np.int64]
    groups: NDArray[np.int64]
    mass: NDArray[np.float64]

    @cached_property
    def label(self) -> NDArray[np.int64]:
        """[n] the best label."""
        return np.array([share.argmax() for share in self.shares])

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """[n] its probability."""
        return np.array([share.max() for share in self.shares])

    @cached_property
    def lead(self) -> NDArray[np.float64]:
        """[n] how far it is before the second."""
        return np.array([share.max() - np.partition(share, -2)[-2] for share in self.shares])

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """[n] whether it is the right one."""
        found: NDArray[np.bool_] = self.label == self.truth
        return found

    @cached_property
    def nll(self) -> NDArray[np.float64]:
        """[n] negative log-probability of the right label."""
        return np.array([-np.log(share[place]) for share, place in zip(self.shares, self.truth, strict=True)])


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of one precision, and by how much it is more than that of 16 bits."""

    value: float
    more: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of the table.

    Attributes:
        same: share of questions with the label of 16 bits, and its interval.
        lead: the largest lead, by 16 bits, of a label that is another now; 0 if none is.
        floor: what the calibration error would be by chance.
    """

    precision: str
    questions: int
    documents: int
    accuracy: Figure
    nll: Figure
    ece: Figure
    floor: float
    same: tuple[float, Interval]
    lead: float
    mass: float

    @property
    def meets(self) -> bool:
        """Whether the rule holds for these questions."""
        return abs(self.nll.more) <= MOST_NLL and self.same[0] >= LEAST_SAME

    @property
    def shown(self) -> bool:
        """Whether the intervals leave no doubt: the whole of them is on the side where the figures are."""
        low, high = self.nll.interval
        if self.meets:
            return low >= -MOST_NLL and high <= MOST_NLL and self.same[1][0] >= LEAST_SAME
        return low > MOST_NLL or high < -MOST_NLL or self.same[1][1] < LEAST_SAME


def table(model: str, folder: Path = KEPT) -> list[Figures]:
    """A row for each precision that has been measured, on the documents that 16 bits were measured on as well.

    Scores of documents that were drawn otherwise than those whose answers are kept are left out, and those of other
    weights.
    """
    rows: list[Figures] = []
    answers = folder / ANSWERS
    truths = json.loads(answers.read_text(encoding="utf-8")) if answers.exists() else {}
    usual = read(model, REFERENCE, folder)
    reference = _scores(usual, truths)
    for held in PRECISIONS:
        kept = read(model, held, folder)
        scores = _scores(kept, truths) if kept.get("weights") == usual.get("weights") else {}
        common = [one for one in reference if one in scores]
        if common:
            rows.append(compare(held, _answers(scores, common, truths), _answers(reference, common, truths)))
    return rows


def read(model: str, name: str, folder: Path = KEPT) -> dict[str, Any]:
    """What was kept of a model under a name; empty if nothing."""
    path = folder / f"{model}-{name.replace(' ', '-')}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def weights_of(model: str) -> str:
    """Which weights a model has whose name says nothing of it: those that are shipped are trained on now and then."""
    if model != EMBEDDED:
        return ""
    sums = (embedded_folder() / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return next(line.split()[0] for line in sums if line.endswith("model.safetensors"))


def _scores(kept: dict[str, Any], truths: dict[str, Any]) -> dict[str, list[list[float]]]:
    alike = all(kept.get(name) == truths.get(name) for name in ("drawn", "texts"))
    return (
        {document: values for document, values in kept.get("scores", {}).items() if document in truths} if alike else {}
    )


def flagged_layers(layers: Sequence[dict[str, Any]]) -> set[str]:
    """Names of the layers, of those that `quality_outliers` looked at, for whose inputs 8 bits are too few."""
    return {line["layer"] for line in layers if not line["int8_inputs"][0] <= FLAGGED_ERROR}


def compare(held: str, found: Answers, reference: Answers) -> Figures:
    """One precision against another on the same questions."""
    samples = resamples(found.groups)

    def figure(of: Callable[[Answers, NDArray[np.int64]], float]) -> Figure:
        everything = np.arange(len(found.truth))
        value = of(found, everything)
        apart = interval(lambda sample: of(found, sample) - of(reference, sample), samples)
        assert apart is not None
        return Figure(value, value - of(reference, everything), apart)

    same = found.label == reference.label
    return Figures(
        held, len(same), len(np.unique(found.groups)),
        figure(lambda one, sample: float(one.right[sample].mean())),
        figure(lambda one, sample: float(one.nll[sample].mean())),
        figure(lambda one, sample: ece(one.score[sample], one.right[sample])),
        ece_floor(found.score)[0],
        (float(same.mean()), of_share(same, found.groups, samples)),
        float(reference.lead[~same].max(initial=0.0)), float(np.median(found.mass)),
    )  # fmt: skip


def _answers(scores: dict[str, list[list[float]]], common: list[str], truths: dict[str, list[int]]) -> Answers:
    values = [np.array(one) for document in common for one in scores[document]]
    totals = [np.logaddexp.reduce(one) for one in values]
    return Answers(
        [np.exp(one - total) for one, total in zip(values, totals, strict=True)],
        np.array([place for document in common for place in truths[document]]),
        np.array([number for number, document in enumerate(common) for _ in scores[document]]),
        np.exp(np.array(totals)),
    )
