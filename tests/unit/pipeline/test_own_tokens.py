"""What a job shares with itself is what one forest of all its prompts shares, and nothing of anybody else's."""

from typing import Literal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pinpoint.api.request import Options, Request
from pinpoint.pipeline.classify import classify
from pinpoint.pipeline.own_tokens import own_tokens, owned_tokens
from pinpoint.pipeline.preparation import Preparation
from pinpoint.pipeline.units import Beginning, Measured, PassFigures
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from tests.fakes import FakeEngine, FakeScores
from tests.requests_of import CHOICE, FLAGS, LETTERS, TONE, document, request

TWINS = (
    Task("more flags", (*FLAGS.labels[1:], Label("sent", "sent")), multi_label=True),
    Task("again", CHOICE.labels),
    Task("long", (*CHOICE.labels, Label("letter", "letter"))),
    Task("long first", (*CHOICE.labels, Label("letter", "letter")), labels_first=True),
    Task("again first", CHOICE.labels, labels_first=True),
    Task("flags again", FLAGS.labels, multi_label=True),
)
tasks_lists = st.lists(st.sampled_from([CHOICE, TONE, FLAGS, *TWINS]), min_size=1, max_size=4, unique=True)
texts = st.sampled_from(["", "a", "two words", "x" * 300, "Dear customer. " * 90, "Dear customer. " * 91])
modes = st.sampled_from(["head_tail", "pages"])


@settings(deadline=None, max_examples=60)
# One list behind the document, where it shares its opening with another, and before it, where it does not.
@example([["a"], ["b"]], [CHOICE, TWINS[2], TWINS[3]], "head_tail")
@given(st.lists(st.lists(texts, min_size=1, max_size=3), min_size=1, max_size=5), tasks_lists, modes)
@example([["a"]], [CHOICE, TWINS[2], TWINS[3]], "head_tail")  # one question both before and behind the document
def test_own_tokens_are_those_of_one_forest(
    pages: list[list[str]], tasks: list[Task], mode: Literal["head_tail", "pages"]
) -> None:
    documents = tuple(document(*texts, index=index) for index, texts in enumerate(pages))
    engine = FakeEngine(context_tokens=900)
    preparation = Preparation(Request(documents, tuple(tasks), Options(long_document=mode)), engine)
    preparation.advance()
    forest = Forest()
    for unit in preparation.units():
        unit.prompt.add_to(forest)
    assert own_tokens(preparation, tasks, engine.prompts, range(len(documents))) == forest.total_tokens


def test_passes_and_stores_of_any_size_change_nothing_of_usage() -> None:
    asked = request(LETTERS, LETTERS, "another", "x" * 400, tasks=(CHOICE, FLAGS))
    engines = [FakeEngine(), FakeEngine(token_budget=900), FakeEngine(stored_tokens=40), FakeEngine(bounds=True)]
    assert len({classify(asked, engine)[0].usage for engine in engines}) == 1


def test_a_beginning_counts_once_as_its_first_pass_found_it() -> None:
    root, question, other = ((1, 2),), ((1, 2), (3,)), ((1, 2), (4, 5, 6))
    first = (Beginning(root, 2, found=True, kept=False), Beginning(question, 1, found=False, kept=True))
    second = (Beginning(root, 2, found=True, kept=True), Beginning(question, 1, found=True, kept=False))
    third = (*second, Beginning(other, 3, found=False, kept=True))
    figures = PassFigures(0.0, 1.0, FakeEngine().memory())
    units = [Measured(FakeScores([-1.0]), figures, 9, 9, beginnings=found) for found in (first, second, third)]
    assert owned_tokens(units) == (2, 1 + 3)
    assert owned_tokens(units[1:]) == (2 + 1, 2 + 3)
    assert owned_tokens([]) == (0, 0)
