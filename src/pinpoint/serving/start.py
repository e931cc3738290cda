"""Starting the worker the way it was called: on the platform, as a local API, or once on a test input."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from contextlib import nullcontext, redirect_stdout
from functools import cached_property
from typing import Any, NoReturn

from pinpoint.errors import PinpointError
from pinpoint.serving import sdk_guards, signals, streams
from pinpoint.serving.failures import in_thread
from pinpoint.serving.local_run import in_words, read_call, read_job
from pinpoint.serving.model import read_ahead
from pinpoint.serving.progress import send_to_platform
from pinpoint.serving.sdk_guards import environment
from pinpoint.serving.watch.health import Monitor
from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings, read_settings


class Entry:
    """The module-level handler: makes its worker on the first job, so that nothing happens at import."""

    @cached_property
    def worker(self) -> Worker:
        """The worker with the settings of this process."""
        return Worker(read_settings(), send_to_platform if "RUNPOD_WEBHOOK_POST_OUTPUT" in os.environ else None)

    async def __call__(self, job: dict[str, Any]) -> Any:
        """Answer one job."""
        return await self.worker.handle(job)

    def ends(self) -> None:
        """The last job has ended, if there was any: send what telemetry holds."""
        if "worker" in vars(self):
            self.worker.send_telemetry()


def start(handler: Entry) -> None:
    """Run the worker until the platform, or its one job, ends it."""
    signals.leave_on(signal.SIGTERM)
    try:
        settings = read_settings()
        read_ahead(settings)
        if settings.endpoint == "http" and len(sys.argv) == 1:
            _serve(settings)
        call = read_call(sys.argv, os.environ)
        local = call.local
        streams.install(queued=not local)
        job = read_job(call.source) if local else None
        configure_logging(settings)
        sys.argv = list(call.argv)
        environment.prepare(os.environ, sys.argv)
    except PinpointError as error:
        sys.exit(error.wire())
    # The SDK logs whole answers at its default level, DEBUG, and the answer of a local run at INFO, cut and not as
    # JSON.
    os.environ.setdefault("RUNPOD_LOG_LEVEL", "WARN" if local else "INFO")
    import runpod  # reads its environment when imported

    sdk_guards.install(settings, local)
    if not local:
        # From before the load, so that one which does not end is told of.
        Monitor(handler.worker.metrics, handler.worker.health, sdk_guards.request_replacement).start()

        async def engine_loads() -> None:
            signals.leave_on(signal.SIGTERM, signal.SIGINT)
            await in_thread(handler.worker.load)  # the main thread stays free for signals

        # A failed check is reported as unhealthy and the worker is replaced, before it was given a job.
        runpod.serverless.register_fitness_check(engine_loads)

    answers = sys.stdout

    async def printing(job: dict[str, Any]) -> Any:
        result = await handler(job)
        print(json.dumps(result, indent=2, ensure_ascii=False), file=answers, flush=True)
        if words := in_words(result, call.source):
            print(words, file=sys.stderr, flush=True)
        return result

    config = {
        "handler": printing if local else handler,
        "concurrency_modifier": lambda _: settings.max_concurrency,
    }
    if job is not None:
        sys.argv += ["--test_input", json.dumps(job)]
    # The SDK prints a banner and its log; of a local run, standard output is the answer and nothing else.
    try:
        with redirect_stdout(sys.stderr) if local else nullcontext():
            runpod.serverless.start(config)
    finally:
        handler.ends()


def _serve(settings: Settings) -> NoReturn:
    """Behind a load balancer there is no queue, and nothing of the SDK."""
    from pinpoint.serving.http.server import serve  # a second of imports that a queue's worker does without

    configure_logging(settings)
    serve(settings)


def configure_logging(settings: Settings) -> None:
    """One line an event, on standard error."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("pinpoint").setLevel(settings.log_level)
    # It warns on import that an optional CPU kernel for 4 bits is missing, which nothing here uses.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
