"""Teaching: the file says what was fitted on what, promises are judged by what no fit saw, bad input has its counts."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pinpoint.decide.task_file import Setup
from pinpoint.errors import RequestError
from pinpoint.evaluate import figures
from pinpoint.evaluate.choosing import choose
from pinpoint.evaluate.examples import make_examples
from pinpoint.evaluate.promises import Promises
from pinpoint.evaluate.task_parts import Measured
from pinpoint.evaluate.teaching import teach, teach_without_labels
from pinpoint.prompting.taxonomy import Label, Task
from tests.unit.evaluate.synthetic import measured

SETUP = Setup(model="m", revision="r", precision="int8", prompt_version=1, labels_sha="sha", engine="e")
OFFSETS = np.array([-1.0, -0.5, 0.5, 1.0])


def task_of(count: int, **changes: Any) -> Task:
    return replace(Task("kind", tuple(Label(f"l{k}", f"name {k}") for k in range(count))), **changes)


def examples(count: int, seed: int = 0, **off: Any) -> Measured:
    log_probs, right = measured(count, 4, seed, **off)
    return Measured(log_probs, right.tolist())


def test_the_reference_is_of_answers_by_fits_that_had_not_seen_the_document() -> None:
    """Later answers are compared with it, and they are by a fit that had not seen them."""
    some = examples(100, 3, temperature=3.0, offsets=OFFSETS)
    file = teach(task_of(4), SETUP, some).file
    told = make_examples(some.log_probs, measured(100, 4, 3)[1].tolist(), some.groups, None, [])
    unseen = np.exp(choose(told, np.zeros(4), 0).log_probs)
    expected = figures.reference(unseen, np.exp(some.log_probs).sum(axis=1), np.arange(4), 4)
    assert file.reference is not None
    assert file.reference.label_distribution == pytest.approx(expected.label_distribution)
    assert file.reference.confidence_histogram == pytest.approx(expected.confidence_histogram)
    seen = np.array([file.calibration().apply(row) for row in some.log_probs.tolist()])
    own = figures.reference(np.exp(seen), np.ones(100), np.arange(4), 4)
    assert own.confidence_histogram != expected.confidence_histogram, "these examples do not tell the two apart"


def test_what_is_taught_is_what_the_worker_applies() -> None:
    """The file's calibration gives the held-out documents the figures that the file tells."""
    some = examples(400, 1, temperature=3.0, offsets=OFFSETS)
    file = teach(task_of(4), SETUP, some, Promises(alphas=(0.1,))).file
    assert (file.task, file.kind, file.labels) == ("kind", "choice", ["name 0", "name 1", "name 2", "name 3"])
    assert (file.examples + file.held_out, file.held_out) == (400, 240)
    assert file.figures is not None and (file.figures.how, file.figures.n) == ("held_out", 240)
    assert file.figures.after.nll < file.figures.before.nll - 0.2
    assert file.figures.after.ece < file.figures.before.ece
    calibration = file.calibration()
    fresh_log_probs, fresh_right = measured(4000, 4, 2, temperature=3.0, offsets=OFFSETS)
    fresh = np.array([calibration.apply(row) for row in fresh_log_probs.tolist()])
    assert figures.scores(fresh, fresh_right).ece < 0.05
    assert file.reference is not None
    assert file.reference.n == 400
    assert math.fsum(file.reference.label_distribution) == pytest.approx(1)
    assert file.reference.mean_label_mass == pytest.approx(math.exp(-0.1))
    assert math.fsum(file.reference.confidence_histogram) == pytest.approx(1)


def test_without_promises_every_document_is_fitted_on_and_figures_are_cross_validated() -> None:
    file = teach(task_of(4), SETUP, examples(60, 3, temperature=3.0)).file
    assert (file.examples, file.held_out) == (60, 0)
    assert file.figures is not None and (file.figures.how, file.figures.n) == ("cross_validated", 60)


