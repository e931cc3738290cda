"""Settings: no number without bounds, and a wrong value is one line with its variable, before anything is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import AliasChoices

from pinpoint.errors import ModelError
from pinpoint.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]
NUMBERS = sorted(
    name
    for name, field in Settings.model_fields.items()
    if {int, float} & {field.annotation, *get_args(field.annotation)}
)
NONSENSE = ("inf", "-inf", "Infinity", "nan", "-1", "-1e-9", "1e13", "1e300", "9" * 30, "9" * 5000, "many", "1;2")


def test_there_are_numbers_to_look_at() -> None:
    assert {"hang_s", "post_attempt_s", "kept_results_bytes", "max_memory_gb", "token_budget"} <= set(NUMBERS)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", NONSENSE)
def test_every_number_has_bounds_at_both_ends(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alias = Settings.model_fields[name].validation_alias
    variable = str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"PINPOINT_{name.upper()}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(ModelError) as refused:
        read_settings()
    assert (refused.value.code, refused.value.field) == ("invalid_setting", variable)
    assert "\n" not in refused.value.wire()


@pytest.mark.parametrize("name", NUMBERS)
def test_defaults_lie_within_the_bounds(name: str) -> None:
    default = getattr(Settings(), name)
    if default is not None:
        assert getattr(Settings.model_validate({name: default}), name) == default


@pytest.mark.parametrize(("value", "taken"), [("0", 0.0), ("1", 1.0), ("0.5", None), ("1e-300", None)])
def test_a_watch_shorter_than_a_second_is_refused(
    value: str, taken: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINPOINT_HANG_S", value)
    if taken is not None:
        assert read_settings().hang_s == taken
        return
    with pytest.raises(ModelError, match="must be 0, for off, or at least 1"):
        read_settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PINPOINT_POST_ATTEMPT_S", "inf"), ("PINPOINT_HANG_S", "1e12"), ("PINPOINT_KEPT_RESULTS_BYTES", "inf")],
)
def test_the_worker_says_so_in_one_line_before_the_load(variable: str, value: str) -> None:
    env: dict[str, Any] = {**os.environ, "PYTHONPATH": str(ROOT / "src"), variable: value}
    job = json.dumps({"input": {"text": "Total due: 99.50 EUR", "labels": ["invoice", "receipt"]}})
    done = subprocess.run(
        [sys.executable, "handler.py", "--test_input", job], cwd=ROOT, env=env, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("invalid_setting: ") and line.endswith(f"({variable})")


def test_bf16_is_another_word_for_activations_that_are_computed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINPOINT_ACTIVATIONS", "bf16")
    assert read_settings().activations == "compute"
    monkeypatch.setenv("PINPOINT_ACTIVATIONS", "fp16")
    with pytest.raises(ModelError, match="PINPOINT_ACTIVATIONS"):
        read_settings()
