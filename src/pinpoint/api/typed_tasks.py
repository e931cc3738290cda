"""Tasks by their type: a choice among labels, a statement that holds or does not, a score on ordered levels."""

from __future__ import annotations

from pinpoint.api.build import build_task, prose
from pinpoint.api.deployed import NOTHING, Deployed, deployed_task
from pinpoint.api.limits import Limits, join
from pinpoint.api.schema import LabelFields, LevelFields, TaskFields
from pinpoint.errors import RequestError
from pinpoint.prompting.taxonomy import Label, Task

_FIELDS = {
    "choice": ("labels", "multi_label", "instructions", "mask", "prior", "other", "labels_first"),
    "yes_no": ("instructions", "criteria"),
    "score": ("levels", "instructions", "labels_first"),
}


def build_typed_task(
    name: str, fields: TaskFields, limits: Limits, parent: str, deployed: Deployed = NOTHING
) -> tuple[Task, list[str]]:
    """Return the task of the type that is asked for, or of the taxonomy, and warnings. Raises RequestError."""
    if "taxonomy" in fields.model_fields_set:
        return deployed_task(name, fields, deployed, limits, parent)
    for field in TaskFields.model_fields:  # in their order, whatever the caller's
        if field in fields.model_fields_set - {"type"} and field not in _FIELDS[fields.type]:
            raise RequestError(
                "conflicting_fields",
                f"a task of type '{fields.type}' takes {', '.join(_FIELDS[fields.type])}",
                join(parent, field),
            )
    if fields.type == "yes_no":
        criteria = fields.criteria
        both = (None, None) if criteria is None else (criteria.yes, criteria.no)
        where = (join(parent, "criteria", "yes"), join(parent, "criteria", "no"))
        return build_yes_no(name, fields.instructions, both, limits, join(parent, "instructions"), where)
    needed = "levels" if fields.type == "score" else "labels"
    if needed not in fields.model_fields_set:
        raise RequestError("missing_field", "this field is required", join(parent, needed))
    if fields.type == "score":
        return build_score(name, fields.levels, fields.instructions, limits, parent, labels_first=fields.labels_first)
    return build_task(name, fields, limits, parent=parent)


def build_yes_no(
    name: str,
    statement: str | None,
    criteria: tuple[str | None, str | None],
    limits: Limits,
    field: str,
    criteria_fields: tuple[str, str],
) -> tuple[Task, list[str]]:
    """Return the task that asks whether a statement, or a question, is answered by yes.

    Without a statement, what counts as yes is one, or what counts as no turned round. In the prompt all three stand on
    lines of their own, as labels and descriptions do.

    Args:
        name: of the task.
        statement: to be judged.
        criteria: what counts as yes, and as no.
        limits: of the request.
        field: where the caller wrote the statement.
        criteria_fields: where the caller wrote the criteria.

    Raises:
        RequestError: there is nothing to judge, or too much.
    """
    warnings = list[str]()
    said = _line(prose(statement, field, limits.max_instructions_chars, warnings))
    yes, no = (
        _line(prose(text, where, limits.max_description_chars, warnings))
        for text, where in zip(criteria, criteria_fields, strict=True)
    )
    if said is None and yes is not None:
        said, yes = yes, None
    elif said is None and no is not None:
        said, no = f"anything but this: {no}", None
    if said is None:
        raise RequestError("missing_field", "say what is to be judged, here or in the criteria", field)
    return Task(name, (Label("yes", said),), multi_label=True, kind="yes_no", criteria=(yes, no)), warnings


def build_score(
    name: str,
    levels: list[LevelFields],
    instructions: str | None,
    limits: Limits,
    parent: str,
    levels_field: str = "levels",
    *,
    labels_first: bool = False,
) -> tuple[Task, list[str]]:
    """Return the task that asks for one of the levels, lowest first. Raises RequestError."""
    labels = [LabelFields(name=level.label, description=level.description) for level in levels]
    fields = TaskFields(type="score", labels=labels, instructions=instructions, labels_first=labels_first)
    return build_task(name, fields, limits, parent=parent, labels_field=levels_field)


def _line(text: str | None) -> str | None:
    return None if text is None else " ".join(text.split())
