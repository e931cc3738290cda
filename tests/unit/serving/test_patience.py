"""The wait of a pass for jobs that are expected goes with what passes take, unless it is set."""

import pytest

from pinpoint.serving.patience import FIRST_S, PASSES, Patience


def test_what_is_set_stays() -> None:
    for set_s in (0.0, 0.02, 1.0):
        patience = Patience(set_s)
        patience.passed(0.4)
        assert patience.most_s == set_s


@pytest.mark.parametrize(
    ("passes_s", "waits_s"),
    [
        ([], FIRST_S),
        ([0.045], 0.0045),
        ([0.25, 0.3, 5.0], 0.03),  # one that was slow says little
        ([1.4], 0.05),
        ([0.001], 0.002),
        ([0.4] * PASSES + [0.03] * PASSES, 0.003),  # what passes took long ago says nothing
    ],
)
def test_otherwise_it_is_a_tenth_of_the_last_passes_within_bounds(passes_s: list[float], waits_s: float) -> None:
    patience = Patience(None)
    for seconds in passes_s:
        patience.passed(seconds)
    assert patience.most_s == pytest.approx(waits_s)
