"""The work that Pinpoint and vLLM are compared on, and the table of both sides."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench import against, vllm_side
from pinpoint.prompting.prompts import PromptBuilder
from tests.fakes import chatml_prompts

EIGHT, _, _, ASKED, ALONE, _ = against.JOBS


@pytest.fixture(scope="module")
def prompts() -> PromptBuilder:
    """Of a small tokenizer."""
    return chatml_prompts()


def side(figures: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What one of them wrote."""
    return {"work": "same", "card": "card", "versions": {"vllm": "0.26.0"}, "figures": figures} | more


OURS = side({"int8": {EIGHT: 30.0, ALONE: 50.0}, "fp8": {EIGHT: 40.0, ALONE: 60.0}})
THEIRS = side({"one token": {EIGHT: 50.0, ALONE: 40.0}, "exact": {EIGHT: 20.0}}, quantization="fp8")
CHANNELS = side({"one token": {EIGHT: 60.0}}, quantization="fp8_per_channel")


def test_a_table_sets_our_best_against_each_figure_of_theirs(tmp_path: Path) -> None:
    assert against.kept(tmp_path) == ""
    for name, one in {"pinpoint_against": OURS, "vllm_against": THEIRS, "vllm_against_channel": CHANNELS}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(one))
    cells = [line.strip("| ").split(" | ") for line in against.kept(tmp_path).splitlines()]
    places = [0, *(1 + list(against.JOBS).index(job) for job in (EIGHT, ALONE))]
    assert [[row[place] for place in places] for row in cells[2:]] == [
        ["Pinpoint, int8", "30", "50"],
        ["Pinpoint, fp8", "40", "60"],
        ["vLLM 0.26.0 fp8, one token", "50 (0.80)", "40 (0.80)"],
        ["vLLM 0.26.0 fp8, exact", "20 (2.00)", "–"],
        ["vLLM 0.26.0 fp8_per_channel, one token", "60 (0.67)", "–"],
    ]
    assert cells[2][places[2] + 1 :] == ["–"]
    assert [against._short(figure) for figure in (0.538, 15.66, 1351.26)] == ["0.538", "15.7", "1,351"]


def test_long_documents_have_a_table_of_their_own(tmp_path: Path) -> None:
    eight, thirty = against.LONG
    ours = side({"int8": {eight: 5.0, thirty: 1.0}, "fp8": {eight: 4.0}})
    theirs = side({"one token": {eight: 4.0, thirty: 0.8}}, quantization="fp8")
    written = {"pinpoint_against": OURS, "vllm_against": THEIRS, "pinpoint_long": ours, "vllm_long": theirs}
    for name, one in written.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(one))
    cells = [line.strip("| ").split(" | ") for line in against.kept(tmp_path, long=True).splitlines()]
    assert cells[0][1:] == [f"{job}, documents/s" for job in against.LONG]
    assert cells[2:] == [
        ["Pinpoint, int8", "5", "1"],
        ["Pinpoint, fp8", "4", "–"],
        ["vLLM 0.26.0 fp8, one token", "4 (1.25)", "0.8 (1.25)"],
    ]
    assert eight not in against.kept(tmp_path)


def test_labels_that_stand_first_are_compared_with_such() -> None:
    ours = side({"int8": {EIGHT: 40.0}, f"int8{against.FIRST}, passes": {EIGHT: 60.0}})
    theirs = side({"one token": {EIGHT: 20.0}, f"one token{against.FIRST}": {EIGHT: 50.0}}, quantization="fp8")
    told = [row[1 + list(against.JOBS).index(EIGHT)] for row in against.rows(ours, theirs)]
    assert told == ["40", "60", "20 (2.00)", "50 (1.20)"]


@pytest.mark.parametrize(
    ("theirs", "why"),
    [(THEIRS | {"card": "other"}, "different cards"), (THEIRS | {"work": "other"}, "not of the same")],
)
def test_sides_that_cannot_be_divided_make_no_table(theirs: dict[str, Any], why: str, tmp_path: Path) -> None:
    paths = [tmp_path / "ours.json", tmp_path / "theirs.json"]
    for path, one in zip(paths, (OURS, theirs), strict=True):
        path.write_text(json.dumps(one))
    done = CliRunner().invoke(against.app, ["table", *map(str, paths)])
    assert done.exit_code == 1
    assert why in done.output


