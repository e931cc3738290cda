"""The listings on the Hub: valid, every setting is there and no other, presets that fit their cards."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest

from deploy import hub
from pinpoint.api.request import parse_request
from pinpoint.planning.cards import CARDS, find_card
from pinpoint.planning.known_models import find_shape
from pinpoint.planning.memory_plan import plan
from pinpoint.planning.plan_words import verdict
from pinpoint.settings import Settings

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((Path(__file__).parent / "deploy/hub.schema.json").read_text(encoding="utf-8"))
KINDS: tuple[Literal["queue", "http"], ...] = ("queue", "http")
FILES = {kind: json.loads((ROOT / name).read_text(encoding="utf-8")) for name, kind in hub.LISTINGS.items()}
TESTS = json.loads((ROOT / ".runpod/tests.json").read_text(encoding="utf-8"))
OURS = {hub.variable(name, field) for name, field in Settings.model_fields.items()}


def validate(value: object, definition: str) -> None:
    jsonschema.validate(value, SCHEMA | {"$ref": f"#/$defs/{definition}"})


def keys(kind: Literal["queue", "http"]) -> list[str]:
    return [one["key"] for one in FILES[kind]["config"]["env"]]


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_what_the_settings_make(kind: Literal["queue", "http"]) -> None:
    name = next(name for name, one in hub.LISTINGS.items() if one == kind)
    assert (ROOT / name).read_text(encoding="utf-8") == hub.text(kind), "run: python -m deploy.hub"


@pytest.mark.parametrize("kind", KINDS)
def test_a_listing_is_valid(kind: Literal["queue", "http"]) -> None:
    validate(FILES[kind], "hub")
    assert len(keys(kind)) == len(set(keys(kind)))
    assert FILES[kind]["config"].get("endpointType") == ("LB" if kind == "http" else None)


def test_the_tests_are_valid_and_good_requests() -> None:
    validate(TESTS, "tests")
    for one in TESTS["tests"]:
        parse_request(one["input"])
    assert {one["key"] for one in TESTS["config"]["env"]} <= OURS


def test_no_setting_is_left_out_and_none_is_made_up() -> None:
    assert set(keys("queue")) | set(keys("http")) == OURS | set(hub.OTHERS)
    for kind in KINDS:
        assert all(set(one["defaults"]) <= set(keys(kind)) for one in FILES[kind]["config"]["presets"])
    documented = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert [name for name in hub.OTHERS if f"`{name}`" not in documented] == []


def test_the_form_says_what_the_settings_say() -> None:
    asked = {one["key"]: one["input"] for one in FILES["queue"]["config"]["env"] if "input" in one}
    assert asked["MODEL_NAME"]["type"] == "huggingface"
    assert asked["PINPOINT_TOKEN_BUDGET"] | {"description": ""} == {
        "name": "Token budget", "type": "number", "description": "", "advanced": True,
        "min": 256, "max": 1_048_576,
    }  # fmt: skip
    assert asked["PINPOINT_TOKEN_BUDGET"]["description"].endswith("(tokens)")
    assert [one["value"] for one in asked["PINPOINT_PRECISION"]["options"]] == ["int8", "fp8", "nf4", "bf16", "auto"]
    assert asked["PINPOINT_VERIFY_CHECKSUMS"]["default"] is False
    assert "default" not in asked["PINPOINT_MAX_MEMORY_GB"]
    assert not [one for one in asked.values() if re.search(r"`|\]\(", one["description"])]


@pytest.mark.parametrize("kind", KINDS)
def test_a_default_of_the_form_is_one_that_the_worker_takes(
    kind: Literal["queue", "http"], monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in FILES[kind]["config"]["env"]:
        value = one.get("value", one.get("input", {}).get("default", ""))
        monkeypatch.setenv(one["key"], str(value).lower() if isinstance(value, bool) else str(value))
    assert Settings().model_name == hub.MIXTRAL and Settings().endpoint == kind


@pytest.mark.parametrize("preset", hub.PRESETS, ids=lambda one: one.name)
def test_a_preset_fits_the_cards_that_it_names(preset: hub.Preset) -> None:
    for name in preset.cards:
        card = find_card(name)
        made = plan(
            find_shape(preset.model), preset.precision, card.total_bytes, 3_000_000_000, driver_bytes=card.driver_bytes
        )
        assert made.fits and made.token_budget >= Settings().usual_budget, verdict(made, name)
    assert bool(preset.cards) == bool(preset.model)


def test_the_pools_are_those_of_cards_that_hold_the_default_model() -> None:
    pools = set(FILES["queue"]["config"]["gpuIds"].split(","))
    for card in (card for card in CARDS if card.pool in pools):
        made = plan(find_shape(hub.MIXTRAL), "int8", card.total_bytes, 3_000_000_000, driver_bytes=card.driver_bytes)
        assert made.fits, card
    assert pools <= {card.pool for card in CARDS}


@pytest.mark.parametrize(
    ("definition", "change"),
    [
        ("hub", {"type": "pod"}),
        ("hub", {"version": "1"}),
        ("hub", {"config": {"runsOn": "GPU"}}),
        ("tests", {"tests": []}),
        ("tests", {"tests": [{"name": "x", "input": {}}]}),
    ],
)
def test_the_schema_refuses_what_the_hub_would(definition: str, change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate((FILES["queue"] if definition == "hub" else TESTS) | change, definition)


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "x", "type": "text", "description": "y"},
        {"name": "x", "type": "string", "description": "y", "min": 1},
        {"name": "x", "type": "number", "description": "y", "default": "1"},
        {"name": "x", "type": "string"},
    ],
)
def test_the_schema_refuses_a_wrong_field(bad: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(bad, "input")
