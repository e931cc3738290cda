"""Fits: they find what is known to be off, their minimum is one, and what gains nothing is refused in words."""

from typing import Any

import numpy as np
import pytest

from pinpoint.decide.calibration import FLOOR
from pinpoint.engine.readings import STATE_FLOATS
from pinpoint.errors import RequestError
from pinpoint.evaluate import choosing, fits
from pinpoint.evaluate.examples import Examples, fold_rounds, held_out, make_examples
from tests.reference.fits import objective
from tests.unit.evaluate.synthetic import examples, measured

OFFSETS = np.array([-1.0, -0.5, 0.5, 1.0])


def test_a_known_temperature_is_found() -> None:
    for temperature in (0.5, 2.0, 4.0):
        assert fits.fit_temperature(examples(3000, 4, 1, temperature=temperature)).temperature == pytest.approx(
            temperature, rel=0.1
        )


def test_known_offsets_are_found_beside_the_temperature() -> None:
    fitted = fits.fit_offsets(examples(4000, 4, 2, temperature=2.0, offsets=OFFSETS))
    assert fitted.temperature == pytest.approx(2.0, rel=0.1)
    assert fitted.offsets - fitted.offsets.mean() == pytest.approx(OFFSETS, abs=0.15)


def test_a_head_undoes_what_neither_temperature_nor_offsets_can() -> None:
    """Label 1 is measured as what label 0 should be, and the other way round, in half of its size."""
    log_probs, right = measured(3000, 3, 3)
    mixed = log_probs.copy()
    mixed[:, 0], mixed[:, 1] = log_probs[:, 1], log_probs[:, 0]
    swapped = make_examples(mixed, right.tolist())
    best = fits.nll(fits.log_softmax(log_probs), right).mean()
    offsets = fits.nll(fits.fit_offsets(swapped).log_probs(swapped), right).mean()
    head = fits.nll(fits.fit_head(swapped, spread=6.0).log_probs(swapped), right).mean()
    assert offsets > best + 0.3
    assert head < best + 0.05


def with_states(some: Examples, states: np.ndarray) -> Examples:
    return Examples(some.scores, some.right, some.groups, some.log_prior, states)


def test_what_scores_do_not_say_a_state_may() -> None:
    """Scores are noise, and which label is right stands in a direction of the state."""
    rng = np.random.default_rng(0)
    states, noise = rng.normal(size=(400, STATE_FLOATS)), rng.normal(size=(400, 3))
    right = (states @ rng.normal(size=(STATE_FLOATS, 3))).argmax(axis=1)
    some = with_states(make_examples(fits.log_softmax(noise), right.tolist()), states + 3.0)
    chosen = choosing.choose(some)
    by_name = {one.name: one for one in chosen.tried}
    assert by_name["state"].kept and not by_name["head"].kept
    assert chosen.parameters.head is None and chosen.parameters.state is not None
    assert (chosen.log_probs.argmax(axis=1) == right).mean() > 0.6
    shuffled = with_states(some, rng.permutation(states))
    assert not choosing.choose(shuffled).tried[-2].kept


def test_states_are_looked_at_from_where_they_lie() -> None:
    """Offsets hold the centre: states that are all moved say nothing else."""
    some, states = examples(80, 3, 9), np.random.default_rng(1).normal(size=(80, 5))
    here, there = (fits.fit_state(with_states(some, states + move)) for move in (0.0, 4.0))
    assert here.state == pytest.approx(there.state, abs=1e-6)
    assert here.log_probs(with_states(some, states)) == pytest.approx(
        there.log_probs(with_states(some, states + 4.0)), abs=1e-6
    )
    assert fits.fit_state(with_states(some, np.ones((80, 5)))).state == pytest.approx(np.zeros((3, 5)), abs=1e-9)


