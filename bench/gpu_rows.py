"""What the parts of `bench/gpu.py` hand back: one row for each figure, with its limit where one was set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        part: which part measured it.
        name: what it is, with its unit.
        value: a number, or words.
        limit: what was asked for, in words; empty where nothing was.
        ok: whether it was reached; None where nothing was asked.
    """

    part: str
    name: str
    value: float | int | str
    limit: str = ""
    ok: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """As a plain object."""
        return asdict(self)


def at_most(part: str, name: str, value: float, limit: float) -> Row:
    """A figure that should not exceed `limit`; not a number never passes."""
    return Row(part, name, value, f"≤ {limit:g}", bool(value <= limit))


def at_least(part: str, name: str, value: float, limit: float) -> Row:
    """A figure that should reach `limit`; not a number never passes."""
    return Row(part, name, value, f"≥ {limit:g}", bool(value >= limit))


def exactly(part: str, name: str, value: int, limit: int = 0) -> Row:
    """A count or a number of bytes that should be `limit`."""
    return Row(part, name, value, f"= {limit}", value == limit)
