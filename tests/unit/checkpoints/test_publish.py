"""A checkpoint on the Hub: the real client against a stand-in that takes what is committed."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pinpoint.checkpoints.publish import publish
from pinpoint.checkpoints.weight_files import CHECKSUMS_FILE, checksums_text, sha256_of
from pinpoint.cli import app
from pinpoint.errors import ModelError

COMMIT = "c" * 40


class Hub:
    """Repositories by name → file → content. Knows one token."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: list[object] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"] or 0))
                if self.headers["authorization"] != "Bearer hf_right":
                    return self.answer(401, {"error": "no"})
                if self.path == "/api/repos/create":
                    asked = json.loads(body)
                    name = f"{asked['organization']}/{asked['name']}"
                    hub.private.append(asked.get("private", asked.get("visibility") == "private"))
                    hub.repositories.setdefault(name, {})
                    return self.answer(200, {"url": f"{url(hub)}/{name}", "name": name})
                if self.path.endswith("/preupload/main"):
                    files = [
                        {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for one in json.loads(body)["files"]
                    ]
                    return self.answer(200, {"files": files})
                if self.path.endswith("/commit/main"):
                    name = self.path.removeprefix("/api/models/").removesuffix("/commit/main")
                    for line in map(json.loads, body.splitlines()):
                        if line["key"] == "file":
                            content = base64.b64decode(line["value"]["content"])
                            hub.repositories[name][line["value"]["path"]] = content
                    made = {"commitUrl": f"{url(hub)}/{name}/commit/{COMMIT}", "commitOid": COMMIT}
                    return self.answer(200, {**made, "success": True})
                return self.answer(200, {})

            def answer(self, status: int, body: dict[str, Any]) -> None:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def url(hub: Hub) -> str:
    return f"http://127.0.0.1:{hub.server.server_port}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    one = Hub()
    monkeypatch.setenv("HF_ENDPOINT", url(one))
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "int8"
    (folder / "extra").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}", encoding="utf-8")
    digests = {path.name: sha256_of(path) for path in folder.glob("*.*")}
    (folder / CHECKSUMS_FILE).write_text(checksums_text(digests), encoding="utf-8")
    for name in ("notes.md", "extra/other.safetensors", ".secret.json"):
        (folder / name).write_text("mine", encoding="utf-8")
    return folder


READ = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "SHA256SUMS"}


@pytest.mark.filterwarnings("ignore")
def test_what_a_worker_reads_is_uploaded_and_nothing_else(hub: Hub, checkpoint: Path) -> None:
    done = publish(checkpoint, "you/mixtral-int8")
    assert (done.name, done.commit) == ("you/mixtral-int8", COMMIT)
    assert set(hub.repositories["you/mixtral-int8"]) - {".gitattributes"} == READ
    assert hub.private == [True]


@pytest.mark.filterwarnings("ignore")
def test_the_command_verifies_and_uploads(hub: Hub, checkpoint: Path) -> None:
    done = CliRunner().invoke(app, ["quantize", "--verify", str(checkpoint), "--push", "you/m"])
    assert done.exit_code == 0, done.output
    assert f"set MODEL_NAME=you/m and MODEL_REVISION={COMMIT}" in done.output
    (checkpoint / "model.safetensors").write_text("broken", encoding="utf-8")
    done = CliRunner().invoke(app, ["quantize", "--verify", str(checkpoint), "--push", "you/other"])
    assert done.exit_code == 1 and "you/other" not in hub.repositories


@pytest.mark.filterwarnings("ignore")
def test_a_token_that_may_not_write_is_said(hub: Hub, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ModelError, match=r"cannot upload to you/m: .*HF_TOKEN") as refused:
        publish(checkpoint, "you/m")
    assert refused.value.code == "upload_failed" and "hf_wrong" not in refused.value.wire()
    assert not hub.repositories


def test_half_a_checkpoint_is_not_uploaded(hub: Hub, checkpoint: Path) -> None:
    (checkpoint / "config.json").unlink()
    with pytest.raises(ModelError, match=r"lacks config\.json: nothing was uploaded"):
        publish(checkpoint, "you/m")
    assert not hub.repositories