@pytest.mark.parametrize("head", [False, True])
def test_a_fit_is_where_the_written_out_objective_is_least(head: bool) -> None:
    some = examples(40, 3, 4, temperature=2.0)
    fitted = fits.fit_head(some, spread=2.0) if head else fits.fit_offsets(some)
    features = np.maximum(some.scores, -FLOOR)
    length = np.sqrt(((features - features.mean(axis=0)) ** 2).sum(axis=1).mean())
    spreads = (fits.TEMPERATURE_SPREAD, fits.OFFSET_SPREAD, float(2.0 / length))

    def at(step: np.ndarray) -> float:
        w = None if fitted.head is None else (fitted.head + step[4:].reshape(3, 3)).tolist()
        return objective(
            some.scores.tolist(), some.right.tolist(), fitted.temperature * np.exp(step[0]),
            (fitted.offsets + step[1:4]).tolist(), w, spreads,
        )  # fmt: skip

    least = at(np.zeros(13))
    for axis in range(13 if head else 4):
        for sign in (-0.05, 0.05):
            assert at(np.eye(13)[axis] * sign) > least


def test_offsets_that_are_given_stay_below_a_temperature() -> None:
    some = examples(10, 4, 5)
    assert fits.fit_temperature(some, OFFSETS).offsets == pytest.approx(OFFSETS)


def test_few_documents_that_are_all_right_do_not_make_it_certain() -> None:
    log_probs = np.log([[0.7, 0.2, 0.1]] * 10)
    assert fits.fit_temperature(make_examples(log_probs, [0] * 10)).temperature > 0.4


def test_sharper_scores_of_a_model_that_has_not_erred_yet_are_no_gain() -> None:
    """Each of 30 right answers gains, some more than others; one wrong answer would cost more than all."""
    sure = np.linspace(0.8, 0.97, 30)
    flawless = make_examples(np.log(np.stack([sure, 1 - sure], axis=1)), [0] * 30)
    before = fits.unchanged(2).log_probs(flawless)
    sharper = fits.Parameters(0.5, np.zeros(2)).log_probs(flawless)
    found = choosing.compare("temperature", flawless, before, sharper)
    assert found.nll_before is not None and found.nll_after is not None
    assert found.nll_before - found.nll_after > choosing.LEAST_GAIN
    assert not found.kept
    assert "may be chance" in found.reason or "would undo" in found.reason


def test_choosing_keeps_what_gains_and_says_what_does_not() -> None:
    chosen = choosing.choose(examples(300, 4, 6, temperature=3.0, offsets=OFFSETS))
    by_name = {one.name: one for one in chosen.tried}
    assert by_name["temperature"].kept and by_name["offsets"].kept and not by_name["head"].kept
    assert chosen.parameters.temperature == pytest.approx(3.0, rel=0.3)
    assert "gains" in by_name["head"].reason


@pytest.mark.parametrize(
    ("count", "refused"),
    [
        (12, {"offsets": "needs 20 examples, there are 12", "head": "needs 50 examples, there are 12"}),
        (30, {"head": "needs 50 examples, there are 30"}),
    ],
)
def test_a_fit_without_enough_examples_is_not_tried(count: int, refused: dict[str, str]) -> None:
    tried = choosing.choose(examples(count, 4, 7)).tried
    assert {one.name: one.reason for one in tried if one.p_value is None} == refused


def test_a_head_needs_five_of_every_label_and_not_too_many_labels() -> None:
    log_probs, right = measured(60, 4, 8)
    right[right == 3] = 0
    head = choosing.choose(make_examples(log_probs, right.tolist())).tried[-1]
    assert not head.kept and head.reason == "needs 5 examples of every label; 1 of 4 have fewer"
    wide = np.zeros((60, 257))
    assert "at most 256 labels" in choosing.choose(make_examples(wide, [0, 1] * 30)).tried[-1].reason


def test_of_scores_that_are_right_hardly_any_fit_is_kept() -> None:
    """Under the null: a test at 5 % for each of two fits."""
    kept = sum(any(one.kept for one in choosing.choose(examples(40, 3, 100 + draw)).tried) for draw in range(25))
    assert kept <= 5  # more come with 3 % where one in ten is kept


