"""The answer that a reason is given for."""

from __future__ import annotations

from dataclasses import dataclass

from pinpoint.api.request import Options
from pinpoint.decide.tree import TreeDecision
from pinpoint.decide.trust import Taught
from pinpoint.pipeline.answers import task_answer
from pinpoint.pipeline.engine_protocol import Scores
from pinpoint.pipeline.trees import TreeScores, tree_scores
from pinpoint.pipeline.units import Followed
from pinpoint.prompting.label_tree import TOP, questions_of
from pinpoint.prompting.taxonomy import Task
from pinpoint.prompting.template import Version, choice_in_words


@dataclass(frozen=True, slots=True)
class Explained:
    """The answer that a reason is given for; with reasons asked for, a document has one part."""

    task: Task
    options: Options
    version: Version
    taught: Taught | None
    tree: TreeDecision | None

    def __call__(self, scores: Scores, followed: Followed) -> tuple[int | None, str] | None:
        """As `units.Chooser`."""
        if self.tree is not None:
            return self._in_tree(self.tree, tree_scores(self.tree, scores, followed))
        answer = task_answer(self.task, self.options, [scores], self.taught)
        places = (place for place, label in enumerate(self.task.labels) if label.id == answer.label)
        place = next(places, None)
        return None if place is None else (None, choice_in_words(self.task, place, self.version))

    def _in_tree(self, tree: TreeDecision, scores: TreeScores) -> tuple[int | None, str] | None:
        """The answer behind the question that it is an answer to."""
        answer = task_answer(self.task, self.options, [scores], self.taught)
        if answer.label is None:
            return None
        node = tree.node(answer.label)
        parent = tree.tree.parents[node]
        while parent != TOP and parent not in scores.asked:  # an only child is not asked for
            node, parent = parent, tree.tree.parents[parent]
        choice = list(questions_of(self.task))[tree.tree.askers().index(parent)]
        words = choice_in_words(choice, tree.children[parent].index(node), self.version)
        return None if parent == TOP else parent, words
