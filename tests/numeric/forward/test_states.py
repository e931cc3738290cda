"""States: those of the plain model, for the asks that want them, and the same bits in any company."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.engine.forward.packing import pack
from pinpoint.engine.forward.scoring import score
from pinpoint.engine.forward.states import States, projected
from pinpoint.engine.readings import STATE_FLOATS
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.span_tree import Forest
from tests.numeric.conftest import Pair
from tests.reference import states as reference

STOP = 2


def forest_of(lengths: tuple[int, ...], wanted: tuple[bool, ...]) -> Forest:
    forest = Forest()
    root = forest.add([5, 6, 7], shared=True)
    for length, state in zip(lengths, wanted, strict=True):
        span = forest.add([8 + place % 50 for place in range(length)], root)
        forest.ask(span, build_trie([(9,), (9, 10), (11,)], STOP), state=state)
    return forest


def test_a_state_is_that_of_the_prompts_last_token(pair: Pair) -> None:
    loaded, plain = pair
    forest = forest_of((4, 30, 1), (True, False, True))
    states = States(forest.asks)
    with_states = score(loaded.model, pack(forest), states=states)
    assert with_states == score(loaded.model, pack(forest)), "and scores stay what they are"
    assert states.found.keys() == {0, 2}
    for index, found in states.found.items():
        slow = reference.last_state(plain, forest.prompt(forest.asks[index].span))
        assert found == pytest.approx(reference.projected(slow, STATE_FLOATS), abs=0.05)
        assert np.std(found) == pytest.approx(1.0, abs=0.3)


def test_a_scorer_gives_the_states_of_its_parts_and_of_what_it_keeps(small_mixtral: Pair) -> None:
    forest = forest_of((40, 40, 60), (True, True, True))
    forest.tokens[1] = forest.tokens[1][::-1]
    whole, parts = Scorer(small_mixtral[0], 1_000, 1_000_000), Scorer(small_mixtral[0], 50)
    found = []
    for scorer in (whole, whole, parts):
        with scorer.run(forest) as done:
            found.append([one.state for one in done.scores])
    assert all(len(state) == STATE_FLOATS for each in found for state in each)
    for each in found[1:]:
        assert np.array(each) == pytest.approx(np.array(found[0]), abs=0.02)
    with whole.run(forest_of((4,), (False,))) as done:
        assert done.scores[0].state == ()


@given(st.integers(0, 1000), st.integers(2, 5))
def test_a_state_has_the_same_numbers_in_any_company(seed: int, count: int) -> None:
    states = np.random.default_rng(seed).normal(size=(count, 96)).astype(np.float32) ** 3
    together = projected(states)
    for place in range(count):
        assert (projected(states[place : place + 1])[0] == together[place]).all()
        assert together[place] == pytest.approx(reference.projected(states[place].tolist(), STATE_FLOATS), abs=0.02)


def test_a_state_is_taken_to_the_nearest_whole_step_as_task_files_have_it() -> None:
    states = np.random.default_rng(7).normal(size=(6, 96)).astype(np.float32) ** 3
    for state, found in zip(states.tolist(), projected(states).tolist(), strict=True):
        assert found == pytest.approx(reference.projected(state, STATE_FLOATS, steps=256), abs=1e-5)


def test_a_state_of_zeros_has_zeros() -> None:
    assert not projected(np.zeros((1, 8), dtype=np.float32)).any()
