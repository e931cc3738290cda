"""Documents are put into jobs, and jobs are brought to an end: tried again, halved, or refused for what is in them.

    documents ── packed ──▶ job ── answered ──▶ a result for each document
                             │ too large, too slow          → halves
                             │ a worker failed, too busy    → again; then halves; alone, it is the document's error
                             │ one document is at fault     → that one is refused, the others go again
                             │ its worker has no model      → again; then raised
                             └ key, endpoint, question      → raised: no other job would fare better

`fates.py` says which is which. Where no job at all is answered, failures of workers are raised too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pinpoint.client.documents import Document, Question
from pinpoint.client.fates import AT_FAULT, Fate, at_fault, fate_of
from pinpoint.client.limiter import Limiter
from pinpoint.client.results import Result, unreadable
from pinpoint.client.retries import Retries
from pinpoint.client.transport import Answered, Transport
from pinpoint.errors import PinpointError, RequestError

JOB_DOCUMENTS = 32
# Of a job of several documents: under the 4,000,000 characters of a request, and a fraction of what /run takes.
JOB_BYTES = 3_000_000
SURROUNDING_BYTES = 1000  # what the platform's call has around a request
JOB_TRIES = 3
HOPELESS = 10  # documents one after the other without an answer, and none with one between: it is not the documents

Wire = dict[str, Any]


@dataclass(slots=True)
class Outcome:
    """A document and its results: one, or one for itself and one for each attachment that is a document."""

    document: Document
    results: list[Wire]


class Sink(Protocol):
    """Who is told of jobs and their results, as they come."""

    def accepted(self, job_id: str, documents: Sequence[Document]) -> None:
        """A job of these documents can be asked about from now on, by whoever knows its id."""

    def ended(self, job_id: str | None, outcomes: Sequence[Outcome]) -> None:
        """The job, where it had an id, has ended, and this is known now; nothing, where it goes again."""


@dataclass(slots=True)
class Gathered:
    """A sink that keeps all results."""

    outcomes: list[Outcome] = field(default_factory=list)

    def accepted(self, job_id: str, documents: Sequence[Document]) -> None:
        """Nothing is kept of jobs."""

    def ended(self, job_id: str | None, outcomes: Sequence[Outcome]) -> None:
        """Keep results."""
        self.outcomes += outcomes

    def in_order(self, documents: Iterable[Document]) -> list[Outcome]:
        """What became of each document."""
        found = {id(one.document): one for one in self.outcomes}
        return [found[id(one)] for one in documents]


@dataclass(slots=True)
class Counts:
    """What is counted over all jobs.

    Attributes:
        jobs: answered.
        again, halved: how often a job was tried again or cut in two.
        worker_s: how long workers were busy, where the platform says so.
        model: what answered last.
    """

    jobs: int = 0
    again: int = 0
    halved: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    worker_s: float = 0.0
    model: Wire = field(default_factory=dict)

    def add(self, answered: Answered) -> None:
        """Count an answer."""
        usage = answered.output.get("usage")
        self.jobs += 1
        self.prompt_tokens += _count(usage, "prompt_tokens")
        self.cached_tokens += _count(usage, "cached_tokens")
        self.worker_s += answered.worker_s or 0.0
        model = answered.output.get("model")
        self.model = model if isinstance(model, dict) else self.model


def _count(usage: Any, name: str) -> int:
    """A count of an answer; 0 where it has none."""
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) else 0


def packed(
    documents: Iterable[Document], most: int = JOB_DOCUMENTS, most_bytes: int = JOB_BYTES
) -> Iterator[list[Document]]:
    """Neighbours in jobs, in their order; one that is larger than `most_bytes` is a job of its own."""
    job, size = list[Document](), 0
    failure = None
    try:
        for one in documents:
            if job and (len(job) == most or size + one.size_bytes > most_bytes):
                yield job
                job, size = [], 0
            job.append(one)
            size += one.size_bytes
    except PinpointError as error:  # a source that ends in the middle: what it had shown is a job as well
        failure = error
    if job:
        yield job
    if failure is not None:
        raise failure


class Jobs:
    """Brings jobs to an end over one transport."""

    def __init__(
        self, transport: Transport, question: Question, limiter: Limiter, retries: Retries | None = None,
        on_busy: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.counts = Counts()
        self._transport = transport
        self._question = question
        self._limiter = limiter
        self._retries = retries or Retries()
        transport.on_busy = on_busy or limiter.busy
        self._hopeless = 0
        self._room = transport.max_bytes - len(question.fields) - SURROUNDING_BYTES

    async def run(self, documents: Sequence[Document], sink: Sink) -> None:
        """Bring a job to an end; every document's results are told once, in no order.

        Raises:
            PinpointError: no job can be answered: the key, the endpoint, the question.
        """
        large = [one for one in documents if one.size_bytes > self._room]
        if large:
            sink.ended(None, [refused(one, self._too_large(one)) for one in large])
        await self._run([one for one in documents if one.size_bytes <= self._room], sink)

    def _too_large(self, document: Document) -> PinpointError:
        return RequestError(
            "too_large",
            f"{document.size_bytes} bytes as JSON, at most {self._room} here; send it by url, or in parts",
        )

    async def _run(self, documents: Sequence[Document], sink: Sink) -> None:
        if not documents:
            return
        if len(documents) > 1 and sum(one.size_bytes for one in documents) > self._room:
            return await self._halves(documents, sink)
        size_bytes = self._question.size_bytes(documents)
        for failed in range(1, JOB_TRIES + 1):
            job = _Job(documents, sink)
            try:
                # Made within its slot: what waits for one is not in memory twice.
                async with self._limiter.slot(size_bytes):
                    answered = await self._transport.answer(self._question.about(documents), job.accepted)
                outcomes = self.outcomes(documents, answered)
            except PinpointError as error:
                failure = error.with_traceback(None)
            else:
                self._hopeless = 0
                self._limiter.went_well()
                return sink.ended(job.id, outcomes)
            fate = fate_of(failure, len(documents))
            if fate is Fate.RAISE:
                raise failure
            if fate is Fate.REFUSE_ONE:
                index = at_fault(failure, len(documents)) or 0
                sink.ended(job.id, [refused(documents[index], failure)])
                return await self._run([*documents[:index], *documents[index + 1 :]], sink)
            if fate in (Fate.AGAIN, Fate.ANOTHER) and failed < JOB_TRIES:
                self.counts.again += 1
                sink.ended(job.id, [])
                await asyncio.sleep(self._retries.wait_s(failed))
                continue
            if fate is Fate.ANOTHER:
                raise failure
            break
        if len(documents) > 1:
            sink.ended(job.id, [])
            return await self._halves(documents, sink)
        self._hopeless += 1
        # A document is at fault only where others are answered: nothing says so while all fail.
        if fate is Fate.AGAIN and (not self.counts.jobs or self._hopeless > HOPELESS):
            raise failure
        sink.ended(job.id, [refused(documents[0], failure)])

    async def _halves(self, documents: Sequence[Document], sink: Sink) -> None:
        self.counts.halved += 1
        middle = len(documents) // 2
        async with asyncio.TaskGroup() as group:
            for half in (documents[:middle], documents[middle:]):
                group.create_task(self._run(half, sink))

    def outcomes(self, documents: Sequence[Document], answered: Answered) -> list[Outcome]:
        """Each document's results out of an answer. Raises JobError `answer_unreadable`."""
        by_place = results_by_place(answered.output, len(documents))
        self.counts.add(answered)
        return [Outcome(one, named(results, one.id)) for one, results in zip(documents, by_place, strict=True)]


