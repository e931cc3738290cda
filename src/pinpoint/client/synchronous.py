"""The client for programs without an event loop, and for notebooks, which have one that is taken."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from pinpoint.client.asynchronous import TIMEOUT_S, AsyncPinpoint, Given
from pinpoint.client.documents import Label
from pinpoint.client.results import Results
from pinpoint.client.retries import Retries

T = TypeVar("T")
ENDS_S = 10.0


class Pinpoint:
    """Classifies documents by an endpoint, a server, or a model in this process. May be used from several threads.

    ```python
    with Pinpoint(endpoint="abc123") as pinpoint:
        for result in pinpoint.classify(["Invoice no. 7 …"], ["invoice", "receipt"]):
            print(result.id, result.label, result.score)
    ```

    The calls run in an event loop of its own, in a thread that begins with the first of them.
    """

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        url: str | None = None,
        api_key: str | None = None,
        timeout_s: float | None = TIMEOUT_S,
        retries: Retries | None = None,
        parallel: int = 8,
        job_documents: int | None = None,
    ) -> None:
        """As AsyncPinpoint's."""
        self._make = partial(
            AsyncPinpoint, endpoint=endpoint, url=url, api_key=api_key, timeout_s=timeout_s, retries=retries,
            parallel=parallel, job_documents=job_documents,
        )  # fmt: skip
        self._begin()

    def _begin(self) -> None:
        self._inner = self._make()
        self._loop = _Loop()
        self._process = os.getpid()
        # Whoever forgets to close it is not told of connections that were left open.
        self._closes = weakref.finalize(self, _end, self._inner, self._loop)

    def classify(
        self,
        documents: Given | Sequence[Given],
        labels: Sequence[Label] | None = None,
        *,
        tasks: Mapping[str, Any] | None = None,
        taxonomy: str | None = None,
        instructions: str | None = None,
        multi_label: bool = False,
        labels_first: bool = False,
        **options: Any,
    ) -> Results:
        """Ask about one document or many, as `AsyncPinpoint.classify` does."""
        if self._process != os.getpid():  # forked: the thread of the loop and the connections stayed with the parent
            self._begin()
        return self._run(
            self._inner.classify(
                documents,
                labels,
                tasks=tasks,
                taxonomy=taxonomy,
                instructions=instructions,
                multi_label=multi_label,
                labels_first=labels_first,
                **options,
            )
        )

    def close(self) -> None:
        """Give back connections, and end the thread; calls under way are cancelled, a further one begins anew."""
        _end(self._inner, self._loop)

    def __enter__(self) -> Pinpoint:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        """The call's result; an interrupt ends the call as well."""
        running = self._loop.begin(call)
        try:
            return running.result()
        except BaseException:
            running.cancel()
            raise


class _Loop:
    """An event loop in a thread of its own, once it is needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def begin(self, call: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin a call; a loop that is taken afterwards has it among its tasks."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="pinpoint-client", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(call, self._loop)

    def taken(self) -> tuple[asyncio.AbstractEventLoop | None, threading.Thread | None]:
        """The loop and its thread, which are nobody else's from now on."""
        with self._lock:
            taken = self._loop, self._thread
            self._loop = self._thread = None
            return taken


def _end(inner: AsyncPinpoint, own: _Loop) -> None:
    loop, thread = own.taken()
    if loop is None or thread is None or thread is threading.current_thread() or not thread.is_alive():
        return
    try:
        asyncio.run_coroutine_threadsafe(_last(inner), loop).result(ENDS_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(ENDS_S)
        if not thread.is_alive():
            loop.close()


async def _last(inner: AsyncPinpoint) -> None:
    """End the calls of other threads, which would wait for a loop that has stopped, and close."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await inner.close()
