"""Long lists of labels: bounding those that cannot matter changes no score that anybody could see."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from pinpoint.api.request import Options
from pinpoint.decide.decision import decide
from pinpoint.engine import forest_scorer
from pinpoint.engine.forest_pass import AskScores
from pinpoint.engine.forward.parts import TRIE_SHARE_AT_ONCE, TRIE_TOKENS_AT_ONCE
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.label_trie import LabelTrie, build_trie
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from tests.models import chatml_tokenizer, configurations, load_cpu, save_random
from tests.numeric.tolerances import FLOAT32

LABELS = 217
MANY = Task("category", tuple(Label(str(n), f"label {n}") for n in range(LABELS)))
# What makes a random model as sure of itself as a trained one: a head this much larger, and so much likelier to stop.
SHARPER = 16.0
STOPS = 30.0
# The head enlarges the rounding of what comes before it.
TOLERANCE = SHARPER * FLOAT32
LARGE_BYTES = 10_000_000


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """A small Mixtral whose distributions are peaked."""
    folder: Path = tmp_path_factory.mktemp("peaked")
    tokenizer = chatml_tokenizer()
    loaded = load_cpu(save_random(configurations(len(tokenizer))["mixtral"], tokenizer, folder))
    scorer = Scorer(loaded, 65_536, LARGE_BYTES)
    weight = loaded.model.get_output_embeddings().weight * SHARPER
    head = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.zero_()[scorer.prompts.encoder.stop] = STOPS
    loaded.model.set_output_embeddings(head.requires_grad_(False))
    return scorer


def many_labels(scorer: Scorer, seed: int = 0) -> LabelTrie:
    """Most of one token, some longer, and some that begin others."""
    rng = random.Random(seed)
    words = rng.sample(range(3, 600), 150)
    labels: set[tuple[int, ...]] = {(word,) for word in words}
    while len(labels) < LABELS:
        labels.add(tuple(rng.choices(words, k=rng.randint(2, 4))))
    return build_trie(rng.sample(sorted(labels), LABELS), scorer.prompts.encoder.stop)


def job(tries: list[LabelTrie], exact_best: int | None) -> Forest:
    """Three prompts under one kept beginning, each asked everything."""
    rng = random.Random(1)
    forest = Forest()
    root = forest.add(rng.choices(range(3, 600), k=20), shared=True)
    for length in (5, 60, 1):
        span = forest.add(rng.choices(range(3, 600), k=length), root)
        for trie in tries:
            forest.ask(span, trie, exact_best)
    return forest


def measured(scorer: Scorer, forest: Forest) -> tuple[list[AskScores], int]:
    scorer.store.clear()
    with scorer.run(forest) as done:
        return done.scores, done.computed_tokens


@pytest.mark.parametrize("best", [2, 5])
def test_bounded_scores_are_the_exact_ones_to_the_last_decimal_of_the_wire(scorer: Scorer, best: int) -> None:
    trie = many_labels(scorer)
    exact, exact_tokens = measured(scorer, job([trie], None))
    bounded, bounded_tokens = measured(scorer, job([trie], best))
    assert all(one.bounded == frozenset() for one in exact)
    # Else nothing is tested: many labels are left to their bound, and that is cheaper.
    assert all(len(one.bounded) > LABELS / 3 for one in bounded)
    assert bounded_tokens < exact_tokens
    for one, other in zip(exact, bounded, strict=True):
        # The computed ones as in the exact pass: what is compared is the bounding, not the rounding of two passes.
        mixed = [other.log_probs[k] if k in other.bounded else s for k, s in enumerate(one.log_probs)]
        true, shown = (decide(log_probs, MANY, Options()) for log_probs in (one.log_probs, mixed))
        in_true, in_shown = (dict(zip(answer.labels, answer.scores, strict=True)) for answer in (true, shown))
        assert [in_shown[name] for name in in_true] == pytest.approx(list(in_true.values()), abs=1e-6)
        assert shown.labels[:best] == true.labels[:best]
        for k in range(LABELS):
            if k in other.bounded:
                assert one.log_probs[k] <= other.log_probs[k] + TOLERANCE
            else:
                assert other.log_probs[k] == pytest.approx(one.log_probs[k], abs=TOLERANCE)
        best_first = sorted(range(LABELS), key=lambda k: -one.log_probs[k])
        assert not other.bounded & set(best_first[:best])


def test_short_lists_and_long_ones_share_a_pass_and_only_the_long_ones_are_bounded(scorer: Scorer) -> None:
    few, many = build_trie([(9,), (9, 10), (11,)], scorer.prompts.encoder.stop), many_labels(scorer)
    assert len(few.tokens) <= TRIE_TOKENS_AT_ONCE < len(many.tokens)
    alone, _ = measured(scorer, job([few, many, few], None))
    together, _ = measured(scorer, job([few, many, few], 2))
    for ask, (one, other) in enumerate(zip(alone, together, strict=True)):
        assert bool(other.bounded) == (ask % 3 == 1)
        computed = [k for k in range(len(one.log_probs)) if k not in other.bounded]
        for k in computed:
            assert other.log_probs[k] == pytest.approx(one.log_probs[k], abs=TOLERANCE)


def test_a_warm_store_changes_no_bounded_score(scorer: Scorer) -> None:
    forest = job([many_labels(scorer)], 2)
    cold, cold_tokens = measured(scorer, forest)
    with scorer.run(forest) as done:
        assert done.stored_tokens == len(forest.tokens[0])
        assert done.computed_tokens == cold_tokens - done.stored_tokens
        for one, other in zip(cold, done.scores, strict=True):
            assert one.bounded == other.bounded
            assert other.log_probs == pytest.approx(one.log_probs, abs=TOLERANCE)


def test_labels_are_asked_in_any_order(scorer: Scorer) -> None:
    """Scores come back by the caller's order, whatever the order of computing them was."""
    trie = many_labels(scorer)
    order = random.Random(2).sample(range(LABELS), LABELS)
    shuffled = trie.subset(order)
    for one, other in zip(measured(scorer, job([trie], 2))[0], measured(scorer, job([shuffled], 2))[0], strict=True):
        assert other.log_probs == pytest.approx([one.log_probs[k] for k in order], abs=TOLERANCE)
        assert {order[k] for k in other.bounded} == one.bounded


