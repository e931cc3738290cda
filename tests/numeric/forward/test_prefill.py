"""A beginning that is read in chunks: scores behind it are those of the plain forward pass of the whole prompt."""

import copy
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from pinpoint.engine import forest_scorer
from pinpoint.engine.forward import attention, generate
from pinpoint.engine.forward.packing import PackedRow
from pinpoint.engine.forward.parts import given_spans, parts_of
from pinpoint.engine.forward.prefix_cache import HeldPrefix
from pinpoint.engine.forward.scoring import score
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.prefill import Prefill
from pinpoint.prompting.span_tree import Forest
from tests.numeric.conftest import Pair
from tests.numeric.forward.families import SHORT_TOKENS, configuration, random_model
from tests.numeric.forward.test_families import scorer_of, with_our_attention
from tests.numeric.tolerances import FLOAT32
from tests.reference.scoring import label_log_prob

STOP = 2
LABELS = [(5,), (5, 6), (7, 8, 9), (7, 8)]
TRIE = build_trie(LABELS, STOP)
# A window, windows on some layers with sinks, grouped heads, a cap, latent keys of another width than values, chunked
# layers, frequencies by the length of a prompt.
FAMILIES = (
    "llama", "mistral", "mixtral, window", "gpt_oss", "gemma2", "deepseek_v3", "llama4 text", "phi3, longrope",
)  # fmt: skip


@pytest.fixture(autouse=True)
def quiet() -> None:
    transformers_logging.set_verbosity_error()
    attention.register()


def path_of(tokens: int, seed: int) -> tuple[tuple[int, ...], ...]:
    drawn = torch.randint(10, 480, (tokens,), generator=torch.Generator().manual_seed(seed)).tolist()
    return tuple(drawn[:3]), tuple(drawn[3:])


def read(scorer: Scorer, prefill: Prefill, chunks: list[int]) -> int:
    """Read all of it, in chunks of these sizes again and again; returns the tokens that were computed."""
    computed = turn = 0
    while prefill.left:
        forest = Forest()
        forest.read(prefill, chunks[turn % len(chunks)])
        with scorer.run(forest) as done:
            computed += done.computed_tokens
        turn += 1
    return computed


def asked(prefill: Prefill, questions: list[list[int]]) -> Forest:
    forest = Forest()
    span = -1
    for tokens in prefill.path:
        span = forest.add(tokens, span)
    forest.give(span, prefill)
    for question in questions:
        forest.ask(forest.add(question, span), TRIE)
    return forest


def check(scorer: Scorer, plain: Any, prefill: Prefill, questions: list[list[int]]) -> None:
    forest = asked(prefill, questions)
    with scorer.run(forest) as done:
        assert (
            done.computed_tokens == forest.laid_tokens == sum(map(len, questions)) + len(TRIE.tokens) * len(questions)
        )
        scores = [one.log_probs for one in done.scores]
    for question, values in zip(questions, scores, strict=True):
        prompt = [*prefill.tokens, *question]
        expected = [label_log_prob(plain, prompt, label, STOP) for label in LABELS]
        assert values == pytest.approx(expected, abs=FLOAT32)


@pytest.mark.parametrize("family", FAMILIES)
def test_chunks_of_any_size_are_exact(family: str) -> None:
    plain = random_model(configuration(family))
    scorer = scorer_of(with_our_attention(copy.deepcopy(plain)))
    path = path_of(150, 1)
    long = scorer.is_long(150 + 4)
    assert long == ("longrope" in family)
    prefill = Prefill(path, long=long)
    assert read(scorer, prefill, [40, 1, 23]) == 150
    assert scorer.held_bytes > 0
    check(scorer, plain, prefill, [[510, 511, 512], [513]])
    del prefill
    assert scorer.held_bytes == 0


def test_a_short_chunk_of_a_long_prompt_has_its_frequencies() -> None:
    plain = random_model(configuration("phi3, longrope"))
    scorer = scorer_of(with_our_attention(copy.deepcopy(plain)))
    # The document is read as short prompts have it, where what is asked keeps it one, and as long ones elsewhere.
    path, short, long = path_of(SHORT_TOKENS - 8, 3), [510], [510] * 12
    for question in (short, long):
        prefill = Prefill(path, long=scorer.is_long(len(path[0]) + len(path[1]) + len(question) + 3))
        assert prefill.long == (question is long)
        read(scorer, prefill, [6])
        check(scorer, plain, prefill, [question])


