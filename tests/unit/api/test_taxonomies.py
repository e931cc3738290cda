"""Taxonomies: trees in a request, files of a folder, and what is said of each that cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pinpoint.api.deployed import Deployed
from pinpoint.api.limits import Limits
from pinpoint.api.request import parse_request
from pinpoint.api.taxonomy_files import MAX_FILE_BYTES, SHIPPED, load_folders, read_taxonomy
from pinpoint.errors import RequestError
from pinpoint.prompting.taxonomy import Label, Task, labels_sha
from pinpoint.serving.taxonomies import load_taxonomies

TREE: list[Any] = [
    {"name": "bills", "children": ["invoice", {"name": "receipt", "id": "r", "examples": ["Paid  by\ncard"]}]},
    {"name": "letters", "children": ["complaint", {"name": "offers", "children": ["quotation", "tender"]}]},
    "other",
]


def job(**fields: Any) -> dict[str, Any]:
    return {"text": "x", "labels": TREE, **fields}


def only(raw: dict[str, Any], deployed: Deployed | None = None) -> Task:
    [task] = parse_request(raw, Limits(), deployed or Deployed()).tasks
    return task


def refusal(raw: dict[str, Any], deployed: Deployed | None = None) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse_request(raw, Limits(), deployed or Deployed())
    return caught.value


def test_a_tree_s_leaves_are_the_labels_and_its_groups_have_ids_too() -> None:
    task = only(job(mask=["offers"], prior={"bills": 3, "letters": 1, "other": 1}))
    assert [label.id for label in task.labels] == ["invoice", "r", "complaint", "quotation", "tender", "other"]
    assert task.tree is not None
    assert task.mask == {"offers", "quotation", "tender"}
    assert task.tree.parents == (-1, 0, 1, 1, 0, 4, 4, 6, 6, 0)
    assert [task.tree.place(node) for node in task.tree.askers()] == [
        "", "[0].children", "[1].children", "[1].children[1].children"
    ]  # fmt: skip
    assert task.labels[1].examples == ("Paid by card",)


BAD: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "an empty group": (job(labels=["a", {"name": "b", "children": []}]), "too_few_labels", "labels[1].children",
                       "leave `children` out"),
    "a group of one": (job(labels=["a", {"name": "b", "children": ["c"]}]), "too_few_labels", "labels[1].children",
                       "in the group's place"),
    "two of one id": (job(labels=[{"name": "a", "children": ["x", "y"]}, {"name": "b", "children": ["x", "z"]}]),
                      "duplicate_label", "labels[1].children[0]", "labels[0].children[0]"),
    "siblings alike": (job(labels=["a", {"name": "b", "children": ["x", "X"]}]), "duplicate_label",
                       "labels[1].children[1]", "labels[1].children[0]"),
    "too deep": (job(labels=["z", {"name": "1", "children": ["a", {"name": "2", "children": ["b", {"name": "3",
                 "children": ["c", {"name": "4", "children": ["d", {"name": "5", "children": ["e", "f"]}]}]}]}]}]),
                 "too_large", "labels[1].children[1].children[1].children[1].children[1].children", "5 levels"),
    "with yes or no": (job(multi_label=True), "conflicting_fields", "multi_label", "asked for one label"),
    "a mask that empties a branch": (job(mask=["invoice", "r"]), "too_few_labels", "mask", "mask that group itself"),
    "a mask of all": (job(mask=["bills", "letters", "other"]), "too_few_labels", "mask", "every label"),
    "a mask of nobody": (job(mask=["bills", "paid"]), "unknown_id", "mask[1]", "no label"),
    "a prior of the masked": (job(mask=["letters"], prior={"bills": 1, "other": 1, "tender": 1}),
                              "conflicting_fields", "prior", "that the mask excludes: 1"),
    "half a prior": (job(prior={"bills": 1}), "missing_field", "prior", "2 of 3 at the top have no prior"),
    "half a prior below": (job(prior={"bills": 1, "letters": 1, "other": 1, "tender": 1}), "missing_field", "prior",
                           "1 of 2 below 'offers' have no prior"),
    "children of another type": (job(labels=["a", {"name": "b", "children": "c"}]), "wrong_type", "labels[1].children",
                                 "a list"),
    "a typo below": (job(labels=["a", {"name": "b", "children": ["c", {"nam": "d"}]}]), "unknown_field",
                     "labels[1].children[1].nam", "'name'"),
    "too many labels": (job(labels=[{"name": f"g{g}", "children": [f"{g}.{k}" for k in range(100)]}
                                    for g in range(10)]), "too_many_labels", "labels", "1000"),
    "too many examples": (job(labels=["a", {"name": "b", "examples": ["x"] * 11}]), "too_large", "labels[1].examples",
                          "at most 10"),
    "a long example": (job(labels=["a", {"name": "b", "examples": ["x", "y" * 1001]}]), "too_large",
                       "labels[1].examples[1]", "at most 1000"),
    "a name of nobody": ({"text": "x", "taxonomy": "finance-v3"}, "unknown_taxonomy", "taxonomy", "there is: none"),
    "a taxonomy and labels": (job(taxonomy="t"), "conflicting_fields", "taxonomy", "labels"),
    "a taxonomy and other": ({"text": "x", "tasks": {"q": {"taxonomy": "business-documents", "other": True}}},
                             "conflicting_fields", "tasks.q.other", "mask, prior and instructions"),
    "a mask beside tasks": ({"text": "x", "tasks": {"q": {"labels": ["a", "b"]}}, "mask": ["a"]},
                            "conflicting_fields", "mask", "each task has its own"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_told_by_field_and_what_to_do(name: str) -> None:
    raw, code, field, words = BAD[name]
    error = refusal(raw, load_folders(SHIPPED) if "other" in name else None)
    assert (error.code, error.field) == (code, field)
    assert words in error.message


def test_a_flat_list_takes_mask_and_prior_in_the_short_form_and_a_job_masks_what_a_file_weighs(tmp_path: Path) -> None:
    task = only({"text": "x", "labels": ["a", "b", "c"], "mask": ["c"], "prior": {"a": 1, "b": 2}})
    assert task.mask == {"c"} and task.prior == {"a": 1, "b": 2}
    written(tmp_path, "t.yaml", "labels: [a, b, c]\nprior: {a: 1, b: 2, c: 3}")
    named = only({"text": "x", "taxonomy": "t", "mask": ["c"]}, load_folders(tmp_path))
    assert named.mask == {"c"} and named.prior == {"a": 1, "b": 2, "c": 3}


def test_examples_beyond_the_room_of_a_question_are_left_out_in_turns_and_counted() -> None:
    labels = [{"name": name, "examples": [f"{name}{k}" + "x" * 900 for k in range(6)]} for name in "ab"]
    asked = parse_request({"text": "x", "labels": labels})
    assert [len(label.examples) for label in asked.tasks[0].labels] == [4, 4]
    assert any(warning.startswith("4 examples are not shown") for warning in asked.warnings)
    apart = parse_request({"text": "x", "labels": labels, "multi_label": True})
    assert [len(label.examples) for label in apart.tasks[0].labels] == [6, 6]


def test_the_digest_covers_examples_and_groups_and_stays_for_all_else() -> None:
    plain = Task("category", (Label("a", "a"), Label("b", "b", "of b")))
    assert labels_sha(plain) == "0cf3909c8ffe4e34"
    shown = only({"text": "x", "labels": ["a", {"name": "b", "description": "of b", "examples": ["e"]}]})
    tree = only(job())
    moved = [TREE[0], TREE[1], {"name": "other", "children": ["p", "q"]}]
    digests = {labels_sha(task) for task in (plain, shown, tree, only(job(labels=moved)))}
    assert len(digests) == 4
    assert labels_sha(tree) == labels_sha(only(job(mask=["offers"], prior={"bills": 1, "letters": 1, "other": 1})))


# Files.

YAML = """
description: words for people
instructions: Choose by what it is.
mask: [no]
prior: {a: 1, yes: 2.5}
labels:
  - {name: a, description: first}
  - yes
  - no
