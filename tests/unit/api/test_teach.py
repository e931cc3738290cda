"""Requests that teach: what is measured, what is right, and what is refused."""

from typing import Any

import pytest

from pinpoint.api.request import Options, parse_request
from pinpoint.api.teach import Lesson, places_of
from pinpoint.errors import PinpointError, RequestError
from tests.task_files import task_of

LABELS = ["invoice", {"id": "r", "name": "Receipt"}, "contract"]
CANARY = "canary7391"


def lesson(**changes: Any) -> dict[str, Any]:
    texts = [("a bill", "invoice"), ("paid", "r"), ("paid too", "receipt"), ("we agree", "contract")]
    body: dict[str, Any] = {
        "task": {"labels": LABELS},
        "documents": [{"text": text, "label": label} for text, label in texts],
    }
    return {"teach": body | changes}


def test_documents_are_measured_without_mask_and_prior_and_labels_are_named_by_id_or_name() -> None:
    task = {"labels": LABELS, "mask": ["contract"], "prior": {"invoice": 1, "r": 2, "?": 1}, "other": "?"}
    documents: list[dict[str, Any]] = [{"text": "a", "label": "INVOICE"}, {"pages": ["b", "c"], "label": "Receipt"}]
    told = lesson(name="kind", task=task, documents=documents, target_errors=[0.1, 0.02, 0.1], alphas=[0.2])
    request = parse_request(told)
    assert (request.shape, request.options) == ("teach", Options(return_raw=True, states=True))
    assert [getattr(document, "pages", None) for document in request.documents] == [("a",), ("b", "c")]
    assert request.tasks == (task_of({"labels": [*LABELS, "?"]}, "kind"),)
    assert request.lesson == Lesson(task_of(task, "kind"), (0, 1), (0.02, 0.1), 0.9, (0.2,))


def test_yes_and_no_are_taught_by_those_words() -> None:
    documents = [{"text": "a", "label": "yes"}, {"text": "b", "label": "NO"}]
    request = parse_request(lesson(task={"type": "yes_no", "instructions": "Is it paid?"}, documents=documents))
    assert request.lesson is not None and request.lesson.right == (0, 1)


def test_the_route_is_the_same() -> None:
    body = lesson()["teach"]
    assert parse_request({"route": "/v1/tasks", "body": body}) == parse_request(lesson())


def one(**fields: Any) -> dict[str, Any]:
    return lesson(documents=[{"text": "a", "label": "invoice"}, fields])


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no object": ({"teach": [CANARY]}, "wrong_type", "input"),
    "beside it": (lesson() | {"text": CANARY}, "unknown_field", "text"),
    "no task": ({"teach": {"documents": []}}, "missing_field", "task"),
    "no documents": (lesson(documents=[]), "missing_field", "documents"),
    "no label": (one(text=CANARY), "missing_field", "documents[1].label"),
    "no document": (one(label="invoice"), "missing_field", "documents[1].text"),
    "two forms": (one(text=CANARY, pages=[CANARY], label="r"), "conflicting_fields", "documents[1].pages"),
    "attachments apart": (
        one(base64="QUJD", attachments="documents", label="r"), "conflicting_fields", "documents[1].attachments",
    ),
    "a typo": (one(text=CANARY, lable="r", label="r"), "unknown_field", "documents[1].lable"),
    "another label": (one(text="b", label=CANARY), "unknown_label", "documents[1].label"),
    "a masked label": (
        lesson(task={"labels": LABELS, "mask": ["r"]}), "unknown_label", "documents[1].label",
    ),
    "many labels to a document": (
        lesson(task={"labels": LABELS, "multi_label": True}), "wrong_type", "documents[0].label",
    ),
    "a taxonomy that is not deployed": (lesson(task={"taxonomy": "none"}), "unknown_taxonomy", "task.taxonomy"),
    "a target of none": (lesson(target_errors=[0.0]), "out_of_range", "target_errors[0]"),
    "many targets": (lesson(target_errors=[0.01 * n for n in range(1, 12)]), "too_large", "target_errors"),
    "an alpha of all": (lesson(alphas=[0.1, 1.0]), "out_of_range", "alphas[1]"),
    "a bad task": (lesson(task={"labels": ["a"]}), "too_few_labels", "task.labels"),
    "a bad name": (lesson(name="a\nb"), "invalid_id", "name"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "code", "field"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_taught_is_refused(raw: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request(raw)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert CANARY not in PinpointError.wire(caught.value)


def test_labels_that_the_task_lacks_are_counted() -> None:
    documents = [{"text": "a", "label": label} for label in ("invoice", "letter", "receipt", "memo")]
    with pytest.raises(RequestError, match="2 of 4 documents have a label that the task lacks"):
        parse_request(lesson(documents=documents))


def test_a_name_as_it_is_written_is_its_label_though_it_folds_to_the_id_of_another() -> None:
    labels = [{"id": "b", "name": "A"}, {"id": "c", "name": "B"}]
    task = parse_request({"text": "x", "tasks": {"kind": {"labels": labels}}}).tasks[0]
    places = places_of(task)
    assert [places.find(one) for one in ("A", "a", "B", "b", "C", "d")] == [0, 0, 1, 0, 1, None]


def test_mask_and_prior_of_a_tree_act_where_it_is_measured_those_of_a_list_do_not() -> None:
    tree = [{"name": "money", "children": LABELS[:2]}, {"name": "law", "children": ["contract", "will"]}]
    plain = {"invoice": 1, "r": 1, "contract": 2, "none": 1}
    for labels, prior, kept in ((tree, {"money": 1, "law": 2, "none": 1}, True), ([*LABELS, "will"], plain, False)):
        task = {"labels": labels, "mask": ["will"], "prior": prior, "other": "none"}
        told = parse_request(lesson(task=task))
        (measured,) = told.tasks
        assert told.lesson is not None and told.lesson.task.prior and told.lesson.task.other == "none"
        assert measured.other is None and (measured.mask == {"will"}) == (measured.prior is not None) == kept


def test_what_two_labels_of_a_tree_fold_to_is_none_of_both() -> None:
    labels = [{"name": "law", "children": ["Other", "will"]}, {"name": "money", "children": ["other", "bill"]}]
    places = places_of(parse_request({"text": "x", "tasks": {"kind": {"labels": labels}}}).tasks[0])
    told = ["Other", "other", "OTHER", "WILL", "LAW > OTHER", "money >  other"]
    assert [places.find(one) for one in told] == [0, 2, None, 1, 0, 2]
