"""A server in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
ALIAS = "gpt-6-luna"
PATIENCE_S = 120.0
URL = re.compile(r"serving url=(http://\S+)")


@dataclass
class Server:
    """A running server; `urls` are where it listens, the health port last, `holds` what `fake_server` waits for."""

    process: subprocess.Popen[bytes]
    log: Path
    urls: list[str]
    holds: Path = Path()

    @property
    def url(self) -> str:
        return self.urls[0]

    def wait_until_ready(self) -> None:
        self.wait_for(lambda: httpx.get(f"{self.url}/ping").status_code == 200)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        ends_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < ends_s, self.log.read_text()
            time.sleep(0.05)


@contextmanager
def start(*words: str, log: Path, ports: int = 1, **env: str) -> Iterator[Server]:
    """A server without settings of this machine; it is told to end at the end."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PINPOINT_", "RUNPOD_", "MODEL_", "PORT"))}
    settings = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PORT": "0"}
    with log.open("wb") as lines:
        process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=kept | settings | env, stderr=lines)
    server = Server(process, log, [])
    try:
        server.wait_for(lambda: len(URL.findall(log.read_text())) >= ports)
        server.urls = URL.findall(log.read_text())
        yield server
        process.terminate()
        assert process.wait(PATIENCE_S) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
