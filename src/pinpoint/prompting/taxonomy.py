"""Labels and tasks: what may be answered, and which labels a person or the model could not tell apart.

Two labels are duplicates when they are equal after NFKC, case folding, removal of invisible characters and collapsing
of white space. Two labels that differ only by look-alike letters (a Cyrillic and a Latin a) are allowed, since the
model sees different tokens, but nobody who reads the answer can tell which one it was: that is a warning.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pinpoint.documents.text import INVISIBLE
from pinpoint.prompting.label_tree import LabelTree, masked_nodes, prior_of_leaves

LABELS_SHA_CHARS = 16  # 64 bits: collisions are out of reach at any number of label sets that a worker sees

_INVISIBLE = re.compile(f"[{INVISIBLE}]")

# Cyrillic and Greek letters that pass for a Latin one in lower or in upper case, in their case-folded form: U+0432
# looks like nothing Latin, but U+0412, which folds to it, looks like B.
_LOOK_ALIKES = str.maketrans(
    "\u0430\u0432\u0441\u0501\u0435\u04bb\u043d\u0456\u0458\u043a\u04cf"
    "\u043c\u043e\u0440\u051b\u0455\u0442\u0475\u051d\u0445\u0443\u04af"
    "\u03b1\u03b2\u03b5\u03b7\u03b9\u03f3\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03b3\u03b6",
    "abcdehhijklmopqstvwxyyabehijkmvoptuxyz",
)


@dataclass(frozen=True, slots=True)
class Label:
    """One possible answer: `id` goes over the wire; `name`, `description` and `examples` go into the prompt."""

    id: str
    name: str
    description: str | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One question about a document.

    `mask` lists the ids that are excluded from the answer; they stay in the prompt. `prior` gives each label that may
    be answered a positive weight by id: relative frequencies for a single label, in any unit, or with `multi_label`
    the probability of yes.

    `other` is the id of the label that says that none of the others holds: an answer by it is no answer.

    With a `tree`, `labels` are its leaves, and `mask` and `prior` may name groups. Each of its questions is a choice of
    its own, `within` the groups that it is below, by their names.

    With `labels_first`, which goes with one list of which one label is the answer, the model reads the labels before
    the document: all documents share them then.

    What is asked is the same for two kinds, what is told of it is not: a `score` is a choice among levels in their
    order. A `yes_no` is a `multi_label` task of one label, the statement; `criteria` say what counts as yes and as no.
    """

    name: str
    labels: tuple[Label, ...]
    multi_label: bool = False
    instructions: str | None = None
    mask: frozenset[str] = frozenset()
    prior: Mapping[str, float] | None = field(default=None, hash=False)
    kind: Literal["choice", "yes_no", "score"] = "choice"
    criteria: tuple[str | None, str | None] = (None, None)
    other: str | None = None
    tree: LabelTree | None = None
    within: tuple[str, ...] = ()
    labels_first: bool = False

    @property
    def other_position(self) -> int | None:
        """Where among the labels `other` stands."""
        return next((position for position, label in enumerate(self.labels) if label.id == self.other), None)

    @property
    def sets(self) -> bool:
        """Whether an answer is a set of labels. A `yes_no`, which is asked alike, is a choice between two answers."""
        return self.multi_label and self.kind != "yes_no"

    @property
    def masked_positions(self) -> frozenset[int]:
        """Where among the labels those stand that may not be answered; of a tree also those below a masked group."""
        if self.tree is None:
            return frozenset(position for position, label in enumerate(self.labels) if label.id in self.mask)
        masked = masked_nodes(self.tree, self.mask)
        return frozenset(position for position, leaf in enumerate(self.tree.leaves()) if leaf in masked)

    @property
    def prior_weights(self) -> list[float] | None:
        """Of each label, 1 for one that may not be answered, or None without a prior.

        Of a tree, what the priors of labels and groups make of each label before a document is read. Two priors that
        weigh every question alike have the same.
        """
        if self.prior is None:
            return None
        if self.tree is not None:
            return prior_of_leaves(self.tree, masked_nodes(self.tree, self.mask), self.prior)
        neutral = 0.5 if self.multi_label else 1.0
        return [self.prior.get(label.id, neutral) for label in self.labels]


def labels_sha(tasks: Task | Iterable[Task]) -> str:
    """Return a short stable digest of all that shapes the prompt: order, names, descriptions, examples, groups,
    instructions, kind, and whether the labels stand before the document.

    Ids, mask and prior act on the answer alone and are left out.
    """
    shapes = [
        {
            "name": task.name,
            "labels": [_shape(label) for label in task.labels],
            "multi_label": task.multi_label,
            "instructions": task.instructions,
            **({"criteria": task.criteria} if any(task.criteria) else {}),
            **({"labels_first": True} if task.labels_first else {}),
            **({"tree": [list(task.tree.parents), list(map(_shape, task.tree.labels))]} if task.tree else {}),
        }
        for task in ([tasks] if isinstance(tasks, Task) else tasks)
    ]
    canonical = json.dumps(shapes, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:LABELS_SHA_CHARS]


def _shape(label: Label) -> list[object]:
    return [label.name, label.description, *([list(label.examples)] if label.examples else [])]


def duplicate_key(name: str) -> str:
    """Return what two names share when nobody should have to tell them apart."""
    if name.isascii():  # of which nothing is invisible, and all is in normal form
        return " ".join(name.lower().split())
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", name)).casefold()
    # Folding can undo the normal form, and compatibility forms can hide invisible characters.
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFKC", folded)).split())


def skeleton(name: str) -> str:
    """Return the name with Cyrillic and Greek look-alikes replaced by the Latin letters they pass for."""
    return duplicate_key(name).translate(_LOOK_ALIKES)


def find_duplicate(names: Sequence[str]) -> tuple[int, int] | None:
    """Return the indices (earlier, later) of the first name that repeats an earlier one by duplicate_key."""
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        earlier = seen.setdefault(duplicate_key(name), index)
        if earlier != index:
            return earlier, index
    return None


def find_look_alikes(names: Sequence[str]) -> list[tuple[int, int]]:
    """Return the indices (earlier, later) of names that are distinct but share a skeleton with an earlier one."""
    seen: dict[str, int] = {}
    pairs = ((seen.setdefault(skeleton(name), index), index) for index, name in enumerate(names))
    return [(earlier, later) for earlier, later in pairs if earlier != later]
