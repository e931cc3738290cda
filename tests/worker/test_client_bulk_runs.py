"""Client bulk runs against the emulated platform: workers and clients that are killed, Ctrl-C, batch jobs, words."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pinpoint.cli import app
from pinpoint.client import Retries
from pinpoint.client.bulk import batch_run, batches
from tests.worker.cheap_workers import CheapWorkers
from tests.worker.emulator import API_KEY, ENDPOINT, Platform

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


@pytest.fixture
def workers(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> CheapWorkers:
    platform.endpoint, platform.key = ENDPOINT, API_KEY
    monkeypatch.setenv("RUNPOD_ENDPOINT_BASE_URL", platform.base_url)
    monkeypatch.setenv("RUNPOD_API_KEY", API_KEY)
    return CheapWorkers(platform, ("w1", "w2", "w3"))


def source(folder: Path, texts: list[str]) -> Path:
    path = folder / "in.jsonl"
    path.write_text("".join(json.dumps({"id": f"r{n}", "text": text}) + "\n" for n, text in enumerate(texts)))
    return path


def words(path: Path, out: Path, *more: str) -> list[str]:
    return ["classify", str(path), "--labels", "invoice,receipt", "--endpoint", ENDPOINT, "--out", str(out), *more]


def run(path: Path, out: Path, *more: str) -> Result:
    return CliRunner().invoke(app, words(path, out, *more))


def start(path: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pinpoint", *words(path, out, *more)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def until(condition: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None and time.monotonic() < ends_s, process.communicate()[1]
        time.sleep(0.02)  # files of another process have no event


def ids(out: Path) -> list[str]:
    return [json.loads(line)["id"] for line in out.read_text().splitlines()]


def all_of(count: int) -> list[str]:
    return sorted(f"r{n}" for n in range(count))


def test_client_bulk_has_each_document_once_though_a_worker_and_the_client_are_killed(
    platform: Platform, workers: CheapWorkers, tmp_path: Path
) -> None:
    path, out = source(tmp_path, ["a receipt", "an invoice", "refuse needs_ocr"] * 200), tmp_path / "out.jsonl"
    workers.service_s = 0.15
    more = ("--job-documents", "6")
    first = start(path, out, *more)
    until(lambda: out.exists() and out.stat().st_size, first)
    workers.kill("w2")
    written = out.stat().st_size
    until(lambda: out.stat().st_size > written, first)
    first.kill()
    first.communicate()
    with out.open("ab") as file:
        file.write(b'{"id":"r1","stat')  # half a line
    asked = platform.ledger.calls["run"]
    assert 0 < len(ids_of_whole_lines(out)) < 600
    workers.service_s = 0.0
    second = run(path, out, *more)
    assert second.exit_code == 1, second.output  # some were refused
    assert sorted(ids(out)) == all_of(600)
    assert "of earlier runs" in second.output and "needs_ocr" in second.output
    assert workers.answered["w2"] < workers.answered["w1"]
    # What was in flight was asked for by its id, not sent again, but for a moment's jobs.
    assert asked <= platform.ledger.calls["run"] <= 100 + 8
    assert run(path, out, *more).exit_code == 0


def ids_of_whole_lines(out: Path) -> list[str]:
    return [json.loads(line)["id"] for line in out.read_bytes().split(b"\n")[:-1]]


@pytest.mark.parametrize("interrupts", [1, 2])
def test_client_bulk_of_ctrl_c_once_and_twice(
    platform: Platform, workers: CheapWorkers, tmp_path: Path, interrupts: int
) -> None:
    path, out = source(tmp_path, ["a receipt"] * 400), tmp_path / "out.jsonl"
    workers.service_s = 0.1
    process = start(path, out, "--job-documents", "2")
    until(lambda: out.exists() and out.stat().st_size, process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "Finishing" in process.stderr.readline()
    if interrupts == 2:
        workers.service_s = 600.0  # nothing is ever answered again
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130 and "The same command goes on" in said, said
    done = ids(out)
    assert 0 < len(set(done)) == len(done) < 400
    if interrupts == 1:
        assert len(done) == 2 * platform.ledger.calls["run"], "what was in flight is there"


def test_client_bulk_asks_less_when_it_is_told_that_it_is_too_much(
    platform: Platform, workers: CheapWorkers, tmp_path: Path
) -> None:
    path, out = source(tmp_path, ["a receipt"] * 60), tmp_path / "out.csv"
    platform.faults.calls.extend(["pass", 429, 429, 429])
    result = run(path, out, "--job-documents", "2", "--price", "H100")
    assert result.exit_code == 0 and "times 429" in result.output and "about $" in result.output, result.output
    assert len(out.read_text().splitlines()) == 61


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda words, env: env.setenv("RUNPOD_API_KEY", "wrong"), "invalid_api_key"),
        (lambda words, env: env.delenv("RUNPOD_API_KEY"), "invalid_api_key"),
        (lambda words, env: words.__setitem__(words.index(ENDPOINT), "nosuch"), "unknown_endpoint"),
        (lambda words, env: words.extend(["--url", "http://localhost:1"]), "conflicting_fields"),
        (lambda words, env: words.extend(["--price", "Voodoo 2"]), "unknown_card"),
        (lambda words, env: words.append("--csv"), "conflicting_fields"),
        (lambda words, env: words.__setitem__(1, "nowhere/"), "unreadable_file"),
        (lambda words, env: words.__setitem__(-1, "out.xls"), "unknown_format"),
        (lambda words, env: words.__setitem__(-1, "/proc/none/out.csv"), "cannot_write: there is no such folder"),
        (lambda words, env: words.__setitem__(1, "-"), "unreadable_file: standard input is not read"),
        (lambda words, env: words.extend(["--text", "body"]), "missing_column"),
    ],
)  # fmt: skip
def test_client_bulk_that_cannot_begin_says_so_in_a_line(
    workers: CheapWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "in.csv"
    table.write_text("id,text\n1,a receipt\n")
    said = words(table, tmp_path / "out.jsonl")
    change(said, monkeypatch)
    result = CliRunner().invoke(app, said)
    assert result.exit_code == 1 and code in result.output.splitlines()[0] + result.output, result.output
    assert "Traceback" not in result.output and not isinstance(result.exception, PermissionError)


def test_client_bulk_run_in_the_folder_that_it_reads_takes_no_output_for_a_document(
    workers: CheapWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("x")
    words = ["classify", ".", "./a.txt", "--labels", "invoice,receipt", "--endpoint", ENDPOINT]
    for _ in range(2):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        assert sorted(ids(tmp_path / "results.jsonl")) == ["./a.txt", "./b.txt"]


def test_client_bulk_of_a_folder_under_another_name_is_another_run(
    workers: CheapWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is in the ids: each document would be in the output a second time."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").write_text("x")
    out = tmp_path / "out.jsonl"
    for name, code in (("in", 0), ("in/", 0), ("./in", 1), (str(tmp_path / "in"), 1)):
        command = words(Path(), out)
        command[1] = name
        result = CliRunner().invoke(app, command)
        assert result.exit_code == code and ("other spelling of the sources" in result.output) == bool(code), (
            result.output
        )
        assert ids(out) == ["in/a.txt"]


def test_client_bulk_waits_for_a_batch_that_is_not_counted_yet(
    platform: Platform, workers: CheapWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "FIRST_LOOK_S", 0.01)
    state, looks = batches.Batch.state, list[int]()

    async def lags(self: batches.Batch) -> dict[str, Any]:
        told = await state(self)
        looks.append(1)
        return told if len(looks) > 3 else {**told, "requestTotal": 0, "requestCompleted": 0, "requestFailed": None}

    monkeypatch.setattr(batches.Batch, "state", lags)
    path, out = source(tmp_path, ["a receipt"] * 10), tmp_path / "out.jsonl"
    workers.service_s = 0.05
    result = run(path, out, "--batch", "--job-documents", "4")
    assert result.exit_code == 0 and sorted(ids(out)) == all_of(10), result.output
    assert len(platform.ledger.jobs) == 3, "no job was sent again"


@pytest.mark.parametrize("lost", range(6))
@pytest.mark.parametrize("more", [(), ("--batch",)], ids=["queue", "batch"])
def test_client_bulk_has_each_document_once_whichever_answer_is_lost(
    platform: Platform,
    workers: CheapWorkers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
    lost: int,
) -> None:
    monkeypatch.setattr(batches, "FIRST_LOOK_S", 0.01)
    monkeypatch.setattr(Retries, "wait_s", lambda *args: 0.001)
    path, out = source(tmp_path, ["a receipt", "an invoice"] * 10), tmp_path / "out.csv"
    platform.faults.calls.extend(["pass"] * lost + ["lost"])
    result = run(path, out, "--job-documents", "8", *more)
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert sorted(row["id"] for row in rows) == all_of(20)
    assert all(row["label"] == ("invoice" if int(row["id"][1:]) % 2 else "receipt") for row in rows)


def test_client_bulk_by_batch_jobs_goes_on_where_it_was_killed(
    platform: Platform, workers: CheapWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "FIRST_LOOK_S", 0.05)
    monkeypatch.setattr(batches, "PAGE", 7)
    monkeypatch.setattr(batch_run, "BATCH_JOBS", 20)  # so that there are several
    texts = ["a receipt", "an invoice", "refuse needs_ocr"] * 40 + ["fail internal", "a receipt"]
    path, out = source(tmp_path, texts), tmp_path / "out.jsonl"
    workers.service_s = 0.5
    first = start(path, out, "--batch", "--job-documents", "4")
    until(lambda: platform.ledger.jobs, first)  # finalised
    first.kill()
    first.communicate()
    begun = len(platform.ledger.jobs)
    workers.service_s = 0.0
    result = run(path, out, "--batch", "--job-documents", "4")
    assert result.exit_code == 1, result.output
    assert sorted(ids(out)) == all_of(122)
    errors = [json.loads(line)["error"]["code"] for line in out.read_text().splitlines() if '"error"' in line]
    assert sorted(errors) == ["job_failed"] + ["needs_ocr"] * 40
    assert begun == 31 and len(platform.ledger.jobs) == begun + 1 + 2, (
        "the last job again, then its two documents alone"
    )


@pytest.mark.parametrize("more", [(), ("--batch",)])
def test_client_bulk_blames_no_document_where_every_job_fails(
    workers: CheapWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    monkeypatch.setattr(batches, "FIRST_LOOK_S", 0.01)
    monkeypatch.setattr(Retries, "wait_s", lambda *args: 0.0)
    path, out = source(tmp_path, ["stop internal"] * 10), tmp_path / "out.jsonl"
    result = run(path, out, "--job-documents", "4", *more)
    assert result.exit_code == 1 and out.read_bytes() == b"", result.output
    assert "internal: " in result.output or "job_failed: " in result.output


def test_client_bulk_cancels_a_batch_that_was_never_finalised(
    platform: Platform, workers: CheapWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "FIRST_LOOK_S", 0.05)
    path, out = source(tmp_path, ["a receipt"] * 10), tmp_path / "out.jsonl"
    platform.faults.calls.extend(["pass", "pass", "pass", 400])  # health, create, add; finalise is refused
    result = run(path, out, "--batch", "--job-documents", "4")
    assert result.exit_code == 1 and "service_failed" in result.output, result.output
    assert run(path, out, "--batch", "--job-documents", "4").exit_code == 0
    assert sorted(ids(out)) == all_of(10) and platform.ledger.calls["batch"] >= 6


def test_client_bulk_leaves_a_file_that_is_not_its_own_as_it_is(workers: CheapWorkers, tmp_path: Path) -> None:
    path, out = source(tmp_path, ["a receipt"]), tmp_path / "out.jsonl"
    out.write_text('{"id": "somebody else\'s"}\n')
    for _ in range(2):
        result = run(path, out)
        assert result.exit_code == 1 and result.output.startswith("output_of_another_run: "), result.output
        assert out.read_text() == '{"id": "somebody else\'s"}\n'
        assert sorted(one.name for one in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]
