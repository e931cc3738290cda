"""Prediction sets: they hold the right label as often as they say, whatever the probabilities are worth."""

import numpy as np
import pytest

from pinpoint.evaluate.conformal import least_held_out, prediction_sets
from tests.unit.evaluate.synthetic import measured


@pytest.mark.parametrize(("alpha", "temperature"), [(0.1, 1.0), (0.1, 4.0), (0.3, 0.3)])
def test_sets_cover_as_promised_over_many_draws(alpha: float, temperature: float) -> None:
    log_probs, right = measured(40_000, 4, 1, temperature=temperature)
    probabilities = np.exp(log_probs + 0.1)
    covered = list[bool]()
    for start in range(0, 40_000, 40):
        part = slice(start, start + 39)
        sets = prediction_sets(probabilities[part], right[part], alpha)
        covered.append(int(right[start + 39]) in sets.members(probabilities[start + 39].tolist()))
    assert np.mean(covered) >= 1 - alpha - 3.1 * (alpha * (1 - alpha) / len(covered)) ** 0.5
    if temperature == 1.0:
        assert np.mean(covered) < 1 - alpha + 0.06, "no more labels than the promise needs"


def test_the_quantile_counts_the_document_to_come() -> None:
    probabilities = np.linspace(0.1, 0.9, 9)[:, None] * [1.0, 0.0] + [0.0, 0.05]
    zeros = np.zeros(9, dtype=np.int64)
    assert prediction_sets(probabilities, zeros, 0.1).least_probability == pytest.approx(0.1)
    assert prediction_sets(probabilities, zeros, 0.2).least_probability == pytest.approx(0.2)


def test_too_few_documents_for_an_alpha_are_told() -> None:
    assert [least_held_out(alpha) for alpha in (0.5, 0.1, 0.05, 0.01)] == [1, 9, 19, 99]
    with pytest.raises(ValueError, match="need 9 held-out documents, there are 8"):
        prediction_sets(np.full((8, 2), 0.5), np.zeros(8, dtype=np.int64), 0.1)


def test_a_set_is_never_empty_and_the_likeliest_comes_first() -> None:
    sets = prediction_sets(np.full((9, 3), 0.99), np.zeros(9, dtype=np.int64), 0.1)
    assert sets.members([0.2, 0.5, 0.3]) == [1]
    wide = prediction_sets(np.full((9, 3), 0.2), np.zeros(9, dtype=np.int64), 0.1)
    assert wide.members([0.2, 0.5, 0.3]) == [1, 2, 0]
    assert sets.mean_size == 3
