"""From what the engine measured to an answer: prior and mask, softmax, order, threshold.

One label:     s_k + log p_k over the labels that may be answered, then softmax.
Many labels:   log-odds of yes + logit p_k, then a sigmoid for each label on its own. The answer is the set of those
               that are likely, as probable as its members and the others' absence together: Π s_k · Π (1 − s_k).

`label_mass` is taken before the prior and without the masked labels: how much the model itself wanted to answer with
one of the labels that it may answer with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pinpoint.api.answer import Answer, Decision
from pinpoint.api.request import Options
from pinpoint.decide.trust import MULTI_LABEL_THRESHOLD, NO_LABEL_REACHED_THRESHOLD, Taught, prediction_set
from pinpoint.errors import InternalError
from pinpoint.prompting.taxonomy import Label, Task
from pinpoint.prompting.template import NO, YES

BELOW_THRESHOLD = "below_threshold"
NO_LABEL_MASS = "no_label_mass"
NONE_OF_THESE = "none_of_these"
ORDER_SENSITIVE = "order_sensitive"
LOW_LABEL_MASS = "low_label_mass"

# Below it, nine tenths of what the model would say are none of the labels, and which of them is least unlikely tells
# little. Models that can do the task stay above it on every document measured, one that cannot below (docs/quality.md).
LEAST_LABEL_MASS = 0.1

YES_OR_NO = Task("yes_no", (Label(YES, YES), Label(NO, NO)))

# A sum of float32 log-probabilities may end a little above zero; more than this is a mistake in the engine.
MAX_ROUNDING = 0.01


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The labels that may be answered, best first: what the engine measured of each, and its share or chance."""

    ids: tuple[str, ...]
    raw: tuple[float, ...]
    scores: tuple[float, ...]

    @property
    def shares(self) -> list[tuple[str, float]]:
        """Labels with their scores."""
        return list(zip(self.ids, self.scores, strict=True))


def decide(
    log_probs: Sequence[float], task: Task, options: Options, taught: Taught | None = None, state: Sequence[float] = ()
) -> Answer:
    """Return the answer to a task with one label; `log_probs` has one s for each of its labels, in its order.

    With a task file in force, which may look at the `state` as well, scores are the calibrated ones; `label_mass` and
    `log_probs` stay what was measured.
    With every s at minus infinity nothing was measured: the scores are those of the prior, and the decision is to
    review.
    Raises InternalError for NaN, a log-probability above zero, or another number of values than of labels.
    """
    offered = _offered(task, log_probs)
    raw = [log_probs[k] for k in offered]
    likeliest = max(raw)
    # A sum with NaN in it is NaN, wherever it stands; the largest may hide it.
    if not likeliest <= MAX_ROUNDING or math.isnan(sum(raw)):
        raise InternalError("invalid_measurement", "a log-probability is NaN or above zero")
    # Relative to the likeliest first: a prior added to a very negative s would be lost in its rounding.
    relative = [s - likeliest if likeliest > -math.inf else 0.0 for s in raw]
    if taught is not None and likeliest > -math.inf:
        calibrated = taught.calibration.apply(log_probs, state)
        relative = [calibrated[k] for k in offered]
    strengths = relative
    if task.prior:
        priors = _priors(task, offered, neutral=1.0)
        strengths = [s + math.log(p) for s, p in zip(relative, priors, strict=True)]
    label_mass = min(1.0, math.fsum(map(math.exp, raw)))
    ranked = _rank(task, offered, raw, strengths, _softmax(strengths))
    answer = _answer(ranked, options, label_mass)
    if options.alpha is not None:
        answer = replace(answer, prediction_set=prediction_set(ranked.shares, options.alpha, taught))
    if likeliest == -math.inf:
        answer = replace(answer, reasons=(NO_LABEL_MASS,))
    answer = concluded(answer, task, options)
    if task.kind != "score":
        return answer
    scores = dict(ranked.shares)
    distribution = tuple(scores[label.id] for label in task.labels)
    return replace(
        answer, distribution=distribution, expected=math.fsum(level * p for level, p in enumerate(distribution))
    )


def decide_yes_no(
    yes: float, no: float, options: Options, taught: Taught | None = None, state: Sequence[float] = ()
) -> Answer:
    """Return the answer to a task of yes or no, from the log-probabilities of both.

    Raises InternalError as `decide` does.
    """
    answer = decide([yes, no], YES_OR_NO, replace(options, top_k=None), taught, state)
    shown = options.top_k or len(answer.labels)
    return replace(
        answer,
        labels=answer.labels[:shown],
        scores=answer.scores[:shown],
        log_probs=None if answer.log_probs is None else answer.log_probs[:shown],
        probability=answer.scores[answer.labels.index(YES)],
    )


