"""The pictures of a report: matplotlib's lines, as SVG that takes its colours from the page it stands in.

Drawn for the width of a phone, so that their words can be read there; a wide page shows two of them side by side.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, HEIGHT_IN = 4.3, 3.2  # 310 points: 1 point is somewhat more than a pixel on a phone
FONT_POINTS = 11
# Colours that nothing else has, and the variables of the page's style that take their places.
INK, MUTED, GOOD, BAD, GRID = "#010203", "#020304", "#030405", "#040506", "#050607"
_VARIABLES = {INK: "--ink", MUTED: "--muted", GOOD: "--good", BAD: "--bad", GRID: "--line"}
_FONT = re.compile(r"(font: (?:[a-z]+ )*[\d.]+px )[^;\"]+")


def reliability(bins: Sequence[Mapping[str, Any]], score: str) -> str:
    """Share of right answers over the mean score of each bin, with exact 95 % intervals and numbers of documents."""
    figure, axes = _axes()
    low = max(0.0, min(min(one["score"] for one in bins), min(one["interval"][0] for one in bins)) - 0.04)
    axes.plot([low, 1], [low, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for one in bins:
        axes.plot([one["score"]] * 2, one["interval"], color=GOOD, linewidth=1.2, alpha=0.55, zorder=2)
    axes.plot([one["score"] for one in bins], [one["right"] for one in bins], "o", color=GOOD, markersize=5, zorder=3)
    for members in _neighbours(sorted(bins, key=lambda one: one["score"]), 0.12 * (1 - low)):
        axes.annotate(
            str(sum(one["documents"] for one in members)),
            (sum(one["score"] for one in members) / len(members), low),
            xytext=(0, 4), textcoords="offset points", ha="center", color=MUTED, fontsize=FONT_POINTS - 1.5,
        )  # fmt: skip
    pad = 0.03 * (1 - low)
    axes.set(xlim=(low, 1 + pad), ylim=(low, 1 + pad), xlabel=f"mean {score} of a bin", ylabel="share that is right")
    return _svg(figure, "reliability", "Reliability diagram")


def _neighbours(bins: list[Mapping[str, Any]], apart: float) -> list[list[Mapping[str, Any]]]:
    """Bins whose numbers would stand on each other share one."""
    together = list[list[Mapping[str, Any]]]()
    for one in bins:
        if together and one["score"] - together[-1][0]["score"] < apart:
            together[-1].append(one)
        else:
            together.append([one])
    return together


def risk_coverage(curve: Mapping[str, Any]) -> str:
    """Errors among the answers that are kept, over how many are kept, and the best that any order could do."""
    figure, axes = _axes()
    axes.plot(curve["coverage"], curve["best"], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(curve["coverage"], curve["risk"], color=BAD, linewidth=1.8)
    axes.fill_between(curve["coverage"], curve["risk"], color=BAD, alpha=0.12, linewidth=0)
    highest = max(0.02, *curve["risk"])
    axes.set(xlim=(0, 1), ylim=(0, 1.08 * highest), xlabel="share of answers kept", ylabel="errors among them")
    _percent(axes)
    return _svg(figure, "risk", "Risk over coverage")


def histograms(histogram: Mapping[str, Any], score: str) -> str:
    """Scores of right answers above those of wrong ones, each with a scale of its own."""
    from matplotlib.figure import Figure

    with _style():
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
    edges = histogram["edges"]
    for axes, name, color in ((above, "right", GOOD), (below, "wrong", BAD)):
        counts = histogram[name]
        axes.bar(edges[:-1], counts, width=0.046, align="edge", color=color, alpha=0.8)
        axes.set_ylabel(f"{name}: {sum(counts)}")
        axes.set_ylim(0, max(1, *counts) * 1.12)
        _quiet(axes)
        axes.locator_params(axis="y", nbins=4, integer=True)
    below.set(xlim=(0, 1), xlabel=score)
    return _svg(figure, "scores", "Scores of right and of wrong answers")


def _style() -> Any:
    import matplotlib

    return matplotlib.rc_context({
        "font.size": FONT_POINTS, "text.color": INK, "axes.labelcolor": INK, "xtick.color": MUTED, "ytick.color": MUTED,
        "axes.edgecolor": GRID, "grid.color": GRID, "svg.fonttype": "none", "svg.hashsalt": "pinpoint",
    })  # fmt: skip


def _axes() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    with _style():
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
        axes = figure.subplots()
    _quiet(axes)
    return figure, axes


def _quiet(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)


def _percent(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    axes.locator_params(nbins=5)


def _svg(figure: Figure, name: str, title: str) -> str:
    """The figure as one element to stand in a page: no header, nothing from outside, ids of its own."""
    figure.patch.set_visible(False)
    written = io.StringIO()
    with _style():
        figure.savefig(written, format="svg", metadata={"Date": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"(url\(#|xlink:href=\"#)", rf"\g<1>{name}-", svg)
    svg = _FONT.sub(r"\1system-ui, sans-serif", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, f"var({variable})")
    view = re.search(r'viewBox="[^"]*"', svg)
    assert view is not None
    return re.sub(r"<svg[^>]*>", f'<svg {view[0]} role="img" aria-label="{title}">', svg, count=1)
