"""Log-odds of one label against the others, where everything is finite and where it is not."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.api.request import Options
from pinpoint.decide.decision import decide
from pinpoint.decide.evidence import MOST_LOG_ODDS, log_odds
from pinpoint.prompting.taxonomy import Label, Task

ABC = Task("t", tuple(Label(name, name) for name in "abc"))
WHETHER = Task("w", (Label("w", "it is so"),), multi_label=True, kind="yes_no")
INF = math.inf


@given(st.lists(st.floats(-12, -0.01), min_size=3, max_size=3), st.lists(st.floats(0.1, 9), min_size=3, max_size=3))
def test_log_odds_are_those_of_the_score(values: list[float], prior: list[float]) -> None:
    task = replace(ABC, prior=dict(zip("abc", prior, strict=True)))
    answer = decide(values, task, Options())
    best = answer.score
    assert log_odds(values, task, answer.labels[0]) == pytest.approx(math.log(best / (1 - best)), abs=1e-4)


def test_a_masked_label_is_none_of_the_others() -> None:
    masked = replace(ABC, mask=frozenset("b"))
    assert log_odds([-1.0, -0.1, -3.0], masked, "a") == pytest.approx(2.0)
    assert log_odds([-1.0, -0.1, -3.0], replace(ABC, mask=frozenset("bc")), "a") == MOST_LOG_ODDS


@pytest.mark.parametrize(
    ("values", "odds"),
    [
        ([-1.0, -INF, -INF], MOST_LOG_ODDS),
        ([-INF, -1.0, -2.0], -MOST_LOG_ODDS),
        ([-INF, -INF, -INF], 0.0),
        ([-1.0, -500.0, -501.0], MOST_LOG_ODDS),
    ],
)
def test_what_is_certain_is_told_as_a_number(values: list[float], odds: float) -> None:
    assert log_odds(values, ABC, "a") == odds


def test_yes_and_no_are_each_the_other_s_rest() -> None:
    assert log_odds([-1.0, -4.0], WHETHER, "yes") == 3.0 and log_odds([-1.0, -4.0], WHETHER, "no") == -3.0