class _Job:
    """One try of a job: its id, once it has one."""

    def __init__(self, documents: Sequence[Document], sink: Sink) -> None:
        self.id: str | None = None
        self._documents = documents
        self._sink = sink

    def accepted(self, job_id: str) -> None:
        self.id = job_id
        self._sink.accepted(job_id, self._documents)


def results_by_place(output: Wire, count: int) -> list[list[Wire]]:
    """The results of each document of a job, by its place in it. Raises JobError `answer_unreadable`."""
    places: list[list[Wire]] = [[] for _ in range(count)]
    results = output.get("results")
    if not isinstance(results, list):
        raise unreadable()
    for result in results:
        name = result.get("id") if isinstance(result, dict) else None
        place = name.partition("/")[0] if isinstance(name, str) else ""
        if not place.isdecimal() or int(place) >= count:
            raise unreadable()
        Result.of(result)  # what is written and counted of it is there
        places[int(place)].append(result)
    if not all(places):
        raise unreadable()
    return places


def named(results: Sequence[Wire], name: str) -> list[Wire]:
    """Results under the document's own id; an attachment's has its number behind it."""
    return [_own(one, name + "".join(one["id"].partition("/")[1:])) for one in results]


def _own(result: Wire, name: str) -> Wire:
    """A result without its document's place in the job, which nobody but us knows of."""
    error = result.get("error")
    if isinstance(error, dict) and isinstance(error.get("field"), str):
        field = AT_FAULT.sub("", error["field"], count=1).removeprefix(".") or None
        return {**result, "id": name, "error": {**error, "field": field}}
    return {**result, "id": name}


def refused(document: Document, error: PinpointError) -> Outcome:
    """A document's result where it has an error."""
    told = {"code": error.code, "message": error.message, "field": error.field}
    return Outcome(document, [_own({"status": "error", "error": told}, document.id)])


def first_of(error: BaseException) -> BaseException:
    """The error in a group of them, where halves of a job failed together."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
