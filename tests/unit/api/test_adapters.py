"""The zero-shot shape, in both directions."""

from dataclasses import replace

import pytest

from pinpoint.api.adapters import zero_shot_answer
from pinpoint.api.answer import Answer
from pinpoint.api.request import Limits, parse_request
from pinpoint.api.response import DocumentFailure, DocumentInput, DocumentResult, check_wire
from pinpoint.documents.text import Document, RejectedDocument
from pinpoint.errors import DocumentError, RequestError
from pinpoint.prompting.taxonomy import Label, Task

CANARY = "canary7391"
TASK = Task("category", (Label("travel", "travel"), Label("cooking", "cooking")))


def zero_shot(
    inputs: object = "a", candidate_labels: object = ("travel", "cooking"), **parameters: object
) -> dict[str, object]:
    names = list(candidate_labels) if isinstance(candidate_labels, tuple) else candidate_labels
    return {"inputs": inputs, "parameters": {"candidate_labels": names, **parameters}}


def test_one_text() -> None:
    request = parse_request(zero_shot("one day I will see the world"))
    assert request.documents == (Document("0", 0, ("one day I will see the world",), "text", ()),)
    assert request.tasks == (TASK,)
    assert (request.shape, request.single, request.sequences) == ("zero_shot", True, ("one day I will see the world",))


def test_several_texts_are_repeated_as_they_came() -> None:
    request = parse_request(zero_shot(["a\0", "b\ud800"]))
    cleaned, rejected = request.documents
    assert cleaned == Document("0", 0, ("a",), "text", ("removed 1 control character",))
    assert isinstance(rejected, RejectedDocument)
    assert (rejected.id, rejected.error.code, rejected.error.field) == ("1", "invalid_unicode", "inputs[1]")
    assert (request.single, request.sequences) == (False, ("a\0", "b\ufffd"))


@pytest.mark.parametrize("labels", ["travel, cooking", " travel,,cooking ,", ("travel", "cooking")])
def test_labels_in_a_string_are_split_as_that_pipeline_does(labels: object) -> None:
    assert parse_request(zero_shot("a", labels)).tasks == (TASK,)


def test_multi_label_and_template() -> None:
    request = parse_request(zero_shot(multi_label=True, hypothesis_template="This text is about {}."))
    instructions = 'The right label makes this sentence true: "This text is about <label>."'
    assert request.tasks == (replace(TASK, multi_label=True, instructions=instructions),)


@pytest.mark.parametrize("labels", ["travel", "travel,", ("travel",)])
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_single_label_is_asked_about_as_that_pipeline_does(labels: object, multi_label: bool) -> None:
    """Yes or no, as one of many labels: as a choice out of one its score would be 1 whatever the text says."""
    (task,) = parse_request(zero_shot("a", labels, multi_label=multi_label)).tasks
    assert task == Task("category", (Label("travel", "travel"),), multi_label=True)


