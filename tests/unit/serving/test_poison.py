"""Jobs that ended their worker: remembered across processes, refused after two deaths, innocents cleared.

A death is a marker whose worker is gone. Workers that live, are frozen, are elsewhere, or on a volume that hangs or is
full, are all tried here; real deaths are of real processes.
"""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pinpoint.errors import CapacityError
from pinpoint.serving import poison, sign_of_life
from pinpoint.serving.poison import DEAD, EXPIRES_S, FOLDER, PoisonMemory, _digest, state_folder

ROOT = Path(__file__).parents[3]
# A worker that runs a pass with these jobs until it is killed, or ends in the middle of it: nothing is unwound.
RUNS = """
import os, sys, time
from pathlib import Path
from pinpoint.serving.poison import PoisonMemory
memory = PoisonMemory(Path(sys.argv[2]))
with memory.running(sys.argv[3:]):
    print("runs", flush=True)
    if sys.argv[1] == "dies":
        os._exit(9)
    sys.stdin.readline()
"""


def command(how: str, folder: Path, *jobs: str) -> list[str]:
    return [sys.executable, "-c", RUNS, how, str(folder), *jobs]


ENV = {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def dies(folder: Path, *jobs: str) -> None:
    assert subprocess.run(command("dies", folder, *jobs), env=ENV, check=False, timeout=60).returncode == 9


@contextmanager
def living(folder: Path, *jobs: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another worker in the middle of a pass."""
    with subprocess.Popen(
        command("lives", folder, *jobs), env=ENV, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"runs\n"
        try:
            yield process
        finally:
            process.kill()


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every other worker were on another host, and locks did not reach that far."""
    monkeypatch.setattr(sign_of_life, "_place_of", lambda told: "there")
    monkeypatch.setattr("fcntl.flock", lambda fd, operation: None)


async def test_after_two_deaths_it_is_refused_and_others_are_not(tmp_path: Path) -> None:
    assert await PoisonMemory(tmp_path).check("bad") == 0
    dies(tmp_path, "bad", "neighbour")
    assert await PoisonMemory(tmp_path).check("bad") == await PoisonMemory(tmp_path).check("neighbour") == 1
    # From now on its passes hold nothing else: the neighbour survives its own.
    with PoisonMemory(tmp_path).running(["neighbour"]):
        pass
    await PoisonMemory(tmp_path).clear("neighbour")
    dies(tmp_path, "bad")
    with pytest.raises(CapacityError) as caught:
        await PoisonMemory(tmp_path).check("bad")
    assert (caught.value.code, caught.value.field) == ("poison_job", "id")
    assert await PoisonMemory(tmp_path).check("neighbour") == 0


async def test_a_pass_that_ends_leaves_nothing_however_it_ends(tmp_path: Path) -> None:
    memory = PoisonMemory(tmp_path)
    with memory.running(["1", "2"]):
        assert await memory.deaths("1") == 0
        assert len(list(tmp_path.glob("*/*"))) == 2
    with pytest.raises(ValueError), memory.running(["1"]):
        raise ValueError
    memory.settle()
    assert [path.suffix for path in tmp_path.iterdir()] == [".life"]
    memory.end()
    assert list(tmp_path.iterdir()) == []


async def test_three_living_workers_with_one_job_are_no_deaths(tmp_path: Path) -> None:
    first, second = PoisonMemory(tmp_path), PoisonMemory(tmp_path)
    with first.running(["x"]), second.running(["x"]), living(tmp_path, "x"):
        assert await PoisonMemory(tmp_path).check("x") == 0
        assert await first.check("x") == 0


async def test_a_killed_worker_is_a_death_at_once_and_a_frozen_one_is_none(tmp_path: Path) -> None:
    with living(tmp_path, "x") as process:
        process.send_signal(signal.SIGSTOP)
        assert await PoisonMemory(tmp_path, look_s=0.05).check("x") == 0
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        assert await PoisonMemory(tmp_path, look_s=60).check("x") == 1


async def test_a_worker_of_another_host_lives_as_long_as_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, mine = PoisonMemory(tmp_path, beat_s=0.1), PoisonMemory(tmp_path, look_s=0.1)
    with other.running(["x"]):
        elsewhere(monkeypatch)
        # Its host's clock is an hour ahead, or behind.
        for ahead_s in (3600, -3600):
            (life,) = tmp_path.glob("*.life")
            os.utime(life, (time.time() + ahead_s,) * 2)
            assert await mine.deaths("x") == 0


async def test_a_worker_of_another_host_that_is_silent_is_dead_whatever_its_clock_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, mine = PoisonMemory(tmp_path, beat_s=3600), PoisonMemory(tmp_path, look_s=0.01)
    with other.running(["x"]):
        elsewhere(monkeypatch)
        (life,) = tmp_path.glob("*.life")
        os.utime(life, (time.time() + 3600,) * 2)
        assert await mine.deaths("x") == 1
        assert await PoisonMemory(tmp_path, look_s=3600).deaths("x") == 1  # found out once, known to all
    # It was only frozen: now that its pass has ended, it takes that back.
    other.settle()
    assert await mine.deaths("x") == 0


async def test_what_a_job_was_suspected_of_outlives_a_pass_until_it_is_answered(tmp_path: Path) -> None:
    dies(tmp_path, "large")
    memory = PoisonMemory(tmp_path)
    for _ in range(2):
        with memory.running(["large"]):
            assert await memory.deaths("large") == 1
        memory.settle()
    assert await memory.deaths("large") == 1
    await memory.clear("large")
    assert await memory.deaths("large") == 0
    assert not list(tmp_path.glob("*/*"))


@pytest.mark.parametrize("name", ["../x", "a/b", "\ud800", "x" * 5000, ".", "\0"])
async def test_any_id_is_a_folder_in_the_folder(tmp_path: Path, name: str) -> None:
    with PoisonMemory(tmp_path / "deep" / "er").running([name]):
        assert len(list((tmp_path / "deep" / "er").glob("*/*"))) == 1
        assert await PoisonMemory(tmp_path / "deep" / "er").deaths(name) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep"]


def test_a_job_without_an_id_is_not_remembered(tmp_path: Path) -> None:
    with PoisonMemory(tmp_path).running(["", ""]):
        assert list(tmp_path.iterdir()) == []


async def test_a_volume_that_cannot_be_written_is_told_of_once_and_hurts_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder should be")
    memory = PoisonMemory(blocked)
    for _ in range(3):
        assert await memory.check("1") == 0
        with memory.running(["1"]):
            pass
    assert len(caplog.records) == 1
    assert not memory.remembers


@pytest.mark.parametrize("where", ["listdir", "open", "mkdir", "rename", "rmdir", "unlink"])
async def test_a_volume_that_hangs_is_given_up_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    stuck, call = threading.Event(), getattr(os, where)

    def hangs(path: object, *args: object, **options: object) -> object:
        if str(tmp_path) in str(path):
            stuck.wait(60)
        return call(path, *args, **options)

    dies(tmp_path, "1")
    monkeypatch.setattr(os, where, hangs)
    memory = PoisonMemory(tmp_path, deadline_s=0.2, look_s=0.01)
    try:
        for _ in range(3):
            await memory.check("1")
            with memory.running(["1"]):
                pass
        assert len(caplog.records) == 1, caplog.text
        assert not memory.remembers
    finally:
        stuck.set()
    # It has come back: the marker of the pass that ended meanwhile is taken away.
    memory.settle()
    assert {path.suffix for path in tmp_path.glob("*/*")} <= {DEAD, ""}
    assert not list(tmp_path.glob(f"*/{memory._life.owner}"))


def test_a_process_whose_volume_hangs_ends(tmp_path: Path) -> None:
    program = f"""
import os, time
os.mkdir = lambda *args, **options: time.sleep(3600)
from pathlib import Path
from pinpoint.serving.poison import PoisonMemory
memory = PoisonMemory(Path({str(tmp_path)!r}), deadline_s=0.2)
with memory.running(["1"]):
    print("runs", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], env=ENV, capture_output=True, timeout=30, check=True)
    assert done.stdout == b"runs\n"


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


async def test_what_nobody_touched_for_a_day_expires_also_on_a_full_volume(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies(tmp_path, "old")
    dies(tmp_path, "new")
    (tmp_path / ("a" * 64)).write_text("2")  # of an earlier version
    (tmp_path / "somebody else's").mkdir()
    for path in tmp_path.iterdir():
        if path.name != _digest("new"):
            age(path, EXPIRES_S + 60)
    living_one = PoisonMemory(tmp_path)
    with living_one.running(["3"]):
        pass
    living_one.settle()
    age(tmp_path / f"{living_one._life.owner}.life", EXPIRES_S + 60)
    # No inode is left until something is removed.
    touch = Path.touch

    def full(path: Path, *args: object, **options: object) -> None:
        if (tmp_path / _digest("old")).exists():
            raise OSError(errno.ENOSPC, "no inodes")
        touch(path)

    monkeypatch.setattr(Path, "touch", full)
    memory = PoisonMemory(tmp_path)
    with memory.running(["4"]):
        assert (tmp_path / _digest("4")).exists()
    memory.settle()
    assert caplog.records == []
    assert {path.name for path in tmp_path.iterdir()} == {
        _digest("new"), "somebody else's", f"{living_one._life.owner}.life", f"{memory._life.owner}.life"
    }  # fmt: skip
    assert await memory.deaths("new") == 1


async def test_a_volume_that_stays_full_is_told_of_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = list[Path]()

    def full(path: Path, *args: object, **options: object) -> None:
        tries.append(path)
        raise OSError(errno.EDQUOT, "no inodes")

    memory = PoisonMemory(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", full)
        for _ in range(3):
            with memory.running(["1"]):
                pass
        assert len(tries) == 2  # once more after making room, then not for a minute
        memory._full_until_s = 0.0
        with memory.running(["1"]):
            pass
        assert len(tries) == 4 and len(caplog.records) == 1
    memory._full_until_s = 0.0
    with memory.running(["1"]):
        assert len(list(tmp_path.glob("*/*"))) == 1


async def test_it_expires_by_itself_in_a_worker_that_is_idle(tmp_path: Path) -> None:
    dies(tmp_path, "old")
    age(tmp_path / _digest("old"), EXPIRES_S + 60)
    memory = PoisonMemory(tmp_path, beat_s=0.02)
    assert await memory.check("other") == 0
    until = time.monotonic() + 20
    while (tmp_path / _digest("old")).exists():
        assert time.monotonic() < until
        await asyncio.sleep(0.02)


def test_where_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    assert state_folder("", volume=tmp_path) is None  # a folder is no mounted volume
    assert state_folder("", volume=Path("/proc")) == Path("/proc") / FOLDER
    assert state_folder(str(tmp_path)) == tmp_path / FOLDER
    nowhere = PoisonMemory(None)
    with nowhere.running(["1"]):
        assert not nowhere.remembers
    # A volume that hangs when it is looked at is none.
    stuck = threading.Event()
    monkeypatch.setattr(poison, "DEADLINE_S", 0.1)
    monkeypatch.setattr(Path, "is_mount", lambda path: stuck.wait(60))
    assert state_folder("", volume=Path("/proc")) is None
    stuck.set()
    assert len(caplog.records) == 1
