"""Variants that stand for what the worker asks say what the worker says."""

import pytest

from bench.prompt_items import GROWING, Item
from bench.prompt_variants import CATEGORY, LETTERED, LETTERED_CATEGORY, NAMED, TOLD_BEFORE, VARIANTS
from pinpoint.prompting import template
from pinpoint.prompting.taxonomy import Label, Task


@pytest.mark.parametrize("count", [3, template.MOST_LETTERED + 1])
def test_version_2_is_among_the_variants(count: int) -> None:
    names = tuple(f"label {place}" for place in range(count))
    name = LETTERED if len(names) <= template.MOST_LETTERED else NAMED
    variant = next(one for one in VARIANTS if one.name == name)
    task = Task("category", tuple(Label(each, each) for each in names))
    parts = (template.root(), template.document("a text"), template.choice_question(task), template.ending())
    said = "".join(piece.text for part in parts for piece in part)
    assert "".join(piece.text for piece in variant.pieces("a text", names, "")) == said
    assert variant.answers(names) == template.choice_answers(task)


def test_only_those_are_measured_on_growing_lists() -> None:
    item = Item("known/5:0", f"known/{GROWING[3]}", "a text", ("a", "b"), 0)
    names = (LETTERED, NAMED, CATEGORY, LETTERED_CATEGORY, TOLD_BEFORE)
    assert {one.name for one in VARIANTS if one.suits(item)} == {name + mark for name in names for mark in ("", " <")}
