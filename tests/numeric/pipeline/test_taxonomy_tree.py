"""A tree on a model: the fast way in one pass against every path by itself, a forward pass for each label."""

from __future__ import annotations

import pytest

from pinpoint.api.request import parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.engine.scorer import Scorer
from pinpoint.pipeline.classify import classify
from pinpoint.prompting.label_tree import questions_of
from tests.numeric.conftest import Pair
from tests.numeric.tolerances import FLOAT32
from tests.reference.scoring import label_log_prob
from tests.reference.tree import Node, shares

LABELS = [
    {"name": "bills", "children": ["invoice", {"name": "gas", "children": ["gas bill", "gas bill reminder"]}]},
    {"name": "letters", "children": ["complaint", "praise"]},
    "other",
]
ROOT = Node(
    "",
    (
        Node("bills", (Node("invoice"), Node("gas", (Node("gas bill"), Node("gas bill reminder"))))),
        Node("letters", (Node("complaint"), Node("praise"))),
        Node("other"),
    ),
)
TEXTS = ("Total due: 99.50 EUR, pay within 30 days.", "The parcel never came. " * 12)
PRIOR = {"bills": 1.0, "letters": 5.0, "other": 1.0}


@pytest.mark.parametrize("unseen", [0.0, 0.3])
def test_a_tree_equals_its_paths_one_by_one(small_mixtral: Pair, unseen: float) -> None:
    loaded, plain = small_mixtral
    scorer = Scorer(loaded, token_budget=8192)
    job = parse_request(
        {
            "documents": [{"text": text} for text in TEXTS],
            "tasks": {"category": {"labels": LABELS, "prior": PRIOR, "mask": ["praise"]}},
            "options": {"unseen_mass": unseen},
        }
    )
    response, counts = classify(job, scorer)
    assert counts.batches == 1
    [task] = job.tasks
    tree = task.tree
    assert tree is not None
    choices = dict(zip(tree.askers(), questions_of(task), strict=True))
    prompts = scorer.prompts
    for text, result in zip(TEXTS, response.results, strict=True):
        assert isinstance(result, DocumentResult)

        def ask(path: tuple[str, ...], text: str = text) -> list[float]:
            node = next(n for n in choices if tuple(tree.label(one).id for one in tree.path(n)) == path)
            # As a tree's, the prompt has the document first.
            [prompt] = prompts.ask(task, prompts.questions(choices[node]), prompts.document(text))
            tokens = [token for span in prompt.path for token in span]
            return [label_log_prob(plain, tokens, label, prompt.trie.stop) for label in prompt.trie.labels]

        slow = shares(ROOT, (), ask, task.mask, PRIOR)
        answer = result.answers["category"]
        found = dict(zip(answer.labels, answer.scores, strict=True))
        assert found == pytest.approx(slow, abs=unseen + 10 * FLOAT32)
        assert unseen or answer.bounded_labels == 0
