"""Structured content as text that a model reads: one fixed way, for states, instructions and criteria alike.

    {"subject": "Late again",             subject: Late again
     "lines": ["one", {"qty": 2}],        lines:
     "body": "Hello,\\nwhere is it?"}        - one
                                            - qty: 2
                                          body:
                                            Hello,
                                            where is it?

An object is a line `key: value` for each member, in the caller's order; a list is a line `- value` for each item. What
has several lines stands indented by two spaces below its key, so that no string can pass for a member of an object
around it. Numbers, true, false and null are written as in JSON; so are the empty string, object and list, inside of
something. A string by itself is itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

INDENT = "  "


def as_text(value: object) -> str:
    """Return a value of JSON as text; its depth is bounded by `limits`."""
    if isinstance(value, str):
        return value
    return "\n".join(_lines(value))


def _lines(value: object) -> list[str]:
    if isinstance(value, dict) and value:
        return [line for key, member in value.items() for line in _member(f"{' '.join(key.splitlines())}:", member)]
    if isinstance(value, list) and value:
        return [line for item in value for line in _item(item)]
    if isinstance(value, str) and value:
        return value.splitlines() or [value]
    return [json.dumps(value, ensure_ascii=False)]


def _member(head: str, value: object) -> Iterator[str]:
    lines = _lines(value)
    if len(lines) == 1 and not (isinstance(value, (dict, list)) and value):
        yield f"{head} {lines[0]}"
        return
    yield head
    yield from (INDENT + line for line in lines)


def _item(value: object) -> Iterator[str]:
    first, *rest = _lines(value)
    yield f"- {first}"
    yield from (INDENT + line for line in rest)
