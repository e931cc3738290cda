"""The prefix store, and that scores do not tell whether a beginning was computed or kept."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.engine.forward.parts import store_key
from pinpoint.engine.forward.prefix_cache import HeldPrefix, Key, Layers, PassCache, PrefixStore
from pinpoint.engine.loading.load import LoadedModel
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.prefill import Prefill
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from tests.models import chatml_tokenizer, configurations, load_cpu, save_random
from tests.numeric.conftest import Pair
from tests.numeric.tolerances import FLOAT32
from tests.reference.scoring import label_log_prob

TOKEN_BYTES = 2 * 4 * 3  # keys and values, float32, three numbers a token
PATHS: list[Key] = [((name,),) for name in (1, 2, 3, 4)]
LARGE_BYTES = 10_000_000
NAMES = ("invoice", "receipt", "gas", "gas bill", "purchase order")
KIND = Task("category", tuple(Label(name, name) for name in NAMES))
TONE = Task("tone", tuple(Label(name, name) for name in ("friendly", "angry")))
FLAGS = Task("flags", KIND.labels[:2], multi_label=True)
TEXTS = ("Total due: 99.50 EUR.", "Paid by card, keep for the warranty.", "short")


def layers(tokens: int, value: float = 0.0) -> Layers:
    """One layer of one head of size 3."""
    return [(torch.full((1, tokens, 3), value), torch.full((1, tokens, 3), value))]


def test_what_was_put_is_found_and_both_outcomes_are_counted() -> None:
    store = PrefixStore(10 * TOKEN_BYTES)
    assert store.get(((1, 2),)) is None
    kept = layers(2)
    store.put(((1, 2),), kept)
    assert store.get(((1, 2),)) is kept
    assert store.get(((1,),)) is None
    assert (store.hits, store.misses, store.bytes, len(store)) == (1, 2, 2 * TOKEN_BYTES, 1)


def test_what_was_used_longest_ago_goes_first() -> None:
    store = PrefixStore(3 * TOKEN_BYTES)
    for path in PATHS[:3]:
        store.put(path, layers(1))
    store.get(((1,),))
    store.put(PATHS[3], layers(1))
    assert [store.get(path) is not None for path in PATHS] == [True, False, True, True]
    store.put(((5,),), layers(3))
    assert (len(store), store.bytes) == (1, 3 * TOKEN_BYTES)


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 4), (torch.bfloat16, 2)])
def test_what_is_held_of_a_long_document_is_told_in_bytes_of_all_of_it(dtype: torch.dtype, size: int) -> None:
    held = HeldPrefix(7)
    assert held.bytes == 0
    held.put(0, [(torch.ones(2, 3, 4, dtype=dtype), torch.ones(2, 3, 5, dtype=dtype))] * 3)
    assert held.bytes == 3 * 2 * 7 * (4 + 5) * size


def test_a_store_that_was_cleared_has_all_of_its_room() -> None:
    store = PrefixStore(2 * TOKEN_BYTES)
    for _ in range(2):
        assert store.put(PATHS[0], layers(2))
        store.clear()
        assert (len(store), store.bytes) == (0, 0)
        assert store.get(PATHS[0]) is None


def test_what_is_larger_than_the_store_is_not_kept_and_pushes_nothing_out() -> None:
    store = PrefixStore(2 * TOKEN_BYTES)
    store.put(((1,),), layers(1))
    store.put(((2,),), layers(3))
    assert (len(store), store.bytes) == (1, TOKEN_BYTES)
    empty = PrefixStore(0)
    empty.put(((1,),), layers(1))
    assert len(empty) == 0


def test_the_same_path_is_kept_and_counted_once() -> None:
    store = PrefixStore(9 * TOKEN_BYTES)
    for _ in range(2):
        store.put(((1, 2),), layers(2))
    assert (len(store), store.bytes) == (1, 2 * TOKEN_BYTES)
    store.clear()
    assert (len(store), store.bytes, store.get(((1, 2),))) == (0, 0, None)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 5), st.booleans()), max_size=30), st.integers(0, 12))
def test_the_bytes_are_those_of_the_entries_and_never_over_the_limit(
    steps: list[tuple[int, int, bool]], room: int
) -> None:
    store = PrefixStore(room * TOKEN_BYTES)
    model: dict[Key, int] = {}  # a plain least-recently-used store, the oldest first
    for name, tokens, put in steps:
        path = ((name,),)
        if not put:
            assert (store.get(path) is not None) == (path in model)
            if path in model:
                model[path] = model.pop(path)
        else:
            store.put(path, layers(tokens))
            if path not in model and tokens <= room:
                while sum(model.values()) + tokens > room:
                    del model[next(iter(model))]
                model[path] = tokens
        assert store.bytes == TOKEN_BYTES * sum(model.values()) <= store.max_bytes
        assert len(store) == len(model)


@pytest.mark.parametrize("by_token", [True, False])
def test_what_is_kept_stands_before_the_row_in_the_layout_of_the_row(by_token: bool) -> None:
    first, second = layers(2, 7.0), layers(1, 8.0)
    row = torch.arange(24.0).view(1, 4, 2, 3).transpose(1, 2) if by_token else torch.arange(24.0).view(1, 2, 4, 3)
    wide = [(pair[0].expand(2, -1, -1), pair[1].expand(2, -1, -1)) for pair in (*first, *second)]
    keys, values = PassCache([[wide[0]], [wide[1]]], {}).update(row, -row, 0)
    assert torch.equal(keys, torch.cat([wide[0][0][None], wide[1][0][None], row], dim=2))
    assert torch.equal(values, torch.cat([wide[0][1][None], wide[1][1][None], -row], dim=2))
    for joined in (keys, values):
        assert (joined.stride(1) < joined.stride(2)) == by_token
        assert (joined.transpose(1, 2) if by_token else joined).is_contiguous()


def test_a_pass_shows_what_is_kept_and_copies_what_is_wanted() -> None:
    row = torch.arange(12.0).view(1, 1, 4, 3)
    cache = PassCache([layers(2, 7.0), layers(1, 8.0)], {5: (1, 3)})
    keys, values = cache.update(row, row + 100, 0)
    assert keys[0, 0, :, 0].tolist() == [7, 7, 8, 0, 3, 6, 9]
    assert values[0, 0, 3:, 0].tolist() == [100, 103, 106, 109]
    ((taken_keys, taken_values),) = cache.taken[5]
    assert torch.equal(taken_keys, row[0, :, 1:3]) and torch.equal(taken_values, row[0, :, 1:3] + 100)
    row.zero_()
    assert taken_keys.sum() > 0, "a copy, not a view"


@pytest.fixture(params=["mixtral", "qwen2"])
def loaded(
    request: pytest.FixtureRequest, small_mixtral: Pair, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LoadedModel]:
    if request.param == "mixtral":
        yield small_mixtral[0]
        return
    tokenizer = chatml_tokenizer()
    config = configurations(len(tokenizer))[request.param]
    yield load_cpu(save_random(config, tokenizer, tmp_path_factory.mktemp(request.param)))


def a_job(scorer: Scorer, texts: tuple[str, ...], *tasks: Task) -> Forest:
    """Asked in version 1 of the prompt, in which documents share their question."""
    forest, prompts = Forest(), PromptBuilder(scorer.prompts.encoder, 1)
    for text in texts:
        for task in tasks:
            prompts.add(forest, task, prompts.document(text))
    return forest


def scores_of(scorer: Scorer, forest: Forest) -> tuple[list[float], int, int]:
    """All scores in a row, tokens computed, tokens stored."""
    with scorer.run(forest) as done:
        return [s for one in done.scores for s in one.log_probs], done.computed_tokens, done.stored_tokens


def test_a_warm_store_gives_the_scores_of_a_cold_one(loaded: LoadedModel) -> None:
    scorer, without = Scorer(loaded, 8192, LARGE_BYTES), Scorer(loaded, 8192, 0)
    tasks = (KIND, TONE, FLAGS)
    forest = a_job(scorer, TEXTS, *tasks)
    plain, computed, stored = scores_of(without, forest)
    assert (computed, stored, len(without.store)) == (forest.total_tokens, 0, 0)
    cold, computed, stored = scores_of(scorer, forest)
    assert (computed, stored) == (forest.total_tokens, 0)
    shared = [span for span, is_shared in enumerate(forest.shared) if is_shared]
    assert len(shared) == len(scorer.store) == 3  # the root and two questions
    warm, computed, stored = scores_of(scorer, forest)
    assert stored == sum(len(forest.tokens[span]) for span in shared) > 0
    assert computed == forest.total_tokens - stored
    assert cold == pytest.approx(plain, abs=FLOAT32)
    assert warm == pytest.approx(plain, abs=FLOAT32)


def test_another_job_with_the_same_question_finds_it_and_one_with_another_the_root_alone(small_mixtral: Pair) -> None:
    loaded, plain = small_mixtral
    scorer = Scorer(loaded, 8192, LARGE_BYTES)
    scores_of(scorer, a_job(scorer, TEXTS[:1], KIND))
    for task, spans in ((KIND, 2), (TONE, 1)):
        forest = a_job(scorer, TEXTS[1:], task)
        path = forest.ancestry(forest.asks[0].span)
        warm, _, stored = scores_of(scorer, forest)
        assert stored == sum(len(forest.tokens[span]) for span in path[:spans])
        stop = scorer.prompts.encoder.stop
        slow = [
            label_log_prob(plain, forest.prompt(ask.span), label, stop)
            for ask in forest.asks
            for label in ask.trie.labels
        ]
        assert warm == pytest.approx(slow, abs=FLOAT32)


def test_a_store_too_small_for_all_of_it_still_gives_the_same_scores(small_mixtral: Pair) -> None:
    scorer = Scorer(small_mixtral[0], 8192, LARGE_BYTES)
    forest = a_job(scorer, TEXTS, KIND, TONE)
    plain, _, _ = scores_of(scorer, forest)
    tight = Scorer(small_mixtral[0], 8192, scorer.store.bytes - 1)
    for _ in range(3):
        scores, computed, stored = scores_of(tight, forest)
        assert scores == pytest.approx(plain, abs=FLOAT32)
        assert computed + stored == forest.total_tokens
        assert tight.store.bytes <= tight.store.max_bytes


def test_the_same_beginning_cut_elsewhere_is_not_mistaken_for_it(small_mixtral: Pair) -> None:
    scorer = Scorer(small_mixtral[0], 8192, LARGE_BYTES)
    trie = build_trie([(70,), (71, 72)], scorer.prompts.encoder.stop)
    in_two, in_one = Forest(), Forest()
    in_two.ask(in_two.add((40,), in_two.add((30, 31), in_two.add((10, 11, 12), shared=True), shared=True)), trie)
    in_one.ask(in_one.add((40,), in_one.add((10, 11, 12, 30, 31), shared=True)), trie)
    first, _, _ = scores_of(scorer, in_two)
    second, _, _ = scores_of(scorer, in_one)
    assert second == pytest.approx(first, abs=FLOAT32)


def test_each_owner_and_each_set_of_frequencies_has_keys_of_its_own() -> None:
    forest = Forest()
    spans = [forest.add((1, 2), forest.add((9,), owner=owner), owner=owner) for owner in ("", "a", "b", "ab", "é")]
    keys = [store_key(forest, span, long) for span in spans for long in (False, True)]
    assert len(set(keys)) == len(keys)
    assert keys[0] == forest.path(spans[0]) == ((9,), (1, 2))
    assert all(key[-2:] == keys[0] for key in keys)


def test_what_was_computed_for_the_same_bits_is_kept_apart() -> None:
    keys = set()
    for same_bits in (False, True):
        forest = Forest(same_bits=same_bits)
        keys.add(store_key(forest, forest.add((1, 2), shared=True), False))
    assert len(keys) == 2


def test_each_part_of_a_forest_finds_what_is_kept_below_what_the_part_before_it_read(small_mixtral: Pair) -> None:
    scorer, trie = Scorer(small_mixtral[0], 60, LARGE_BYTES), build_trie([(70,), (71, 72)], 2)
    forest = Forest(same_bits=True)
    root = forest.add(range(10, 30), shared=True)
    for start in (100, 200):
        question = forest.add(range(start, start + 10), root, shared=True)
        forest.ask(forest.add(range(start + 20, start + 35), question), trie)
    cold, computed, _ = scores_of(scorer, forest)
    assert computed == forest.total_tokens > 60, "in parts"
    warm, computed, stored = scores_of(scorer, forest)
    assert (computed, stored) == (forest.total_tokens - 40, 40)
    assert warm == cold, "to the bit"


def test_a_pass_tells_what_each_of_its_parts_found_and_kept(small_mixtral: Pair) -> None:
    scorer, forest = Scorer(small_mixtral[0], 60, LARGE_BYTES), Forest()
    for start in (100, 200):
        question = forest.add(range(start, start + 30), shared=True)
        forest.ask(forest.add(range(start + 20, start + 35), question), build_trie([(70,), (71, 72)], 2))
    none, questions = frozenset[int](), frozenset({0, 2})
    for found, kept in ((none, questions), (questions, none)):
        with scorer.run(forest) as done:
            assert (done.found, done.kept) == (found, kept)


def test_spans_that_a_prefill_began_neither_go_to_the_store_nor_come_from_it(small_mixtral: Pair) -> None:
    scorer = Scorer(small_mixtral[0], 1000, LARGE_BYTES)

    def stored(begun: Prefill | None) -> int:
        forest = Forest()
        span = forest.add((5, 6, 7), shared=True, begun=begun)
        forest.ask(forest.add((8, 9), span, begun=begun), build_trie([(70,), (71, 72)], 2))
        return scores_of(scorer, forest)[2]

    prefill = Prefill(((5, 6, 7),))
    assert [stored(prefill), stored(None), stored(prefill), stored(None)] == [0, 0, 0, 3]
