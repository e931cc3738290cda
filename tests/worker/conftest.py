"""Fixtures: an emulated platform, workers in processes of their own, the real client pointed at the platform."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.worker.emulator import API_KEY, ENDPOINT, Platform
from tests.worker.processes import WorkerProcess

StartWorker = Callable[..., WorkerProcess]


def seed() -> int:
    """Of all that is random here; `PINPOINT_FAULT_SEED` brings a run back."""
    return int(os.environ.get("PINPOINT_FAULT_SEED", "20240607"))


def rounds(default: int) -> int:
    """How often a fault is repeated: few by default, `PINPOINT_FAULT_ROUNDS=50` for the full run."""
    return int(os.environ.get("PINPOINT_FAULT_ROUNDS", default))


@pytest.fixture
def platform() -> Iterator[Platform]:
    print(f"seed {seed()}")  # shown when a test fails
    with Platform(seed=seed()) as running:
        yield running


@pytest.fixture
def start_worker(platform: Platform, tmp_path: Path) -> Iterator[StartWorker]:
    """Start a worker; keyword arguments are its environment in lower case or go to WorkerProcess."""
    with ExitStack() as stack:

        def start(name: str = "w1", guards: bool = False, **options: Any) -> WorkerProcess:
            return stack.enter_context(echo_worker(platform, tmp_path, name, guards, **options))

        yield start


def echo_worker(platform: Platform, folder: Path, name: str, guards: bool, **options: Any) -> WorkerProcess:
    """A worker that runs handlers/echo.py; `echo_…` options become its environment."""
    env = {key.upper(): str(options.pop(key)) for key in list(options) if key.startswith(("echo_", "runpod_"))}
    without = os.environ.get("PINPOINT_TEST_WITHOUT_GUARDS", "")  # "all", or names: to see which tests then fail
    if guards and without != "all":
        env.update({"ECHO_GUARDS": "1", "ECHO_WITHOUT": without})
    return WorkerProcess(platform, folder, name, env={**env, **options.pop("env", {})}, **options)


@pytest.fixture
def client_sdk(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The real runpod module, its clients pointed at the platform."""
    import runpod

    monkeypatch.setattr(runpod, "endpoint_url_base", platform.base_url)
    monkeypatch.setattr(runpod, "api_key", API_KEY)
    return runpod


@pytest.fixture
def endpoint(client_sdk: Any) -> Any:
    """The real synchronous client of the endpoint."""
    return client_sdk.Endpoint(ENDPOINT)
