"""The fields of a request, as strict pydantic models, and the one error that a value which does not fit them gets.

Models know names and types only; what needs two fields or a limit is in `request`. Optional text that a caller may
well send as null is nullable; a document or a list of labels is not.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.types import FailFast
from pydantic_core import ErrorDetails, PydanticCustomError

from pinpoint.api.limits import MAX_KEY_CHARS, ROOT, join, kind_of
from pinpoint.documents.text import WHOLE_CHARACTERS
from pinpoint.errors import RequestError

# Of a tree: how much may lie below groups that are not asked about, and what a score must reach not to back off.
UNSEEN_MASS, BACK_OFF = 0.1, 0.5
NONE_OF_THESE = "none of these"  # what a label of ours is called that a task asks for with `other`
MAX_ERRORS_COMPARED = 100  # each costs a walk; a request with more errors gets an early one, perhaps not the first

ItemT = TypeVar("ItemT")
ModelT = TypeVar("ModelT", bound="WireModel")
FastList = Annotated[list[ItemT], FailFast()]  # one error is reported, so the second of a list is not worth finding
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Inside = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


def _flag_or_name(value: object) -> str | None:
    """A name by itself, true by a name of ours, false and null by none."""
    if value is None or isinstance(value, bool):
        return NONE_OF_THESE if value else None
    if not isinstance(value, str):
        raise PydanticCustomError("option_type", "neither a string nor a boolean")
    return value


Other = Annotated[str | None, BeforeValidator(_flag_or_name)]


def _explain(value: object) -> object:
    """What may be asked to be explained, and how; one error in place of one for each type that it may have."""
    if not isinstance(value, bool | str):
        raise PydanticCustomError("explain_type", "not an explanation")
    if isinstance(value, str) and value not in ("text", "evidence"):
        raise PydanticCustomError("literal_error", "not one", {"expected": "true, false, 'text' or 'evidence'"})
    return value


class WireModel(BaseModel):
    """No coercion, no unknown fields, no change afterwards."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class DocumentFields(WireModel):
    """One member of `documents`; which of its forms was sent is in `model_fields_set`."""

    id: str | None = None
    text: str = ""
    pages: FastList[str] = []
    base64: str = ""
    url: str = ""
    mime: str | None = None
    filename: str | None = None
    attachments: Literal["pages", "documents", "none"] = "pages"


class LabelFields(WireModel):
    """One label; a plain string stands for its name."""

    id: str | None = None
    name: str
    description: str | None = None
    examples: FastList[str] = []
    children: FastList[LabelFields] = []

    @property
    def is_group(self) -> bool:
        """Whether children were sent, be it an empty list."""
        return "children" in self.model_fields_set

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, (dict, LabelFields)):
            raise PydanticCustomError("label_type", "not a label")
        return value


class LevelFields(WireModel):
    """One level of a score; a plain string stands for its label."""

    label: str
    description: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _label_alone(cls, value: object) -> object:
        if isinstance(value, str):
            return {"label": value}
        if not isinstance(value, (dict, LevelFields)):
            raise PydanticCustomError("label_type", "not a level")
        return value


class CriteriaFields(WireModel):
    """What counts as yes, and what as no."""

    yes: str | None = None
    no: str | None = None


class TaskFields(WireModel):
    """One member of `tasks`; which fields go with which type is in `typed_tasks`."""

    labels: FastList[LabelFields] = []
    multi_label: bool = False
    instructions: str | None = None
    mask: FastList[str] = []
    prior: dict[str, Weight] | None = None
    type: Literal["choice", "yes_no", "score"] = "choice"
    criteria: CriteriaFields | None = None
    levels: FastList[LevelFields] = []
    other: Other = None
    taxonomy: str = ""


class TaxonomyFields(TaskFields):
    """A file of a taxonomy: a task, and words about it for people."""

    description: str | None = None


class LabelledFields(DocumentFields):
    """One member of the documents that teach: a document and the id, or the name, of its label."""

    label: str


class TeachFields(WireModel):
    """The value of `teach`, and the body of its route."""

    name: str = "category"
    task: TaskFields
    documents: FastList[LabelledFields]
    target_errors: FastList[Inside] = []
    confidence_level: Inside = 0.9
    alphas: FastList[Inside] = []
    replace: bool = False


class OptionFields(WireModel):
    """`options`, each with the default of the contract."""

    top_k: Annotated[int, Field(ge=1)] | None = None
    threshold: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    long_document: Literal["pages", "head_tail", "error"] = "head_tail"
    explain: Annotated[bool | str, BeforeValidator(_explain)] = False
    deterministic: bool = False
    return_raw: bool = False
    split: bool = False
    first_pages: Annotated[int, Field(ge=1)] | None = None
    ignore_blank_pages: bool = False
    page_vote: Literal["sum", "majority", "evidence"] = "sum"
    second_reading: bool = False
    target_error: Inside | None = None
    confidence_level: Inside | None = None
    alpha: Inside | None = None
    unseen_mass: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = UNSEEN_MASS
    back_off: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = BACK_OFF


class JobFields(WireModel):
    """The value of `input`: one document in short form or several, one task in short form or several."""

    text: str = ""
    pages: FastList[str] = []
    base64: str = ""
    url: str = ""
    mime: str | None = None
    filename: str | None = None
    attachments: Literal["pages", "documents", "none"] = "pages"
    documents: FastList[DocumentFields] = []
    labels: FastList[LabelFields] = []
    tasks: dict[str, TaskFields] = {}
    taxonomy: str = ""
    mask: FastList[str] = []
    prior: dict[str, Weight] | None = None
    multi_label: bool = False
    instructions: str | None = None
    options: OptionFields = OptionFields()


class ZeroShotParameters(WireModel):
    """`parameters` of the Hugging Face zero-shot shape."""

    candidate_labels: FastList[str]
    multi_label: bool = False
    hypothesis_template: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _labels_in_a_list(cls, value: object) -> object:
        """Split a comma separated string as that pipeline does, so that one type is left to check."""
        if isinstance(value, dict) and isinstance(labels := value.get("candidate_labels"), str):
            return {**value, "candidate_labels": [label.strip() for label in labels.split(",") if label.strip()]}
        return value


class ZeroShotFields(WireModel):
    """The value of `input` in the Hugging Face zero-shot shape."""

    inputs: FastList[str]
    parameters: ZeroShotParameters

    @model_validator(mode="before")
    @classmethod
    def _inputs_in_a_list(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(text := value.get("inputs"), str):
            return {**value, "inputs": [text]}
        return value


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
