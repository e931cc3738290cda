"""From labels with children to the nodes of a tree, or one RequestError."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pinpoint.api.limits import Limits, join
from pinpoint.api.schema import LabelFields
from pinpoint.errors import RequestError
from pinpoint.prompting.label_tree import LabelTree, tree_of
from pinpoint.prompting.taxonomy import Label

AT_LEAST = 2  # children: with one there is nothing to choose
Siblings = Callable[[Sequence[tuple[LabelFields, str]]], Sequence[Label]]


def has_tree(members: Sequence[LabelFields]) -> bool:
    """Whether any of them is a group."""
    return any(label.is_group for label in members)


def build_tree(members: Sequence[tuple[LabelFields, str]], limits: Limits, make: Siblings) -> LabelTree:
    """Return the tree of labels and their children.

    Args:
        members: those at the top, each with where it was written.
        limits: of the request.
        make: labels of one question of their fields, each with where it was written.

    Raises:
        RequestError: `too_few_labels`, `too_many_labels`, `too_large` or `duplicate_label`.
    """
    labels, places, parents = list[Label](), list[str](), list[int]()

    def add(level: Sequence[tuple[LabelFields, str]], parent: int, depth: int) -> None:
        for label, (fields, place) in zip(make(level), level, strict=True):
            number = len(labels)
            if number >= limits.max_labels:
                raise RequestError("too_many_labels", f"more than {limits.max_labels} labels and groups", "labels")
            labels.append(label)
            places.append(place)
            parents.append(parent)
            if not fields.is_group:
                continue
            where = join(place, "children")
            if not fields.children:
                raise RequestError(
                    "too_few_labels", "an empty group; leave `children` out, or give it two and more", where
                )
            if len(fields.children) < AT_LEAST:
                raise RequestError(
                    "too_few_labels", "a group of one is no choice; put its label in the group's place", where
                )
            if depth >= limits.max_tree_levels:
                raise RequestError(
                    "too_large", f"more than {limits.max_tree_levels} levels of labels; merge some of them", where
                )
            below = [(child, join(where, index)) for index, child in enumerate(fields.children)]
            add(below, number, depth + 1)

    add(members, -1, 1)
    _refuse_equal_ids(labels, places)
    return tree_of(labels, parents)


def _refuse_equal_ids(labels: Sequence[Label], places: Sequence[str]) -> None:
    """Answers, masks and priors name labels by id alone, whatever branch they are in."""
    seen: dict[str, int] = {}
    for index, label in enumerate(labels):
        earlier = seen.setdefault(label.id, index)
        if earlier != index:
            raise RequestError(
                "duplicate_label",
                f"{places[earlier]} has this id already, in another branch or as a group; give one of them an `id` of "
                "its own",
                places[index],
            )
