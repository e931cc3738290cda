"""Mask and prior of a task: what may be answered, and how likely it is beforehand; of a tree, groups as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pinpoint.api.limits import join
from pinpoint.errors import RequestError
from pinpoint.prompting.label_tree import TOP, LabelTree, masked_nodes, weights_of
from pinpoint.prompting.taxonomy import Task


def restricted(task: Task, mask: Sequence[str], prior: Mapping[str, float] | None, parent: str) -> Task:
    """Return the task with more masked, and with another prior where there is one.

    Args:
        task: as it is, with a mask and a prior of its own or without.
        mask: ids that may not be answered, beside those of the task.
        prior: in place of the task's; None leaves that.
        parent: where the caller wrote both.

    Raises:
        RequestError: `unknown_id`, `too_few_labels`, `conflicting_fields`, `out_of_range` or `missing_field`.
    """
    ids = _ids(task)
    where = join(parent, "mask")
    for index, identity in enumerate(mask):
        if identity not in ids:
            raise RequestError("unknown_id", "no label of this task has this id", join(where, index))
    masked = task.mask | set(mask)
    if task.tree is not None:
        _check_branches(task.tree, masked, where)
        masked = frozenset(task.tree.label(node).id for node in masked_nodes(task.tree, masked))
    elif ids <= masked:
        raise RequestError("too_few_labels", "the mask excludes every label; leave at least one", where)
    if prior is None and not mask:
        return task
    field = join(parent, "prior")
    if prior is not None:
        for identity, weight in prior.items():
            if identity not in ids:
                raise RequestError("unknown_id", "no label of this task has this id", join(field, identity))
            if task.multi_label and weight >= 1:
                raise RequestError("out_of_range", "with multi_label a prior is less than 1", join(field, identity))
        _refuse_prior_of_masked(task, frozenset(mask), prior, field)
    whole = replace(task, mask=masked, prior=task.prior if prior is None else prior)
    if task.tree is None:
        _check_whole(whole, ids - masked, field)
    else:
        _check_questions(task.tree, masked, whole.prior, field)
    return whole


def _ids(task: Task) -> set[str]:
    return {label.id for label in (task.labels if task.tree is None else task.tree.labels)}


def _check_branches(tree: LabelTree, mask: frozenset[str], field: str) -> None:
    """Refuse a mask that leaves a group without a label, where it does not name the group."""
    masked, children = masked_nodes(tree, mask), tree.children()
    if all(child in masked for child in children[TOP]):
        raise RequestError("too_few_labels", "the mask excludes every label; leave at least one", field)
    for node in tree.askers()[1:]:
        if node not in masked and all(child in masked for child in children[node]):
            path = " > ".join(tree.label(one).id for one in tree.path(node))
            raise RequestError(
                "too_few_labels",
                f"the mask leaves nothing of the {len(children[node])} labels below {path!r}; mask that group itself",
                field,
            )


def _check_whole(task: Task, offered: set[str], field: str) -> None:
    """Half a prior has no one meaning (is the rest to share what is left, or to weigh 1?), so it must be whole."""
    missing = 0 if task.prior is None else len(offered - task.prior.keys())
    if missing:
        raise RequestError("missing_field", f"labels without a prior: {missing}; give one to each, or to none", field)


def _refuse_prior_of_masked(task: Task, mask: frozenset[str], prior: Mapping[str, float], field: str) -> None:
    tree = task.tree
    masked = mask if tree is None else {tree.label(node).id for node in masked_nodes(tree, mask)}
    both = len(prior.keys() & masked)
    if both:
        raise RequestError(
            "conflicting_fields", f"labels with a prior that the mask excludes: {both}; leave their priors out", field
        )


def _check_questions(tree: LabelTree, mask: frozenset[str], prior: Mapping[str, float] | None, field: str) -> None:
    """Of the children of a node, all have a prior, their own or the sum of what is below them, or none has."""
    masked = masked_nodes(tree, mask)
    weights = weights_of(tree, masked, prior)
    for node, children in enumerate(tree.children()):
        offered = [child for child in children if child not in masked]
        without = [child for child in offered if child not in weights]
        if node not in masked and 0 < len(without) < len(offered):
            where = f"below {tree.label(node).id!r}" if node != TOP else "at the top"
            raise RequestError(
                "missing_field",
                f"{len(without)} of {len(offered)} {where} have no prior, {tree.label(without[0]).id!r} among them; "
                "give one to each, or to none; a group has the sum of what is below it",
                field,
            )