def test_a_list_is_bounded_or_not_by_its_own_prompt_whatever_else_is_asked(scorer: Scorer) -> None:
    """Beside a document of four times its nodes a list is laid at once: a second pass would cost more."""
    trie = many_labels(scorer)
    long = int(len(trie.tokens) / TRIE_SHARE_AT_ONCE)

    def labels_bounded(*lengths: int) -> list[bool]:
        rng = random.Random(3)
        forest = Forest()
        root = forest.add(rng.choices(range(3, 600), k=2 * long), shared=True)  # shared with others: not its own
        for length in lengths:
            forest.ask(forest.add(rng.choices(range(3, 600), k=length), root), trie, 2)
        return [bool(scores.bounded) for scores in measured(scorer, forest)[0]]

    assert labels_bounded(long) == [False]
    assert labels_bounded(long - 1) == [True]
    assert labels_bounded(long, long - 1, long) == [False, True, False]


def test_rounds_that_settle_a_list_are_numbered_and_their_tokens_counted(
    scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number ends them: what bounds do not settle in a few rounds is computed."""
    trie, numbers = many_labels(scorer), list[int]()

    def one_by_one(bounds: Sequence[float], known: Mapping[int, float], best: int, rounds: int) -> list[int]:
        assert rounds == len(numbers)
        numbers.append(rounds)
        return long[rounds : rounds + 1]

    long = [k for k, label in enumerate(trie.labels) if len(label) > 1][:3]
    monkeypatch.setattr(forest_scorer, "undecided", one_by_one)
    forest = Forest()
    forest.ask(forest.add([5, 6, 7]), trie, 2)
    (scores,), tokens = measured(scorer, forest)
    assert len(numbers) == 4
    assert scores.bounded == set(range(LABELS)) - set(long)
    behind_first = sum(len(trie.subset([k]).after_first().tokens) for k in long)
    assert tokens == 3 + len(trie.first_tokens().tokens) + behind_first
