"""Checks of a taxonomy's words and shape: no model, no tokenizer, milliseconds.

How alike two labels read is the cosine of the weights of their descriptions' words: a word counts the more, the fewer
siblings have it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import combinations

from pinpoint.lint.findings import TOP_NAME, Finding, is_choice, questions
from pinpoint.prompting.label_tree import TOP
from pinpoint.prompting.taxonomy import Label, Task, duplicate_key

# Of the taxonomy that ships, the closest siblings are 0.63 (trade and property tax assessment) and below 0.9.
ALIKE_WORDS, ALIKE_NAMES = 0.75, 0.9
MOST_CHILDREN = 60  # of one question: choosing among more costs a prompt of its own length each, and accuracy
MOST_LARGER = 4.0  # times the mean of the groups beside it
CATCH_ALL = re.compile(r"\b(other|others|else|none|miscellaneous|misc|unknown|unclear|anything|rest)\b")
_WORD = re.compile(r"\w+")


def check_words(task: Task, warnings: Sequence[str] = ()) -> list[Finding]:
    """All findings, in the order of the taxonomy; `warnings` are those of reading it."""
    found = [Finding("warning", "odd_text", "the file", text, "correct it") for text in warnings]
    for where, choice in questions(task):
        found += [*_near_names(where, choice), *_alike(where, choice), *_missing_other(where, choice, task)]
        if len(choice.labels) > MOST_CHILDREN:
            what = f"{len(choice.labels)} labels in one question"
            found.append(Finding("warning", "too_many_in_one", where, what, "put them into groups"))
    return [*found, *_same_names(task), *_unbalanced(task)]


def _near_names(where: str, choice: Task) -> Iterator[Finding]:
    keys = [duplicate_key(label.name) for label in choice.labels]
    for a, b in combinations(range(len(keys)), 2):
        same_words = sorted(_words(keys[a])) == sorted(_words(keys[b]))
        # Cheap bounds first: of 1,000 siblings there are half a million pairs.
        longer, shorter = max(len(keys[a]), len(keys[b])), min(len(keys[a]), len(keys[b]))
        if not same_words and 2 * shorter < ALIKE_NAMES * (longer + shorter):
            continue
        matcher = SequenceMatcher(None, keys[a], keys[b], autojunk=False)
        if same_words or (matcher.quick_ratio() >= ALIKE_NAMES and matcher.ratio() >= ALIKE_NAMES):
            yield Finding(
                "warning", "near_names", f"{choice.labels[a].id}, {choice.labels[b].id}",
                f"names of {where} that differ by hardly anything", "merge them, or say in the names how they differ",
            )  # fmt: skip


def _alike(where: str, choice: Task) -> Iterator[Finding]:
    described = [_words(f"{label.description or ''} {' '.join(label.examples)}") for label in choice.labels]
    count = Counter(word for words in described for word in set(words))
    weights = [_weights(words, count, len(described)) for words in described]
    for a, b in combinations(range(len(weights)), 2):
        if not choice.labels[a].description or not choice.labels[b].description:
            continue
        cosine = sum(weight * weights[b].get(word, 0.0) for word, weight in weights[a].items())
        if cosine >= ALIKE_WORDS:
            yield Finding(
                "warning", "confusable_descriptions", f"{choice.labels[a].id}, {choice.labels[b].id}",
                f"labels of {where} that read alike, {cosine:.2f} of 1", "say what is in the one and not in the other",
            )  # fmt: skip


def _missing_other(where: str, choice: Task, task: Task) -> Iterator[Finding]:
    if any(_is_catch_all(label) for label in choice.labels) or (where == TOP_NAME and task.other is not None):
        return
    if not is_choice(task):
        return
    what = "no label for what fits none of them, so such documents get a wrong one"
    if where == TOP_NAME:
        yield Finding("warning", "missing_other", where, what, 'add one, such as "other", or `other: true`')
    else:
        yield Finding("note", "missing_other", where, what, 'add one, such as "other"')


def _same_names(task: Task) -> Iterator[Finding]:
    """The same name in two branches: the model tells them apart by their groups, people by their ids alone."""
    if task.tree is None:
        return
    seen: dict[str, Label] = {}
    for label in task.tree.labels:
        earlier = seen.setdefault(duplicate_key(label.name), label)
        if earlier is not label and not _is_catch_all(label):
            yield Finding(
                "note", "same_name", f"{earlier.id}, {label.id}", "the same name in two branches",
                "name what differs, or merge them",
            )  # fmt: skip


def _unbalanced(task: Task) -> Iterator[Finding]:
    """A group that is much larger than those beside it is mostly asked about, and in vain."""
    tree = task.tree
    if tree is None:
        return
    leaves = Counter(node for leaf in tree.leaves() for node in (TOP, *tree.path(leaf)))
    children = tree.children()
    for node in tree.askers():
        groups = [child for child in children[node] if children[child]]
        for group in groups if len(groups) > 1 else ():
            beside = (sum(leaves[one] for one in groups) - leaves[group]) / (len(groups) - 1)
            if leaves[group] > MOST_LARGER * beside:
                what = f"{leaves[group]} labels, and the groups beside it have {beside:.0f} on average"
                yield Finding("warning", "unbalanced", tree.label(group).id, what, "split it, or merge the others")


def _is_catch_all(label: Label) -> bool:
    return CATCH_ALL.search(duplicate_key(label.name)) is not None


def _words(text: str) -> list[str]:
    return _WORD.findall(duplicate_key(text))


def _weights(words: Sequence[str], count: Counter[str], labels: int) -> dict[str, float]:
    """Weights of unit length."""
    weights = {word: times * math.log((labels + 1) / count[word]) for word, times in Counter(words).items()}
    length = math.sqrt(sum(weight * weight for weight in weights.values()))
    return {word: weight / length for word, weight in weights.items()} if length else {}
