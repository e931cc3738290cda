"""What teaching gains, and whether its promises hold: `python -m bench.teaching --intents FILE`.

A real model measures in place of the embedded one with `--model smollm2`.

Every document of three sets (`teaching_sets.py`) is scored once; then draws of labelled documents from each are taught
with, again and again, by the very function that `python -m pinpoint teach` calls.

Fits: draws without replacement of 10, 50 and 200 examples, judged on all other documents of the set.

Promises: the set is taken as the population, and draws are with replacement. So the examples are independent draws from
it, as a promise assumes, and what is true of the population is known exactly, without a second sample. A promise is
broken where more than the target of the population's accepted documents are wrong. Beside ours stands the plain way,
which picks the threshold that accepts most on the same documents that judge it, with the same bound.

Figures go to bench/results/teaching.json, a set of a model replacing its last figures; docs/trust.md is made from it.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from bench import report  # noqa: E402
from bench.quality_figures import EMBEDDED  # noqa: E402
from bench.teaching_sets import ScoredSet, scored_sets  # noqa: E402
from pinpoint.decide.task_file import Scores, Setup, TaskFile  # noqa: E402
from pinpoint.evaluate import figures  # noqa: E402
from pinpoint.evaluate.certify import upper_bound  # noqa: E402
from pinpoint.evaluate.fits import log_softmax  # noqa: E402
from pinpoint.evaluate.promises import Promises  # noqa: E402
from pinpoint.evaluate.task_parts import Measured  # noqa: E402
from pinpoint.evaluate.teaching import teach  # noqa: E402
from pinpoint.prompting.taxonomy import Label, Task  # noqa: E402

SIZES = (10, 50, 200)
PROMISED_SIZES = (200, 500)
TARGETS = (0.01, 0.02, 0.05, 0.10)
LEVEL = 0.9
ALPHAS = (0.05, 0.1)
FIGURES = report.RESULTS / "teaching.json"
Found = TypeVar("Found")
TIMED = 200  # documents of one timed teaching
SETUP = Setup(model="-", revision="-", precision="-", prompt_version=1, labels_sha="-", engine="-")


def main(
    intents: Annotated[Path, typer.Option(help="support-intents/train.jsonl")],
    cache: Annotated[Path, typer.Option(help="Where scores are kept.")] = ROOT / "runs/teaching",
    model: Annotated[str, typer.Option(help="embedded, or one of `python -m training.real_models`.")] = EMBEDDED,
    draws: Annotated[int, typer.Option(help="Of examples, for each size of a promise; a fit has a fifth.")] = 200,
    only: Annotated[str | None, typer.Option(help="This set alone.")] = None,
    device: Annotated[str, typer.Option(help="Of a real model; what was scored on one is read anywhere.")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that teach.")] = 1,
    out: Annotated[Path, typer.Option(help="Figures, as JSON; others stay.")] = FIGURES,
    scores_only: Annotated[bool, typer.Option(help="Teach nothing.")] = False,
) -> None:
    """Measure what teaching gains and whether its promises hold, and write bench/results/teaching.json."""
    for one in scored_sets(model, intents, cache, device):
        if scores_only or only not in (None, one.name):
            continue
        before = figures.scores(log_softmax(one.scores), one.right)
        entry: dict[str, Any] = {
            "name": one.name, "model": model, "documents": len(one.right), "labels": len(one.labels), "draws": draws,
            "before": rounded(before), "fits": [fits_of(one, size, draws // 5, workers) for size in SIZES],
            "promises": [row for size in PROMISED_SIZES for row in promises_of(one, size, draws, workers)],
            "time": time_of(one),
        }  # fmt: skip
        sets = json.loads(out.read_text(encoding="utf-8"))["sets"] if out.exists() else []
        others = [old for old in sets if (old["model"], old["name"]) != (model, one.name)]
        ordered = sorted([*others, entry], key=lambda each: (each["model"] != EMBEDDED, each["model"], each["name"]))
        lines = {**report.environment(), "confidence_level": LEVEL, "sets": ordered}
        out.write_text(json.dumps(lines, indent=2) + "\n", encoding="utf-8")
        typer.echo(f"{model}, {one.name}: done")


def rounded(scores: Scores) -> dict[str, float]:
    """Accuracy, NLL and ECE, rounded."""
    return {name: round(getattr(scores, name), 4) for name in ("accuracy", "nll", "ece")}


def taught(one: ScoredSet, chosen: NDArray[np.int64], promises: Promises, seed: int) -> TaskFile:
    """The file that these documents of a set teach."""
    task = Task("category", tuple(Label(name, name) for name in one.labels))
    measured = Measured(one.scores[chosen], one.right[chosen].tolist(), states=one.states[chosen])
    return teach(task, SETUP, measured, promises, seed).file


def applied(one: ScoredSet, file: TaskFile) -> NDArray[np.float64]:
    """Calibrated log-probabilities of the whole set, by what the worker applies."""
    calibration = file.calibration()
    return np.array([calibration.apply(*each) for each in zip(one.scores.tolist(), one.states.tolist(), strict=True)])


def each_draw(
    what: Callable[[ScoredSet, int, int], Found], one: ScoredSet, size: int, draws: int, workers: int
) -> Iterator[Found]:
    """What each draw of examples gives, in their order."""
    if workers < 2:
        yield from (what(one, size, draw) for draw in range(draws))
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(partial(what, one, size), range(draws), chunksize=4)


def fit_of(one: ScoredSet, size: int, draw: int) -> tuple[list[str], Scores, Scores] | None:
    """One draw: which fits were kept, and the figures of documents that were not drawn, before and after."""
    chosen = np.random.default_rng((1, size, draw)).choice(len(one.right), size, replace=False)
    if len(set(one.right[chosen].tolist())) < 2:
        return None
    file = taught(one, chosen, Promises(), draw)
    others = np.setdiff1d(np.arange(len(one.right)), chosen)
    return (
        [fit.name for fit in file.fits if fit.kept],
        figures.scores(log_softmax(one.scores[others]), one.right[others]),
        figures.scores(applied(one, file)[others], one.right[others]),
    )


def fits_of(one: ScoredSet, size: int, draws: int, workers: int = 1) -> dict[str, Any]:
    """Means over draws of the figures on documents that were not drawn, and how often which fit was kept."""
    kept, found = Counter[str](), defaultdict[str, list[tuple[float, float]]](list)
    worse = 0
    for draw in each_draw(fit_of, one, size, draws, workers):
        if draw is None:
            continue
        names, before, after = draw
        kept.update(names)
        worse += after.nll > before.nll + 1e-9
        for name in ("accuracy", "nll", "ece"):
            found[name].append((getattr(before, name), getattr(after, name)))
    means = {name: [round(float(mean), 4) for mean in np.mean(values, axis=0)] for name, values in found.items()}
    return {
        "examples": size, "draws": len(found["nll"]), **means, "worse_nll": worse,
        "kept": {name: kept[name] for name in ("temperature", "offsets", "state", "head")},
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drawn:
    """One draw for promises: (target, whether it is broken, accepted, right of those) of each that was made; targets
    that the plain way promised and whether it broke them; (alpha, covered, labels) of each set.
    """

    promises: list[tuple[float, bool, float, float]]
    plain: list[tuple[float, bool]]
    sets: list[tuple[float, float, float]]


def promise_of(one: ScoredSet, size: int, draw: int) -> Drawn:
    """What one draw of examples promises, and what is true of the population."""
    rows = np.arange(len(one.right))
    chosen = np.random.default_rng((2, size, draw)).choice(len(one.right), size, replace=True)
    file = taught(one, chosen, Promises(TARGETS, LEVEL, ALPHAS), draw)
    probabilities = np.exp(applied(one, file))
    confidence, wrong = probabilities.max(axis=1), probabilities.argmax(axis=1) != one.right
    found = Drawn([], [], [])
    for promise in file.certificates:
        accepted = confidence >= promise.threshold
        share = float(wrong[accepted].mean())
        found.promises.append((promise.target_error, share > promise.target_error, float(accepted.mean()), 1 - share))
    for target in TARGETS:
        threshold = plain_threshold(confidence[chosen], wrong[chosen], target)
        if threshold is not None:
            found.plain.append((target, bool(wrong[confidence >= threshold].mean() > target)))
    for one_set in file.prediction_sets:
        inside = probabilities >= one_set.least_probability
        inside[rows, probabilities.argmax(axis=1)] = True
        covered = float(inside[rows, one.right].mean())
        found.sets.append((one_set.alpha, covered, float(inside.sum(axis=1).mean())))
    return found


def promises_of(one: ScoredSet, size: int, draws: int, workers: int = 1) -> Iterator[dict[str, Any]]:
    """For every target: made, broken, coverage and accuracy of the accepted; then the sets at every alpha."""
    made, broken, plain_made, plain_broken = (Counter[float]() for _ in range(4))
    coverage, accuracy = defaultdict[float, list[float]](list), defaultdict[float, list[float]](list)
    covered, sizes = defaultdict[float, list[float]](list), defaultdict[float, list[float]](list)
    for draw in each_draw(promise_of, one, size, draws, workers):
        for target, broke, accepted, right in draw.promises:
            made[target] += 1
            broken[target] += broke
            coverage[target].append(accepted)
            accuracy[target].append(right)
        for target, broke in draw.plain:
            plain_made[target] += 1
            plain_broken[target] += broke
        for alpha, inside, size_of in draw.sets:
            covered[alpha].append(inside)
            sizes[alpha].append(size_of)
    for target in TARGETS:
        yield {
            "examples": size, "draws": draws, "target_error": target, "made": made[target], "broken": broken[target],
            "kept_share": round(1 - broken[target] / draws, 4),
            "coverage": round(float(np.mean(coverage[target])), 4) if made[target] else None,
            "accuracy": round(float(np.mean(accuracy[target])), 4) if made[target] else None,
            "plain_made": plain_made[target], "plain_broken": plain_broken[target],
        }  # fmt: skip
    for alpha in ALPHAS:
        yield {
            "examples": size, "draws": draws, "alpha": alpha, "coverage": round(float(np.mean(covered[alpha])), 4),
            "mean_size": round(float(np.mean(sizes[alpha])), 4),
        }  # fmt: skip


def plain_threshold(confidence: NDArray[np.float64], wrong: NDArray[np.bool_], target: float) -> float | None:
    """The threshold that accepts most of these documents with a bound that, taken for itself, is low enough."""
    order = np.argsort(-confidence, kind="stable")
    errors = np.cumsum(wrong[order])
    for last in range(len(order) - 1, -1, -1):
        ends = last == len(order) - 1 or confidence[order[last]] > confidence[order[last + 1]]
        # A share of errors above the target has a bound above it: the costly bound is computed for the others alone.
        if ends and errors[last] <= target * (last + 1) and upper_bound(int(errors[last]), last + 1, LEVEL) <= target:
            return float(confidence[order[last]])
    return None


def time_of(one: ScoredSet) -> dict[str, float]:
    """Seconds of scoring so many documents once, and of everything that teaching does with the scores."""
    chosen = np.arange(min(TIMED, len(one.right)))
    began = time.process_time()
    file = taught(one, chosen, Promises(TARGETS, LEVEL, ALPHAS), 0)
    teaching = time.process_time() - began
    calibration = file.calibration()
    rows = list(zip(one.scores[chosen].tolist(), one.states[chosen].tolist(), strict=True))
    began = time.process_time()
    for row in rows:
        calibration.apply(*row)
    applying = (time.process_time() - began) / len(rows)
    return {
        "documents": len(chosen), "scoring_s": round(one.scoring_s * len(chosen) / len(one.right), 2),
        "teaching_cpu_s": round(teaching, 3), "applying_cpu_ms": round(applying * 1e3, 4),
    }  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
