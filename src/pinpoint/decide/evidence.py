"""How sure one answer is, as log-odds, and what of that goes where a part of the document is left out."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TypeVar

from pinpoint.decide.tree import Asked, TreeDecision
from pinpoint.prompting.taxonomy import Task

K = TypeVar("K", bound=Hashable)

# Of log-odds either way: a label that the model rules out, or that alone is left, has no finite ones, and JSON no
# infinity. e^100 to one is beyond what float32 tells apart.
MOST_LOG_ODDS = 100.0


def log_odds(log_probs: Sequence[float], task: Task, label: str) -> float:
    """Log-odds of one label against the others that may be answered, by what was measured, prior and mask.

    Args:
        log_probs: of the task's labels in their order; of a `yes_no`, of yes and no.
        task: what was asked.
        label: id of the label; "yes" or "no" of a `yes_no`.
    """
    if task.kind == "yes_no":
        yes, no = log_probs
        strengths = {"yes": yes, "no": no}
    else:
        prior = task.prior or {}
        strengths = {
            one.id: s + math.log(prior.get(one.id, 1.0))
            for one, s in zip(task.labels, log_probs, strict=True)
            if one.id not in task.mask
        }
    return of_strengths(strengths, label)


def log_odds_in_tree(decision: TreeDecision, asked: Asked, label: str) -> float:
    """The same for a label of a tree, all of whose questions were asked; priors and masks act at each of them."""
    scores, _ = decision.scores(asked)
    strengths = {leaf: math.log(scores[leaf]) if scores[leaf] > 0 else -math.inf for leaf in decision.answerable}
    return of_strengths(strengths, decision.node(label))


def of_strengths(strengths: dict[K, float], label: K) -> float:
    """Log-odds of one of several by the logarithms of what they weigh, in any unit."""
    own = strengths.pop(label)
    most = max(strengths.values(), default=-math.inf)
    if most == -math.inf or own == -math.inf:
        # Where neither was measured, nothing speaks for either.
        return 0.0 if most == own else math.copysign(MOST_LOG_ODDS, own - most)
    others = most + math.log(math.fsum(math.exp(s - most) for s in strengths.values()))
    return max(-MOST_LOG_ODDS, min(MOST_LOG_ODDS, own - others))
