"""What is done about a job that failed, by its error."""

from __future__ import annotations

import re
from enum import Enum

from pinpoint.errors import CapacityError, DeviceError, InternalError, JobError, ModelError, PinpointError, RequestError

AT_FAULT = re.compile(r"documents\[(\d+)\]")
# Too much for one job; smaller ones of the same documents may be answered.
IN_PARTS = ("too_large", "body_too_large", "response_too_large", "result_refused", "deadline_exceeded")


class Fate(Enum):
    """What is done about a job that failed."""

    RAISE = "raise"
    AGAIN = "again"
    ANOTHER = "another"  # again, on another worker as it may be; raised when none can
    HALVE = "halve"
    REFUSE_ONE = "refuse one"


def fate_of(error: PinpointError, documents: int) -> Fate:
    """What to do about a job of so many documents that failed."""
    if at_fault(error, documents) is not None:
        return Fate.REFUSE_ONE
    if error.code in IN_PARTS:
        return Fate.HALVE
    if isinstance(error, JobError) and error.code in ("answer_unreadable", "job_cancelled"):
        return Fate.RAISE
    # One worker of many may be sick; an answer is forgotten where nobody fetched it in time. No document's fault, both.
    if isinstance(error, ModelError) or error.code == "job_forgotten":
        return Fate.ANOTHER
    if isinstance(error, (CapacityError, DeviceError, InternalError, JobError)):
        return Fate.AGAIN
    return Fate.RAISE


def at_fault(error: PinpointError, documents: int) -> int | None:
    """The place of the document for which a job was refused, where it was."""
    match = AT_FAULT.match(error.field or "") if isinstance(error, RequestError) else None
    return int(match[1]) if match is not None and int(match[1]) < documents else None
