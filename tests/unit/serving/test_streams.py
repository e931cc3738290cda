"""Streams that never hold up whoever writes: a full pipe, a reader that has gone, a fork, text that is not ASCII."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinpoint.serving.streams import LineQueue, LineStream

ROOT = Path(__file__).parents[3]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        try:
            os.close(fd)
        except OSError:
            continue


def read_until(fd: int, end: bytes) -> bytes:
    data = b""
    while end not in data:
        data += os.read(fd, 1 << 20)
    return data


def test_lines_come_in_order_and_whole(pipe: tuple[int, int]) -> None:
    queue = LineQueue(pipe[1], "x")
    for number in range(500):
        queue.put(b"%d\n" % number)
    assert read_until(pipe[0], b"\n499\n").split() == [b"%d" % number for number in range(500)]
    assert queue.wait_written(5)


def test_a_pipe_that_nobody_reads_holds_up_nobody_and_what_was_dropped_is_said(pipe: tuple[int, int]) -> None:
    queue = LineQueue(pipe[1], "x", limit_bytes=200_000)
    line = b"a" * 999 + b"\n"
    for _ in range(1000):
        queue.put(line)
    assert not queue.wait_written(0.05)
    written = read_until(pipe[0], b"were dropped")
    told = next(text for text in written.split(b"\n") if b"dropped" in text)
    dropped = int(told.split()[1])
    assert 700 <= dropped < 1000
    assert written.count(line) == 1000 - dropped
    assert told.startswith(b"log: ")
    queue.put(b"after\n")
    read_until(pipe[0], b"after\n")


def test_a_reader_that_has_gone_is_let_go_and_told_of_elsewhere(pipe: tuple[int, int]) -> None:
    queue, told = LineQueue(pipe[1], "stdout"), list[str]()
    queue.on_gone = told.append
    os.close(pipe[0])
    queue.put(b"first\n")
    assert queue.wait_written(5)
    queue.put(b"second\n")
    assert queue.gone and queue.wait_written(0)
    assert told == ["log: stdout has been closed by its reader and is let go\n"]


def test_lines_of_threads_do_not_mix_and_half_lines_wait() -> None:
    lines = list[bytes]()
    stream = LineStream(lines.append, 2, lambda text: text)

    def write() -> None:
        for _ in range(200):
            print("a", "b", "c", file=stream)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lines == [b"a b c\n"] * 800
    stream.write("half")
    assert len(lines) == 800
    stream.flush()
    stream.write("x" * 20_000)  # a line without end is not kept for ever
    assert [len(line) for line in lines[800:]] == [4, 20_000]


def test_any_text_can_be_written_and_is_cleaned() -> None:
    lines = list[bytes]()
    stream = LineStream(lines.append, 2, lambda text: text.replace("secret", "…"))
    print("ключ \ud800 secret", file=stream, flush=True)
    stream.buffer.write(b"\xff bytes\n")
    assert lines == ["ключ \\ud800 …\n".encode(), "\ufffd bytes\n".encode()]


PROGRAM = """
import os, sys
from pinpoint.serving import streams
streams.install(queued=True)
print("parent", flush=True)
if os.fork() == 0:
    print("child \\u043a", file=sys.stderr)
    streams.flush()
    os._exit(0)
os.wait()
streams.urgent("urgent")
print("last")
"""


def test_a_process_and_its_child_write_all_they_have(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    # From Python 3.12 on, a fork beside threads is warned of.
    words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM]
    done = subprocess.run(words, env=env, capture_output=True, timeout=60, check=True, cwd=tmp_path)
    assert done.stdout.split() == [b"parent", b"last"]
    assert sorted(done.stderr.decode().splitlines()) == ["child к", "urgent"]


STUCK = """
import sys, time
from pinpoint.serving import streams
streams.install(queued=True)
for _ in range(5000):
    print("a" * 999, file=sys.stderr, flush=True)
streams.urgent("never seen, and not waited for")
"""


def test_a_process_whose_log_is_not_read_ends(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen([sys.executable, "-c", STUCK], env=env, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.wait(30) == 0
        process.kill()


CLOSED = """
import os, sys
os.close(1)
from pinpoint.serving import streams
streams.install(queued=True)
print("nowhere", flush=True)
assert os.open("/dev/null", os.O_RDONLY) > 2
"""


def test_a_stream_closed_from_the_start_swallows(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", CLOSED], env=env, stderr=subprocess.PIPE, timeout=60, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
