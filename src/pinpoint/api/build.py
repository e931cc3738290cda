"""From fields of the right type to documents and tasks: limits, label hygiene, and names that people can tell apart."""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from dataclasses import replace

from pinpoint.api.label_trees import build_tree, has_tree
from pinpoint.api.limits import Limits, join
from pinpoint.api.restrict import restricted
from pinpoint.api.schema import DocumentFields, JobFields, LabelFields, TaskFields
from pinpoint.documents.text import (
    WHOLE_CHARACTERS,
    Document,
    File,
    RejectedDocument,
    clean_pages,
    clean_text,
    expanded_chars,
    has_surrogate,
    is_blank,
)
from pinpoint.errors import DocumentError, RequestError
from pinpoint.prompting.taxonomy import Label, Task, find_duplicate, find_look_alikes

MIN_LABELS = 2  # one label is no question
OF_FILES = ("mime", "filename", "attachments")

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # the last two are line breaks outside the control characters


def build_document(identity: str, index: int, content: str | Sequence[str], field: str) -> Document | RejectedDocument:
    """Return the document of one text or of pages, or its rejection: it cannot be encoded, or nothing is in it."""
    try:
        if isinstance(content, str):
            page, warnings = clean_text(content, field)
            pages: tuple[str, ...] = (page,)
        else:
            pages, warnings = clean_pages(content, field)
    except DocumentError as error:
        # Its frames hold the text, and the rejection lives as long as the job.
        return RejectedDocument(identity, index, error.with_traceback(None))
    return Document(identity, index, pages, "text", tuple(warnings), field)


def refuse_nothing(documents: Sequence[Document | RejectedDocument | File]) -> None:
    """Raise RequestError `empty_text` where the request's only document is empty.

    Among others an empty page of a scan is a matter of its document. Alone it is a mistake of the program that sent the
    job, which a job that is answered would hide.
    """
    if len(documents) == 1 and isinstance(documents[0], RejectedDocument) and documents[0].error.code == "empty_text":
        error = documents[0].error
        raise RequestError(error.code, error.message, error.field)


def build_from_fields(
    identity: str, index: int, fields: DocumentFields | JobFields, parent: str, limits: Limits
) -> Document | RejectedDocument | File:
    """Return the document whose form was sent; a file is not read yet. Raises RequestError."""
    for form in ("base64", "url"):
        if form in fields.model_fields_set:
            return _file(identity, index, fields, join(parent, form), limits)
    for about in OF_FILES:
        if about in fields.model_fields_set:
            raise RequestError("conflicting_fields", "goes with `base64` or `url`", join(parent, about))
    if "text" in fields.model_fields_set:
        return build_document(identity, index, fields.text, join(parent, "text"))
    field = join(parent, "pages")
    if len(fields.pages) > limits.max_pages:
        raise _too_many("pages", len(fields.pages), limits.max_pages, field)
    return build_document(identity, index, fields.pages, field)


def _file(
    identity: str, index: int, fields: DocumentFields | JobFields, field: str, limits: Limits
) -> File | RejectedDocument:
    about = {}
    for name in ("mime", "filename"):
        value: str = getattr(fields, name) or ""
        if len(value) > limits.max_id_chars:
            where = join(field.rpartition(".")[0], name)
            raise RequestError("too_large", f"{len(value)} characters, at most {limits.max_id_chars}", where)
        about[name] = value
    content = b""
    if "base64" in fields.model_fields_set:
        try:
            # Line breaks are what encoders of mail put in; nothing else that is not of the alphabet is let pass.
            encoded = fields.base64.replace("\r", "").replace("\n", "")
            if len(encoded) % 4:  # which the decoder does not look at
                raise ValueError
            content = binascii.a2b_base64(encoded, strict_mode=True)
        except ValueError:
            return RejectedDocument(
                identity, index,
                DocumentError("invalid_base64", "not base64: A-Z, a-z, 0-9, + and /, padded with =, no prefix", field),
            )  # fmt: skip
    return File(identity, index, field, content, fields.url, attachments=fields.attachments, **about)


