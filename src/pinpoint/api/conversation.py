"""Messages of several roles as one document, each turn marked.

    [user]
    Where is my parcel?

    [function_call track]
    {"id": 7}

    [function_call_output track]
    lost

A single message of the user is its text, without a mark.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pinpoint.api.format_fields import Objects, one_of, text_or
from pinpoint.api.layout import as_text
from pinpoint.api.limits import Limits, below, check_bounds
from pinpoint.api.schema import WireModel
from pinpoint.errors import RequestError

# Of one JSON part, by OpenAI's own types.
JSON_LIMITS = Limits(max_depth=32, max_values=10_000, max_fields=10_000)
JSON_BYTES = 256 * 1024
IMAGES = "this model reads text only; leave images out"

Status = Literal["in_progress", "completed", "incomplete"]


class CacheBreakpoint(WireModel):
    """Where a beginning ends that may be asked about again; what is kept here does not depend on it."""

    mode: Literal["explicit"]


class InputText(WireModel):
    """A part that is text."""

    type: Literal["input_text"]
    text: str
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class InputImage(WireModel):
    """A part that is an image."""

    type: Literal["input_image"]
    image_url: str
    detail: Literal["low", "high", "auto", "original"] | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class InputJson(WireModel):
    """A part that is an object of JSON, or a list of objects."""

    type: Literal["input_json"]
    data: Objects


class OutputText(WireModel):
    """A part that an assistant wrote."""

    type: Literal["output_text"]
    text: str


class OutputRefusal(WireModel):
    """What an assistant said in refusing."""

    type: Literal["refusal"]
    refusal: str


class UserMessage(WireModel):
    """A message of the user."""

    role: Literal["user"]
    type: Literal["message"] = "message"
    content: text_or(one_of(InputText, InputImage, InputJson))  # type: ignore[valid-type]


class DeveloperMessage(WireModel):
    """A message of the developer."""

    role: Literal["developer"]
    type: Literal["message"] = "message"
    content: text_or(one_of(InputText))  # type: ignore[valid-type]


class SystemMessage(WireModel):
    """A message of the system."""

    role: Literal["system"]
    type: Literal["message"] = "message"
    content: text_or(one_of(InputText))  # type: ignore[valid-type]


class AssistantMessage(WireModel):
    """A message of an assistant."""

    role: Literal["assistant"]
    type: Literal["message"] = "message"
    content: text_or(one_of(OutputText, OutputRefusal))  # type: ignore[valid-type]
    phase: Literal["commentary", "final_answer"] | None = None


class Call(WireModel):
    """A call of a function or a tool."""

    call_id: str
    name: str
    id: str | None = None
    namespace: str | None = None
    status: Status | None = None


class FunctionCall(Call):
    """A call of a function."""

    type: Literal["function_call"]
    arguments: str


class CustomToolCall(Call):
    """A call of a tool."""

    type: Literal["custom_tool_call"]
    input: str


class CallOutput(WireModel):
    """What a function or a tool gave back."""

    call_id: str
    output: text_or(one_of(InputText, InputImage))  # type: ignore[valid-type]
    id: str | None = None
    status: Status | None = None


class FunctionCallOutput(CallOutput):
    """What a function gave back."""

    type: Literal["function_call_output"]


class CustomToolCallOutput(CallOutput):
    """What a tool gave back."""

    type: Literal["custom_tool_call_output"]


Item = one_of(
    UserMessage, DeveloperMessage, SystemMessage, AssistantMessage,
    FunctionCall, FunctionCallOutput, CustomToolCall, CustomToolCallOutput,
)  # fmt: skip


def conversation_text(items: str | Sequence[Any], field: str) -> str:
    """Return a text, or the turns of a conversation, as one document.

    Raises:
        RequestError: an image, JSON over its limits, or the output of a call that was not made.
    """
    if isinstance(items, str):
        return items
    if not items:
        raise RequestError("missing_field", "the list is empty; send at least one message", field)
    if len(items) == 1 and isinstance(items[0], UserMessage):
        return content_text(items[0].content, below(field, 0, "content"))
    calls: dict[str, str] = {}
    return "\n\n".join(_turn(item, calls, below(field, index)) for index, item in enumerate(items))


def content_text(content: str | Sequence[Any], field: str) -> str:
    """Return a text, or the text of parts, a line break between them. Raises RequestError as above."""
    if isinstance(content, str):
        return content
    if not content:
        raise RequestError("missing_field", "the list is empty; send at least one part", field)
    return "\n".join(_part(part, below(field, index)) for index, part in enumerate(content))


def has_image(content: str | Sequence[Any]) -> bool:
    """Whether there is an image among the parts."""
    return not isinstance(content, str) and any(isinstance(part, InputImage) for part in content)


def _turn(item: Any, calls: dict[str, str], field: str) -> str:
    if isinstance(item, (FunctionCall, CustomToolCall)):
        calls[item.call_id] = item.name
        return f"[{item.type} {item.name}]\n{item.arguments if isinstance(item, FunctionCall) else item.input}"
    if isinstance(item, (FunctionCallOutput, CustomToolCallOutput)):
        if item.call_id not in calls:
            raise RequestError("unknown_id", "no call before it has this id", below(field, "call_id"))
        return f"[{item.type} {calls[item.call_id]}]\n{content_text(item.output, below(field, 'output'))}"
    return f"[{item.role}]\n{content_text(item.content, below(field, 'content'))}"


def _part(part: Any, field: str) -> str:
    if isinstance(part, InputImage):
        raise RequestError("not_supported", IMAGES, field)
    if isinstance(part, InputJson):
        where = below(field, "data")
        check_bounds(part.data, JSON_LIMITS, where)
        size = len(json.dumps(part.data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
        if size > JSON_BYTES:
            raise RequestError("too_large", f"{size} bytes of JSON, at most {JSON_BYTES}", where)
        return as_text(part.data)
    return str(part.refusal if isinstance(part, OutputRefusal) else part.text)
