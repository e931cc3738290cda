"""What a check found, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pinpoint.prompting.label_tree import TOP
from pinpoint.prompting.prompts import choices
from pinpoint.prompting.taxonomy import Task

TOP_NAME = "the top"
Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        level: an error keeps the taxonomy from being served, a warning costs answers, a note is good to know.
        code: stable, for scripts.
        where: ids of the labels, or the group.
        what: was found.
        remedy: what to do about it.
    """

    level: Level
    code: str
    where: str
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class QuestionCost:
    """What one question takes: tokens of its text, and of its labels behind a document."""

    where: str
    labels: int
    tokens: int
    answer_tokens: int


def questions(task: Task) -> Iterator[tuple[str, Task]]:
    """The choices that a task is asked in, each with the id of the group that it is about."""
    nodes = (TOP,) if task.tree is None else task.tree.askers()
    for node, choice in zip(nodes, choices(task), strict=True):
        yield TOP_NAME if node == TOP or task.tree is None else task.tree.label(node).id, choice


def is_choice(task: Task) -> bool:
    """Whether one label among others is asked for: the levels of a score have their order, and nothing beside them."""
    return task.kind == "choice" and not task.multi_label
