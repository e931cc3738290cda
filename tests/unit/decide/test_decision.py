"""Decisions: what the scores mean, in which order they come, and what prior, mask, top_k and threshold change."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.api.answer import Answer
from pinpoint.api.request import Options
from pinpoint.api.response import check_wire
from pinpoint.decide.decision import LEAST_LABEL_MASS, decide, decide_multi, decide_yes_no
from pinpoint.errors import InternalError
from pinpoint.prompting.taxonomy import Label, Task

INF = math.inf
ODDS_2_TO_1 = math.log(2)


def task_of(count: int, **changes: object) -> Task:
    return replace(Task("q", tuple(Label(f"l{k}", f"name {k}") for k in range(count))), **changes)  # type: ignore[arg-type]


def scores_of(answer: Answer) -> dict[str, float]:
    return dict(zip(answer.labels, answer.scores, strict=True))


log_probs_of_a_task = st.lists(
    st.floats(-1e6, 0) | st.sampled_from([-INF, -1.0, -745.2, -1e300]), min_size=1, max_size=12
)
log_odds_of_a_task = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([-INF, INF, 0.0]), min_size=1, max_size=12)


def test_scores_are_the_shares_of_the_label_mass() -> None:
    answer = decide([math.log(0.2), math.log(0.6)], task_of(2), Options())
    assert answer.label == "l1"
    assert answer.labels == ("l1", "l0")
    assert answer.scores == pytest.approx((0.75, 0.25))
    assert answer.score == pytest.approx(0.75)
    assert answer.margin == pytest.approx(0.5)
    assert answer.label_mass == pytest.approx(0.8)
    assert (answer.confidence, answer.decision, answer.reasons, answer.log_probs) == (None, "accept", (), None)


@given(log_probs_of_a_task)
def test_scores_are_a_sorted_distribution_over_all_labels(log_probs: list[float]) -> None:
    answer = decide(log_probs, task_of(len(log_probs)), Options(return_raw=True))
    assert math.fsum(answer.scores) == pytest.approx(1, abs=1e-9)
    assert list(answer.scores) == sorted(answer.scores, reverse=True)
    assert sorted(answer.labels) == sorted(f"l{k}" for k in range(len(log_probs)))
    assert (answer.label, answer.score) == (answer.labels[0], answer.scores[0])
    assert 0 <= answer.margin <= 1
    assert 0 <= answer.label_mass <= 1
    assert answer.log_probs == tuple(log_probs[int(label[1:])] for label in answer.labels)
    check_wire(answer.to_wire())


@pytest.mark.parametrize(("mass", "decision"), [(0.11, "accept"), (0.09, "review")])
def test_an_answer_that_the_model_hardly_wanted_to_give_is_for_people(mass: float, decision: str) -> None:
    reasons: tuple[str, ...] = () if decision == "accept" else ("low_label_mass",)
    one = decide([math.log(0.9 * mass), math.log(0.1 * mass)], task_of(2), Options(threshold=0.5))
    assert (one.label, one.decision, one.reasons) == ("l0", decision, reasons)
    assert one.score == pytest.approx(0.9)
    many = decide_multi([3.0, -3.0], [mass, mass], task_of(2), Options())
    assert (many.label, many.decision, many.reasons) == ("l0", decision, reasons)
    none = decide_multi([-3.0, -3.0], [mass, mass], task_of(2), Options())
    assert (none.label, none.decision) == (None, "abstain")
    assert none.reasons == ("no_label_reached_threshold", *reasons)


@given(log_probs_of_a_task)
def test_nothing_is_accepted_below_the_least_label_mass(log_probs: list[float]) -> None:
    answer = decide(log_probs, task_of(len(log_probs)), Options())
    assert (answer.decision == "accept") == (answer.label_mass >= LEAST_LABEL_MASS)


@given(log_probs_of_a_task)
def test_a_more_likely_label_never_stands_behind_and_equal_ones_keep_the_callers_order(log_probs: list[float]) -> None:
    answer = decide(log_probs, task_of(len(log_probs)), Options())
    order = [int(label[1:]) for label in answer.labels]
    assert order == sorted(range(len(log_probs)), key=lambda k: -log_probs[k])


@given(log_probs_of_a_task, st.floats(0.1, 1000), st.data())
def test_a_prior_multiplies_shares_and_its_unit_does_not_matter(
    log_probs: list[float], unit: float, data: st.DataObject
) -> None:
    count = len(log_probs)
    weights = data.draw(st.lists(st.floats(1e-6, 1), min_size=count, max_size=count))
    prior = {f"l{k}": weight for k, weight in enumerate(weights)}
    plain = decide(log_probs, task_of(count), Options())
    answer = decide(log_probs, task_of(count, prior=prior), Options(return_raw=True))
    other_unit = decide(
        log_probs, task_of(count, prior={name: weight * unit for name, weight in prior.items()}), Options()
    )
    assert scores_of(other_unit) == pytest.approx(scores_of(answer), abs=1e-9)
    assert answer.label_mass == plain.label_mass
    assert answer.log_probs == tuple(log_probs[int(label[1:])] for label in answer.labels)
    total = math.fsum(share * prior[name] for name, share in scores_of(plain).items())
    expected = {name: share * prior[name] / total for name, share in scores_of(plain).items()}
    assert scores_of(answer) == pytest.approx(expected, abs=1e-9)


def test_a_prior_can_turn_the_answer() -> None:
    task = task_of(2, prior={"l0": 0.9, "l1": 0.1})
    answer = decide([math.log(0.25), math.log(0.75)], task, Options())
    assert answer.label == "l0"
    assert answer.scores == pytest.approx((0.75, 0.25))


@given(log_probs_of_a_task.filter(lambda values: len(values) > 1), st.data())
def test_a_mask_is_the_same_as_never_having_offered_the_label(log_probs: list[float], data: st.DataObject) -> None:
    count = len(log_probs)
    hidden = data.draw(st.sets(st.integers(0, count - 1), max_size=count - 1))
    masked = decide(log_probs, task_of(count, mask=frozenset(f"l{k}" for k in hidden)), Options())
    rest = [k for k in range(count) if k not in hidden]
    without = replace(task_of(count), labels=tuple(Label(f"l{k}", "") for k in rest))
    assert masked == decide([log_probs[k] for k in rest], without, Options())


@given(log_probs_of_a_task, st.integers(1, 15))
def test_top_k_cuts_the_lists_and_nothing_else(log_probs: list[float], top_k: int) -> None:
    whole = decide(log_probs, task_of(len(log_probs)), Options())
    cut = decide(log_probs, task_of(len(log_probs)), Options(top_k=top_k))
    assert cut == replace(whole, labels=whole.labels[:top_k], scores=whole.scores[:top_k])


@pytest.mark.parametrize(
    ("threshold", "decision", "reasons"),
    [(None, "accept", ()), (0.5, "accept", ()), (0.51, "review", ("below_threshold",)), (0.0, "accept", ())],
)
def test_below_the_threshold_a_person_should_look(
    threshold: float | None, decision: str, reasons: tuple[str, ...]
) -> None:
    answer = decide([math.log(0.5), math.log(0.5)], task_of(2), Options(threshold=threshold))
    assert (answer.label, answer.decision, answer.reasons) == ("l0", decision, reasons)


@pytest.mark.parametrize("far", [-800.0, -1e6, -1e300])
def test_improbable_labels_are_compared_without_underflow(far: float) -> None:
    answer = decide([far, far + ODDS_2_TO_1] if far > -1e10 else [far, far], task_of(2), Options())
    assert answer.scores == pytest.approx((2 / 3, 1 / 3) if far > -1e10 else (0.5, 0.5))
    assert (answer.label_mass, answer.decision, answer.reasons) == (0, "review", ("low_label_mass",))


def test_scores_that_underflow_alike_are_still_told_apart() -> None:
    answer = decide([-3000.0, -2000.0, 0.0], task_of(3), Options())
    assert answer.labels == ("l2", "l1", "l0")
    assert answer.scores == (1, 0, 0)


def test_where_nothing_was_measured_a_person_should_look() -> None:
    answer = decide([-INF, -INF], task_of(2), Options(threshold=0.9, return_raw=True))
    assert answer.scores == (0.5, 0.5)
    assert (answer.decision, answer.reasons) == ("review", ("no_label_mass", "below_threshold"))
    assert answer.to_wire()["log_probs"] == [None, None]


def test_where_nothing_was_measured_the_prior_remains() -> None:
    answer = decide([-INF, -INF], task_of(2, prior={"l0": 1, "l1": 3}), Options())
    assert answer.scores == pytest.approx((0.75, 0.25))
    assert (answer.label, answer.decision) == ("l1", "review")


def test_a_prior_is_not_lost_beside_a_very_improbable_label() -> None:
    answer = decide([-1e300, -1e300], task_of(2, prior={"l0": 1, "l1": 3}), Options())
    assert answer.scores == pytest.approx((0.75, 0.25))


def test_an_only_label_has_the_whole_margin() -> None:
    answer = decide([-3.0, -1.0], task_of(2, mask=frozenset({"l1"})), Options())
    assert (answer.label, answer.score, answer.margin) == ("l0", 1, 1)
    assert answer.label_mass == pytest.approx(math.exp(-3))


def test_rounding_above_zero_is_forgiven() -> None:
    assert decide([1e-6, -20.0], task_of(2), Options()).label_mass == 1


@pytest.mark.parametrize("log_probs", [[math.nan, -1.0], [-1.0, 0.1], [-1.0, INF], [-1.0], [-1.0] * 3, []])
def test_what_is_no_measurement_is_our_mistake(log_probs: list[float]) -> None:
    with pytest.raises(InternalError) as caught:
        decide(log_probs, task_of(2), Options())
    assert caught.value.code == "invalid_measurement"


def test_a_task_with_nothing_to_answer_is_our_mistake() -> None:
    with pytest.raises(InternalError) as caught:
        decide([-1.0], task_of(1, mask=frozenset({"l0"})), Options())
    assert caught.value.code == "invalid_task"


def multi(count: int, **changes: object) -> Task:
    return task_of(count, multi_label=True, **changes)


def test_many_labels_are_scored_each_on_its_own() -> None:
    answer = decide_multi([0.0, math.log(3), -math.log(3)], [0.9, 0.8, 0.7], multi(3), Options(return_raw=True))
    assert answer.labels == ("l1", "l0", "l2")
    assert answer.scores == pytest.approx((0.75, 0.5, 0.25))
    assert answer.margin == pytest.approx(0.25)
    assert answer.label_mass == pytest.approx(0.8)
    assert answer.log_probs == (math.log(3), 0.0, -math.log(3))
    assert (answer.label, answer.decision, answer.reasons) == ("l1", "accept", ())


@given(log_odds_of_a_task)
def test_many_labels_are_sorted_and_each_between_0_and_1(log_odds: list[float]) -> None:
    count = len(log_odds)
    answer = decide_multi(log_odds, [0.5] * count, multi(count), Options(return_raw=True))
    assert list(answer.scores) == sorted(answer.scores, reverse=True)
    assert all(0 <= score <= 1 for score in answer.scores)
    assert [int(label[1:]) for label in answer.labels] == sorted(range(count), key=lambda k: -log_odds[k])
    assert (answer.decision == "abstain") == (answer.score < 0.5)
    check_wire(answer.to_wire())


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_the_score_of_a_label_does_not_depend_on_another(one: float, other: float) -> None:
    pair = scores_of(decide_multi([one, other], [1.0, 1.0], multi(2), Options()))
    alone = scores_of(decide_multi([one], [1.0], multi(1), Options()))
    assert pair["l0"] == alone["l0"]


@pytest.mark.parametrize(
    ("threshold", "label", "decision"), [(None, None, "abstain"), (0.3, "l0", "accept"), (0.34, None, "abstain")]
)
def test_many_labels_abstain_when_none_reaches_the_threshold(
    threshold: float | None, label: str | None, decision: str
) -> None:
    answer = decide_multi([-ODDS_2_TO_1, -2.0], [1.0, 1.0], multi(2), Options(threshold=threshold))
    assert (answer.label, answer.decision) == (label, decision)
    assert answer.reasons == (("no_label_reached_threshold",) if label is None else ())
    assert answer.score == pytest.approx(1 / 3)


def test_many_labels_have_priors_of_yes() -> None:
    answer = decide_multi([0.0, 0.0], [1.0, 1.0], multi(2, prior={"l0": 0.1, "l1": 0.5}), Options())
    assert scores_of(answer) == pytest.approx({"l0": 0.1, "l1": 0.5})


def test_many_labels_without_the_masked_ones() -> None:
    answer = decide_multi([5.0, 0.0], [0.2, 0.6], multi(2, mask=frozenset({"l0"})), Options(top_k=5))
    assert (answer.labels, answer.label_mass) == (("l1",), 0.6)


@pytest.mark.parametrize(("log_odds", "masses"), [([math.nan], [1.0]), ([0.0], [math.nan]), ([0.0], []), ([], [1.0])])
def test_what_is_no_measurement_of_many_labels_is_our_mistake(log_odds: list[float], masses: list[float]) -> None:
    with pytest.raises(InternalError) as caught:
        decide_multi(log_odds, masses, multi(1), Options())
    assert caught.value.code == "invalid_measurement"


# Yes or no


@pytest.mark.parametrize(
    ("yes", "label", "labels", "probability"),
    [(0.6, "yes", ("yes", "no"), 0.75), (0.05, "no", ("no", "yes"), 0.2), (0.2, "yes", ("yes", "no"), 0.5)],
)
@pytest.mark.parametrize("top_k", [None, 1, 2])
def test_a_yes_or_no_has_the_probability_of_yes_however_few_are_shown(
    yes: float, label: str, labels: tuple[str, ...], probability: float, top_k: int | None
) -> None:
    raw = {"yes": math.log(yes), "no": math.log(0.2)}
    for return_raw in (False, True):
        answer = decide_yes_no(raw["yes"], raw["no"], Options(top_k=top_k, return_raw=return_raw))
        assert (answer.label, answer.labels) == (label, labels[:top_k])
        assert answer.probability == pytest.approx(probability)
        shares = (max(probability, 1 - probability), min(probability, 1 - probability))
        assert answer.scores == pytest.approx(shares[:top_k])
        assert answer.log_probs == (tuple(raw[name] for name in labels[:top_k]) if return_raw else None)
        assert answer.label_mass == pytest.approx(yes + 0.2)


def test_a_yes_or_no_below_its_threshold_is_to_be_reviewed() -> None:
    answer = decide_yes_no(math.log(0.6), math.log(0.2), Options(threshold=0.8, top_k=1))
    assert (answer.decision, answer.reasons) == ("review", ("below_threshold",))
    assert decide_yes_no(math.log(0.6), math.log(0.2), Options(threshold=0.7)).decision == "accept"


# An ordered scale


def test_a_scale_has_its_distribution_in_order_and_the_level_to_expect() -> None:
    scale = task_of(3, kind="score")
    answer = decide([math.log(0.1), math.log(0.3), math.log(0.1)], scale, Options())
    assert answer.labels[0] == "l1"
    assert answer.distribution == pytest.approx((0.2, 0.6, 0.2))
    assert answer.expected == pytest.approx(1.0)
    last = decide([-50.0, math.log(0.1), math.log(0.3)], scale, Options())
    assert last.distribution == pytest.approx((0.0, 0.25, 0.75), abs=1e-9)
    assert last.expected == pytest.approx(1.75)
    assert decide([-1.0, -2.0, -3.0], task_of(3), Options()).distribution == ()
