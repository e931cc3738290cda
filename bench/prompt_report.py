"""Tables of what `bench.prompts sweep` measured."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.prompt_items import ASKED, KINDS, MANY, YES_KINDS
from bench.prompt_mixed import mixed

Values = NDArray[np.float64]
DRAWS = 2000
# The kinds of yes or no, by how it is asked.
PREDICATES = {way: tuple(f"{way} {kind}" for kind in YES_KINDS) for way in ASKED}


def with_end(values: Values, end: str) -> Values:
    """[L] scores of the labels: [L, 4] log-probabilities of tokens and ends, with the end that settles an answer."""
    tokens, turn, line, quote = values.T
    chosen: dict[str, Callable[[], Values]] = {
        "none": lambda: tokens,
        "turn": lambda: tokens + turn,
        "line": lambda: tokens + line,
        "turn or line": lambda: tokens + np.logaddexp(turn, line),
        "quote": lambda: tokens + quote,
    }
    return chosen[end]()


def read(paths: Sequence[Path]) -> dict[str, dict[str, dict[str, Any]]]:
    """Model → variant → item → line."""
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                row["values"] = np.array(row["values"])
                found.setdefault(row["model"], {}).setdefault(row["variant"], {})[row["id"]] = row
    return found


def figures(
    rows: Sequence[dict[str, Any]], end: str, other: dict[str, Any] | None = None, prior: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Accuracy by kind, its mean over the kinds, NLL, label mass, and flips against the reading in `other`."""
    right: dict[str, list[bool]] = {}
    nll, mass, flips = [], [], []
    for row in rows:
        s = with_end(row["values"], end)
        mass.append(min(1.0, math.exp(np.logaddexp.reduce(s))))
        if prior is not None:
            s = s - with_end(prior[row["id"]]["values"], end)
        share = s - np.logaddexp.reduce(s)
        if other is not None and row["id"] in other:
            again = with_end(other[row["id"]]["values"], end)
            flips.append(int(again.argmax()) != int(s.argmax()))
        right.setdefault(row["kind"], []).append(int(share.argmax()) == row["answer"])
        nll.append(-share[row["answer"]])
    return {
        "accuracy": {kind: float(np.mean(values)) for kind, values in right.items()},
        "right": right,
        "mean": float(np.mean([np.mean(values) for values in right.values()])),
        "nll": float(np.mean(nll)), "mass": float(np.median(mass)),
        "mass_kinds": {kind: float(np.median([m for m, r in zip(mass, rows, strict=True) if r["kind"] == kind]))
                       for kind in right},
        "flips": float(np.mean(flips)) if flips else None, "of": len(rows),
    }  # fmt: skip


def interval(right: dict[str, list[bool]], against: dict[str, list[bool]] | None = None) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over kinds of accuracy, or of what it gains on another of the same items."""
    rng = np.random.default_rng(0)
    draws = np.zeros(DRAWS)
    for kind, values in right.items():
        array = np.array(values, dtype=float) - (np.array(against[kind], dtype=float) if against else 0.0)
        draws += array[rng.integers(0, len(array), (DRAWS, len(array)))].mean(axis=1) / len(right)
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def report(
    files: Annotated[list[Path], typer.Argument(help="What sweeps wrote.")],
    half: Annotated[str, typer.Option(help="choose, kept or all.")] = "all",
    base: Annotated[str, typer.Option(help="The variant that others are compared with.")] = "v1 labels first",
    yes_base: Annotated[str, typer.Option(help="The same for questions of yes or no.")] = "v1 yes",
    json_out: Annotated[Path | None, typer.Option("--json", help="Where to write the figures.")] = None,
) -> None:
    """Print a table for each model and kind of question; figures of items that all its variants were measured on."""
    console = Console(width=170)
    written: list[dict[str, Any]] = []
    for model, measured in read(files).items():
        made = mixed(measured, "turn")
        every = {**measured, **made}
        for kinds, reference in ((KINDS, base), *((of, yes_base) for of in PREDICATES.values()), ((MANY,), base)):
            variants = {
                name: {item: row for item, row in rows.items() if row["kind"] in kinds} for name, rows in every.items()
            }
            if any(variants.get(reference, {})):
                variants = {name: rows for name, rows in variants.items() if rows}
                written += _tables(console, model, kinds, variants, half, reference, set(made))
    if json_out is not None:
        json_out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


def _tables(
    console: Console, model: str, kinds: Sequence[str], variants: dict[str, dict[str, Any]], half: str, base: str,
    made: set[str],
) -> list[dict[str, Any]]:  # fmt: skip
    written: list[dict[str, Any]] = []
    most = max(len(rows) for rows in variants.values())
    whole = {name: rows for name, rows in variants.items() if len(rows) >= 0.9 * most}
    common = set.intersection(*(set(rows) for rows in whole.values()))
    wanted = {
        item for item, row in next(iter(whole.values())).items()
        if item in common and (half == "all" or row["choose"] == (half == "choose"))
    }  # fmt: skip
    table = Table("prompt", "end", *kinds, "mean", "95 %", "against base", "NLL", "mass",
                  "flips", box=None, title=model)  # fmt: skip
    first = [row for item, row in whole[base].items() if item in wanted]
    reference = figures(first, "turn")["right"]
    for name, rows in whole.items():
        if name.endswith(" <"):
            continue
        chosen = [row for item, row in rows.items() if item in wanted]
        for end in ("turn", "none", "turn or line", "quote"):
            if (end == "quote" and "JSON" not in name) or (end != "turn" and name in made):
                continue
            found = figures(chosen, end, whole.get(name + " <"))
            if name in made:
                found |= {"mass": None, "mass_kinds": {}}
            low, high = interval(found["right"])
            gain = interval(found["right"], reference)
            table.add_row(
                name, end, *(f"{found['accuracy'].get(kind, math.nan):.2f}" for kind in kinds),
                f"{found['mean']:.3f}",
                f"{low:.2f}–{high:.2f}", f"{gain[0]:+.2f}…{gain[1]:+.2f}", f"{found['nll']:.2f}",
                "" if found["mass"] is None else f"{found['mass']:.3f}",
                "" if found["flips"] is None else f"{found['flips']:.2f}",
            )  # fmt: skip
            written.append({"model": model, "variant": name, "end": end, "half": half, "interval": [low, high],
                            "gain": list(gain), "kinds": [*kinds],
                            **{k: v for k, v in found.items() if k != "right"}})  # fmt: skip
    console.print(f"{model}: {len(wanted)} items")
    console.print(table)
    return written
