"""Workers in processes of their own: the real SDK, started the way the platform's container does.

Each runs in its own session, so that whatever it forked (the SDK's ping process) can be found and ended with it.
Leaving the `with` block ends and reaps everything, however the test went.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from tests import warm
from tests.worker.emulator import Platform
from tests.worker.ledger import WAIT_S, Ledger
from tests.worker.log_pipe import LogPipe

ROOT = Path(__file__).resolve().parents[2]
ECHO = Path(__file__).resolve().parent / "handlers" / "echo.py"
START_S = 60.0  # importing the SDK takes 1.5 s of CPU, and the machine may be busy


class WorkerProcess:
    """A worker of the platform; use it with `with`."""

    def __init__(
        self,
        platform: Platform,
        folder: Path,
        name: str = "w1",
        script: Path = ECHO,
        env: Mapping[str, str | None] | None = None,
        ping_ms: int = 1000,
        wait_ready: bool = True,
        pipes: tuple[LogPipe, LogPipe] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        """`pipes` take its output and error instead of a file; `prefix` is the command that starts it."""
        self.platform = platform
        self.name = name
        self.output_path = folder / f"{name}.log"
        self._script = script
        told = {
            **{
                key: value for key, value in os.environ.items() if not key.startswith(("RUNPOD_", "ECHO_", "PINPOINT_"))
            },
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "RUNPOD_LOG_LEVEL": "INFO",
            "HOME": str(folder),  # no credentials of whoever runs the tests
            **platform.worker_env(name, ping_ms),
            **(env or {}),
        }
        self._env = {key: value for key, value in told.items() if value is not None}
        self._told = set(env or {})
        self._wait_ready = wait_ready
        self._pipes = pipes
        self._prefix = prefix
        self._output: IO[bytes] | None = None

    def __enter__(self) -> WorkerProcess:
        self._output = self.output_path.open("wb")
        plain = self._output.fileno()
        out, error = (pipe.into(self._output) for pipe in self._pipes) if self._pipes else (plain, plain)
        self.process = self._start(out, error)
        for pipe in self._pipes or ():
            pipe.started()
        self.platform.pids[self.name] = self.process.pid
        if self._wait_ready:
            try:
                self.wait_ready()
            except BaseException:
                self.__exit__()
                raise
        return self

    def _start(self, stdout: int, stderr: int) -> warm.WarmProcess | subprocess.Popen[bytes]:
        # What Python itself reads when it starts, and a command before it, need a start from the beginning.
        told = {key for key in self._told if key.startswith(("PYTHON", "LC_", "LANG"))}
        if not self._prefix and not told:
            libraries = warm.SDK_NEEDS if self._script == ECHO else warm.LIBRARIES
            with open(os.devnull, "rb") as nothing:
                return warm.start([str(self._script)], self._env, nothing.fileno(), stdout, stderr, libraries)
        return subprocess.Popen(
            [*self._prefix, sys.executable, str(self._script)],
            env=self._env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(WAIT_S)
        if self._output is not None:
            self._output.close()

    @property
    def output(self) -> str:
        """All that it has printed."""
        return self.output_path.read_text(errors="replace")

    def wait_ready(self, timeout_s: float = START_S) -> None:
        """Until it has begun to take."""
        self._wait_takes(lambda own: own.polls_begun[self.name] > 0, timeout_s)

    def wait_poll(self, timeout_s: float = START_S) -> None:
        """Until a take of this worker is open. With jobs queued it is open for a moment only: nothing to wait for."""
        self._wait_takes(lambda own: own.polls_open[self.name] > 0, timeout_s)

    def _wait_takes(self, condition: Callable[[Ledger], bool], timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        while True:
            try:
                self.platform.ledger.wait(condition, 1.0, "a take")
                return
            except AssertionError as error:
                if self.process.poll() is not None:
                    raise AssertionError(
                        f"worker {self.name} ended with {self.process.returncode}:\n{self.output}"
                    ) from error
                if time.monotonic() > until:
                    raise AssertionError(f"worker {self.name} takes nothing:\n{self.output}") from error

    def terminate(self) -> None:
        """SIGTERM, to the worker alone, as a container's first process gets it."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the worker alone; what it forked lives on unless something ends it."""
        self.process.kill()
        self.process.wait(WAIT_S)

    def wait_exit(self, timeout_s: float = WAIT_S) -> int:
        """Its exit code.

        Raises:
            AssertionError: it is still running.
        """
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"worker {self.name} still runs after {timeout_s} s:\n{self.output}") from error

    def wait_output(self, text: str, timeout_s: float = WAIT_S) -> None:
        """Until it has printed this.

        Raises:
            AssertionError: it never did.
        """
        until = time.monotonic() + timeout_s
        while text not in self.output:
            if time.monotonic() > until:
                raise AssertionError(f"worker {self.name} never printed {text!r}:\n{self.output}")
            time.sleep(0.02)  # a file has no event

    def wait_alone(self, timeout_s: float = WAIT_S) -> None:
        """Until no process of its session other than itself lives.

        Raises:
            AssertionError: there are some still.
        """
        until = time.monotonic() + timeout_s
        while found := self.stray_processes():
            assert time.monotonic() < until, found
            time.sleep(0.02)

    def stray_processes(self) -> list[int]:
        """Living processes of its session other than itself."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self.process.pid:
                continue
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[3]) == self.process.pid and fields[0] != "Z":
                    found.append(int(entry.name))
        return found
