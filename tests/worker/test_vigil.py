"""What befalls the worker itself, at random moments: pauses, a log that nobody reads, a ping process that dies, SIGTERM
during the load, a state folder that hangs, one job on several workers.

Two rounds of each by default; `PINPOINT_FAULT_ROUNDS=20` for the full run. A printed seed brings a run back.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import echo_worker
from tests.worker.emulator import Platform
from tests.worker.ledger import WAIT_S
from tests.worker.log_pipe import LogPipe
from tests.worker.processes import ROOT, WorkerProcess
from tests.worker.product import good_job, product_worker
from tests.worker.test_faults import both_answer, taken
from tests.worker.traffic import Traffic, once, repeat

SLOTS = 32
HANG_S = 2.0  # the watchdog's limit, below every pause here
PID_NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child")
SECRET = "a-secret-of-the-address-0123456789"


def answered_by_itself(platform: Platform, worker: WorkerProcess, traffic: Traffic) -> None:
    """The worker lives, goes on answering, and nothing was lost meanwhile."""
    both_answer(platform, traffic)
    assert worker.process.poll() is None, worker.output
    assert not any(d.lost_with_worker for job in platform.ledger.jobs.values() for d in job.deliveries)


# A pause


@pytest.mark.parametrize("whom", ["worker", "container"])
def test_a_pause_is_no_hang(tmp_path: Path, whom: str) -> None:
    """In a poll, in a pass, in a post: what was under way when the process was frozen goes on when it is thawed."""

    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        platform.poll_s = chance.choice([0.3, 20.0])
        options = {"echo_hang_s": HANG_S, "echo_concurrency": SLOTS}
        with (
            echo_worker(platform, folder, "w1", guards=True, **options) as worker,
            Traffic(platform, chance) as traffic,
        ):
            passes = [platform.submit({"forward_s": chance.uniform(0.1, 0.6)}) for _ in range(chance.randint(0, 3))]
            for job_id in passes:
                taken(platform, job_id)
            for _ in range(2):
                time.sleep(chance.uniform(0, 1.0))
                stop = os.killpg if whom == "container" else os.kill
                stop(worker.process.pid, signal.SIGSTOP)
                # Also longer than twice the limit, after which a held interpreter lock is believed.
                time.sleep(chance.choice([1.2, 1.5, 2.5]) * HANG_S)
                stop(worker.process.pid, signal.SIGCONT)
            answered_by_itself(platform, worker, traffic)
            platform.ledger.wait_final(*passes)

    repeat(f"pause {whom}", one, tmp_path)


def test_a_pause_longer_than_a_deadline_costs_no_job_its_answer(tmp_path: Path) -> None:
    """A job that would have been in time but for the pause is answered, and so is one whose poll was frozen."""

    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        platform.poll_s = 60
        env = {"PINPOINT_JOB_DEADLINE_S": 15.0, "PLANT_PASS_S": 0.5, "PINPOINT_HANG_S": 12}
        with product_worker(platform, folder, "w1", env) as worker:
            ids = [platform.submit(good_job(chance, f"tag-{n}")) for n in range(2)]
            for job_id in ids:
                taken(platform, job_id)
            time.sleep(chance.uniform(0, 0.4))
            worker.process.send_signal(signal.SIGSTOP)
            ids.append(platform.submit(good_job(chance, "tag-frozen")))
            time.sleep(18)
            worker.process.send_signal(signal.SIGCONT)
            assert {job.error for job in platform.ledger.wait_final(*ids)} == {None}
        once(platform, *ids)

    repeat("pause deadline", one, tmp_path, default=1)


# The log


def talkative(chance: random.Random) -> dict[str, Any]:
    """A job whose words in the log fill a pipe soon."""
    return {"echo": chance.randint(0, 10**9), "say": "x" * chance.choice([10, 2_000, 100_000]), "say_where": "out err"}


@pytest.mark.parametrize("which", ["stdout", "stderr", "both"])
def test_a_log_that_nobody_reads_holds_up_nobody(tmp_path: Path, which: str) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        pipes = (LogPipe(), LogPipe())
        stalled = {"stdout": pipes[:1], "stderr": pipes[1:], "both": pipes}[which]
        options = {"echo_concurrency": SLOTS, "pipes": pipes, "echo_late_take_s": 0.3}
        with (
            echo_worker(platform, folder, "w1", guards=True, **options) as worker,
            Traffic(platform, chance, talkative) as traffic,
        ):
            time.sleep(chance.uniform(0, 0.5))
            for pipe in stalled:
                pipe.stall()
            time.sleep(chance.uniform(1.0, 2.0))
            platform.ledger.wait_final(*[platform.submit(talkative(chance)) for _ in range(30)])
            resumes = chance.random() < 0.5
            if resumes:
                for pipe in stalled:
                    pipe.resume()
                time.sleep(chance.uniform(0, 0.3))
                worker.wait_output("were dropped, nobody read them")
            answered_by_itself(platform, worker, traffic)
            worker.terminate()
            assert worker.wait_exit() == 0

    repeat(f"log stalled {which}", one, tmp_path)


@pytest.mark.parametrize("which", ["stdout", "stderr", "both"])
def test_a_log_whose_reader_has_gone_is_let_go(tmp_path: Path, which: str) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        pipes = (LogPipe(), LogPipe())
        options = {"echo_concurrency": SLOTS, "pipes": pipes, "echo_late_take_s": 0.3}
        with (
            echo_worker(platform, folder, "w1", guards=True, **options) as worker,
            Traffic(platform, chance, talkative) as traffic,
        ):
            time.sleep(chance.uniform(0, 1.0))
            for pipe in {"stdout": pipes[:1], "stderr": pipes[1:], "both": pipes}[which]:
                pipe.leave()
            time.sleep(chance.uniform(0, 1.0))
            if which != "both":
                worker.wait_output(f"log: {which} has been closed by its reader")
            answered_by_itself(platform, worker, traffic)
            worker.terminate()
            assert worker.wait_exit() == 0

    repeat(f"log gone {which}", one, tmp_path)


def test_a_hung_worker_whose_log_nobody_reads_leaves(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        pipes = (LogPipe(), LogPipe())
        hangs, code = chance.choice([({"forward_s": -1}, 70), ({"block_s": 60}, 70), ({"hold_interpreter": True}, 62)])
        options = {"echo_concurrency": SLOTS, "pipes": pipes, "echo_hang_s": HANG_S}
        with echo_worker(platform, folder, "w1", guards=True, **options) as worker:
            for pipe in pipes:
                pipe.stall()
            platform.ledger.wait_final(
                *[platform.submit({"say": "x" * 50_000, "say_where": "out err"}) for _ in range(9)]
            )
            time.sleep(chance.uniform(0, 0.5))
            platform.submit(hangs)
            assert worker.wait_exit() == code

    repeat("hang log stalled", one, tmp_path)


def test_ascii_streams_lose_no_job(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C", "RUNPOD_ENDPOINT_ID": None}
        with echo_worker(platform, folder, "w1", guards=True, env=env) as worker:
            ids = [f"ключ-{chance.randrange(10**6)}", f"鍵-{chance.randrange(10**6)}"]
            for job_id in ids:
                platform.submit({"echo": "ответ 答え", "say": "слово", "say_where": "out err"}, job_id)
            for job in platform.ledger.wait_final(*ids):
                assert job.output["echo"] == "ответ 答え"
            worker.wait_output(ids[0])
        once(platform, *ids)

    repeat("ascii", one, tmp_path)


# Pings


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_ping_process_that_dies_is_started_anew(tmp_path: Path, how: signal.Signals) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        with (
            echo_worker(platform, folder, "w1", guards=True, echo_concurrency=SLOTS) as worker,
            Traffic(platform, chance) as traffic,
        ):
            for _ in range(2):
                platform.ledger.wait(lambda own: own.pings, WAIT_S, "a ping")
                time.sleep(chance.uniform(0, 1.2))
                (child,) = worker.stray_processes()
                os.kill(child, how)
                since = platform.ledger.now_s()
                platform.ledger.wait(lambda own: own.pings[-1].at_s > since + 0.2, WAIT_S, "pings go on")  # noqa: B023
            answered_by_itself(platform, worker, traffic)
            worker.terminate()
            assert worker.wait_exit() == 0
            worker.wait_alone()

    repeat(f"ping {how.name}", one, tmp_path)


@pytest.mark.parametrize("told", ["0", "500", "999", "-5"])
def test_an_odd_ping_interval_still_pings(platform: Platform, tmp_path: Path, told: str) -> None:
    with echo_worker(platform, tmp_path, "w1", guards=True, runpod_ping_interval=told) as worker:
        platform.ledger.wait(lambda own: len(own.pings) >= 3, WAIT_S, "pings")
        assert len(worker.stray_processes()) == 1


@pytest.mark.parametrize("how", ["down", "proxy", "slow"])
def test_no_secret_is_in_the_log_when_pings_fail(platform: Platform, tmp_path: Path, how: str) -> None:
    ping = platform.worker_env("w1")["RUNPOD_WEBHOOK_PING"] + f"&token={SECRET}"
    env: dict[str, str | None] = {"NO_PROXY": None, "no_proxy": None}
    if how == "down":
        ping = ping.replace(f":{platform.port}/", ":9/")
    elif how == "proxy":
        env["HTTP_PROXY"] = f"http://someone:{SECRET}@127.0.0.1:9"
    else:
        platform.faults.ping_s = 30.0
    env["RUNPOD_WEBHOOK_PING"] = ping
    with echo_worker(platform, tmp_path, "w1", guards=True, env=env) as worker:
        worker.wait_output("Retrying", 30)
        time.sleep(1.0)
        assert SECRET not in worker.output and "gpu=none" not in worker.output, worker.output
        assert "/ping/w1?…" in worker.output


# SIGTERM during the load


@pytest.mark.parametrize("first", [False, True], ids=["process", "first process"])
def test_sigterm_during_the_load_ends_the_worker_at_once(tmp_path: Path, first: bool) -> None:
    if first and (shutil.which("unshare") is None or subprocess.run([*PID_NAMESPACE, "true"], check=False).returncode):
        pytest.skip("no process namespace can be made here")

    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        options = {"script": ROOT / "handler.py", "wait_ready": False, "prefix": PID_NAMESPACE if first else ()}
        with product_worker(platform, folder, "w1", None, **options) as worker:
            own = worker.process.pid if not first else _child_of(worker.process.pid)
            _wait_handler(own)  # before its first line, the kernel has nobody to ask
            time.sleep(chance.uniform(0, 3.0))
            os.kill(own, signal.SIGTERM)
            code = worker.wait_exit()
            if platform.ledger.takes or platform.ledger.polls_begun["w1"]:
                assert code == 0
            else:
                assert code == 143, worker.output
                assert "leaving: SIGTERM came before the worker took jobs" in worker.output
            assert "Traceback" not in worker.output

    repeat(f"sigterm load {first}", one, tmp_path)


def _child_of(process: int) -> int:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise AssertionError("the namespace has no process")


def _wait_handler(process: int) -> None:
    """Until the process catches SIGTERM."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("SigCgt:") and int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
                return
        time.sleep(0.005)
    raise AssertionError("SIGTERM is never caught")


