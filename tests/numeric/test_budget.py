"""The token budget that is measured at the start: what is timed, by a made-up clock, and what stays as it was."""

import logging
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from pinpoint.engine import budget, warmup
from pinpoint.engine.baseline import Baseline
from pinpoint.engine.budget import DOCUMENT_TOKENS, measured_forest, settle_budget
from pinpoint.engine.forest_pass import ForestPass
from pinpoint.engine.scorer import Scorer
from pinpoint.errors import OutOfMemory
from pinpoint.planning.memory_plan import plan
from pinpoint.planning.model_shapes import shape_from_config
from pinpoint.prompting.span_tree import Forest
from pinpoint.settings import USUAL_BUDGET_TOKENS as USUAL
from tests.numeric.conftest import Pair

GB = 10**9


@pytest.fixture
def scorer(small_mixtral: Pair) -> Scorer:
    """The small Mixtral as if it were on a card of its own and had a context that is worth the question."""
    loaded, _ = small_mixtral
    made = plan(shape_from_config(loaded.model.config.to_dict(), "small"), "int8", 24 * GB, 3 * GB)
    scorer = Scorer(replace(loaded, plan=made, context_tokens=32_768), USUAL, 10**6)
    scorer.baseline = Baseline(lambda: 0)
    return scorer


@pytest.fixture
def passes(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, float]], list[tuple[int, int]]]:
    """Has passes run at so many tokens a second by the scorer's budget, and lists budgets and tokens of what is run."""

    def at(rates: dict[int, float]) -> list[tuple[int, int]]:
        now, run = [0.0], list[tuple[int, int]]()

        def score(forest: Forest, *, explain: bool) -> ForestPass:
            run.append((scorer.token_budget, forest.total_tokens))
            if not (rate := rates[scorer.token_budget]):
                raise OutOfMemory("out_of_memory", "the device ran out of memory")
            now[0] += forest.total_tokens / rate
            scorer.store.put(((len(run),),), [(torch.ones(1, 1, 1),) * 2])
            return ForestPass([], 0, 0, scorer, forest, explain)

        monkeypatch.setattr(scorer, "_score", score)
        monkeypatch.setattr(budget, "time", SimpleNamespace(perf_counter=lambda: now[0]))
        return run

    return at


def test_a_larger_budget_is_taken_where_it_is_faster(
    scorer: Scorer, passes: Callable[..., list[tuple[int, int]]], caplog: pytest.LogCaptureFixture
) -> None:
    run, read_tokens = passes({8192: 20_000, 16_384: 22_000, 32_768: 22_100}), scorer.read_tokens
    with caplog.at_level(logging.INFO, "pinpoint"):
        found = settle_budget(scorer, None)
    assert (found.tokens, found.by) == (16_384, "measured")
    assert found.rates == pytest.approx({8192: 20_000, 16_384: 22_000, 32_768: 22_100})
    assert scorer.token_budget == 16_384
    assert [tokens for tokens, _ in run] == [8192, 8192, 16_384, 32_768], "the first one loads kernels"
    assert all(0.8 * tokens < laid <= tokens for tokens, laid in run)
    assert found.seconds == pytest.approx(
        sum(laid / {8192: 2e4, 16_384: 2.2e4, 32_768: 2.21e4}[at] for at, laid in run)
    )
    (line,) = [record.getMessage() for record in caplog.records if "token budget" in record.getMessage()]
    assert line.startswith("token budget: measured tokens=16384 tokens_per_s=8192:20000,16384:22000,32768:22100 ")
    assert scorer.baseline is not None and scorer.baseline.bytes is None, "what stays is yet to be taken"
    assert scorer.store.bytes == 0
    # What is read and where it is cut does not hang on it.
    assert (scorer.row_budget, scorer.read_tokens) == (USUAL, read_tokens)


def test_kernels_that_a_larger_pass_is_the_first_to_take_are_compiled_before_it_is_timed(
    scorer: Scorer, passes: Callable[..., list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a mixture of many experts, whose products change their tiles beyond the usual budget."""
    monkeypatch.setattr(warmup, "ROWS_OF_TILES", (100, 5000))  # an expert's; each token goes to two of four
    run = passes({8192: 20_000, 16_384: 22_000, 32_768: 23_000})
    assert settle_budget(scorer, None).tokens == 32_768
    assert [tokens for tokens, _ in run] == [8192, 8192, 16_384, 16_384, 32_768]


@pytest.mark.parametrize(
    ("rates", "taken"), [({8192: 20_000, 16_384: 0}, 8192), ({8192: 0}, 8192), ({8192: 20_000, 16_384: 20_100}, 8192)]
)
def test_the_usual_budget_stays_where_a_larger_one_brings_nothing(
    scorer: Scorer, passes: Callable[..., list[tuple[int, int]]], rates: dict[int, float], taken: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    passes(rates)
    released = list[bool]()
    monkeypatch.setattr(scorer, "release", lambda: released.append(True))
    assert settle_budget(scorer, None).tokens == scorer.token_budget == taken
    assert any(released) == (0 in rates.values()), "what a pass took that had no room is given back"


def test_a_pass_that_fails_otherwise_leaves_the_budget_as_it_was(
    scorer: Scorer, passes: Callable[..., list[tuple[int, int]]]
) -> None:
    passes({USUAL: 20_000})  # knows no rate of a larger one
    with pytest.raises(KeyError):
        settle_budget(scorer, None)
    assert scorer.token_budget == USUAL


def test_what_is_set_is_not_measured(scorer: Scorer, passes: Callable[..., list[tuple[int, int]]]) -> None:
    run = passes({})
    scorer.token_budget = 4096
    assert settle_budget(scorer, 4096).told() == {"tokens": 4096, "by": "setting"}
    assert settle_budget(scorer, 100_000).told() == {"tokens": 4096, "by": "plan"}
    assert run == []


def test_without_a_plan_nothing_is_measured(small_mixtral: Pair) -> None:
    scorer = Scorer(small_mixtral[0], USUAL)
    assert settle_budget(scorer, None).told() == {"tokens": USUAL, "by": "default"}


def test_the_timed_rows_are_documents_of_a_page_and_none_is_read_twice(scorer: Scorer) -> None:
    for tokens in (USUAL, 32_768):
        forest = measured_forest(scorer, tokens)
        assert len(forest.asks) > tokens // (2 * DOCUMENT_TOKENS)
        assert forest.total_tokens <= tokens
        assert len({forest.asks[index].span for index in range(len(forest.asks))}) == len(forest.asks)
        assert max(map(forest.prompt_tokens, (ask.span for ask in forest.asks))) < scorer.context_tokens