def test_both_sides_are_given_the_same_prompts_and_labels(
    prompts: PromptBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = against.Job(3, 40, 2, 4)
    monkeypatch.setattr(against, "JOBS", {ASKED: job})
    made = against.work(prompts)
    theirs = vllm_side.Job(json.loads(json.dumps(made))[ASKED])
    ours = [
        (forest.prompt(ask.span), [list(label) for label in ask.trie.labels])
        for forest in against.forests(prompts, job, 400)
        for ask in forest.asks
    ]
    assert ours == list(zip(theirs.prompts, theirs.labels, strict=True))
    assert len(ours) == 12
    assert len(made[ASKED]["label_sets"]) == 1, "letters are the same of all questions"
    assert len({tuple(prompt) for prompt, _ in ours}) == 12
    assert against.digest(made) == against.digest(against.work(prompts))


def test_the_work_of_long_documents_is_another(prompts: PromptBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(against, "JOBS", {EIGHT: against.Job(1, 40, 8)})
    short = {name: against.Job(2, 900 + place, 8) for place, name in enumerate(against.LONG)}
    assert [job.tokens for job in against.LONG.values()] == [8000, 30000]
    monkeypatch.setattr(against, "LONG", short)
    made = against.work(prompts, long=True)
    assert list(made) == list(vllm_side.LONG)
    fewer, more = (sum(map(len, job["spans"])) for job in made.values())
    assert more == fewer + 2 > 1800
    assert against.digest(made) != against.digest(against.work(prompts))


def test_a_pass_holds_what_its_budget_has_room_for(prompts: PromptBuilder) -> None:
    job = against.Job(9, 100, 8)
    (whole,) = against.forests(prompts, job, 100_000)
    made = against.forests(prompts, job, 500)
    assert sum(len(forest.asks) for forest in made) == 9
    assert all(
        forest.total_tokens <= 500 < forest.total_tokens + after.total_tokens for forest, after in pairwise(made)
    )
    assert whole.total_tokens <= sum(forest.total_tokens for forest in made)


def test_what_vllm_is_asked_behind_a_prompt_tells_all_labels_apart() -> None:
    labels = [[1, 2, 3], [1, 2], [1, 4], [5]]
    assert vllm_side._nodes(labels, 9) == {(1,): [2, 4], (1, 2): [3, 9]}


def test_labels_first_has_the_same_tokens_and_begins_alike(
    prompts: PromptBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(against, "JOBS", {EIGHT: against.Job(2, 40, 8)})
    job = vllm_side.Job(against.work(prompts)[EIGHT])
    first = job.labels_first()
    assert [sorted(prompt) for prompt in first] == [sorted(prompt) for prompt in job.prompts]
    alike = [next(i for i, (a, b) in enumerate(zip(*two)) if a != b) for two in (job.prompts, first)]  # noqa: B905
    assert alike[1] > alike[0] + 20
    (ours,) = against.forests(prompts, against.JOBS[EIGHT], 10_000, labels_first=True)
    for ask, theirs in zip(ours.asks, first, strict=True):
        laid, ending = ours.prompt(ask.span), list(prompts._ending)
        assert laid[-len(ending) :] == ending
        place = next(i for i in range(len(theirs)) if theirs[i : i + len(ending)] == ending)
        assert laid[: -len(ending)] == [*theirs[:place], *theirs[place + len(ending) :]]


def test_the_summary_has_a_row_for_each_way_that_was_measured(tmp_path: Path) -> None:
    assert against.summary(tmp_path) == []
    for name, one in {"pinpoint_against": OURS, "vllm_against": THEIRS, "vllm_against_channel": CHANNELS}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(one))
    assert against.summary(tmp_path) == [(against.SUMMARY["one token"], "0.80", "", "")]
