"""The labels of one question as a tree of tokens, each shared beginning held once.

A label's score is the sum of log p over its tokens and over STOP after the last (`forward/scoring.py`). Every one of
those terms is one *lookup*: the log-probability of a target token in the row that precedes it. Row −1 is the prompt's
last token; row i is trie node i::

    labels  "gas", "gas bill"      node 0 = gas (parent −1), node 1 = bill (parent 0)
    lookups (−1, gas) (0, STOP) (0, bill) (1, STOP)
    label 0 = lookups 0 + 1        label 1 = lookups 0 + 2 + 3

STOP settles labels that begin other labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pinpoint.errors import RequestError


@dataclass(frozen=True, slots=True, weakref_slot=True)
class LabelTrie:
    """Nodes in depth-first order, so that a parent precedes its children and a chain lies in one run.

    Attributes:
        labels: the token ids of each label, in the caller's order.
        stop: id of the token that ends the model's turn.
        tokens: token id of each node.
        parents: index of each node's parent, −1 for the prompt's last token.
        lookups: (row, target token id) pairs, distinct; a row is a node index or −1.
        paths: for each label, the indices into `lookups` whose sum is its score.
    """

    labels: tuple[tuple[int, ...], ...]
    stop: int
    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    lookups: tuple[tuple[int, int], ...]
    paths: tuple[tuple[int, ...], ...]

    def subset(self, indices: Sequence[int]) -> LabelTrie:
        """The trie of some of the labels, in the order of `indices`."""
        return build_trie([self.labels[index] for index in indices], self.stop)

    def first_tokens(self) -> LabelTrie:
        """A trie without nodes whose paths give each label's first token alone: an upper bound of its score."""
        targets = list(dict.fromkeys(label[0] for label in self.labels))
        places = {token: place for place, token in enumerate(targets)}
        return LabelTrie(
            self.labels, self.stop, (), (), tuple((-1, token) for token in targets),
            tuple((places[label[0]],) for label in self.labels),
        )  # fmt: skip

    def after_first(self) -> LabelTrie:
        """The same nodes without the lookups of the first tokens: what `first_tokens` leaves open."""
        open_lookups = [i for i, (row, _) in enumerate(self.lookups) if row >= 0]
        places = {old: new for new, old in enumerate(open_lookups)}
        return replace(
            self,
            lookups=tuple(self.lookups[i] for i in open_lookups),
            paths=tuple(tuple(places[i] for i in path if i in places) for path in self.paths),
        )


def build_trie(labels: Sequence[Sequence[int]], stop: int, field: str = "labels") -> LabelTrie:
    """Merge label token sequences into a trie.

    Args:
        labels: the token ids of each label, in the caller's order.
        stop: id of the token that ends the model's turn.
        field: where the labels stand in the request, for error messages.

    Raises:
        RequestError: a label without tokens, or two labels with the same tokens.
    """
    tokens: list[int] = []
    parents: list[int] = []
    lookups: dict[tuple[int, int], int] = {}
    nodes: dict[tuple[int, int], int] = {}
    paths: list[tuple[int, ...]] = [()] * len(labels)
    owners: dict[tuple[int, ...], int] = {}
    # Sorted order makes the insertion depth-first: labels that share a beginning are neighbours.
    for index in sorted(range(len(labels)), key=lambda i: tuple(labels[i])):
        label = tuple(labels[index])
        if not label:
            raise RequestError(
                "invalid_label", "this label has no tokens of its own behind the prompt; reword it", f"{field}[{index}]"
            )
        twin = owners.setdefault(label, index)
        if twin != index:
            raise RequestError(
                "duplicate_label",
                f"the model's tokens for this label are those of {field}[{min(twin, index)}]; reword one of them",
                f"{field}[{max(twin, index)}]",
            )
        row, path = -1, []
        for token in label:
            path.append(lookups.setdefault((row, token), len(lookups)))
            node = nodes.setdefault((row, token), len(tokens))
            if node == len(tokens):
                tokens.append(token)
                parents.append(row)
            row = node
        path.append(lookups.setdefault((row, stop), len(lookups)))
        paths[index] = tuple(path)
    return LabelTrie(
        tuple(map(tuple, labels)), stop, tuple(tokens), tuple(parents), tuple(lookups), tuple(paths)
    )  # fmt: skip
