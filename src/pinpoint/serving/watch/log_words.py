"""What of a caller's words may stand in a log line: an id cut to printable characters, a path of known names."""

from __future__ import annotations

import re

from pinpoint.api import decisions
from pinpoint.api.conversation import FunctionCall, FunctionCallOutput, UserMessage
from pinpoint.api.decisions import DecisionsBody
from pinpoint.api.schema import (
    CriteriaFields,
    DocumentFields,
    JobFields,
    LabelFields,
    LabelledFields,
    LevelFields,
    OptionFields,
    TaskFields,
    TeachFields,
    ZeroShotFields,
    ZeroShotParameters,
)
from pinpoint.api.systemone import SystemOneBody

MAX_ID_CHARS = 64

_FORMATS = (
    DecisionsBody,
    decisions.Choice,
    decisions.ScoreQuestion,
    decisions.Predicate,
    decisions.ChoiceQuestion,
    SystemOneBody,
    UserMessage,
    FunctionCall,
    FunctionCallOutput,
)
_MODELS = (
    *_FORMATS,
    CriteriaFields,
    LevelFields,
    JobFields,
    DocumentFields,
    LabelFields,
    TaskFields,
    OptionFields,
    ZeroShotFields,
    ZeroShotParameters,
    TeachFields,
    LabelledFields,
)
FIELD_NAMES = {name for model in _MODELS for name in model.model_fields} | {"input"}
_SETTING = re.compile(r"(PINPOINT|MODEL)_[A-Z_]{1,40}")


def printable(identity: str) -> str:
    """An id fit for a line: at most 64 characters, no white space and nothing that cannot be printed."""
    return "".join(c if c.isprintable() and not c.isspace() else "?" for c in identity[:MAX_ID_CHARS])


def contract_path(field: str | None) -> str:
    """A field path with the contract's own names and indices only; `*` stands for a name that a caller chose."""
    if field is None:
        return "-"
    if _SETTING.fullmatch(field):
        return field
    parts = re.split(r"([.\[\]])", field)
    kept = [part if part in FIELD_NAMES or part in ".[]" or _is_index(part) else "*" for part in parts]
    return re.sub(r"\*[*.]*\*", "*", "".join(kept))


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) <= 5