def decide_multi(
    log_odds: Sequence[float], masses: Sequence[float], task: Task, options: Options, taught: Taught | None = None,
    states: Sequence[Sequence[float]] = (),
) -> Answer:  # fmt: skip
    """Return the answer to a task with any number of labels; `label` is the likeliest, if it reaches the threshold.

    `log_odds` has yes against no for each label of the task, `masses` how much the model wanted to say either. Labels
    that reach the threshold are `chosen`. With a task file in force, which may look at the `states` behind the labels'
    questions as well, scores are the calibrated ones, and the answer says how probable it is that the chosen labels are
    the right ones, all of them and no other: the product of their probabilities and of the others' absence, to a power
    that was taught, since mistakes about one document come together.

    Raises InternalError for NaN, or another number of values than of labels.
    """
    offered = _offered(task, log_odds, masses)
    raw = [log_odds[k] for k in offered]
    label_mass = math.fsum(masses[k] for k in offered) / len(offered)
    if any(math.isnan(value) for value in (*raw, label_mass)):
        raise InternalError("invalid_measurement", "log-odds or a mass is NaN")
    priors = _priors(task, offered, neutral=0.5)
    calibrated = log_odds if taught is None else taught.calibration.apply_odds(log_odds, states)
    strengths = [calibrated[k] + (math.log(p) - math.log1p(-p)) for k, p in zip(offered, priors, strict=True)]
    ranked = _rank(task, offered, raw, strengths, [_sigmoid(strength) for strength in strengths])
    threshold = MULTI_LABEL_THRESHOLD if options.threshold is None else options.threshold
    members = tuple(label for label, score in ranked.shares if score >= threshold)
    answer = replace(_answer(ranked, options, label_mass), chosen=members)
    if taught is not None:
        # Of the likelier of yes and no, for each label; its threshold is the one that was taught (`trust.standing`).
        sure = math.fsum(-math.log1p(math.exp(-abs(strength))) for strength in strengths)
        answer = replace(answer, set_probability=math.exp(sure * taught.file.fitted.together))
        if options.alpha is not None:
            answer = replace(answer, prediction_set=prediction_set(ranked.shares, options.alpha, taught))
    reasons = [LOW_LABEL_MASS] if label_mass < LEAST_LABEL_MASS else []
    if ranked.scores[0] < threshold:
        return _decided(answer, "abstain", [NO_LABEL_REACHED_THRESHOLD, *reasons])
    return _decided(answer, "review" if reasons else "accept", reasons)


def concluded(answer: Answer, task: Task, options: Options) -> Answer:
    """The answer to a task with one label, with the decision that its figures lead to; its best label is the first."""
    reasons = []
    if answer.label_mass < LEAST_LABEL_MASS:
        reasons.append(NO_LABEL_MASS if NO_LABEL_MASS in answer.reasons else LOW_LABEL_MASS)
    if answer.order_spread is not None and answer.margin < answer.order_spread:
        reasons.append(ORDER_SENSITIVE)
    if options.threshold is not None and answer.score < options.threshold:
        reasons.append(BELOW_THRESHOLD)
    if task.other is not None and answer.labels[0] == task.other:
        return _decided(answer, "abstain", [NONE_OF_THESE, *reasons])
    return _decided(answer, "review" if reasons else "accept", reasons)


def read_twice(answer: Answer, first: Answer, again: Answer, task: Task, options: Options) -> Answer:
    """The answer of two readings, with what the order of the labels moves.

    `order_spread` is the total variation distance of the two readings' scores: 0 where the order moves nothing, 1 where
    it moves everything. Where the two best labels are closer than that, which of them is best is a matter of order.

    Args:
        answer: of the mean of both readings.
        first, again: of each reading by itself, all labels in them.
        task, options: of the request.
    """
    scores = dict(zip(again.labels, again.scores, strict=True))
    spread = math.fsum(abs(score - scores[label]) for label, score in zip(first.labels, first.scores, strict=True)) / 2
    return concluded(replace(answer, order_spread=min(1.0, spread)), task, options)


def _decided(answer: Answer, decision: Decision, reasons: Sequence[str]) -> Answer:
    label = None if decision == "abstain" else answer.labels[0]
    found = (label, decision, tuple(reasons))
    if found == (answer.label, answer.decision, answer.reasons):
        return answer
    return replace(answer, label=label, decision=decision, reasons=tuple(reasons))


def _offered(task: Task, *measured: Sequence[float]) -> list[int]:
    """Return the indices of the labels that may be answered, after a check that every label was measured."""
    if any(len(values) != len(task.labels) for values in measured):
        raise InternalError("invalid_measurement", f"a task of {len(task.labels)} labels needs as many values")
    offered = [k for k, label in enumerate(task.labels) if not task.mask or label.id not in task.mask]
    if not offered:
        raise InternalError("invalid_task", "the task has no label that may be answered")
    return offered


def _priors(task: Task, offered: Sequence[int], neutral: float) -> list[float]:
    prior = task.prior or {}
    return [prior.get(task.labels[k].id, neutral) for k in offered]


def _softmax(strengths: Sequence[float]) -> list[float]:
    most = max(strengths)
    shares = [math.exp(strength - most) for strength in strengths]
    total = math.fsum(shares)
    return [share / total for share in shares]


def _sigmoid(x: float) -> float:
    """Both branches keep the exponent at or below zero, where exp cannot overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _rank(
    task: Task, offered: Sequence[int], raw: Sequence[float], strengths: Sequence[float], scores: Sequence[float]
) -> _Ranked:
    """Best first. Scores that rounded to the same number are told apart by strength; ties keep the caller's order."""
    order = sorted(range(len(offered)), key=strengths.__getitem__, reverse=True)
    order.sort(key=scores.__getitem__, reverse=True)  # stable, and nearly in order already
    labels = task.labels
    return _Ranked(
        tuple([labels[offered[place]].id for place in order]),
        tuple([raw[place] for place in order]),
        tuple([scores[place] for place in order]),
    )


def _answer(ranked: _Ranked, options: Options, label_mass: float) -> Answer:
    best, *second = ranked.scores[:2]
    shown = slice(options.top_k)  # after scores and margin: a cut list does not change them
    return Answer(
        label=ranked.ids[0],
        score=best,
        labels=ranked.ids[shown],
        scores=ranked.scores[shown],
        margin=best - (second[0] if second else 0.0),
        label_mass=label_mass,
        log_probs=ranked.raw[shown] if options.return_raw else None,
    )
