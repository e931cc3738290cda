"""requirements.lock holds what the requirements name, with a hash each, and the torch that was measured on GPUs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from deploy import lock

ROOT = Path(__file__).parents[3]
PINS = {pin.name: pin for pin in lock.read((ROOT / "requirements.lock").read_text(encoding="utf-8"))}


@pytest.mark.parametrize("name", lock.INPUTS)
def test_the_lock_holds_what_is_required(name: str) -> None:
    for package, version in lock.requirement_names((ROOT / name).read_text(encoding="utf-8")).items():
        assert name in PINS[package].via
        assert SpecifierSet(version).contains(PINS[package].version), f"make lock: {package} has changed in {name}"


def test_everything_in_the_lock_is_asked_for_by_something_in_it() -> None:
    required = {
        package for name in lock.INPUTS for package in lock.requirement_names((ROOT / name).read_text(encoding="utf-8"))
    }
    assert {pin.name for pin in PINS.values() if set(pin.via) & set(lock.INPUTS)} == required, "make lock"
    for pin in PINS.values():
        assert pin.via and all(one in PINS or one in lock.INPUTS for one in pin.via), pin
    assert len(PINS) > 100 and len({pin.sha256 for pin in PINS.values()}) == len(PINS)


def test_it_is_what_was_made_last_and_from_these_requirements() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert lock.written(list(PINS.values()), "3.12") == text, "make lock"
    assert lock.image_python((ROOT / "Dockerfile").read_text(encoding="utf-8")) == "3.12"


def test_a_hand_edit_and_another_requirement_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    needed = PINS["anyio"]  # by other packages alone
    lines = f"anyio=={needed.version} \\\n    --hash=sha256:{needed.sha256}\n    # via {', '.join(needed.via)}\n"
    for words, instead in (
        (f"anyio=={needed.version}", "anyio==1.0"),
        (needed.sha256, "0" * 64),
        (lines, ""),
    ):
        edited = text.replace(words, instead)
        assert edited != text and lock.written(lock.read(edited), "3.12") != edited
    for name in (*lock.INPUTS, lock.CONSTRAINTS):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8") + "# why\n", encoding="utf-8")
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    assert lock.written(lock.read(text), "3.12") == text
    with (tmp_path / "requirements.txt").open("a") as more:
        more.write("mammoth==1.0\n")
    assert lock.written(lock.read(text), "3.12") != text


def test_the_image_has_a_torch_that_a_gpu_was_measured_with() -> None:
    measured = set()
    for path in (ROOT / "bench/results").glob("*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(result, dict) and result.get("gpu") and result.get("versions"):
            measured.add(result["versions"]["torch"].split("+")[0])
    assert PINS["torch"].version in measured


def package(
    name: str, *wants: str, file: str = "x-1-py3-none-any.whl", digest: str | None = "0" * 64
) -> dict[str, Any]:
    hashes = {"hashes": {"sha256": digest}} if digest else {}
    return {
        "metadata": {"name": name, "version": "1", "requires_dist": list(wants)},
        "download_info": {"url": f"https://files.example/{file}", "archive_info": hashes},
    }


def test_who_asks_for_a_package() -> None:
    report = {
        "install": [
            package("Tool_Kit", "cuda.parts; extra == 'all'", "plain>=1"),
            package("plain", "tool-kit[all]; python_version > '3'", "other; extra == 'dev'"),
            package("cuda-parts"),
        ]
    }
    found = {pin.name: pin.via for pin in lock.pins(report, {"plain": "requirements.txt"})}
    assert found == {
        "cuda-parts": ("tool-kit",),
        "plain": ("requirements.txt", "tool-kit"),
        "tool-kit": ("plain",),
    }


@pytest.mark.parametrize("bad", [{"file": "x-1.tar.gz"}, {"digest": None}])
def test_what_has_no_wheel_with_a_hash_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="x: no wheel with a hash"):
        lock.pins({"install": [package("x", **bad)]}, {"x": "requirements.txt"})


def test_requirements_are_read_as_pip_reads_them() -> None:
    text = "# torch==1\n-r other.txt\nfast_api==2.0  # why\nuvicorn[standard]>=1,<2 ; python_version > '3'\n"
    assert lock.requirement_names(text) == {"fast-api": "==2.0", "uvicorn": ">=1,<2"}