def test_an_empty_text_among_others_fails_alone() -> None:
    good, empty, other = parse_request(zero_shot(["a", "\u200b", "b"])).documents
    assert isinstance(good, Document) and isinstance(other, Document) and isinstance(empty, RejectedDocument)
    assert (empty.error.code, empty.error.field) == ("empty_text", "inputs[1]")


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        ({"inputs": CANARY}, "missing_field", "parameters"),
        ({"inputs": CANARY, "parameters": {}}, "missing_field", "parameters.candidate_labels"),
        ({"inputs": CANARY, "parameters": [CANARY]}, "wrong_type", "parameters"),
        (zero_shot(None), "wrong_type", "inputs"),
        (zero_shot(5), "wrong_type", "inputs"),
        (zero_shot({"text": CANARY}), "wrong_type", "inputs"),
        (zero_shot([CANARY, 5]), "wrong_type", "inputs[1]"),
        (zero_shot([]), "missing_field", "inputs"),
        (zero_shot(""), "empty_text", "inputs"),
        (zero_shot([" "]), "empty_text", "inputs[0]"),
        (zero_shot(["a"] * 1001), "too_large", "inputs"),
        (zero_shot("a", ()), "too_few_labels", "parameters.candidate_labels"),
        (zero_shot("a", (CANARY + "\n",)), "invalid_label", "parameters.candidate_labels[0]"),
        (zero_shot("a", ""), "too_few_labels", "parameters.candidate_labels"),
        (zero_shot("a", 5), "wrong_type", "parameters.candidate_labels"),
        (zero_shot("a", ("travel", 5)), "wrong_type", "parameters.candidate_labels[1]"),
        (zero_shot("a", (CANARY, CANARY + " ")), "duplicate_label", "parameters.candidate_labels[1]"),
        (zero_shot("a", ("travel", "\ud800")), "invalid_unicode", "parameters.candidate_labels[1]"),
        (zero_shot(multi_label="true"), "wrong_type", "parameters.multi_label"),
        (zero_shot(hypothesis_template=CANARY), "invalid_request", "parameters.hypothesis_template"),
        (zero_shot(hypothesis_template="{}" * 5000), "too_large", "parameters.hypothesis_template"),
        (zero_shot(hypotesis_template=CANARY), "unknown_field", "parameters.hypotesis_template"),
        ({**zero_shot(), "options": {CANARY: 1}}, "unknown_field", "options"),
    ],
)
def test_refused_with_the_field_in_that_shape(raw: object, code: str, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request(raw)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert CANARY not in caught.value.wire()


def test_an_answer_that_could_not_be_posted_is_refused_before_the_work() -> None:
    with pytest.raises(RequestError, match="send `documents`") as caught:
        parse_request(zero_shot(["\u6f22" * 4, "\u6f22" * 4]), Limits(max_echo_bytes=20))
    assert (caught.value.code, caught.value.field) == ("too_large", "inputs")


RESULT = DocumentResult(
    id="0",
    answers={
        "category": Answer(
            label="travel",
            score=0.9876543211,
            labels=("travel", "cooking"),
            scores=(0.9876543211, 0.0123456789),
            margin=0.975,
            label_mass=0.9,
        )
    },
    input=DocumentInput(pages=1, tokens=3, tokens_dropped=0, extractor="text"),
)
FAILURE = DocumentFailure("1", DocumentError("invalid_unicode", "send whole characters", "inputs[1]"))
ANSWER = {"sequence": "one", "labels": ["travel", "cooking"], "scores": [0.987654, 0.012346]}


def test_the_answer_to_one_text_is_one_object() -> None:
    assert zero_shot_answer(["one"], [RESULT], single=True) == ANSWER


def test_the_answer_to_a_list_is_a_list_even_of_one() -> None:
    assert zero_shot_answer(["one"], [RESULT], single=False) == [ANSWER]


@pytest.mark.parametrize("single", [True, False])
def test_what_was_cut_is_told_and_what_was_not_is_not(single: bool) -> None:
    warning = "the document was cut: 40096 tokens from its middle were not read"
    told = {**ANSWER, "warnings": [warning]}
    answer = zero_shot_answer(["one"], [replace(RESULT, warnings=(warning,))], single)
    assert answer == (told if single else [told])


def test_a_failed_text_stands_in_its_place() -> None:
    error = {"code": "invalid_unicode", "message": "send whole characters", "field": "inputs[1]"}
    answer = zero_shot_answer(["one", "two\ufffd"], [RESULT, FAILURE], single=False)
    assert answer == [ANSWER, {"sequence": "two\ufffd", "error": error}]
    check_wire(answer)


def test_a_failed_text_alone_is_the_error_envelope() -> None:
    answer = zero_shot_answer(["two\ufffd"], [FAILURE], single=True)
    assert answer == {"error": "invalid_unicode: send whole characters (inputs[1])"}


def test_a_result_too_few_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        zero_shot_answer(["one", "two"], [RESULT], single=False)
