"""`make` refuses a Python that the package does not run on, before it makes or installs anything."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("version", "works"), [((2, 7), 0), ((3, 10), 0), ((3, 11), 1), ((3, 13), 1), ((3, 14), 0)])
def test_a_python_outside_requires_python_is_refused(tmp_path: Path, version: tuple[int, int], works: int) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"  # this interpreter, which says that it is another version and makes no environments
    python.write_text(
        f'#!/bin/sh\n[ "$1" = -m ] && echo "makes an environment" && exit 3\n'
        f'exec {sys.executable} -c "import sys; sys.version_info = {(*version, 0)}\n$2"\n'
    )
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "run", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert ("makes an environment" in done.stdout) == bool(works)
    said = f"Pinpoint runs on Python 3.11, 3.12 and 3.13; {sys.executable} is {version[0]}.{version[1]}. Name another"
    assert (said in done.stderr) == (not works)
    assert not (tmp_path / ".venv").exists()


def test_the_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    assert "in ((3, 11), (3, 12), (3, 13))" in (ROOT / "Makefile").read_text(encoding="utf-8")
