"""Reading a request in another format: its fields as strict models, and the one error that is worth telling.

What may be of several kinds is told apart by tags of its own, which begin with a mark that no field begins with; so a
path names what the caller wrote and nothing of how it was read.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar, Union, get_args

from pydantic import Discriminator, PlainValidator, Tag, ValidationError, WithJsonSchema
from pydantic.types import FailFast
from pydantic_core import ErrorDetails, PydanticCustomError

from pinpoint.api.limits import ROOT, join, kind_of
from pinpoint.api.schema import WireModel
from pinpoint.api.validation import BOUNDS, EXPECTED, MAX_ERRORS_COMPARED
from pinpoint.documents.text import WHOLE_CHARACTERS
from pinpoint.errors import RequestError

MARK = "§"

ModelT = TypeVar("ModelT", bound=WireModel)


def _content(value: object) -> object:
    if not isinstance(value, (str, dict, list)):
        raise PydanticCustomError("content_type", "not content")
    return value


# What may be written as text or as JSON: laid out by `layout`.
Content = Annotated[
    Any,
    PlainValidator(_content),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "array", "items": {}}]}),
]


def _objects(value: object) -> object:
    if not isinstance(value, dict) and not (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
        raise PydanticCustomError("objects_type", "neither an object nor a list of objects")
    return value


Objects = Annotated[
    Any,
    PlainValidator(_objects),
    WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]}),
]


def _string_or_boolean(value: object) -> object:
    if not isinstance(value, (str, bool)):
        raise PydanticCustomError("option_type", "neither a string nor a boolean")
    return value


StringOrBoolean = Annotated[
    Any,
    PlainValidator(_string_or_boolean),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "boolean"}]}),
]


class _FirstError(FailFast):
    """`FailFast`, for a list that is one of several types: those are kept in a set."""

    __hash__ = object.__hash__


def text_or_list(value: object) -> str:
    """The tag of what is a string, or a list of parts."""
    return f"{MARK}list" if isinstance(value, list) else f"{MARK}text"


def by_type(value: object) -> str | None:
    """The tag of what its field `type` tells apart, of messages `role`."""
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    if kind in (None, "message") and "role" in value:
        kind = value["role"]
    return MARK + kind if isinstance(kind, str) else None


def text_or(item: Any) -> Any:
    """What is a string, or a list of such items."""
    return Annotated[
        Annotated[str, Tag(f"{MARK}text")] | Annotated[list[item], _FirstError(), Tag(f"{MARK}list")],
        Discriminator(text_or_list),
    ]


def one_of(*models: type[WireModel]) -> Any:
    """One of several models, told apart by `by_type`."""
    names = [str(get_args(model.model_fields[_telling(model)].annotation)[0]) for model in models]
    tagged = [Annotated[model, Tag(MARK + name)] for model, name in zip(models, names, strict=True)]
    told = Discriminator(
        by_type,
        custom_error_type="unknown_type",
        custom_error_message=", ".join(repr(name) for name in names),
    )
    return Annotated[Union[tuple(tagged)], told]  # noqa: UP007 - made of a list


def _telling(model: type[WireModel]) -> str:
    return "role" if "role" in model.model_fields else "type"


def read(model: type[ModelT], raw: object, where: str = ROOT) -> ModelT:
    """Return the raw value as a model. Raises RequestError for the first unknown field, else for the first error."""
    try:
        return model.model_validate(raw)
    except ValidationError as caught:
        errors = caught.errors(include_url=False, include_input=False)[:MAX_ERRORS_COMPARED]
    error = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    raise _translate(error, raw, where)


def _translate(error: ErrorDetails, raw: object, where: str) -> RequestError:
    kind, context = error["type"], error.get("ctx", {})
    path = [step for step in error["loc"] if not (isinstance(step, str) and step.startswith(MARK))]
    if path and path[-1] == "[key]":
        path.pop()
    field = join(where, *path)
    value: object = raw
    for step in path:
        if isinstance(value, dict) or (isinstance(value, list) and isinstance(step, int)):
            value = value.get(step) if isinstance(value, dict) else value[step]  # type: ignore[index]
    if kind == "extra_forbidden":
        return RequestError("unknown_field", "unknown field", field)
    if kind == "missing":
        return RequestError("missing_field", "this field is required", field)
    if kind == "unknown_type":
        return _of_no_type(value, field, error["msg"])
    if kind in EXPECTED:
        return RequestError("wrong_type", f"must be {EXPECTED[kind]}, not {kind_of(value)}", field)
    if kind == "string_unicode":
        return RequestError("invalid_unicode", WHOLE_CHARACTERS, field)
    if kind == "literal_error":
        return RequestError("out_of_range", f"must be {context['expected']}", field)
    if kind in ("too_short", "too_long", "string_too_long"):
        least = context.get("min_length")
        bound = f"at least {least}" if least is not None else f"at most {context['max_length']}"
        unit = " characters" if kind == "string_too_long" else ""
        count = context.get("actual_length")
        found = "" if count is None else f"{count}, "
        code = "missing_field" if kind == "too_short" else "too_large"
        return RequestError(code, f"{found}must be {bound}{unit}", field)
    for bound, words in BOUNDS.items():
        if bound in context:
            return RequestError("out_of_range", f"must be {words} {context[bound]:g}", field)
    return RequestError("invalid_request", f"not valid here ({kind})", field)


def _of_no_type(value: object, field: str, expected: str) -> RequestError:
    """What is told of an object whose `type` is missing, or names nothing."""
    if not isinstance(value, dict):
        return RequestError("wrong_type", f"must be an object, not {kind_of(value)}", field)
    # Of a message, the role.
    told = "role" if "role" in value and value.get("type") in (None, "message") else "type"
    if told not in value:
        return RequestError("missing_field", f"this field is required; one of {expected}", join(field, told))
    if not isinstance(value[told], str):
        return RequestError("wrong_type", f"must be a string, not {kind_of(value[told])}", join(field, told))
    return RequestError("out_of_range", f"must be one of {expected}", join(field, told))
