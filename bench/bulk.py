"""What a bulk run costs beside the model: `python bench/bulk.py [--json]`.

- saturation: an emulated endpoint of three workers that are busy with each job for a fixed time. Their most is known;
  asked for is 0.9 of it, over the time from the first job's start to the last one's end.
- memory: 100,000 documents; the client's resident bytes, looked at twice a second. Flat is asked for: what the second
  half of the run adds to the most of the first.
- overhead: the model in this process, by the client's bulk run and by one job after the other given to the worker;
  medians of the two in turn.
- import: `import pinpoint.client` in a process of its own, less what an empty one takes.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil
import typer

from bench.report import in_turn, ratio, write
from tests.worker.product import TEXTS

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("saturation", "memory", "overhead", "import")
LABELS = "invoice,complaint,receipt,meter reading,contract,purchase order"
WORKERS, SERVICE_S = 3, 0.25
LOOK_S = 0.5


def main(
    part: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PARTS)}; all by default.")] = None,
    jobs: Annotated[int, typer.Option(help="Of the saturation run.")] = 240,
    documents: Annotated[int, typer.Option(help="Of the memory run.")] = 100_000,
    rounds: Annotated[int, typer.Option(help="Of overhead and import.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Write bench/results/bulk.json.")] = False,
) -> None:
    """Measure."""
    measures = {
        "saturation": lambda: saturation(jobs), "memory": lambda: memory(documents),
        "overhead": lambda: overhead(rounds), "import": lambda: imports(rounds),
    }  # fmt: skip
    figures: dict[str, Any] = {"load_average": os.getloadavg()}
    for name in part or PARTS:
        figures[name] = measures[name]()
        print(name, json.dumps(figures[name]), flush=True)
    if as_json:
        print(write("bulk", figures))


def saturation(jobs: int) -> dict[str, Any]:
    """Three workers, each busy for a fixed time with a job of 32 documents."""
    with tempfile.TemporaryDirectory() as name, _endpoint(SERVICE_S) as (env, told):
        source, out = _generated(Path(name), jobs * 32), Path(name) / "out.jsonl"
        began_s = time.monotonic()
        with _client(source, out, env) as process:
            process.wait()
        took_s = time.monotonic() - began_s
        lines, workers = out.read_bytes().count(b"\n"), told()
    at_best_s = jobs * SERVICE_S / WORKERS
    return {
        "jobs": jobs, "documents": lines, "at_best_s": round(at_best_s, 2),
        "workers_took_s": round(workers["span_s"], 2),
        "share_of_the_workers": round(at_best_s / workers["span_s"], 3), "whole_command_s": round(took_s, 2),
        "share_with_start_and_end": round(at_best_s / took_s, 3), "answered_by": workers["answered"],
    }  # fmt: skip


def memory(documents: int) -> dict[str, Any]:
    """Workers that take no time, so that the client is what is slow."""
    with tempfile.TemporaryDirectory() as name, _endpoint(0.0) as (env, told):
        source, out = _generated(Path(name), documents), Path(name) / "out.jsonl"
        began_s = time.monotonic()
        looks = list[tuple[float, int]]()
        with _client(source, out, env) as process:
            _wait_for_output(process, out)
            seen = psutil.Process(process.pid)
            while process.poll() is None:
                looks.append((time.monotonic(), seen.memory_info().rss))
                time.sleep(LOOK_S)
        took_s = time.monotonic() - began_s
        told()
        lines = out.read_bytes().count(b"\n")
    half = len(looks) // 2
    first, second = max(rss for _, rss in looks[:half]), max(rss for _, rss in looks[half:])
    return {
        "documents": lines, "seconds": round(took_s, 1), "documents_per_s": round(lines / took_s),
        "first_mb": round(looks[0][1] / 1e6, 1), "most_of_first_half_mb": round(first / 1e6, 1),
        "most_of_second_half_mb": round(second / 1e6, 1), "added_by_second_half_mb": round((second - first) / 1e6, 1),
    }  # fmt: skip


def overhead(rounds: int, documents: int = 192) -> dict[str, Any]:
    """The same jobs by the bulk run's machinery, output and journal included, and one after the other by the worker."""
    from pinpoint.client.bulk.items import Reading, items
    from pinpoint.client.bulk.journal import Journal
    from pinpoint.client.bulk.output import Output
    from pinpoint.client.bulk.run import Run
    from pinpoint.client.bulk.tally import Tally
    from pinpoint.client.documents import Question
    from pinpoint.client.jobs import JOB_DOCUMENTS, Jobs
    from pinpoint.client.limiter import Limiter
    from pinpoint.client.local import LocalTransport
    from pinpoint.serving.worker import Worker
    from pinpoint.settings import read_settings

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = _generated(folder, documents, repeat=2)
        rows = [json.loads(line) for line in source.read_text().splitlines()]
        loop = asyncio.new_event_loop()
        worker, transport = Worker(read_settings()), LocalTransport()
        runs = iter(range(10**6))

        async def bulk() -> None:
            out = folder / f"out-{next(runs)}.jsonl"
            journal = Journal(out.with_suffix(".journal"), {})
            output = Output(out, 0, ours=False)
            limiter = Limiter(transport.at_once)
            jobs = Jobs(transport, Question.of(LABELS.split(",")), limiter)
            run = Run(
                lambda: items([str(source)], Reading()),
                transport,
                jobs,
                limiter,
                journal,
                output,
                Tally(),
                JOB_DOCUMENTS,
            )
            await run.run()
            output.finish()
            journal.close()
            assert out.read_bytes().count(b"\n") == documents

        async def plain() -> None:
            for first in range(0, documents, JOB_DOCUMENTS):
                members = [{"text": row["text"]} for row in rows[first : first + JOB_DOCUMENTS]]
                await worker.answer({"input": {"labels": LABELS.split(","), "documents": members}})

        seconds: dict[str, list[float]] = {"bulk": [], "plain": []}
        processor: dict[str, list[float]] = {"bulk": [], "plain": []}
        for turn in range(rounds + 1):  # the first one warms up
            for name, side in (("bulk", bulk), ("plain", plain)):
                began_s, used_s = time.perf_counter(), time.process_time()
                loop.run_until_complete(side())
                if turn:
                    seconds[name].append(time.perf_counter() - began_s)
                    processor[name].append(time.process_time() - used_s)
    return {
        "documents": documents, "bulk_s": [round(one, 2) for one in seconds["bulk"]],
        "plain_s": [round(one, 2) for one in seconds["plain"]], "bulk_over_plain": round(ratio(*seconds.values()), 3),
        "bulk_over_plain_processor": round(ratio(*processor.values()), 3),
    }  # fmt: skip


