"""Letters or the labels' own text, by how many labels there are: figures of sweeps of `prompt_items.growing`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from bench import report
from bench.prompt_items import GROWING, GROWING_KINDS
from bench.prompt_mixed import log_shares
from bench.prompt_report import DRAWS, read
from bench.prompt_variants import LETTERED, NAMED

HALVES = {"all": (True, False), "choose": (True,), "kept": (False,)}
FORMS = {"letters": (LETTERED,), "text": (NAMED,), "both": (LETTERED, NAMED)}


def growing(files: Annotated[list[Path], typer.Argument(help="What sweeps of growing lists wrote.")]) -> None:
    """Write bench/results/label_counts.json, which docs/quality.md is made of."""
    lines = [
        line(model, every, size, half)
        for model, every in read(files).items()
        for half in HALVES
        for size in GROWING
    ]  # fmt: skip
    print(report.write("label_counts", {"lines": lines}))


def line(model: str, every: dict[str, dict[str, dict[str, Any]]], size: int, half: str) -> dict[str, Any]:
    """One number of labels: accuracy, NLL and flips of each form, means over the kinds of text; what letters gain."""
    right: dict[str, list[NDArray[np.float64]]] = {form: [] for form in FORMS}
    nll: dict[str, list[NDArray[np.float64]]] = {form: [] for form in FORMS}
    flips: dict[str, list[float]] = {form: [] for form in FORMS}
    texts = 0
    for kind in GROWING_KINDS:
        items = sorted(
            item
            for item, row in every[LETTERED].items()
            if row["kind"] == f"{kind}/{size}"
            and row["choose"] in HALVES[half]
            and all(item in every[name + mark] for name in (LETTERED, NAMED) for mark in ("", " <"))
        )
        texts += len(items)
        for form, names in FORMS.items():
            scores = [np.mean([log_shares(every[name][item], "turn") for name in names], axis=0) for item in items]
            again = [np.mean([log_shares(every[f"{name} <"][item], "turn") for name in names], axis=0)
                     for item in items]  # fmt: skip
            answers = [every[LETTERED][item]["answer"] for item in items]
            right[form].append(
                np.array([one.argmax() == answer for one, answer in zip(scores, answers, strict=True)]) * 1.0
            )
            nll[form].append(np.array([np.logaddexp.reduce(one) - one[answer]
                                       for one, answer in zip(scores, answers, strict=True)]))  # fmt: skip
            flips[form].append(float(np.mean([a.argmax() != b.argmax() for a, b in zip(scores, again, strict=True)])))
    return {
        "model": model, "half": half, "labels": size, "texts": texts,
        "accuracy": {form: _mean(values) for form, values in right.items()},
        "kinds": {kind: {form: round(float(right[form][place].mean()), 4) for form in FORMS}
                  for place, kind in enumerate(GROWING_KINDS)},
        "nll": {form: _mean(values) for form, values in nll.items()},
        "flips": {form: round(float(np.mean(values)), 4) for form, values in flips.items()},
        "gain": _apart(right["letters"], right["text"]), "nll_more": _apart(nll["letters"], nll["text"]),
    }  # fmt: skip


def _mean(values: list[NDArray[np.float64]]) -> float:
    return round(float(np.mean([one.mean() for one in values])), 4)


def _apart(one: list[NDArray[np.float64]], other: list[NDArray[np.float64]]) -> list[float]:
    """Difference of the means over kinds and its 95 % bootstrap interval, paired by text."""
    rng = np.random.default_rng(0)
    apart = [a - b for a, b in zip(one, other, strict=True)]
    draws = np.mean([each[rng.integers(0, len(each), (DRAWS, len(each)))].mean(axis=1) for each in apart], axis=0)
    return [_mean(apart), *(round(float(bound), 4) for bound in np.quantile(draws, (0.025, 0.975)))]
