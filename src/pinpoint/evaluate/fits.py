"""What can be learned from a few labelled documents: fits, from the one that needs least to the one that needs most.

    temperature  T                  from 10 examples
    offsets      T, b               from 20
    head         T, b, W            from 50, with 5 of every label

Each minimises the negative log-likelihood of the right labels plus a penalty that keeps it near "change nothing"; as
examples grow, the penalty fades.

    p_i = softmax(s_i/T + log prior + b + W f_i)
    −Σ_i log p_i[right_i] − 1/n Σ_i log p_i[rival_i] + (log T)²/2σ² + |b|²/2τ² + |W|²/2ω²

The second sum is one imaginary document more, whose right label is the best of the others: by Laplace's rule, since ten
right answers do not show that wrong ones never come. Without it, all scores of a model that has made no mistake yet
would be sharpened, and the first mistake would cost more than all was worth. The test of a gain has it as well.

ω is such that a head drawn from it would move a score by some nats from document to document; of three sizes of it
cross-validation chooses, or where that would take long one part of it, and the test of the head pays for the choice.
Vector and matrix scaling with such penalties: arXiv 2511.03685.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pinpoint.decide.calibration import FLOOR, MAX_HEAD_LABELS
from pinpoint.evaluate.examples import Examples, fold_rounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_FOR_TEMPERATURE = 10
LEAST_FOR_OFFSETS = 20
LEAST_FOR_HEAD, LEAST_OF_A_LABEL = 50, 5

TEMPERATURES = (0.05, 20.0)
TEMPERATURE_SPREAD = 0.5  # σ: without examples, T is between 0.6 and 1.6 in two of three cases
OFFSET_SPREAD = 1.0  # τ, nats
HEAD_SPREADS = (2.0, 6.0, 18.0)  # nats that a head would move a score by, from document to document
# Examples times labels², which a head's time goes with: up to the first every size of ω is cross-validated; no head is
# fitted on more than the second.
EASY_WORK, HEAD_WORK = 2_000_000, 50_000_000

LEAST_GAIN = 0.005  # nats a document: a smaller one is not worth a file
SIGNIFICANCE = 0.05
_ITERATIONS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """A fit of K labels: T, b [K], W [K, K] or None."""

    temperature: float
    offsets: NDArray[np.float64]
    head: NDArray[np.float64] | None = None

    def log_probs(self, examples: Examples) -> NDArray[np.float64]:
        """Calibrated log-probabilities [n, K], prior included."""
        z = examples.scores / self.temperature + (self.offsets + examples.log_prior)
        if self.head is not None:
            z += _features(examples) @ self.head.T
        return log_softmax(z)


Fitter = Callable[[Examples], Parameters]


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """One fit that was tried; the numbers are None where there were too few examples.

    Attributes:
        name: `temperature`, `offsets` or `head`.
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

    parameters: Parameters
    tried: tuple[Tried, ...]
    log_probs: NDArray[np.float64]


