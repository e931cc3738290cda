"""What a pass holds beside its widest moment: copies for later, counted and planned; and the look at the baseline."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pinpoint.engine import baseline, forest_scorer
from pinpoint.engine.baseline import Baseline
from pinpoint.engine.forward.prefix_cache import PassCache
from pinpoint.engine.forward.steps import RecordedSteps
from pinpoint.engine.loading.load import LoadedModel
from pinpoint.engine.scorer import AVAILABLE_READ_S, Scorer
from pinpoint.engine.weights import experts
from pinpoint.planning.memory_plan import plan
from pinpoint.planning.model_shapes import shape_from_config
from pinpoint.planning.shape import ModelShape
from pinpoint.planning.weight_bytes import kv_bytes_per_token
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.prefill import Prefill
from pinpoint.prompting.span_tree import Forest
from tests.models import chatml_tokenizer, configurations, load_cpu, save_random
from tests.numeric.conftest import Pair
from tests.numeric.peak_bytes import measured

TOKENS = 900
STORE_BYTES = 10_000_000


@pytest.fixture(scope="module", params=["mixtral", "llama", "qwen3_moe"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """Small models in the dtype that a GPU computes in."""
    tokenizer = chatml_tokenizer()
    folder = tmp_path_factory.mktemp(request.param)
    saved = save_random(configurations(len(tokenizer))[request.param], tokenizer, folder)
    return load_cpu(saved, compute_dtype="bfloat16")


@pytest.fixture(autouse=True)
def experts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows of an expert at a time, as on CUDA, which the plan is of."""
    monkeypatch.setattr(experts, "CPU_ROWS", 10**9)


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[PassCache]]:
    """The caches of all passes, as the scorer made them."""
    made: list[PassCache] = []

    def noted(*given: Any) -> PassCache:
        made.append(PassCache(*given))
        return made[-1]

    monkeypatch.setattr(forest_scorer, "PassCache", noted)
    yield made


def a_forest(scorer: Scorer, *, long_list: bool = False) -> Forest:
    """A shared beginning, and two documents with a question each; the second has a list that is bounded first."""
    forest, stop = Forest(), scorer.prompts.encoder.stop
    short = build_trie([(70,), (71, 72)], stop)
    labels = [(60 + i, 61 + i, 62 + i, 63 + i) for i in range(100)]
    long = build_trie(labels, stop)
    root = forest.add(range(10, 40), shared=True)
    forest.ask(forest.add([41] * 400, root), short)
    if long_list:
        forest.ask(forest.add([42] * 120, root), long, exact_best=1)
    else:
        forest.ask(forest.add([42] * (TOKENS - 430), root), short)
    return forest


def shape_of(loaded: LoadedModel) -> ModelShape:
    return shape_from_config(loaded.model.config.to_dict(), "small")


def test_a_pass_copies_what_is_wanted_later_and_nothing_else(loaded: LoadedModel, wanted: list[PassCache]) -> None:
    for store_bytes, explain, spans in (
        (STORE_BYTES, False, {0}),
        (0, False, set()),
        (STORE_BYTES, True, {0, 1, 2}),
        (0, True, {0, 1, 2}),
    ):
        scorer = Scorer(loaded, 4096, store_bytes)
        with scorer.run(a_forest(scorer), explain=explain):
            pass
        assert set(wanted[-1].taken) == spans, (store_bytes, explain)
    scorer = Scorer(loaded, 4096, 0)
    wanted.clear()  # a scorer tries itself when it is made
    with scorer.run(a_forest(scorer, long_list=True)):
        pass
    first, *others = wanted
    assert set(first.taken) == {0, 2}, "of the bounded ask's path alone"
    assert others, "the list was to be settled by more passes"
    assert all(not cache.taken for cache in others)


def test_what_is_taken_is_a_copy_that_holds_no_more_than_itself(loaded: LoadedModel, wanted: list[PassCache]) -> None:
    scorer = Scorer(loaded, 4096, STORE_BYTES)
    forest = a_forest(scorer)
    with scorer.run(forest, explain=True):
        taken = {span: list(layers) for span, layers in wanted[-1].taken.items()}
    assert len(taken) == 3
    for span, layers in taken.items():
        for keys, values in layers:
            for tensor in (keys, values):
                assert tensor.shape[1] == len(forest.tokens[span])
                # A view would keep the whole row's keys alive for as long as the store keeps the span.
                assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def peak(scorer: Scorer, run: Callable[[Scorer], object]) -> int:
    scorer.store.clear()
    return measured(lambda: run(scorer))


def test_copies_take_what_is_planned_for_them(loaded: LoadedModel) -> None:
    scorer, shape = Scorer(loaded, 4096, 0), shape_of(loaded)

    def passing(explain: bool) -> Callable[[Scorer], None]:
        def run(given: Scorer) -> None:
            with given.run(a_forest(given), explain=explain):
                pass

        return run

    tokens = a_forest(scorer).total_tokens
    copies = kv_bytes_per_token(shape) * tokens
    taken = peak(scorer, passing(True)) - peak(scorer, passing(False))
    # The labels' own tokens are not kept, and the last layer's copies come after the widest moment at times.
    assert 0.4 * copies < taken <= copies
    made = plan(shape, "int8", 10**9, 0, store_bytes=0)
    assert made.kept_token_bytes * tokens == copies
    assert made.pass_bytes(2 * tokens) - made.pass_bytes(tokens) >= copies


