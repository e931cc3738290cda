"""Certificates: the numbers of the field, promises kept over many draws, and a plain way that does not keep them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pinpoint.decide.task_file import Certificate, RefusedCertificate
from pinpoint.evaluate.certify import Judged, certify, hopeless, impossible, needed, sequence, upper_bound

DRAWS = 1000
# With promises kept in exactly 90 % of draws, more broken ones than this are seen once in a thousand tries.
MOST_BROKEN = 0.1 + 3.1 * (0.1 * 0.9 / DRAWS) ** 0.5


@pytest.mark.parametrize(
    ("target", "counts"), [(0.01, [230, 388, 531]), (0.02, [114, 194, 265]), (0.05, [45, 77, 105])]
)
def test_documents_needed_are_those_of_clopper_and_pearson(target: float, counts: list[int]) -> None:
    assert [needed(target, 0.9, wrong) for wrong in range(3)] == counts
    for wrong, count in enumerate(counts):
        assert upper_bound(wrong, count, 0.9) <= target < upper_bound(wrong, count - 1, 0.9)


def test_the_bound_is_where_so_few_wrong_ones_would_be_rare() -> None:
    from scipy.stats import binom

    for wrong, count in ((0, 10), (3, 50), (20, 21)):
        assert binom.cdf(wrong, count, upper_bound(wrong, count, 0.9)) == pytest.approx(0.1)
    assert upper_bound(5, 5, 0.9) == 1.0
    assert upper_bound(0, 0, 0.9) == 1.0


def draw(rng: np.random.Generator, count: int, errs: float, slope: float) -> Judged:
    """Confidence even on 0 to 1; of answers at c the share errs + slope·(1 − c) is wrong."""
    confidence = rng.random(count)
    return Judged(confidence, rng.random(count) >= errs + slope * (1 - confidence))


def true_error(threshold: float, errs: float, slope: float) -> float:
    return errs + slope * (1 - threshold) / 2


def picked_on_the_same_data(held: Judged, target: float) -> float | None:
    """The plain way: of all thresholds the one that accepts most, if its bound is low enough."""
    order = np.argsort(-held.confidence)
    wrong = np.cumsum(~held.right[order])
    passed = [k for k in range(len(held)) if upper_bound(int(wrong[k]), k + 1, 0.9) <= target]
    return float(held.confidence[order[passed[-1]]]) if passed else None


@pytest.mark.parametrize(("errs", "slope"), [(0.1001, 0.0), (0.05, 0.3), (0.0, 0.5), (0.09, 0.03)])
def test_promises_are_kept_in_nine_of_ten_draws(errs: float, slope: float) -> None:
    """The first is the null itself: every threshold errs more than it may, by next to nothing."""
    rng = np.random.default_rng(20261128)
    broken = made = 0
    for _ in range(DRAWS):
        found = certify(draw(rng, 120, errs, slope), draw(rng, 180, errs, slope), 0.1)
        if isinstance(found, Certificate):
            made += 1
            broken += true_error(found.threshold, errs, slope) > 0.1
    assert made > 0.02 * DRAWS, "a test of promises needs some"
    assert broken <= MOST_BROKEN * DRAWS


def test_a_threshold_picked_on_the_documents_that_judge_it_breaks_its_promise() -> None:
    rng = np.random.default_rng(20261128)
    draws, broken = 150, 0
    for _ in range(draws):
        threshold = picked_on_the_same_data(draw(rng, 180, 0.1001, 0.0), 0.1)
        broken += threshold is not None and true_error(threshold, 0.1001, 0.0) > 0.1
    assert broken > 0.25 * draws


def test_an_informative_confidence_earns_the_coverage_that_it_can() -> None:
    rng = np.random.default_rng(3)
    found = certify(draw(rng, 500, 0.0, 0.5), draw(rng, 2000, 0.0, 0.5), 0.1)
    assert isinstance(found, Certificate)
    assert found.threshold == pytest.approx(0.6, abs=0.1)
    assert found.bound <= 0.1 and found.n_wrong / found.n_accepted < 0.1
    assert found.coverage == pytest.approx(0.4, abs=0.1)


def test_the_sequence_comes_from_the_fitting_part_and_only_accepts_more() -> None:
    rng = np.random.default_rng(4)
    thresholds = sequence(draw(rng, 300, 0.0, 0.5), 300, 0.1)
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[-1] == 0.0
    assert 0.5 < thresholds[0] < 0.95


def of(right: list[bool], confidence: NDArray[np.float64] | None = None) -> Judged:
    return Judged(np.linspace(1, 0.5, len(right)) if confidence is None else confidence, np.array(right))


def test_too_few_documents_are_found_before_any_fit() -> None:
    assert impossible(230, 0.01, 0.9) is None
    reason = impossible(229, 0.01, 0.9)
    assert reason is not None and reason.startswith("230 held-out documents") and "229 can be held out" in reason
    refused = certify(of([True] * 50), of([True] * 229), 0.01)
    assert isinstance(refused, RefusedCertificate) and refused.needed == 230


def test_a_model_that_errs_too_often_is_told_so() -> None:
    assert hopeless(0, 45, 0.05, 0.9) is None
    reason = hopeless(20, 60, 0.05, 0.9)
    assert reason is not None and "20 of 60 answers are wrong" in reason and "30%" in reason
    refused = certify(of([True] * 50), of([True, True, False] * 20), 0.05)
    assert isinstance(refused, RefusedCertificate) and refused.reason == reason


def test_a_first_threshold_that_fails_says_what_it_saw() -> None:
    refused = certify(of([True] * 50), of([True] * 60 + [False]), 0.05)
    assert isinstance(refused, RefusedCertificate)
    assert (refused.needed, "1 are wrong" in refused.reason) == (77, True)


def test_a_threshold_that_accepts_too_few_is_told_as_that() -> None:
    """Of the documents that fits saw, only the surest five were right often enough."""
    confidence = np.linspace(0, 1, 200)
    found = certify(Judged(confidence, confidence > 0.97), Judged(confidence, confidence > 0.6), 0.05)
    assert isinstance(found, RefusedCertificate)
    assert found.reason.startswith("no threshold that accepts enough kept to 5.0%") and found.needed == 45
    assert "of those held out, 0 of them wrong; 45 are needed, none of them wrong" in found.reason


def test_perfect_answers_are_all_accepted() -> None:
    found = certify(of([True] * 20), of([True] * 230), 0.01)
    assert isinstance(found, Certificate)
    assert (found.threshold, found.n_accepted, found.n_wrong) == (0.0, 230, 0)


def test_answers_of_one_confidence_are_taken_together() -> None:
    same = np.full(100, 0.9)
    found = certify(of([True] * 100, same), of([True] * 97 + [False] * 3, same), 0.1)
    assert isinstance(found, Certificate) and found.n_accepted == 100
