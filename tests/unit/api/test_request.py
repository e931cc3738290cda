"""Requests that are served: what each form becomes, and which of two errors is told."""

from dataclasses import replace

import pytest

from pinpoint.api.limits import check_bounds
from pinpoint.api.request import Limits, Options, Request, parse_request
from pinpoint.documents.text import Document, RejectedDocument
from pinpoint.errors import RequestError
from pinpoint.prompting.taxonomy import Label, Task

LABELS = ["invoice", "receipt"]
TASK = Task("category", (Label("invoice", "invoice"), Label("receipt", "receipt")))


def refusal(raw: object, limits: Limits | None = None) -> tuple[str, str | None]:
    """Return the code and the field of the one error."""
    with pytest.raises(RequestError) as caught:
        parse_request(raw, limits or Limits())
    return caught.value.code, caught.value.field


def test_the_short_form() -> None:
    assert parse_request({"text": "Total due: 12 EUR", "labels": LABELS}) == Request(
        documents=(Document("0", 0, ("Total due: 12 EUR",), "text", ()),), tasks=(TASK,)
    )


def test_pages() -> None:
    (document,) = parse_request({"pages": ["one", "", "three\0"], "labels": LABELS}).documents
    assert document == Document("0", 0, ("one", "", "three"), "text", ("removed 1 control character",))


def test_several_documents_keep_their_order_and_have_ids() -> None:
    raw = {"documents": [{"text": "a"}, {"id": "x/7", "pages": ["b", "c"]}, {"text": "d"}], "labels": LABELS}
    documents = parse_request(raw).documents
    assert [(document.id, document.index) for document in documents] == [("0", 0), ("x/7", 1), ("2", 2)]


def test_one_bad_document_among_good_ones_fails_alone() -> None:
    raw = {"documents": [{"text": "a"}, {"id": "bad", "text": "\ud800"}, {"text": "c"}], "labels": LABELS}
    first, second, third = parse_request(raw).documents
    assert isinstance(first, Document) and isinstance(third, Document)
    assert isinstance(second, RejectedDocument)
    assert (second.id, second.index, second.error.code, second.error.field) == (
        "bad",
        1,
        "invalid_unicode",
        "documents[1].text",
    )
    assert second.error.__traceback__ is None  # its frames would keep the text alive


def test_label_objects() -> None:
    raw = {
        "text": "a",
        "labels": [
            {"id": "inv", "name": " invoice ", "description": "asks\nfor  money"},
            {"name": "receipt"},
            " other",
        ],
    }
    assert parse_request(raw).tasks[0].labels == (
        Label("inv", "invoice", "asks for money"),
        Label("receipt", "receipt"),
        Label(" other", "other"),
    )


def test_several_tasks() -> None:
    raw = {
        "text": "a",
        "tasks": {
            "kind": {"labels": LABELS, "mask": ["receipt"], "prior": {"invoice": 3}},
            "flags": {"labels": LABELS, "multi_label": True, "instructions": " Be strict. "},
        },
    }
    assert parse_request(raw).tasks == (
        replace(TASK, name="kind", mask=frozenset({"receipt"}), prior={"invoice": 3.0}),
        replace(TASK, name="flags", multi_label=True, instructions="Be strict."),
    )


@pytest.mark.parametrize(("sent", "name"), [(True, "none of these"), ("something else", "something else")])
def test_a_task_may_offer_none_of_its_labels(sent: object, name: str) -> None:
    (task,) = parse_request({"text": "x", "tasks": {"kind": {"labels": LABELS, "other": sent}}}).tasks
    assert task == replace(TASK, name="kind", labels=(*TASK.labels, Label(name, name)), other=name)


@pytest.mark.parametrize("sent", [False, None])
def test_a_task_that_offers_no_other_label_is_as_without(sent: object) -> None:
    (task,) = parse_request({"text": "x", "tasks": {"kind": {"labels": LABELS, "other": sent}}}).tasks
    assert task == replace(TASK, name="kind")


