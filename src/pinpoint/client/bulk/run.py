"""A bulk run: documents are read, packed into jobs, answered, written and noted, all at the same time.

    items ── a thread reads and packs ──▶ jobs in flight, by the window ──▶ kept ── each half second ──▶ output, journal

Every document that the sources show has one result in the output when the run ends well, however often it was begun.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from pinpoint.client.bulk.items import Item
from pinpoint.client.bulk.journal import Flight, Journal
from pinpoint.client.bulk.output import Output, Wire
from pinpoint.client.bulk.reading import in_loop, unless
from pinpoint.client.bulk.tally import Tally
from pinpoint.client.bulk.writing import Writer, to_begin
from pinpoint.client.documents import Document
from pinpoint.client.jobs import JOB_DOCUMENTS, Jobs, Outcome, first_of, named, packed, results_by_place
from pinpoint.client.limiter import IN_FLIGHT_BYTES, Limiter
from pinpoint.client.transport import Transport
from pinpoint.errors import AccessError, ModelError, NotFoundError, PinpointError, UnavailableError

COMMIT_S = 0.5
COMMIT_DOCUMENTS = 2000
FATAL = (AccessError, NotFoundError, UnavailableError, ModelError)
PASSES = 3  # of the sources: a second one for documents of jobs that an earlier run left and the platform forgot


class Run:
    """One run; a sink of its jobs.

    Attributes:
        tally, counts: what is counted.
    """

    def __init__(
        self, items: Callable[[], Iterator[Item]], transport: Transport, jobs: Jobs, limiter: Limiter,
        journal: Journal, output: Output, tally: Tally, job_documents: int = JOB_DOCUMENTS,
    ) -> None:  # fmt: skip
        """`items` begins the sources anew with each call."""
        self.tally = tally
        self.counts = jobs.counts
        self._transport = transport
        self._jobs = jobs
        self._limiter = limiter
        self._journal = journal
        self._items = items
        self._writer = Writer(output, journal, tally)
        self._job_documents = job_documents
        self._running = dict[asyncio.Task[None], int]()
        self._full = asyncio.Event()
        self._ending = False
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._reopened = 0

    @property
    def in_flight(self) -> int:
        """Jobs under way."""
        return len(self._running)

    @property
    def window(self) -> float:
        """Jobs that may be."""
        return self._limiter.window

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Begin nothing new; what is in flight is finished."""
        self._stopping.set()

    def leave(self) -> None:
        """Wait for nothing: jobs in flight stay in the journal, and a run that goes on asks for them."""
        self._stopping.set()
        for task in self._running:
            task.cancel()

    async def run(self) -> None:
        """Run to the end, or as far as `stop` and `leave` let it.

        Raises:
            PinpointError: no document can be answered, read on, or written; what has come is in the output.
        """
        writer = asyncio.create_task(self._write_on())
        try:
            for flight in self._journal.flights():
                self._start(self._collect(flight), 0)
            for times in range(PASSES):
                self._reopened = 0
                try:
                    await self._read_sources(again=times > 0)
                finally:  # a source that cannot be read on is no reason to lose what is in flight
                    await self._drain()
                await self._writer.write()  # what is not noted as done would be begun again
                if not self._reopened or self._stopping.is_set():
                    break
        except BaseException as error:
            self._failure = self._failure or error
        finally:
            self.leave() if self._failure else None
            await asyncio.gather(*self._running, return_exceptions=True)
            self._ending = True
            self._full.set()
            await writer
        if self._failure is not None:
            raise first_of(self._failure)

    # A sink of jobs

    def accepted(self, job_id: str, documents: Sequence[Document]) -> None:
        """Note a job in flight."""
        self._journal.flew(job_id, [one.id for one in documents])

    def ended(self, job_id: str | None, outcomes: Sequence[Outcome]) -> None:
        """Keep results until they are written."""
        for outcome in outcomes:
            self._keep(outcome.document.id, outcome.results)
        if job_id is not None:
            self._writer.over.append(job_id)

    def _keep(self, name: str, results: list[Wire]) -> None:
        self._writer.keep(name, results)
        if self._writer.kept >= COMMIT_DOCUMENTS:
            self._full.set()

    # Reading

    async def _read_sources(self, *, again: bool) -> None:
        """Start a job for whatever is not done, as fast as the window allows."""
        self._journal.begin_pass()
        documents = to_begin(self._items(), self._journal, self.tally, in_loop(self._keep), again=again)
        jobs = packed(documents, self._job_documents)
        while not self._stopping.is_set() and self._failure is None:
            job = await unless(self._stopping, lambda: next(jobs, None))
            if job is None:
                return
            size = sum(one.size_bytes for one in job)
            while self._running and (
                len(self._running) >= self._limiter.window or sum(self._running.values()) + size > IN_FLIGHT_BYTES
            ):
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            if not self._stopping.is_set() and self._failure is None:
                self._start(self._jobs.run(job, self), size)

    # Jobs

    def _start(self, work: Coroutine[Any, Any, None], size_bytes: int) -> None:
        task = asyncio.ensure_future(work)
        self._running[task] = size_bytes
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None and self._failure is None:
            self._failure = error
            self.leave()

    async def _drain(self) -> None:
        while self._running and self._failure is None:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def _collect(self, flight: Flight) -> None:
        """Ask for a job that an earlier run left; what cannot be had is begun again."""
        try:
            answered = await self._transport.collect(flight.job)
            places = results_by_place(answered.output, len(flight.ids))
        except PinpointError as error:
            if isinstance(error, FATAL):
                raise
            self._journal.lost(flight)
            self._reopened += 1
            return
        self._jobs.counts.add(answered)
        wanted = self._journal.open_of(flight.ids)
        for name, results in zip(flight.ids, places, strict=True):
            if name in wanted:
                self._keep(name, named(results, name))
        self._writer.over.append(flight.job)

    # Writing

    async def _write_on(self) -> None:
        """Write what is kept, again and again; the last time when the run has ended."""
        ending = False
        while not ending:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), COMMIT_S)
            self._full.clear()
            ending = self._ending
            try:
                await self._writer.write()
            except Exception as error:  # whatever it is, nothing more can be written
                self._failure = error
                self.leave()
                return