"""


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_is_a_task_and_its_words_stay_words(tmp_path: Path) -> None:
    task = read_taxonomy(written(tmp_path, "t.yaml", YAML)).task
    assert [label.name for label in task.labels] == ["a", "yes", "no"]
    assert task.mask == {"no"} and task.prior == {"a": 1.0, "yes": 2.5}
    assert task.instructions == "Choose by what it is."
    value = {"labels": TREE, "mask": ["offers"]}
    as_json = read_taxonomy(written(tmp_path, "t.json", json.dumps(value))).task
    assert as_json == only(job(mask=["offers"]))
    assert read_taxonomy(written(tmp_path, "u.yml", json.dumps(value))).task == as_json


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
FILES: dict[str, tuple[str | bytes, str, str]] = {
    "cyclic": ("labels: &l\n  - a\n  - name: b\n    children: *l\n", "cyclic_tree", "*l stands inside of what"),
    "bomb": (BOMB + "labels: [a, b]", "too_large", "counted as often as they are used"),
    "deep": ("[" * 5000, "too_large", "nested too deep"),
    "tag": ("labels: [!!python/object/apply:os.system [ls], b]", "invalid_taxonomy", "a tag"),
    "twice": ("labels: [a, b]\nlabels: [c, d]", "invalid_taxonomy", "stands here already, line 2"),
    "two documents": ("labels: [a, b]\n---\nlabels: [c, d]", "invalid_taxonomy", "a second document"),
    "no YAML": ("labels: [a, b", "invalid_taxonomy", "not YAML"),
    "a NUL": ("labels: [a, \0]", "invalid_taxonomy", "not YAML"),
    "no UTF-8": ("labels: [ä, ö]".encode("latin-1"), "invalid_taxonomy", "not UTF-8"),
    "a list": ("- a\n- b", "invalid_taxonomy", "an object with `labels`"),
    "empty": ("", "invalid_taxonomy", "an object with `labels`"),
    "a merge": ("x: &x {name: a}\nlabels:\n  - <<: *x\n  - b", "unknown_field", "unknown field"),
    "a number": ("labels:\n  - a\n  - 2024", "wrong_type", "a string or an object, not a whole number, line 3"),
    "a typo": ("labels:\n  - name: a\n  - nam: b", "unknown_field", "line 3"),
    "a group of one": ("labels:\n  - a\n  - name: b\n    children: [c]", "too_few_labels", "line 4"),
    "a prior of the masked": ("labels: [a, {name: b, children: [c, d, e]}]\nmask: [c]\nprior: {c: 1, a: 2, b: 1}",
                              "conflicting_fields", "that the mask excludes: 1"),
    "large": ("#" * (MAX_FILE_BYTES + 1), "too_large", "split it"),
    "no anchor": ("labels: [a, *b]", "invalid_taxonomy", "no anchor &b"),
    "a key that is no word": ("labels: [a, b]\n? [x]\n: y", "invalid_taxonomy", "no word"),
    "no character": ('labels: ["\\UFFFFFFFF", b]', "invalid_taxonomy", "an escape that is too large"),
    "just no character": ('labels: ["\\U00110000", b]', "invalid_taxonomy", "an escape that is too large"),
    "a version": ("%YAML " + "1" * 5000 + ".1\n---\nlabels: [a, b]", "invalid_taxonomy", "a number"),
    "another taxonomy": ("taxonomy: other", "unknown_taxonomy", "there is: none"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_refused_in_words_and_alone(name: str, tmp_path: Path) -> None:
    content, code, words = FILES[name]
    written(tmp_path, "bad.yaml", content)
    written(tmp_path, "good.yaml", "labels: [a, b]")
    deployed = load_folders(tmp_path)
    assert list(deployed.taxonomies) == ["good"]
    assert deployed.refused["bad"].code == code
    assert words in deployed.refused["bad"].message
    told = refusal({"text": "x", "taxonomy": "bad"}, deployed)
    assert (told.code, told.field) == ("unknown_taxonomy", "taxonomy")
    assert code in told.message
    assert "there is: good" in refusal({"text": "x", "taxonomy": "nobody"}, deployed).message


@pytest.mark.parametrize("content", ['{"labels": ["a", "b"], "labels": []}', '{"labels": ["a",', "[" * 100_000])
def test_a_damaged_json_file_is_refused_too(content: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        read_taxonomy(written(tmp_path, "t.json", content))
    assert caught.value.code == "invalid_taxonomy"


def test_a_later_folder_goes_first_two_files_of_one_name_are_refused_and_others_are_left_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    written(first, "t.yaml", "labels: [a, b]")
    written(first, "u.yaml", "labels: [")
    written(second, "t.json", '{"labels": ["c", "d"]}')
    written(second, "u.yaml", "labels: [a, b]")
    written(second, "v.yaml", "labels: [a, b]")
    written(second, "v.yml", "labels: [a, b]")
    written(second, "notes.txt", "labels")
    written(second, ".hidden.yaml", "labels")
    deployed = load_folders(first, second)
    assert sorted(deployed.taxonomies) == ["t", "u"]
    assert deployed.taxonomies["t"].task.labels[0].name == "c"
    assert list(deployed.refused) == ["v"]
    with pytest.raises(RequestError, match="no such folder"):
        load_folders(tmp_path / "3")


@pytest.mark.parametrize(("method", "of"), [("iterdir", "folder"), ("is_dir", "folder"), ("is_file", "file")])
def test_what_may_not_be_read_is_told_and_ends_no_worker(
    method: str, of: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = written(tmp_path, "closed.yaml", "labels: [a, b]") if of == "file" else tmp_path
    for name in {method, "open"}:
        plain = getattr(Path, name)

        def may(path: Path, *rest: Any, plain: Any = plain) -> Any:
            if path == closed:
                raise PermissionError(13, "Permission denied")
            return plain(path, *rest)

        monkeypatch.setattr(Path, name, may)
    if of == "folder":
        with pytest.raises(RequestError, match="cannot be read: Permission denied") as caught:
            load_folders(tmp_path)
        assert (caught.value.code, caught.value.field) == ("invalid_taxonomy", str(tmp_path))
    else:
        assert "Permission denied" in load_folders(tmp_path).refused["closed"].message
    assert "business-documents" in load_taxonomies(str(tmp_path)).taxonomies


def test_a_worker_starts_beside_a_damaged_file(tmp_path: Path) -> None:
    written(tmp_path, "bad.yaml", 'labels: ["\\UFFFFFFFF", b]')
    written(tmp_path, "good.yaml", "labels: [a, b]")
    deployed = load_taxonomies(str(tmp_path))
    assert list(deployed.refused) == ["bad"] and {"good", "business-documents"} <= set(deployed.taxonomies)


def test_an_alias_may_repeat_what_is_small(tmp_path: Path) -> None:
    text = "labels:\n  - {name: a, examples: &e [one, two]}\n  - {name: b, examples: *e}\n"
    task = read_taxonomy(written(tmp_path, "t.yaml", text)).task
    assert [label.examples for label in task.labels] == [("one", "two")] * 2


def test_the_taxonomy_that_ships_has_217_labels_in_7_groups_and_takes_a_mask_and_a_prior_of_a_job() -> None:
    deployed = load_folders(SHIPPED)
    assert not deployed.refused
    task = only({"text": "x", "taxonomy": "business-documents"}, deployed)
    assert task.tree is not None
    children = task.tree.children()
    assert (len(task.labels), [len(children[node]) for node in children[0]]) == (217, [31] * 7)
    groups = {task.tree.label(node).id: 1.0 for node in children[0]}
    named = {
        "taxonomy": "business-documents", "mask": ["legal"], "instructions": "Only the first page counts.",
        "prior": {name: weight for name, weight in groups.items() if name != "legal"},
    }  # fmt: skip
    [asked] = parse_request({"text": "x", "tasks": {"kind": named}}, Limits(), deployed).tasks
    assert (asked.name, asked.instructions) == ("kind", "Only the first page counts.")
    assert len(asked.mask) == 32 and asked.prior == named["prior"]
    assert labels_sha(asked) != labels_sha(task)
    assert only({"text": "x", "taxonomy": "business-documents"}, deployed) == task
