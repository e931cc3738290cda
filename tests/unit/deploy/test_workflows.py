"""The workflows: valid, their actions pinned to commits, and what they call is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def load(path: Path) -> dict[Any, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


def commands(workflow: dict[Any, Any]) -> str:
    return "\n".join(step.get("run", "") for step in steps(workflow))


def test_there_are_the_gate_the_image_and_the_release() -> None:
    assert [path.name for path in FILES] == ["ci.yml", "image.yml", "release.yml"]
    gate = load(FILES[0])["jobs"]["gate"]
    runs = [(one["python-version"], one.get("constraint")) for one in gate["strategy"]["matrix"]["include"]]
    assert runs == [("3.11", None), ("3.12", None), ("3.13", None), ("3.12", "deploy/constraints.txt")]
    assert "bash .ci/run" in commands({"jobs": {"gate": gate}})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_workflow_is_bounded_and_asks_for_no_more_than_it_needs(path: Path) -> None:
    workflow = load(path)
    assert set(workflow) >= {"name", True, "permissions", "jobs"}  # YAML reads the word `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in path.read_text(encoding="utf-8")
    for job in workflow["jobs"].values():
        assert "uses" in job or (job["runs-on"] == "ubuntu-24.04" and 0 < job["timeout-minutes"] <= 60)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_actions_are_pinned_to_commits(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert used
    for action, comment in used:
        if action.startswith("./"):
            assert (ROOT / action).is_file()
        else:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action) and re.fullmatch(
                r"  # v\d+\.\d+\.\d+", comment
            )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_token_stays_on_the_disk_where_an_artifact_could_take_it_along(path: Path) -> None:
    clones = [step for step in steps(load(path)) if step.get("uses", "").startswith("actions/checkout@")]
    assert clones and all(step["with"] == {"persist-credentials": False} for step in clones)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_called_is_there(path: Path) -> None:
    run = commands(load(path))
    for target in re.findall(r"\bmake ([a-z-]+)", run):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target
    for file in re.findall(r"(?<![\w/.])((?:deploy|\.ci)/[\w.-]+|requirements\.[\w.-]+|CHANGELOG\.md)", run):
        assert (ROOT / file).is_file(), file
    for package in re.findall(r"pipx run --spec (\S+)", run):
        assert "==" in package


def test_the_audit_fails_where_a_package_cannot_be_looked_up() -> None:
    workflow = load(ROOT / ".github/workflows/image.yml")
    assert "python deploy/audit.py" in commands(workflow).splitlines()  # which tests/unit/deploy/test_audit.py tries
    assert workflow["jobs"]["build"]["needs"] == "audit"


def test_a_release_says_its_version() -> None:
    assert re.search(r'^__version__ = "\d+\.\d+\.\d+"$', (ROOT / "src/pinpoint/__init__.py").read_text(), re.MULTILINE)
