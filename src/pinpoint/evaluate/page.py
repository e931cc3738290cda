"""report.html: one file that needs no other, for people; every figure on it is in report.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from pinpoint.evaluate import pictures
from pinpoint.evaluate.markup import between, figure, items, number, percent, table
from pinpoint.evaluate.page_confusions import matrix, pairs
from pinpoint.evaluate.page_style import STYLE

OPEN_ROWS = 25

Report = Mapping[str, Any]


def page(report: Report) -> str:
    """The page of a report."""
    parts = [
        _head(report), _tiles(report), _notes(report), _against(report),
        _certified(report),
        '<div class="two">', _reliability(report), _risk(report), _scores(report), _stability(report), "</div>",
        matrix(report), pairs(report), _labels(report), _slices(report), _cost(report), _set_up(report),
    ]  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Evaluation: {percent(_value(report, 'accuracy'))} right</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(parts)}\n</main>\n</body>\n</html>\n"
    )


def _head(report: Report) -> str:
    model = report["run"]["model"]
    answered = f"{report['answered']} of {report['documents']} documents answered, {report['labels']} labels"
    if report["sets"]:
        answered += ", any number of them to a document: right is one with all of its labels and no other"
    return (
        f"<header><h1>{percent(_value(report, 'accuracy'))} right</h1><p>{answered} · "
        f"{escape(model['name'])} ({escape(model['precision'])}, prompt version {model['prompt_version']})</p></header>"
    )


def _tiles(report: Report) -> str:
    calibration, cost = report["calibration"], report["cost"]
    floor = calibration["floor"]
    tiles = [
        ("accuracy", percent(_value(report, "accuracy")), _between(report, "accuracy", percent)),
        ("macro F1", number(_value(report, "macro_f1")), _between(report, "macro_f1", number)),
        ("AUROC, right or wrong", number(_value(report, "auroc")), _between(report, "auroc", number)),
        (
            "calibration error",
            number(calibration["ece"]),
            f"by chance alone {number(floor['mean'])}, 95 % below {number(floor['percentile_95'])}" if floor else "",
        ),
        ("NLL", number(_value(report, "nll")), _between(report, "nll", number)),
        ("Brier", number(_value(report, "brier")), _between(report, "brier", number)),
    ]
    if report["sets"]:
        tiles.insert(1, ("micro F1", number(_value(report, "micro_f1")), _between(report, "micro_f1", number)))
        wrong = _between(report, "wrong_labels", percent)
        tiles.insert(3, ("labels wrong", percent(_value(report, "wrong_labels")), wrong))
    for name in [name for name in report["figures"] if name.startswith("top_")][1:3]:
        tiles.append((f"among the best {name[4:]}", percent(_value(report, name)), _between(report, name, percent)))
    if "usd_per_1000_documents" in cost:
        tiles.append(("1,000 documents cost", f"${cost['usd_per_1000_documents']:.2g}", "busy time, no start"))
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd><p>{more}</p></div>" for name, value, more in tiles)
    return f'<dl class="tiles">{cells}</dl>'


def _notes(report: Report) -> str:
    if not report["notes"]:
        return ""
    return f'<section class="notes"><h2>Before you read on</h2>{items(report["notes"])}</section>'


def _against(report: Report) -> str:
    if "against" not in report:
        return ""
    one = report["against"]
    clear = "more than chance would" if one["p"] < 0.05 else "which chance alone may well do"
    return (
        f"<section><h2>Against the earlier report</h2><p>On the {one['documents']} documents of both: "
        f"{percent(one['accuracy_there'])} before, <b>{percent(one['accuracy_here'])}</b> now. "
        f"{one['gained']} gained, {one['lost']} lost, {clear} (McNemar, exact, p = {number(one['p'])}). "
        f"{one['only_here']} documents are only here, {one['only_there']} only there.</p></section>"
    )


def _certified(report: Report) -> str:
    one = report.get("certified")
    if one is None:
        return ""
    asked = f"At most {percent(one['target_error'])} errors were asked for."
    if not one["documents"]:
        why = ", ".join(f"{escape(reason)} ({count})" for reason, count in one["why_not"].items())
        said = f"No answer is certified: {why or 'no task file promises it'}."
    else:
        said = (
            f"{one['documents']} answers are certified, {percent(one['share'])} of all; {one['wrong']} of them are "
            f"wrong, {percent(one['error'])} (95 %: {between(one['interval'], percent)})."
        )
    return f"<section><h2>Does the promise hold here?</h2><p>{asked} {said}</p></section>"


def _reliability(report: Report) -> str:
    calibration = report["calibration"]
    if not calibration["bins"]:
        return ""
    rows = [
        (f"{one['from']:.3f} to {one['to']:.3f}", one["documents"], number(one["score"]), number(one["right"]))
        for one in calibration["bins"]
    ]
    bins = table(("scores", "documents", "mean", "right"), rows)
    return figure(
        "Can the scores be believed?",
        pictures.reliability(calibration["bins"], report["score"]),
        f"Points on the dashed line: the score says how often the answer is right. Below it, it promises too much. "
        f"{len(calibration['bins'])} bins of equal mass; bars are exact 95 % intervals, the numbers documents. "
        "Where bins stand close, one number is of all of them.",
        f"<details><summary>The bins</summary>{bins}</details>",
    )


def _risk(report: Report) -> str:
    curve = report["risk_coverage"]
    if not curve["coverage"]:
        return ""
    at = ", ".join(f"{percent(share)} at {float(target):.0%} errors" for target, share in curve["at"].items())
    return figure(
        "What is left out buys how much?",
        pictures.risk_coverage(curve),
        "Answers are kept from the highest score down. Dashed: the best that any order could do. Area under the curve "
        f"{number(_value(report, 'aurc'))}. On these documents one could have kept {at}; for others, no promise.",
    )


def _scores(report: Report) -> str:
    if not report["answered"]:
        return ""
    return figure(
        "Do wrong answers score lower?",
        pictures.histograms(report["histogram"], report["score"]),
        "Documents by the score of their answer, right ones above, wrong ones below. The scales differ.",
    )


def _stability(report: Report) -> str:
    said = {
        "reversed": "with the labels in reversed order",
        "reworded": "with the labels in other words"
        if report["run"]["again"]["wordings"]
        else "with another case of the labels' first letters",
    }
    rows = [
        f"<p><b>{percent(one['changed'])}</b> of the answers change {said[name]} (95 %: "
        f"{between(one['interval'], percent)}; {one['documents']} documents asked again). "
        f"{percent(one['accuracy'])} are right then, {percent(one['accuracy_before'])} as they were asked first.</p>"
        for name, one in report["stability"].items()
    ]
    if not rows:
        return ""
    return f'<section class="card"><h2>Does the way of asking matter?</h2>{"".join(rows)}</section>'


def _labels(report: Report) -> str:
    rows = [
        (one["label"], one["support"], number(one["precision"]), number(one["recall"]), number(one["f1"]))
        for one in sorted(report["per_label"], key=lambda one: (one["f1"], one["label"]))
    ]
    each = table(("label", "documents", "precision", "recall", "F1"), rows)
    state = " open" if len(rows) <= OPEN_ROWS else ""
    inside = f"<details{state}><summary>{len(rows)} labels</summary>{each}</details>"
    return f"<section><h2>Each label, the worst first</h2>{inside}</section>"


def _slices(report: Report) -> str:
    tables = [
        f"<div><h3>by {kind}</h3>"
        + table(
            (kind, "n", "right", "95 % interval", "mean score"),
            [
                (
                    one["value"], one["documents"], percent(one["accuracy"]),
                    between(one["interval"], percent), number(one["mean_score"]),
                )
                for one in slices
            ],
        )
        + "</div>"
        for kind, slices in report["slices"].items()
    ]  # fmt: skip
    if not tables:
        return ""
    return f'<section><h2>Where is it better, where worse?</h2><div class="two">{"".join(tables)}</div></section>'


def _cost(report: Report) -> str:
    cost = report["cost"]
    rows = [("tokens of prompts", f"{cost['prompt_tokens']:,}"), ("seconds", f"{cost['seconds']:.1f}")]
    if cost["documents_per_second"]:
        rows.append(("documents a second", f"{cost['documents_per_second']:.1f}"))
    if "usd" in cost:
        rows += [("USD a second", f"{cost['usd_per_second']:g}"), ("USD", f"{cost['usd']:.4f}")]
    return (
        '<section><h2>What it took</h2><p class="help">The answers alone, on the machine of this run: without loading '
        f"the model, reading files and asking again.</p>{table(('', ''), rows)}</section>"
    )


def _set_up(report: Report) -> str:
    run = report["run"]
    rows = [(f"{name}: {key}", value) for name in ("model", "data") for key, value in run[name].items()]
    if run["question"].get("labels_first"):
        rows.append(("labels", "read before the document"))
    rows += [("instructions", run["question"].get("instructions") or "none"), ("pinpoint", run["pinpoint"])]
    return f"<section><h2>What was asked</h2>{table(('', ''), rows, 'words')}</section>"


def _value(report: Report, name: str) -> float | None:
    found: float | None = report["figures"][name]["value"]
    return found


def _between(report: Report, name: str, said: Callable[[float | None], str]) -> str:
    interval = report["figures"][name]["interval"]
    return "" if interval is None else f"95 %: {between(interval, said)}"
