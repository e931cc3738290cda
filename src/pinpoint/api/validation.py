"""The one error that a value gets which does not fit its model: what comes first in the request, in our words."""

from __future__ import annotations

import difflib
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pinpoint.api.limits import MAX_KEY_CHARS, ROOT, join, kind_of
from pinpoint.api.schema import (
    CriteriaFields,
    DocumentFields,
    JobFields,
    LabelFields,
    LabelledFields,
    LevelFields,
    OptionFields,
    TaskFields,
    TaxonomyFields,
    TeachFields,
    WireModel,
    ZeroShotFields,
    ZeroShotParameters,
)
from pinpoint.documents.text import WHOLE_CHARACTERS
from pinpoint.errors import RequestError

MAX_ERRORS_COMPARED = 100  # each costs a walk; a request with more errors gets an early one, perhaps not the first

ModelT = TypeVar("ModelT", bound=WireModel)

EXPECTED = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "label_type": "a string or an object",
    "names_type": "a string, or a list of strings with `multi_label`",
    "explain_type": "true, false, 'text' or 'evidence'",
    "objects_type": "an object or a list of objects",
    "option_type": "a string or a boolean",
    "content_type": "a string, an object or a list",
}
BOUNDS = {"ge": "at least", "le": "at most", "gt": "greater than", "lt": "less than"}

_PLACES: dict[str, type[WireModel]] = {
    "job": JobFields,
    "document": DocumentFields,
    "label": LabelFields,
    "level": LevelFields,
    "task": TaskFields,
    "taxonomy": TaxonomyFields,
    "criteria": CriteriaFields,
    "options": OptionFields,
    "zero_shot": ZeroShotFields,
    "teach": TeachFields,
    "labelled": LabelledFields,
    "parameters": ZeroShotParameters,
}


def validate(model: type[ModelT], raw: object) -> ModelT:
    """Return the raw value as a model, or raise RequestError for the one error worth telling.

    An unknown field comes first, since a typo explains a missing field, then an unserved one, then the order of the
    caller's own document.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as caught:
        errors = caught.errors(include_url=False, include_input=False)
    root = next(place for place, one in _PLACES.items() if one is model)
    ranked = [(_rank(error), error) for error in errors]
    best = min(rank for rank, _ in ranked)
    candidates = [error for rank, error in ranked if rank == best][:MAX_ERRORS_COMPARED]
    raise _translate(min(candidates, key=lambda error: _locate(error, raw)[0]), raw, root)


def _rank(error: ErrorDetails) -> int:
    return int(error["type"] != "extra_forbidden")


def _place(loc: tuple[int | str, ...], root: str) -> str:
    """Name the kind of object that the last step of `loc` is a field of."""
    parent = loc[:-1]
    if not parent:
        return root
    if isinstance(parent[-1], int):
        if root == "teach" and parent[-2] == "documents":
            return "labelled"
        return {"documents": "document", "labels": "label", "children": "label", "levels": "level"}[str(parent[-2])]
    return "task" if len(parent) == 2 and parent[0] == "tasks" else str(parent[-1])


def _locate(error: ErrorDetails, raw: object) -> tuple[list[int], object]:
    """Return where the error is, as numbers that compare in reading order, and the value there, if there is one."""
    position = []
    for step in error["loc"]:
        if isinstance(raw, dict):
            position.append(list(raw).index(step) if step in raw else len(raw))
            raw = raw.get(step)
        elif isinstance(raw, list) and isinstance(step, int):
            position.append(step)
            raw = raw[step]
    return position, raw


def _translate(error: ErrorDetails, raw: object, root: str) -> RequestError:
    """Put an error of pydantic into our words: what was expected and what to do, never the value."""
    loc, kind, context = error["loc"], error["type"], error.get("ctx", {})
    field = join(ROOT, *loc)
    if kind == "extra_forbidden":
        place = _place(loc, root)
        known = list(_PLACES[place].model_fields)
        nearest = difflib.get_close_matches(str(loc[-1])[:MAX_KEY_CHARS], known, n=1)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"known here: {', '.join(known)}"
        return RequestError("unknown_field", f"unknown field; {hint}", field)
    if kind == "missing":
        return RequestError("missing_field", "this field is required", field)
    if kind in EXPECTED:
        return RequestError("wrong_type", f"must be {EXPECTED[kind]}, not {kind_of(_locate(error, raw)[1])}", field)
    if kind == "string_unicode":
        return RequestError("invalid_unicode", WHOLE_CHARACTERS, field)
    if kind == "literal_error":
        return RequestError("out_of_range", f"must be {context['expected']}", field)
    for bound, words in BOUNDS.items():
        if bound in context:
            return RequestError("out_of_range", f"must be {words} {context[bound]:g}", field)
    return RequestError("invalid_request", f"not valid here ({kind})", field)
