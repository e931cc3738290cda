"""Sources are read in threads that nobody has to wait for: a pipe or a network drive may never answer."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


def in_loop(call: Callable[P, object]) -> Callable[P, None]:
    """The call for a thread, made in the loop that runs now, where all results are: a thread may be left to itself.

    It comes before whatever `in_thread` returns after it.
    """
    loop = asyncio.get_running_loop()

    def tell(*args: P.args, **more: P.kwargs) -> None:
        loop.call_soon_threadsafe(functools.partial(call, *args, **more))

    return tell


async def in_thread(call: Callable[[], T]) -> T:
    """What the call returns or raises. Cancelled, it is left to itself; the process ends without it."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[T] = loop.create_future()

    def tell(value: T | None, error: BaseException | None) -> None:
        if not told.done():
            told.set_exception(error) if error is not None else told.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value, failure = None, None
        try:
            value = call()
        except BaseException as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody listens
            loop.call_soon_threadsafe(tell, value, failure)

    threading.Thread(target=run, name="pinpoint-reader", daemon=True).start()
    return await told


def started(call: Callable[[], T]) -> Callable[[], T]:
    """Begin a call in a thread of its own; what is returned waits for it, and returns or raises what it did."""
    told = Future[T]()

    def run() -> None:
        try:
            told.set_result(call())
        except BaseException as error:
            told.set_exception(error)

    threading.Thread(target=run, name="pinpoint-reader", daemon=True).start()
    return told.result


async def unless(stopping: asyncio.Event, call: Callable[[], T]) -> T | None:
    """What the call returns, or None when `stopping` comes first."""
    reading, stopped = asyncio.ensure_future(in_thread(call)), asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((reading, stopped), return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else None
    finally:
        reading.cancel()
        stopped.cancel()
