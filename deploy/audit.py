"""What is in the image, as CycloneDX, and whether any of it is known to be vulnerable: `python deploy/audit.py`.

pip-audit is green where whoever it asks knows nothing: an index without advisories, a mirror, a service that is down.
So it is asked first about a release that is known to be vulnerable. Exit codes: 0, asked about every package and
nothing is known; 1, something is; 2, it could not be asked, or the list is not that of the lock. CI fails at either.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploy.lock import canonical, read

ROOT = Path(__file__).parents[1]
PIP_AUDIT = ("pipx", "run", "--spec", "pip-audit==2.10.1", "pip-audit")
CYCLONEDX = ("pipx", "run", "--spec", "cyclonedx-bom==7.5.0", "cyclonedx-py")
VULNERABLE = "urllib3==1.24.1"  # CVE-2019-11324 and more, since 2019
FOUND, NOT_ASKED = 1, 2

Call = Callable[[Sequence[str]], tuple[int, str]]


def call(command: Sequence[str]) -> tuple[int, str]:
    """A program's exit code and output; its errors are shown as they are."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout


def audited(requirements: Path, call: Call, *more: str) -> dict[str, list[str]] | None:
    """The advisories of each package by `name==version`, or None where one could not be asked about."""
    words = ("--strict", "--disable-pip", "--format", "json", "--progress-spinner", "off")
    _, said = call([*PIP_AUDIT, *words, *more, "--requirement", str(requirements)])
    try:
        found = json.loads(said)["dependencies"]
        return {f"{canonical(one['name'])}=={one['version']}": [vuln["id"] for vuln in one["vulns"]] for one in found}
    except (ValueError, KeyError, TypeError):
        return None


def check(lock: Path, sbom: Path, call: Call = call) -> tuple[int, str]:
    """Write the list, ask, and tell: an exit code and a line."""
    pins = {f"{pin.name}=={pin.version}" for pin in read(lock.read_text(encoding="utf-8"))}
    call([*CYCLONEDX, "requirements", str(lock), "--output-file", str(sbom)])
    try:
        parts = json.loads(sbom.read_text(encoding="utf-8"))["components"]
        listed = {f"{canonical(one['name'])}=={one['version']}" for one in parts}
    except (OSError, ValueError, KeyError, TypeError):
        listed = set[str]()
    if listed != pins:
        return NOT_ASKED, f"{sbom} is not the list of the lock: {len(listed)} of {len(pins)} packages"
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "known.txt"
        known.write_text(f"{VULNERABLE}\n", encoding="utf-8")
        if not (audited(known, call, "--no-deps") or {}).get(VULNERABLE):
            return NOT_ASKED, f"not audited: who is asked knows nothing of {VULNERABLE}, which is vulnerable"
    found = audited(lock, call, "--require-hashes")
    if found is None or set(found) != pins:
        return NOT_ASKED, f"not audited: answers about {len(found or ())} of {len(pins)} packages"
    holes = {name: ids for name, ids in found.items() if ids}
    told = "; ".join(f"{name}: {', '.join(ids)}" for name, ids in sorted(holes.items()))
    return (FOUND, told) if holes else (0, f"{len(pins)} packages, and nothing is known of any")


if __name__ == "__main__":
    code, line = check(ROOT / "requirements.lock", Path("sbom.json"))
    print(line)
    sys.exit(code)
