"""The worker: takes a job, answers it once, and never lets anything but an answer out.

The handler is async; one thread runs the forward passes, so that the platform's loop goes on taking, pinging and
stopping jobs meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, redirect_stdout
from functools import cached_property
from typing import Any

from pinpoint.api.adapters import zero_shot_answer
from pinpoint.api.limits import Limits
from pinpoint.api.request import parse_request
from pinpoint.api.response import check_wire, error_envelope
from pinpoint.errors import InternalError, PinpointError, RequestError
from pinpoint.serving import sdk_guards
from pinpoint.serving.classify import JobCounts, classify
from pinpoint.serving.model import get_scorer
from pinpoint.settings import Settings, read_settings

log = logging.getLogger("pinpoint")

MAX_ID_CHARS = 64  # of an id in a log line
LEAVING_S = 5.0  # between a failed device and the end of the process


class Worker:
    """Answers jobs with the engine singleton."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._limits = Limits()
        self._forward = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forward")

    async def handle(self, job: Any) -> Any:
        """Answer one job: the value of `output`, or `{"error": "<code>: <message> (<field>)"}`."""
        received = time.perf_counter()
        identity = str(job.get("id", ""))[:MAX_ID_CHARS] if isinstance(job, dict) else ""
        try:
            if not isinstance(job, dict) or job.get("input") is None:
                raise RequestError("missing_field", "the job has no input", "input")
            request = parse_request(job["input"], self._limits)
            loop = asyncio.get_running_loop()
            wire, counts = await loop.run_in_executor(self._forward, self._answer, request, received)
            size = check_wire(wire, self.settings.max_response_bytes)
        except PinpointError as error:
            log.warning("job=%s status=error code=%s field=%s", identity, error.code, error.field)
            if error.restart:
                self._leave(error)
            return error_envelope(error)
        except Exception as error:  # whatever it is, the SDK would post its traceback to the caller
            log.error("job=%s status=error code=internal type=%s at=%s", identity, type(error).__name__, _place(error))
            return error_envelope(InternalError("internal", "the worker failed on this job; its log has the details"))
        log.info(
            "job=%s status=ok documents=%d failed=%d tokens_asked=%d tokens_computed=%d batches=%d bytes=%d ms=%.1f",
            identity, counts.documents, counts.failed, counts.tokens_asked, counts.tokens_computed, counts.batches,
            size, (time.perf_counter() - received) * 1e3,
        )  # fmt: skip
        return wire

    def _leave(self, error: PinpointError) -> None:
        """End the process, with time for the answers of what is in flight: on a failed device nothing else helps."""
        log.critical("leaving: %s", error.wire())
        asyncio.get_running_loop().call_later(LEAVING_S, os._exit, 1)

    def _answer(self, request: Any, received: float) -> tuple[Any, JobCounts]:
        scorer = get_scorer(self.settings)
        with sdk_guards.forward():
            response, counts = classify(request, scorer, queue_ms=(time.perf_counter() - received) * 1e3)
        if request.shape == "zero_shot":
            return zero_shot_answer(request.sequences, response.results, request.single), counts
        return response.to_wire(), counts


class Entry:
    """The module-level handler: makes its worker on the first job, so that nothing happens at import."""

    @cached_property
    def worker(self) -> Worker:
        """The worker with the settings of this process."""
        return Worker(read_settings())

    async def __call__(self, job: dict[str, Any]) -> Any:
        """Answer one job."""
        return await self.worker.handle(job)


def start(handler: Any) -> None:
    """Run the worker the way it was called: on the platform, as a local API, or once on a test input."""
    try:
        settings = read_settings()
    except PinpointError as error:
        sys.exit(error.wire())
    configure_logging(settings)
    local = "--rp_serve_api" not in sys.argv and "RUNPOD_WEBHOOK_GET_JOB" not in os.environ
    # The SDK logs whole answers at its default level, DEBUG, and the answer of a local run at INFO, cut and not as
    # JSON.
    os.environ.setdefault("RUNPOD_LOG_LEVEL", "WARN" if local else "INFO")
    import runpod  # reads its environment when imported

    if not local:
        sdk_guards.install(settings)

        def engine_loads() -> None:
            get_scorer(settings)

        # A failed check is reported as unhealthy and the worker is replaced, before it was given a job.
        runpod.serverless.register_fitness_check(engine_loads)

    answers = sys.stdout

    async def printing(job: dict[str, Any]) -> Any:
        result = await handler(job)
        print(json.dumps(result, indent=2, ensure_ascii=False), file=answers, flush=True)
        return result

    config = {
        "handler": printing if local else handler,
        "concurrency_modifier": lambda _: settings.max_concurrency,
    }
    # The SDK prints a banner and its log; of a local run, standard output is the answer and nothing else.
    with redirect_stdout(sys.stderr) if local else nullcontext():
        runpod.serverless.start(config)


def configure_logging(settings: Settings) -> None:
    """One line an event, on standard error."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    log.setLevel(settings.log_level)
    # It warns on import that an optional CPU kernel for 4 bits is missing, which nothing here uses.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def _place(error: BaseException) -> str:
    """File and line where an error rose: enough to find it, and free of what the job contained."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "unknown" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
