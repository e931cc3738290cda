"""Labelled documents of a request that teaches: documents, the task, and what is right for each.

What is measured is the task without mask and prior, which act on answers alone; the lesson has the task as it is to be
taught.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pinpoint.api.build import build_documents, check_name
from pinpoint.api.deployed import NOTHING, Deployed
from pinpoint.api.limits import Limits, join
from pinpoint.api.schema import BACK_OFF, TeachFields
from pinpoint.api.typed_tasks import build_typed_task
from pinpoint.api.validation import validate
from pinpoint.documents.text import Document, File, RejectedDocument
from pinpoint.errors import RequestError
from pinpoint.prompting.taxonomy import Task, duplicate_key
from pinpoint.prompting.template import answer_ids

MAX_PROMISES = 10
WAY = " > "
Right = int | tuple[int, ...]
Place = TypeVar("Place")
_FORMS = ("text", "pages", "url", "base64")


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is to be learned from the documents of a request.

    Attributes:
        task: with its mask and prior.
        right: of each document, the position of its label in the task; of sets, of all of its labels.
        back_off: of a tree's requests that certificates are for.
        target_errors, confidence_level: of the certificates that are asked for.
        alphas: of the prediction sets.
        replaces: whether the file may take the place of one that is kept for the task.
    """

    task: Task
    right: tuple[Right, ...]
    target_errors: tuple[float, ...] = ()
    confidence_level: float = 0.9
    alphas: tuple[float, ...] = ()
    replaces: bool = False
    back_off: float = BACK_OFF


Documents = tuple[Document | RejectedDocument | File, ...]


def parse_lesson(
    raw: object, limits: Limits, deployed: Deployed = NOTHING
) -> tuple[Documents, Lesson, tuple[str, ...]]:
    """Return the documents, what they teach, and warnings about labels. Raises RequestError."""
    fields = validate(TeachFields, raw)
    check_name(fields.name, "name", limits.max_id_chars, kind="name of a task")
    task, warnings = build_typed_task(fields.name, fields.task, limits, "task", deployed)
    for name in ("target_errors", "alphas"):
        if len(getattr(fields, name)) > MAX_PROMISES:
            raise RequestError("too_large", f"{len(getattr(fields, name))} promises, at most {MAX_PROMISES}", name)
    if not fields.documents:
        raise RequestError("missing_field", "the list is empty; send labelled documents", "documents")
    for index, member in enumerate(fields.documents):
        parent = join("documents", index)
        forms = [form for form in _FORMS if form in member.model_fields_set]
        if not forms:
            raise RequestError("missing_field", f"send one of {', '.join(_FORMS)}", join(parent, _FORMS[0]))
        if len(forms) > 1:
            raise RequestError(
                "conflicting_fields", f"send either this or `{forms[0]}`, not both", join(parent, forms[1])
            )
        if member.attachments == "documents":
            raise RequestError("conflicting_fields", "a label is that of one document", join(parent, "attachments"))
    right = _right([member.label for member in fields.documents], task)
    lesson = Lesson(
        task,
        right,
        tuple(sorted(set(fields.target_errors))),
        fields.confidence_level,
        tuple(sorted(set(fields.alphas))),
        fields.replace,
        fields.back_off,
    )
    return build_documents(fields.documents, limits), lesson, tuple(warnings)


def asked_of(lesson: Lesson) -> Task:
    """The task that is measured; a tree's mask and prior act at each of its questions, and stay."""
    if lesson.task.tree is not None:
        return replace(lesson.task, other=None)
    return replace(lesson.task, mask=frozenset(), prior=None, other=None)


def _right(labels: list[str | list[str]], task: Task) -> tuple[Right, ...]:
    """Positions of labels that are named by id, or by name as a person would.

    Raises RequestError `unknown_label`, with the number of documents.
    """
    places, masked = places_of(task), task.masked_positions
    for index, label in enumerate(labels):
        if isinstance(label, list) != task.sets:
            form = "a list, empty where none applies" if task.sets else "one string"
            raise RequestError("wrong_type", f"the label of this task is {form}", join("documents", index, "label"))
    found = [tuple(places.find(one) for one in ([label] if isinstance(label, str) else label)) for label in labels]
    for what, wrong in (
        ("a label that the task lacks", [index for index, members in enumerate(found) if None in members]),
        (
            "a label that the mask excludes",
            [index for index, members in enumerate(found) if masked.intersection(members)],
        ),
    ):
        if wrong:
            raise RequestError(
                "unknown_label", f"{len(wrong)} of {len(labels)} documents have {what}, this the first",
                join("documents", wrong[0], "label"),
            )  # fmt: skip
    known = [tuple(sorted({place for place in members if place is not None})) for members in found]
    return tuple(known) if task.sets else tuple(members[0] for members in known)


@dataclass(frozen=True, slots=True)
class Called(Generic[Place]):
    """Labels by what they may be called.

    Attributes:
        written: by ids, and by names that one label alone has, as they are written.
        meant: by what `duplicate_key` makes of both; what it makes of two labels is none of both.
    """

    written: Mapping[str, Place]
    meant: Mapping[str, Place]

    def find(self, label: str) -> Place | None:
        """The label that is called so, as it is written or as it is meant; None where there is none."""
        return self.written.get(label, self.meant.get(duplicate_key(label)))


def by_key(places: Mapping[str, Place]) -> dict[str, Place]:
    """By what `duplicate_key` makes of each; without what it makes of two."""
    keys = Counter(map(duplicate_key, places))
    return {key: place for one, place in places.items() if keys[key := duplicate_key(one)] == 1}


def places_of(task: Task) -> Called[int]:
    """Positions of a task's labels by what they may be called: an id first, then a name, then the way of a tree."""
    ids = {one: place for place, one in enumerate(answer_ids(task))}
    if task.kind == "yes_no":
        return Called(ids, by_key(ids))
    keys = Counter(duplicate_key(label.name) for label in task.labels)
    names = {label.name: place for place, label in enumerate(task.labels) if keys[duplicate_key(label.name)] == 1}
    ways = dict[str, int]()
    if task.tree is not None:  # a label by its way from the top: "contracts > cancellation"
        for place, leaf in enumerate(task.tree.leaves()):
            ways[WAY.join(task.tree.label(node).name for node in task.tree.path(leaf))] = place
    return Called(names | ids, by_key(ways) | by_key(ids) | by_key(names))
