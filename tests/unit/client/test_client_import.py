"""Importing the client brings in nothing that takes long."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
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


def test_whoever_installs_the_package_gets_its_files_and_its_types() -> None:
    """Without `py.typed` every result is `Any` to whoever checks a program with the client in it."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["pinpoint"]
    package = ROOT / "src/pinpoint"
    files = {path.relative_to(package) for path in package.rglob("*") if path.is_file() and path.suffix != ".py"}
    packed = {path.relative_to(package) for pattern in patterns for path in package.glob(pattern)}
    assert {one for one in files if "__pycache__" not in one.parts} <= packed and Path("py.typed") in packed
