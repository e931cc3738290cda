"""What a taught task adds to an answer, and when it adds nothing."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.api.answer import Answer
from pinpoint.api.request import Options
from pinpoint.api.response import check_wire
from pinpoint.decide.decision import concluded, decide, decide_yes_no
from pinpoint.decide.task_file import Certificate
from pinpoint.decide.trust import Standing, Taught, standing, trusted
from tests.fakes import FakeEngine
from tests.task_files import TEMPERATURE, task_file, task_of

LABELS = ["invoice", "receipt", "contract"]
TASK = task_of({"labels": LABELS})
FILE = task_file(FakeEngine(), TASK)
TAUGHT = Taught(FILE, "d1", "category.json")
TARGET = Options(target_error=0.05)
SURE, UNSURE = [-0.01, -9.0, -12.0], [-1.0, -1.2, -1.4]


def answer_by(found: Standing, log_probs: list[float] = SURE, options: Options = TARGET) -> Answer:
    return trusted(decide(log_probs, TASK, options, found if isinstance(found, Taught) else None), options, found)


def test_scores_are_the_calibrated_ones_and_the_best_one_is_the_confidence() -> None:
    answer = answer_by(TAUGHT, UNSURE, Options(return_raw=True))
    total = math.fsum(math.exp(s / TEMPERATURE) for s in UNSURE)
    assert answer.scores == pytest.approx([math.exp(s / TEMPERATURE) / total for s in UNSURE])
    assert (answer.confidence, answer.calibration) == (answer.score, "d1")
    # What was measured stays what it was.
    assert answer.log_probs == tuple(UNSURE)
    assert answer.label_mass == pytest.approx(min(1.0, math.fsum(map(math.exp, UNSURE))))
    wire = answer.to_wire()
    assert wire["calibration"] == "d1" and not {"certified", "certificate", "prediction_set"} & wire.keys()
    plain = answer_by("no_task_file", UNSURE, Options(return_raw=True))
    assert (plain.confidence, "calibration" in plain.to_wire()) == (None, False)


def test_a_prior_comes_after_what_was_taught() -> None:
    task = task_of({"labels": LABELS, "prior": {"invoice": 1, "receipt": 8, "contract": 1}})
    taught = Taught(task_file(FakeEngine(), task))
    answer = trusted(decide(UNSURE, task, Options(), taught), Options(), taught)
    weights = [math.exp(s / TEMPERATURE) * p for s, p in zip(UNSURE, (1, 8, 1), strict=True)]
    assert answer.label == "receipt"
    assert answer.confidence == pytest.approx(weights[1] / math.fsum(weights))


@pytest.mark.parametrize(("log_probs", "why"), [(SURE, None), (UNSURE, "below_certified_threshold")])
def test_only_what_is_certified_is_accepted(log_probs: list[float], why: str | None) -> None:
    answer = answer_by(TAUGHT, log_probs)
    assert (answer.certified, answer.certified_why) == (why is None, why)
    assert (answer.decision, answer.reasons) == (("accept", ()) if why is None else ("review", (why,)))
    wire = answer.to_wire()
    assert wire["certificate"] == {"target_error": 0.05, "confidence_level": 0.9, "threshold": 0.5}
    check_wire(wire)


@given(st.lists(st.floats(-30, 0), min_size=3, max_size=3), st.sampled_from([0.01, 0.05, 0.2]))
def test_certified_and_accepted_are_one_but_for_other_reasons(log_probs: list[float], target: float) -> None:
    answer = answer_by(TAUGHT, log_probs, Options(target_error=target))
    assert answer.certified == (target >= 0.05 and answer.score >= 0.5)
    assert (answer.decision == "accept") == (answer.certified and "low_label_mass" not in answer.reasons)


NOT_CERTIFIED: dict[str, tuple[Standing, Options, str]] = {
    "no file": ("no_task_file", TARGET, "no_task_file"),
    "a refused one": ("task_file_refused", TARGET, "task_file_refused"),
    "a stricter target": (TAUGHT, Options(target_error=0.01), "not_certified_for_target"),
    "a higher level": (TAUGHT, Options(target_error=0.05, confidence_level=0.99), "not_certified_for_target"),
    "few examples": (
        Taught(task_file(FakeEngine(), TASK, examples=4, held_out=0)), TARGET, "too_few_examples",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("found", "options", "why"), NOT_CERTIFIED.values(), ids=NOT_CERTIFIED)
def test_what_is_not_certified_says_why_and_is_for_people(found: Standing, options: Options, why: str) -> None:
    answer = answer_by(found, options=options)
    assert (answer.certified, answer.certified_why, answer.decision, answer.reasons) == (False, why, "review", (why,))
    assert answer.to_wire()["certificate"] is None
    assert (answer.confidence is None) == (not isinstance(found, Taught) or not found.file.fills_confidence)


def test_the_nearest_promise_is_taken_whatever_its_threshold() -> None:
    promises = [
        Certificate(target_error=t, confidence_level=c, threshold=h, n_held_out=90, n_accepted=9, n_wrong=0, bound=t)
        for t, c, h in [(0.02, 0.9, 0.8), (0.05, 0.9, 0.97), (0.05, 0.95, 0.7), (0.1, 0.9, 0.1)]
    ]
    taught = Taught(task_file(FakeEngine(), TASK, certificates=promises))
    for options, threshold in (
        (Options(target_error=0.05), 0.97),
        (Options(target_error=0.07), 0.97),
        (Options(target_error=0.03), 0.8),
        (Options(target_error=0.05, confidence_level=0.91), 0.7),
    ):
        certificate = answer_by(taught, options=options).certificate
        assert certificate is not None and certificate.threshold == threshold


def test_an_abstention_is_not_certified_and_has_no_confidence() -> None:
    task = task_of({"labels": LABELS[:2], "other": True})
    taught = Taught(task_file(FakeEngine(), task))
    answer = trusted(decide([-9.0, -9.0, -0.01], task, TARGET, taught), TARGET, taught)
    assert (answer.label, answer.decision, answer.confidence) == (None, "abstain", None)
    assert (answer.certified, answer.certified_why, answer.reasons) == (False, "abstained", ("none_of_these",))


def test_a_task_of_yes_or_no_is_calibrated_too() -> None:
    task = task_of({"type": "yes_no", "instructions": "Is it paid?"})
    taught = Taught(task_file(FakeEngine(), task))
    answer = trusted(decide_yes_no(-0.5, -1.5, TARGET, taught), TARGET, taught)
    assert answer.probability == pytest.approx(1 / (1 + math.exp(-1 / TEMPERATURE)))
    assert (answer.confidence, answer.certified) == (answer.score, True)


@pytest.mark.parametrize(
    ("alpha", "log_probs", "shown"),
    [
        (0.1, SURE, ["invoice"]),
        (0.3, UNSURE, LABELS),
        (0.05, UNSURE, None),  # the file knows none so small
        (None, UNSURE, "absent"),
    ],
)
def test_sets_hold_the_best_label_and_all_that_may_be_right(
    alpha: float | None, log_probs: list[float], shown: object
) -> None:
    wire = answer_by(TAUGHT, log_probs, Options(alpha=alpha, top_k=1)).to_wire()
    assert wire.get("prediction_set", "absent") == shown
    assert len(wire["labels"]) == 1  # type: ignore[arg-type]


def test_a_set_has_its_best_label_however_unlikely() -> None:
    task = task_of({"labels": [f"label {k}" for k in range(9)]})
    taught = Taught(task_file(FakeEngine(), task))
    answer = decide([-3.0] * 8 + [-2.9], task, Options(alpha=0.1), taught)
    assert answer.prediction_set == ("label 8",)


STANDS: dict[str, tuple[dict[str, Any], Options, str | None]] = {
    "as taught": ({}, Options(), None),
    "with other thresholds and cuts": ({}, Options(threshold=0.3, top_k=2, explain=True), None),
    "refusing what does not fit": ({}, Options(long_document="error"), None),
    "by pages": ({}, Options(long_document="pages"), "other_reading"),
    "the first page": ({}, Options(first_pages=1), "other_reading"),
    "without dust": ({}, Options(ignore_blank_pages=True), "other_reading"),
    "read twice": ({}, Options(second_reading=True), "other_reading"),
    "a mask": ({"mask": ["receipt"]}, Options(), "other_mask_or_prior"),
    "a prior": ({"prior": dict.fromkeys(LABELS, 1.0)}, Options(), "other_mask_or_prior"),
}


@pytest.mark.parametrize(("asked", "options", "why"), STANDS.values(), ids=STANDS)
def test_a_file_counts_for_what_it_was_taught_with(asked: dict[str, Any], options: Options, why: str | None) -> None:
    assert standing(task_of({"labels": LABELS, **asked}), options, TAUGHT) == (TAUGHT if why is None else why)


def test_a_mask_and_a_prior_that_were_taught_count_in_whatever_unit() -> None:
    asked = {"labels": LABELS, "mask": ["receipt"], "prior": {"invoice": 1, "contract": 3}}
    taught = Taught(task_file(FakeEngine(), task_of(asked)))
    same = task_of({**asked, "prior": {"invoice": 0.25, "contract": 0.75}})
    assert standing(same, Options(), taught) is taught
    changes: list[dict[str, Any]] = [
        {"prior": {"invoice": 1, "contract": 2}},
        {"prior": None},
        {"mask": [], "prior": {"invoice": 1, "contract": 3, "receipt": 1}},
    ]
    for change in changes:
        assert standing(task_of({**asked, **change}), Options(), taught) == "other_mask_or_prior"


def test_a_label_that_abstains_is_not_one_that_is_answered() -> None:
    """The prompt is the same, what counts as an answer is not."""
    by_field = task_of({"labels": LABELS[:2], "other": "contract"})
    taught = Taught(task_file(FakeEngine(), by_field))
    assert standing(by_field, Options(), taught) is taught
    assert standing(TASK, Options(), taught) == "other_mask_or_prior"
    assert standing(by_field, Options(), TAUGHT) == "other_mask_or_prior"


def test_a_tree_is_answered_by_no_file() -> None:
    tree = task_of({"labels": [{"name": "paid", "children": LABELS[:2]}, LABELS[2]]})
    assert standing(tree, Options(), Taught(task_file(FakeEngine(), tree))) == "task_file_refused"


def test_a_file_of_another_kind_or_length_is_refused() -> None:
    """Its label set has the same digest: somebody wrote it by hand."""
    for task in (replace(TASK, kind="score"), task_of({"labels": [*LABELS, "letter"]})):
        assert standing(task, Options(), TAUGHT) == "task_file_refused"


def test_the_threshold_and_the_least_probability_are_reached_by_what_equals_them() -> None:
    plain = decide(UNSURE, TASK, Options(), TAUGHT)
    certificate = FILE.certificates[0].model_copy(update={"threshold": plain.score})
    sets = FILE.prediction_sets[0].model_copy(update={"least_probability": plain.scores[1]})
    taught = Taught(task_file(FakeEngine(), TASK, certificates=[certificate], prediction_sets=[sets]))
    answer = answer_by(taught, UNSURE, Options(target_error=0.05, alpha=0.1))
    assert answer.certified and answer.prediction_set == plain.labels[:2]


@pytest.mark.parametrize(("spread", "reasons"), [(0.2, ()), (0.21, ("order_sensitive",))])
def test_what_the_order_moves_is_held_against_the_margin(spread: float, reasons: tuple[str, ...]) -> None:
    plain = replace(decide(UNSURE, TASK, Options()), margin=0.2, order_spread=spread)
    assert concluded(plain, TASK, Options()).reasons == reasons
