"""A bulk run by batch jobs: fill a batch, finalise it, wait for it, write its results; then the next one.

A batch lives for hours, so a run may end in the middle and go on later: the journal has the batch and what is in each
of its jobs. A batch that was not finalised when a run ended never begins; it is cancelled, and its documents are put
into another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from pinpoint.client.bulk.batches import BATCH_JOBS, Batch, job_of
from pinpoint.client.bulk.items import Item
from pinpoint.client.bulk.journal import Flight, Journal
from pinpoint.client.bulk.output import Output
from pinpoint.client.bulk.reading import in_loop, in_thread
from pinpoint.client.bulk.tally import Tally
from pinpoint.client.bulk.writing import Keep, Writer, to_begin
from pinpoint.client.documents import Document, Question
from pinpoint.client.fates import Fate, fate_of
from pinpoint.client.jobs import SURROUNDING_BYTES, Counts, named, packed, refused
from pinpoint.client.queue import QueueTransport
from pinpoint.client.transport import Answered
from pinpoint.errors import JobError, PinpointError, RequestError

SMALLER = 8  # times, with each pass over the sources: 32 documents a job, 4, 1


class BatchRun:
    """One run.

    Attributes:
        tally, counts: what is counted.
        in_flight: jobs that are under way.
        window: as many as a batch has.
    """

    def __init__(
        self, items: Callable[[], Iterator[Item]], transport: QueueTransport, question: Question, journal: Journal,
        output: Output, tally: Tally, job_documents: int,
    ) -> None:  # fmt: skip
        self.tally = tally
        self.counts = Counts()
        self.in_flight = 0
        self.window = float(BATCH_JOBS)
        self._items = items
        self._transport = transport
        self._question = question
        self._journal = journal
        self._writer = Writer(output, journal, tally)
        self._job_documents = job_documents
        self._room = transport.max_bytes - len(question.fields) - SURROUNDING_BYTES
        self._stopping = False
        self._waiting: asyncio.Task[None] | None = None

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    def stop(self) -> None:
        """Wait for nothing: a batch goes on without us, and a run that goes on finds it."""
        self._stopping = True
        if self._waiting is not None:
            self._waiting.cancel()

    leave = stop

    async def run(self) -> None:
        """Run to the end. Raises PinpointError; what has come is in the output."""
        self._waiting = asyncio.ensure_future(self._run())
        try:
            await self._waiting
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            await self._writer.write()

    async def _run(self) -> None:
        await self._adopt()
        job_documents, failed, again = self._job_documents, True, False
        while failed:
            self._journal.begin_pass()
            alone = job_documents == 1
            jobs = packed(self._documents(in_loop(self._writer.keep), again), job_documents)
            failed, again = False, True
            more = True
            while more:
                more, batch, flights = await self._fill(jobs)
                if flights:
                    failed |= await self._results(batch, flights, alone)
            if alone:
                return
            job_documents = max(1, job_documents // SMALLER)

    def _documents(self, keep: Keep, again: bool) -> Iterator[Document]:
        """What is to be begun and fits; what cannot be is kept as refused. Runs in a thread."""
        for document in to_begin(self._items(), self._journal, self.tally, keep, again=again):
            if document.size_bytes <= self._room:
                yield document
                continue
            error = RequestError("too_large", f"{document.size_bytes} bytes as JSON, at most {self._room} here")
            keep(document.id, refused(document, error).results)

    async def _fill(self, jobs: Iterator[list[Document]]) -> tuple[bool, Batch, dict[int, Flight]]:
        """A finalised batch and its jobs; whether there is more."""
        job = await in_thread(lambda: next(jobs, None))
        await self._writer.write()
        batch = Batch(self._transport, "")
        if job is None:
            return False, batch, {}
        batch = await Batch.create(self._transport)
        flights = dict[int, Flight]()
        while job is not None and batch.jobs < BATCH_JOBS:
            number = await batch.add(self._question, job)
            flights[number] = Flight(f"{batch.id}/{number}", batch.id, tuple(one.id for one in job))
            self._journal.flew(flights[number].job, flights[number].ids, batch.id)
            if batch.jobs == BATCH_JOBS:
                break
            job = await in_thread(lambda: next(jobs, None))
        await self._writer.write()
        await batch.finalise()
        return job is not None, batch, flights

    async def _results(self, batch: Batch, flights: dict[int, Flight], alone: bool) -> bool:
        """Wait for a batch, and write its results; whether documents are left for smaller jobs."""
        self.in_flight = len(flights)
        await batch.ended(lambda state: setattr(self, "in_flight", len(flights) - _ended(state)))
        offset, more, left, errors = 0, True, dict(flights), list[PinpointError]()
        while more:
            page, more = await batch.page(offset)
            offset += len(page)
            more = more and bool(page)
            for request in page:
                found = job_of(request)
                if isinstance(found, PinpointError):
                    errors.append(found)
                    continue
                number, places = found
                flight = left.pop(number, None)
                if flight is not None and len(places) == len(flight.ids):
                    self.counts.add(Answered(request["output"], (request.get("executionTime") or 0) / 1e3))
                    wanted = self._journal.open_of(flight.ids)
                    for name, results in zip(flight.ids, places, strict=True):
                        if name in wanted:
                            self._writer.keep(name, named(results, name))
                    self._writer.over.append(flight.job)
            await self._writer.write()
        self.in_flight = 0
        return await self._failures(list(left.values()), errors, alone)

    async def _failures(self, flights: list[Flight], errors: list[PinpointError], alone: bool) -> bool:
        """What becomes of jobs without an answer; which of the errors is whose is not told."""
        if not flights:
            return False
        fatal = next((error for error in errors if fate_of(error, 1) in (Fate.RAISE, Fate.ANOTHER)), None)
        if fatal is not None:
            raise fatal
        codes = sorted({error.code for error in errors}) or ["no answer"]
        first = JobError("job_failed", f"its job failed alone too; errors of such jobs: {', '.join(codes)}")
        if alone and not self.counts.jobs:  # nothing says that it is the documents
            raise first
        for flight in flights:
            self._journal.lost(flight)
            if alone:
                self._writer.keep(flight.ids[0], refused(Document(flight.ids[0], b""), first).results)
        self.counts.again += len(flights)
        await self._writer.write()
        return True

    async def _adopt(self) -> None:
        """Batches that an earlier run left."""
        batches = dict[str, dict[int, Flight]]()
        for flight in self._journal.flights():
            batch_id, _, number = flight.job.rpartition("/")
            if flight.batch == batch_id and number.isdecimal():
                batches.setdefault(batch_id, {})[int(number)] = flight
            else:
                self._journal.lost(flight)
        for batch_id, flights in batches.items():
            batch = Batch(self._transport, batch_id, len(flights))
            try:
                if (await batch.state()).get("status") == "DRAFT":
                    with contextlib.suppress(PinpointError):
                        await batch.cancel()
                    raise JobError("job_cancelled", "it was not finalised")
                await self._results(batch, flights, alone=False)
            except JobError:
                for flight in flights.values():
                    self._journal.lost(flight)


def _ended(state: dict[str, Any]) -> int:
    return sum(count for name in ("requestCompleted", "requestFailed") if isinstance(count := state.get(name), int))
