"""Parts share no document and none that is alike; groups are those of the slow way."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.errors import PinpointError
from pinpoint.evaluate.parts import ALIKE, FIT, TEST, deal, groups_of, jaccard, normalised, shingles, split
from tests.reference.near_duplicates import groups_at, runs

WORDS = [
    "invoice",
    "total",
    "due",
    "contract",
    "party",
    "delivery",
    "carton",
    "order",
    "customer",
    "address",
    "payment",
    "reference",
    "date",
    "number",
]


@st.composite
def collections(draw: st.DrawFn) -> list[str]:
    """Texts, copies of them with a few words changed, and copies that differ in case and marks alone."""
    pick = random.Random(draw(st.integers(0, 2**32)))
    texts = [" ".join(pick.choices(WORDS, k=pick.randint(1, 60))) for _ in range(draw(st.integers(1, 5)))]
    for _ in range(draw(st.integers(0, 6))):
        words = pick.choice(texts).split() or ["invoice"]
        for _ in range(draw(st.integers(0, 4))):
            words[pick.randrange(len(words))] = pick.choice(WORDS)
        copy = " ".join(words)
        texts.append(pick.choice([copy, copy.upper(), f"  {copy}!!", copy.replace(" ", "\n")]))
    pick.shuffle(texts)
    return texts


@settings(max_examples=60)
@given(collections())
def test_groups_are_those_of_every_pair_compared(texts: list[str]) -> None:
    """Nothing is together that is not alike; what is clearly alike is together."""
    groups = groups_of(texts)
    wide, narrow = groups_at(texts, ALIKE), groups_at(texts, 0.9)
    for index, group in enumerate(groups):
        assert groups[group] == group <= index and group in wide[index]
        assert {groups[other] for other in narrow[index]} == {group}


@settings(max_examples=60)
@given(st.text(max_size=40), st.text(max_size=40))
def test_shingles_measure_what_sets_of_strings_do(first: str, second: str) -> None:
    one, other = runs(first), runs(second)
    found = jaccard(shingles(normalised(first)), shingles(normalised(second)))
    assert found == pytest.approx(len(one & other) / len(one | other))


@settings(max_examples=60)
@given(collections(), st.data())
def test_parts_are_whole_groups_whatever_the_order(texts: list[str], data: st.DataObject) -> None:
    texts = list(dict.fromkeys(texts))
    labels = data.draw(st.lists(st.sampled_from("abc"), min_size=len(texts), max_size=len(texts)))
    weights = data.draw(st.sampled_from([(1, 1), (0.7, 0.3), (1, 1, 1, 1, 1), (1, 0)]))
    groups = groups_of(texts)
    parts = deal(texts, labels, groups, weights, seed=7)
    assert len({(group, part) for group, part in zip(groups, parts, strict=True)}) == len(set(groups))
    assert all(weights[part] > 0 for part in parts)
    order = data.draw(st.permutations(range(len(texts))))
    shuffled = [texts[index] for index in order]
    again = deal(shuffled, [labels[index] for index in order], groups_of(shuffled), weights, seed=7)
    assert again == [parts[index] for index in order]


def test_labels_are_shared_out_by_the_weights() -> None:
    texts = [f"{number:04} {random.Random(number).getrandbits(200):x}" for number in range(300)]
    labels = ["often"] * 200 + ["seldom"] * 100
    parts = split(texts, labels, test_share=0.3)
    test = [labels[index] for index, part in enumerate(parts) if part == TEST]
    assert (test.count("often"), test.count("seldom")) == (60, 30)
    assert split(texts, labels, test_share=0.3) == parts != split(texts, labels, test_share=0.3, seed=1)
    folds = deal(texts, labels, groups_of(texts), (1,) * 5)
    assert [sum(labels[k] == "seldom" for k, fold in enumerate(folds) if fold == one) for one in range(5)] == [20] * 5


def test_pieces_of_one_document_stay_together() -> None:
    texts = ["page one of it", "something else entirely", "the last page", "a stranger"]
    assert groups_of(texts) == [0, 1, 2, 3]
    assert groups_of(texts, ["x", None, "x", None]) == [0, 1, 0, 3]
    parts = split(texts, ["a"] * 4, documents=["x", "y", "x", "y"])
    assert parts[0] == parts[2] != parts[1] == parts[3]
    assert set(parts) == {FIT, TEST}


def test_too_few_to_have_two_parts_is_said_with_counts() -> None:
    with pytest.raises(PinpointError) as caught:
        split(["the same text of some length", "The same text, of some length!"], ["a", "b"])
    assert caught.value.code == "too_few_documents"
    assert "2 documents, near-duplicates counted once 1" in caught.value.message


@pytest.mark.parametrize("text", ["", "…", "ab", "日本語の請求書です。合計", "\ud800", "x" * 200_000])
def test_any_text_has_shingles(text: str) -> None:
    assert len(shingles(normalised(text))) >= 1
    assert groups_of([text, text, "another one"]) == [0, 0, 2]
