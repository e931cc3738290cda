"""One job's way through the worker, from its input to its answer.

    input ── parse ── same id here already? ── encode ──┐                       ┌── decide ── serialise ── answer
                                                        └── batcher ── passes ──┘

What is the job's own is done in turns in the threads it is given; `worker.py` says how many.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pinpoint.api.deployed import Deployed
from pinpoint.api.least_bytes import check_least_bytes
from pinpoint.api.limits import Limits
from pinpoint.api.request import Request, parse_request
from pinpoint.api.response import Response, check_wire
from pinpoint.api.served import check_model, model_names
from pinpoint.api.shapes import answer_in_shape
from pinpoint.documents.file_reader import FileReader
from pinpoint.pipeline.classify import JobCounts, Work
from pinpoint.pipeline.engine_protocol import Engine
from pinpoint.pipeline.fair_queue import Lane
from pinpoint.pipeline.files import with_files_read
from pinpoint.serving.batcher import Batcher
from pinpoint.serving.failures import contained
from pinpoint.serving.jobs import JobLedger, input_digest
from pinpoint.serving.poison import PoisonMemory
from pinpoint.serving.progress import Progress, Send
from pinpoint.serving.task_files import TaskFiles
from pinpoint.serving.teaching import School, check_lesson
from pinpoint.serving.watch.log_words import printable
from pinpoint.serving.watch.metrics import Metrics
from pinpoint.serving.watch.records import JobRecord
from pinpoint.settings import Settings

log = logging.getLogger("pinpoint")

T = TypeVar("T")
Begun = tuple[Work, bool]  # a job's work, and whether documents of it are left to encode

LIMITS = Limits()
# One turn of a thread: characters encoded, and scores decided on, in some 30 ms each.
TURN_CHARS, TURN_SCORES = 25_000, 20_000


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers jobs with what the worker has.

    Attributes:
        loaded: the engine, None before it is there.
        threads: for what is a job's own.
    """

    settings: Settings
    loaded: Callable[[], Engine | None]
    threads: ThreadPoolExecutor
    batcher: Batcher
    ledger: JobLedger
    poison: PoisonMemory
    files: FileReader
    tasks: TaskFiles
    taxonomies: Deployed
    school: School
    metrics: Metrics
    send_progress: Send | None

    async def answer(self, job: dict[str, Any], job_id: str, arrived_s: float) -> Any:
        """The answer, computed unless the same job is here already.

        Raises:
            PinpointError: whatever fails the job.
        """
        with self.batcher.expecting() as arrived:
            request, digest, begun = await self._in_thread(lambda: self._open(job["input"], job_id, arrived_s))
            computed = list[Any]()

            async def compute() -> bytes:
                wire, answer = await self._compute(job, job_id, request, begun, arrived_s, arrived)
                computed.append(wire)
                return answer

            if self.ledger.holds(job_id):
                arrived()
            answer = await self.ledger.answer(job_id, digest, compute)
        if computed:
            return computed[0]
        log.info("job=%s status=ok again bytes=%d total_ms=%.1f", printable(job_id), len(answer), ms_since(arrived_s))
        return await self._in_thread(lambda: json.loads(answer))

    def _open(self, raw: Any, job_id: str, arrived_s: float) -> tuple[Request, bytes, Begun | None]:
        """The request, its digest, and its work begun where nothing is in the way: one turn in a thread for all."""
        request, engine = parse_request(raw, LIMITS, self.taxonomies), self.loaded()
        check_lesson(request)
        waits = engine is None or self.poison.remembers or self.ledger.holds(job_id) or request.has_files
        digest = input_digest(raw) if job_id else b""
        return request, digest, None if waits or engine is None else self._begin(request, engine, arrived_s)

    async def _compute(
        self, job: dict[str, Any], job_id: str, request: Request, begun: Begun | None, arrived_s: float,
        arrived: Callable[[], None],
    ) -> tuple[Any, bytes]:  # fmt: skip
        """The answer as plain values and as JSON."""
        suspected = await self.poison.check(job_id)
        reads_s = None
        if request.has_files:
            arrived()  # no pass waits for a file to be read
            began_s = time.perf_counter()
            request = await with_files_read(request, self.files)
            reads_s = time.perf_counter() - began_s
        loads_s = time.perf_counter()
        engine = await self.batcher.engine()
        loads_s = time.perf_counter() - loads_s
        if begun is None:
            begun = await self._in_thread(lambda: self._begin(request, engine, arrived_s))
        work, left = begun
        # Whoever is cancelled, or past the deadline, leaves between two turns.
        while left:
            left = await self._in_thread(lambda: work.prepare(TURN_CHARS))
        lane = await self._in_thread(lambda: self._lane(work, job_id, alone=suspected > 0))
        async with Progress(job, len(request.documents), self.send_progress) as progress:
            arrived()
            outcomes = await self.batcher.measure(
                lane,
                lambda units: progress.documents_done(work.documents_done(units)),
            )
        decides_s = time.perf_counter()
        while await self._in_thread(lambda: work.decide(outcomes, TURN_SCORES)):
            pass
        taught = None
        if request.lesson is not None:
            response, _ = await self._in_thread(lambda: work.response(outcomes, loads_s, reads_s))
            taught = await self.school.teach(request, response, engine, self.tasks.in_force)
        wire, answer, record = await self._in_thread(
            lambda: self._wire(request, *work.response(outcomes, loads_s, reads_s), job_id, taught)
        )
        if suspected:
            await self.poison.clear(job_id)
        self.metrics.job_done(replace(record, decide_ms=ms_since(decides_s)))
        return wire, answer

    def _begin(self, request: Request, engine: Engine, arrived_s: float) -> Begun:
        """A job's work with its first turn of encoding done."""
        if request.asked is not None:
            check_model(request.asked.model, model_names_of(engine, self.settings))
        work = Work(request, engine, arrived_s, self.tasks.find)
        return work, work.prepare(TURN_CHARS)

    def _lane(self, work: Work, job_id: str, *, alone: bool) -> Lane:
        """The units of a job, unless its answer would be too large in any case.

        Raises:
            CapacityError: `response_too_large`.
        """
        if work.request.lesson is None:  # a lesson is not answered by the scores of its documents
            check_least_bytes(work.request, work.read_documents, self.settings.max_response_bytes)
        return work.lane(job_id, alone=alone)

    def _wire(
        self, request: Request, response: Response, counts: JobCounts, job_id: str, taught: Any = None
    ) -> tuple[Any, bytes, JobRecord]:
        # What the fits took is part of the time that the job took.
        wire = answer_in_shape(request, response) if taught is None else {**taught, "timing": response.timing.to_wire()}
        self.tasks.seen(request, response)
        answer = check_wire(wire, self.settings.max_response_bytes)
        record = JobRecord(
            job_id=job_id,
            documents=counts.documents,
            failed_documents=counts.failed,
            tokens_asked=counts.tokens_asked,
            tokens_computed=counts.tokens_computed,
            batches=counts.batches,
            response_bytes=len(answer),
            encode_ms=response.timing.tokenize_ms,
            queue_ms=response.timing.queue_ms,
            forward_ms=response.timing.forward_ms,
            total_ms=response.timing.total_ms,
            memory=response.memory,
        )
        return wire, answer, record

    def _in_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run what is a job's own outside the event loop."""
        return asyncio.get_running_loop().run_in_executor(self.threads, contained, call)


def model_names_of(engine: Engine | None, settings: Settings) -> tuple[str, ...]:
    """What the model may be called; its own name only once it is loaded."""
    return model_names("" if engine is None else engine.info("").name, settings.served_model_names)


def ms_since(began_s: float) -> float:
    """Milliseconds since a reading of `time.perf_counter`."""
    return (time.perf_counter() - began_s) * 1e3
