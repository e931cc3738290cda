"""The audit is green only where it was asked, and answered, about every package of the image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy import audit
from deploy.lock import Pin, read, written

PINS = [Pin("aiohttp", "3.1", "a" * 64, ("requirements.txt",)), Pin("torch", "2.1", "b" * 64, ("requirements.txt",))]


def told(tmp_path: Path, *, known: Any = ("CVE",), torch: Any = (), listed: int = 2, asked: int = 2) -> tuple[int, str]:
    lock = tmp_path / "requirements.lock"
    lock.write_text(written(PINS, "3.12"))

    def call(command: Sequence[str]) -> tuple[int, str]:
        if "cyclonedx-py" in command:
            parts = [{"name": pin.name, "version": pin.version} for pin in PINS[:listed]]
            Path(command[-1]).write_text(json.dumps({"components": parts}))
            return 0, ""
        if not command[-1].endswith(".lock"):
            name, version = audit.VULNERABLE.split("==")
            one = {"name": name, "version": version, "vulns": [{"id": each} for each in known or ()]}
            return (1 if known else 0), json.dumps({"dependencies": [one]}) if known is not None else ""
        vulns = {"aiohttp": (), "torch": torch}
        found = [
            {"name": pin.name, "version": pin.version, "vulns": [{"id": each} for each in vulns[pin.name]]}
            for pin in PINS[:asked]
        ]
        return bool(torch), json.dumps({"dependencies": found})

    return audit.check(lock, tmp_path / "sbom.json", call)


def test_audit_is_green_when_all_were_asked_about_and_red_for_one_hole(tmp_path: Path) -> None:
    assert told(tmp_path) == (0, "2 packages, and nothing is known of any")
    assert told(tmp_path, torch=("CVE-1",)) == (1, "torch==2.1: CVE-1")


@pytest.mark.parametrize("wrong", [{"known": ()}, {"known": None}, {"asked": 1}, {"listed": 1}])
def test_audit_that_could_not_ask_says_so_and_fails(tmp_path: Path, wrong: dict[str, Any]) -> None:
    code, line = told(tmp_path, **wrong)
    assert code == 2 and ("not audited" in line or "is not the list" in line)


def test_audit_reads_the_lock_that_there_is() -> None:
    assert len(read((audit.ROOT / "requirements.lock").read_text(encoding="utf-8"))) > 50
