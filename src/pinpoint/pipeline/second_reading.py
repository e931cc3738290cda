"""A second reading: a choice asked once more with its labels in reverse, so that what their order moves can be told.

Both questions stand behind the same document in the same passes, where they share it: the second costs its own tokens.
Asking again afterwards, only where the first answer was unsure, would compute the document a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pinpoint.api.request import Options
from pinpoint.pipeline.passes import Measured, Scores
from pinpoint.prompting.taxonomy import Task

AGAIN = "\0again\0"  # before the name of a task; no caller's has a control character


@dataclass(frozen=True, slots=True)
class ReadTwice:
    """Scores of two readings, by label in the task's order.

    Attributes:
        log_probs: the mean of both: the logarithm of a geometric mean.
        readings: of the first reading and of the second.
    """

    log_probs: list[float]
    readings: tuple[list[float], list[float]]

    @property
    def bounded(self) -> frozenset[int]:
        """Both readings compute every label."""
        return frozenset()


@dataclass(frozen=True, slots=True)
class OneReading:
    """Scores of one of them."""

    log_probs: list[float]
    bounded: frozenset[int] = frozenset()


def again(task: Task, options: Options) -> Task | None:
    """The question of the second reading, where there is one: what is answered yes or no has no order."""
    if not options.second_reading or task.multi_label or task.tree is not None:
        return None
    return replace(task, name=AGAIN + task.name, labels=task.labels[::-1])


def both(first: Sequence[Measured], second: Sequence[Measured]) -> list[Measured]:
    """What both readings measured, part by part; `second` has the labels in reverse."""
    return [
        replace(one, scores=_twice(list(one.scores.log_probs), list(other.scores.log_probs)[::-1]))
        for one, other in zip(first, second, strict=True)
    ]


def apart(parts: Sequence[Sequence[Scores]]) -> list[list[list[Scores]]]:
    """The parts of a document as each reading has them; nothing where there was one reading alone."""
    asks = [scores for part in parts for scores in part]
    if not all(isinstance(scores, ReadTwice) for scores in asks):
        return []
    return [
        [[OneReading(one.readings[reading]) for one in part if isinstance(one, ReadTwice)] for part in parts]
        for reading in range(2)
    ]


def _twice(first: list[float], second: list[float]) -> ReadTwice:
    return ReadTwice([(a + b) / 2 for a, b in zip(first, second, strict=True)], (first, second))
