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
from pinpoint.engine.readings import STATE_FLOATS
from pinpoint.errors import RequestError
from pinpoint.evaluate import label_sets, set_fits
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
    found = set_fits.fit(some, each=True)
    assert found.temperature == pytest.approx(2.0, rel=0.1)
    assert found.offsets == pytest.approx(OFFSETS, abs=0.4)
    shared = set_fits.fit(some, each=False)
    assert np.ptp(shared.offsets) == 0 and shared.offsets[0] < -1


def test_the_gradient_is_that_of_the_loss() -> None:
    """What L-BFGS found is a minimum by values alone."""
    odds, right = drawn(60, 1)
    some = label_sets.make_label_sets(odds, right, None, [0.2, 0.5, 0.6, 0.9], [])
    found = set_fits.fit(some, each=True)
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
        set_fits.fit_together(label_sets.log_sure(sure), np.asarray(one.all(axis=1))) for one in (together, apart)
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
    seen = set_fits.fit(some, each=True).log_odds(some)
    assert label_sets.nll(seen, some.right).mean() < label_sets.nll(z, some.right).mean() - 0.4
    chosen = set_fits.choose(some)
    assert not any(one.kept for one in chosen.tried) and (chosen.log_odds == z).all()


def test_the_power_is_in_the_confidence_that_the_worker_says() -> None:
    """Of three documents in ten the model has not understood a word: all labels of them are a matter of chance."""
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 4, (1300, 4))
    true = np.where(rng.random((1300, 1)) < 0.3, -odds, odds)
    right = [tuple(np.flatnonzero(row).tolist()) for row in rng.random(true.shape) < 1 / (1 + np.exp(-true))]
    file = teach(task_of(), SETUP, Measured(odds[:300], right[:300], masses=np.ones(300))).file
    assert file.fits[-1].name == "together" and file.fits[-1].kept and file.fitted.together < 0.7
    found = answers(odds[300:], task_of(), Taught(file))
    hit = [set(one.chosen) == {f"l{k}" for k in truth} for one, truth in zip(found, right[300:], strict=True)]
    assert np.mean([one.confidence for one in found]) == pytest.approx(np.mean(hit), abs=0.04)


def test_promises_about_sets_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over draws of the examples: of accepted sets at most 15 % are wrong, in at least nine of ten draws."""
    monkeypatch.setattr(set_fits, "HEAD_SPREADS", (6.0,))  # of three, for time's sake
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


def with_states(count: int, seed: int, lie: float = 0.0) -> tuple[label_sets.LabelSets, Floats, list[tuple[int, ...]]]:
    """Log-odds that are noise; which labels are right stands in each label's own state, which has three directions."""
    rng, same = np.random.default_rng(seed), np.random.default_rng(0)
    said, odds = rng.normal(size=(count, 4, 3)), rng.normal(size=(count, 4))
    states = said @ same.normal(size=(3, STATE_FLOATS)) + 0.1 * rng.normal(size=(count, 4, STATE_FLOATS))
    right = [tuple(np.flatnonzero(row).tolist()) for row in (said * same.normal(size=(4, 3))).sum(axis=2) > 0.5]
    flat = (states + lie).reshape(count, -1)
    return label_sets.make_label_sets(odds, right, None, None, [], flat), flat, right


def test_what_log_odds_do_not_say_the_states_of_the_questions_may() -> None:
    some, _, _ = with_states(500, 1, lie=3.0)
    found = set_fits.choose(some)
    by_name = {one.name: one for one in found.tried}
    assert by_name["state"].kept and not by_name["head"].kept and found.parameters.head is None
    fresh, _, _ = with_states(500, 2, lie=3.0)
    taught, plain = found.parameters.log_odds(fresh), set_fits.fit(some, each=True).log_odds(fresh)
    assert label_sets.nll(taught, fresh.right).mean() < label_sets.nll(plain, fresh.right).mean() - 0.5
    # Cross-validated as on what nobody has seen, by fewer documents a fit.
    seen = label_sets.nll(found.log_odds, some.right).mean()
    assert seen == pytest.approx(label_sets.nll(taught, fresh.right).mean(), rel=0.25)
    assert some.states is not None
    shuffled = replace(some, states=np.random.default_rng(3).permutation(some.states))
    assert not any(one.kept for one in set_fits.choose(shuffled).tried if one.name == "state")


def test_a_label_that_follows_from_others_is_found_by_their_log_odds() -> None:
    """Of four labels the last is right just where the first is, and the model says nothing of it."""
    odds, right = drawn(300, 8, temperature=1.0, spread=3.0)
    odds[:, 3] = np.random.default_rng(9).normal(size=300)
    right = [(*(k for k in one if k != 3), *((3,) if 0 in one else ())) for one in right]
    some = label_sets.make_label_sets(odds, right, None, None, [])
    found = set_fits.choose(some)
    by_name = {one.name: one for one in found.tried}
    head = found.parameters.head
    assert by_name["head"].kept and head is not None
    assert head[3, 0] == head.max() and head[3, 0] > 2 * np.abs(head[3, 1:]).max()


