"""An emulated endpoint with cheap workers in a process of its own: `python -m tests.worker.emulated [--workers 3]`.

Prints `url=…` for RUNPOD_ENDPOINT_BASE_URL and `key=…` for RUNPOD_API_KEY, and serves until standard input ends; then
the jobs that each worker answered and how long it all took, as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from tests.worker.cheap_workers import CheapWorkers
from tests.worker.emulator import API_KEY, ENDPOINT, Platform


def main(
    workers: Annotated[int, typer.Option(help="How many.")] = 3,
    service_s: Annotated[float, typer.Option(help="That each is busy with a job.")] = 0.2,
) -> None:
    """Serve."""
    with Platform() as platform:
        platform.endpoint, platform.key = ENDPOINT, API_KEY
        cheap = CheapWorkers(platform, tuple(f"w{number}" for number in range(workers)), service_s)
        print(f"url={platform.base_url} endpoint={ENDPOINT} key={API_KEY}", flush=True)
        sys.stdin.read()
        print(json.dumps({"answered": cheap.answered, "span_s": cheap.span_s}), flush=True)


if __name__ == "__main__":
    typer.run(main)