def test_sigterm_is_caught_before_anything_is_imported() -> None:
    program = "import sys; sys.argv = ['handler.py']; import runpy\n" + (
        "import builtins, signal\n"
        "real = builtins.__import__\n"
        "def watched(name, *args, **options):\n"
        "    if name.split('.')[0] in ('pydantic', 'numpy', 'runpod', 'torch'):\n"
        "        print(signal.getsignal(signal.SIGTERM) != signal.SIG_DFL); raise SystemExit(0)\n"
        "    return real(name, *args, **options)\n"
        "builtins.__import__ = watched\n"
        "runpy.run_path('handler.py', run_name='__main__')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True"]


# What is remembered of deaths


def test_one_job_on_three_living_workers_is_no_poison(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        env = {"PINPOINT_STATE_DIR": folder / "state", "PLANT_PASS_S": 1.0}
        names = ("w1", "w2", "w3")
        workers = [product_worker(platform, folder, name, env) for name in names]
        with workers[0], workers[1], workers[2]:
            job_id = platform.submit(good_job(chance, "again"))
            for _ in range(2):
                taken(platform, job_id)
                time.sleep(chance.uniform(0, 0.4))
                platform.submit_raw(platform.ledger.jobs[job_id].raw, job_id)
            platform.ledger.wait(lambda own: len(own.jobs[job_id].answers) == 3, 60, "three answers")
            assert [post.payload.get("error") for post in platform.ledger.jobs[job_id].answers] == [None] * 3

    repeat("poison living", one, tmp_path, default=1)


def test_a_job_that_kills_its_workers_is_refused_at_the_third(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        env = {"PINPOINT_STATE_DIR": folder / "state", "PLANT_PASS_S": 3.0}
        job_id = platform.submit(good_job(chance, "bad"))
        for name in ("w1", "w2"):
            with product_worker(platform, folder, name, env) as worker:
                platform.ledger.wait(lambda own: own.jobs[job_id].deliveries, 60, "it is taken")
                until = time.monotonic() + 20
                while not list((folder / "state").glob("pinpoint-jobs/*/*" + "[0-9a-f]")):
                    assert time.monotonic() < until
                    time.sleep(0.01)
                time.sleep(chance.uniform(0.5, 2.0))
                worker.kill()
            platform.worker_lost(name)
        with product_worker(platform, folder, "w3", env):
            (job,) = platform.ledger.wait_final(job_id)
        assert job.error.startswith("poison_job: 2 workers ended")

    repeat("poison killed", one, tmp_path, default=1)


def test_a_state_folder_that_hangs_costs_neither_jobs_nor_the_end(tmp_path: Path) -> None:
    def one(platform: Platform, folder: Path, chance: random.Random) -> None:
        stuck = folder / "stuck"
        env = {"PINPOINT_STATE_DIR": folder / "state", "PLANT_STUCK": stuck, "PINPOINT_MAX_CONCURRENCY": 16}
        if chance.random() < 0.25:
            stuck.touch()  # from the start
        make = lambda own: good_job(own, f"traffic-{own.randrange(10**9)}")  # noqa: E731
        with (
            product_worker(platform, folder, "w1", env) as worker,
            Traffic(platform, chance, make, pause_s=0.5) as traffic,
        ):
            time.sleep(chance.uniform(0, 1.0))
            stuck.touch()
            time.sleep(chance.uniform(0, 1.0))
            assert {job.error for job in traffic.stop()} == {None}
            assert worker.output.count("jobs that end their worker are not remembered") <= 1
            worker.terminate()
            assert worker.wait_exit() == 0, worker.output
        once(platform)

    repeat("state stuck", one, tmp_path, default=1)