def imports(rounds: int) -> dict[str, Any]:
    """Importing the client, and what it is held against."""
    sides: dict[str, Callable[[], Any]] = {
        name: partial(subprocess.run, [sys.executable, "-c", code], check=True, env=_env())
        for name, code in (("client", "import pinpoint.client"), ("nothing", "pass"), ("runpod", "import runpod"))
    }
    seconds = {name: median(times) for name, times in in_turn(sides, rounds).items()}
    processor_s = dict[str, float]()
    for name, side in sides.items():  # what other processes on this machine do not change
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(rounds):
            side()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        processor_s[name] = used_s / rounds
    return {
        name: {"s": round(seconds[name] - seconds["nothing"], 3),
               "processor_s": round(processor_s[name] - processor_s["nothing"], 3)}
        for name in ("client", "runpod")
    }  # fmt: skip


def _generated(folder: Path, count: int, repeat: int = 1) -> Path:
    path = folder / "documents.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for n in range(count):
            text = " ".join(TEXTS[(n + m) % len(TEXTS)].format(n=n) for m in range(repeat))
            file.write(json.dumps({"id": f"doc-{n:06}", "text": text}) + "\n")
    return path


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}


@contextmanager
def _endpoint(service_s: float) -> Iterator[tuple[dict[str, str], Any]]:
    """The environment of a client, and what gives the jobs of each worker at the end."""
    words = [sys.executable, "-m", "tests.worker.emulated", "--workers", str(WORKERS), "--service-s", str(service_s)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=_env())
    assert process.stdin is not None and process.stdout is not None
    told = dict(word.split("=", 1) for word in process.stdout.readline().split())

    def answered() -> Any:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        return json.loads(process.stdout.readline())

    try:
        yield {**_env(), "RUNPOD_ENDPOINT_BASE_URL": told["url"], "RUNPOD_API_KEY": told["key"]}, answered
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def _client(source: Path, out: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    words = ["classify", str(source), "--labels", LABELS, "--endpoint", "pinpoint-test", "--out", str(out)]
    process = subprocess.Popen([sys.executable, "-m", "pinpoint", *words], cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for_output(process: subprocess.Popen[bytes], out: Path) -> float:
    """When the first results were written."""
    while not (out.exists() and out.stat().st_size):
        assert process.poll() is None, "the client ended"
        threading.Event().wait(0.01)
    return time.monotonic()


if __name__ == "__main__":
    typer.run(main)
