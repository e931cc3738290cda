"""One server with the embedded model, as anybody starts it, for all tests here; and a worker for queue jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings
from tests.http.running import ALIAS, Server, start
from tests.task_files import deployed


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's folder of task files."""
    return deployed(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, tasks: Path) -> Iterator[Server]:
    with start(
        "-m", "pinpoint", "serve", log=tmp_path_factory.mktemp("server") / "log", PINPOINT_SERVED_MODEL_NAMES=ALIAS,
        PINPOINT_TASKS=str(tasks),
    ) as running:  # fmt: skip
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def worker() -> Worker:
    return Worker(Settings(served_model_names=ALIAS))


def asked_alone(http: httpx.Client, text: str, tasks: dict[str, Any]) -> dict[str, Any]:
    """The answers to the same questions in our own contract."""
    answer = http.post("/classify", json={"text": text, "tasks": tasks})
    assert answer.status_code == 200, answer.text
    answers: dict[str, Any] = answer.json()["results"][0]["answers"]
    return answers
