"""Every example of docs/decisions.md runs as it stands, against a server or what stands for RunPod's gateway."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings
from tests.http.running import ROOT, Server

BLOCKS = re.findall(r"```(python|bash)\n(.*?)```", (ROOT / "docs/decisions.md").read_text(encoding="utf-8"), re.DOTALL)
LOCAL = "http://localhost:8000"
GATEWAY = "https://api.runpod.ai"


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    """What RunPod's `/openai/*` is known to do: the route and the body become the input of a job."""
    worker = Worker(Settings())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            route = self.path.removeprefix("/v2/ENDPOINT_ID/openai")
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            job = {"id": "", "input": {"openai_route": route, "openai_input": body}}
            told = json.dumps(asyncio.run(worker.handle(job))).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *words: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_there_is_an_example_for_every_client() -> None:
    assert [language for language, _ in BLOCKS] == ["python", "python", "python", "bash", "python"]
    for client in ("import OpenAI", "typesafe_sdk", "langchain_openai", "curl ", GATEWAY):
        assert any(client in code for _, code in BLOCKS), client


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_an_example_runs_and_says_something(index: int, server: Server, gateway: str, tmp_path: Path) -> None:
    language, code = BLOCKS[index]
    code = code.replace(LOCAL, server.url).replace(GATEWAY, gateway)
    if language == "bash":
        said = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        assert 0 < json.loads(said)["answers"]["paid"]["noul"] < 1
        return
    with redirect_stdout(StringIO()) as said_:
        exec(compile(code, "docs/decisions.md", "exec"), {})
    words = said_.getvalue().split()
    assert words, "nothing was printed"
    assert "invoice" in words or float(words[0]) > 0.5
