"""The parts of the decision formats by themselves: structured text, confidence, typed tasks, what owners keep apart."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.api.asked import choice_confidence, score_confidence
from pinpoint.api.layout import as_text
from pinpoint.api.request import parse_request
from pinpoint.decide.decision import decide, decide_yes_no
from pinpoint.errors import InternalError, RequestError
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task, labels_sha
from tests.requests_of import PROMPTS

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), min_size=1, max_size=8)
texts = st.lists(words, max_size=3).map("\n".join)
leaves = st.none() | st.booleans() | st.integers(-9, 9) | texts
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=12
)
shares_of = st.lists(st.floats(1e-6, 1), min_size=2, max_size=12).map(
    lambda weights: [weight / math.fsum(weights) for weight in weights]
)


def test_structured_content_is_laid_out_in_one_way() -> None:
    state: dict[str, Any] = {
        "subject": "Late again", "empty": "", "none": None, "paid": False, "euro": 99.5, "nothing": {}, "no": [],
        "lines": ["one", {"qty": 2, "of": ["a", "b"]}, ["x", "y"], "two\nlines"],
        "body": "Hello,\nwhere is it?\nsubject: not this",
    }  # fmt: skip
    assert as_text(state) == (
        'subject: Late again\nempty: ""\nnone: null\npaid: false\neuro: 99.5\nnothing: {}\nno: []\n'
        "lines:\n  - one\n  - qty: 2\n    of:\n      - a\n      - b\n  - - x\n    - y\n  - two\n    lines\n"
        "body:\n  Hello,\n  where is it?\n  subject: not this"
    )
    assert as_text("a: b\nc") == "a: b\nc", "a text by itself is itself"


@given(st.dictionaries(words.filter(lambda key: key == key.strip()), values, min_size=1, max_size=4))
def test_nothing_inside_passes_for_a_member_of_what_is_around_it(state: dict[str, Any]) -> None:
    outer = [line for line in as_text(state).split("\n") if not line.startswith("  ")]
    keys = list(state)
    assert len(outer) == len(keys)
    for line, key in zip(outer, keys, strict=True):
        assert line.startswith(f"{key}:")


@given(shares_of)
def test_confidence_is_how_concentrated_the_shares_are(shares: list[float]) -> None:
    alike = [1 / len(shares)] * len(shares)
    certain = [1.0] + [0.0] * (len(shares) - 1)
    for confidence in (choice_confidence, score_confidence):
        assert 0 <= confidence(shares) <= 1
        assert confidence(alike) == pytest.approx(0, abs=1e-9)
        assert confidence(certain) == confidence(certain[::-1]) == 1
    assert choice_confidence(shares) == choice_confidence(shares[::-1])
    if len(shares) == 2:
        assert score_confidence(shares) == pytest.approx(choice_confidence(shares))
        assert choice_confidence(shares) == pytest.approx(abs(shares[0] - shares[1]))


def test_levels_far_apart_are_less_sure_than_neighbours() -> None:
    assert score_confidence([0.5, 0.5, 0, 0]) > score_confidence([0.5, 0, 0, 0.5]) == 0


def parsed(**task: Any) -> Task:
    return parse_request({"text": "x", "tasks": {"q": task}}).tasks[0]


def test_a_task_without_a_type_is_a_choice_as_it_was() -> None:
    assert parsed(labels=["a", "b"]) == parsed(type="choice", labels=["a", "b"])
    assert labels_sha(parsed(type="yes_no", instructions="x")) != labels_sha(
        parsed(type="yes_no", instructions="x", criteria={"yes": "y"})
    )


def test_a_yes_no_is_asked_as_one_label_of_many_is() -> None:
    asked = parsed(type="yes_no", instructions="Is it\npaid?", criteria={"no": "an amount\nis due"})
    flags = Task("q", (Label("Is it paid?", "Is it paid?"),), multi_label=True)
    (wording,), (flag,) = PROMPTS.wording(asked, "x"), PROMPTS.wording(flags, "x")
    assert wording == flag.replace("- Is it paid?\n", "- Is it paid?\n- No: an amount is due\n")
    assert PROMPTS.wording(parsed(type="yes_no", instructions="Is it paid?"), "x") == [flag]
    assert parsed(type="yes_no", criteria={"yes": "It is paid."}).labels[0].name == "It is paid."
    assert "anything but" in parsed(type="yes_no", criteria={"no": "a bill"}).labels[0].name


@pytest.mark.parametrize(
    ("task", "code", "field"),
    [
        ({}, "missing_field", "tasks.q.labels"),
        ({"type": "score"}, "missing_field", "tasks.q.levels"),
        ({"type": "yes_no"}, "missing_field", "tasks.q.instructions"),
        ({"type": "yes_no", "criteria": {}}, "missing_field", "tasks.q.instructions"),
        ({"type": "yes_no", "instructions": "\u200b"}, "missing_field", "tasks.q.instructions"),
        ({"type": "yes_no", "instructions": "x", "labels": ["a", "b"]}, "conflicting_fields", "tasks.q.labels"),
        ({"type": "yes_no", "instructions": "x", "multi_label": True}, "conflicting_fields", "tasks.q.multi_label"),
        ({"type": "score", "levels": ["a", "b"], "mask": ["a"]}, "conflicting_fields", "tasks.q.mask"),
        ({"type": "score", "levels": ["a", "b"], "criteria": {"yes": "x"}}, "conflicting_fields", "tasks.q.criteria"),
        ({"labels": ["a", "b"], "levels": ["a", "b"]}, "conflicting_fields", "tasks.q.levels"),
        ({"type": "score", "levels": ["a"]}, "too_few_labels", "tasks.q.levels"),
        ({"type": "score", "levels": ["a", "A"]}, "duplicate_label", "tasks.q.levels[1]"),
        ({"type": "score", "levels": ["a", 5]}, "wrong_type", "tasks.q.levels[1]"),
        ({"type": "score", "levels": [{"name": "a"}, "b"]}, "unknown_field", "tasks.q.levels[0].name"),
        ({"type": "bool"}, "out_of_range", "tasks.q.type"),
        ({"type": "yes_no", "instructions": "x", "criteria": {"true": "y"}}, "unknown_field", "tasks.q.criteria.true"),
        ({"type": "yes_no", "instructions": "x" * 8001}, "too_large", "tasks.q.instructions"),
        ({"type": "yes_no", "instructions": "x", "criteria": {"yes": "x" * 2001}}, "too_large",
         "tasks.q.criteria.yes"),
    ],
)  # fmt: skip
def test_what_a_typed_task_may_not_be_is_told_where_it_is(task: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(RequestError) as raised:
        parsed(**task)
    assert (raised.value.code, raised.value.field) == (code, field)


def test_a_score_tells_the_expected_level_and_every_share_whatever_is_cut() -> None:
    options = parse_request({"text": "x", "labels": ["a", "b"], "options": {"top_k": 1}}).options
    levels = Task("q", tuple(Label(name, name) for name in "abc"), kind="score")
    answer = decide([math.log(0.1), math.log(0.2), math.log(0.5)], levels, options)
    assert answer.labels == ("c",)
    assert answer.distribution == pytest.approx((0.125, 0.25, 0.625))
    assert answer.expected == pytest.approx(0.25 + 2 * 0.625)
    yes = decide_yes_no(math.log(0.1), math.log(0.3), options)
    assert (yes.label, yes.labels) == ("no", ("no",))
    assert yes.probability == pytest.approx(0.25)
    with pytest.raises(InternalError):
        decide_yes_no(math.nan, -1.0, options)


def test_spans_of_two_owners_are_never_one() -> None:
    forest = Forest()
    root = forest.add((1, 2), shared=True, owner="a")
    assert forest.add((1, 2), shared=True, owner="a") == root
    other = forest.add((1, 2), shared=True, owner="b")
    nobodys = forest.add((1, 2), shared=True)
    assert len({root, other, nobodys}) == 3
    assert (forest.new_tokens([(1, 2), (3,)], "a"), forest.new_tokens([(1, 2), (3,)], "c")) == (1, 3)
    assert forest.total_tokens == 6
