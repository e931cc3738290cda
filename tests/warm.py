"""Processes that begin with the libraries of a worker imported: a start costs milliseconds instead of ten seconds.

A server imports what is heavy and not ours, and forks once for each process that is asked for. The child then is what
`python SCRIPT …` would have been: its own session, environment and streams, and the script as `__main__`. The SDK
is not among what is imported before: it reads its environment when it is. What it imports is, and a stand-in for
`cpuinfo`, which it asks for the processor's name by a process of its own. There are two servers: one for workers with a
model, and one without torch for stubs. Where the tests are spread over processes, all of them share the two
(`shared`, of tests/conftest.py); a process that is alone starts what it needs.

    client  ── one datagram: script, arguments, environment; descriptors of the streams and of a pipe ──▶  server, forks
    client  ◀── pid, as soon as it has its own session ─────────────────────────────────────────────  the process
    client  ◀── the exit status through the pipe, when the process ends ─────────────────────────────  server, waits
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SDK_NEEDS = (
    "cpuinfo", "aiohttp", "aiohttp_retry", "backoff", "fastapi", "numpy", "paramiko", "prometheus_client", "psutil",
    "pydantic", "pydantic_settings", "requests", "tomlkit", "tqdm_loggable.auto", "uvicorn", "yaml",
)  # fmt: skip
LIBRARIES = (
    *SDK_NEEDS, "torch", "transformers",
    "transformers.conversion_mapping",
    "transformers.integrations.flash_attention", "transformers.integrations.finegrained_fp8",
    "transformers.models.auto.modeling_auto", "transformers.models.auto.tokenization_auto",
    "transformers.models.mixtral.modeling_mixtral", "transformers.integrations.mistral.tokenizer",
)  # fmt: skip
STAND_INS = ROOT / "tests" / "worker" / "handlers"
ASKING = threading.Lock()  # rounds side by side ask from threads: each is to get the pid of its own process
LOOK_S = 0.01  # at processes that have ended
SHARED = "TESTS_WARM_SERVERS"  # the folder of the sockets of the servers that are shared
NAMES = {SDK_NEEDS: "stubs", LIBRARIES: "models"}


class WarmProcess:
    """A process of the server's, with as much of `subprocess.Popen` as the tests use."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def _look(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout_s)[0]:
            (status,) = struct.unpack("i", os.read(self._status, 4))
            os.close(self._status)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def start(
    words: Sequence[str],
    env: Mapping[str, str],
    stdin: int,
    stdout: int,
    stderr: int,
    libraries: tuple[str, ...] = LIBRARIES,
) -> WarmProcess:
    """Run a script and its arguments in the project's folder, as `subprocess.Popen` with `start_new_session` would.

    Its library path is that of the tests, whatever `env` says of it.
    """  # fmt: skip
    server = _server(libraries)
    status, written = os.pipe()
    asked = json.dumps({"words": list(words), "env": dict(env)}).encode()
    with ASKING:
        try:
            socket.send_fds(server, [asked], [stdin, stdout, stderr, written])
        finally:
            os.close(written)
        return WarmProcess(int(server.recv(32)), status)


def run(words: Sequence[str], env: Mapping[str, str], timeout_s: float = 180) -> subprocess.CompletedProcess[str]:
    """Run a script to its end, with nothing on its standard input."""
    with open(os.devnull, "rb") as nothing, TemporaryFile() as out, TemporaryFile() as error:
        process = start(words, env, nothing.fileno(), out.fileno(), error.fileno())
        try:
            code = process.wait(timeout_s)
        finally:
            process.kill()
        said = []
        for file in (out, error):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess(list(words), code, *said)


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Both servers, for all processes that are started meanwhile and for theirs."""
    with TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for libraries, name in NAMES.items():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
                listening.bind(str(Path(folder, name)))
                listening.listen(64)
                stack.callback(_begin(libraries, listening))
        os.environ[SHARED] = folder
        try:
            yield
        finally:
            del os.environ[SHARED]


@functools.cache
def _server(libraries: tuple[str, ...]) -> socket.socket:
    if SHARED in os.environ:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connected.connect(str(Path(os.environ[SHARED], NAMES[libraries])))
        atexit.register(connected.close)
        return connected
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    end = _begin(libraries, theirs)
    theirs.close()

    def close() -> None:
        ours.close()
        end()

    atexit.register(close)
    return ours


def _begin(libraries: tuple[str, ...], asks: socket.socket) -> Callable[[], None]:
    """Start a server on a socket that is connected, or to which others will connect; returns what ends it."""
    lives, held = os.pipe()  # the server ends when nobody holds the other end
    env = {key: value for key, value in os.environ.items() if not key.startswith(("RUNPOD_", "ECHO_", "PINPOINT_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", str(asks.fileno()), str(lives), *libraries],
        pass_fds=[asks.fileno(), lives], stdin=subprocess.DEVNULL, cwd=ROOT,
        env={**env, "PYTHONPATH": os.pathsep.join(map(str, (STAND_INS, ROOT / "src", ROOT))), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    os.close(lives)

    def end() -> None:
        os.close(held)
        process.wait(60)  # it may still be importing

    return end


def _serve(asks: socket.socket, lives: int) -> list[str] | None:
    """Fork for each that asks; returns what to run, in the process that is to run it, and None at the end."""
    clients = list[socket.socket]()
    listens = asks.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens:
        clients.append(asks)
    running = dict[int, int]()
    while True:
        watched: list[Any] = [lives, *clients, *([asks] if listens else [])]
        ready, _, _ = select.select(watched, [], [], LOOK_S if running else None)
        while running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pipe = running.pop(ended[0])
            with contextlib.suppress(BrokenPipeError):  # nobody may ask any more
                os.write(pipe, struct.pack("i", ended[1]))
            os.close(pipe)
        if lives in ready:
            return None
        if listens and asks in ready:
            clients.append(asks.accept()[0])
        for client in [one for one in clients if one in ready]:
            asked, given, _, _ = socket.recv_fds(client, 1_000_000, 4)
            if not asked:
                clients.remove(client)
                client.close()
                continue
            pid = os.fork()
            if not pid:
                os.setsid()  # whoever has the pid may end the whole session by it
                client.send(str(os.getpid()).encode())
                for descriptor in (lives, *running.values()):
                    os.close(descriptor)
                for one in {asks, *clients}:
                    one.close()
                return _become(json.loads(asked), given)
            running[pid] = given.pop()
            for descriptor in given:
                os.close(descriptor)


def _become(asked: dict[str, Any], given: list[int]) -> list[str]:
    for number, descriptor in enumerate(given[:3]):
        os.dup2(descriptor, number)
    for descriptor in given:
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(asked["env"])
    words: list[str] = asked["words"]
    sys.argv = words
    sys.path.remove(str(STAND_INS))
    sys.path[0] = str((ROOT / words[0]).parent)
    return words


def _import(libraries: Sequence[str]) -> None:
    if "transformers" in libraries:  # by its file, so that nothing of ours stays in the processes that are forked
        runpy.run_path(str(ROOT / "src/pinpoint/engine/transformers_import.py"))["import_without_scipy"]()
    for name in libraries:
        importlib.import_module(name)
    gc.freeze()  # so that a child's collections do not touch, and thereby copy, what they share


if __name__ == "__main__":
    listening = socket.socket(fileno=int(sys.argv[1]))
    _import(sys.argv[3:])
    chosen = _serve(listening, int(sys.argv[2]))
    if chosen is not None:
        runpy.run_path(chosen[0], run_name="__main__")
