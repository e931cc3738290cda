"""Labelled documents of a request that teaches: documents, the task, and what is right for each.

What is measured is the task without mask and prior, which act on answers alone; the lesson has the task as it is to be
taught.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pinpoint.api.build import build_documents, check_name
from pinpoint.api.deployed import NOTHING, Deployed
from pinpoint.api.limits import Limits, join
from pinpoint.api.schema import TeachFields
from pinpoint.api.typed_tasks import build_typed_task
from pinpoint.api.validation import validate
from pinpoint.documents.text import Document, File, RejectedDocument
from pinpoint.errors import RequestError
from pinpoint.prompting.taxonomy import Task, duplicate_key
from pinpoint.prompting.template import answer_ids

MAX_PROMISES = 10
MANY_LABELS_REFUSED = (
    "a task with many labels to a document cannot be taught; ask for each label as a task of type yes_no, which can"
)
_FORMS = ("text", "pages", "url", "base64")


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is to be learned from the documents of a request.

    Attributes:
        task: with its mask and prior.
        right: of each document, the position of its label in the task.
        target_errors, confidence_level: of the certificates that are asked for.
        alphas: of the prediction sets.
        replaces: whether the file may take the place of one that is kept for the task.
    """

    task: Task
    right: tuple[int, ...]
    target_errors: tuple[float, ...] = ()
    confidence_level: float = 0.9
    alphas: tuple[float, ...] = ()
    replaces: bool = False


Documents = tuple[Document | RejectedDocument | File, ...]


def parse_lesson(
    raw: object, limits: Limits, deployed: Deployed = NOTHING
) -> tuple[Documents, Lesson, tuple[str, ...]]:
    """Return the documents, what they teach, and warnings about labels. Raises RequestError."""
    fields = validate(TeachFields, raw)
    check_name(fields.name, "name", limits.max_id_chars, kind="name of a task")
    task, warnings = build_typed_task(fields.name, fields.task, limits, "task", deployed)
    if task.multi_label and task.kind != "yes_no":
        raise RequestError("not_supported", MANY_LABELS_REFUSED, "task.multi_label")
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
    )
    return build_documents(fields.documents, limits), lesson, tuple(warnings)


def asked_of(lesson: Lesson) -> Task:
    """The task that is measured."""
    return replace(lesson.task, mask=frozenset(), prior=None, other=None)


def _right(labels: list[str], task: Task) -> tuple[int, ...]:
    """Positions of labels that are named by id, or by name as a person would.

    Raises RequestError `unknown_label`, with their number.
    """
    ids = answer_ids(task)
    names = [] if task.kind == "yes_no" else [duplicate_key(label.name) for label in task.labels]
    places = {name: place for place, name in enumerate(names)} | {one: place for place, one in enumerate(ids)}
    found = [places.get(label, places.get(duplicate_key(label), -1)) for label in labels]
    masked = {place for place, one in enumerate(ids) if one in task.mask}
    for what, wrong in (
        ("a label that the task lacks", [index for index, place in enumerate(found) if place < 0]),
        ("a label that the mask excludes", [index for index, place in enumerate(found) if place in masked]),
    ):
        if wrong:
            raise RequestError(
                "unknown_label", f"{len(wrong)} of {len(labels)} documents have {what}, this the first",
                join("documents", wrong[0], "label"),
            )  # fmt: skip
    return tuple(found)
