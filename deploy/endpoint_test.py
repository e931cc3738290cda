"""Sends the Hub's tests to a real endpoint: `RUNPOD_API_KEY=… python deploy/endpoint_test.py ENDPOINT_ID`.

What `.runpod/tests.json` holds, one after the other over `/runsync`; costs what the endpoint costs. Exit code 0: all
were answered without an error. Needs nothing but Python.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / ".runpod/tests.json"
# The SDK's own variable for another address.
API = os.environ.get("RUNPOD_ENDPOINT_BASE_URL") or "https://api.runpod.ai/v2"
WAITS_S = 600.0


def call(url: str, key: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call of the platform's, answered by an object."""
    request = urllib.request.Request(
        url,
        None if body is None else json.dumps(body).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return dict(json.load(answer))


def outcome(base: str, key: str, job: dict[str, Any]) -> str:
    """How a job ended: `ok`, or what is wrong. A worker that starts is waited for."""
    try:
        said = call(f"{base}/runsync", key, {"input": job})
        until = time.monotonic() + WAITS_S
        while said.get("status") in ("IN_QUEUE", "IN_PROGRESS") and time.monotonic() < until:
            time.sleep(1)
            said = call(f"{base}/status/{said['id']}", key)
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except OSError as error:
        return f"no connection: {type(error).__name__}"
    output = said.get("output")
    if said.get("status") != "COMPLETED" or not isinstance(output, dict) or "error" in output:
        return f"{said.get('status')}: {said.get('error') or (output or {}).get('error', 'no output')}"
    return "ok"


def main(endpoint: str, key: str, api: str = API) -> int:
    """Send every test; the exit code."""
    failed = 0
    for test in json.loads(TESTS.read_text(encoding="utf-8"))["tests"]:
        said = outcome(f"{api}/{endpoint}", key, test["input"])
        print(f"{test['name']}: {said}", flush=True)
        failed += said != "ok"
    return int(failed > 0)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not os.environ.get("RUNPOD_API_KEY"):
        sys.exit("usage: RUNPOD_API_KEY=… python deploy/endpoint_test.py ENDPOINT_ID")
    sys.exit(main(sys.argv[1], os.environ["RUNPOD_API_KEY"]))
