"""Calibration: it is its slow twin, it leaves alone what it was not taught, and it takes what models measure."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.decide.calibration import FLOOR, Calibration
from pinpoint.engine.readings import STATE_FLOATS
from pinpoint.errors import InternalError
from tests.reference import calibration as reference

INF = math.inf
small = st.floats(-5, 5)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[float], dict[str, Any]]:
    count = draw(st.integers(1, 6))
    log_probs = draw(
        st.lists(st.floats(-1e6, 0) | st.sampled_from([-INF, -1.0, -19.9]), min_size=count, max_size=count)
    )
    fit = {
        "temperature": draw(st.floats(0.05, 20)),
        "offsets": draw(st.none() | st.lists(small, min_size=count, max_size=count)),
        "head": draw(
            st.none() | st.lists(st.lists(small, min_size=count, max_size=count), min_size=count, max_size=count)
        ),
        "masked": tuple(draw(st.sets(st.integers(0, count - 1)))),
        "state": None,
    }
    if draw(st.booleans()):
        numbers = np.random.default_rng(draw(st.integers(0, 99)))
        fit |= {"state": numbers.normal(size=(count, STATE_FLOATS)).tolist()}
        fit |= {"seen_state": numbers.normal(size=STATE_FLOATS).tolist()}
    return log_probs, fit


def made(count: int, fit: dict[str, Any]) -> Calibration:
    arrays = {name: None if fit[name] is None else np.array(fit[name]) for name in ("offsets", "head", "state")}
    return Calibration(count, fit["temperature"], masked=fit["masked"], **arrays)


@given(cases())
def test_it_is_what_is_written_out_label_by_label(case: tuple[list[float], dict[str, Any]]) -> None:
    log_probs, fit = case
    assert made(len(log_probs), fit).apply(log_probs, fit.get("seen_state", ())) == pytest.approx(
        reference.apply(log_probs, **fit), rel=1e-9, abs=1e-9
    )


@given(cases(), st.integers(0, 99))
def test_of_a_set_of_labels_each_is_written_out_with_its_own_state(
    case: tuple[list[float], dict[str, Any]], seed: int
) -> None:
    values, fit = case
    odds = [-one if place % 2 else one for place, one in enumerate(values)]
    numbers = np.random.default_rng(seed).normal(size=(len(odds), STATE_FLOATS)).tolist()
    wanted = {name: fit[name] for name in ("temperature", "offsets", "head", "state")}
    found = made(len(odds), fit).apply_odds(odds, numbers)
    assert found == pytest.approx(reference.apply_odds(odds, **wanted, seen_states=numbers), rel=1e-9, abs=1e-9)


def test_what_looks_at_the_states_of_labels_needs_one_of_each() -> None:
    looks = Calibration(2, state=np.ones((2, STATE_FLOATS)))
    for states in ((), [[0.0] * STATE_FLOATS], [[0.0] * STATE_FLOATS, []]):
        with pytest.raises(InternalError, match="looks at states"):
            looks.apply_odds([0.0, 0.0], states)


@given(cases())
def test_what_comes_out_are_the_probabilities_of_the_labels_that_may_be_answered(
    case: tuple[list[float], dict[str, Any]],
) -> None:
    log_probs, fit = case
    out = made(len(log_probs), fit).apply(log_probs, fit.get("seen_state", ()))
    possible = [k for k, s in enumerate(log_probs) if s > -INF and k not in fit["masked"]]
    assert math.fsum(map(math.exp, out)) == pytest.approx(1.0 if possible else 0.0)
    assert [k for k, s in enumerate(out) if s > -INF] == possible


def test_untaught_it_is_the_shares_of_the_label_mass() -> None:
    untaught = Calibration(3)
    assert untaught.is_identity
    assert np.exp(untaught.apply([math.log(0.2), math.log(0.6), -INF])) == pytest.approx([0.25, 0.75, 0])
    assert not Calibration(3, temperature=2.0).is_identity


def test_a_temperature_draws_the_scores_together_and_an_offset_moves_one() -> None:
    log_probs = [math.log(0.8), math.log(0.2)]
    assert np.exp(Calibration(2, temperature=2.0).apply(log_probs)) == pytest.approx([2 / 3, 1 / 3])
    moved = Calibration(2, offsets=np.array([0.0, math.log(4)]))
    assert np.exp(moved.apply(log_probs)) == pytest.approx([0.5, 0.5])


def test_a_head_looks_at_other_labels_down_to_its_floor() -> None:
    head = np.zeros((2, 2))
    head[0, 1] = 0.1
    taught = Calibration(2, head=head)
    assert taught.apply([0.0, -INF]) == [0.0, -INF]
    deep, floor = taught.apply([0.0, -50.0]), 0.1 * -FLOOR
    assert deep[1] - deep[0] == pytest.approx(-50.0 - floor)


def test_what_looks_at_a_state_needs_one() -> None:
    taught = Calibration(2, state=np.zeros((2, STATE_FLOATS)))
    assert taught.looks_at_state and not taught.is_identity
    assert np.exp(taught.apply([0.0, 0.0], [1.0] * STATE_FLOATS)) == pytest.approx([0.5, 0.5])
    for state in ((), [1.0] * (STATE_FLOATS - 1)):
        with pytest.raises(InternalError, match="invalid_measurement"):
            taught.apply([0.0, 0.0], state)


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0, 0.0], [math.nan, 0.0], [0.0, math.nan]])
def test_what_no_model_measures_is_our_own_mistake(values: list[float]) -> None:
    with pytest.raises(InternalError, match="invalid_measurement"):
        Calibration(2).apply(values)


@pytest.mark.parametrize(
    "fit",
    [
        {"state": np.zeros((2, 3))},
        {"offsets": np.zeros(3)},
        {"head": np.zeros((2, 3))},
        {"temperature": 0.0},
        {"temperature": math.nan},
    ],
)
def test_a_fit_of_another_shape_is_not_taken(fit: dict[str, Any]) -> None:
    with pytest.raises(InternalError, match="invalid_task"):
        Calibration(2, **fit)
