"""What all fields have in common: bounds, units, and where they stand in the documents."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, JsonValue
from pydantic_settings import SettingsConfigDict

# Every number has bounds at both ends: a clock, a timer or a buffer that cannot hold it would fail after the load, or
# with the first result. These two are far beyond any use.
WEEK_S = 604_800.0
MOST_BYTES = 10**12

CONFIG = SettingsConfigDict(
    env_prefix="PINPOINT_", frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
)


# `bf16` is what the other word means on a card, and what many say for it.
ActivationsWord = Annotated[
    Literal["compute", "int8"], BeforeValidator(lambda word: "compute" if word == "bf16" else word)
]


def measured(unit: str, section: str = "own") -> dict[str, JsonValue]:
    """The unit of a number, and which table of docs/settings.md it stands in: own, plan, guards or http."""
    return {"unit": unit, "section": section}
