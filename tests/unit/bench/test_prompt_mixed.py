"""Readings that are made of others, and the figures of growing lists, by cases small enough to do by hand."""

import math
from typing import Any

import numpy as np
import pytest

from bench.prompt_growing import line
from bench.prompt_items import GROWING_KINDS
from bench.prompt_mixed import AVERAGED, BATCH, FREE, log_shares, mixed
from bench.prompt_variants import LETTERED, NAMED


def row(kind: str, shares: list[float], answer: int = 0) -> dict[str, Any]:
    """Half of what is said is inside the list."""
    tokens = np.log(np.array(shares) / 2)
    values = np.stack([tokens - 1.0, np.ones_like(tokens), tokens, tokens], axis=1)
    return {"kind": kind, "values": values, "labels": ["a", "b"], "answer": answer, "choose": True}


def shares(found: dict[str, Any]) -> list[float]:
    return [float(one) for one in np.exp(log_shares(found, "turn"))]


def test_two_forms_are_averaged_as_log_probabilities() -> None:
    made = mixed({LETTERED: {"x": row("known", [0.9, 0.1])}, NAMED: {"x": row("known", [0.5, 0.5])}}, "turn")
    assert shares(made[AVERAGED]["x"]) == pytest.approx([0.75, 0.25])


def test_what_is_said_of_nothing_is_taken_off_where_the_list_is_the_same() -> None:
    rows = {
        "x": row("company", [0.5, 0.5]), "y": row("company", [0.8, 0.2]),
        "free:x": row("free company", [0.8, 0.2]), "z": {**row("known", [0.6, 0.4]), "labels": ["b", "a"]},
    }  # fmt: skip
    made = mixed({NAMED: rows}, "turn")
    assert set(made[NAMED + FREE]) == {"x", "y"}
    assert shares(made[NAMED + FREE]["y"]) == pytest.approx([0.5, 0.5])
    assert shares(made[NAMED + FREE]["x"]) == pytest.approx([0.2, 0.8])
    # The mean of log-shares over the two company texts is that of odds 2 to 1.
    assert shares(made[NAMED + BATCH]["x"]) == pytest.approx([1 / 3, 2 / 3])
    assert shares(made[NAMED + BATCH]["z"]) == pytest.approx([0.6, 0.4]), "each of its texts has a list of its own"


def test_growing_lists_are_compared_text_by_text() -> None:
    every: dict[str, dict[str, dict[str, Any]]] = {
        name: {} for name in (LETTERED, NAMED, f"{LETTERED} <", f"{NAMED} <")
    }
    for kind in GROWING_KINDS:
        for name in every:
            every[name][f"{kind}/5:0"] = row(f"{kind}/5", [0.8, 0.2] if name != NAMED else [0.4, 0.6])
            every[name][f"{kind}/6:0"] = row(f"{kind}/6", [0.1, 0.9])
    found = line("m", every, 5, "all")
    assert (found["texts"], found["gain"]) == (4, [1.0, 1.0, 1.0])
    assert found["accuracy"] == {"letters": 1.0, "text": 0.0, "both": 1.0}
    assert found["nll"]["text"] == pytest.approx(-math.log(0.4), abs=1e-4)
    assert found["flips"] == {"letters": 0.0, "text": 1.0, "both": 0.0}
