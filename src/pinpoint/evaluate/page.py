"""report.html: one file that needs no other, for people; every figure on it is in report.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from pinpoint.evaluate import pictures
from pinpoint.evaluate.page_style import STYLE

MATRIX_LABELS = 11  # columns that a phone's width holds
OPEN_ROWS = 25
UNIT = "\u00a0%"

Report = Mapping[str, Any]


def page(report: Report) -> str:
    """The page of a report."""
    parts = [
        _head(report), _tiles(report), _notes(report), _against(report),
        _certified(report),
        '<div class="two">', _reliability(report), _risk(report), _scores(report), _stability(report), "</div>",
        _matrix(report), _pairs(report), _labels(report), _slices(report), _cost(report), _set_up(report),
    ]  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Evaluation: {_percent(_value(report, 'accuracy'))} right</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(parts)}\n</main>\n</body>\n</html>\n"
    )


def _head(report: Report) -> str:
    model = report["run"]["model"]
    answered = f"{report['answered']} of {report['documents']} documents answered, {report['labels']} labels"
    return (
        f"<header><h1>{_percent(_value(report, 'accuracy'))} right</h1><p>{answered} · "
        f"{escape(model['name'])} ({escape(model['precision'])}, prompt version {model['prompt_version']})</p></header>"
    )


def _tiles(report: Report) -> str:
    calibration, cost = report["calibration"], report["cost"]
    floor = calibration["floor"]
    tiles = [
        ("accuracy", _percent(_value(report, "accuracy")), _between(report, "accuracy", _percent)),
        ("macro F1", _number(_value(report, "macro_f1")), _between(report, "macro_f1", _number)),
        ("AUROC, right or wrong", _number(_value(report, "auroc")), _between(report, "auroc", _number)),
        (
            "calibration error",
            _number(calibration["ece"]),
            f"by chance alone {_number(floor['mean'])}, 95 % below {_number(floor['percentile_95'])}" if floor else "",
        ),
        ("NLL", _number(_value(report, "nll")), _between(report, "nll", _number)),
        ("Brier", _number(_value(report, "brier")), _between(report, "brier", _number)),
    ]
    for name in [name for name in report["figures"] if name.startswith("top_")][1:3]:
        tiles.append((f"among the best {name[4:]}", _percent(_value(report, name)), _between(report, name, _percent)))
    if "usd_per_1000_documents" in cost:
        tiles.append(("1,000 documents cost", f"${cost['usd_per_1000_documents']:.2g}", "busy time, no start"))
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd><p>{more}</p></div>" for name, value, more in tiles)
    return f'<dl class="tiles">{cells}</dl>'


def _notes(report: Report) -> str:
    if not report["notes"]:
        return ""
    return f'<section class="notes"><h2>Before you read on</h2>{_list(report["notes"])}</section>'


def _against(report: Report) -> str:
    if "against" not in report:
        return ""
    one = report["against"]
    clear = "more than chance would" if one["p"] < 0.05 else "which chance alone may well do"
    return (
        f"<section><h2>Against the earlier report</h2><p>On the {one['documents']} documents of both: "
        f"{_percent(one['accuracy_there'])} before, <b>{_percent(one['accuracy_here'])}</b> now. "
        f"{one['gained']} gained, {one['lost']} lost, {clear} (McNemar, exact, p = {_number(one['p'])}). "
        f"{one['only_here']} documents are only here, {one['only_there']} only there.</p></section>"
    )


def _certified(report: Report) -> str:
    one = report.get("certified")
    if one is None:
        return ""
    asked = f"At most {_percent(one['target_error'])} errors were asked for."
    if not one["documents"]:
        why = ", ".join(f"{escape(reason)} ({count})" for reason, count in one["why_not"].items())
        said = f"No answer is certified: {why or 'no task file promises it'}."
    else:
        said = (
            f"{one['documents']} answers are certified, {_percent(one['share'])} of all; {one['wrong']} of them are "
            f"wrong, {_percent(one['error'])} (95 %: {_range(one['interval'], _percent)})."
        )
    return f"<section><h2>Does the promise hold here?</h2><p>{asked} {said}</p></section>"


def _reliability(report: Report) -> str:
    calibration = report["calibration"]
    if not calibration["bins"]:
        return ""
    rows = [
        (f"{one['from']:.3f} to {one['to']:.3f}", one["documents"], _number(one["score"]), _number(one["right"]))
        for one in calibration["bins"]
    ]
    table = _table(("scores", "documents", "mean", "right"), rows)
    return _figure(
        "Can the scores be believed?",
        pictures.reliability(calibration["bins"], report["score"]),
        f"Points on the dashed line: the score says how often the answer is right. Below it, it promises too much. "
        f"{len(calibration['bins'])} bins of equal mass; bars are exact 95 % intervals, the numbers documents. "
        "Where bins stand close, one number is of all of them.",
        f"<details><summary>The bins</summary>{table}</details>",
    )


def _risk(report: Report) -> str:
    curve = report["risk_coverage"]
    if not curve["coverage"]:
        return ""
    at = ", ".join(f"{_percent(share)} at {float(target):.0%} errors" for target, share in curve["at"].items())
    return _figure(
        "What is left out buys how much?",
        pictures.risk_coverage(curve),
        "Answers are kept from the highest score down. Dashed: the best that any order could do. Area under the curve "
        f"{_number(_value(report, 'aurc'))}. On these documents one could have kept {at}; for others, no promise.",
    )


def _scores(report: Report) -> str:
    if not report["answered"]:
        return ""
    return _figure(
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
        f"<p><b>{_percent(one['changed'])}</b> of the answers change {said[name]} (95 %: "
        f"{_range(one['interval'], _percent)}; {one['documents']} documents asked again). "
        f"{_percent(one['accuracy'])} are right then, {_percent(one['accuracy_before'])} as they were asked first.</p>"
        for name, one in report["stability"].items()
    ]
    if not rows:
        return ""
    return f'<section class="card"><h2>Does the way of asking matter?</h2>{"".join(rows)}</section>'


def _matrix(report: Report) -> str:
    """The labels that are most often confused; the others together."""
    names, counts = report["confusions"]["labels"], np.array(report["confusions"]["counts"])
    size = len(counts)
    apart = counts.copy()
    np.fill_diagonal(apart, 0)
    involved = apart.sum(axis=1) + apart[:, :size].sum(axis=0)
    order = np.argsort(-(involved * 1_000_000 + counts.sum(axis=1)), kind="stable")
    shown = sorted(order[:MATRIX_LABELS].tolist())
    rest = [k for k in range(size) if k not in shown]
    columns = [[k] for k in shown] + ([rest] if rest else []) + ([[size]] if counts[:, size].any() else [])
    titles = [names[k] for k in shown] + (["other labels"] if rest else []) + [names[size]]
    rows = [[k] for k in shown] + ([rest] if rest else [])
    head = "".join(f'<th scope="col" title="{escape(titles[k])}">{k + 1}</th>' for k in range(len(columns)))
    body = list[str]()
    for number, members in enumerate(rows):
        total = max(1, int(counts[members].sum()))
        cells = list[str]()
        for place, column in enumerate(columns):
            value = int(counts[np.ix_(members, column)].sum())
            kind = "hit" if place == number else "miss"
            share = min(100, round(100 * value / total))
            cells.append(f'<td class="{kind}" style="--share:{share}%">{_short(value)}</td>')
        body.append(f'<tr><th scope="row"><i>{number + 1}</i> {escape(titles[number])}</th>{"".join(cells)}</tr>')
    extra = f" Column {len(columns)} is of documents without a label." if counts[:, size].any() else ""
    which = f"The {len(shown)} of {size} labels that are confused most. " if rest else ""
    return (
        f'<section><h2>What is taken for what?</h2><p class="help">{which}Rows are the truth, columns what was '
        f"answered, numbered alike; shaded by the share of the row.{extra}</p>"
        f'<div class="scroll"><table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div></section>"
    )


def _pairs(report: Report) -> str:
    items = list[str]()
    for pair in report["confusions"]["pairs"]:
        documents = "".join(
            f"<li><b>{escape(one['id'])}</b> {'' if one['score'] is None else _number(one['score'])} "
            f"<q>{escape(one['text'])}</q></li>"
            for one in pair["examples"]
        )
        more = pair["documents"] - len(pair["examples"])
        rest = f"<p>and {more} more, in answers.jsonl</p>" if more else ""
        items.append(
            f"<details><summary><b>{escape(pair['truth'])}</b> taken for <b>{escape(pair['answer'])}</b>: "
            f"{pair['documents']}</summary><ul>{documents}</ul>{rest}</details>"
        )
    if not items:
        return "<section><h2>The most confused pairs</h2><p>No document was taken for another label.</p></section>"
    return (
        '<section><h2>The most confused pairs</h2><p class="help">With their documents, those first of which the model '
        f"was surest: some of these labels may be wrong in the data.</p>{''.join(items)}</section>"
    )


def _labels(report: Report) -> str:
    rows = [
        (one["label"], one["support"], _number(one["precision"]), _number(one["recall"]), _number(one["f1"]))
        for one in sorted(report["per_label"], key=lambda one: (one["f1"], one["label"]))
    ]
    table = _table(("label", "documents", "precision", "recall", "F1"), rows)
    state = " open" if len(rows) <= OPEN_ROWS else ""
    inside = f"<details{state}><summary>{len(rows)} labels</summary>{table}</details>"
    return f"<section><h2>Each label, the worst first</h2>{inside}</section>"


def _slices(report: Report) -> str:
    tables = [
        f"<div><h3>by {kind}</h3>"
        + _table(
            (kind, "n", "right", "95 % interval", "mean score"),
            [
                (
                    one["value"], one["documents"], _percent(one["accuracy"]),
                    _range(one["interval"], _percent), _number(one["mean_score"]),
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
        f"the model, reading files and asking again.</p>{_table(('', ''), rows)}</section>"
    )


def _set_up(report: Report) -> str:
    run = report["run"]
    rows = [(f"{name}: {key}", value) for name in ("model", "data") for key, value in run[name].items()]
    rows += [("instructions", run["question"].get("instructions") or "none"), ("pinpoint", run["pinpoint"])]
    return f"<section><h2>What was asked</h2>{_table(('', ''), rows, 'words')}</section>"


def _figure(title: str, picture: str, said: str, more: str = "") -> str:
    figure = f"<figure>{picture}<figcaption>{said}</figcaption></figure>"
    return f'<section class="card"><h2>{title}</h2>{figure}{more}</section>'


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], kind: str = "") -> str:
    names = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    body = list[str]()
    for first, *others in rows:
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in others)
        body.append(f'<tr><th scope="row">{escape(str(first))}</th>{cells}</tr>')
    top = f"<thead><tr>{names}</tr></thead>" if any(head) else ""
    return f'<table class="{kind}">{top}<tbody>{"".join(body)}</tbody></table>'


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in items)}</ul>"


def _value(report: Report, name: str) -> float | None:
    found: float | None = report["figures"][name]["value"]
    return found


def _between(report: Report, name: str, said: Callable[[float | None], str]) -> str:
    interval = report["figures"][name]["interval"]
    return "" if interval is None else f"95 %: {_range(interval, said)}"


def _range(interval: Sequence[float], said: Callable[[float | None], str]) -> str:
    """Both ends, their unit once; no break within."""
    low, high = map(said, interval)
    return f"{low.removesuffix(UNIT)}\u2060–\u2060{high}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}{UNIT}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.1g}"


def _short(count: int) -> str:
    if not count:
        return ""
    return str(count) if count < 1000 else f"{count // 1000}k"
