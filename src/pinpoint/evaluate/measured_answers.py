"""What is taught on, of an answer: one number a label."""

from __future__ import annotations

import math

from pinpoint.api.answer import Answer
from pinpoint.decide.tree import log_score
from pinpoint.errors import InternalError
from pinpoint.prompting.taxonomy import Task
from pinpoint.prompting.template import answer_ids


def measured_of(task: Task, answer: Answer) -> list[float]:
    """Log-probabilities in the order of the task's labels; of a tree logarithms of scores, of a set log-odds of yes.

    Labels that are not in the answer have minus infinity: a tree's masked ones. Raises InternalError for an answer
    that was not asked for with `return_raw`.
    """
    if answer.log_probs is None:
        raise InternalError("invalid_measurement", "no log-probabilities were asked for")
    values = map(log_score, answer.scores) if task.tree is not None else answer.log_probs
    found = dict(zip(answer.labels, values, strict=True))
    return [found.get(one, -math.inf) for one in answer_ids(task)]