def build_documents(
    members: Sequence[DocumentFields], limits: Limits
) -> tuple[Document | RejectedDocument | File, ...]:
    """Return the members of `documents`, each with an id of its own: the caller's, or its index."""
    if len(members) > limits.max_documents:
        raise _too_many("documents", len(members), limits.max_documents, "documents")
    seen: dict[str, int] = {}
    documents = list[Document | RejectedDocument | File]()
    for index, member in enumerate(members):
        parent = join("documents", index)
        identity = str(index) if member.id is None else member.id
        check_name(identity, join(parent, "id"), limits.max_id_chars, kind="id")
        earlier = seen.setdefault(identity, index)
        if earlier != index:
            raise RequestError("duplicate_id", f"documents[{earlier}] has this id already", join(parent, "id"))
        documents.append(build_from_fields(identity, index, member, parent, limits))
    return tuple(documents)


def build_task(
    name: str,
    fields: TaskFields,
    limits: Limits,
    *,
    at_least: int = MIN_LABELS,
    parent: str = "",
    labels_field: str = "labels",
    instructions_field: str = "instructions",
) -> tuple[Task, list[str]]:
    """Return the task and warnings about labels that look alike or text that was cleaned.

    A question of yes or no may have `at_least` one label. `parent` and the two names say where the caller wrote things.
    Raises RequestError.
    """
    where = join(parent, labels_field)
    members = [(label, join(where, index)) for index, label in enumerate(fields.labels)]
    if fields.other is not None:
        if fields.multi_label:
            raise RequestError(
                "conflicting_fields", "with multi_label none of the labels may hold anyway", join(parent, "other")
            )
        members.append((LabelFields(name=fields.other), join(parent, "other")))
    if len(members) < at_least:
        raise RequestError("too_few_labels", f"{len(members)} labels, at least {at_least} to choose from", where)
    if len(members) > limits.max_labels:
        raise RequestError("too_many_labels", f"{len(members)} labels, at most {limits.max_labels} in a task", where)
    warnings: list[str] = []
    tree = None
    if has_tree(fields.labels):
        if fields.multi_label:
            raise RequestError(
                "conflicting_fields", "a tree is asked for one label; leave this out", join(parent, "multi_label")
            )
        if fields.labels_first:
            raise RequestError(
                "conflicting_fields",
                "a tree is asked behind the document, which its questions share; leave this out",
                join(parent, "labels_first"),
            )
        tree = build_tree(members, limits, lambda level: _siblings(level, limits, warnings))
        labels = tuple(map(tree.label, tree.leaves()))
    elif fields.multi_label and fields.labels_first:
        raise RequestError(
            "conflicting_fields",
            "with multi_label each label is asked behind the document, which they share; leave this out",
            join(parent, "labels_first"),
        )
    else:
        labels = tuple(_siblings(members, limits, warnings, apart=fields.multi_label))
    task = Task(
        name=name,
        labels=labels,
        multi_label=fields.multi_label,
        kind=fields.type,
        other=fields.other,
        tree=tree,
        labels_first=fields.labels_first,
        instructions=prose(
            fields.instructions, join(parent, instructions_field), limits.max_instructions_chars, warnings
        ),
    )
    return restricted(task, fields.mask, fields.prior, parent), warnings


def check_name(name: str, field: str, max_chars: int, *, kind: str) -> None:
    """Raise RequestError unless the name can be encoded, shown on one line and seen."""
    code = "invalid_label" if kind == "label" else "invalid_id"
    if has_surrogate(name):
        raise RequestError("invalid_unicode", WHOLE_CHARACTERS, field)
    # Names of labels are folded and compared, and prompted; the others are echoed as they came.
    chars = expanded_chars(name) if kind == "label" else len(name)
    if chars > max_chars:
        too_long = "label_too_long" if kind == "label" else "too_large"
        raise RequestError(
            too_long, f"{chars} characters in a {kind}{_spelled(chars, name)}, at most {max_chars}", field
        )
    if _CONTROL.search(name):
        raise RequestError(code, f"a {kind} has no line breaks and no control characters", field)
    if is_blank(name):
        raise RequestError(code, f"a {kind} has at least one visible character", field)


