"""What is said of a failure that nobody foresaw: where it rose, and nothing of what the job contained."""

from __future__ import annotations

import asyncio
import threading
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


async def in_thread(call: Callable[[], T]) -> T:
    """Call in a thread that the end of the process does not wait for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value: T | None = None
        failure: BaseException | None = None
        try:
            value = contained(call)
        except BaseException as error:
            failure = error
        loop.call_soon_threadsafe(settle, value, failure)

    threading.Thread(target=run, name="load", daemon=True).start()
    return await future
