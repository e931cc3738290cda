"""Questions asked in an open pass have the scores that they have when all is asked at once."""

import weakref
from typing import Any

import pytest
import torch

from pinpoint.engine import forest_scorer
from pinpoint.engine.forward.prefix_cache import PassCache
from pinpoint.engine.scorer import Scorer
from pinpoint.errors import OutOfMemory
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.prefill import Prefill
from pinpoint.prompting.span_tree import NO_PARENT, Forest
from tests.numeric.conftest import Pair
from tests.numeric.tolerances import FLOAT32

TRIE = build_trie([(5, 6), (5,), (7, 8, 9)], stop=2)
ROOT, DOCUMENTS = list(range(10, 22)), [list(range(30, 70)), list(range(40, 90)), list(range(80, 95))]
QUESTIONS = [[3 + number, 100, 101 + number] for number in range(4)]


def ask(forest: Forest, document: int, question: int) -> int:
    root = forest.add(ROOT, shared=True)
    span = forest.add(DOCUMENTS[document], root)
    forest.open |= {root, span}
    return forest.ask(forest.add(QUESTIONS[question], span), TRIE)


@pytest.mark.parametrize("explain", [False, True])
@pytest.mark.parametrize(("store_bytes", "budget"), [(0, 8192), (10_000_000, 8192), (0, 256)])
def test_more_questions_are_scored_as_if_asked_at_once(
    small_mixtral: Pair, store_bytes: int, budget: int, explain: bool
) -> None:
    scorer = Scorer(small_mixtral[0], token_budget=budget, prefix_store_bytes=store_bytes)
    together = Forest()
    rounds = [[(0, 0), (1, 0), (2, 0)], [(2, 1), (0, 2), (0, 3)], [(1, 3)]]
    for document, question in [one for each in rounds for one in each]:
        ask(together, document, question)
    for _ in range(2):  # the second time, the root may come from the store
        with scorer.run(together) as done:
            expected = [one.log_probs for one in done.scores]
            tokens, stored = done.computed_tokens, done.stored_tokens
        forest = Forest()
        for document, question in rounds[0]:
            ask(forest, document, question)
        with scorer.run(forest, explain=explain) as done:
            for each in rounds[1:]:
                for document, question in each:
                    ask(forest, document, question)
                done.more()
            scores = [one.log_probs for one in done.scores]
            # What came before the questions is computed once.
            assert done.computed_tokens + done.stored_tokens == tokens + stored
        for got, wanted in zip(scores, expected, strict=True):
            assert got == pytest.approx(wanted, abs=FLOAT32)


def test_a_document_that_nobody_left_open_is_computed_again(small_mixtral: Pair) -> None:
    scorer = Scorer(small_mixtral[0], token_budget=8192)
    forest = Forest()
    root = forest.add(ROOT)
    forest.ask(forest.add(QUESTIONS[0], root), TRIE)
    with scorer.run(forest) as done:
        before = done.computed_tokens
        forest.ask(forest.add(QUESTIONS[1], root), TRIE)
        done.more()
        assert done.computed_tokens == before + len(ROOT) + len(QUESTIONS[1]) + len(TRIE.tokens)
        got = done.scores[1].log_probs
    alone = Forest()
    alone.ask(alone.add(QUESTIONS[1], alone.add(ROOT, NO_PARENT)), TRIE)
    with scorer.run(alone) as done:
        assert got == pytest.approx(done.scores[0].log_probs, abs=FLOAT32)


def test_a_chunk_is_read_once_however_often_more_is_asked(small_mixtral: Pair) -> None:
    scorer = Scorer(small_mixtral[0], token_budget=8192)
    forest, prefill = Forest(), Prefill((tuple(ROOT), tuple(DOCUMENTS[0])))
    ask(forest, 1, 0)
    forest.read(prefill, 20)
    with scorer.run(forest) as done:
        before = done.computed_tokens
        ask(forest, 1, 1)
        done.more()
        assert done.computed_tokens == before + len(QUESTIONS[1]) + len(TRIE.tokens)
    assert prefill.done == 20


def test_a_document_is_let_go_before_a_part_that_asks_nothing_of_it(
    small_mixtral: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, alive = list[weakref.ref[Any]](), list[int]()

    class Noted(PassCache):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            alive.append(sum(tensor() is not None for tensor in taken))

        def update(self, *given: Any, **more: Any) -> Any:
            found = super().update(*given, **more)
            taken.extend(weakref.ref(layers[-1][0]) for layers in self.taken.values())
            return found

    scorer, forest = Scorer(small_mixtral[0], token_budget=50), Forest()
    monkeypatch.setattr(forest_scorer, "PassCache", Noted)
    for document in (DOCUMENTS[0], DOCUMENTS[1][:40]):
        span = forest.add(document)
        for question in range(2):
            forest.ask(forest.add(QUESTIONS[question], span), TRIE)
    with scorer.run(forest):
        layers = small_mixtral[0].model.config.num_hidden_layers
        assert alive == [0, layers, 0, layers]


def test_memory_that_runs_out_in_an_open_pass_is_told_as_in_its_first(
    small_mixtral: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError

    forest = Forest()
    ask(forest, 0, 0)
    with Scorer(small_mixtral[0], token_budget=8192).run(forest) as done:
        ask(forest, 0, 1)
        monkeypatch.setattr(forest_scorer, "score", fails)
        with pytest.raises(OutOfMemory):
            done.more()
