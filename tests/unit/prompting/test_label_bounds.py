"""Bounded labels: whatever the scores, the search ends soon, the best are exact, and what is left cannot matter."""

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pinpoint.prompting.label_bounds import EPSILON, MOST_ROUNDS, undecided

# (bound, how far below it the score lies): log-probabilities of first tokens, and of the rest of the label.
labels_lists = st.lists(
    st.tuples(st.floats(-60, 0), st.one_of(st.just(0.0), st.floats(0, 1), st.floats(0, 60))), min_size=1, max_size=40
)
Labels = list[tuple[float, float]]


def settled(bounds: list[float], scores: list[float], best: int) -> tuple[dict[int, float], int]:
    """What is computed until nothing is undecided, and in how many rounds."""
    exact: dict[int, float] = {}
    rounds = 0
    while chosen := undecided(bounds, exact, best, rounds):
        assert not exact.keys() & set(chosen), "computed twice"
        exact |= {k: scores[k] for k in chosen}
        rounds += 1
        assert rounds <= len(bounds), "does not end"
    return exact, rounds


@settings(deadline=None, max_examples=300)
@given(labels_lists, st.integers(1, 6))
@example([(-0.7, 49.3)] * 3 + [(-50.1, 0.0)] * 20, 2)  # large first tokens of labels that end badly
@example([(0.0, 60.0)] + [(-45.0, 5.0)] * 30, 2)
def test_the_best_are_exact_and_the_rest_cannot_move_a_score(labels: Labels, best: int) -> None:
    bounds = [bound for bound, _ in labels]
    scores = [bound - below for bound, below in labels]
    exact, rounds = settled(bounds, scores, best)
    assert rounds <= MOST_ROUNDS + 1
    ranked = sorted(range(len(scores)), key=lambda k: -scores[k])
    left = [k for k in ranked if k not in exact]
    least_of_best = scores[ranked[min(best, len(ranked)) - 1]]
    assert all(bounds[k] < least_of_best for k in left), "one that is left could be among the best"
    assert set(ranked[: min(best, len(ranked))]) <= exact.keys() or best > len(ranked)
    assert len(exact) >= min(best, len(labels))
    computed = math.fsum(map(math.exp, exact.values()))
    assert math.fsum(math.exp(bounds[k]) for k in left) <= EPSILON * computed


@settings(deadline=None)
@given(labels_lists)
def test_no_label_is_left_when_the_best_are_as_many_as_there_are(labels: Labels) -> None:
    exact, _ = settled([bound for bound, _ in labels], [bound - below for bound, below in labels], len(labels))
    assert len(exact) == len(labels)


def test_a_peaked_distribution_computes_few() -> None:
    bounds = [-0.01, -6.0, *([-30.0] * 200)]
    exact, rounds = settled(bounds, [bound - 0.1 for bound in bounds], best=2)
    assert (sorted(exact), rounds) == ([0, 1], 1)


def test_a_flat_distribution_computes_all() -> None:
    exact, _ = settled([-5.0] * 200, [-6.0] * 200, best=2)
    assert len(exact) == 200


def test_a_bound_that_deceived_is_found_out() -> None:
    """The first label's bound is far above its score, so that those left out at first matter after all."""
    bounds = [0.0, -20.0, -21.0, -22.0]
    exact, rounds = settled(bounds, [-40.0, -20.5, -21.5, -22.5], best=1)
    assert rounds > 1
    assert len(exact) == 4


def test_after_most_rounds_everything_left_is_computed() -> None:
    bounds = [-1.0, -40.0, -41.0, -42.0]
    assert undecided(bounds, {0: -1.0}, 1, MOST_ROUNDS) == [1, 2, 3]
    assert undecided(bounds, {0: -1.0}, 1, MOST_ROUNDS - 1) == []


def test_what_could_tie_with_the_best_is_computed() -> None:
    assert undecided([-1.0, -2.0, -40.0, -40.1], {0: -1.0, 1: -40.0}, 2, 1) == [2]


def test_labels_that_are_all_out_of_reach_of_exp_are_told_apart_too() -> None:
    bounds = [-800.0, -800.1, -800.2, -800.3]
    exact, _ = settled(bounds, bounds, best=2)
    assert len(exact) == 4, "a third of the whole was left to its bounds"
