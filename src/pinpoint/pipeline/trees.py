"""A task with a tree on its way: which questions follow a document's first one, and its scores node by node.

Only the question at the top is a unit. What follows depends on its answer, and is asked behind the same document while
its pass is open (`units.Unit.follow`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pinpoint.decide.tree import TreeDecision
from pinpoint.pipeline.engine_protocol import Scores
from pinpoint.pipeline.units import Followed, Measured
from pinpoint.prompting.label_tree import TOP
from pinpoint.prompting.prompt import Prompt, Question
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.taxonomy import Task


@dataclass(frozen=True, slots=True)
class TreeScores:
    """What was measured of a tree, which looks like scores of the list of its labels.

    Attributes:
        decision: of the task.
        asked: by node, log-probabilities of its children.
    """

    decision: TreeDecision
    asked: Mapping[int, Sequence[float]]
    state: tuple[float, ...] = ()

    @property
    def log_probs(self) -> list[float]:
        """By label; minus infinity for labels that were not asked about."""
        return self.decision.log_probs(self.asked)

    @property
    def bounded(self) -> frozenset[int]:
        """Labels are never bounded; those that were not asked about are counted when the answer is made."""
        return frozenset()


@dataclass(frozen=True, slots=True)
class Expansion:
    """What follows for one part of a document.

    Attributes:
        task: with a tree.
        decision: of the task.
        prompts: lays the questions.
        questions: of the tree, in the order of `LabelTree.askers`.
        tokens: of the part.
        cuts: of it, as `PromptBuilder.ask` takes them.
        owner: whose the prompts are.
        unseen_mass: how much may lie below nodes that are not asked about.
        everything: ask about every node, whatever its share.
    """

    task: Task
    decision: TreeDecision
    prompts: PromptBuilder
    questions: Sequence[Question]
    tokens: Sequence[int]
    cuts: Sequence[int]
    owner: str
    unseen_mass: float
    everything: bool

    def __call__(self, scores: Scores, followed: Followed) -> Mapping[int, Prompt]:
        """The questions of the nodes to ask about next, by node."""
        nodes = self.decision.next(tree_scores(self.decision, scores, followed).asked, self.unseen_mass,
                                   everything=self.everything)  # fmt: skip
        places = {node: place for place, node in enumerate(self.decision.tree.askers())}
        asked = [self.questions[places[node]] for node in nodes]
        return dict(zip(nodes, self.prompts.ask(self.task, asked, self.tokens, self.owner, self.cuts), strict=True))


def tree_scores(decision: TreeDecision, scores: Scores, followed: Followed) -> TreeScores:
    """The scores of a tree from those of its questions."""
    return TreeScores(decision, {TOP: scores.log_probs, **{node: one.log_probs for node, one in followed.items()}})


def of_tree(decision: TreeDecision, measured: Sequence[Measured]) -> list[Measured]:
    """What was measured, with the tree's scores in place of those of the question at its top."""
    return [replace(one, scores=tree_scores(decision, one.scores, one.followed)) for one in measured]


def weighted_tree(parts: Sequence[TreeScores], weights: Sequence[float]) -> TreeScores:
    """The parts' log-probabilities, weighted and summed at every node; all of them were asked about the same nodes."""
    asked = {
        node: [
            math.fsum(weight * s for weight, s in zip(weights, values, strict=True))
            for values in zip(*(part.asked[node] for part in parts), strict=True)
        ]
        for node in parts[0].asked
    }
    return TreeScores(parts[0].decision, asked)
