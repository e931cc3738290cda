"""Other wordings for the intents of the support-intents data: paraphrased names and short descriptions.

A label of the data set is one name out of many that a customer of ours could have chosen; training on several keeps the
model from learning the 186 names by heart.  ``WORDINGS`` is read from ``data/wordings.txt`` at first use.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).parent / "data" / "wordings.txt"

WORDINGS: "dict[str, Wording]"


@dataclass(frozen=True)
class Wording:
    """What else an intent could be called, and what it is in a few words."""

    names: tuple[str, ...]
    descriptions: tuple[str, ...]


def __getattr__(name: str) -> "dict[str, Wording]":
    if name == "WORDINGS":
        return load()
    raise AttributeError(name)


@functools.cache
def load() -> dict[str, Wording]:
    """The wordings by intent name as it stands in train.jsonl; ValueError for a line without its three fields."""
    wordings: dict[str, Wording] = {}
    for line in _SOURCE.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        fields = line.split(" | ")
        if len(fields) != 3:
            raise ValueError(f"wordings.txt: {line!r} has {len(fields)} fields, not 3")
        wordings[fields[0]] = Wording(tuple(fields[1].split("; ")), tuple(fields[2].split("; ")))
    return wordings
