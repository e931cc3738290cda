"""`python -m pinpoint classify … --out`: a bulk run, from its options to its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from pinpoint.cli.bulk_view import View
from pinpoint.errors import PinpointError, RequestError

if TYPE_CHECKING:
    from pinpoint.client.bulk.batch_run import BatchRun
    from pinpoint.client.bulk.run import Run
    from pinpoint.client.bulk.tally import Tally
    from pinpoint.client.queue import QueueTransport
    from pinpoint.client.transport import Transport

FAILED, INTERRUPTED = 1, 130
DEFAULT_OUT = "results.jsonl"
HEALTH_S = 10.0
MOST_COMPLAINTS = 10
TRIES = 14  # some two minutes: nobody sits beside a bulk run and begins it again


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command was asked for.

    Attributes:
        question: labels or a taxonomy and what goes with them, as `Question.of` takes them.
        attachments: of mails.
        parallel: jobs in flight, at most; None for what the way to the model takes.
    """

    sources: Sequence[str]
    question: dict[str, Any]
    attachments: str
    endpoint: str | None
    url: str | None
    out: Path
    price: float | None
    parallel: int | None
    job_documents: int
    text: str | None
    id: str | None
    batch: bool

    @property
    def plan(self) -> dict[str, str]:
        """What makes two runs the same run: not the model, since an endpoint may move."""
        sources = [one if "://" in one else os.path.abspath(one) for one in self.sources]
        # Which is in the ids of their documents.
        spelled = [one.rstrip(os.sep) for one in self.sources]
        labels = {name: self.question[name] for name in ("labels", "taxonomy") if name in self.question}
        rest = {name: one for name, one in self.question.items() if name not in labels}
        return {
            "labels": json.dumps(labels),
            "question": json.dumps(rest),
            "sources": json.dumps(sources),
            "spelling of the sources": json.dumps(spelled),
            "reading": json.dumps([self.attachments, self.text, self.id]),
        }


def run_bulk(asked: Asked) -> None:
    """Run, and end the process with its exit code.

    Raises:
        PinpointError: it cannot begin.
    """
    # Here and not at the head: a client is asked for by this one option of this one command.
    from pinpoint.client.bulk.items import Reading, check
    from pinpoint.client.bulk.journal import SUFFIX, Journal
    from pinpoint.client.bulk.output import Output, format_of
    from pinpoint.client.bulk.tally import Tally

    format_of(asked.out)
    if not asked.out.parent.is_dir():
        raise PinpointError("cannot_write", "there is no such folder; make it", str(asked.out.parent))
    check(asked.sources, Reading(asked.text, asked.id))
    if asked.batch and not asked.endpoint:
        raise RequestError("conflicting_fields", "batch jobs are the endpoint's: --batch needs --endpoint", "--batch")
    transport = _transport(asked)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    journal = Journal(asked.out.with_name(asked.out.name + SUFFIX), asked.plan)
    try:
        try:
            output = Output(asked.out, journal.written_bytes, ours=journal.begun)
        except PinpointError:
            if not journal.begun:
                journal.discard()  # made just now, beside a file that is not ours
            raise
        journal.begin()
        tally = Tally(before=journal.done, complain=_Complaints(console))
        code = asyncio.run(_run(asked, transport, journal, output, tally, console))
        output.finish()
    finally:
        journal.close()
    raise typer.Exit(code)


def _transport(asked: Asked) -> Transport:
    from pinpoint.client import Retries
    from pinpoint.client.asynchronous import make_transport

    return make_transport(asked.endpoint, asked.url, None, None, Retries(tries=TRIES), wait=False)


async def _run(asked: Asked, transport: Transport, journal: Any, output: Any, tally: Tally, console: Console) -> int:
    from pinpoint.client.bulk.batch_run import BatchRun
    from pinpoint.client.bulk.items import Reading, items
    from pinpoint.client.bulk.run import Run
    from pinpoint.client.documents import Question
    from pinpoint.client.jobs import Jobs
    from pinpoint.client.limiter import Limiter
    from pinpoint.client.queue import QueueTransport

    limiter = Limiter(min(asked.parallel or transport.at_once, transport.at_once))

    def busy() -> None:
        tally.busy += 1
        limiter.busy()

    question = Question.of(**asked.question)
    own = os.path.abspath(asked.out)
    reading = Reading(asked.text, asked.id, asked.attachments, transport.max_bytes * 3 // 4, (own,))
    run: Run | BatchRun
    if asked.batch and isinstance(transport, QueueTransport):
        run = BatchRun(
            lambda: items(asked.sources, reading), transport, question, journal, output, tally, asked.job_documents
        )
    else:
        jobs = Jobs(transport, question, limiter, on_busy=busy)
        run = Run(
            lambda: items(asked.sources, reading), transport, jobs, limiter, journal, output, tally, asked.job_documents
        )
    watching = None
    try:
        health = await transport.check()  # a wrong key is told before anything is read
        if isinstance(transport, QueueTransport):
            tally.look_at_workers(_workers(health))
            watching = asyncio.create_task(_watch(transport, tally))
        with View(console, tally, run, asked.price), _interrupts(asked, run, console):
            await run.run()
    except PinpointError as error:
        console.print(error.wire(), markup=False)
        console.print(
            f"{journal.done:,} results are in {asked.out}. The same command goes on from there.", markup=False
        )
        return FAILED
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await transport.close()
    if run.stopped:
        console.print(f"Stopped. The same command goes on; what has come is in {asked.out}.", markup=False)
        return INTERRUPTED
    console.print(f"results    {asked.out}", markup=False)
    return FAILED if tally.errors else 0


@contextlib.contextmanager
def _interrupts(asked: Asked, run: Run | BatchRun, console: Console) -> Any:
    """Ctrl-C finishes what is in flight; once more, and it leaves at once."""
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if run.stopped:
            run.leave()
            return
        in_flight = run.in_flight
        run.stop()
        if not asked.batch:
            console.print(f"Finishing {in_flight} jobs in flight. Ctrl-C again leaves at once.")

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _watch(transport: QueueTransport, tally: Tally) -> None:
    wait_s = 1.0
    while True:
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, HEALTH_S)
        with contextlib.suppress(PinpointError):  # a run goes on without it
            tally.look_at_workers(_workers(await transport.health()))


def _workers(health: dict[str, Any]) -> dict[str, Any]:
    workers = health.get("workers")
    return workers if isinstance(workers, dict) else {}


class _Complaints:
    """The first lines of complaints; the summary counts the others."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = 0

    def __call__(self, line: str) -> None:
        """Print one."""
        self._told += 1
        if self._told <= MOST_COMPLAINTS:
            self._console.print(line, markup=False)
        elif self._told == MOST_COMPLAINTS + 1:
            self._console.print("… more of these are counted below")
