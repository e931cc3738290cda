"""Under `deterministic` an answer has the bits that it has alone, whatever else its job asks and whatever was kept."""

from typing import Any

import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pinpoint.api.response import DocumentResult
from pinpoint.engine.scorer import Scorer
from pinpoint.pipeline.classify import classify
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.template import Version
from tests.models import embedded
from tests.numeric.pipeline.test_chunked_documents import job, text_of

WORDS = ("gas", "water", "phone", "rent", "court", "bank")
names = st.lists(st.sampled_from(WORDS), min_size=3, max_size=5, unique=True)
tasks = names.flatmap(
    lambda chosen: st.sampled_from(
        (
            {"labels": chosen},
            {"labels": [f"{word} {letter}" for word in chosen for letter in "ABCD"]},
            {"labels": chosen, "labels_first": True},
            {"labels": chosen[:3], "multi_label": True},
            {"labels": [{"name": chosen[0], "children": ["one", "two"]}, chosen[1]]},
            {"type": "score", "levels": chosen[:3]},
            {"type": "yes_no", "instructions": f"Is it about {chosen[0]}?"},
        )
    )
)


@settings(deadline=None, max_examples=5, phases=[Phase.explicit, Phase.generate])  # making it smaller takes minutes
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=2),
    st.lists(tasks, min_size=2, max_size=3),
    st.sampled_from([240, 420]),
    st.sampled_from([1, 3]),
    st.sampled_from([0, 200_000]),
    st.booleans(),
)
def test_an_answer_has_the_bits_that_it_has_alone(
    letters: list[int], asked: list[dict[str, Any]], budget: int, version: Version, store: int, twice: bool
) -> None:
    torch.set_num_threads(1)
    texts, named = [text_of(count) for count in letters], {f"task {place}": task for place, task in enumerate(asked)}

    def answers(scorer: Scorer, texts: list[str], tasks: dict[str, Any]) -> list[DocumentResult]:
        request = job(texts, tasks, deterministic=True, return_raw=True, second_reading=twice)
        results = classify(request, scorer)[0].results
        assert all(isinstance(result, DocumentResult) for result in results)
        return list(results)  # type: ignore[arg-type]

    def fresh() -> Scorer:
        scorer = Scorer(embedded(), budget, store)
        scorer.prompts = PromptBuilder(scorer.prompts.encoder, version)
        return scorer

    together = fresh()
    answers(together, texts[:1], dict(list(named.items())[:1]))  # what it leaves in the store is found by the next
    for text, result in zip(texts, answers(together, texts, named), strict=True):
        for name, task in named.items():
            (alone,) = answers(fresh(), [text], {name: task})
            assert result.answers[name] == alone.answers[name]
