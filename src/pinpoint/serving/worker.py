"""The worker: takes a job, answers it once, and never lets anything but an answer out.

    job ── parse ── same id here already? ── encode ──┐                       ┌── decide ── serialise ── answer
                                                      └── batcher ── passes ──┘

The handler is async. One thread runs the forward passes, which jobs in flight share; two more do what is each job's
own, so that the event loop goes on taking, pinging and stopping jobs meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from pinpoint.api.least_bytes import check_least_bytes
from pinpoint.api.limits import Limits
from pinpoint.api.request import Request, parse_request
from pinpoint.api.response import Response, check_wire
from pinpoint.api.served import check_model, model_names, models_body
from pinpoint.api.shapes import answer_in_shape
from pinpoint.api.ways import find_way, job_error, located, told_in
from pinpoint.errors import CapacityError, PinpointError, RequestError
from pinpoint.pipeline.classify import JobCounts, Work
from pinpoint.pipeline.fair_queue import Lane
from pinpoint.pipeline.files import with_files_read
from pinpoint.pipeline.passes import Engine
from pinpoint.serving import sdk_guards, taxonomies
from pinpoint.serving.batcher import Batcher
from pinpoint.serving.failures import contained, internal_error, place
from pinpoint.serving.files import file_reader
from pinpoint.serving.jobs import JobLedger, input_digest
from pinpoint.serving.model import get_scorer
from pinpoint.serving.poison import PoisonMemory, state_folder
from pinpoint.serving.progress import Progress, Send
from pinpoint.serving.task_files import TaskFiles
from pinpoint.serving.taxonomies import load_taxonomies
from pinpoint.serving.teaching import School, check_lesson
from pinpoint.serving.watch.health import Health, HealthLimits
from pinpoint.serving.watch.log_words import printable
from pinpoint.serving.watch.metrics import Metrics
from pinpoint.serving.watch.records import JobRecord
from pinpoint.serving.watch.telemetry import telemetry_from
from pinpoint.settings import Settings

log = logging.getLogger("pinpoint")

T = TypeVar("T")
Begun = tuple[Work, bool]  # a job's work, and whether documents of it are left to encode

LEAVING_S = 5.0  # between a failed device and the end of the process
JOB_THREADS = 2  # so that one large job does not hold up the others
# One turn of such a thread: characters encoded, and scores decided on, in some 30 ms each.
TURN_CHARS, TURN_SCORES = 25_000, 20_000
LONGEST_DEADLINE_S = 1e9


class Worker:
    """Answers jobs with the engine singleton.

    Attributes:
        metrics: what is counted here.
        health: whether it is well, by those figures; the monitor keeps it up to date.
        tasks: the task files that it was given.
        taxonomies: and the taxonomies.
    """

    def __init__(self, settings: Settings, send_progress: Send | None = None) -> None:
        self.settings = settings
        self.metrics = Metrics(sdk_guards.now)  # a load that was frozen was not slow
        self._telemetry = telemetry_from(os.environ)
        if self._telemetry:
            self.metrics.watchers.append(self._telemetry)
        self.health = Health(HealthLimits())
        self._send_progress = send_progress
        self._limits = Limits()
        self._forward = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forward")
        self._jobs = ThreadPoolExecutor(max_workers=JOB_THREADS, thread_name_prefix="job")
        self._ledger = JobLedger(settings.kept_answers_bytes)
        self._poison = PoisonMemory(state_folder(settings.state_dir))
        self._batcher = Batcher(
            self.load,
            lambda call: asyncio.get_running_loop().run_in_executor(self._forward, contained, call),
            settings.max_queued_tokens,
            settings.batch_wait_ms / 1e3,
            self._around,
            self.metrics.batch_done,
        )
        self._files = file_reader(settings)
        self.tasks = TaskFiles(Path(settings.tasks) if settings.tasks else None)
        self._school = School(self.tasks.folder)
        self.taxonomies = load_taxonomies(settings.taxonomies)
        self.metrics.further = lambda: self.tasks.reasons
        self._engine: Engine | None = None
        self._leaving = False
        self._pass_began_s: float | None = None
        self._began_s = time.time()

    def load(self) -> Engine:
        """The engine; loaded on the first call.

        Raises:
            ModelError, CapacityError: it cannot be loaded.
        """
        if self._engine is None:
            with self.metrics.loading():
                engine = get_scorer(self.settings)
                self.tasks.load(engine)
                self._engine = engine
            self.metrics.probe = self._engine.memory
            if not self._engine.on_card:
                self.health.without_card()
        return self._engine

    async def handle(self, job: Any) -> Any:
        """Answer one job: the value of `output`, or `{"error": "<code>: <message> (<field>)"}`.

        What fails a job in a decision format is told in that format's JSON, inside of the string.
        """
        if _asks_for_health(job):
            return self.told()
        try:
            return await self.answer(job)
        except PinpointError as error:
            return job_error(error, job.get("input") if isinstance(job, dict) else None)

    def told(self) -> dict[str, Any]:
        """What a health job is answered."""
        tasks = {} if self.tasks.folder is None else {"tasks": self.tasks.told()}
        named = {"taxonomies": taxonomies.told(self.taxonomies)}
        held = {} if self._engine is None else self._engine.activations
        return {**self.health.verdict.to_wire(), **self.metrics.told(), **tasks, **named, **held}

    def close(self) -> None:
        """End the threads and reading processes, in a process that goes on without them; the engine stays loaded."""
        self._files.close()
        self._forward.shutdown(wait=False)
        self._jobs.shutdown(wait=False)
        self.send_telemetry()

    def send_telemetry(self) -> None:
        """Send what is left of it, for at most 2 s: the process is about to end. Any thread, after the last job."""
        if self._telemetry:
            self._telemetry.close()

    @property
    def leaving(self) -> bool:
        """Whether the device failed, and the process ends in a moment."""
        return self._leaving

    @property
    def ready(self) -> bool:
        """Whether the engine is loaded."""
        return self._engine is not None

    @property
    def names(self) -> tuple[str, ...]:
        """What the model may be called; its own name only once it is loaded."""
        return self._names(self._engine)

    @property
    def pass_s(self) -> float:
        """How long the forward pass has run that is running now; 0 where none is."""
        began_s = self._pass_began_s
        return 0.0 if began_s is None else time.monotonic() - began_s

    async def answer(self, job: Any) -> Any:
        """Answer one job: plain values, fit for JSON.

        Raises:
            PinpointError: whatever failed it, counted and logged.
        """
        arrived_s = time.perf_counter()
        job_id = job["id"] if isinstance(job, dict) and isinstance(job.get("id"), str) else ""
        try:
            return await self._answer(job, job_id, arrived_s)
        except asyncio.CancelledError:
            log.info("job=%s status=cancelled total_ms=%.1f", printable(job_id), _ms_since(arrived_s))
            raise
        except PinpointError as error:
            failure = error
        except Exception as error:  # whatever it is, the SDK would post its traceback to the caller
            log.error(
                "job=%s status=error code=internal type=%s at=%s", printable(job_id), type(error).__name__, place(error)
            )
            failure = internal_error()
        self.metrics.job_done(
            JobRecord(job_id=job_id, code=failure.code, field=failure.field, total_ms=_ms_since(arrived_s))
        )
        if failure.restart:
            self._leave(failure)
        raise located(failure, told_in(job.get("input") if isinstance(job, dict) else None)).with_traceback(None)

    async def _answer(self, job: Any, job_id: str, arrived_s: float) -> Any:
        """The answer within the job's deadline."""
        if not isinstance(job, dict) or job.get("input") is None:
            raise RequestError("missing_field", "the job has no input", "input")
        deadline_s = _deadline_s(job, self.settings.job_deadline_s)
        try:
            async with asyncio.timeout(deadline_s) as deadline:
                if _asks_for_models(job["input"]):
                    return models_body(self._names(await self._batcher.engine()), self._began_s)
                return await self._answer_once(job, job_id, arrived_s)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise CapacityError(
                "deadline_exceeded",
                f"the job was not answered within its {deadline_s:g} s; send fewer documents, add workers, or raise "
                "its executionTimeout or PINPOINT_JOB_DEADLINE_S",
            ) from None

    async def _answer_once(self, job: dict[str, Any], job_id: str, arrived_s: float) -> Any:
        """The answer, computed unless the same job is here already."""
        with self._batcher.expecting() as arrived:
            request, digest, begun = await self._in_thread(lambda: self._open(job["input"], job_id, arrived_s))
            computed = list[Any]()

            async def compute() -> bytes:
                wire, answer = await self._compute(job, job_id, request, begun, arrived_s, arrived)
                computed.append(wire)
                return answer

            if self._ledger.holds(job_id):
                arrived()
            answer = await self._ledger.answer(job_id, digest, compute)
        if computed:
            return computed[0]
        log.info("job=%s status=ok again bytes=%d total_ms=%.1f", printable(job_id), len(answer), _ms_since(arrived_s))
        return await self._in_thread(lambda: json.loads(answer))

    def _open(self, raw: Any, job_id: str, arrived_s: float) -> tuple[Request, bytes, Begun | None]:
        """The request, its digest, and its work begun where nothing is in the way: one turn in a thread for all."""
        request, engine = parse_request(raw, self._limits, self.taxonomies), self._engine
        check_lesson(request)
        waits = engine is None or self._poison.remembers or self._ledger.holds(job_id) or request.has_files
        digest = input_digest(raw) if job_id else b""
        return request, digest, None if waits or engine is None else self._begin(request, engine, arrived_s)

    async def _compute(
        self, job: dict[str, Any], job_id: str, request: Request, begun: Begun | None, arrived_s: float,
        arrived: Callable[[], None],
    ) -> tuple[Any, bytes]:  # fmt: skip
        """The answer as plain values and as JSON."""
        suspected = await self._poison.check(job_id)
        reads_s = None
        if request.has_files:
            arrived()  # no pass waits for a file to be read
            began_s = time.perf_counter()
            request = await with_files_read(request, self._files)
            reads_s = time.perf_counter() - began_s
        loads_s = time.perf_counter()
        engine = await self._batcher.engine()
        loads_s = time.perf_counter() - loads_s
        if begun is None:
            begun = await self._in_thread(lambda: self._begin(request, engine, arrived_s))
        work, left = begun
        # Whoever is cancelled, or past the deadline, leaves between two turns.
        while left:
            left = await self._in_thread(lambda: work.prepare(TURN_CHARS))
        lane = await self._in_thread(lambda: self._lane(work, job_id, alone=suspected > 0))
        async with Progress(job, len(request.documents), self._send_progress) as progress:
            arrived()
            outcomes = await self._batcher.measure(
                lane,
                lambda units: progress.documents_done(work.documents_done(units)),
            )
        decides_s = time.perf_counter()
        while await self._in_thread(lambda: work.decide(outcomes, TURN_SCORES)):
            pass
        taught = None
        if request.lesson is not None:
            response, _ = await self._in_thread(lambda: work.response(outcomes, loads_s, reads_s))
            taught = await self._school.teach(request, response, engine, self.tasks.in_force)
        wire, answer, record = await self._in_thread(
            lambda: self._wire(request, *work.response(outcomes, loads_s, reads_s), job_id, taught)
        )
        if suspected:
            await self._poison.clear(job_id)
        self.metrics.job_done(replace(record, decide_ms=_ms_since(decides_s)))
        return wire, answer

    def _begin(self, request: Request, engine: Engine, arrived_s: float) -> Begun:
        """A job's work with its first turn of encoding done."""
        if request.asked is not None:
            check_model(request.asked.model, self._names(engine))
        work = Work(request, engine, arrived_s, self.tasks.find)
        return work, work.prepare(TURN_CHARS)

    def _names(self, engine: Engine | None) -> tuple[str, ...]:
        return model_names("" if engine is None else engine.info("").name, self.settings.served_model_names)

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
        size_bytes = check_wire(wire, self.settings.max_response_bytes)
        record = JobRecord(
            job_id=job_id,
            documents=counts.documents,
            failed_documents=counts.failed,
            tokens_asked=counts.tokens_asked,
            tokens_computed=counts.tokens_computed,
            batches=counts.batches,
            response_bytes=size_bytes,
            encode_ms=response.timing.tokenize_ms,
            queue_ms=response.timing.queue_ms,
            forward_ms=response.timing.forward_ms,
            total_ms=response.timing.total_ms,
            memory=response.memory,
        )
        return wire, json.dumps(wire).encode("ascii") if job_id else b"", record

    def _in_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run what is a job's own outside the event loop."""
        return asyncio.get_running_loop().run_in_executor(self._jobs, contained, call)

    @contextmanager
    def _around(self, job_ids: list[str]) -> Iterator[None]:
        """Around each batch: markers for those who find this process dead, the watchdog, and a look at the memory."""
        self._pass_began_s = time.monotonic()
        try:
            with self._poison.running(job_ids), sdk_guards.forward():
                yield
        finally:
            self._pass_began_s = None
        if self._engine is not None and self._engine.drifted:
            sdk_guards.request_replacement("memory_drift")

    def _leave(self, error: PinpointError) -> None:
        """End the process, with time for the answers of what is in flight: on a failed device nothing else helps."""
        if not self._leaving:
            self._leaving = True
            log.critical("leaving: %s", error.wire())
            asyncio.get_running_loop().call_later(LEAVING_S, Thread(target=self._left, daemon=True).start)

    def _left(self) -> None:
        self.send_telemetry()
        os._exit(1)


def _asks_for_health(job: Any) -> bool:
    return isinstance(job, dict) and isinstance(job.get("input"), dict) and job["input"] == {"health": True}


def _deadline_s(job: dict[str, Any], default_s: float) -> float | None:
    """What the job's own policy says, where it says something, else the setting; None for no end."""
    policy = job.get("policy")
    told_ms = policy.get("executionTimeout") if isinstance(policy, dict) else None
    if isinstance(told_ms, int | float) and not isinstance(told_ms, bool) and told_ms > 0:
        return min(told_ms, LONGEST_DEADLINE_S * 1e3) / 1e3
    return default_s or None


def _ms_since(began_s: float) -> float:
    return (time.perf_counter() - began_s) * 1e3


def _asks_for_models(raw: Any) -> bool:
    """Whether a job's input is the route of the models. Raises RequestError as `find_way` does."""
    return isinstance(raw, dict) and find_way(raw).shape == "models"
