"""A second reading: a choice whose first answer is unsure, asked once more with its labels in reverse.

Both questions stand behind the same document while its pass is open (`units.Unit.follow`): where the document precedes
the question, the second one costs its own tokens. What the order of the labels moves can be told then, and the mean of
both readings is freer of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pinpoint.api.request import Options
from pinpoint.decide.decision import decide
from pinpoint.pipeline.engine_protocol import Scores
from pinpoint.pipeline.units import Followed, Measured
from pinpoint.prompting.prompt import Prompt, Question
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.taxonomy import Task

AGAIN = "\0again\0"  # before the name of a task; no caller's has a control character
SECOND = 0  # its number among what follows

# An answer with a smaller margin is unsure. Of 857 messages among 18 labels, an eighth were read twice at this margin,
# and every answer that reading all of them twice changed was among these (docs/log.md).
UNSURE_MARGIN = 0.8


@dataclass(frozen=True, slots=True)
class ReadTwice:
    """Scores of two readings, by label in the task's order.

    Attributes:
        log_probs: the mean of both: the logarithm of a geometric mean.
        readings: of the first reading and of the second.
    """

    log_probs: list[float]
    readings: tuple[list[float], list[float]]
    state: tuple[float, ...] = ()

    @property
    def bounded(self) -> frozenset[int]:
        """Both readings compute every label."""
        return frozenset()


@dataclass(frozen=True, slots=True)
class OneReading:
    """Scores of one of them."""

    log_probs: list[float]
    bounded: frozenset[int] = frozenset()
    state: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class SecondReading:
    """What follows for one part of a document.

    Attributes:
        task: as it is asked first.
        reverse: the same with its labels in reverse.
        question: of the reverse.
        prompts: lays it.
        tokens: of the part.
        cuts: of it, as `PromptBuilder.ask` takes them.
        owner: whose the prompts are.
    """

    task: Task
    reverse: Task
    question: Question
    prompts: PromptBuilder
    tokens: Sequence[int]
    cuts: Sequence[int]
    owner: str

    def __call__(self, scores: Scores, followed: Followed) -> Mapping[int, Prompt]:
        """The second question, where the first answer is unsure."""
        if followed or decide(scores.log_probs, self.task, Options()).margin >= UNSURE_MARGIN:
            return {}
        (prompt,) = self.prompts.ask(self.reverse, [self.question], self.tokens, self.owner, self.cuts)
        return {SECOND: prompt}


def again(task: Task, options: Options) -> Task | None:
    """The task of a second reading, where there may be one: what is answered yes or no has no order."""
    if not options.second_reading or task.multi_label or task.tree is not None:
        return None
    return replace(task, name=AGAIN + task.name, labels=task.labels[::-1])


def both(measured: Sequence[Measured]) -> list[Measured]:
    """What was measured, with the mean of both readings where there were two."""
    return [replace(one, scores=_twice(one.scores, one.followed[SECOND])) if one.followed else one for one in measured]


def first_reading(scores: Scores) -> Scores:
    """What the first reading alone measured."""
    return OneReading(scores.readings[0]) if isinstance(scores, ReadTwice) else scores


def apart(parts: Sequence[Sequence[Scores]]) -> list[list[list[Scores]]]:
    """The parts of a document as each reading has them; nothing where no part was read twice.

    A part that was sure was read once, and says in the second reading what it said in the first.
    """
    if not any(isinstance(scores, ReadTwice) for part in parts for scores in part):
        return []
    return [[[_of(one, reading) for one in part] for part in parts] for reading in range(2)]


def _of(scores: Scores, reading: int) -> Scores:
    return OneReading(scores.readings[reading]) if isinstance(scores, ReadTwice) else scores


def _twice(first: Scores, second: Scores) -> ReadTwice:
    one, other = list(first.log_probs), list(second.log_probs)[::-1]
    return ReadTwice([(a + b) / 2 for a, b in zip(one, other, strict=True)], (one, other))
