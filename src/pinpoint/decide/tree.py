"""Trees of labels: which questions to ask next, and the answer that their products make.

Each question is a choice among the children of one node. With a prior, a child's share is multiplied by its weight,
which for a group is the sum of what is below it; masked nodes have no share. So at every node

    p(child | node) ∝ exp(s_child) · weight(child)        and        p(leaf) = Π p(child | node) along its path

A node that is not asked about passes what it has on to its labels in equal parts, or by their weights. Nodes are asked
about, the likeliest first, until those left have less than `unseen_mass` together, and none of them more than the best
label: so the best label is the one that asking about all nodes would find.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pinpoint.api.answer import Answer
from pinpoint.api.request import Options
from pinpoint.decide.decision import MAX_ROUNDING, NO_LABEL_MASS, concluded
from pinpoint.decide.trust import Taught, prediction_set
from pinpoint.errors import InternalError
from pinpoint.prompting.label_tree import TOP, masked_nodes, weights_of
from pinpoint.prompting.taxonomy import Task

Asked = Mapping[int, Sequence[float]]  # by node, the log-probabilities of all its children, in their order


class TreeDecision:
    """What a task's tree, mask and prior say before any document is read. Made once a task."""

    def __init__(self, task: Task) -> None:
        assert task.tree is not None
        self.task, self.tree = task, task.tree
        self.children = self.tree.children()
        self.leaves = self.tree.leaves()
        masked = masked_nodes(self.tree, task.mask)
        self.offered = tuple(tuple(child for child in below if child not in masked) for below in self.children)
        self.weights = weights_of(self.tree, masked, task.prior)
        self.answerable = tuple(leaf for leaf in self.leaves if leaf not in masked)
        # How many labels that may be answered each node has below it.
        self.leaf_counts = [0] * len(self.children)
        for leaf in self.answerable:
            self.leaf_counts[TOP] += 1
            for node in self.tree.path(leaf):
                self.leaf_counts[node] += 1

    def node(self, identity: str) -> int:
        """Of a label or group, by its id."""
        return next(number for number, label in enumerate(self.tree.labels, 1) if label.id == identity)

    def next(self, asked: Asked, unseen_mass: float, *, everything: bool = False) -> list[int]:
        """The nodes to ask about next; empty where enough is known.

        Args:
            asked: what is known, the top among it.
            unseen_mass: how much may lie below nodes that are not asked about.
            everything: ask about all that may be answered.
        """
        inner = [node for node in range(len(self.children)) if self.offered[node] and self.leaf_counts[node]]
        if everything:
            return [node for node in inner if node not in asked]
        shares = self.shares(asked)
        open_ = sorted(
            (node for node in inner if node in shares and node not in asked and len(self.offered[node]) > 1),
            key=lambda node: -shares[node],
        )
        rest, chosen = math.fsum(shares[node] for node in open_), list[int]()
        for node in open_:
            if rest <= unseen_mass:
                break
            chosen.append(node)
            rest -= shares[node]
        if chosen:
            return chosen
        best = max((shares[leaf] for leaf in self.answerable if leaf in shares), default=0.0)
        return [node for node in open_ if shares[node] > best]

    def shares(self, asked: Asked) -> dict[int, float]:
        """The probability of each node whose parent was asked about, and of an only child."""
        shares = {TOP: 1.0}
        for node, offered in enumerate(self.offered):
            if node in shares and offered and (node in asked or len(offered) == 1):
                parts = self._parts(node, asked) if node in asked else [1.0]
                shares |= {child: shares[node] * part for child, part in zip(offered, parts, strict=True)}
        return shares

    def scores(self, asked: Asked) -> tuple[dict[int, float], int]:
        """The probability of every node, and how many labels have only a part of what was not asked about."""
        shares = self.shares(asked)
        passed_on = 0
        for node, offered in enumerate(self.offered):
            if offered and offered[0] not in shares:
                weights = [self.weights.get(child) for child in offered]
                known = [weight for weight in weights if weight is not None]
                parts = known if len(known) == len(weights) else [float(self.leaf_counts[child]) for child in offered]
                whole = math.fsum(parts)
                shares |= {child: shares[node] * part / whole for child, part in zip(offered, parts, strict=True)}
                passed_on += sum(not self.offered[child] for child in offered)
        return shares, passed_on

    def log_probs(self, asked: Asked) -> list[float]:
        """Of each label in the task's order, before mask and prior: the top's own, and below it shares of all children.

        They sum to the top's label mass. Minus infinity for what is below a node that was not asked about.
        """
        logs = {TOP: 0.0}
        for node, children in enumerate(self.children):
            if children:
                raw = list(asked[node]) if node in asked else [-math.inf] * len(children)
                most = max(raw)
                whole = 0.0
                if node != TOP and most > -math.inf:
                    whole = most + math.log(math.fsum(math.exp(s - most) for s in raw))
                logs |= {child: logs[node] + s - whole for child, s in zip(children, raw, strict=True)}
        return [logs[leaf] for leaf in self.leaves]

    def _parts(self, node: int, asked: Asked) -> list[float]:
        raw = self._raw(node, asked)
        most = max(raw)
        strengths = [
            (s - most if most > -math.inf else 0.0) + math.log(self.weights.get(child, 1.0))
            for child, s in zip(self.offered[node], raw, strict=True)
        ]
        most = max(strengths)
        parts = [math.exp(strength - most) for strength in strengths]
        whole = math.fsum(parts)
        return [part / whole for part in parts]

    def _raw(self, node: int, asked: Asked) -> list[float]:
        """Of the children that may be answered."""
        if len(asked[node]) != len(self.children[node]):
            raise InternalError("invalid_measurement", f"a question of {len(self.children[node])} needs as many values")
        offered = set(self.offered[node])
        raw = [s for child, s in zip(self.children[node], asked[node], strict=True) if child in offered]
        if not all(s <= MAX_ROUNDING for s in raw):
            raise InternalError("invalid_measurement", "a log-probability is NaN or above zero")
        return raw

    def mass(self, node: int, asked: Asked) -> float:
        """How much the model wanted to answer a node's question with one of the children that may be answered."""
        return min(1.0, math.fsum(map(math.exp, self._raw(node, asked))))

    def summed(self, leaves: Mapping[int, float]) -> dict[int, float]:
        """The score of every node that may be answered, from those of its labels."""
        scores = dict.fromkeys(range(1, len(self.offered)), 0.0)
        for leaf, score in leaves.items():
            for node in self.tree.path(leaf):
                scores[node] += score
        return scores

    def answered(self, scores: Mapping[int, float], best: int, back_off: float) -> int:
        """The finest node whose score reaches `back_off`, and of equally fine ones the likeliest: the best label where
        it does; where none does, the likeliest node of the top.
        """
        if scores[best] >= back_off:
            return best
        reach = [node for node in scores if self.offered[node] and scores[node] >= back_off]
        if reach:
            return min(reach, key=lambda node: (self.leaf_counts[node], -scores[node]))
        return max(self.offered[TOP], key=lambda node: scores[node])


