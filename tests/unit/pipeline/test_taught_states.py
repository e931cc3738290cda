"""A head on the state: measured for the task that has one, and applied to what was measured."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pinpoint.api.request import Options, parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.decide.task_file import Fitted
from pinpoint.decide.trust import Standing, Taught
from pinpoint.engine.readings import STATE_FLOATS
from pinpoint.pipeline.answers import weighted
from pinpoint.pipeline.classify import classify
from pinpoint.prompting.taxonomy import Label, Task
from tests.fakes import FakeEngine, FakeScores, log_prob, state_of
from tests.reference import calibration as reference
from tests.task_files import task_file

TASKS = {"kind": {"labels": ["a", "b"]}, "flag": {"type": "yes_no", "instructions": "Is it so?"}}
JOB = {"documents": [{"text": "one"}, {"text": "another"}], "tasks": TASKS}
WEIGHTS = np.random.default_rng(0).normal(size=(2, STATE_FLOATS)).tolist()


@pytest.mark.parametrize("name", ["kind", "flag"])
def test_a_taught_head_looks_at_the_state_of_its_own_question(name: str) -> None:
    engine, request = FakeEngine(), parse_request(JOB | {"options": {"return_raw": True}})
    file = task_file(engine, next(task for task in request.tasks if task.name == name), fitted=Fitted(state=WEIGHTS))

    def find(task: Task, options: Options) -> Standing:
        return Taught(file, "d1") if task.name == name else "no_task_file"

    response, _ = classify(request, engine, find)
    (forest,) = engine.forests
    asked = [ask for ask in forest.asks if ask.state]
    assert len(asked) == 2 and len(forest.asks) == 4, "the other task's answers are not read twice"
    for result, ask in zip(response.results, asked, strict=True):
        assert isinstance(result, DocumentResult)
        prompt = forest.prompt(ask.span)
        measured = [log_prob(prompt, label) for label in ask.trie.labels]
        expected = reference.apply(measured, 1.0, None, None, (), WEIGHTS, state_of(prompt))
        answer = result.answers[name]
        assert sorted(answer.scores) == pytest.approx(sorted(map(math.exp, expected)))
        assert answer.confidence == answer.scores[0]
        assert answer.state == () and "state" not in answer.to_wire()


def test_who_teaches_is_given_states_and_nobody_else() -> None:
    request = parse_request(JOB)
    asking = replace(request, options=replace(request.options, states=True))
    for one, floats in ((request, 0), (asking, STATE_FLOATS)):
        response, _ = classify(one, FakeEngine())
        for result in response.results:
            assert isinstance(result, DocumentResult)
            assert {len(answer.state) for answer in result.answers.values()} == {floats}


def test_of_a_set_of_labels_each_question_has_its_state() -> None:
    engine, task = FakeEngine(), {"labels": ["a", "b", "c"], "multi_label": True}
    request = parse_request({"documents": [{"text": "one"}], "tasks": {"kinds": task}})
    weights = np.random.default_rng(1).normal(size=(3, STATE_FLOATS)).tolist()
    file = task_file(engine, request.tasks[0], sets=True, fitted=Fitted(state=weights))
    response, _ = classify(request, engine, lambda task, options: Taught(file, "d1"))
    (forest,) = engine.forests
    assert [ask.state for ask in forest.asks] == [True] * 3
    prompts = [forest.prompt(ask.span) for ask in forest.asks]
    odds = [yes - no for yes, no in ([log_prob(prompt, one) for one in ask.trie.labels]
                                     for prompt, ask in zip(prompts, forest.asks, strict=True))]  # fmt: skip
    states = [state_of(prompt) for prompt in prompts]
    (result,) = response.results
    assert isinstance(result, DocumentResult)
    answer = result.answers["kinds"]
    expected = [1 / (1 + math.exp(-one)) for one in reference.apply_odds(odds, 1.0, None, None, weights, states)]
    assert dict(zip(answer.labels, answer.scores, strict=True)) == pytest.approx(
        dict(zip("abc", expected, strict=True))
    )
    # Who teaches is given them one after the other, and none of so many that a head could not be applied in time.
    asking = replace(request, options=replace(request.options, states=True))
    for count, floats in ((3, 3 * STATE_FLOATS), (32, 32 * STATE_FLOATS), (33, 0)):
        many = replace(request.tasks[0], labels=tuple(Label(f"l{k}", f"name {k}") for k in range(count)))
        response, _ = classify(replace(asking, tasks=(many,)), FakeEngine())
        (result,) = response.results
        assert isinstance(result, DocumentResult)
        state = result.answers["kinds"].state
        assert len(state) == floats
    response, _ = classify(asking, FakeEngine())
    (result,) = response.results
    assert isinstance(result, DocumentResult)
    assert result.answers["kinds"].state == pytest.approx([number for state in states for number in state])


def test_parts_of_a_document_have_the_mean_of_their_states() -> None:
    parts = [[FakeScores([-1.0], state=(1.0, 4.0))], [FakeScores([-3.0], state=(5.0, 0.0))]]
    (mean,) = weighted(parts, [0.75, 0.25])
    assert (mean.log_probs, mean.state) == ([-1.5], (2.0, 3.0))
