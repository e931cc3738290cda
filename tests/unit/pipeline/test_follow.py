"""What a unit asks next behind the same document: in the same pass, and counted as its own."""

from collections.abc import Mapping
from dataclasses import replace

from pinpoint.errors import OutOfMemory
from pinpoint.pipeline.engine_protocol import Scores
from pinpoint.pipeline.passes import measure
from pinpoint.pipeline.units import Followed, Measured, Outcome, Unit
from pinpoint.prompting.label_trie import build_trie
from pinpoint.prompting.prompt import Prompt
from pinpoint.prompting.span_tree import Forest
from tests.fakes import FakeEngine, log_prob

TRIE = build_trie([[5], [5, 6], [7]], stop=1)
ROOT, FIRST, DEPTH = (2, 3), (8, 9), 3


def prompt(document: int, question: tuple[int, ...]) -> Prompt:
    return Prompt((ROOT, (document,) * 20, question), (True, False, False), TRIE, open=True)


def unit(document: int, questions: int) -> Unit:
    """A unit that asks so many questions next, one after the other, `DEPTH` times, each named by its number."""

    def follow(scores: Scores, followed: Followed) -> Mapping[int, Prompt]:
        asked = len(followed)
        if asked >= questions * DEPTH:
            return {}
        return {number: prompt(document, (50, 100 + number)) for number in range(asked, asked + questions)}

    return Unit(prompt(document, FIRST), document, follow=follow)


def check(outcomes: list[Outcome], units: list[Unit], counts: list[int]) -> None:
    for one, made, questions in zip(outcomes, units, counts, strict=True):
        assert isinstance(one, Measured)
        assert sorted(one.followed) == list(range(questions * DEPTH))
        for number, scores in one.followed.items():
            path = [*ROOT, *(made.document,) * 20, 50, 100 + number]
            assert scores.log_probs == [log_prob(path, label) for label in TRIE.labels]
        assert one.asked_tokens == (1 + len(one.followed)) * made.prompt.length


def test_what_follows_is_scored_in_the_same_pass() -> None:
    counts = [2, 0, 3, 1]
    units = [unit(document, questions) for document, questions in enumerate(counts)]
    units[1] = replace(units[1], follow=None)
    engine = FakeEngine()
    outcomes = measure(units, engine)
    check(outcomes, units, counts)
    [forest] = engine.forests
    measured = [one for one in outcomes if isinstance(one, Measured)]
    assert sum(one.computed_tokens for one in measured) == forest.total_tokens
    # The documents are there once: beside them, each question has two tokens and its labels.
    assert forest.total_tokens == 2 + 4 * 20 + (4 + DEPTH * sum(counts)) * (2 + len(TRIE.tokens))


def test_a_reason_is_written_behind_the_question_that_it_answers() -> None:
    asked = replace(unit(7, 2), explained=lambda scores, followed: (4, f"the best of {len(followed)}"))
    [one] = measure([asked], FakeEngine())
    assert isinstance(one, Measured)
    assert one.rationale == f"ask {1 + 4} is the best of {2 * DEPTH}"


def test_out_of_memory_over_what_follows_halves_the_batch() -> None:
    units = [unit(document, 2) for document in range(4)]
    whole = FakeEngine()
    measure(units, whole)
    most = whole.forests[0].total_tokens
    tight = FakeEngine(device_tokens=most - 1)
    check(measure(units, tight), units, [2] * 4)
    assert (len(tight.passes), tight.releases) == (3, 1)
    tiny = FakeEngine(device_tokens=30)
    assert all(isinstance(one, OutOfMemory) for one in measure(units, tiny))


def test_only_what_comes_before_a_question_stays_open() -> None:
    forest = Forest()
    ask = prompt(7, FIRST).add_to(forest)
    replace(prompt(8, FIRST), open=False).add_to(forest)
    assert forest.open == set(forest.ancestry(forest.asks[ask].span)[:-1])