def test_a_chunk_goes_beside_what_others_ask_and_changes_none_of_it(small_mixtral: Pair) -> None:
    loaded, plain = small_mixtral
    scorer = Scorer(loaded, 200, 1_000_000)
    one, other = Prefill(path_of(300, 5)), Prefill(path_of(260, 6))
    ready = Prefill(path_of(240, 7))
    read(scorer, ready, [120])
    while one.left or other.left:
        forest = asked(ready, [[510, 511]])
        root = forest.add((3, 4, 5), shared=True)
        forest.ask(forest.add((20, 21, 22), root), TRIE)
        for prefill in (one, other):
            if prefill.left:
                forest.read(prefill, 70)
        with scorer.run(forest) as done:
            scores = [each.log_probs for each in done.scores]
        for values, prompt in zip(scores, ([*ready.tokens, 510, 511], [3, 4, 5, 20, 21, 22]), strict=True):
            expected = [label_log_prob(plain, prompt, label, STOP) for label in LABELS]
            assert values == pytest.approx(expected, abs=FLOAT32)
    for prefill in (one, other):
        check(scorer, plain, prefill, [[530], [531, 532]])


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_any_document_any_budget_any_number_of_questions(small_mixtral: Pair, data: st.DataObject) -> None:
    loaded, plain = small_mixtral
    tokens = data.draw(st.integers(4, 400))
    chunks = data.draw(st.lists(st.integers(1, 128), min_size=1, max_size=3))
    questions = [[500 + n, 501] for n in range(data.draw(st.integers(1, 4)))]
    scorer = Scorer(loaded, 128, 0)
    prefill = Prefill(path_of(tokens, data.draw(st.integers(0, 9))))
    assert read(scorer, prefill, chunks) == tokens
    check(scorer, plain, prefill, questions[:2])
    whole, small = asked(prefill, questions), Scorer(loaded, 4096, 0)
    with scorer.run(whole) as done:
        got = [one.log_probs for one in done.scores]
    alone = Forest()
    span = alone.add(prefill.path[1], alone.add(prefill.path[0]))
    for question in questions:
        alone.ask(alone.add(question, span), TRIE)
    with small.run(alone) as done:
        for values, one in zip(got, done.scores, strict=True):
            assert values == pytest.approx(one.log_probs, abs=FLOAT32)


