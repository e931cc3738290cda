"""Several labels to a document: fits find what is known, promises about whole sets hold, the worker does the same."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pinpoint.api.request import Options
from pinpoint.decide.decision import decide_multi
from pinpoint.decide.task_file import Setup
from pinpoint.decide.trust import OTHER_MASK_OR_PRIOR, OTHER_THRESHOLD, TASK_FILE_REFUSED, Taught, standing, trusted
from pinpoint.errors import RequestError
from pinpoint.evaluate import label_sets
from pinpoint.evaluate.choosing import Tried
from pinpoint.evaluate.promises import Promises
from pinpoint.evaluate.task_parts import Measured, as_states, fit_of, mass
from pinpoint.evaluate.teaching import teach
from pinpoint.prompting.taxonomy import Label, Task

SETUP = Setup(model="m", revision="r", precision="int8", prompt_version=1, labels_sha="sha", engine="e")
OFFSETS = np.array([-6.0, -1.0, -4.0, 0.0])  # a model that says yes too often, to some labels more
Floats = NDArray[np.float64]


def task_of(**changes: Any) -> Task:
    return replace(Task("kind", tuple(Label(f"l{k}", f"name {k}") for k in range(4)), multi_label=True), **changes)


def drawn(count: int, seed: int, temperature: float = 2.0, spread: float = 8.0) -> tuple[Floats, list[tuple[int, ...]]]:
    """Log-odds [n, 4] of a model that is off by `OFFSETS` and a temperature, and the right sets."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.0, spread, size=(count, 4))
    right = rng.random(true.shape) < 1 / (1 + np.exp(-true))
    return (true - OFFSETS) * temperature, [tuple(np.flatnonzero(row).tolist()) for row in right]


def measured(count: int, seed: int, **off: Any) -> Measured:
    odds, right = drawn(count, seed, **off)
    return Measured(odds, right, masses=np.full(count, 0.9))


def answers(odds: Floats, task: Task, taught: Taught, mass: float = 1.0, **options: Any) -> list[Any]:
    asked = Options(**options)
    return [trusted(decide_multi(row, [mass] * 4, task, asked, taught), asked, taught) for row in odds.tolist()]


def test_fits_find_the_temperature_and_the_offsets() -> None:
    odds, right = drawn(3000, 0, spread=3.0)
    some = label_sets.make_label_sets(odds, right, None, None, [])
    found = label_sets.fit(some, each=True)
    assert found.temperature == pytest.approx(2.0, rel=0.1)
    assert found.offsets == pytest.approx(OFFSETS, abs=0.4)
    shared = label_sets.fit(some, each=False)
    assert np.ptp(shared.offsets) == 0 and shared.offsets[0] < -1


def test_the_gradient_is_that_of_the_loss() -> None:
    """What L-BFGS found is a minimum by values alone."""
    odds, right = drawn(60, 1)
    some = label_sets.make_label_sets(odds, right, None, [0.2, 0.5, 0.6, 0.9], [])
    found = label_sets.fit(some, each=True)
    shared = np.float64(found.offsets.mean())

    def loss(temperature: float, offsets: Floats) -> float:
        z = some.odds / temperature + some.log_prior + offsets
        rival = label_sets.rivals(some.measured, some.right)
        b = np.linspace(shared - 5, shared + 5, 2001)  # the best split into a shared part and each label's own
        own = ((offsets[None, :] - b[:, None]) ** 2).sum(axis=1) / 2 + b**2 / 8
        value = label_sets.nll(z, some.right).sum() + label_sets.nll(z, rival).mean()
        return float(value + own.min() + np.log(temperature) ** 2 / 0.5)

    best = loss(found.temperature, found.offsets)
    for step in (-0.05, 0.05):
        assert loss(found.temperature * np.exp(step), found.offsets) > best
        for label in range(4):
            moved = found.offsets.copy()
            moved[label] += step
            assert loss(found.temperature, moved) > best


def test_the_rival_is_the_likeliest_set_beside_the_right_one() -> None:
    z = np.array([[2.0, -0.5, 3.0], [2.0, -0.5, 3.0]])
    right = np.array([[True, False, True], [False, False, True]])
    assert label_sets.rivals(z, right).tolist() == [[True, True, True], [True, False, True]]


def test_mistakes_that_come_together_are_told_by_the_power() -> None:
    """Of documents that are all right or all wrong, a set is as likely right as one label of it."""
    rng = np.random.default_rng(5)
    sure = np.full((2000, 4), 1.5)
    together = np.repeat(rng.random((2000, 1)) < 1 / (1 + np.exp(-1.5)), 4, axis=1)
    apart = rng.random((2000, 4)) < 1 / (1 + np.exp(-1.5))
    powers = [
        label_sets.fit_together(label_sets.log_sure(sure), np.asarray(one.all(axis=1))) for one in (together, apart)
    ]
    assert powers == pytest.approx([0.25, 1.0], abs=0.05)


