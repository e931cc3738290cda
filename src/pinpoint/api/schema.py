"""The fields of a request, as strict pydantic models; `validation` says what does not fit them.

Models know names and types only; what needs two fields or a limit is in `request`. Optional text that a caller may
well send as null is nullable; a document or a list of labels is not.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.types import FailFast
from pydantic_core import PydanticCustomError

# Of a tree: how much may lie below groups that are not asked about, and what a score must reach not to back off.
UNSEEN_MASS, BACK_OFF = 0.1, 0.5
NONE_OF_THESE = "none of these"  # what a label of ours is called that a task asks for with `other`

ItemT = TypeVar("ItemT")
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


def _names(value: object) -> object:
    """The label of a document, or all of its labels; one error in place of one for each type."""
    if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise PydanticCustomError("names_type", "not a label")
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
    labels_first: bool = False


class TaxonomyFields(TaskFields):
    """A file of a taxonomy: a task, and words about it for people."""

    description: str | None = None


class LabelledFields(DocumentFields):
    """One member of the documents that teach: a document and the id, or the name, of its label, or of all of them."""

    label: Annotated[str | list[str], BeforeValidator(_names)]


class TeachFields(WireModel):
    """The value of `teach`, and the body of its route."""

    name: str = "category"
    task: TaskFields
    documents: FastList[LabelledFields]
    target_errors: FastList[Inside] = []
    confidence_level: Inside = 0.9
    alphas: FastList[Inside] = []
    replace: bool = False
    back_off: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = BACK_OFF


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
    labels_first: bool = False
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
