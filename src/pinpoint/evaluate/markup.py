"""Pieces of HTML, and numbers as people read them. Tables and lists escape their texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

UNIT = "\u00a0%"


def figure(title: str, picture: str, said: str, more: str = "") -> str:
    """A card with a picture and what it says."""
    drawn = f"<figure>{picture}<figcaption>{said}</figcaption></figure>"
    return f'<section class="card"><h2>{title}</h2>{drawn}{more}</section>'


def table(head: Sequence[str], rows: Iterable[Sequence[object]], kind: str = "") -> str:
    """Rows whose first cell is their head; without names no line of them."""
    names = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    body = list[str]()
    for first, *others in rows:
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in others)
        body.append(f'<tr><th scope="row">{escape(str(first))}</th>{cells}</tr>')
    top = f"<thead><tr>{names}</tr></thead>" if any(head) else ""
    return f'<table class="{kind}">{top}<tbody>{"".join(body)}</tbody></table>'


def items(said: Iterable[str]) -> str:
    """A list."""
    return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in said)}</ul>"


def between(interval: Sequence[float], said: Callable[[float | None], str]) -> str:
    """Both ends, their unit once; no break within."""
    low, high = map(said, interval)
    return f"{low.removesuffix(UNIT)}\u2060–\u2060{high}"


def percent(share: float | None) -> str:
    """A share, in per cent; a dash for None."""
    return "–" if share is None else f"{100 * share:.1f}{UNIT}"


def number(value: float | None) -> str:
    """Three decimals, or one digit of what is smaller; a dash for None."""
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.1g}"
