"""requirements.lock: every wheel of the image with its hash, as pip resolves them (`make lock`).

pip does the work (`pip install --dry-run --report`): it reads versions and hashes off the index and installs nothing.
It has to be run by the Python of the image on linux/amd64, since which packages are needed depends on both. The hash is
that of the one wheel which this Python takes, so the lock is good for no other. A digest of what was asked for and of
what was found stands in its head: a lock that was edited by hand, or not made again, does not have it.

python3.12 deploy/lock.py                                                  writes requirements.lock
python3.12 deploy/lock.py --torch-index https://…/whl/cu126 --out FILE     another build of torch, for older drivers
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# The worker; OCR; teaching over the wire; telemetry.
INPUTS = ("requirements.txt", "requirements-ocr.txt", "requirements-evaluate.txt", "requirements-otel.txt")
CONSTRAINTS = "deploy/constraints.txt"
INDEX = "https://pypi.org/simple"


@dataclass(frozen=True)
class Pin:
    """One package of a lock: its name as the index has it, what asked for it, and the hash of its wheel."""

    name: str
    version: str
    sha256: str
    via: tuple[str, ...]


def canonical(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_names(text: str) -> dict[str, str]:
    """Canonical name → what follows it (`==1.0`), of each line of a requirements file."""
    found = {}
    for line in text.splitlines():
        if match := re.match(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*([^#;]*)", line):
            found[canonical(match[1])] = match[2].strip()
    return found


def pins(report: dict[str, Any], roots: dict[str, str]) -> list[Pin]:
    """The packages of a report of pip's, by name.

    Args:
        report: `pip install --report`, version 1.
        roots: canonical name → the requirements file that names it.

    Raises:
        ValueError: something is no wheel or has no hash.
    """
    found = []
    wanted_by: dict[str, set[str]] = {}
    by_extras: dict[str, set[str]] = {}  # those that nothing else asks for, such as cuda-toolkit[cublas] of torch's
    for one in report["install"]:
        for line in one["metadata"].get("requires_dist", []):
            edges = by_extras if re.search(r";.*\bextra\s*==", line) else wanted_by
            name = canonical(re.split(r"[^\w.-]", line, maxsplit=1)[0])
            edges.setdefault(name, set()).add(canonical(one["metadata"]["name"]))
    for one in report["install"]:
        name = canonical(one["metadata"]["name"])
        where = one["download_info"]
        digest = where.get("archive_info", {}).get("hashes", {}).get("sha256")
        if not digest or not where["url"].split("#")[0].endswith(".whl"):
            raise ValueError(f"{name}: no wheel with a hash on the index")
        via = ([roots[name]] if name in roots else []) + sorted(wanted_by.get(name, set()) - {name})
        via = via or sorted(by_extras.get(name, set()) - {name})
        found.append(Pin(name, one["metadata"]["version"], digest, tuple(via)))
    return sorted(found, key=lambda pin: pin.name)


def asked() -> str:
    """What a lock is made from: the requirements and constraints without their comments."""
    lines = [line for name in (*INPUTS, CONSTRAINTS) for line in (ROOT / name).read_text("utf-8").splitlines()]
    return "\n".join(line for line in lines if not line.startswith("#"))


def written(found: list[Pin], python: str, options: tuple[str, ...] = ()) -> str:
    """The text of a lock."""
    head = [
        f"# Made by `make lock` from {', '.join(INPUTS)} and {CONSTRAINTS}; not edited by hand.",
        f"# For CPython {python} on linux/amd64: each hash is that of the one wheel which it takes.",
    ]
    lines = [
        f"{pin.name}=={pin.version} \\\n    --hash=sha256:{pin.sha256}\n    # via {', '.join(pin.via)}" for pin in found
    ]
    body = "\n".join([*options, *lines, ""])
    digest = hashlib.sha256(f"{asked()}\n{body}".encode()).hexdigest()
    return "\n".join([*head, f"# Digest of what was asked for and of what follows: {digest}", body])


def read(text: str) -> list[Pin]:
    """The packages of a lock's text: what `written` wrote."""
    form = re.compile(r"^([\w.-]+)==(\S+) \\\n    --hash=sha256:([0-9a-f]{64})\n    # via (.*)$", re.MULTILINE)
    return [Pin(name, version, digest, tuple(via.split(", "))) for name, version, digest, via in form.findall(text)]


def image_python(dockerfile: str) -> str:
    """`3.12`, off the Dockerfile's base image."""
    match = re.search(r"^FROM python:(\d+\.\d+)", dockerfile, re.MULTILINE)
    if match is None:
        raise ValueError("the Dockerfile is not made from a Python image")
    return match[1]


def resolve(torch_index: str | None) -> dict[str, Any]:
    """pip's report on the inputs, from an environment of its own and no configuration of this machine's."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_") or name == "PIP_CERT"}
    env |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_DEFAULT_TIMEOUT": "120"}
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        report = Path(folder) / "report.json"
        command = [
            f"{folder}/bin/pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--only-binary", ":all:",
            "--index-url", INDEX, "--report", str(report), "--constraint", str(ROOT / CONSTRAINTS),
        ]  # fmt: skip
        command += ["--extra-index-url", torch_index] if torch_index else []
        for name in INPUTS:
            command += ["--requirement", str(ROOT / name)]
        subprocess.run(command, check=True, env=env)
        return dict(json.loads(report.read_text(encoding="utf-8")))


def main() -> None:
    """Write a lock, or say why not."""
    parser = argparse.ArgumentParser(description="Write requirements.lock")
    parser.add_argument("--out", type=Path, default=ROOT / "requirements.lock")
    parser.add_argument("--torch-index", help="a further index, for another build of torch")
    given = parser.parse_args()
    python = image_python((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if (here, platform.system(), platform.machine()) != (python, "Linux", "x86_64"):
        sys.exit(
            f"the image has Python {python} on linux/amd64; run this with it: make lock IMAGE_PYTHON=python{python}"
        )
    roots = {
        name: source for source in reversed(INPUTS) for name in requirement_names((ROOT / source).read_text("utf-8"))
    }
    found = pins(resolve(given.torch_index), roots)
    options = (f"--extra-index-url {given.torch_index}",) if given.torch_index else ()
    given.out.write_text(written(found, python, options), encoding="utf-8")
    print(f"{given.out.name}: {len(found)} packages, torch {next(p.version for p in found if p.name == 'torch')}")


if __name__ == "__main__":
    main()
