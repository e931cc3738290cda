"""Which token budget is taken, by timings that are made up; and that the plan has counted what is tried."""

from collections.abc import Callable

import pytest

from pinpoint.planning.activations import Precision
from pinpoint.planning.budgets import LARGER_BUDGETS, LEAST_GAIN, Budget, fastest, larger_budgets
from pinpoint.planning.cards import CARDS, GB
from pinpoint.planning.known_models import find_shape, known_shapes
from pinpoint.planning.memory_plan import plan
from pinpoint.settings import USUAL_BUDGET_TOKENS as USUAL


def timings(rates: dict[int, float | None]) -> tuple[Callable[[int], tuple[int, float] | None], list[int]]:
    """A stopwatch that has passes run at these tokens a second (None: out of memory), and what it was asked for."""
    asked: list[int] = []

    def seconds_of(tokens: int) -> tuple[int, float] | None:
        asked.append(tokens)
        rate = rates[tokens]
        return None if rate is None else (tokens - 100, (tokens - 100) / rate)

    return seconds_of, asked


@pytest.mark.parametrize(
    ("rates", "taken", "tried"),
    [
        ({8192: 20_000, 16_384: 22_000, 32_768: 23_000}, 32_768, 3),  # 10 % and 4.5 %
        ({8192: 20_000, 16_384: 22_000, 32_768: 22_600}, 16_384, 3),  # 10 % and 2.7 %
        ({8192: 32_600, 16_384: 33_400, 32_768: 50_000}, 8192, 2),  # 2.5 %: nothing larger is tried
        ({8192: 20_000, 16_384: 15_000}, 8192, 2),  # slower
        ({8192: 20_000, 16_384: None}, 8192, 2),  # out of memory
        ({8192: 20_000, 16_384: 22_000, 32_768: None}, 16_384, 3),
        ({8192: None}, 8192, 1),
    ],
)
def test_the_budget_is_the_one_after_which_little_is_gained(
    rates: dict[int, float | None], taken: int, tried: int
) -> None:
    seconds_of, asked = timings(rates)
    found, known = fastest(USUAL, LARGER_BUDGETS, seconds_of)
    assert found == taken
    assert asked == [USUAL, *LARGER_BUDGETS][:tried]
    assert known == pytest.approx({tokens: rate for tokens, rate in rates.items() if tokens in asked and rate})


def test_a_gain_of_exactly_the_least_counts() -> None:
    seconds_of, _ = timings({8192: 20_000.0, 16_384: 20_000.0 * (1 + LEAST_GAIN) + 1e-6, 32_768: 1.0})
    assert fastest(USUAL, LARGER_BUDGETS, seconds_of)[0] == 16_384


def test_no_pass_is_begun_that_would_end_too_late() -> None:
    slow, asked = timings({8192: 4000, 16_384: 8000, 32_768: 16_000})  # 2 s, and by that another 4
    assert fastest(USUAL, LARGER_BUDGETS, slow, most_s=3.0)[0] == USUAL
    assert asked == [USUAL]
    quick, asked = timings({8192: 20_000, 16_384: 22_000, 32_768: 23_000})  # 0.4, 0.74, and another 1.5
    for most_s, taken in ((2.0, 16_384), (2.5, 16_384), (2.7, 32_768)):  # of all together, by the last one's rate
        asked.clear()
        assert fastest(USUAL, LARGER_BUDGETS, quick, most_s)[0] == taken
        assert asked == [USUAL, *LARGER_BUDGETS][: 3 if taken == 32_768 else 2]


@pytest.mark.parametrize("precision", ["bf16", "int8", "nf4"])
def test_a_larger_budget_takes_nothing_that_the_plan_has_not_counted(precision: Precision) -> None:
    tried = 0
    for shape in known_shapes().values():
        for card in CARDS:
            made = plan(shape, precision, card.total_bytes, 3 * GB, driver_bytes=card.driver_bytes)
            usual = min(USUAL, made.token_budget)
            if not usual:
                continue
            read = made.read_tokens(usual)
            assert larger_budgets(made, LARGER_BUDGETS[-1], 0) == []
            for tokens in larger_budgets(made, usual, read):
                tried += 1
                held = read if read > tokens else 0
                taken = made.needed_bytes(tokens, held) + made.kept_reason_bytes(tokens)
                assert taken <= made.bound_bytes
                assert made.kept_reason_places(tokens) == made.kept_reason_places(usual)
            if usual < USUAL:
                assert larger_budgets(made, usual, read) == []
    assert tried > 100


def test_what_would_shorten_documents_or_reasons_is_not_tried() -> None:
    mixtral = find_shape("mistralai/Mixtral-8x7B-Instruct-v0.1")
    seen = set[int]()
    for gb in range(55, 100):
        made = plan(mixtral, "int8", gb * GB, 3 * GB)
        usual = min(USUAL, made.token_budget)
        if usual == USUAL:
            larger = larger_budgets(made, usual, made.read_tokens(usual))
            seen.add(len(larger))
            if made.token_budget >= LARGER_BUDGETS[0] and not larger:
                fewer = made.read_tokens(LARGER_BUDGETS[0]) < made.read_tokens(usual)
                assert fewer or made.kept_reason_places(LARGER_BUDGETS[0]) != made.kept_reason_places(usual)
    assert seen == {0, 1, 2}


def test_health_is_told_plain_values() -> None:
    assert Budget(16_384, "measured", {8192: 20_000.4, 16_384: 22_000.0}, 1.2).told() == {
        "tokens": 16_384, "by": "measured", "tokens_per_s": {"8192": 20_000, "16384": 22_000},
    }  # fmt: skip
    assert Budget(4096, "setting").told() == {"tokens": 4096, "by": "setting"}
