"""All cuts of a packet, one by one: what `pinpoint.decide.segments` computes in time that does not grow so."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product


def log_probability(labels: Sequence[Sequence[float]], begins: Sequence[float], starts: Sequence[int]) -> list[float]:
    """Of a cut with each choice of labels for its documents."""
    pages, count = len(labels), len(labels[0])
    boundaries = 0.0
    for page in range(1, pages):
        odds = begins[page - 1]
        boundaries += -math.log1p(math.exp(-odds)) if page in starts else -math.log1p(math.exp(odds))
    each = [
        [-math.log(count) + math.fsum(labels[page][label] for page in range(start, end)) for label in range(count)]
        for start, end in zip(starts, [*starts[1:], pages], strict=True)
    ]
    return [boundaries + math.fsum(choice) for choice in product(*each)]


def all_cuts(pages: int) -> Iterator[list[int]]:
    """Pages that begin a document, of every cut."""
    for chosen in product((False, True), repeat=pages - 1):
        yield [0, *(page for page, begins in enumerate(chosen, 1) if begins)]


def best_and_marginals(
    labels: Sequence[Sequence[float]], begins: Sequence[float]
) -> tuple[float, dict[tuple[int, ...], float], list[float]]:
    """The best log-probability, that of each cut with its best labels, and of each page how likely it begins."""
    of_cuts = {tuple(starts): log_probability(labels, begins, starts) for starts in all_cuts(len(labels))}
    best = {starts: max(values) for starts, values in of_cuts.items()}
    whole = math.fsum(math.exp(value) for values in of_cuts.values() for value in values)
    marginals = [
        math.fsum(math.exp(value) for starts, values in of_cuts.items() if page in starts for value in values) / whole
        for page in range(len(labels))
    ]
    return max(best.values()), best, marginals
