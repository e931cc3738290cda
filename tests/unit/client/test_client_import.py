"""Importing the client brings in nothing that takes long."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
HEAVY = ("aiohttp", "fsspec", "numpy", "pyarrow", "pydantic", "requests", "rich", "runpod", "sqlite3", "torch", "typer")


def test_client_import_brings_no_library_and_no_other_room() -> None:
    script = "import sys; sys.path.insert(0, 'src'); import pinpoint.client, json; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = json.loads(done.stdout)
    assert [name for name in modules if name.split(".")[0] in HEAVY] == []
    ours = {name for name in modules if name.startswith("pinpoint.")}
    others = {name for name in ours if not name.startswith("pinpoint.client")}
    assert others == {"pinpoint.errors", "pinpoint.error_codes"}
    assert "pinpoint.client.local" not in ours
