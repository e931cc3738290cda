"""Trees: products of shares, what pruning costs, and where an answer backs off; against every path by itself."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.api.request import Options
from pinpoint.decide.tree import TreeDecision, decide_tree
from pinpoint.errors import InternalError
from pinpoint.prompting.label_tree import TOP, masked_nodes, tree_of
from pinpoint.prompting.taxonomy import Label, Task
from tests.reference.tree import Node, leaves, shares

SHAPES = st.recursive(st.just(()), lambda below: st.lists(below, min_size=2, max_size=4).map(tuple), max_leaves=20)


def named(shape: Any, name: str = "") -> Node:
    return Node(name, tuple(named(below, f"{name}{place}") for place, below in enumerate(shape)))


def task_of(root: Node, **fields: Any) -> Task:
    labels, parents = list[Label](), list[int]()

    def add(node: Node, parent: int) -> None:
        for child in node.children:
            number = len(labels)
            labels.append(Label(child.id, f"label {child.id}"))
            parents.append(parent)
            add(child, number)

    add(root, -1)
    tree = tree_of(labels, parents)
    mask = frozenset(tree.label(node).id for node in masked_nodes(tree, fields.pop("mask", frozenset())))
    return Task("category", tuple(map(tree.label, tree.leaves())), tree=tree, mask=mask, **fields)


def answers(seed: int, spread: float, path: tuple[str, ...], count: int) -> list[float]:
    """What a pretended model says at a node: log-probabilities, a function of the path alone."""
    digests = [hashlib.sha256(repr((seed, path, k)).encode()).digest() for k in range(count)]
    return [-0.01 - spread * int.from_bytes(digest[:6], "big") / 2**48 for digest in digests]


def asked_of(task: Task, nodes: Sequence[int], seed: int, spread: float) -> dict[int, list[float]]:
    assert task.tree is not None
    tree, children = task.tree, task.tree.children()
    return {
        node: answers(seed, spread, tuple(tree.label(one).id for one in tree.path(node)), len(children[node]))
        for node in nodes
    }


def expanded(decision: TreeDecision, seed: int, spread: float, unseen: float, *, all_: bool = False) -> dict[int, Any]:
    asked: dict[int, Any] = asked_of(decision.task, [TOP], seed, spread)
    while nodes := decision.next(asked, unseen, everything=all_):
        assert not asked.keys() & set(nodes)
        asked |= asked_of(decision.task, nodes, seed, spread)
    return asked


@st.composite
def questions(draw: st.DrawFn) -> tuple[Node, Task]:
    root = named(draw(SHAPES.filter(bool)))
    every = leaves(root)
    mask = frozenset(draw(st.sets(st.sampled_from([leaf.id for leaf in every]), max_size=len(every) // 3)))
    groups = [node for node in _inner(root) if node.id]
    # A mask that empties a group is refused when it is sent.
    left = {node.id for node in groups if any(leaf.id not in mask for leaf in leaves(node))}
    if len(left) < len(groups) or all(leaf.id in mask for leaf in every):
        mask = frozenset()
    weights = st.floats(0.01, 10)
    prior = {leaf.id: draw(weights) for leaf in every if leaf.id not in mask} if draw(st.booleans()) else None
    return root, task_of(root, mask=mask, prior=prior)


def _inner(node: Node) -> list[Node]:
    return [node, *(one for child in node.children for one in _inner(child))] if node.children else []


seeds, spreads = st.integers(0, 10**6), st.sampled_from([0.5, 3.0, 12.0])


@given(questions(), seeds, spreads)
def test_a_label_s_score_is_the_product_of_its_path_s_and_all_sum_to_one(
    question: tuple[Node, Task], seed: int, spread: float
) -> None:
    root, task = question
    decision = TreeDecision(task)
    answer = decide_tree(decision, expanded(decision, seed, spread, 0.0), Options(back_off=0.0))
    slow = shares(root, (), lambda path: answers(seed, spread, path, _count(root, path)), task.mask, task.prior)
    assert dict(zip(answer.labels, answer.scores, strict=True)) == pytest.approx(slow, abs=1e-12)
    assert math.fsum(answer.scores) == pytest.approx(1.0)
    assert answer.label == answer.labels[0] == max(slow, key=lambda name: slow[name])
    assert answer.bounded_labels == 0
    assert answer.path[-1] == answer.label and not answer.backed_off


def _count(root: Node, path: tuple[str, ...]) -> int:
    for name in path:
        root = next(child for child in root.children if child.id == name)
    return len(root.children)


@given(questions(), seeds, spreads, st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]))
def test_what_is_not_asked_moves_no_more_than_its_mass_and_never_the_best_label(
    question: tuple[Node, Task], seed: int, spread: float, unseen: float
) -> None:
    root, task = question
    decision = TreeDecision(task)
    asked = expanded(decision, seed, spread, unseen)
    answer = decide_tree(decision, asked, Options())
    slow = shares(root, (), lambda path: answers(seed, spread, path, _count(root, path)), task.mask, task.prior)
    wrong = {name: abs(score - slow[name]) for name, score in zip(answer.labels, answer.scores, strict=True)}
    # Half of the distance: what one label has too much, others have too little.
    assert math.fsum(wrong.values()) / 2 <= unseen + 1e-9
    assert max(wrong.values()) <= unseen + 1e-9
    assert math.fsum(answer.scores) == pytest.approx(1.0)
    assert slow[answer.labels[0]] == pytest.approx(max(slow.values()), abs=1e-12)
    passed_on = {name for name, error in wrong.items() if error > 1e-9}
    assert len(passed_on) <= answer.bounded_labels
    if unseen == 0.0:
        assert answer.bounded_labels == 0


@given(questions(), seeds, spreads)
def test_backing_off_goes_up_and_never_down_as_more_is_demanded(
    question: tuple[Node, Task], seed: int, spread: float
) -> None:
    root, task = question
    decision = TreeDecision(task)
    asked = expanded(decision, seed, spread, 0.0)
    slow = shares(root, (), lambda path: answers(seed, spread, path, _count(root, path)), task.mask, task.prior)
    below = {node.id: [leaf.id for leaf in leaves(node)] for node in [*_inner(root), *leaves(root)]}
    fineness = list[int]()
    for demanded in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
        answer = decide_tree(decision, asked, Options(back_off=demanded))
        assert answer.label is not None
        own = [name for name in below[answer.label] if name in slow]
        # The score of a group is that of all that is below it.
        assert answer.score == pytest.approx(math.fsum(slow[name] for name in own), abs=1e-9)
        assert answer.backed_off == (answer.label not in slow)
        assert answer.path_scores == tuple(sorted(answer.path_scores, reverse=True))
        assert (answer.path[-1], answer.path_scores[-1]) == (answer.label, answer.score)
        assert answer.score >= demanded - 1e-9 or len(answer.path) == 1 or answer.label == answer.labels[0]
        fineness.append(len(own))
    assert fineness == sorted(fineness)


GROUPS = named(((), ((), ()), ((), (), ())))


def test_a_prior_of_a_group_is_the_sum_of_its_labels_unless_it_has_its_own() -> None:
    even = {TOP: [-1.0, -1.0, -1.0], 2: [-1.0, -1.0], 5: [-1.0, -1.0, -1.0]}
    prior = {"0": 1.0, "10": 1.0, "11": 2.0, "20": 1.0, "21": 1.0, "22": 4.0}
    scores = _scores(TreeDecision(task_of(GROUPS, prior=prior)), even)
    assert scores == pytest.approx({name: weight / 10 for name, weight in prior.items()})
    scores = _scores(TreeDecision(task_of(GROUPS, prior={"0": 2.0, "1": 1.0, "2": 1.0})), even)
    assert scores == pytest.approx({"0": 1 / 2, "10": 1 / 8, "11": 1 / 8, "20": 1 / 12, "21": 1 / 12, "22": 1 / 12})
    scores = _scores(TreeDecision(task_of(GROUPS, prior={**prior, "1": 9.0})), even)
    assert scores["10"] == pytest.approx(9 / 16 / 3)


def _scores(decision: TreeDecision, asked: Mapping[int, Sequence[float]]) -> dict[str, float]:
    answer = decide_tree(decision, asked, Options())
    return dict(zip(answer.labels, answer.scores, strict=True))


def test_a_masked_group_has_no_share_and_an_only_child_is_not_asked_for() -> None:
    decision = TreeDecision(task_of(GROUPS, mask=frozenset({"2", "10"})))
    assert decision.next({TOP: [-1.0, -1.0, -0.1]}, 0.0) == []
    assert _scores(decision, {TOP: [-1.0, -1.0, -0.1]}) == pytest.approx({"0": 0.5, "11": 0.5})
    assert decision.next({TOP: [-1.0, -1.0, -0.1]}, 0.0, everything=True) == [2]


def test_label_mass_is_the_least_on_the_path_and_a_low_one_is_never_accepted() -> None:
    decision = TreeDecision(task_of(GROUPS))
    sure = math.log(0.98)
    asked = {TOP: [-9.0, sure, -9.0], 2: [math.log(0.05), math.log(0.01)]}
    answer = decide_tree(decision, asked, Options())
    assert answer.label_mass == pytest.approx(0.06)
    assert (answer.decision, answer.reasons) == ("review", ("low_label_mass",))
    nothing = decide_tree(decision, {TOP: [-math.inf] * 3, 2: [-1.0, -1.0], 5: [-1.0] * 3}, Options())
    assert (nothing.label_mass, nothing.reasons[0]) == (0.0, "no_label_mass")
    assert math.fsum(nothing.scores) == pytest.approx(1.0)


def test_log_probs_of_labels_sum_to_the_mass_at_the_top() -> None:
    decision = TreeDecision(task_of(GROUPS))
    asked = {TOP: [-2.0, -1.0, -3.0], 2: [-5.0, -6.0], 5: [-1.0, -2.0, -9.0]}
    mass = math.fsum(map(math.exp, asked[TOP]))
    assert math.fsum(map(math.exp, decision.log_probs(asked))) == pytest.approx(mass)
    answer = decide_tree(decision, asked, Options(return_raw=True, top_k=2))
    assert answer.log_probs is not None and len(answer.log_probs) == len(answer.labels) == 2
    assert [math.exp(s) / mass for s in answer.log_probs] == pytest.approx(list(answer.scores))


def test_a_group_that_reaches_the_threshold_is_accepted_and_its_margin_is_to_its_siblings() -> None:
    decision = TreeDecision(task_of(GROUPS))
    asked = {TOP: [math.log(0.1), math.log(0.7), math.log(0.2)], 2: [-1.0, -1.0], 5: [-1.0] * 3}
    answer = decide_tree(decision, asked, Options(threshold=0.6))
    assert (answer.label, answer.decision, answer.backed_off) == ("1", "accept", True)
    assert [answer.score, answer.margin] == pytest.approx([0.7, 0.5])
    assert decide_tree(decision, asked, Options(threshold=0.8)).reasons == ("below_threshold",)


def test_what_no_model_measures_is_our_own_mistake() -> None:
    decision = TreeDecision(task_of(GROUPS))
    for wrong in ([math.nan, -1.0, -1.0], [0.5, -1.0, -1.0], [-1.0, -1.0]):
        with pytest.raises(InternalError):
            decide_tree(decision, {TOP: wrong}, Options())
