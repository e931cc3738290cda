"""Pages that vote on what their document is, in place of a sum of their evidence.

    majority   each part of a page has one vote, for its best label; a score is a share of the votes
    evidence   each part's scores, weighted by its tokens and by how sure it is: 1 less the entropy of its scores, as a
               share of the entropy of a guess

A sum lets one page that rules a label out rule it out for all; a vote does not. Of votes that are equal, the sum of
evidence decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pinpoint.api.answer import Answer
from pinpoint.api.request import Options
from pinpoint.decide.decision import concluded
from pinpoint.prompting.taxonomy import Task


def combined(task: Task, options: Options, shown: Sequence[Answer], weights: Sequence[float], summed: Answer) -> Answer:
    """The vote of pages.

    Args:
        task, options: of the request.
        shown: what each part would have answered alone, all labels in it.
        weights: of the parts, by their tokens; they sum to 1.
        summed: the answer by the sum of evidence, all labels in it.
    """
    if options.page_vote == "majority":
        scores = dict.fromkeys(summed.labels, 0.0)
        for answer in shown:
            scores[answer.labels[0]] += 1.0 / len(shown)
    else:
        sure = [weight * _sureness(answer.scores) for weight, answer in zip(weights, shown, strict=True)]
        whole = math.fsum(sure)
        # Where no page says anything, all say as much.
        sure = [one / whole for one in sure] if whole > 0 else list(weights)
        scores = {
            label: math.fsum(
                share * answer.scores[answer.labels.index(label)] for share, answer in zip(sure, shown, strict=True)
            )
            for label in summed.labels
        }
    ranked = sorted(scores, key=lambda label: scores[label], reverse=True)  # of equal ones, in the sum's order
    values = tuple(scores[label] for label in ranked)
    shown_labels = options.top_k or len(ranked)
    raw = None if summed.log_probs is None else dict(zip(summed.labels, summed.log_probs, strict=True))
    voted = replace(
        summed,
        label=ranked[0],
        score=values[0],
        labels=tuple(ranked[:shown_labels]),
        scores=values[:shown_labels],
        margin=values[0] - values[1] if len(values) > 1 else values[0],
        label_mass=math.fsum(weight * answer.label_mass for weight, answer in zip(weights, shown, strict=True)),
        log_probs=None if raw is None else tuple(raw[label] for label in ranked[:shown_labels]),
    )
    return concluded(voted, task, options)


def _sureness(scores: Sequence[float]) -> float:
    """1 for one label alone, 0 for a guess."""
    if len(scores) < 2:
        return 1.0
    entropy = -math.fsum(score * math.log(score) for score in scores if score > 0)
    return max(0.0, 1.0 - entropy / math.log(len(scores)))
