"""Which fits are kept: each is tried, by cross-validation, against what was kept before it, and has to gain by a margin
that is not chance.

Of three widths of a head the first round of cross-validation chooses, or where that would take long one part of it; the
test of the head pays for the choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pinpoint.decide.calibration import MAX_HEAD_LABELS
from pinpoint.evaluate import fits
from pinpoint.evaluate.examples import Examples, fold_rounds

LEAST_FOR_OFFSETS = 20
LEAST_FOR_HEAD, LEAST_OF_A_LABEL = 50, 5
# Up to so much (`fits.work`) every width is cross-validated.
EASY_WORK = 1_000_000

LEAST_GAIN = 0.005  # nats a document: a smaller one is not worth a file
SIGNIFICANCE = 0.05

Fitter = Callable[[Examples], fits.Parameters]


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """One fit that was tried; the numbers are None where there were too few examples.

    Attributes:
        name: `temperature`, `offsets`, `head` or `state`; of sets of labels also `together`.
        kept: whether it is used.
        reason: why, or why not, in words.
        nll_before, nll_after: cross-validated, nats a document, of what was kept before it and of it.
        p_value: of the paired one-sided test that it does not gain.
    """

    name: str
    kept: bool
    reason: str
    nll_before: float | None = None
    nll_after: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What came of all fits.

    Attributes:
        parameters: on all examples.
        tried: in their order.
        log_probs: [n, K] cross-validated: of each document by fits that had not seen it or its near-duplicates.
    """

    parameters: fits.Parameters
    tried: tuple[Tried, ...]
    log_probs: NDArray[np.float64]


def choose(examples: Examples, base: NDArray[np.float64] | None = None, seed: int = 0) -> Chosen:
    """Try all fits, each against what was kept before it, and keep what cross-validation shows to gain.

    Args:
        examples: at least `LEAST_FOR_TEMPERATURE`.
        base: [K] offsets that are given, of a prior without labels.
        seed: of the folds.
    """
    given = np.zeros(examples.labels) if base is None else base
    folds = list(fold_rounds(examples, seed))
    kept: Fitter = lambda _: fits.Parameters(1.0, given)  # noqa: E731 - the fit that looks at nothing
    log_probs = kept(examples).log_probs(examples)
    tried = list[Tried]()
    for one in _candidates(examples, given):
        if one.refusal is not None:
            tried.append(Tried(one.name, False, one.refusal))
            continue
        fitter = _best(examples, one, folds[0])
        after = cross_validated(examples, fitter, folds)
        tried.append(compare(one.name, examples, log_probs, after, choices=len(one.fitters)))
        if tried[-1].kept:
            kept, log_probs = fitter, after
    return Chosen(kept(examples), tuple(tried), fits.log_softmax(log_probs))