def test_the_short_form_has_instructions_and_multi_label() -> None:
    raw = {"text": "a", "labels": LABELS, "instructions": "Line one.\r\nLine two.\0", "multi_label": True}
    request = parse_request(raw)
    assert request.tasks == (replace(TASK, instructions="Line one.\nLine two.", multi_label=True),)
    assert request.warnings == ("instructions: removed 1 control character",)


def test_labels_may_be_read_first() -> None:
    levels = {"type": "score", "levels": LABELS, "labels_first": True}
    request = parse_request({"text": "a", "tasks": {"one": {"labels": LABELS, "labels_first": True}, "two": levels}})
    assert [(task.name, task.kind, task.labels_first) for task in request.tasks] == [
        ("one", "choice", True), ("two", "score", True)
    ]  # fmt: skip
    assert parse_request({"text": "a", "labels": LABELS, "labels_first": True}).tasks[0].labels_first
    assert not parse_request({"text": "a", "labels": LABELS, "labels_first": False}).tasks[0].labels_first


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"labels": LABELS, "multi_label": True}, "conflicting_fields", "labels_first"),
        ({"labels": [{"name": "a", "children": ["b", "c"]}, "d"]}, "conflicting_fields", "labels_first"),
        ({"taxonomy": "any"}, "unknown_taxonomy", "taxonomy"),
        ({"tasks": {"t": {"labels": LABELS}}}, "conflicting_fields", "labels_first"),
        ({"labels": LABELS, "labels_first": 1}, "wrong_type", "labels_first"),
    ],
)
def test_labels_are_not_read_first_where_questions_share_the_document(
    change: dict[str, object], code: str, field: str
) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request({"text": "a", "labels_first": True, **change})
    assert (caught.value.code, caught.value.field) == (code, field)
    with pytest.raises(RequestError) as of_yes_no:
        parse_request({"text": "a", "tasks": {"t": {"type": "yes_no", "instructions": "?", "labels_first": True}}})
    assert of_yes_no.value.field == "tasks.t.labels_first"


@pytest.mark.parametrize("nothing", [None, "", " \n", "\0", "\u200b"])
def test_instructions_that_say_nothing_are_none(nothing: str | None) -> None:
    raw = {"text": "a", "labels": [{"name": "invoice", "description": nothing}, "receipt"], "instructions": nothing}
    assert parse_request(raw).tasks == (TASK,)


def test_options() -> None:
    options = {
        "top_k": 2,
        "threshold": 1,
        "long_document": "error",
        "explain": False,
        "deterministic": True,
        "return_raw": True,
    }
    assert parse_request({"text": "a", "labels": LABELS, "options": options}).options == Options(
        top_k=2, threshold=1.0, long_document="error", explain=False, deterministic=True, return_raw=True
    )
    assert parse_request({"text": "a", "labels": LABELS, "options": {}}).options == Options()


@pytest.mark.parametrize(
    ("value", "text", "evidence"),
    [(False, False, False), (True, True, False), ("text", True, False), ("evidence", False, True)],
)
def test_what_is_explained_and_how(value: bool | str, text: bool, evidence: bool) -> None:
    options = parse_request({"text": "a", "labels": LABELS, "options": {"explain": value}}).options
    assert (options.explain, options.evidence) == (text, evidence)


def test_look_alike_labels_are_warned_of_by_place() -> None:
    raw = {"text": "a", "tasks": {"q": {"labels": ["x", "p\u0430yp\u0430l", "paypal"]}}}
    (warning,) = parse_request(raw).warnings
    assert warning.startswith("tasks.q.labels[2] looks like tasks.q.labels[1]")
    assert "paypal" not in warning


def test_an_unknown_field_goes_before_the_missing_one_that_it_explains() -> None:
    with pytest.raises(RequestError, match="did you mean 'labels'") as caught:
        parse_request({"text": 5, "lables": LABELS})
    assert (caught.value.code, caught.value.field) == ("unknown_field", "lables")


def test_an_unknown_field_like_no_other_is_told_what_is_known() -> None:
    with pytest.raises(RequestError, match="known here: labels, multi_label, instructions, mask, prior"):
        parse_request({"text": "a", "tasks": {"q": {"labels": LABELS, "zzz": 1}}})


