"""The slow, obviously right twin of `pinpoint.decide.tree`: every path by itself, question by question, and multiplied.

It knows a tree as nested labels, and shares no code with the fast path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Node:
    """A label, or a group of them."""

    id: str
    children: tuple[Node, ...] = field(default=())


# The log-probabilities of a node's children, by the ids on the way to it.
Ask = Callable[[tuple[str, ...]], Sequence[float]]


def leaves(node: Node) -> list[Node]:
    return [node] if not node.children else [leaf for child in node.children for leaf in leaves(child)]


def may_be_answered(node: Node, mask: frozenset[str]) -> bool:
    return node.id not in mask


def weight(node: Node, mask: frozenset[str], prior: Mapping[str, float] | None) -> float:
    """A node's own prior, else the sum of its children's, else 1."""
    if prior is None:
        return 1.0
    if node.id in prior:
        return prior[node.id]
    own = [weight(child, mask, prior) for child in node.children if may_be_answered(child, mask)]
    told = any(one.id in prior for one in leaves(node)) if node.children else False
    return sum(own) if told else 1.0


def shares(node: Node, path: tuple[str, ...], ask: Ask, mask: frozenset[str], prior: Mapping[str, float] | None,
           before: float = 1.0) -> dict[str, float]:  # fmt: skip
    """The probability of every leaf below a node, with nothing left out."""
    if not node.children:
        return {node.id: before}
    asked = ask(path)
    offered = {
        child.id: math.exp(s) * weight(child, mask, prior)
        for child, s in zip(node.children, asked, strict=True)
        if may_be_answered(child, mask)
    }
    whole = sum(offered.values())
    found: dict[str, float] = {}
    for child in node.children:
        if child.id in offered:
            found |= shares(child, (*path, child.id), ask, mask, prior, before * offered[child.id] / whole)
    return found
