"""Errors as they are told on the wire, made errors of ours again."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pinpoint.error_codes import ERROR_CODES
from pinpoint.errors import (
    CapacityError,
    DeviceError,
    DocumentError,
    InternalError,
    JobError,
    ModelError,
    PinpointError,
    RequestError,
)

E = TypeVar("E", bound=PinpointError)

LONGEST_WORDS = 300  # of what a platform says about a job
_WIRE = re.compile(r"(?P<code>[a-z]+(?:_[a-z]+)*): (?P<message>.*?)(?: \((?P<field>[^()]*)\))?\Z", re.DOTALL)
_SCOPES = {entry.code: entry.of for entry in ERROR_CODES}
# Codes of a job that are no refusal of it: what was asked can be answered, later or elsewhere, or in parts.
_CAPACITY = ("response_too_large", "result_refused", "overloaded", "deadline_exceeded", "draining")
_INTERNAL = ("poison_job", "internal", "not_serialisable", "invalid_measurement", "invalid_task")


def job_error(told: Any) -> PinpointError:
    """The error that failed a job, of what its `error` says: ours by its code, or JobError `job_failed`."""
    text = told if isinstance(told, str) else ""
    match = _WIRE.fullmatch(text)
    if match is None or match["code"] not in _SCOPES:
        said = " ".join(text.split())[:LONGEST_WORDS]
        return JobError("job_failed", f"the platform says: {said}" if said else "and nothing says why")
    return known_error(match["code"], match["message"], match["field"])


def known_error(name: str, message: str, field: str | None) -> PinpointError:
    """An error of this code, of the class that the code is raised as."""
    scopes = _SCOPES.get(name, ())
    kind: type[PinpointError] = RequestError
    if name in _CAPACITY:
        kind = CapacityError
    elif name in _INTERNAL:
        kind = InternalError
    elif name == "device_error":
        kind = DeviceError
    elif "job" not in scopes:
        kind = DocumentError if "document" in scopes else ModelError if "load" in scopes else JobError
    return _made(kind, name, message, field)


def document_error(told: Any) -> DocumentError:
    """The error of one document, as `results` tell it."""
    told = told if isinstance(told, dict) else {}
    field = told.get("field")
    words = str(told.get("code", "")), str(told.get("message", ""))
    return _made(DocumentError, *words, field if isinstance(field, str) else None)


def _made(kind: type[E], name: str, message: str, field: str | None) -> E:
    return kind(name, message, field)
