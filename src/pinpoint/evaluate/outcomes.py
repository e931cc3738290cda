"""Answered lines as arrays: what every figure of a report is computed from. n documents, in the order of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pinpoint.decide.decision import NONE_OF_THESE
from pinpoint.evaluate.labelled_file import set_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_SCORE = 1e-300  # below it a score is counted as this: the logarithm of zero is no figure
NOTHING = -1


@dataclass(frozen=True, slots=True, eq=False)
class LabelTable:
    """Of sets of labels: names [K], whether each label is right [n, K], and whether it was answered [n, K]."""

    names: tuple[str, ...]
    truth: NDArray[np.bool_]
    answer: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What was answered, and what is right.

    Attributes:
        names: the labels that occur as truth or as an answer, sorted; where none of the others holds, `other` does.
        truth: [n] positions in `names`.
        answer: [n] positions in `names`, `NOTHING` where no label was answered or the document was refused.
        answered: [n] whether there is an answer, be it none of the labels.
        score: [n] of the best label: its `confidence` where every answer has one, else its score; NaN where refused.
        truth_score: [n] of the right label; NaN where refused.
        brier: [n] squared distance of all scores from the truth, 0 to 2; NaN where refused.
        rank: [n] of the right label, from 1; 0 where refused.
        groups: [n] numbers that near-duplicates share.
        calibrated: whether `score` is a calibrated confidence.
        group_right: [n] whether the answer is a group of a tree, and the right label below it.
        table: of sets of labels, which labels are right and which were answered; `names` are those of sets then.
    """

    names: tuple[str, ...]
    truth: NDArray[np.int64]
    answer: NDArray[np.int64]
    answered: NDArray[np.bool_]
    score: NDArray[np.float64]
    truth_score: NDArray[np.float64]
    brier: NDArray[np.float64]
    rank: NDArray[np.int64]
    groups: NDArray[np.int64]
    calibrated: bool
    group_right: NDArray[np.bool_]
    table: LabelTable | None = None

    @property
    def right(self) -> NDArray[np.bool_]:
        """[n] whether the answer is the truth, or a group that holds it: what a promise about a tree is about."""
        found: NDArray[np.bool_] = (self.answer == self.truth) | self.group_right
        return found

    def __len__(self) -> int:
        return len(self.truth)


def answered_label(answer: Mapping[str, Any]) -> str | None:
    """The label of an answer; one that abstains because none of the others holds is answered by that label. Of a set of
    labels, what it is called.
    """
    if "chosen" in answer:
        return set_name(answer["chosen"])
    label: str | None = answer["labels"][0] if NONE_OF_THESE in answer.get("reasons", ()) else answer["label"]
    return label


def truth_of(line: Mapping[str, Any]) -> str:
    """The right label of a line, or what its right set of labels is called."""
    truth = line["truth"]
    return truth if isinstance(truth, str) else set_name(truth)


def outcomes(lines: Sequence[Mapping[str, Any]], groups: Sequence[int] | None = None) -> Outcomes:
    """The outcomes of lines of answers.jsonl, with the group of each; without, each is one of its own."""
    answers = [line.get("answer") for line in lines]
    labels = [None if one is None else answered_label(one) for one in answers]
    names = sorted({truth_of(line) for line in lines} | {label for label in labels if label})
    place = {name: k for k, name in enumerate(names)}
    # What abstains has no confidence; its score is calibrated where that of the others is.
    known = [one.get("confidence") is not None for one in answers if one and (one["label"] or "chosen" in one)]
    calibrated = bool(known) and all(known)
    score, truth_score, brier = (np.full(len(lines), np.nan) for _ in range(3))
    rank = np.zeros(len(lines), dtype=np.int64)
    for k, (line, answer) in enumerate(zip(lines, answers, strict=True)):
        if answer is None:
            continue
        scores = dict(zip(answer["labels"], answer["scores"], strict=True))
        if "chosen" in answer:
            score[k], truth_score[k], brier[k] = _of_set(scores, answer["chosen"], line["truth"])
            if calibrated:
                score[k] = answer["confidence"]
            continue
        right = scores.get(line["truth"], 0.0)
        score[k] = answer["score"] if answer.get("confidence") is None or not calibrated else answer["confidence"]
        truth_score[k] = right
        brier[k] = sum(value * value for value in scores.values()) - 2 * right + 1
        rank[k] = answer["labels"].index(line["truth"]) + 1 if line["truth"] in scores else len(scores) + 1
    return Outcomes(
        tuple(names),
        np.array([place[truth_of(line)] for line in lines], dtype=np.int64),
        np.array([place[label] if label else NOTHING for label in labels], dtype=np.int64),
        np.array([one is not None for one in answers], dtype=np.bool_),
        score,
        truth_score,
        brier,
        rank,
        np.arange(len(lines)) if groups is None else np.asarray(groups, dtype=np.int64),
        calibrated,
        np.array([line.get("group_right", False) for line in lines], dtype=np.bool_),
        _label_table(lines) if any(not isinstance(line["truth"], str) for line in lines) else None,
    )


def _of_set(scores: Mapping[str, float], chosen: Sequence[str], truth: Sequence[str]) -> tuple[float, float, float]:
    """The probabilities of the answered set and of the right one, as if labels were independent, and the squared
    distance of the labels' scores from the truth, summed.
    """
    both = [math.prod(p if label in members else 1 - p for label, p in scores.items()) for members in (chosen, truth)]
    return both[0], both[1], math.fsum((p - (label in truth)) ** 2 for label, p in scores.items())


def _label_table(lines: Sequence[Mapping[str, Any]]) -> LabelTable:
    names = tuple(dict.fromkeys(label for line in lines for label in line["labels"]))
    told = [line.get("answer", {}).get("chosen", ()) for line in lines]
    truth, answer = (
        np.array([[label in members for label in names] for members in of], dtype=np.bool_)
        for of in ([line["truth"] for line in lines], told)
    )
    return LabelTable(names, truth, answer)