def test_what_is_taught_is_what_the_worker_applies() -> None:
    file = teach(task_of(), SETUP, measured(400, 1), Promises((0.1,), alphas=(0.1,))).file
    assert (file.sets, file.kind, file.labels) == (True, "choice", [f"name {k}" for k in range(4)])
    assert [fit.kept for fit in file.fits][:2] == [True, True]
    assert file.figures is not None
    assert file.figures.after.accuracy > file.figures.before.accuracy + 0.1
    assert file.figures.after.nll < file.figures.before.nll
    odds, right = drawn(2000, 2)
    found = answers(odds, task_of(), Taught(file), target_error=0.1, alpha=0.1)
    hit = np.array([set(one.chosen) == {f"l{k}" for k in truth} for one, truth in zip(found, right, strict=True)])
    confidence = np.array([one.confidence for one in found])
    assert hit.mean() == pytest.approx(file.figures.after.accuracy, abs=0.08)
    assert confidence.mean() == pytest.approx(hit.mean(), abs=0.04)
    held = [{f"l{k}" for k in truth} <= set(one.prediction_set) for one, truth in zip(found, right, strict=True)]
    assert 0.87 < np.mean(held) < 0.95  # no more than was asked for, either: all labels would hold everything
    (certificate,) = file.certificates
    certified = np.array([one.certified for one in found])
    assert (certified == (confidence >= certificate.threshold)).all()
    assert (~hit[certified]).mean() <= 0.1 + 0.03
    # A set without a label is an answer; one that is not certified is for people.
    empty = [one for one in found if not one.chosen]
    assert empty and {(one.label, one.certified, one.decision) for one in empty} <= {
        (None, True, "accept"), (None, False, "abstain"),
    }  # fmt: skip
    assert {one.decision for one in found if one.chosen} == {"accept", "review"}
    cut = answers(odds[:200], task_of(), Taught(file), top_k=1)
    assert [one.chosen for one in cut] == [one.chosen for one in found[:200]]
    assert {len(one.labels) for one in cut} == {1}
    # Nor is anything accepted where the model would have said something else than yes or no.
    unsure = answers(odds[:200], task_of(), Taught(file), 0.01, target_error=0.1)
    assert {(one.decision, bool(one.chosen)) for one in unsure} == {("review", True), ("abstain", False)}
    assert any(one.certified and not one.chosen for one in unsure)


def test_a_fit_is_judged_by_documents_that_it_has_not_seen() -> None:
    """Of a model that is right as it is, 30 offsets from 24 documents are chance: on these alone they gain 0.5 nats."""
    rng = np.random.default_rng(3)
    z = rng.normal(0, 1, (24, 30))
    some = label_sets.LabelSets(z, rng.random(z.shape) < 1 / (1 + np.exp(-z)), np.arange(24), np.zeros(30))
    seen = label_sets.fit(some, each=True).log_odds(some)
    assert label_sets.nll(seen, some.right).mean() < label_sets.nll(z, some.right).mean() - 0.4
    chosen = label_sets.choose(some)
    assert not any(one.kept for one in chosen.tried) and (chosen.log_odds == z).all()


def test_the_power_is_in_the_confidence_that_the_worker_says() -> None:
    """Of three documents in ten the model has not understood a word: all labels of them are a matter of chance."""
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 4, (1300, 4))
    true = np.where(rng.random((1300, 1)) < 0.3, -odds, odds)
    right = [tuple(np.flatnonzero(row).tolist()) for row in rng.random(true.shape) < 1 / (1 + np.exp(-true))]
    file = teach(task_of(), SETUP, Measured(odds[:300], right[:300], masses=np.ones(300))).file
    assert file.fits[2].name == "together" and file.fits[2].kept and file.fitted.together < 0.7
    found = answers(odds[300:], task_of(), Taught(file))
    hit = [set(one.chosen) == {f"l{k}" for k in truth} for one, truth in zip(found, right[300:], strict=True)]
    assert np.mean([one.confidence for one in found]) == pytest.approx(np.mean(hit), abs=0.04)


def test_promises_about_sets_are_kept() -> None:
    """Over draws of the examples: of accepted sets at most 15 % are wrong, in at least nine of ten draws."""
    odds, right = drawn(4000, 99)
    truth = label_sets.make_label_sets(odds, right, None, None, [])
    broken = made = 0
    for seed in range(30):
        rows = np.random.default_rng(seed).choice(len(right), 200, replace=True)
        some = Measured(odds[rows], [right[row] for row in rows], rows.tolist(), masses=np.ones(200))
        file = teach(task_of(), SETUP, some, Promises((0.15,)), seed).file
        for certificate in file.certificates:
            made += 1
            z = odds / file.fitted.temperature + np.array(file.fitted.offsets)
            accepted = np.exp(label_sets.log_sure(z) * file.fitted.together) >= certificate.threshold
            wrong = ~label_sets.set_right(z, truth.right)
            broken += wrong[accepted].mean() > 0.15
    assert made >= 15
    assert broken <= 7  # of 30 at one in ten, more are seen once in a hundred