def log_softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows [n, K] whose exponentials sum to 1."""
    z = z - z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


def nll(log_probs: NDArray[np.float64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """[n] nats of the right label."""
    return np.asarray(-log_probs[np.arange(len(right)), right])


def rivals(examples: Examples) -> NDArray[np.int64]:
    """[n] the likeliest label beside the right one, as measured."""
    others = examples.scores + examples.log_prior
    others[np.arange(len(examples)), examples.right] = -np.inf
    return np.asarray(others.argmax(axis=1))


def unchanged(labels: int) -> Parameters:
    """What the model measured, as it is."""
    return Parameters(1.0, np.zeros(labels))


def fit_temperature(examples: Examples, base: NDArray[np.float64] | None = None) -> Parameters:
    """T alone; `base` [K] are offsets that are given."""
    return _fit(examples, base, offsets=False, head=None)


def fit_offsets(examples: Examples, base: NDArray[np.float64] | None = None) -> Parameters:
    """T and an offset for each label, which is shrunk to `base`."""
    return _fit(examples, base, offsets=True, head=None)


def fit_head(
    examples: Examples, base: NDArray[np.float64] | None = None, spread: float = HEAD_SPREADS[1]
) -> Parameters:
    """T, offsets and a head; of very many examples a random part is enough."""
    features = _features(examples)
    length = float(np.sqrt(((features - features.mean(axis=0)) ** 2).sum(axis=1).mean()))
    most = HEAD_WORK // examples.labels**2
    if len(examples) > most:
        examples = examples.take(np.random.default_rng(len(examples)).permutation(len(examples))[:most])
    return _fit(examples, base, offsets=True, head=spread / max(length, 1.0))


def choose(examples: Examples, base: NDArray[np.float64] | None = None, seed: int = 0) -> Chosen:
    """Try all fits, each against what was kept before it, and keep what cross-validation shows to gain.

    Args:
        examples: at least `LEAST_FOR_TEMPERATURE`.
        base: [K] offsets that are given, of a prior without labels.
        seed: of the folds.
    """
    given = np.zeros(examples.labels) if base is None else base
    folds = list(fold_rounds(examples, seed))
    kept: Fitter = lambda _: Parameters(1.0, given)  # noqa: E731 - the fit that looks at nothing
    log_probs = kept(examples).log_probs(examples)
    tried = list[Tried]()
    for name, fitters, refusal in _candidates(examples, given):
        if refusal is not None:
            tried.append(Tried(name, False, refusal))
            continue
        tries = fitters
        if len(fitters) > 1 and len(examples) * examples.labels**2 > EASY_WORK:
            tries = [_best_on_one_part(examples, fitters, folds[0])]
        outcomes = [(cross_validated(examples, each, folds), each) for each in tries]
        after, fitter = min(outcomes, key=lambda outcome: float(nll(outcome[0], examples.right).mean()))
        one = compare(name, examples, log_probs, after, choices=len(fitters))
        tried.append(one)
        if one.kept:
            kept, log_probs = fitter, after
    return Chosen(kept(examples), tuple(tried), log_softmax(log_probs))


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


def _best_on_one_part(examples: Examples, fitters: Sequence[Fitter], fold: NDArray[np.int64]) -> Fitter:
    """Of fits that take long the one that is best on the first part alone."""
    rest, part = examples.take(np.flatnonzero(fold != 0)), examples.take(np.flatnonzero(fold == 0))
    return min(fitters, key=lambda fitter: float(nll(fitter(rest).log_probs(part), part.right).mean()))


def compare(
    name: str, examples: Examples, before: NDArray[np.float64], after: NDArray[np.float64], choices: int = 1
) -> Tried:
    """Whether a fit gains, by the paired one-sided t test on documents, near-duplicates as one, and on one imaginary
    document more, whose gain is the mean over documents of what it would be if their rival were right.

    `choices` of fits among which the best was taken multiply the p-value (Bonferroni).
    """
    from scipy.stats import ttest_1samp

    old, new = nll(before, examples.right), nll(after, examples.right)
    _, group = np.unique(examples.groups, return_inverse=True)
    rival = rivals(examples)
    imaginary = float((nll(before, rival) - nll(after, rival)).mean())
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


def _candidates(examples: Examples, base: NDArray[np.float64]) -> list[tuple[str, list[Fitter], str | None]]:
    """Every fit with its choices, or with the reason why there are too few examples for it."""
    count, labels, least = len(examples), examples.labels, int(examples.by_label.min())
    lacking = int((examples.by_label < LEAST_OF_A_LABEL).sum())
    head: str | None = None
    if labels > MAX_HEAD_LABELS:
        head = f"takes at most {MAX_HEAD_LABELS} labels, there are {labels}"
    elif count < LEAST_FOR_HEAD:
        head = f"needs {LEAST_FOR_HEAD} examples, there are {count}"
    elif least < LEAST_OF_A_LABEL:
        head = f"needs {LEAST_OF_A_LABEL} examples of every label; {lacking} of {labels} have fewer"
    offsets = None if count >= LEAST_FOR_OFFSETS else f"needs {LEAST_FOR_OFFSETS} examples, there are {count}"
    heads: list[Fitter] = [lambda some, spread=spread: fit_head(some, base, spread) for spread in HEAD_SPREADS]  # type: ignore[misc]
    return [
        ("temperature", [lambda some: fit_temperature(some, base)], None),
        ("offsets", [lambda some: fit_offsets(some, base)], offsets),
        ("head", heads, head),
    ]


def _features(examples: Examples) -> NDArray[np.float64]:
    return np.maximum(examples.scores, -FLOOR)


def _fit(examples: Examples, base: NDArray[np.float64] | None, *, offsets: bool, head: float | None) -> Parameters:
    """Minimise by L-BFGS over log T, then b, then W; `head` is ω."""
    from scipy.optimize import minimize

    count, labels = examples.scores.shape
    given = np.zeros(labels) if base is None else base
    scores, features = examples.scores, _features(examples)
    fixed = given + examples.log_prior
    rows, rival = np.arange(count), rivals(examples)
    b_end = 1 + labels * offsets

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        inverse = np.exp(-x[0])
        b, w = x[1:b_end], x[b_end:].reshape(-1, labels)
        z = scores * inverse + fixed
        if offsets:
            z += b
        if head is not None:
            z += features @ w.T
        log_probs = log_softmax(z)
        slope = (1 + 1 / count) * np.exp(log_probs)
        slope[rows, examples.right] -= 1
        slope[rows, rival] -= 1 / count
        value = -log_probs[rows, examples.right].sum() - log_probs[rows, rival].mean()
        value += x[0] ** 2 / (2 * TEMPERATURE_SPREAD**2)
        gradient = np.empty_like(x)
        gradient[0] = -inverse * (slope * scores).sum() + x[0] / TEMPERATURE_SPREAD**2
        if offsets:
            value += (b**2).sum() / (2 * OFFSET_SPREAD**2)
            gradient[1:b_end] = slope.sum(axis=0) + b / OFFSET_SPREAD**2
        if head is not None:
            value += (w**2).sum() / (2 * head**2)
            gradient[b_end:] = (slope.T @ features + w / head**2).ravel()
        return float(value) / count, gradient / count

    size = b_end + (0 if head is None else labels * labels)
    low, high = np.log(TEMPERATURES)
    bounds = [(low, high), *[(None, None)] * (size - 1)]
    x = minimize(loss, np.zeros(size), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _ITERATIONS}).x
    return Parameters(
        float(np.exp(x[0])),
        given + x[1:b_end] if offsets else given,
        None if head is None else x[b_end:].reshape(labels, labels),
    )
