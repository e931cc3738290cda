"""Readings made of others, for no more tokens or for a document of which nothing is known: two prompts averaged, and
scores less what a prompt says before it reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.prompt_variants import LETTERED, NAMED

Rows = dict[str, dict[str, Any]]  # by item
AVERAGED = "letters and text averaged"
FREE, BATCH = ", less what it says of nothing", ", less its mean over the kind"
# Kinds of which all texts have the same list of labels.
ONE_LIST = ("company", "news")


def mixed(every: dict[str, Rows], end: str) -> dict[str, Rows]:
    """Variants made of those that were measured; their values are log-probabilities, and have no ends and no mass."""
    made: dict[str, Rows] = {}
    for mark in ("", " <"):
        letters, texts = every.get(LETTERED + mark, {}), every.get(NAMED + mark, {})
        both = [item for item in letters if item in texts]
        if both:
            made[AVERAGED + mark] = {
                item: _like(texts[item], (log_shares(letters[item], end) + log_shares(texts[item], end)) / 2)
                for item in both
            }
    for name, rows in every.items():
        free = {item: row for item, row in rows.items() if item.startswith("free:")}
        if free:
            lists = {(row["kind"].removeprefix("free "), tuple(row["labels"])): row for row in free.values()}
            made[name + FREE] = dict(_less(rows, lists, end))
            made[name + BATCH] = dict(_less_mean(rows, end))
    return {name: rows for name, rows in made.items() if rows}


def log_shares(row: dict[str, Any], end: str) -> Any:
    """[L] log-probabilities of the labels among themselves."""
    tokens, *ends = row["values"].T
    scores = tokens + (ends[0] if end == "turn" else 0.0)
    return scores - np.logaddexp.reduce(scores)


def _less(rows: Rows, lists: dict[tuple[str, tuple[str, ...]], dict[str, Any]], end: str) -> Iterator[tuple[str, Any]]:
    for item, row in rows.items():
        nothing = lists.get((row["kind"], tuple(row["labels"])))
        if nothing is not None:
            yield item, _like(row, log_shares(row, end) - log_shares(nothing, end))


def _less_mean(rows: Rows, end: str) -> Iterator[tuple[str, Any]]:
    kinds: dict[str, list[Any]] = {}
    for row in rows.values():
        if row["kind"] in ONE_LIST:
            kinds.setdefault(row["kind"], []).append(log_shares(row, end))
    means = {kind: np.mean(values, axis=0) for kind, values in kinds.items()}
    for item, row in rows.items():
        if not item.startswith("free:"):
            yield item, _like(row, log_shares(row, end) - means.get(row["kind"], 0.0))


def _like(row: dict[str, Any], scores: Any) -> dict[str, Any]:
    nothing = np.zeros_like(scores)
    return {**row, "values": np.stack([scores - np.logaddexp.reduce(scores), nothing, nothing, nothing], axis=1)}