def test_a_reason_takes_no_more_than_is_planned(loaded: LoadedModel) -> None:
    scorer, shape = Scorer(loaded, 4096, 0), shape_of(loaded)
    planned = next(
        stage for stage in plan(shape, "int8", 10**9, 0, store_bytes=0).stages if stage.name == "explanation"
    )
    forest = a_forest(scorer)
    with scorer.run(forest, explain=True) as done:
        prompt = len(forest.prompt(forest.asks[1].span))
        taken = measured(lambda: done.explain(1, "ab"))
    assert 0.3 * planned.peak_bytes(prompt) < taken <= planned.peak_bytes(prompt)


def test_a_pass_and_its_reason_take_no_more_than_is_planned(loaded: LoadedModel) -> None:
    scorer, shape = Scorer(loaded, 4096, 0), shape_of(loaded)
    made, forest = plan(shape, "int8", 10**9, 0, store_bytes=0), Forest()
    forest.ask(forest.add([42] * 1000), build_trie([(70,), (71, 72)], scorer.prompts.encoder.stop))

    def run() -> None:
        with scorer.run(forest, explain=True) as done:
            done.explain(0, "ab")

    stages = max(stage.peak_bytes(forest.total_tokens) for stage in made.stages)
    assert measured(run) <= made.pass_bytes(forest.total_tokens) < stages * 2
    assert made.pass_bytes(forest.total_tokens) == stages + kv_bytes_per_token(shape) * forest.total_tokens


def test_a_long_list_takes_no_more_than_is_planned(loaded: LoadedModel) -> None:
    scorer, shape = Scorer(loaded, 4096, 0), shape_of(loaded)
    made = plan(shape, "int8", 10**9, 0, store_bytes=0)
    forest = a_forest(scorer, long_list=True)

    def run() -> None:
        with scorer.run(forest):
            pass

    taken, planned = measured(run), made.pass_bytes(forest.total_tokens)
    assert 0.3 * planned < taken <= planned


# The baseline


def test_every_pass_is_compared_with_the_baseline(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer(loaded, 4096, STORE_BYTES)
    assert scorer.baseline is None, "there is nothing to compare on a CPU"
    held, checks = [1000], list[tuple[int, bool]]()

    class Noted(Baseline):
        def check(self, store_bytes: int, recorded: bool = False) -> int:
            checks.append((store_bytes, recorded))
            return super().check(store_bytes, recorded)

    scorer.baseline = Noted(lambda: held[0] + scorer.store.bytes, batches=3)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: held[0])
    with scorer.run(a_forest(scorer)):
        assert not checks, "the pass's own keys and values are still there"
    scorer._steps = RecordedSteps(0, lambda call, pool: (call, pool))
    with scorer.run(a_forest(scorer), explain=True) as done:
        done.explain(0, "ab")
        scorer._steps.made += 1
    stored = scorer.store.bytes
    assert stored > 0
    assert checks == [(stored, False), (stored, True)]
    for _ in range(3):
        held[0] += 8
        with scorer.run(a_forest(scorer)):
            pass
    assert scorer.drifted
    assert len(checks) == 5


def test_what_is_held_of_long_documents_is_no_drift_and_no_baseline(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Scorer(loaded, 4096, 0)
    scorer.baseline = Baseline(lambda: 1000 + scorer.held_bytes, batches=2)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 1000 + scorer.held_bytes)
    with scorer.run(a_forest(scorer)):
        pass
    prefill = Prefill((tuple(range(10, 60)),))
    for _ in range(5):
        forest = Forest()
        forest.read(prefill, 10)
        with scorer.run(forest):
            pass
        assert scorer.held_bytes > 0
        assert scorer.memory().baseline_bytes == 1000
    assert not scorer.drifted


def test_what_is_recorded_belongs_to_the_baseline(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer(loaded, 4096, 0)
    held = [1000]
    scorer.baseline = Baseline(lambda: held[0], batches=1)
    scorer.baseline.check(0)

    def record(most_tokens: int) -> list[int]:
        held[0] += most_tokens
        return [most_tokens]

    monkeypatch.setattr(scorer.recorder, "record", record)
    monkeypatch.setattr(baseline, "requested_bytes", lambda _: held[0])
    assert scorer.record() == [4096]
    assert scorer.baseline.check(0) == 0 and not scorer.drifted


def test_a_pass_whose_caller_fails_lets_its_keys_and_values_go(loaded: LoadedModel) -> None:
    scorer = Scorer(loaded, 4096, 0)
    with pytest.raises(KeyError), scorer.run(a_forest(scorer), explain=True) as done:
        raise KeyError
    assert not any(done._layers.values())


def test_what_the_machine_has_left_is_read_again_after_a_while(
    small_mixtral: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer, now, left = Scorer(small_mixtral[0], 4096, 0), [1000.0], [7]
    monkeypatch.setattr("pinpoint.engine.scorer.time.monotonic", lambda: now[0])
    monkeypatch.setattr("pinpoint.engine.scorer.psutil.virtual_memory", lambda: SimpleNamespace(available=left[0]))
    scorer._read_s = now[0] - AVAILABLE_READ_S
    found = list[int]()
    for later, bytes_left in ((0, 7), (0.75, 6), (0.25, 5), (0.75, 4), (0.25, 3)):
        now[0], left[0] = now[0] + later * AVAILABLE_READ_S, bytes_left
        found.append(scorer.memory().free_bytes)
    assert found == [7, 7, 5, 5, 3]
