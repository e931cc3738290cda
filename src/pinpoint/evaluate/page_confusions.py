"""What is taken for what, on the page: the matrix, and the most confused pairs with their documents."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from pinpoint.evaluate.markup import number

MATRIX_LABELS = 11  # columns that a phone's width holds, with two more

Report = Mapping[str, Any]


def matrix(report: Report) -> str:
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
    for row, members in enumerate(rows):
        total = max(1, int(counts[members].sum()))
        cells = list[str]()
        for place, column in enumerate(columns):
            value = int(counts[np.ix_(members, column)].sum())
            kind = "hit" if place == row else "miss"
            share = min(100, round(100 * value / total))
            cells.append(f'<td class="{kind}" style="--share:{share}%">{_short(value)}</td>')
        body.append(f'<tr><th scope="row"><i>{row + 1}</i> {escape(titles[row])}</th>{"".join(cells)}</tr>')
    extra = f" Column {len(columns)} is of documents without a label." if counts[:, size].any() else ""
    which = f"The {len(shown)} of {size} labels that are confused most. " if rest else ""
    return (
        f'<section><h2>What is taken for what?</h2><p class="help">{which}Rows are the truth, columns what was '
        f"answered, numbered alike; shaded by the share of the row.{extra}</p>"
        f'<div class="scroll"><table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div></section>"
    )


def pairs(report: Report) -> str:
    """The most confused pairs, each to be opened for its documents."""
    items = list[str]()
    for pair in report["confusions"]["pairs"]:
        documents = "".join(
            f"<li><b>{escape(one['id'])}</b> {'' if one['score'] is None else number(one['score'])} "
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


def _short(count: int) -> str:
    if not count:
        return ""
    return str(count) if count < 1000 else f"{count // 1000}k"
