"""Drift: the tests find what changed, and seldom what did not."""

import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.decide.task_file import Reference
from pinpoint.serving.watch.drift import WINDOW, Drift, chi_square_tail, mean_shift, shares_shift

SHARES = [0.5, 0.3, 0.15, 0.05]


def reference(n: int = 400) -> Reference:
    return Reference(
        n=n, label_distribution=SHARES, mean_label_mass=0.8, confidence_histogram=[0.0] * 5 + [0.1, 0.1, 0.1, 0.2, 0.5]
    )


@given(st.floats(0, 500), st.integers(1, 300))
def test_the_tail_of_chi_square(x: float, degrees: int) -> None:
    assert chi_square_tail(x, degrees) == pytest.approx(float(scipy.stats.chi2.sf(x, degrees)), rel=1e-9, abs=1e-300)


def test_the_statistic_is_that_of_two_samples() -> None:
    counts, shares, n = [120, 100, 50, 30], [0.5, 0.3, 0.15, 0.05], 400
    table = [counts, [share * n for share in shares]]
    found = shares_shift(counts, shares, n)
    assert found.p_value == pytest.approx(scipy.stats.chi2_contingency(table, correction=False).pvalue)
    assert not found.drifts and 0 < found.size < 0.1


def filled(seed: int, shares: list[float], mass: float, n: int = 400) -> Drift:
    drift = Drift(reference(n))
    fill(drift, seed, shares, mass)
    return drift


def fill(drift: Drift, seed: int, shares: list[float], mass: float) -> None:
    draw, known = random.Random(seed), reference().confidence_histogram
    for number in range(WINDOW):
        full = drift.add(
            draw.choices(range(4), shares)[0],
            draw.choices(range(10), known)[0] / 10 + 0.05,
            min(1.0, max(0.0, draw.gauss(mass, 0.1))),
        )
        assert full == (number == WINDOW - 1)


def test_what_is_like_the_examples_is_hardly_ever_called_drifting() -> None:
    """Both are draws of one population. Where one window of 1,000 is called so, five or more of them have p < 0.004."""
    draw = np.random.default_rng(7)
    wrong = 0
    for _ in range(1000):
        examples, window = draw.multinomial(400, SHARES) / 400, draw.multinomial(WINDOW, SHARES)
        wrong += shares_shift(window.tolist(), examples.tolist(), 400).drifts
    assert wrong < 5
    means = [draw.normal(0.8, 0.1, WINDOW) for _ in range(1000)]
    assert (
        sum(mean_shift(one.tolist(), float(draw.normal(0.8, 0.1, 400).mean()), 400).p_value < 0.001 for one in means)
        < 5
    )
    assert all(filled(seed, SHARES, 0.8).drifting == {} for seed in range(5))


@pytest.mark.parametrize(
    ("shares", "mass", "found"),
    [([0.2, 0.3, 0.3, 0.2], 0.8, "labels"), (SHARES, 0.7, "label_mass"), ([0.0, 0.0, 0.0, 1.0], 0.8, "labels")],
)
def test_what_changed_is_named(shares: list[float], mass: float, found: str) -> None:
    drift = filled(1, shares, mass)
    assert list(drift.drifting) == [found]
    assert drift.last[found].p_value < 0.001 and drift.answers == WINDOW


def test_confidences_that_fell_are_named_and_a_window_like_the_examples_ends_it() -> None:
    drift = Drift(reference())
    for number in range(WINDOW):
        drift.add(number % 2, 0.55, 0.8)
    assert {"confidence", "labels"} <= drift.drifting.keys()
    fill(drift, 3, SHARES, 0.8)
    assert drift.drifting == {}


def test_a_small_change_of_many_is_none() -> None:
    """With very many examples anything is unlikely to be chance; what is small does not matter all the same."""
    shift = mean_shift([0.79, 0.81] * 150, 0.78, 10**6)
    assert shift.p_value < 0.001 and shift.size == pytest.approx(0.02) and not shift.drifts
    assert not mean_shift([0.8] * 300, 0.8, 100).drifts and mean_shift([0.9] * 300, 0.8, 100).drifts


def test_before_a_window_is_full_nothing_is_said() -> None:
    drift = Drift(reference())
    assert not any(drift.add(3, 0.1, 0.0) for _ in range(WINDOW - 1))
    assert drift.last == {} and drift.drifting == {}


def test_what_may_be_chance_and_what_is_small_is_no_drift() -> None:
    few = shares_shift([12, 18], [0.6, 0.4], 20)
    assert few.size > 0.1 and few.p_value > 0.001 and not few.drifts
    many = shares_shift([5300, 4700], [0.5, 0.5], 10_000)
    assert many.p_value < 0.001 and many.size < 0.1 and not many.drifts
    both = shares_shift([240, 60], [0.5, 0.5], 400)
    assert both.p_value < 0.001 and both.size > 0.1 and both.drifts


def test_each_window_is_judged_by_itself() -> None:
    drift = filled(1, [0.0, 0.0, 0.0, 1.0], 0.8)
    first = drift.last
    assert not any(drift.add(0, 0.95, 0.8) for _ in range(WINDOW - 1))
    assert drift.last is first
    assert drift.add(0, 0.95, 0.8) and drift.last is not first and drift.answers == 2 * WINDOW
