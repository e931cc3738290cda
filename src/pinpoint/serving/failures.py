"""What is said of a failure that nobody foresaw: where it rose, and nothing of what the job contained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pinpoint.errors import InternalError

T = TypeVar("T")


def internal_error() -> InternalError:
    """What the caller is told."""
    return InternalError("internal", "the worker failed on this job; its log has the details")


def place(error: BaseException) -> str:
    """File and line where an error rose: enough to find it, and free of what the job contained."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "unknown" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def contained(call: Callable[[], T]) -> T:
    """Call; a SystemExit, which would end the event loop and every job in it, is one more error."""
    try:
        return call()
    except SystemExit as error:
        raise RuntimeError("SystemExit") from error