def test_states_are_looked_at_from_where_they_lie() -> None:
    """Offsets hold the centre: states that are all moved say nothing else."""
    (here, _, _), (there, _, _) = with_states(80, 4), with_states(80, 4, lie=5.0)
    first, second = set_fits.fit_state(here), set_fits.fit_state(there)
    assert first.state == pytest.approx(second.state, abs=1e-4)
    assert first.log_odds(here) == pytest.approx(second.log_odds(there), abs=1e-3)


@pytest.mark.parametrize("fitter", [set_fits.fit_state, set_fits.fit_head])
def test_the_gradient_of_a_head_is_that_of_its_loss(fitter: Any) -> None:
    some, _, _ = with_states(60, 5)
    some = replace(some, states=None if some.states is None else some.states[:, :, :3])
    found = fitter(some, spread=2.0)
    seen = set_fits._states(some) if found.head is None else set_fits._features(some)
    weights, mean = (found.state if found.head is None else found.head), seen.mean(axis=0)
    rival = label_sets.rivals(some.measured, some.right)
    length = np.sqrt(((seen - mean) ** 2).sum(axis=-1).mean())
    width = 2.0 / (length if found.head is None else max(length, 1.0))

    def moved(head: Floats) -> Floats:
        return np.asarray((seen - mean) @ head.T if seen.ndim == 2 else ((seen - mean) * head).sum(axis=2))

    def loss(head: Floats) -> float:
        z = found.log_odds(some) + moved(head) - moved(weights)
        value = label_sets.nll(z, some.right).sum() + label_sets.nll(z, rival).mean()
        return float(value + (head**2).sum() / (2 * width**2))

    for label in range(4):
        for column in range(weights.shape[1]):
            step = np.zeros_like(weights)
            step[label, column] = 0.02
            assert min(loss(weights + step), loss(weights - step)) > loss(weights)


def test_a_head_on_states_is_what_the_worker_applies_and_its_promises_are_kept() -> None:
    task, broken, made = task_of(mask=frozenset({"l3"})), 0, 0
    population, flat, right = with_states(3000, 7)
    right = [tuple(k for k in one if k != 3) for one in right]
    odds = population.odds
    truth = label_sets.make_label_sets(odds, right, None, None, [3], flat)
    for seed in range(10):
        rows = np.random.default_rng(seed).choice(len(right), 260, replace=True)
        some = Measured(odds[rows], [right[row] for row in rows], rows.tolist(), states=flat[rows], masses=np.ones(260))
        file = teach(task, SETUP, some, Promises((0.2,)), seed).file
        assert file.fitted.state is not None and file.fitted.state[3] == [0.0] * STATE_FLOATS
        fitted = set_fits.Parameters(
            file.fitted.temperature, np.array(file.fitted.offsets)[:3], state=np.array(file.fitted.state)[:3]
        )
        z = fitted.log_odds(truth)
        sure, wrong = np.exp(label_sets.log_sure(z) * file.fitted.together), ~label_sets.set_right(z, truth.right)
        for one in file.certificates:
            made += 1
            broken += wrong[sure >= one.threshold].mean() > 0.2
    assert made >= 6 and broken <= 4  # of 10 at one in ten, more are seen once in six hundred
    for row in range(20):
        asked = flat[row].reshape(4, STATE_FLOATS).tolist()
        answer = decide_multi(odds[row].tolist(), [1.0] * 4, task, Options(), Taught(file), asked)
        assert set(answer.chosen or ()) == {f"l{k}" for k in np.flatnonzero(z[row] >= 0)}
        assert answer.set_probability == pytest.approx(sure[row], rel=1e-4)


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
    found, _ = set_fits._cross_validated(
        some, label_sets.rivals(some.measured, some.right),
        lambda seen: set_fits.Parameters(1.0, np.full(4, float(len(seen)))), [fold],
    )  # fmt: skip
    assert found - some.odds == pytest.approx(np.repeat([25.0, 25.0, 40.0], [20, 20, 5])[:, None] * np.ones(4))
    seen, plain = list[int](), set_fits.fit_together

    def noting(sure: Floats, is_right: NDArray[np.bool_]) -> float:
        seen.append(len(sure))
        return plain(sure, is_right)

    monkeypatch.setattr(set_fits, "fit_together", noting)
    set_fits.choose(some)
    assert seen and min(seen) > 30


def test_few_documents_move_the_power_little_and_offsets_take_more_than_a_temperature() -> None:
    certain = np.full(3, np.log(0.5))
    assert 0.6 < set_fits.fit_together(certain, np.ones(3, dtype=bool)) < 1
    odds, right = drawn(15, 7)
    tried = set_fits.choose(label_sets.make_label_sets(odds, right, None, None, [])).tried
    reasons = [one.reason for one in tried[1:]]
    assert reasons == [f"needs {least} examples, there are 15" for least in (20, 50, 20)]


def test_what_is_counted_of_measurements() -> None:
    log_probs = np.log([[0.5, 0.25, 0.125], [1.0, 1.0, 1.0]])
    assert mass(Measured(log_probs, [0, 1]), np.array([0, 2])) == pytest.approx([0.625, 2.0])
    assert as_states([[1.0, 2.0], []]) is None and as_states([]) is None
    states = as_states([[1.0, 2.0], [3.0, 4.0]])
    assert states is not None and states.shape == (2, 2)
    assert fit_of(Tried("offsets", True, "gains", 0.5, 0.2, 0.01)).gain == pytest.approx(0.3)