def _siblings(
    members: Sequence[tuple[LabelFields, str]], limits: Limits, warnings: list[str], *, apart: bool = False
) -> list[Label]:
    """Labels of one question, or each of one of its own where they are asked `apart`."""
    labels, places = [_label(label, place, limits, warnings) for label, place in members], [p for _, p in members]
    _refuse_duplicates(labels, places)
    warnings += [
        f"{places[later]} looks like {places[earlier]} but has letters of another alphabet"
        for earlier, later in find_look_alikes([label.name for label in labels])
    ]
    left_out = 0
    for group in [[k] for k in range(len(labels))] if apart else [range(len(labels))]:
        shown = fitting([labels[k].examples for k in group], limits.max_examples_chars)
        for k, examples in zip(group, shown, strict=True):
            if len(examples) < len(labels[k].examples):
                left_out += len(labels[k].examples) - len(examples)
                labels[k] = replace(labels[k], examples=examples)
    if left_out:
        warnings.append(
            f"{left_out} examples are not shown to the model: those of one question have at most "
            f"{limits.max_examples_chars} characters together ({places[0]} and after)"
        )
    return labels


def fitting(examples: Sequence[tuple[str, ...]], most_chars: int) -> list[tuple[str, ...]]:
    """Of each label, the examples that fit: one of each in turn, so that no label has many where others have none."""
    shown: list[list[str]] = [[] for _ in examples]
    for turn in range(max(map(len, examples), default=0)):
        for label, own in enumerate(examples):
            if turn < len(own):
                most_chars -= len(own[turn])
                if most_chars < 0:
                    return [tuple(each) for each in shown]
                shown[label].append(own[turn])
    return [tuple(each) for each in shown]


def _label(fields: LabelFields, field: str, limits: Limits, warnings: list[str]) -> Label:
    check_name(fields.name, field, limits.max_label_chars, kind="label")
    if fields.id is not None:
        check_name(fields.id, join(field, "id"), limits.max_id_chars, kind="id")
    if len(fields.examples) > limits.max_examples:
        most = f"at most {limits.max_examples} of a label; leave the others out"
        raise RequestError("too_large", f"{len(fields.examples)} examples, {most}", join(field, "examples"))
    description = prose(fields.description, join(field, "description"), limits.max_description_chars, warnings)
    return Label(
        # The id goes back as it came; the name is prompted, where white space around it would be read as a token.
        id=fields.name if fields.id is None else fields.id,
        name=fields.name.strip(),
        # In the prompt a description shares the line of its label.
        description=None if description is None else " ".join(description.split()),
        examples=tuple(
            " ".join(text.split())
            for index, example in enumerate(fields.examples)
            if (text := prose(example, join(field, "examples", index), limits.max_example_chars, warnings))
        ),
    )


def _refuse_duplicates(labels: Sequence[Label], places: Sequence[str]) -> None:
    same = "the same as {} but for case, width, white space or invisible characters"
    pair = find_duplicate([label.name for label in labels])
    if pair is not None:
        raise RequestError("duplicate_label", same.format(places[pair[0]]), places[pair[1]])
    seen: dict[str, int] = {}
    for index, label in enumerate(labels):
        earlier = seen.setdefault(label.id, index)
        if earlier != index:
            raise RequestError("duplicate_label", f"{places[earlier]} has this id already", join(places[index], "id"))


def prose(text: str | None, field: str, max_chars: int, warnings: list[str]) -> str | None:
    """Return clean text for the prompt; null and blank text say nothing and become None."""
    if text is None:
        return None
    chars = expanded_chars(text)
    if chars > max_chars:
        raise RequestError("too_large", f"{chars} characters{_spelled(chars, text)}, at most {max_chars}", field)
    try:
        cleaned, found = clean_text(text, field)
    except DocumentError as error:
        if error.code == "empty_text":
            return None
        raise RequestError(error.code, error.message, error.field) from None
    warnings += [f"{field}: {warning}" for warning in found]
    return cleaned.strip()


def _spelled(chars: int, text: str) -> str:
    """Why the caller counts fewer."""
    return ", spelled out (NFKC)" if chars > len(text) else ""


def _too_many(things: str, count: int, most: int, field: str) -> RequestError:
    return RequestError("too_large", f"{count} {things}, at most {most}; send several requests", field)
