"""The worker: takes a job, answers it once (`answering.py`), and never lets anything but an answer out.

The handler is async. One thread runs the forward passes, which jobs in flight share; two more do what is each job's
own, so that the event loop goes on taking, pinging and stopping jobs meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from pinpoint.api.served import models_body
from pinpoint.api.ways import job_error, located, told_in
from pinpoint.errors import CapacityError, PinpointError, RequestError
from pinpoint.pipeline import room
from pinpoint.pipeline.engine_protocol import Engine
from pinpoint.serving import sdk_guards, taxonomies
from pinpoint.serving.answering import Answering, model_names_of, ms_since
from pinpoint.serving.batcher import Batcher
from pinpoint.serving.failures import contained, internal_error, place
from pinpoint.serving.files import file_reader
from pinpoint.serving.forms import asks_for_health, asks_for_models, deadline_of
from pinpoint.serving.jobs import JobLedger
from pinpoint.serving.model import get_scorer
from pinpoint.serving.poison import PoisonMemory, state_folder
from pinpoint.serving.progress import Send
from pinpoint.serving.task_files import TaskFiles
from pinpoint.serving.taxonomies import load_taxonomies
from pinpoint.serving.teaching import School
from pinpoint.serving.watch.health import Health, HealthLimits
from pinpoint.serving.watch.log_words import printable
from pinpoint.serving.watch.metrics import Metrics
from pinpoint.serving.watch.records import JobRecord
from pinpoint.serving.watch.telemetry import telemetry_from
from pinpoint.settings import Settings

log = logging.getLogger("pinpoint")

LEAVING_S = 5.0  # between a failed device and the end of the process
JOB_THREADS = 2  # so that one large job does not hold up the others


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
        self._forward = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forward")
        self._jobs = ThreadPoolExecutor(max_workers=JOB_THREADS, thread_name_prefix="job")
        self._ledger = JobLedger(settings.kept_answers_bytes)
        self._poison = PoisonMemory(state_folder(settings.state_dir))
        self._batcher = Batcher(
            self.load,
            lambda call: asyncio.get_running_loop().run_in_executor(self._forward, contained, call),
            settings.max_queued_tokens,
            None if settings.batch_wait_ms is None else settings.batch_wait_ms / 1e3,
            self._around,
            self.metrics.batch_done,
        )
        self._files = file_reader(settings)
        self.tasks = TaskFiles(Path(settings.tasks) if settings.tasks else None)
        self.taxonomies = load_taxonomies(settings.taxonomies)
        self.metrics.further = lambda: self.tasks.reasons
        self._engine: Engine | None = None
        self._load = threading.Lock()
        self._answering = Answering(
            settings, lambda: self._engine, self._jobs, self._batcher, self._ledger, self._poison, self._files,
            self.tasks, self.taxonomies, School(self.tasks.folder), self.metrics, send_progress,
        )  # fmt: skip
        self._leaving = False
        self._pass_began_s: float | None = None
        self._began_s = time.time()

    def load(self) -> Engine:
        """The engine; loaded on the first call.

        Raises:
            ModelError, CapacityError: it cannot be loaded.
        """
        # The server loads at its start, and a job that arrives meanwhile asks for the engine, too. Whoever is second
        # waits, or the task files would be read twice, and each be in its own way.
        with self._load:
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
        if asks_for_health(job):
            return self.told()
        try:
            return await self.answer(job)
        except PinpointError as error:
            return job_error(error, job.get("input") if isinstance(job, dict) else None)

    def told(self) -> dict[str, Any]:
        """What a health job is answered."""
        tasks = {} if self.tasks.folder is None else {"tasks": self.tasks.told()}
        named = {"taxonomies": taxonomies.told(self.taxonomies)}
        engine = self._engine
        held = {} if engine is None else {**engine.activations, **engine.start, "reads": room.told(engine)}
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
        return model_names_of(self._engine, self.settings)

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
            log.info("job=%s status=cancelled total_ms=%.1f", printable(job_id), ms_since(arrived_s))
            raise
        except PinpointError as error:
            failure = error
        except Exception as error:  # whatever it is, the SDK would post its traceback to the caller
            log.error(
                "job=%s status=error code=internal type=%s at=%s", printable(job_id), type(error).__name__, place(error)
            )
            failure = internal_error()
        self.metrics.job_done(
            JobRecord(job_id=job_id, code=failure.code, field=failure.field, total_ms=ms_since(arrived_s))
        )
        if failure.restart:
            self._leave(failure)
        raise located(failure, told_in(job.get("input") if isinstance(job, dict) else None)).with_traceback(None)

    async def _answer(self, job: Any, job_id: str, arrived_s: float) -> Any:
        """The answer within the job's deadline."""
        if not isinstance(job, dict) or job.get("input") is None:
            raise RequestError("missing_field", "the job has no input", "input")
        deadline_s = deadline_of(job, self.settings.job_deadline_s)
        try:
            async with asyncio.timeout(deadline_s) as deadline:
                if asks_for_models(job["input"]):
                    return models_body(model_names_of(await self._batcher.engine(), self.settings), self._began_s)
                return await self._answering.answer(job, job_id, arrived_s)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise CapacityError(
                "deadline_exceeded",
                f"the job was not answered within its {deadline_s:g} s; send fewer documents, add workers, or raise "
                "its executionTimeout or PINPOINT_JOB_DEADLINE_S",
            ) from None

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