def test_the_same_seed_gives_the_same_file() -> None:
    first, again, other = (
        teach(task_of(4), SETUP, examples(150, 4), Promises(alphas=(0.1,)), seed).file for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_promise_is_made_where_documents_and_model_carry_it_and_else_refused_with_numbers() -> None:
    log_probs = np.log(np.full((300, 2), [0.9, 0.1]))
    sure = Measured(log_probs, [0] * 299 + [1])
    file = teach(task_of(2), SETUP, sure, Promises((0.001, 0.01, 0.05))).file
    assert file.held_out >= 230
    reasons = {one.target_error: (one.needed, one.reason) for one in file.refused_certificates}
    assert reasons[0.001][0] == 2302 and "290 can be held out" in reasons[0.001][1]
    assert [one.target_error for one in file.certificates] in ([0.05], [0.01, 0.05])
    assert file.held_out + file.examples == 300


def test_promises_that_are_impossible_hold_nothing_out() -> None:
    taught = teach(task_of(4), SETUP, examples(30, 5), Promises((0.01,), alphas=(0.01,)))
    assert taught.file.held_out == 0
    assert [one.needed for one in taught.file.refused_certificates] == [230]
    assert any("need 99 held-out documents" in note for note in taught.notes)


def test_a_mask_and_a_prior_are_taught_with() -> None:
    log_probs, right = measured(200, 3, 6)
    wide = np.insert(log_probs, 1, -0.01, axis=1)  # the masked label is the model's favourite
    task = task_of(4, mask=frozenset({"l1"}), prior={"l0": 1.0, "l2": 2.0, "l3": 1.0})
    file = teach(task, SETUP, Measured(wide, np.array([0, 2, 3])[right].tolist())).file
    assert (file.mask, file.prior) == ([1], [1.0, 1.0, 2.0, 1.0])
    assert file.calibration().apply(wide[0].tolist())[1] == -math.inf
    assert file.reference is not None and file.reference.label_distribution[1] == 0
    with pytest.raises(RequestError, match="unknown_label: 199 of 200"):
        teach(task, SETUP, Measured(wide, [0] + [1] * 199))


def test_answers_by_other_abstain_and_are_promised_nothing() -> None:
    """Sure and right where none of the labels holds, wrong half of the time elsewhere: only the former would pass."""
    log_probs = np.log([[0.02, 0.02, 0.96]] * 300 + [[0.6, 0.3, 0.1]] * 100)
    some = Measured(log_probs, [2] * 300 + [0, 1] * 50)
    plain = teach(task_of(3), SETUP, some, Promises((0.05,))).file
    assert [one.target_error for one in plain.certificates] == [0.05]
    file = teach(task_of(3, other="l2"), SETUP, some, Promises((0.05,))).file
    assert (file.other, file.certificates) == (2, [])


def test_yes_and_no_are_two_labels() -> None:
    log_probs, right = measured(60, 2, 7, temperature=3.0)
    task = Task("paid", (Label("paid", "It is paid."),), multi_label=True, kind="yes_no")
    file = teach(task, SETUP, Measured(log_probs, right.tolist())).file
    assert (file.labels, file.kind) == (["yes", "no"], "yes_no")


@pytest.mark.parametrize(
    ("right", "message"),
    [([0, 1, 0], "too_few_documents.*needs 10 labelled documents; there are 3"), ([2] * 12, "one_class: all 12")],
)
def test_what_nothing_can_be_learned_from_is_refused_with_its_counts(right: list[int], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        teach(task_of(4), SETUP, Measured(np.zeros((len(right), 4)), right))


def test_labels_without_examples_and_near_duplicates_are_counted() -> None:
    log_probs, right = measured(40, 3, 8)
    wide = np.insert(log_probs, 3, -5.0, axis=1)
    groups = [index // 2 for index in range(40)]
    notes = " ".join(teach(task_of(4), SETUP, Measured(wide, right.tolist(), groups)).notes)
    assert "1 of 4 labels have no example" in notes
    assert "20 of 40 documents are near-duplicates" in notes
    torn = sum(right[index] != right[index + 1] for index in range(0, 40, 2))
    assert torn and f"{torn} times documents that are near-duplicates have different labels" in notes


def test_copies_carry_no_promise() -> None:
    """60 documents, 12 of them different: with 10 for fits, 2 are left to judge."""
    log_probs, right = measured(60, 4, 11)
    copies = Measured(log_probs, right.tolist(), [index // 5 for index in range(60)])
    taught = teach(task_of(4), SETUP, copies, Promises((0.2,), alphas=(0.2,)))
    assert taught.file.held_out == 0
    assert "; 2 can be held out" in taught.file.refused_certificates[0].reason
    assert any("need 4 held-out documents, there are 0" in note for note in taught.notes)


def biased(count: int) -> Measured:
    log_probs, right = measured(count, 4, 9, offsets=2 * OFFSETS)
    return Measured(log_probs, right.tolist(), content_free=-2 * OFFSETS - 5)


def test_corrections_without_labels_are_offered_and_change_nothing_unasked() -> None:
    taught = teach(task_of(4), SETUP, biased(12))
    assert taught.file.fitted.offsets is None
    assert {one.name for one in taught.offered} == {"batch", "content_free"}
    assert all(one.changed > 0.1 for one in taught.offered)


@pytest.mark.parametrize("name", ["batch", "content_free"])
def test_a_correction_that_is_asked_for_lies_below_the_fits(name: Any) -> None:
    file = teach(task_of(4), SETUP, biased(400), Promises(label_free=name)).file
    assert (file.fits[0].name, file.fits[0].kept) == (name, True)
    assert file.fitted.offsets is not None
    assert file.fitted.offsets == pytest.approx(2 * OFFSETS, abs=0.8)
    flat = Measured(biased(400).log_probs, biased(400).right, content_free=10 * OFFSETS)
    refused = teach(task_of(4), SETUP, flat, Promises(label_free="content_free")).file
    assert (refused.fits[0].kept, "less than" in refused.fits[0].reason) == (False, True)


def test_without_any_label_there_is_a_correction_and_no_confidence() -> None:
    taught = teach_without_labels(task_of(4), SETUP, replace(biased(50), right=[]), "batch")
    assert not taught.file.fills_confidence
    assert taught.file.figures is None and taught.file.fitted.offsets is not None
    assert "of 50 answers" in taught.notes[0]
    with pytest.raises(RequestError, match="missing_field"):
        teach_without_labels(task_of(4), SETUP, examples(50), "content_free")


def test_figures_are_those_of_the_field() -> None:
    log_probs = np.log([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.9, 0.1]])
    right = np.array([0, 1, 1, 0])
    found = figures.scores(log_probs, right)
    assert found.accuracy == 0.75
    assert found.nll == pytest.approx(-np.log([0.8, 0.4, 0.7, 0.9]).mean())
    assert found.brier == pytest.approx(np.mean([2 * 0.04, 2 * 0.36, 2 * 0.09, 2 * 0.01]))
    assert found.auroc == 1.0
    assert found.ece == pytest.approx(np.mean([0.2, 0.6, 0.3, 0.1]))
    assert figures.scores(log_probs, np.array([0, 0, 1, 0])).auroc is None
    confidence, hit = np.array([0.5, 0.5, 0.9]), np.array([True, False, True])
    assert figures.auroc(confidence, hit) == 0.75
    assert figures.ece(np.full(100, 0.7), np.arange(100) < 70, bins=1) == pytest.approx(0)