def cross_validated(examples: Examples, fitter: Fitter, rounds: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """[n, K] log-probabilities by fits that had not seen the document or its near-duplicates.

    They are means over the rounds, so that a negative log-likelihood of them is the mean of the rounds', and no better.
    """
    total = np.zeros_like(examples.scores)
    for fold in rounds:
        for part in np.unique(fold):
            test = np.flatnonzero(fold == part)
            fitted = fitter(examples.take(np.flatnonzero(fold != part)))
            total[test] += fitted.log_probs(examples.take(test))
    return total / len(rounds)


def _best(examples: Examples, one: _Candidate, fold: NDArray[np.int64]) -> Fitter:
    """Of the choices the one that is best in one round, and of those that take long on its first part."""
    if len(one.fitters) == 1:
        return one.fitters[0]
    if fits.work(examples, one.columns) <= EASY_WORK:
        predicted = [cross_validated(examples, fitter, [fold]) for fitter in one.fitters]
        losses = [float(fits.nll(each, examples.right).mean()) for each in predicted]
    else:
        rest, part = examples.take(np.flatnonzero(fold != 0)), examples.take(np.flatnonzero(fold == 0))
        losses = [float(fits.nll(fitter(rest).log_probs(part), part.right).mean()) for fitter in one.fitters]
    return one.fitters[int(np.argmin(losses))]


def compare(
    name: str, examples: Examples, before: NDArray[np.float64], after: NDArray[np.float64], choices: int = 1
) -> Tried:
    """Whether a fit gains, by the paired one-sided t test on documents, near-duplicates as one, and on one imaginary
    document more, whose gain is the mean over documents of what it would be if their rival were right.

    `choices` of fits among which the best was taken multiply the p-value (Bonferroni).
    """
    rival = fits.rivals(examples)
    old, new = ((fits.nll(one, examples.right), fits.nll(one, rival)) for one in (before, after))
    return compared_losses(name, examples.groups, old, new, choices)


Losses = tuple[NDArray[np.float64], NDArray[np.float64]]  # [n] each: nats of the right answer, and of its rival


def compared_losses(name: str, groups: NDArray[np.int64], before: Losses, after: Losses, choices: int = 1) -> Tried:
    """`compare`, of losses."""
    from scipy.stats import ttest_1samp

    (old, old_rival), (new, new_rival) = before, after
    _, group = np.unique(groups, return_inverse=True)
    imaginary = float((old_rival - new_rival).mean())
    gains = np.append(np.bincount(group, weights=old - new) / np.bincount(group), imaginary)
    gain = float(old.mean() - new.mean())
    if np.ptp(gains) < 1e-12:
        p = 0.0 if gain > 0 else 1.0
    else:
        p = min(1.0, float(ttest_1samp(gains, 0.0, alternative="greater").pvalue) * choices)
    if gain < LEAST_GAIN:
        reason = f"gains {gain:.4f} nats a document, less than {LEAST_GAIN}"
    elif gains.mean() < LEAST_GAIN:
        reason = f"gains {gain:.4f} nats a document, which one more wrong answer would undo"
    elif p > SIGNIFICANCE:
        reason = f"gains {gain:.4f} nats a document, which may be chance (p = {p:.2f})"
    else:
        reason = f"gains {gain:.4f} nats a document (p = {p:.2g})"
    kept = min(gain, float(gains.mean())) >= LEAST_GAIN and p <= SIGNIFICANCE
    return Tried(name, kept, reason, float(old.mean()), float(new.mean()), p)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A fit with its choices, how many columns its head has, and why there are too few examples for it, if so."""

    name: str
    fitters: list[Fitter]
    refusal: str | None = None
    columns: int = 0


def _candidates(examples: Examples, base: NDArray[np.float64]) -> list[_Candidate]:
    count, labels = len(examples), examples.labels
    lacking = int((examples.by_label < LEAST_OF_A_LABEL).sum())
    state: str | None = None
    if labels > MAX_HEAD_LABELS:
        state = f"takes at most {MAX_HEAD_LABELS} labels, there are {labels}"
    elif count < LEAST_FOR_HEAD:
        state = f"needs {LEAST_FOR_HEAD} examples, there are {count}"
    head = state
    if head is None and lacking:
        head = f"needs {LEAST_OF_A_LABEL} examples of every label; {lacking} of {labels} have fewer"
    offsets = None if count >= LEAST_FOR_OFFSETS else f"needs {LEAST_FOR_OFFSETS} examples, there are {count}"
    found = [
        _Candidate("temperature", [lambda some: fits.fit_temperature(some, base)]),
        _Candidate("offsets", [lambda some: fits.fit_offsets(some, base)], offsets),
    ]
    if examples.states is not None:
        wide = [partial(fits.fit_state, base=base, spread=one) for one in fits.HEAD_SPREADS]
        found.append(_Candidate("state", [*wide], state, examples.states.shape[1]))
    heads = [partial(fits.fit_head, base=base, spread=one) for one in fits.HEAD_SPREADS]
    found.append(_Candidate("head", [*heads], head, labels))
    return found
