"""Figures against values by hand, against scikit-learn's, and against the slow way."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import binomtest, chi2
from sklearn import metrics as sklearn

from pinpoint.errors import PinpointError
from pinpoint.evaluate import figures, metrics
from pinpoint.evaluate.compare import compare, mcnemar
from pinpoint.evaluate.labelled_file import NO_LABELS, set_name
from pinpoint.evaluate.outcomes import NOTHING, Outcomes, outcomes

NAMES = ["a", "b", "c", "d"]


def line(truth: str, scores: dict[str, float] | None, label: str | None = "", **more: Any) -> dict[str, Any]:
    """A line of answers.jsonl; the label is the best one, unless it is told."""
    head = {"id": f"{truth} {scores}", "truth": truth, "labels": NAMES}
    if scores is None:
        return {**head, "error": {"code": "empty_text"}}
    order = sorted(scores, key=lambda name: -scores[name])
    answer = {"label": order[0] if label == "" else label, "score": scores[order[0]], "confidence": None}
    return {**head, "answer": {**answer, "labels": order, "scores": [scores[name] for name in order], **more}}


@st.composite
def runs(draw: st.DrawFn) -> list[dict[str, Any]]:
    lines = list[dict[str, Any]]()
    for _ in range(draw(st.integers(1, 30))):
        weights = draw(st.lists(st.integers(1, 6), min_size=4, max_size=4))
        scores = {name: weight / sum(weights) for name, weight in zip(NAMES, weights, strict=True)}
        label: str | None = draw(st.sampled_from(["", "", "", None]))
        truth = draw(st.sampled_from(NAMES))
        lines.append(line(truth, None if draw(st.integers(0, 9)) == 0 else scores, label))
    return lines


@settings(max_examples=40)
@given(runs())
def test_figures_are_scikit_learn_s(lines: list[dict[str, Any]]) -> None:
    found = outcomes(lines)
    truth = [one["truth"] for one in lines]
    told = [one["answer"]["label"] or "-" if "answer" in one else "-" for one in lines]
    counts = metrics.confusion(found)
    assert metrics.accuracy(found) == pytest.approx(sklearn.accuracy_score(truth, told))
    assert counts.tolist() == sklearn.confusion_matrix(truth, told, labels=[*found.names, "-"])[:-1].tolist()
    each = sklearn.precision_recall_fscore_support(truth, told, labels=list(found.names), zero_division=0)
    np.testing.assert_allclose(metrics.per_label(counts), np.array(each, dtype=float).T)
    present = sorted(set(truth))
    macro = sklearn.f1_score(truth, told, labels=present, average="macro", zero_division=0)
    assert metrics.macro_f1(counts) == pytest.approx(macro)
    micro = sklearn.f1_score(truth, told, labels=list(found.names), average="micro", zero_division=0)
    assert metrics.micro_f1(counts) == pytest.approx(micro)
    kept = [one for one in lines if "answer" in one]
    if not kept:
        return
    right, score = found.right[found.answered], found.score[found.answered]
    right_labels = [one["truth"] for one in kept]
    matrix = np.array([[dict(zip(one["answer"]["labels"], one["answer"]["scores"], strict=True))[n] for n in NAMES]
                       for one in kept])  # fmt: skip
    assert metrics.nll(found.truth_score[found.answered]) == pytest.approx(
        sklearn.log_loss(right_labels, matrix, labels=NAMES)
    )
    onehot = np.array([[name == one for name in NAMES] for one in right_labels], dtype=float)
    assert found.brier[found.answered].mean() == pytest.approx(((matrix - onehot) ** 2).sum(axis=1).mean())
    assert found.rank[found.answered].min() >= 1
    one_kind = right.all() or not right.any()
    assert figures.auroc(score, right) == (None if one_kind else pytest.approx(sklearn.roc_auc_score(right, score)))


def test_figures_by_hand() -> None:
    lines = [
        line("a", {"a": 0.7, "b": 0.2, "c": 0.1, "d": 0.0}),
        line("b", {"a": 0.5, "b": 0.4, "c": 0.1, "d": 0.0}),
        line("b", {"a": 0.0, "b": 1.0, "c": 0.0, "d": 0.0}),
        line("c", {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}, None),
        line("a", None),
    ]
    found = outcomes(lines)
    assert found.names == ("a", "b", "c")
    assert found.answer.tolist() == [0, 0, 1, NOTHING, NOTHING]
    assert metrics.accuracy(found) == 2 / 5
    assert metrics.per_label(metrics.confusion(found)).tolist() == [
        [0.5, 0.5, 0.5, 2],
        [1, 0.5, 2 / 3, 2],
        [0, 0, 0, 1],
    ]
    assert metrics.macro_f1(metrics.confusion(found)) == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert metrics.micro_f1(metrics.confusion(found)) == pytest.approx(2 * (2 / 3) * (2 / 5) / (2 / 3 + 2 / 5))
    assert found.rank.tolist() == [1, 2, 1, 3, 0]
    assert metrics.top_k(found, 4) == {1: 2 / 5, 2: 3 / 5, 3: 4 / 5}
    assert metrics.nll(found.truth_score[found.answered]) == pytest.approx(-math.log(0.7 * 0.4 * 1 * 0.2) / 4)
    assert found.brier[:2].tolist() == pytest.approx([0.14, 0.62])
    told = metrics.with_intervals(found, 4)
    assert told["accuracy"]["value"] == 2 / 5 and told["accuracy_answered"]["value"] == 1 / 2
    low, high = told["accuracy"]["interval"]
    assert low < 2 / 5 < high


def test_a_calibrated_confidence_is_used_where_every_answer_has_one() -> None:
    scores = {"a": 0.9, "b": 0.1}
    with_one = line("a", scores, confidence=0.6)
    assert outcomes([with_one]).score.tolist() == [0.6] and outcomes([with_one]).calibrated
    assert outcomes([with_one, line("a", scores)]).score.tolist() == [0.9, 0.9]


def test_calibration_error_by_hand() -> None:
    """Two bins of twenty: one promises 0.9 and keeps 0.5, the other keeps what it promises."""
    score = np.repeat([0.9, 0.6], 20)
    right = np.tile([True, False], 20)
    right[20:] = [True] * 12 + [False] * 8
    assert metrics.bins(40) == 2 and metrics.bins(19) == 1 and metrics.bins(10_000) == metrics.MOST_BINS
    assert metrics.ece(score, right) == pytest.approx(0.2)


def test_the_floor_is_what_perfect_scores_have_by_chance() -> None:
    chance = np.random.default_rng(5)
    score = chance.uniform(0.5, 1, 400)
    mean, high = metrics.ece_floor(score)
    drawn = [metrics.ece(score, chance.random(400) < score) for _ in range(400)]
    assert mean == pytest.approx(np.mean(drawn), abs=4 * float(np.std(drawn)) / math.sqrt(400))
    assert np.mean(np.array(drawn) <= high) == pytest.approx(0.95, abs=0.04)
    assert metrics.ece_floor(chance.uniform(0.5, 1, 4000))[0] < mean / 2, "more documents, less chance"


scores_and_hits = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        arrays.arrays(np.float64, count, elements=st.sampled_from([0.2, 0.5, 0.7, 0.9])),
        arrays.arrays(np.bool_, count),
    )
)


@settings(max_examples=80)
@given(scores_and_hits)
def test_the_curve_is_the_mean_over_all_orders_of_equal_scores(drawn: tuple[Any, Any]) -> None:
    score, right = drawn
    risk, area = metrics.risk_coverage(score, right)
    chance = np.random.default_rng(0)
    for kept in range(1, len(score) + 1):
        order = sorted(range(len(score)), key=lambda k: -score[k])
        edge = score[order[kept - 1]]
        sure = [k for k in order if score[k] > edge]
        tied = [k for k in order if score[k] == edge]
        errors = float(sum(not right[k] for k in sure))
        errors += (kept - len(sure)) * sum(not right[k] for k in tied) / len(tied)
        assert risk[kept - 1] == pytest.approx(errors / kept)
    assert area == pytest.approx(risk.mean())
    shuffled = chance.permutation(len(score))
    np.testing.assert_allclose(metrics.risk_coverage(score[shuffled], right[shuffled])[0], risk)
    assert metrics.coverage_at(risk, 1.0) == 1.0


@pytest.mark.parametrize(("hits", "count"), [(0, 7), (7, 7), (3, 10), (581, 600)])
def test_exact_intervals(hits: int, count: int) -> None:
    exact = binomtest(hits, count).proportion_ci(0.95, method="exact")
    assert metrics.clopper_pearson(hits, count) == pytest.approx((exact.low, exact.high))


def test_samples_are_of_whole_groups() -> None:
    groups = np.array([3, 3, 3, 8, 9])
    for sample in metrics.resamples(groups)[:50]:
        counts = np.bincount(sample, minlength=5)
        assert counts[0] == counts[1] == counts[2]
        assert counts[0] + counts[3] + counts[4] == 3, "as many groups as there are"
    wide = metrics.interval(lambda sample: float(sample.mean()), metrics.resamples(np.arange(40) // 10))
    narrow = metrics.interval(lambda sample: float(sample.mean()), metrics.resamples(np.arange(40)))
    assert wide is not None and narrow is not None and wide[1] - wide[0] > narrow[1] - narrow[0]
    assert metrics.interval(lambda sample: None, metrics.resamples(np.arange(4))) is None


def test_a_share_s_interval_is_exact_and_wider_where_documents_are_alike() -> None:
    hits = np.arange(40) < 39
    alone = np.arange(40)
    assert metrics.of_share(hits, alone, metrics.resamples(alone)) == metrics.clopper_pearson(39, 40)
    all_right = np.ones(40, dtype=bool)
    assert metrics.of_share(all_right, alone // 4, metrics.resamples(alone // 4)) == metrics.clopper_pearson(10, 10)
    # Ten groups of four that are right or wrong together are worth ten documents.
    together = np.repeat(np.arange(10) < 7, 4)
    low, high = metrics.of_share(together, alone // 4, metrics.resamples(alone // 4))
    assert (low, high) == pytest.approx(metrics.clopper_pearson(7, 10), abs=0.03)


def test_intervals_of_shares_hold_what_they_say() -> None:
    """In 300 draws of 25 groups of two, the truth lies outside of a 95 % interval about as often as it should."""
    chance = np.random.default_rng(11)
    groups = np.arange(50) // 2
    samples = metrics.resamples(groups)[:200]
    missed = 0
    for _ in range(300):
        low, high = metrics.of_share(np.repeat(chance.random(25) < 0.9, 2), groups, samples)
        missed += not low <= 0.9 <= high
    assert missed <= 24, "15 expected at most; above 24 once in a hundred"


@pytest.mark.parametrize("refused", [False, True])
def test_extremes_have_exact_intervals_and_no_auroc(refused: bool) -> None:
    found: Outcomes = outcomes([line("a", None if refused else {"a": 1.0, "b": 0.0})] * 10)
    told = metrics.with_intervals(found, 2)
    assert told["auroc"] == {"value": None, "interval": None}
    if refused:
        assert told["accuracy"]["interval"] == metrics.clopper_pearson(0, 10) and told["nll"]["value"] is None
    else:
        assert told["accuracy"]["interval"] == metrics.clopper_pearson(10, 10) and told["nll"]["value"] == 0


def test_mcnemar_by_hand_and_against_its_approximation() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 0) == pytest.approx(2 / 32)
    assert mcnemar(0, 5) == mcnemar(5, 0)
    assert mcnemar(60, 40) == pytest.approx(chi2.sf((20 - 1) ** 2 / 100, 1), abs=0.002)


def test_runs_are_compared_on_the_documents_that_both_have() -> None:
    now = [{"key": key, "right": right} for key, right in [("a", True), ("b", True), ("c", False), ("x", True)]]
    then = [{"key": key, "right": right} for key, right in [("c", True), ("b", False), ("a", True), ("y", True)]]
    told = compare(now, then)
    assert (told["documents"], told["only_here"], told["only_there"]) == (3, 1, 1)
    assert (told["gained"], told["lost"], told["p"]) == (1, 1, 1.0)
    assert compare([now[0]] * 2, [then[2]])["documents"] == 1, "each is taken once"
    with pytest.raises(PinpointError) as caught:
        compare(now[:2], then[3:])
    assert caught.value.code == "output_of_another_run"


def line_of_sets(truth: frozenset[str], chosen: frozenset[str] | None) -> dict[str, Any]:
    head = {"id": f"{truth} {chosen}", "truth": sorted(truth), "labels": NAMES}
    if chosen is None:
        return {**head, "error": {"code": "empty_text"}}
    scores = [0.8 if name in chosen else 0.3 for name in NAMES]
    answer = {"label": None, "score": max(scores), "confidence": None, "labels": NAMES, "scores": scores}
    return {**head, "answer": {**answer, "chosen": sorted(chosen)}}


sets = st.frozensets(st.sampled_from(NAMES))


@settings(max_examples=40)
@given(st.lists(st.tuples(sets, st.none() | sets), min_size=1, max_size=20))
def test_figures_of_sets_are_those_of_scikit_learn(told: list[tuple[frozenset[str], frozenset[str] | None]]) -> None:
    """A refused document has none of its labels, and is wrong whatever they are."""
    found = outcomes([line_of_sets(*one) for one in told])
    truth = np.array([[name in one for name in NAMES] for one, _ in told])
    answer = np.array([[name in (one or ()) for name in NAMES] for _, one in told])
    assert found.table is not None
    np.testing.assert_allclose(
        metrics.per_label_of_sets(found.table, np.arange(len(told))).T,
        sklearn.precision_recall_fscore_support(truth, answer, zero_division=0),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "RESAMPLES", 2)  # intervals are not looked at
        values = {name: one["value"] for name, one in metrics.with_intervals(found, 4).items()}
    assert values["micro_f1"] == pytest.approx(sklearn.f1_score(truth, answer, average="micro", zero_division=0))
    having = np.flatnonzero(truth.any(axis=0))
    macro = sklearn.f1_score(truth, answer, average="macro", labels=having, zero_division=0) if len(having) else 0.0
    assert values["macro_f1"] == pytest.approx(macro)
    assert values["wrong_labels"] == pytest.approx(sklearn.hamming_loss(truth, answer))
    read = np.array([one is not None for _, one in told])
    assert values["accuracy"] == pytest.approx((read & (truth == answer).all(axis=1)).mean())
    if read.any():
        assert values["accuracy_answered"] == pytest.approx(sklearn.accuracy_score(truth[read], answer[read]))


label = st.text('ab+ "()', min_size=1, max_size=6).map(str.strip).filter(bool) | st.just(NO_LABELS)


@given(st.frozensets(label, max_size=3), st.frozensets(label, max_size=3))
def test_no_two_sets_have_one_name(first: frozenset[str], second: frozenset[str]) -> None:
    assert (set_name([*first]) == set_name([*second])) == (first == second)


def test_sets_that_would_be_called_alike_are_told_apart() -> None:
    assert set_name(["b", "a"]) == "a + b" != set_name(["a + b"])
    assert set_name([]) == NO_LABELS != set_name([NO_LABELS])
