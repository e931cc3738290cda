"""Jobs of several architectures, through the whole pipeline, against an engine that reads each prompt by itself.

Windows, caps, latent attention, experts, and frequencies that depend on the prompt's length: each with chunks, kept
beginnings, trees and second readings.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from transformers import AutoConfig, PreTrainedModel

from pinpoint.api.response import DocumentResult
from pinpoint.engine.forward import attention, frequencies
from pinpoint.pipeline.classify import classify
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.span_tree import Ask, Forest
from pinpoint.prompting.template import Version
from tests.fakes import FakeEngine, FakeScores
from tests.numeric.forward import families
from tests.numeric.forward.test_families import scorer_of, with_our_attention
from tests.numeric.pipeline.test_chunked_documents import KINDS, LEAVES, TRAITS, job, text_of
from tests.numeric.tolerances import FLOAT32
from tests.reference.scoring import label_log_prob

CONTEXT, BUDGET, STORE_BYTES = 4096, 420, 200_000
SHORT_TOKENS = 130  # between the lengths of the short document's prompts
TASKS: dict[str, dict[str, Any]] = {
    "kind": {"labels": KINDS},
    "first": {"labels": KINDS[:3], "labels_first": True},
    "traits": {"labels": TRAITS[:2], "multi_label": True},
    "tree": {"labels": LEAVES},
    "level": {"type": "score", "levels": KINDS[:3]},
}


@dataclass(slots=True)
class Alone(FakeEngine):
    """An engine that reads each prompt with each of its labels by itself, by transformers' own forward pass."""

    model: PreTrainedModel | None = None
    known: dict[Any, float] = field(default_factory=dict)

    def scores(self, forest: Forest, ask: Ask) -> FakeScores:
        """Of one ask."""
        assert self.model is not None
        prompt, labels, stop = tuple(forest.prompt(ask.span)), ask.trie.labels, self.prompts.encoder.stop
        long = self.is_long(len(prompt) + max(map(len, labels)))
        with frequencies.of_long_prompts(self.model) if long else nullcontext():
            for label in labels:
                if (prompt, label, long) not in self.known:
                    self.known[prompt, label, long] = label_log_prob(self.model, prompt, label, stop)
        return FakeScores([self.known[prompt, label, long] for label in labels])


def small(family: str) -> PreTrainedModel:
    model_type, options = families.FAMILIES[family]
    if "rope_parameters" in options:
        rope = {**options["rope_parameters"], "original_max_position_embeddings": SHORT_TOKENS, "factor": 16.0}
        options = {**options, "rope_parameters": rope, "original_max_position_embeddings": SHORT_TOKENS}
    given = {**families.COMMON, **options, "max_position_embeddings": CONTEXT}
    return families.random_model(AutoConfig.for_model(model_type, **given))


@pytest.mark.parametrize("version", [1, 3])
@pytest.mark.parametrize("family", ["gemma2", "deepseek_v3", "gpt_oss", "llama, longrope"])
def test_jobs_are_answered_as_prompt_by_prompt(family: str, version: Version) -> None:
    torch.set_num_threads(1)
    attention.register()
    plain = small(family)
    scorer = scorer_of(with_our_attention(plain), STORE_BYTES)
    scorer.token_budget = scorer.row_budget = BUDGET
    scorer.prompts = PromptBuilder(scorer.prompts.encoder, version)
    alone = Alone(
        token_budget=BUDGET, most_row_tokens=BUDGET, context_tokens=CONTEXT, prompts=scorer.prompts, model=plain,
        short_tokens=frequencies.short_tokens(plain),
    )  # fmt: skip
    assert (alone.short_tokens == SHORT_TOKENS) == ("longrope" in family)
    request = job([text_of(1), text_of(11)], TASKS, second_reading=True)
    for _ in range(2):
        for one, other in zip(classify(request, scorer)[0].results, classify(request, alone)[0].results, strict=True):
            assert isinstance(one, DocumentResult) and isinstance(other, DocumentResult)
            assert one.input == other.input
            for name, answer in one.answers.items():
                expected = other.answers[name]
                assert (answer.order_spread is None) == (expected.order_spread is None)
                by_label = dict(zip(expected.labels, expected.scores, strict=True))
                assert dict(zip(answer.labels, answer.scores, strict=True)) == pytest.approx(by_label, abs=FLOAT32)
                if expected.log_probs is not None and answer.log_probs is not None:
                    measured = dict(zip(expected.labels, expected.log_probs, strict=True))
                    found = dict(zip(answer.labels, answer.log_probs, strict=True))
                    assert found == pytest.approx(measured, abs=2 * FLOAT32)
        assert isinstance(one, DocumentResult) and one.input.tokens > BUDGET, "the second is read in chunks"
    assert {long for prompt, _, long in alone.known if len(prompt) < BUDGET} == {False, "longrope" in family}
    assert scorer.held_bytes == 0 and len(scorer.store)
