"""Documents of a packet: the dynamic programme over pages against all cuts, one by one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.decide.segments import FLOOR, cut
from tests.reference.segments import best_and_marginals

numbers = st.floats(-6, 6, allow_nan=False)


@st.composite
def packets(draw: st.DrawFn) -> tuple[list[list[float]], list[float]]:
    pages, labels = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    rows = [[draw(numbers) for _ in range(labels)] for _ in range(pages)]
    return rows, [draw(numbers) for _ in range(pages - 1)]


def normalised(rows: list[list[float]], weight: float) -> list[list[float]]:
    return [[weight * max(value - math.log(math.fsum(map(math.exp, row))), FLOOR) for value in row] for row in rows]


@settings(deadline=None, max_examples=60)
@given(packet=packets(), weight=st.sampled_from([0.0, 0.3, 1.0]))
def test_documents_of_a_packet_are_cut_as_by_trying_all_cuts(
    packet: tuple[list[list[float]], list[float]], weight: float
) -> None:
    rows, begins = packet
    highest, best, marginals = best_and_marginals(normalised(rows, weight), [0.5 * odds for odds in begins])
    found = cut(rows, begins, weight, 0.5)
    assert best[found.starts] == pytest.approx(highest, abs=1e-9)
    assert found.begins == pytest.approx(marginals, abs=1e-9)
    assert [page for segment in found.segments(len(rows)) for page in segment] == list(range(len(rows)))


def test_documents_of_a_packet_with_clear_boundaries() -> None:
    rows = [[-0.1, -3.0], [-0.1, -3.0], [-3.0, -0.1], [-3.0, -0.1]]
    assert cut(rows, [-2.0, 1.0, -2.0]).segments(4) == [range(0, 2), range(2, 4)]
    assert cut(rows, [5.0, 5.0, 5.0]).starts == (0, 1, 2, 3)
    assert cut([[0.0]] * 3, [-5.0, -5.0]).starts == (0,)
    # Two of one kind behind one another are told apart by the boundary alone.
    assert cut([[-0.1, -3.0]] * 2, [4.0]).starts == (0, 1)


def test_documents_of_a_packet_and_pages_that_say_nothing() -> None:
    silent = [[-math.inf, -math.inf], [-math.inf, 0.0], [0.0, -math.inf]]
    found = cut(silent, [-1.0, -1.0])
    assert all(0.0 <= value <= 1.0 for value in found.begins)
    assert cut([[0.0, -math.inf]], []).begins == (1.0,)
    assert cut([[-1.0, -2.0]] * 400, [0.1] * 399).starts[0] == 0


def test_documents_of_a_packet_any_number_of_labels_moves_no_boundary() -> None:
    few = cut([[0.0, 0.0]] * 3, [0.3, -0.3])
    many = cut([[0.0] * 50] * 3, [0.3, -0.3])
    assert few.begins == pytest.approx(many.begins)
