"""From the scores of a document's units to its answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pinpoint.api.answer import Answer, PageAnswer
from pinpoint.api.request import Options
from pinpoint.decide.decision import decide, decide_multi, decide_yes_no, read_twice
from pinpoint.decide.tree import decide_tree, in_tree
from pinpoint.decide.trust import NO_TASK_FILE, Standing, Taught, trusted
from pinpoint.pipeline.engine_protocol import Scores
from pinpoint.pipeline.second_reading import apart
from pinpoint.pipeline.trees import TreeScores, weighted_tree
from pinpoint.pipeline.units import Measured
from pinpoint.pipeline.votes import combined
from pinpoint.prompting.long_document import Fitted
from pinpoint.prompting.taxonomy import Task


def questions(task: Task) -> int:
    """How many units a task asks about each part of a document."""
    return len(task.labels) if task.multi_label else 1


def document_answer(
    task: Task,
    options: Options,
    fitted: Fitted,
    measured: Sequence[Measured],
    found: Standing = NO_TASK_FILE,
) -> Answer:
    """The answer to a task about a document.

    Args:
        task: what was asked.
        options: of the request.
        fitted: the parts of the document that were shown.
        measured: of its units, by part and question.
        found: the task file that counts for it, or why none does.
    """
    taught = found if isinstance(found, Taught) else None
    each = questions(task)
    parts = [[one.scores for one in measured[start : start + each]] for start in range(0, len(measured), each)]
    weights = [len(tokens) / fitted.tokens for tokens in fitted.parts]
    answer = _of_parts(task, options, parts, weights, taught)
    if readings := apart(parts):
        whole = replace(options, top_k=None)
        first, second = (_of_parts(task, whole, reading, weights) for reading in readings)
        answer = read_twice(answer, first, second, task, options)
    if options.states:
        states = [one.state for one in weighted(parts, weights)]  # of a set of labels one for each
        answer = replace(answer, state=tuple(number for state in states for number in state))
    if options.explain:
        answer = replace(answer, explanation=measured[0].rationale)
    if options.long_document == "pages":
        shown = [task_answer(task, options, part) for part in parts]
        answer = replace(
            answer,
            pages=tuple(
                PageAnswer(page, len(tokens), one.label, one.score)
                for page, tokens, one in zip(fitted.pages, fitted.parts, shown, strict=True)
            ),
        )
    return trusted(answer, options, found)


def _of_parts(
    task: Task,
    options: Options,
    parts: Sequence[Sequence[Scores]],
    weights: Sequence[float],
    taught: Taught | None = None,
) -> Answer:
    """The vote of the parts, or their sum; of what is no choice among labels, the evidence is summed in any case."""
    votes = options.page_vote != "sum" and len(parts) > 1
    tree = parts[0][0]
    if not votes or task.multi_label or task.kind != "choice":
        return task_answer(task, options, weighted(parts, weights), taught)
    whole = replace(options, top_k=None, threshold=None)
    shown = [task_answer(task, whole, part) for part in parts]
    summed = task_answer(task, whole, weighted(parts, weights))
    if isinstance(tree, TreeScores):
        voted = combined(task, replace(options, top_k=None), shown, weights, summed)
        return in_tree(tree.decision, voted, options, options.back_off)
    return combined(task, options, shown, weights, summed)


def task_answer(task: Task, options: Options, scores: Sequence[Scores], taught: Taught | None = None) -> Answer:
    """The answer to a task from the scores of its questions, by the task file in force, where there is one."""
    if task.kind == "yes_no":
        yes, no = scores[0].log_probs
        return decide_yes_no(yes, no, options, taught, scores[0].state)
    if task.multi_label:
        # The asks of a multi-label task are answered yes or no, in that order.
        pairs = [one.log_probs for one in scores]
        return decide_multi(
            [yes - no for yes, no in pairs], [math.exp(yes) + math.exp(no) for yes, no in pairs], task, options, taught,
            [one.state for one in scores],
        )  # fmt: skip
    tree = scores[0]
    if isinstance(tree, TreeScores):
        return decide_tree(tree.decision, tree.asked, options, taught)
    answer = decide(tree.log_probs, task, options, taught, tree.state)
    return replace(answer, bounded_labels=len(tree.bounded)) if tree.bounded else answer


@dataclass(frozen=True, slots=True)
class _Summed:
    log_probs: list[float]
    bounded: frozenset[int]
    state: tuple[float, ...]


def weighted(parts: Sequence[Sequence[Scores]], weights: Sequence[float]) -> list[Scores]:
    """The parts' log-probabilities and states, weighted by their tokens and summed; a single part stays as it is."""
    if len(parts) == 1:
        return list(parts[0])
    trees = [scores for asks in parts for scores in asks if isinstance(scores, TreeScores)]
    if trees:
        return [weighted_tree(trees, weights)]
    return [
        _Summed(
            _mean([scores.log_probs for scores in asks], weights),
            frozenset().union(*(scores.bounded for scores in asks)),
            tuple(_mean([scores.state for scores in asks], weights)),
        )
        for asks in zip(*parts, strict=True)
    ]


def _mean(rows: Sequence[Sequence[float]], weights: Sequence[float]) -> list[float]:
    return [
        math.fsum(w * value for w, value in zip(weights, values, strict=True)) for values in zip(*rows, strict=True)
    ]