def test_the_first_error_in_the_order_of_the_document_is_told() -> None:
    wrong = {"options": {"threshold": "x", "top_k": "x"}, "labels": 5, "text": 5}
    assert refusal(wrong) == ("wrong_type", "options.threshold")
    assert refusal(dict(reversed(wrong.items()))) == ("wrong_type", "text")


def test_a_key_in_a_path_is_shortened_and_made_visible() -> None:
    _, field = refusal({"text": "a", "labels": LABELS, "\u202e\n" + "k" * 1000: 1})
    assert field == "\\u202e\\n" + "k" * 56 + "…"


SMALL = Limits(
    max_depth=6,
    max_values=60,
    max_fields=10,
    max_text_chars=200,
    max_documents=3,
    max_pages=3,
    max_tasks=2,
    max_labels=3,
    max_label_chars=10,
    max_description_chars=20,
    max_instructions_chars=20,
    max_id_chars=10,
)
AT_THE_LIMIT = {
    "documents": [{"pages": ["a", "b", "c"]}, {"id": "i" * 10, "text": "a"}, {"text": "b"}],
    "tasks": {
        "t" * 10: {"labels": ["l" * 10, "b", "c"], "instructions": "i" * 20},
        "u": {"labels": [{"name": "a", "description": "d" * 20}, "b"]},
    },
}
OVER = [
    ({"documents": [{"text": "a"}] * 4}, "too_large", "documents"),
    ({"documents": [{"pages": ["a"] * 4}]}, "too_large", "documents[0].pages"),
    ({"documents": [{"text": "a", "id": "i" * 11}]}, "too_large", "documents[0].id"),
    ({"documents": [{"text": "a" * 201}]}, "too_large", "documents[0].text"),
    ({"documents": [{"text": "a" * 100}, {"text": "a" * 100}]}, "too_large", "documents[1].text"),
    ({"documents": [{"pages": ["a"] * 61}]}, "too_large", "documents[0].pages"),
    ({"documents": [{str(i): 1 for i in range(11)}]}, "too_large", "documents[0]"),
    ({"documents": [[[[[[[]]]]]]]}, "too_large", "documents"),
    ({"tasks": {name: {"labels": LABELS} for name in "abc"}}, "too_large", "tasks"),
    ({"tasks": {"t" * 11: {"labels": LABELS}}}, "too_large", "tasks." + "t" * 11),
    ({"tasks": {"t": {"labels": list("abcd")}}}, "too_many_labels", "tasks.t.labels"),
    ({"tasks": {"t": {"labels": ["a", "l" * 11]}}}, "label_too_long", "tasks.t.labels[1]"),
    ({"tasks": {"t": {"labels": ["a", {"name": "b", "id": "i" * 11}]}}}, "too_large", "tasks.t.labels[1].id"),
    (
        {"tasks": {"t": {"labels": ["a", {"name": "b", "description": "d" * 21}]}}},
        "too_large",
        "tasks.t.labels[1].description",
    ),
    ({"tasks": {"t": {"labels": LABELS, "instructions": "i" * 21}}}, "too_large", "tasks.t.instructions"),
]


def test_at_every_limit_a_request_is_served() -> None:
    assert len(parse_request(AT_THE_LIMIT, SMALL).documents) == 3


@pytest.mark.parametrize(("change", "code", "field"), OVER)
def test_over_a_limit(change: dict[str, object], code: str, field: str) -> None:
    assert refusal(AT_THE_LIMIT | change, SMALL) == (code, field)


def test_bounds_hold_for_what_only_python_can_send() -> None:
    cyclic: list[object] = []
    cyclic.append(cyclic)
    for value, code in [(cyclic, "too_large"), (b"bytes", "invalid_request"), (("a",), "invalid_request")]:
        with pytest.raises(RequestError) as caught:
            check_bounds({"text": value}, Limits())
        assert (caught.value.code, caught.value.field) == (code, "text")
    for key in (1, None, 10**5000, ("a",)):
        assert refusal({"text": {key: 1}}) == ("invalid_request", "text")
