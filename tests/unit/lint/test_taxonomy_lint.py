"""What lint finds in a taxonomy, and that it finds nothing in the one that ships."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from pinpoint.api.request import Options, Request, parse_request
from pinpoint.api.response import DocumentFailure
from pinpoint.api.taxonomy_files import SHIPPED, read_taxonomy
from pinpoint.cli import app
from pinpoint.errors import DocumentError, PinpointError, RequestError
from pinpoint.lint.findings import Finding
from pinpoint.lint.with_model import check_order, check_tokens
from pinpoint.lint.words import check_words
from pinpoint.pipeline.room import room_of
from pinpoint.prompting.span_tree import Ask, Forest
from pinpoint.prompting.taxonomy import Task
from tests.fakes import FakeEngine, FakeScores, log_prob

SHIPS = read_taxonomy(SHIPPED / "business-documents.yaml")


def task(*labels: Any, **fields: Any) -> Task:
    return parse_request({"text": "x", "tasks": {"category": {"labels": [*labels], **fields}}}).tasks[0]


def codes(found: list[Finding], level: str | None = None) -> list[tuple[str, str]]:
    return [(one.code, one.where) for one in found if level is None or one.level == level]


def described(name: str, description: str) -> dict[str, str]:
    return {"name": name, "description": description}


def test_the_taxonomy_that_ships_has_nothing_to_change() -> None:
    assert check_words(SHIPS.task, SHIPS.warnings) == []
    found, costs = check_tokens(SHIPS.task, FakeEngine(context_tokens=32_768, token_budget=32_768))
    assert codes(found, "error") == codes(found, "warning") == []
    assert (len(costs), costs[0].labels, costs[0].where) == (8, 7, "the top")


@pytest.mark.parametrize(
    ("checked", "expected"),
    [
        (task("invoice", "invoices", "other"), ("near_names", "invoice, invoices")),
        (task("order change", "change order", "other"), ("near_names", "order change, change order")),
        (task("invoice", "receipt"), ("missing_other", "the top")),
        (
            task(described("a", "money that is owed for rent"), described("b", "money that is owed for rent"), "other"),
            ("confusable_descriptions", "a, b"),
        ),
        (task(*(f"kind {n * 7919}" for n in range(70)), "other"), ("too_many_in_one", "the top")),
        (
            task({"name": "g", "children": [f"{n * 7919} x" for n in range(30)]}, {"name": "h", "children": ["p", "q"]},
                 "other"),
            ("unbalanced", "g"),
        ),
    ],
)  # fmt: skip
def test_words_and_shapes_that_answer_badly_are_warnings(checked: Task, expected: tuple[str, str]) -> None:
    assert expected in codes(check_words(checked), "warning")


def test_what_is_well_is_not_complained_about() -> None:
    well = task(described("invoice", "asks to be paid"), described("receipt", "confirms a payment"), "other")
    assert check_words(well) == []
    assert check_words(task("invoice", "receipt", other=True)) == []
    flags = task("urgent", "paid", multi_label=True)
    assert check_words(flags) == [] and check_order(flags, FakeEngine()) == []


def test_levels_of_a_score_lack_no_other_and_keep_their_order() -> None:
    levels = [{"label": name, "description": f"it is {name}"} for name in ("bad", "middling", "good")]
    [score] = parse_request({"text": "x", "tasks": {"q": {"type": "score", "levels": levels}}}).tasks
    engine = FakeEngine()
    assert check_words(score) == [] and check_order(score, engine) == [] and not engine.forests


def test_a_group_without_other_and_one_name_in_two_branches_are_notes() -> None:
    found = check_words(
        task(
            {"name": "g", "children": [{"name": "letter", "id": "g.letter"}, "b"]},
            {"name": "h", "children": [{"name": "letter", "id": "h.letter"}, {"name": "other", "id": "h.other"}]},
            "other",
        )
    )
    assert codes(found, "note") == [("missing_other", "g"), ("same_name", "g.letter, h.letter")]
    assert codes(found, "warning") == []


def test_tokens_that_labels_share_are_told() -> None:
    names = ["gas", "gas bill", "gas meter", "water", "light", "rent", "other"]
    found, [cost] = check_tokens(task(*names), FakeEngine())
    assert ("begins_another", "gas, gas bill") in codes(found, "note")
    assert "shared_first_token" in [one.code for one in found]
    assert (cost.labels, cost.tokens > 0, cost.answer_tokens > 7) == (7, True, True)
    few, _ = check_tokens(task(*names[:4]), FakeEngine())
    assert few == [], "letters share nothing"


def test_labels_that_are_one_for_the_model_and_prompts_without_room_are_errors() -> None:
    long = task(*(described(f"kind {n}", f"{n} " * 90) for n in range(9)))
    found, _ = check_tokens(long, FakeEngine(context_tokens=900, token_budget=8192))
    assert codes(found, "error") == [("labels_too_long", "the top")]
    found, _ = check_tokens(long, FakeEngine(context_tokens=2500, token_budget=5000))
    assert codes(found, "warning") == [("little_room", "the top")]
    found, _ = check_tokens(long, FakeEngine(context_tokens=5000, token_budget=2500))
    assert codes(found, "warning") == [], "what a pass does not hold is read in chunks"


@pytest.mark.parametrize("multi_label", [False, True])
def test_room_is_what_the_worker_has(multi_label: bool) -> None:
    """At every size near the edge, an error is found where a job is refused, and only there."""
    long = described("long", "word " * 60)  # not the first: each label is a question of its own with multi_label
    checked = task(described("short", "s"), long, "other", multi_label=multi_label)
    found = dict[str, set[str]]()
    for wide, narrow in [(5000, size) for size in range(20, 700)] + [(size, 5000) for size in range(20, 700)]:
        engine = FakeEngine(context_tokens=wide, token_budget=narrow)
        try:
            room_of(checked, engine.prompts.questions(checked), Options(), engine)
            said = "room"
        except RequestError as error:
            said = error.code
        levels = codes(check_tokens(checked, engine)[0], "error")
        found.setdefault(said, set()).add(levels[0][0] if levels else "room")
    assert found == {"room": {"room"}, "labels_too_long": {"labels_too_long"}}


@dataclass(slots=True)
class Steady(FakeEngine):
    """Whatever the prompt, each label has its own score."""

    def scores(self, forest: Forest, ask: Ask) -> FakeScores:
        return FakeScores([log_prob([], label) for label in ask.trie.labels])


def test_answers_that_hang_on_the_order_are_a_warning_and_of_a_weak_model_a_note() -> None:
    labels = [described(f"kind {n}", f"the {n}th of all kinds") for n in range(12)]
    tree = task({"name": "g", "children": labels}, {"name": "h", "children": ["p", "q"]}, "other")
    assert codes(check_order(tree, FakeEngine()), "warning") == [("order_sensitive", "g")]
    assert ("order_sensitive", "g") in codes(check_order(tree, FakeEngine(), weak=True), "note")
    steady = Steady()
    found = check_order(tree, steady, sample=5)
    assert {one.code for one in found} == {"taken_for_another"}
    assert len(found) in (4, 5)
    assert sum(len(forest.asks) for forest in steady.forests) == 2 * 5


def test_the_order_is_tried_without_mask_and_prior_which_would_hide_what_the_model_takes() -> None:
    labels = [described(f"kind {n}", f"the {n}th of all kinds") for n in range(6)]
    plain = task(*labels, "other")
    weighed = task(
        *labels, "other", mask=["kind 0", "kind 3"], prior={f"kind {n}": 9**n for n in (1, 2, 4, 5)} | {"other": 1}
    )
    assert check_order(weighed, Steady()) == check_order(plain, Steady()) != []


def test_words_that_cannot_be_read_as_a_document_are_told_by_the_document_s_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def classified(request: Request, engine: FakeEngine) -> Any:
        failures = [DocumentFailure(one.id, DocumentError("empty_text", "no token", None)) for one in request.documents]
        return SimpleNamespace(results=failures), None

    monkeypatch.setattr("pinpoint.lint.with_model.classify", classified)
    with pytest.raises(DocumentError, match="no token"):
        check_order(task(described("a", "x"), described("b", "y")), FakeEngine())


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["lint", *words, "--no-model"])
    return done.exit_code, done.output


def test_the_command_says_by_its_exit_code_whether_there_is_something_to_change(tmp_path: Path) -> None:
    code, text = run("business-documents")
    assert (code, "217 labels in 7 groups" in text, "0 errors, 0 warnings" in text) == (0, True, True)
    path = tmp_path / "t.yaml"
    path.write_text("labels: [invoice, invoices]", encoding="utf-8")
    code, text = run(str(path))
    assert (code, "near_names" in text, "missing_other" in text) == (1, True, True)
    code, text = run(str(path), "--json")
    assert (code, [one["code"] for one in json.loads(text)["findings"]]) == (1, ["near_names", "missing_other"])
    path.write_text("labels: [a, {name: b, children: [c]}]", encoding="utf-8")
    code, text = run(str(path))
    assert (code, "too_few_labels" in text, "labels[1].children" in text, "line 1" in text) == (2, True, True, True)
    assert run(str(tmp_path / "nobody.yaml"))[0] == 2
    assert json.loads(run(str(path), "--json")[1])["error"]["code"] == "too_few_labels"


@pytest.mark.parametrize("labels_first", [False, True])
def test_what_a_document_costs_is_told_without_what_all_of_them_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels_first: bool
) -> None:
    monkeypatch.setattr("pinpoint.serving.model.get_scorer", lambda _: FakeEngine())
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"labels": ["invoice", "receipt", "other"], "labels_first": labels_first}))
    text, told = (CliRunner().invoke(app, ["lint", str(path), *words]).output for words in ((), ("--json",)))
    (cost,) = json.loads(told)["questions"]
    question, labels = cost["tokens"], cost["answer_tokens"]
    behind = f"{labels} at the top, and {question} that stand before all documents"
    assert f"a document costs {behind if labels_first else f'{question + labels} at the top ('}" in text


@pytest.mark.parametrize("as_json", [False, True])
def test_what_the_words_told_is_shown_where_the_model_cannot_be_had(
    as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_model(*_: Any) -> Any:
        raise PinpointError("no_such_model", "there is no such model", "MODEL_NAME")

    monkeypatch.setattr(sys.modules["pinpoint.cli.lint"], "_with_model", no_model)
    path = tmp_path / "t.yaml"
    path.write_text("labels: [invoice, invoices]", encoding="utf-8")
    done = CliRunner().invoke(app, ["lint", str(path), "--model", "nobody/nothing", *(["--json"] if as_json else [])])
    assert done.exit_code == 1
    assert "near_names" in done.output and "no_such_model" in done.output and "--no-model" in done.output