def test_a_file_counts_for_sets_alone_with_their_mask_prior_and_threshold() -> None:
    task = task_of(mask=frozenset({"l3"}), prior={"l0": 0.2, "l1": 0.2, "l2": 0.4})
    odds, right = drawn(100, 3)
    some = Measured(odds, [tuple(k for k in one if k != 3) for one in right], masses=np.ones(100))
    taught = Taught(teach(task, SETUP, some).file)
    assert taught.file.mask == [3] and taught.file.prior == pytest.approx([0.2, 0.2, 0.4, 0.5])
    assert standing(task, Options(), taught) is taught
    assert standing(task, Options(threshold=0.5), taught) is taught
    assert standing(task, Options(threshold=0.4), taught) == OTHER_THRESHOLD
    assert standing(replace(task, mask=frozenset()), Options(), taught) == OTHER_MASK_OR_PRIOR
    doubled = replace(task, prior={"l0": 0.4, "l1": 0.4, "l2": 0.8})
    assert standing(doubled, Options(), taught) == OTHER_MASK_OR_PRIOR  # not in any unit: of each label for itself
    assert standing(replace(task, multi_label=False), Options(), taught) == TASK_FILE_REFUSED
    (answer,) = answers(odds[:1], task, taught)
    assert "l3" not in answer.labels and answer.confidence is not None


def test_what_nothing_can_be_learned_from_is_refused_with_its_counts() -> None:
    odds, right = drawn(60, 4)
    with pytest.raises(RequestError, match=r"too_few_documents.*there are 9"):
        teach(task_of(), SETUP, Measured(odds[:9], right[:9]))
    with pytest.raises(RequestError, match="one_class: all 60 labelled documents have the same labels"):
        teach(task_of(), SETUP, Measured(odds, [(1, 2)] * 60))
    with pytest.raises(RequestError, match=r"unknown_label: \d+ of 60 examples"):
        teach(task_of(mask=frozenset({"l0"})), SETUP, Measured(odds, right))
    with pytest.raises(RequestError, match="60 labelled documents, of which 2 differ"):
        teach(task_of(), SETUP, Measured(odds, right, [0, 1] * 30))
    taught = teach(task_of(), SETUP, Measured(odds, [(0,), ()] * 30, masses=np.ones(60)), Promises((0.01,)))
    assert "3 of 4 labels are such that no document has them: nothing is learned about them" in taught.notes
    assert "30 of 60 documents have no label: none of the labels applies to them" in taught.notes
    assert taught.file.refused_certificates[0].needed == 230


def test_masked_labels_go_and_priors_and_odds_that_are_no_numbers_are_bounded() -> None:
    odds = np.array([[1e9, -np.inf, 2.0], [0.5, 0.0, -1.0]])
    some = label_sets.make_label_sets(odds, [(0,), ()], None, [0.2, 0.5, 0.9], [2])
    assert np.isfinite(some.odds).all() and some.odds[1].tolist() == [0.5, 0.0]
    assert some.odds[0, 0] == -some.odds[0, 1] > 10
    assert some.right.tolist() == [[True, False], [False, False]]
    assert some.log_prior == pytest.approx([np.log(0.25), 0.0])


def test_no_document_is_judged_by_a_fit_that_has_seen_it(monkeypatch: pytest.MonkeyPatch) -> None:
    odds, right = drawn(45, 6)
    some = label_sets.make_label_sets(odds, right, None, None, [])
    fold = np.arange(45) // 20  # 20, 20 and 5
    found, _ = label_sets._cross_validated(
        some, label_sets.rivals(some.measured, some.right),
        lambda seen: label_sets.Parameters(1.0, np.full(4, float(len(seen)))), [fold],
    )  # fmt: skip
    assert found - some.odds == pytest.approx(np.repeat([25.0, 25.0, 40.0], [20, 20, 5])[:, None] * np.ones(4))
    seen, plain = list[int](), label_sets.fit_together

    def noting(sure: Floats, is_right: NDArray[np.bool_]) -> float:
        seen.append(len(sure))
        return plain(sure, is_right)

    monkeypatch.setattr(label_sets, "fit_together", noting)
    label_sets.choose(some)
    assert seen and min(seen) > 30


def test_few_documents_move_the_power_little_and_offsets_take_more_than_a_temperature() -> None:
    certain = np.full(3, np.log(0.5))
    assert 0.6 < label_sets.fit_together(certain, np.ones(3, dtype=bool)) < 1
    odds, right = drawn(15, 7)
    tried = label_sets.choose(label_sets.make_label_sets(odds, right, None, None, [])).tried
    assert [one.reason for one in tried[1:]] == ["needs 20 examples, there are 15"] * 2


def test_what_is_counted_of_measurements() -> None:
    log_probs = np.log([[0.5, 0.25, 0.125], [1.0, 1.0, 1.0]])
    assert mass(Measured(log_probs, [0, 1]), np.array([0, 2])) == pytest.approx([0.625, 2.0])
    assert as_states([[1.0, 2.0], []]) is None and as_states([]) is None
    states = as_states([[1.0, 2.0], [3.0, 4.0]])
    assert states is not None and states.shape == (2, 2)
    assert fit_of(Tried("offsets", True, "gains", 0.5, 0.2, 0.01)).gain == pytest.approx(0.3)