@given(st.integers(1, 90), st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 60), st.booleans())
def test_a_pass_keeps_within_its_budget_with_the_chunks_that_go_with_it(
    document: int, questions: list[int], chunk: int, began: bool
) -> None:
    budget, forest = 100, Forest()
    root = forest.add([3] * document)
    for number, length in enumerate(questions):
        forest.ask(forest.add([10 + number] * length, root), TRIE)
    prefill = Prefill(((5,) * 120,), done=50 if began else 0)
    forest.read(prefill, chunk)
    asks = range(len(questions))
    parts = parts_of(forest, asks, budget, read_tokens=chunk)
    assert [ask for part in parts for ask in part] == list(asks)
    own = [questions[ask] + len(TRIE.tokens) for ask in asks]
    first, *behind = [sum(own[ask] for ask in part) for part in parts]
    assert document + first + chunk <= budget or len(parts[0]) == 1
    assert all(tokens <= budget // 4 or len(part) == 1 for tokens, part in zip(behind, parts[1:], strict=True))


@given(st.integers(120, 400), st.lists(st.integers(1, 9), min_size=2, max_size=20))
def test_of_a_document_that_was_read_a_part_takes_as_many_questions_as_fit(document: int, questions: list[int]) -> None:
    budget, forest = 100, Forest()
    root = forest.add([3] * document)
    for number, length in enumerate(questions):
        forest.ask(forest.add([10 + number] * length, root), TRIE)
    parts = parts_of(forest, range(len(questions)), budget, {root})
    own = [length + len(TRIE.tokens) for length in questions]
    for part, behind in pairwise(parts):
        assert sum(own[ask] for ask in part) <= budget // 4 < sum(own[ask] for ask in [*part, behind[0]])


def test_prompts_are_given_what_was_read_of_their_kind() -> None:
    forest, spans = Forest(), dict[bool, int]()
    for number, long in enumerate((False, True)):
        held = HeldPrefix(3)
        held.put(0, [(torch.full((1, 3, 2), number), torch.full((1, 3, 2), number))])
        prefill = Prefill(((3, 4), (5 + number,)), long=long, done=3, kept=held)
        spans[long] = forest.add((5 + number,), forest.add((3, 4), begun=prefill), begun=prefill)
        forest.give(spans[long], prefill)
    for long, last in spans.items():
        found = given_spans(forest, long)
        assert sorted(found) == forest.ancestry(last)
        assert [keys.shape[1] for ((keys, _),) in found.values()] == [2, 1]
        assert all((keys == int(long)).all() for ((keys, _),) in found.values())


def test_a_reason_behind_chunks_is_that_behind_the_whole(small_mixtral: Pair) -> None:
    scorer = Scorer(small_mixtral[0], 4096, 0)
    prefill = Prefill(path_of(200, 2))
    read(scorer, prefill, [64])
    forest, alone = asked(prefill, [[510, 511]]), Forest()
    span = alone.add(prefill.path[1], alone.add(prefill.path[0]))
    alone.ask(alone.add([510, 511], span), TRIE)
    told = list[Any]()
    for each in (forest, alone):
        with scorer.run(each, explain=True) as done:
            told.append(done.explain(0, "yes"))
    assert told[0] == told[1]
    assert told[0][1] <= generate.MOST_TOKENS


def test_a_chunk_of_long_prompts_beside_short_ones_is_computed_once() -> None:
    scorer = scorer_of(with_our_attention(random_model(configuration("phi3, longrope"))))
    forest, prefill = Forest(), Prefill(path_of(60, 4), long=True)
    forest.ask(forest.add([510, 511]), TRIE)
    forest.read(prefill, 30)
    with scorer.run(forest) as done:
        assert done.computed_tokens == forest.total_tokens
    assert prefill.done == 30


def test_a_prompt_that_nobody_read_ahead_is_read_in_chunks_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = random_model(configuration("phi3, longrope"))
    scorer, same_bits = scorer_of(with_our_attention(copy.deepcopy(plain))), list[bool]()

    def noted(*given: Any, **more: Any) -> list[list[float]]:
        same_bits.append(more["same_bits"])
        return score(*given, **more)

    monkeypatch.setattr(forest_scorer, "score", noted)
    scorer.token_budget, path, forest = 25, path_of(60, 8), Forest(same_bits=True)
    forest.ask(forest.add([510, 511], forest.add(path[1], forest.add(path[0]))), TRIE)
    with scorer.run(forest) as done:
        assert done.computed_tokens == forest.total_tokens
        found = done.scores[0].log_probs
    expected = [label_log_prob(plain, [*path[0], *path[1], 510, 511], label, STOP) for label in LABELS]
    assert found == pytest.approx(expected, abs=FLOAT32)
    assert same_bits == [True] * 4, "three chunks, and what is asked behind them"


def test_no_pass_is_larger_than_its_budget_for_a_chunk_beside_it(
    small_mixtral: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, rows = Scorer(small_mixtral[0], 100, 0), list[int]()

    def noted(model: PreTrainedModel, row: PackedRow, *given: Any, **more: Any) -> list[list[float]]:
        rows.append(len(row.tokens))
        return score(model, row, *given, **more)

    monkeypatch.setattr(forest_scorer, "score", noted)
    forest, prefill = Forest(), Prefill(path_of(80, 9))
    document = forest.add(range(10, 60))
    for number in range(4):
        forest.ask(forest.add([500 + number, 510, 511], document), TRIE)
    forest.read(prefill, 40)
    with scorer.run(forest) as done:
        assert done.computed_tokens == sum(rows) == forest.total_tokens
    assert prefill.done == 40 and max(rows) <= 100


def test_what_a_part_holds_for_later_outlasts_a_prompt_that_is_read_in_chunks(small_mixtral: Pair) -> None:
    scorer, forest = Scorer(small_mixtral[0], 50, 0), Forest()
    document, other = forest.add(range(10, 50)), forest.add(range(100, 170))
    for span, question in ((document, 500), (other, 501), (document, 502)):
        forest.ask(forest.add([question, 510], span), TRIE)
    with scorer.run(forest) as done:
        assert done.computed_tokens == forest.total_tokens
