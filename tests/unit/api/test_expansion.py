"""What becomes more than it looks: characters that normal forms spell out, one string that is many values."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.api.limits import Limits
from pinpoint.api.request import parse_request
from pinpoint.documents.text import expanded_chars
from pinpoint.errors import RequestError
from pinpoint.prompting.taxonomy import duplicate_key

LIGATURE = "\ufdfa"  # 18 characters under NFKC
SQUARE = "\u33a5"  # 2: m³
SHARP_S = "\u1e9e"  # 2 when folded
GROWING = [LIGATURE, SQUARE, SHARP_S, "\ufb03", "\u0390", "\u2100", "\u3300"]
FEW = Limits(max_text_chars=400)

growing = st.text(st.sampled_from([*GROWING, "a", "é", "\uac00"]) | st.characters(), max_size=40)


def labels(*names: Any, **more: Any) -> dict[str, Any]:
    return {"text": "a letter", "labels": list(names), **more}


@given(growing)
def test_no_text_is_longer_spelled_out_than_it_was_counted(text: str) -> None:
    assert len(text) <= expanded_chars(text)
    assert len(unicodedata.normalize("NFKC", text).casefold()) <= expanded_chars(text)
    assert len(duplicate_key(text)) <= expanded_chars(text)


@given(growing, st.integers(0, 200))
def test_counting_ends_beyond_the_most(text: str, most: int) -> None:
    assert (expanded_chars(text, most) > most) == (expanded_chars(text) > most)


@given(growing, st.integers(1, 5))
def test_a_long_text_is_counted_a_stretch_at_a_time(text: str, stretch: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pinpoint.documents.text.STRETCH_CHARS", stretch)
        assert expanded_chars(text) >= max(len(text), len(unicodedata.normalize("NFKC", text).casefold()))
        assert expanded_chars(text, 7) > 7 or expanded_chars(text) <= 7


@pytest.mark.parametrize("text", ["plain", "grün, façade", "\uac00\ub098\ub2e4", "漢字かな", "Ελληνικά", "🙂", ""])
def test_text_that_no_form_spells_out_is_as_long_as_it_is(text: str) -> None:
    assert expanded_chars(text) == len(text)


@pytest.mark.parametrize("character", GROWING)
@pytest.mark.parametrize(
    "place",
    [
        lambda text: {"text": text, "labels": ["a", "b"]},
        lambda text: {"pages": ["x", text], "labels": ["a", "b"]},
        lambda text: {"documents": [{"text": text}], "labels": ["a", "b"]},
        lambda text: labels("a", "b", instructions=text),
        lambda text: labels("a", {"name": "b", "description": text}),
        lambda text: labels("a", "b", **{text: 1}),
        lambda text: {"inputs": text, "parameters": {"candidate_labels": "a,b"}},
        lambda text: {"inputs": "x", "parameters": {"candidate_labels": f"a,{text}"}},
    ],
)
def test_the_characters_of_a_request_are_counted_spelled_out(character: str, place: Any) -> None:
    text = character * (FEW.max_text_chars // expanded_chars(character))
    with pytest.raises(RequestError) as caught:
        parse_request(place(text), FEW)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        (labels("a", LIGATURE * 12), "label_too_long", "labels[1]"),
        (labels("a", "b", instructions=LIGATURE * 445), "too_large", "instructions"),
        (labels("a", {"name": "b", "description": LIGATURE * 112}), "too_large", "labels[1].description"),
        (
            {"inputs": "x", "parameters": {"candidate_labels": ["a", LIGATURE * 12]}},
            "label_too_long",
            "parameters.candidate_labels[1]",
        ),
    ],
)
def test_what_goes_into_the_prompt_is_counted_spelled_out(raw: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request(raw)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert "spelled out" in caught.value.message


def test_a_label_of_two_hundred_characters_of_another_script_is_none_too_long() -> None:
    (task,) = parse_request(labels("\uac00" * 200, "é" * 200, "漢" * 200)).tasks
    assert len(task.labels) == 3


@pytest.mark.parametrize("separator", [",", ", ", "a,", ",\n"])
def test_one_string_of_labels_counts_as_many_values(separator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinpoint.api.adapters.validate", None)  # it splits the string: nothing may come so far
    with pytest.raises(RequestError) as caught:
        parse_request({"inputs": "x", "parameters": {"candidate_labels": separator * 100_000}})
    assert (caught.value.code, caught.value.field) == ("too_large", "parameters.candidate_labels")


def test_as_many_values_as_a_request_may_have_are_split_and_are_too_many_labels() -> None:
    with pytest.raises(RequestError) as caught:
        parse_request({"inputs": "x", "parameters": {"candidate_labels": "a," * 1_500}})
    assert (caught.value.code, caught.value.field) == ("too_many_labels", "parameters.candidate_labels")


def test_blank_places_between_commas_are_no_labels() -> None:
    (task,) = parse_request({"inputs": "x", "parameters": {"candidate_labels": "a,, b ," + "," * 5_000}}).tasks
    assert [label.name for label in task.labels] == ["a", "b"]