def decide_tree(decision: TreeDecision, asked: Asked, options: Options, taught: Taught | None = None) -> Answer:
    """Return the answer to a task with a tree.

    With a task file in force, which acts on the logarithms of the labels' scores, mask and prior among them, scores are
    the calibrated ones, and those of groups their sums.

    Args:
        decision: of the task.
        asked: by node, what was measured of its children.
        options: of the request.
        taught: the file in force, of a tree all of whose nodes were asked about.

    Raises:
        InternalError: NaN, a log-probability above zero, or another number of values than of children.
    """
    tree = decision.tree
    scores, passed_on = decision.scores(asked)
    if taught is not None:
        logs = [log_score(scores.get(leaf, 0.0)) for leaf in decision.leaves]
        calibrated = taught.calibration.apply(logs)
        scores |= {leaf: math.exp(one) for leaf, one in zip(decision.leaves, calibrated, strict=True) if leaf in scores}
    ranked = sorted(decision.answerable, key=lambda leaf: -scores[leaf])
    masses = [decision.mass(node, asked) for node in (TOP, *tree.path(ranked[0])) if node in asked]
    raw: tuple[float, ...] | None = None
    if options.return_raw:
        known = dict(zip(decision.leaves, decision.log_probs(asked), strict=True))
        raw = tuple(known[leaf] for leaf in ranked)
    answer = Answer(
        label=tree.label(ranked[0]).id,
        score=scores[ranked[0]],
        labels=tuple(tree.label(leaf).id for leaf in ranked),
        scores=tuple(scores[leaf] for leaf in ranked),
        margin=scores[ranked[0]] - (scores[ranked[1]] if len(ranked) > 1 else 0.0),
        label_mass=min(masses),
        reasons=(NO_LABEL_MASS,) if min(masses) == 0.0 else (),
        log_probs=raw,
        bounded_labels=passed_on,
    )
    if options.alpha is not None:
        shares = list(zip(answer.labels, answer.scores, strict=True))
        answer = replace(answer, prediction_set=prediction_set(shares, options.alpha, taught))
    return in_tree(decision, answer, options, options.back_off)


def log_score(score: float) -> float:
    """What a task file of a tree is fitted on and applied to."""
    return math.log(score) if score > 0 else -math.inf


def in_tree(decision: TreeDecision, answer: Answer, options: Options, back_off: float) -> Answer:
    """The answer with its place in the tree, backed off to a group where the best label is unsure.

    Args:
        decision: of the task.
        answer: with all labels that may be answered; they are cut here.
        options: of the request.
        back_off: what a node's score must reach; 0 never backs off.
    """
    tree = decision.tree
    numbers = {tree.label(leaf).id: leaf for leaf in decision.answerable}
    scores = decision.summed({numbers[name]: score for name, score in zip(answer.labels, answer.scores, strict=True)})
    node = decision.answered(scores, numbers[answer.labels[0]], back_off)
    path, backed_off = tree.path(node), bool(decision.offered[node])
    if backed_off:
        siblings = [scores[one] for one in decision.offered[tree.parents[node]] if one != node]
        answer = replace(answer, score=scores[node], margin=scores[node] - max(siblings, default=0.0))
    answer = concluded(answer, decision.task, options)
    shown = slice(options.top_k)
    return replace(
        answer,
        label=None if answer.label is None else tree.label(node).id,
        labels=answer.labels[shown],
        scores=answer.scores[shown],
        log_probs=None if answer.log_probs is None else answer.log_probs[shown],
        path=tuple(tree.label(one).id for one in path),
        path_scores=tuple(min(1.0, scores[one]) for one in path),
        score=min(1.0, answer.score),
        backed_off=backed_off,
    )