def test_a_head_that_would_take_long_is_chosen_on_one_part_and_fitted_on_fewer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_probs, right = measured(300, 3, 3)
    swapped = make_examples(log_probs[:, [1, 0, 2]], right.tolist())
    usual = choosing.choose(swapped)
    monkeypatch.setattr(choosing, "EASY_WORK", 0)
    quick = choosing.choose(swapped)
    assert quick.tried[-1].kept and usual.tried[-1].kept
    assert quick.tried[-1].nll_after == pytest.approx(usual.tried[-1].nll_after, abs=0.05)
    seen = list[int]()
    fit = fits._fit

    def counted(some: Examples, *rest: Any, **more: Any) -> fits.Parameters:
        seen.append(len(some))
        return fit(some, *rest, **more)

    monkeypatch.setattr(fits, "_fit", counted)
    monkeypatch.setattr(fits, "HEAD_WORK", 9 * 100)
    fits.fit_head(swapped)
    fits.fit_offsets(swapped)
    assert seen == [100, 300]


def test_folds_keep_near_duplicates_together_and_labels_apart() -> None:
    log_probs, right = measured(100, 4, 9)
    groups = np.arange(100) // 2
    some = make_examples(log_probs, right.tolist(), groups.tolist())
    for fold in fold_rounds(some):
        assert len(set(zip(groups.tolist(), fold.tolist(), strict=True))) == 50
        assert np.bincount(fold).min() >= 8
    rounds = [fold.tolist() for fold in fold_rounds(some)]
    assert len(rounds) == 2 and rounds[0] != rounds[1]
    assert rounds == [fold.tolist() for fold in fold_rounds(some)]


@pytest.mark.parametrize(("count", "least"), [(100, 30), (60, 20), (11, 1), (300, 90), (40, 40)])
def test_what_is_held_out_shares_no_group_with_the_rest(count: int, least: int) -> None:
    log_probs, right = measured(count, 3, 10)
    groups = np.random.default_rng(0).integers(0, count // 2, count)
    some = make_examples(log_probs, right.tolist(), groups.tolist())
    fitting, judging = held_out(some, least)
    assert not set(groups[fitting]) & set(groups[judging])
    assert len(judging) == len(set(groups[judging])) == min(least, some.distinct)
    assert set(groups[fitting]) | set(groups[judging]) == set(groups), "a group is on one side"
    assert len(fitting) == np.isin(groups, groups[fitting]).sum(), "with all of it, where fits see it"
    if len(fitting):
        assert {*right[fitting]} == {*right}


def test_near_duplicates_weigh_as_one_when_a_gain_is_tested() -> None:
    some = examples(20, 3, 11)
    before = np.log(np.full((20, 3), 1 / 3))
    noisy = np.random.default_rng(1).normal(0.4, 1.0, (20, 1)) * np.eye(3)[some.right] + before
    copies = np.tile(np.arange(20), 20)
    copied = Examples(some.scores[copies], some.right[copies], copies, some.log_prior)
    once = choosing.compare("offsets", some, before, noisy)
    many = choosing.compare("offsets", copied, before[copies], noisy[copies])
    assert many.p_value == pytest.approx(once.p_value)
    assert choosing.compare("head", some, before, noisy, choices=3).p_value == pytest.approx(
        min(1.0, 3 * (once.p_value or 0))
    )


def test_an_example_of_a_masked_label_is_refused_with_its_count() -> None:
    log_probs, _ = measured(4, 3, 12)
    kept = make_examples(log_probs, [0, 2, 2, 0], mask=[1], prior=[1.0, 1.0, 2.0])
    assert kept.right.tolist() == [0, 1, 1, 0]
    assert kept.log_prior.tolist() == [0.0, np.log(2.0)]
    with pytest.raises(RequestError, match="unknown_label: 2 of 4"):
        make_examples(log_probs, [0, 2, 2, 0], mask=[2])


def test_what_a_model_rules_out_costs_a_number() -> None:
    some = make_examples(np.array([[0.0, -np.inf], [-np.inf, -np.inf]]), [1, 0])
    assert fits.nll(fits.unchanged(2).log_probs(some), some.right) == pytest.approx([50.0, np.log(2)])
