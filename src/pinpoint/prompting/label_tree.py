"""Labels as a tree: groups of labels, answered from the top down.

Node 0 is the tree itself; a node with children is a question, a node without is a label that can be answered. The
questions are those of a choice among a node's children, so that a path's probability is a product::

    p(leaf | document) = p(group | document) · … · p(leaf | document, group)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinpoint.prompting.taxonomy import Label, Task

TOP = 0


@dataclass(frozen=True, slots=True)
class LabelTree:
    """Nodes in the order in which they are written, parents before children.

    Attributes:
        labels: of each node but the top; `labels[n - 1]` is node n's.
        parents: of each node; the top's is −1.
    """

    labels: tuple[Label, ...]
    parents: tuple[int, ...]

    def children(self) -> tuple[tuple[int, ...], ...]:
        """Of each node."""
        below: list[list[int]] = [[] for _ in self.parents]
        for node, parent in enumerate(self.parents):
            if node != TOP:
                below[parent].append(node)
        return tuple(map(tuple, below))

    def askers(self) -> tuple[int, ...]:
        """The nodes that are questions."""
        return tuple(sorted({parent for parent in self.parents if parent >= TOP}))

    def leaves(self) -> tuple[int, ...]:
        """The nodes that can be answered."""
        inner = set(self.askers())
        return tuple(node for node in range(1, len(self.parents)) if node not in inner)

    def label(self, node: int) -> Label:
        """Of a node below the top."""
        return self.labels[node - 1]

    def place(self, node: int) -> str:
        """Where a node's children are written, below the list of the top: `[3].children`, or nothing for the top."""
        if node == TOP:
            return ""
        siblings = self.children()[self.parents[node]]
        return f"{self.place(self.parents[node])}[{siblings.index(node)}].children"

    def path(self, node: int) -> tuple[int, ...]:
        """From below the top down to a node, itself included."""
        path = list[int]()
        while node != TOP:
            path.append(node)
            node = self.parents[node]
        return tuple(reversed(path))


def tree_of(labels: Sequence[Label], parents: Sequence[int]) -> LabelTree:
    """The tree of labels whose parents are given by their place among them, −1 for those at the top."""
    return LabelTree(tuple(labels), (-1, *(parent + 1 for parent in parents)))


def questions_of(task: Task) -> Iterator[Task]:
    """The choices that a task's tree is asked in, in the order of `LabelTree.askers`."""
    tree = task.tree
    assert tree is not None
    children = tree.children()
    for node in tree.askers():
        yield replace(
            task,
            labels=tuple(tree.label(child) for child in children[node]),
            within=tuple(tree.label(one).name for one in tree.path(node)),
            tree=None,
            mask=frozenset(),
            prior=None,
        )


def masked_nodes(tree: LabelTree, mask: frozenset[str]) -> frozenset[int]:
    """Nodes that may not be answered: those named, and all below them."""
    masked = set[int]()
    for node in range(1, len(tree.parents)):
        if tree.label(node).id in mask or tree.parents[node] in masked:
            masked.add(node)
    return frozenset(masked)


def prior_of_leaves(tree: LabelTree, masked: frozenset[int], prior: Mapping[str, float]) -> list[float]:
    """What each label has before a document is read, the shares at every question multiplied; 1 for a masked one."""
    weights, children = weights_of(tree, masked, prior), tree.children()
    shares = {TOP: 1.0}
    for node, below in enumerate(children):
        offered = [child for child in below if child not in masked]
        whole = sum(weights.get(child, 1.0) for child in offered)
        shares |= {child: shares[node] * weights.get(child, 1.0) / whole for child in offered if node in shares}
    return [shares.get(leaf, 1.0) for leaf in tree.leaves()]


def weights_of(tree: LabelTree, masked: frozenset[int], prior: Mapping[str, float] | None) -> dict[int, float]:
    """How likely each node is beforehand, where it is said: its own weight, else the sum of its children's.

    A node whose offered children do not all have one has none but its own.
    """
    weights = dict[int, float]()
    if prior is None:
        return weights
    children = tree.children()
    for node in range(len(tree.parents) - 1, TOP, -1):
        own = prior.get(tree.label(node).id)
        offered = [child for child in children[node] if child not in masked]
        if own is not None:
            weights[node] = own
        elif offered and all(child in weights for child in offered):
            weights[node] = sum(weights[child] for child in offered)
    return weights
