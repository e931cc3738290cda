"""A bulk run that is killed twice: `python bench/bulk_survives.py [--documents 10000]`.

An emulated platform (tests/worker/emulator.py) with three workers of the product, each a process with the embedded
model, behind `python -m pinpoint classify … --endpoint`. At a third of the documents one worker is killed with SIGKILL
(another one takes its place, as on the platform), and at two thirds the client. The same command goes on then. Asked
for: every document once in the output, with the label that the model gives it by itself.

`--in-process` documents are classified once more in this process, and compared.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer

from bench.report import write
from tests.worker.emulator import API_KEY, ENDPOINT, Platform
from tests.worker.processes import WorkerProcess
from tests.worker.product import TEXTS, product_worker

ROOT = Path(__file__).resolve().parents[1]
LABELS = "invoice,complaint,receipt,meter reading,contract,purchase order"
LOOK_S = 0.1
DEAD_S = 2.0  # until the platform knows that a worker is dead


def main(
    documents: Annotated[int, typer.Option(help="How many are generated.")] = 10_000,
    job_documents: Annotated[int, typer.Option(help="Documents in a job.")] = 64,
    compared: Annotated[int, typer.Option(help="How many are classified in this process as well.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Write bench/results/bulk_survives.json.")] = False,
) -> None:
    """Kill a worker and the client in the middle of a bulk run, go on, and count."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        source, out = folder / "documents.jsonl", folder / "results.jsonl"
        texts = _generate(source, documents)
        platform = stack.enter_context(Platform(seed=1))
        platform.endpoint, platform.key = ENDPOINT, API_KEY
        workers = [_worker(stack, platform, folder, f"w{number}") for number in (1, 2, 3)]
        command = [
            sys.executable, "-m", "pinpoint", "classify", str(source), "--labels", LABELS, "--endpoint", ENDPOINT,
            "--out", str(out), "--job-documents", str(job_documents), "--price", "RTX 4090",
        ]  # fmt: skip
        print("$", " ".join(["python", *command[1:]]), flush=True)
        began_s = time.monotonic()
        client = _client(command, platform)
        _until(lambda: _lines(out) > documents // 3, client)
        workers[1].kill()
        print(f"{_lines(out)} results are written: worker w2 is killed", flush=True)
        time.sleep(DEAD_S)
        again = platform.worker_lost("w2")
        print(f"the platform hands {len(again)} of its jobs to others, and starts w4", flush=True)
        _worker(stack, platform, folder, "w4")
        _until(lambda: _lines(out) > documents * 2 // 3, client)
        client.kill()
        client.wait()
        asked = platform.ledger.calls["run"]
        print(f"{_lines(out)} results are written, {asked} jobs sent: the client is killed", flush=True)
        print("$ the same command", flush=True)
        client = _client(command, platform)
        code = client.wait()
        took_s = time.monotonic() - began_s
        results = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        names = Counter(result["id"] for result in results)
        once = len(names) == documents == len(results) and set(names) == set(texts)
        errors = Counter(result["error"]["code"] for result in results if "error" in result)
        different = _compare(results[:: max(1, len(results) // compared)] if compared else [], texts)
        audit = platform.ledger.audit()
        figures = {
            "documents": documents, "results": len(results), "each_once": once, "errors": dict(errors),
            "exit_code": code, "seconds": round(took_s, 1), "documents_per_s": round(documents / took_s, 1),
            "jobs_sent": platform.ledger.calls["run"], "jobs_needed": -(-documents // job_documents),
            "handed_over_again": len(again), "answered_by": dict(platform.ledger.answered_by),
            "jobs_lost": len(audit.lost), "labels_that_differ_from_this_process": different,
        }  # fmt: skip
        print(json.dumps(figures, indent=2))
        if as_json:
            print(write("bulk_survives", figures))
    raise typer.Exit(0 if once and not errors and not different and code == 0 else 1)


def _generate(path: Path, count: int) -> dict[str, str]:
    """Short documents, one a line; their texts by id."""
    chance = random.Random(7)
    texts = {f"doc-{n:06}": chance.choice(TEXTS).format(n=chance.randint(1, 10**6)) for n in range(count)}
    with path.open("w", encoding="utf-8") as file:
        for name, text in texts.items():
            file.write(json.dumps({"id": name, "text": text}) + "\n")
    return texts


def _worker(stack: ExitStack, platform: Platform, folder: Path, name: str) -> WorkerProcess:
    return stack.enter_context(product_worker(platform, folder, name))


def _client(command: list[str], platform: Platform) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "RUNPOD_API_KEY": API_KEY}
    return subprocess.Popen(command, cwd=ROOT, env={**env, "RUNPOD_ENDPOINT_BASE_URL": platform.base_url})


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _until(condition: Callable[[], bool], client: subprocess.Popen[bytes]) -> None:
    while not condition():
        if client.poll() is not None:
            raise SystemExit(f"the client ended with {client.returncode}")
        time.sleep(LOOK_S)


def _compare(results: list[dict[str, object]], texts: dict[str, str]) -> int:
    """How many of these have another label than this process gives their text."""
    from pinpoint.client import Pinpoint

    names = [str(result["id"]) for result in results]
    if not names:
        return 0
    with Pinpoint() as own:
        labels = own.classify([texts[name] for name in names], LABELS.split(",")).labels
    told = [result["answers"]["category"]["label"] for result in results]  # type: ignore[index]
    return sum(one != other for one, other in zip(told, labels, strict=True))


if __name__ == "__main__":
    typer.run(main)
